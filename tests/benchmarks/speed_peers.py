"""Other tools on the same networks: what a whole check costs, and what it says of a gradient."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np
from speed_bugs import Gradient, Said, said_by_array
from speed_clock import Counted
from speed_networks import Arrays, Network

CLASSROOM_STEP = 1e-5
# What scipy's own documentation and tests let check_grad be at most.
SCIPY_TOLERANCE = 1e-6

# Takes a counted network and a gradient, and returns what one whole check is and says.
Prepare = Callable[[Counted, Gradient], Callable[[], Said]]
Numerical = Callable[[Counted], Arrays]


@dataclass(frozen=True)
class Peer:
    """Another tool.

    Attributes
    ----------
    title, package: what reports call it, what has to be installed
    prepare: what is not timed: the arguments in the tool's own types
    numerical: for tools that return a numerical gradient and leave the comparison to the caller
    is_long: whether it takes as many evaluations as there are parameters
    shows_rights: whether it can be given a gradient of ours, and not only its own
    """

    title: str
    package: str
    prepare: Prepare
    numerical: Numerical | None = None
    is_long: bool = False
    shows_rights: bool = True


def plain_loop(counted: Counted) -> Arrays:
    """Return central differences of every entry, in place."""
    parameters = {name: array.copy() for name, array in counted.network.parameters.items()}
    loss, tick = counted.network.loss, counted.tick
    found: Arrays = {}
    for name, array in parameters.items():
        entries, slopes = array.reshape(-1), np.empty(array.size)
        for place in range(array.size):
            tick()
            tick()
            here = entries[place]
            entries[place] = here + CLASSROOM_STEP
            above = loss(parameters)
            entries[place] = here - CLASSROOM_STEP
            slopes[place] = (above - loss(parameters)) / (2 * CLASSROOM_STEP)
            entries[place] = here
        found[name] = slopes.reshape(array.shape)
    return found


def numdifftools_gradient(counted: Counted) -> Arrays:
    """Return numdifftools.Gradient."""
    import numdifftools

    vector = counted.vector(counted.network.parameters)
    return counted.named(np.asarray(numdifftools.Gradient(counted.loss_of_vector)(vector)))


def jacobi_gradient(counted: Counted) -> Arrays:
    """Return jacobi.jacobi."""
    from jacobi import jacobi

    vector = counted.vector(counted.network.parameters)
    return counted.named(jacobi(counted.loss_of_vector, vector)[0])


def _by_array(numerical: Numerical) -> Prepare:
    def prepare(counted: Counted, gradient: Gradient) -> Callable[[], Said]:
        def check() -> Said:
            return said_by_array(gradient(counted.network.parameters), numerical(counted))

        return check

    return prepare


def _scipy(**options: Any) -> Prepare:
    def prepare(counted: Counted, gradient: Gradient) -> Callable[[], Said]:
        from scipy.optimize import check_grad

        vector = counted.vector(counted.network.parameters)

        def of_vector(point: np.ndarray) -> np.ndarray:
            return counted.vector(gradient(counted.named(point)))

        def check() -> Said:
            error = check_grad(counted.loss_of_vector, of_vector, vector, **options)
            return Said(not error < SCIPY_TOLERANCE)

        return check

    return prepare


def _autograd(counted: Counted, gradient: Gradient) -> Callable[[], Said]:
    from autograd.extend import defvjp, primitive
    from autograd.test_util import check_grads

    names = list(counted.network.parameters)

    @primitive
    def loss(*arrays: np.ndarray) -> Any:
        return counted.loss(dict(zip(names, arrays, strict=True)))

    def one(place: int) -> Callable[..., Any]:
        def pullback(_: Any, *arrays: np.ndarray) -> Callable[[Any], Any]:
            return lambda upstream: upstream * _shared(arrays)[names[place]]

        return pullback

    last: list[Any] = []

    def _shared(arrays: tuple[np.ndarray, ...]) -> Arrays:
        # One backward pass for all arguments, as a hand-written function would have it.
        if not last or any(a is not b for a, b in zip(last[0], arrays, strict=True)):
            last[:] = [arrays, gradient(dict(zip(names, arrays, strict=True)))]
        return last[1]

    defvjp(loss, *map(one, range(len(names))))
    arrays, places = tuple(counted.network.parameters.values()), tuple(range(len(names)))

    def check() -> Said:
        last.clear()
        np.random.seed(0)  # noqa: NPY002 (where autograd draws its direction from)
        return _said(lambda: check_grads(loss, places, modes=["rev"], order=1)(*arrays))

    return check


def _jax_functions(counted: Counted, gradient: Gradient) -> Callable[[], Said]:
    import jax
    from jax.test_util import check_vjp

    jax.config.update("jax_enable_x64", True)

    def loss(parameters: Any) -> Any:
        return np.asarray(counted.loss({k: np.asarray(v) for k, v in parameters.items()}))

    def with_pullback(parameters: Any) -> Any:
        named = {name: np.asarray(array) for name, array in parameters.items()}
        found = gradient(named)
        return loss(named), lambda up: ({name: up * array for name, array in found.items()},)

    return lambda: _said(lambda: check_vjp(loss, with_pullback, (counted.network.parameters,)))


def _jax_compiled(counted: Counted, gradient: Gradient) -> Callable[[], Said]:
    import jax
    from jax import numpy as jnp
    from jax.test_util import check_grads

    jax.config.update("jax_enable_x64", True)
    network = counted.network
    inputs, targets = jnp.asarray(network.inputs), jnp.asarray(network.targets)

    @jax.jit
    def loss(parameters: Any) -> Any:
        signal = inputs
        for weight, bias in network.names:
            signal = signal @ parameters[weight] + parameters[bias]
            if (weight, bias) != network.names[-1]:
                signal = jax.nn.sigmoid(signal)
        return 0.5 * jnp.sum((signal - targets) ** 2) / len(inputs)

    parameters = {name: jnp.asarray(array) for name, array in network.parameters.items()}

    def check() -> Said:
        return _said(lambda: check_grads(loss, (parameters,), order=1, modes=["rev"]))

    check()  # compiles
    return check


def _said(check: Callable[[], Any]) -> Said:
    try:
        check()
    except AssertionError:
        return Said(True)
    return Said(False)


def _torch(form: str, *, fast: bool) -> Prepare:
    def prepare(counted: Counted, gradient: Gradient) -> Callable[[], Said]:
        import speed_torch

        return speed_torch.prepare(getattr(speed_torch, form), counted, gradient, fast=fast)

    return prepare


_PEERS = (
    Peer("plain loop, h = 1e-5", "numpy", _by_array(plain_loop), plain_loop, True),
    Peer(
        "torch slow, own network", "torch", _torch("own_network", fast=False),
        is_long=True, shows_rights=False,
    ),
    Peer(
        "torch slow, numpy function", "torch", _torch("numpy_function", fast=False), is_long=True
    ),
    Peer(
        "torch fast, own network", "torch", _torch("own_network", fast=True), shows_rights=False
    ),
    Peer("torch fast, numpy function", "torch", _torch("numpy_function", fast=True)),
    Peer("jax check_grads, compiled", "jax", _jax_compiled, shows_rights=False),
    Peer("jax check_vjp, numpy function", "jax", _jax_functions),
    Peer("autograd check_grads", "autograd", _autograd),
    Peer("scipy check_grad, all", "scipy", _scipy(), is_long=True),
    Peer("scipy check_grad, random", "scipy", _scipy(direction="random", rng=0)),
    Peer(
        "numdifftools.Gradient", "numdifftools", _by_array(numdifftools_gradient),
        numdifftools_gradient, True,
    ),
    Peer("jacobi", "jacobi", _by_array(jacobi_gradient), jacobi_gradient, True),
)  # fmt: skip


@cache
def installed() -> tuple[Peer, ...]:
    """Return the tools that can be run here, the plain loop first."""
    return tuple(peer for peer in _PEERS if find_spec(peer.package))


def versions() -> dict[str, str]:
    """Return the version of every package in the comparison."""
    return {package: version(package) for package in dict.fromkeys(p.package for p in installed())}


def said_of(peer: Peer, network: Network, gradients: Mapping[str, Gradient]) -> dict[str, Said]:
    """Return what a tool says of several gradients, by their titles.

    A tool that returns a numerical gradient takes it once for all of them.
    """
    if peer.numerical is None:
        checks = {title: peer.prepare(Counted(network), each) for title, each in gradients.items()}
        return {title: check() for title, check in checks.items()}
    numerical = peer.numerical(Counted(network))
    return {
        title: said_by_array(each(network.parameters), numerical)
        for title, each in gradients.items()
    }
