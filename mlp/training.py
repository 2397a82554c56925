"""Gradient descent, in batches and with momentum; it can be watched, and check itself.

With learning rate r and momentum m, a step from the parameters theta with the gradient g is

    v <- m v - r g
    theta <- theta + v

Momentum 0 is plain gradient descent.

References
----------
Goodfellow, Bengio & Courville (2016), Deep Learning, section 8.3.2.
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray

from mlp.arrays import Array, NetworkParameters, Scalar, check_array
from mlp.network import Network
from mlp.problem import Problem
from mlp.verification import Claim, Verifier, check_verifier

# Called before every step with the loss of its batch as a function of the parameters, the
# parameters, and the gradient there.
Observer = Callable[
    [Callable[[NetworkParameters], Scalar], NetworkParameters, NetworkParameters], object
]


@dataclass(frozen=True, eq=False)
class Training:
    """What came of training a network.

    Attributes
    ----------
    parameters: at the end.
    losses: of the batch of every step, before the step.
    seconds: that training took, all told.
    verified: steps whose gradient was verified.
    verifying_seconds: of `seconds`, those that the verifier took.
    """

    parameters: NetworkParameters
    losses: tuple[float, ...]
    seconds: float
    verified: int = 0
    verifying_seconds: float = 0.0


def train(
    network: Network,
    parameters: NetworkParameters,
    inputs: Array,
    targets: Array,
    *,
    learning_rate: float,
    epochs: int,
    batch_size: int | None = None,
    momentum: float = 0.0,
    rng: np.random.Generator | None = None,
    observe: Observer | None = None,
    verify: Verifier | None = None,
    verify_every: int | None = None,
) -> Training:
    """Return the network's parameters after so many passes over the data, and how it went.

    Parameters
    ----------
    parameters: to start from; left as they are.
    inputs, targets: all samples; (samples, inputs) and (samples, outputs).
    learning_rate: length of a step per unit of gradient.
    epochs: passes over all samples.
    batch_size: samples per step; all of them by default. The last batch of an epoch has the rest.
    momentum: part of the last step that the next one keeps.
    rng: shuffles the samples before every epoch; by default they stay in their order.
    observe: called before every step as observe(loss, parameters, gradient), where loss is that
        of the step's batch, as a function of the parameters; such as `gradcheck.DescentMonitor()`,
        which has to be told where the last step led: `monitor.end(training.parameters)`.
    verify: asked about the gradient of every layer, and then of the whole network, in every step
        that is verified; raises where one is wrong. `gradcheck.layer_verifier()` makes one.
    verify_every: verifies the first of so many steps; every step by default.

    Raises
    ------
    ValueError
        when a number is out of its range, there is not a target per sample, or verify_every comes
        without verify
    TypeError
        when data are no arrays, rng no generator, or verify or observe no function
    FloatingPointError
        when the loss before a step is not a finite number: training has diverged
    """
    _check_numbers(learning_rate, epochs, batch_size, momentum)
    _check_samples(inputs, targets)
    _check_helpers(rng, observe, verify)
    timed = None if verify is None else _Timed(verify)
    every = _interval(verify, verify_every)
    started = time.perf_counter()
    losses: list[float] = []
    velocity: NetworkParameters | None = None
    for number, rows in enumerate(_batches(len(inputs), batch_size, epochs, rng)):
        batch = inputs[rows], targets[rows]  # (rows, inputs), (rows, outputs)
        losses.append(_finite(float(network.loss_value(parameters, *batch)), number))
        asked = timed if number % every == 0 else None
        gradient = _gradient(network, parameters, batch, asked)
        if observe is not None:
            observe(partial(_loss_of, network, batch), parameters, gradient)
        velocity = _next_velocity(velocity, gradient, learning_rate, momentum)
        parameters = _added(parameters, velocity)
    seconds = time.perf_counter() - started
    if timed is None:
        return Training(parameters, tuple(losses), seconds)
    return Training(parameters, tuple(losses), seconds, timed.steps, timed.seconds)


def _gradient(
    network: Network,
    parameters: NetworkParameters,
    batch: tuple[Array, Array],
    verify: "_Timed | None",
) -> NetworkParameters:
    """Return the gradient on a batch; verified layer by layer, and then as a whole."""
    if verify is None:
        return network.backward(parameters, *batch)
    gradient = network.backward(parameters, *batch, verify=verify)
    verify(
        Problem(
            name="network",
            loss=network.loss_value,
            gradient=Claim(parameters, gradient, network.backward),
            parameters=parameters,
            args=batch,
            sizes={"batch": len(batch[0])},
        )
    )
    verify.steps += 1
    return gradient


def _loss_of(network: Network, batch: tuple[Array, Array], parameters: NetworkParameters) -> Scalar:
    return network.loss_value(parameters, *batch)


def _next_velocity(
    velocity: NetworkParameters | None,
    gradient: NetworkParameters,
    learning_rate: float,
    momentum: float,
) -> NetworkParameters:
    """Return m v - r g; before the first step, v is 0."""
    step = {
        layer: {key: -learning_rate * slope for key, slope in slopes.items()}
        for layer, slopes in gradient.items()
    }
    if velocity is None or not momentum:
        return step
    kept = {
        layer: {key: momentum * value for key, value in values.items()}
        for layer, values in velocity.items()
    }
    return _added(kept, step)


def _added(one: NetworkParameters, other: NetworkParameters) -> NetworkParameters:
    """Return the sums of arrays of the same names."""
    return {
        layer: {key: value + other[layer][key] for key, value in values.items()}
        for layer, values in one.items()
    }


def _batches(
    samples: int, batch_size: int | None, epochs: int, rng: np.random.Generator | None
) -> Iterator[NDArray[np.int_]]:
    """Yield the rows of every batch of every epoch."""
    for _ in range(epochs):
        order = np.arange(samples) if rng is None else rng.permutation(samples)
        for start in range(0, samples, batch_size or samples):
            yield order[start : start + (batch_size or samples)]


class _Timed:
    """A verifier that adds up the seconds it takes, and the steps it was asked about."""

    def __init__(self, verify: Verifier) -> None:
        self.verify = verify
        self.seconds, self.steps = 0.0, 0

    def __call__(self, problem: Problem) -> None:
        started = time.perf_counter()
        try:
            self.verify(problem)
        finally:
            self.seconds += time.perf_counter() - started


def _interval(verify: Verifier | None, verify_every: int | None) -> int:
    """Return after how many steps one is verified."""
    if verify_every is None:
        return 1
    if verify is None:
        raise ValueError(
            "verify must be given with verify_every, such as gradcheck.layer_verifier(), got None"
        )
    _check_whole("verify_every", verify_every, least=1)
    return verify_every


def _check_numbers(
    learning_rate: float, epochs: int, batch_size: int | None, momentum: float
) -> None:
    """Raise ValueError unless the numbers make steps downhill."""
    if not isinstance(learning_rate, Real) or not 0 < learning_rate < math.inf:
        raise ValueError(f"learning_rate must be a finite number above 0, got {learning_rate!r}")
    if not isinstance(momentum, Real) or not 0 <= momentum < 1:
        raise ValueError(f"momentum must be a number from 0 up and below 1, got {momentum!r}")
    _check_whole("epochs", epochs, least=0)
    if batch_size is not None:
        _check_whole("batch_size", batch_size, least=1)


def _check_whole(name: str, value: object, *, least: int) -> None:
    """Raise ValueError unless a value is a whole number that is not below the least."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")


def _check_helpers(rng: object, observe: object, verify: object) -> None:
    """Raise TypeError unless who shuffles, observes and verifies is what can."""
    if rng is not None and not isinstance(rng, np.random.Generator):
        raise TypeError(f"rng must be a numpy.random.Generator, got {rng!r}")
    if observe is not None and not callable(observe):
        raise TypeError(
            "observe must be a function of (loss, parameters, gradient), "
            f"such as gradcheck.DescentMonitor(), got {observe!r}"
        )
    check_verifier(verify)


def _finite(loss: float, number: int) -> float:
    """Return the loss before a step, where it is a finite number."""
    if not math.isfinite(loss):
        raise FloatingPointError(
            f"loss must be finite, got {loss!r} before step {number}, counted from 0: "
            "training has diverged, a smaller learning_rate may help"
        )
    return loss


def _check_samples(inputs: Array, targets: Array) -> None:
    """Raise ValueError unless there are samples, and as many targets."""
    check_array("inputs", inputs)
    check_array("targets", targets)
    if len(inputs) == 0 or len(inputs) != len(targets):
        raise ValueError(
            "inputs and targets must have the same number of rows, one at least, "
            f"got {len(inputs)} and {len(targets)}"
        )
