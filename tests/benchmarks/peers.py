"""What other tools say about the same slopes, each where it is installed.

Every tool gets the loss as a function of one entry, in the precision of that entry, and runs with
its defaults. Where it returns a number instead of a verdict, the threshold is stated below.
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from families import Case, Entry
from outcomes import Measurement

# The classroom check: a fixed step, a fixed relative tolerance.
CLASSROOM_STEP = 1e-5
CLASSROOM_TOLERANCE = 1e-3
# scipy returns the size of the error; its users compare that with a number such as this.
SCIPY_TOLERANCE = 1e-5


class Line:
    """The loss as a function of the value of one entry.

    Attributes
    ----------
    origin: the entry's value, in its own precision
    evaluations: calls so far
    """

    def __init__(self, case: Case, entry: Entry) -> None:
        self._case, self._entry = case, entry
        self._parameters = {name: array.copy() for name, array in case.parameters.items()}
        self.origin = case.parameters[entry.name].flat[entry.position]
        self.evaluations = 0

    @property
    def precision(self) -> type:
        """float32 for a float32 entry, else float64, the widest that other tools know."""
        return np.float32 if self.origin.dtype == np.float32 else np.float64

    def __call__(self, value: Any) -> float:
        """Return the loss with the entry at this value."""
        self.evaluations += 1
        moved = self._parameters[self._entry.name]
        moved.flat[self._entry.position] = np.asarray(value).reshape(())
        return float(self._case.loss(self._parameters))


Peer = Callable[[Line, Sequence[float]], list[Measurement]]


def classroom(line: Line, claims: Sequence[float]) -> list[Measurement]:
    """Central difference with h = 1e-5, relative tolerance 1e-3."""
    origin, step = float(line.origin), CLASSROOM_STEP
    value = (line(origin + step) - line(origin - step)) / (2 * step)
    return [
        _judged(
            abs(claim - value) <= CLASSROOM_TOLERANCE * max(abs(claim), abs(value)),
            line.evaluations,
        )
        for claim in claims
    ]


def scipy_check_grad(line: Line, claims: Sequence[float]) -> list[Measurement]:
    """scipy.optimize.check_grad, at most 1e-5."""
    from scipy.optimize import check_grad

    point, judged = np.array([line.origin], dtype=np.float64), []
    for claim in claims:
        before = line.evaluations
        error = check_grad(line, lambda _, claim=claim: np.array([claim]), point)
        judged.append(_judged(error <= SCIPY_TOLERANCE, line.evaluations - before))
    return judged


def numdifftools_derivative(line: Line, claims: Sequence[float]) -> list[Measurement]:
    """numdifftools.Derivative, within its own error estimate."""
    import numdifftools

    found = numdifftools.Derivative(line, full_output=True)(float(line.origin))
    return _within(line, claims, float(found.estimate), float(found.error_estimate))


def jacobi_derivative(line: Line, claims: Sequence[float]) -> list[Measurement]:
    """jacobi.jacobi, within its own error estimate."""
    from jacobi import jacobi

    value, bar = jacobi(line, float(line.origin))
    return _within(line, claims, float(value), float(bar))


def torch_gradcheck(line: Line, claims: Sequence[float]) -> list[Measurement]:
    """torch.autograd.gradcheck, every entry ("slow")."""
    import torch

    judged = []
    for claim in claims:
        before = line.evaluations
        point = torch.tensor(line.origin.astype(line.precision), requires_grad=True)
        good = torch.autograd.gradcheck(
            lambda x, claim=claim: _torch_function().apply(x, line, claim),
            (point,),
            raise_exception=False,
        )
        judged.append(_judged(good, line.evaluations - before))
    return judged


@cache
def _torch_function() -> Any:
    import torch

    class ClaimedSlope(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x, line, claim):
            ctx.claim = claim
            return torch.tensor(line(x.item()), dtype=x.dtype)

        @staticmethod
        def backward(ctx, upstream):
            return upstream * ctx.claim, None, None

    return ClaimedSlope


def jax_check_vjp(line: Line, claims: Sequence[float]) -> list[Measurement]:
    """jax.test_util.check_vjp."""
    import jax
    from jax.test_util import check_vjp

    jax.config.update("jax_enable_x64", True)
    kind, judged = line.precision, []

    def loss(x):
        return np.asarray(line(x), dtype=kind)

    for claim in claims:

        def with_pullback(x, claim=claim):
            return loss(x), lambda upstream: (np.asarray(upstream * claim, dtype=kind),)

        before, good = line.evaluations, True
        try:
            check_vjp(loss, with_pullback, (np.asarray(line.origin, dtype=kind),))
        except AssertionError:
            good = False
        judged.append(_judged(good, line.evaluations - before))
    return judged


# Names as reports show them, with the package to install.
_PEERS: dict[str, tuple[str, Peer]] = {
    "central differences, h = 1e-5": ("numpy", classroom),
    "scipy check_grad": ("scipy", scipy_check_grad),
    "numdifftools": ("numdifftools", numdifftools_derivative),
    "jacobi": ("jacobi", jacobi_derivative),
    "torch gradcheck": ("torch", torch_gradcheck),
    "jax check_vjp": ("jax", jax_check_vjp),
}


def installed() -> dict[str, Peer]:
    """Return the tools that can be run here, by name."""
    return {name: peer for name, (package, peer) in _PEERS.items() if find_spec(package)}


def versions() -> dict[str, str]:
    """Return the version of every package in the comparison."""
    packages = dict.fromkeys(package for package, _ in _PEERS.values() if find_spec(package))
    return {package: importlib.metadata.version(package) for package in packages}


def _judged(good: bool, evaluations: int) -> Measurement:
    return Measurement("pass" if good else "fail", evaluations=evaluations)


def _within(line: Line, claims: Sequence[float], value: float, bar: float) -> list[Measurement]:
    return [
        Measurement(
            "pass" if abs(claim - value) <= bar else "fail",
            value,
            bar,
            evaluations=line.evaluations,
        )
        for claim in claims
    ]
