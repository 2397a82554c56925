"""Slopes of a loss by the complex step, with error bars from measured round-off.

For an analytic loss, f(x + i h v) = f(x) + i h f'(x) v + O(h**2): the slope stands alone in the
imaginary part. Nothing is subtracted, so h can be so small that the rest vanishes, and what is
left is the round-off of evaluating f. That is measured: slopes at nearby points, taken with
different h, differ from a smooth function by nothing else.

References
----------
Squire & Trapp 1998, SIAM Review 40(1):110.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import EllipsisType
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.directions import Floats, random_direction
from gradcheck.execution import Array, Evaluator
from gradcheck.ladder import EPSILON

# One per point; no two a power of two apart, or their imaginary parts would round alike. Squared
# they vanish beside any slope, and times a slope of 1e-15 they are still no denormals of float32.
STEPS = (0.83e-20, 1.31e-20, 0.59e-20, 1.0e-20, 1.49e-20, 0.71e-20, 1.13e-20)
# Irregular: numbers rounded at equal distances may line up as if they were not rounded at all.
POINTS = (-3.0, -2.13, -0.87, 0.0, 1.09, 1.79, 2.95)
CENTRE = POINTS.index(0.0)
# A cubic takes the function off; what is left of it shows in the first contrast before the others.
SMOOTH_DEGREE = 3
# How far apart the points are, relative to the parameters: first far enough that saturated
# functions round differently from point to point, then closer where the loss bends too fast.
SPACINGS = (2.0**-12, 2.0**-18, 2.0**-24, 2.0**-30)
# From the first contrast to the others a smooth function falls by more than this, rounding not.
SMOOTH_FALL = 8.0
# A larger part of the slope than this is the function, seen from too far away.
LARGEST_ROUNDING = 1e-5
# Round-off of so few units needs no second look.
SHARP_UNITS = 64.0
# Three contrasts estimate a deviation within a factor of a few.
DEVIATIONS = 16.0
SMALLEST_DEVIATION = 1.0  # unit of round-off: no slope is taken to be rounded only once
NEARBY_SEED, NEARBY_DIRECTION = 0, 3_000_000


def _contrasts() -> Floats:
    """Return weights, a column each, that give 0 for a cubic and keep the deviation of noise."""
    powers = np.vander(POINTS, increasing=True)
    orthogonal, _ = np.linalg.qr(powers)
    return np.asarray(orthogonal[:, SMOOTH_DEGREE + 1 :], dtype=np.float64)


_CONTRASTS = _contrasts()


@dataclass(frozen=True)
class Move:
    """Where the imaginary part goes: `values` at `index` of one parameter, times h."""

    index: tuple[int, ...] | EllipsisType
    values: Any


@dataclass(frozen=True)
class Slopes:
    """The slope along every move.

    Attributes
    ----------
    values: the slopes
    error_bars: how far each may be off; infinite where round-off could not be measured
    evaluations: calls of the loss for each
    """

    values: Floats
    error_bars: Floats
    evaluations: npt.NDArray[np.int_]


def complex_slopes(evaluator: Evaluator, name: str, moves: Sequence[Move]) -> Slopes:
    """Return the slopes of the loss along moves of one parameter.

    What the loss raises at the parameters themselves comes through; nearby it only says that
    round-off has to be measured closer by.
    """
    base = _nearby(evaluator, 0.0, 0.0)
    values = np.array([_slope(evaluator, base, name, move, STEPS[CENTRE]) for move in moves])
    deviations = np.full(len(moves), np.inf)
    evaluations = np.ones(len(moves), dtype=int)
    unsettled = np.arange(len(moves))
    for spacing in SPACINGS:
        samples = _samples(evaluator, name, [moves[int(row)] for row in unsettled], spacing)
        samples[:, CENTRE] = values[unsettled]
        evaluations[unsettled] += len(STEPS) - 1
        found, settled = _deviations(samples)
        deviations[unsettled] = np.where(settled, found, np.minimum(found, deviations[unsettled]))
        unsettled = unsettled[~settled]
    return Slopes(values, _error_bars(values, deviations), evaluations)


def _samples(evaluator: Evaluator, name: str, moves: Sequence[Move], spacing: float) -> Floats:
    """Return the slopes along the moves, a column per point; NaN at the centre."""
    samples = np.full((len(moves), len(STEPS)), np.nan)
    for point, step in enumerate(STEPS if moves else ()):
        if point != CENTRE:
            base = _nearby(evaluator, POINTS[point] * spacing, max(map(abs, POINTS)) * spacing)
            for row, move in enumerate(moves):
                with suppress(Exception):  # a domain that ends nearby leaves a NaN
                    samples[row, point] = _slope(evaluator, base, name, move, step)
    return samples


def _nearby(evaluator: Evaluator, distance: float, farthest: float) -> dict[str, Array]:
    """Return complex parameters at a relative distance along one line through all of them.

    Moved relative to itself, no number changes its sign, and a zero stays zero; so does what
    would leave its bounds at the farthest of all distances, or the line would not be straight.
    """
    size = sum(array.size for array in evaluator.original.values())
    length = distance / math.sqrt(size)
    nearby = {}
    for name, array in evaluator.original.items():
        moved = np.array(array, dtype=np.complex128, subok=True)
        direction = random_direction(np.abs(array), NEARBY_SEED, name, NEARBY_DIRECTION)
        reach = farthest / math.sqrt(size)
        moved[...] += length * evaluator.bounds.still(name, array, direction, reach)
        nearby[name] = moved
    return nearby


def _slope(
    evaluator: Evaluator, base: Mapping[str, Array], name: str, move: Move, step: float
) -> float:
    array = base[name]
    before = np.array(array[move.index])
    array[move.index] = before + 1j * step * move.values
    try:
        return evaluator.complex_loss_at(base).imag / step
    finally:
        array[move.index] = before


def _deviations(samples: Floats) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the deviation of each row's round-off, and whether it can be taken at its word."""
    with np.errstate(invalid="ignore"):
        squares = (samples @ _CONTRASTS) ** 2  # a column per degree above the cubic
    first, higher = np.sqrt(np.mean(squares, axis=1)), np.sqrt(np.mean(squares[:, 1:], axis=1))
    found = np.maximum(first, higher)
    found = np.where(np.isfinite(found), found, np.inf)
    size = np.abs(samples[:, CENTRE])
    is_noise = (higher * SMOOTH_FALL >= first) & (found <= LARGEST_ROUNDING * size)
    return found, is_noise | (found <= SHARP_UNITS * EPSILON * size)


def _error_bars(values: Floats, deviations: Floats) -> Floats:
    """Return the bars: by each slope's own round-off, and not below what is usual among them."""
    size = EPSILON * np.abs(values)
    known = (size > 0.0) & np.isfinite(deviations)
    usual = float(np.median(deviations[known] / size[known])) if known.any() else 0.0
    bars: Floats = DEVIATIONS * np.maximum(deviations, max(usual, SMALLEST_DEVIATION) * size)
    return bars
