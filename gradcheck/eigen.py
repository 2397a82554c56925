"""Directions along the top eigenvectors of the Hessian, from differences of the gradient.

They are where a training step moves the loss most, so that they show errors that matter to it.
Alone they would miss most wrong entries: a lone one shows 8 to 100 times worse in them than in a
random direction. So they are measured in addition to those.

The Hessian never exists: Lanczos needs its products with vectors only, which are differences of
the analytic gradient. A wrong gradient makes worse directions, never a wrong verdict, as any
direction is a fair one to compare along.

References
----------
Golub & Van Loan 2013, Matrix Computations, section 10.1 (Lanczos), 10.3.3 (reorthogonalisation).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from gradcheck.directions import Floats, norm
from gradcheck.execution import Evaluator
from gradcheck.probes import Claim, ProbeMeasurement

Product = Callable[[Floats], Floats]

ITERATIONS = 16
EIGENVECTORS = 2
START = 4_000_000
# What is left of a new vector, relative to the matrix, when the old ones span all there is.
EXHAUSTED = 1e-10
# A parameter that has a smaller part of an eigenvector than this hardly takes part in it.
NEGLIGIBLE_PART = 1e-3

# Beside the largest curvature this is a direction in which the loss is straight.
NEGLIGIBLE_CURVATURE = 1e-6


class NoProduct(ArithmeticError):
    """The gradient cannot be evaluated nearby."""


@dataclass(frozen=True)
class Eigenvector:
    """An approximate eigenvector of unit length, and its eigenvalue."""

    value: float
    vector: Floats


def eigen_directions(
    evaluator: Evaluator, scales: Mapping[str, Floats], unit: float, seed: int
) -> dict[str, tuple[Floats, ...]]:
    """Return for each parameter its parts of the top eigenvectors of the Hessian.

    The Hessian is that of all these parameters together, in units of their scales. Each part is as
    long as a random direction; one that is negligible is left out.

    Parameters
    ----------
    scales: distance that counts as of order one, per entry, by name of the parameter
    unit: round-off of the gradient
    seed: of the vector that Lanczos starts from

    Returns
    -------
    by name; empty where the gradient cannot be evaluated nearby, is no function, or is constant
    """
    if not callable(evaluator.problem.gradient):
        return {}
    size = sum(scale.size for scale in scales.values())
    try:
        found = top_eigenvectors(_hessian_product(evaluator, scales, unit), size, seed)
    except NoProduct:
        return {}
    parts: dict[str, list[Floats]] = {name: [] for name in scales}
    for eigenvector in found:
        for name, part in _split(eigenvector.vector, scales).items():
            length = float(np.linalg.norm(part))
            if length >= NEGLIGIBLE_PART:
                parts[name].append(scales[name] * part * (math.sqrt(part.size) / length))
    return {name: tuple(directions) for name, directions in parts.items()}


def eigen_note(directions: Mapping[str, tuple[Floats, ...]]) -> str:
    """Return what a report says about the eigenvector directions of its parameters."""
    count = sum(map(len, directions.values()))
    if not count:
        return "directions eigen: random ones only, as no Hessian could be had from the gradient"
    return f"directions eigen: {count} probes along the Hessian's top {EIGENVECTORS} eigenvectors"


def of_usual_size(probe: ProbeMeasurement, claim: Claim) -> ProbeMeasurement:
    """Return a probe along an eigenvector, judged by the slopes of random directions so long.

    An eigenvector may be orthogonal to the gradient: its slope of zero says nothing about how
    sharply it was measured.
    """
    usual = norm(claim.analytic * claim.scale)
    return replace(probe, typical=max(probe.typical, usual), kind="eigen")


def top_eigenvectors(
    product: Product, size: int, seed: int, count: int = EIGENVECTORS
) -> list[Eigenvector]:
    """Return the eigenvectors of largest absolute eigenvalue of a symmetric matrix, by Lanczos.

    Parameters
    ----------
    product: of the matrix with a vector
    size: of the matrix
    seed: of the start
    count: how many; fewer come back where the others' eigenvalues are negligible
    """
    start = np.random.default_rng([seed, START]).standard_normal(size)
    basis = [start / np.linalg.norm(start)]
    diagonal: list[float] = []
    beside: list[float] = []
    while True:
        image = product(basis[-1])
        diagonal.append(float(image @ basis[-1]))
        left = _orthogonal(image, basis)
        rest, scale = float(np.linalg.norm(left)), float(np.linalg.norm(image))
        spanned = rest <= EXHAUSTED * max(scale, *map(abs, diagonal))
        if spanned or len(basis) == min(ITERATIONS, size):
            return _ritz(np.array(basis), diagonal, beside, count)
        beside.append(rest)
        basis.append(left / rest)


def _orthogonal(vector: Floats, basis: list[Floats]) -> Floats:
    """Return what of a vector is orthogonal to all of the basis."""
    matrix = np.array(basis)
    for _ in range(2):  # once leaves round-off of the vector, which Lanczos makes grow
        vector = vector - matrix.T @ (matrix @ vector)
    return vector


def _ritz(
    basis: Floats, diagonal: list[float], beside: list[float], count: int
) -> list[Eigenvector]:
    tridiagonal = np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1)
    values, vectors = np.linalg.eigh(tridiagonal)
    sizes = np.abs(values)
    order = [i for i in np.argsort(-sizes)[:count] if sizes[i] > NEGLIGIBLE_CURVATURE * sizes.max()]
    return [Eigenvector(float(values[i]), basis.T @ vectors[:, i]) for i in order]


def _hessian_product(evaluator: Evaluator, scales: Mapping[str, Floats], unit: float) -> Product:
    """Return the function that multiplies vectors, in units of the scales, with the Hessian."""
    step = math.cbrt(unit)  # balances truncation h**2 against round-off unit / h
    # From a little further inside, both ways are within bounds.
    origins = {
        name: evaluator.bounds.interior(name, evaluator.original[name], step * scale)
        for name, scale in scales.items()
    }

    def gradient(vector: Floats, distance: float) -> Floats:
        changes = {
            name: origins[name] + distance * scales[name] * part
            for name, part in _split(vector, scales).items()
        }
        found = evaluator.gradient_at(changes, tuple(scales))
        if not all(name in found and found[name].shape == scales[name].shape for name in scales):
            raise NoProduct("the gradient cannot be evaluated nearby")
        return np.concatenate([(scales[name] * found[name]).ravel() for name in scales])

    def product(vector: Floats) -> Floats:
        difference = (gradient(vector, step) - gradient(vector, -step)) / (2 * step)
        if not np.all(np.isfinite(difference)):
            raise NoProduct("the gradient is not finite nearby")
        return np.asarray(difference, dtype=np.float64)

    return product


def _split(vector: Floats, scales: Mapping[str, Floats]) -> dict[str, Floats]:
    """Return the parts of a vector over all parameters, by name and in their shapes."""
    parts, start = {}, 0
    for name, scale in scales.items():
        parts[name] = vector[start : start + scale.size].reshape(scale.shape)
        start += scale.size
    return parts
