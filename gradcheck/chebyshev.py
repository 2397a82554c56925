"""A second opinion on a slope: the loss sampled at Chebyshev points across an interval.

The coefficients of a smooth function fall off quickly and end in a plateau, which is the noise;
where they do not, the interval holds more than a polynomial can follow and says nothing. Sixteen
points average the noise and allow a far wider interval than differences do, so the bar is several
times sharper.

References
----------
Trefethen 2013, Approximation Theory and Approximation Practice, chapters 3, 7 and 8.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradcheck.extrapolation import NOISE_MULTIPLE, TRUNCATION_SAFETY
from gradcheck.ladder import ROUND_OFF_UNITS_OF_LOSS, Conditions, Evaluate

DEGREE = 16
EVALUATIONS = DEGREE  # the middle point is the origin, whose value is known
_ANGLES = np.pi * np.arange(DEGREE + 1) / DEGREE
NODES = np.cos(_ANGLES)
# Coefficients from here on have to be noise, or the function is not resolved: those of a smooth
# function are far below it by then, those of one with kinks fall off like 1/k**2 only.
PLATEAU = 7
# They may be this many times larger than the noise leads to expect; the bar then follows them.
LARGEST_PLATEAU = 2.5
# Coefficients that do not stand out from the noise by this much may be nothing but noise.
SIGNIFICANT = 3.0
# A coefficient below the noise may still be this large.
HIDDEN = 2.0
# Orders at which to cut the sum of the slope.
CUTS = (1, 3, 5)
# A kink is looked for in the even coefficients from here on; smooth bends may have the first.
KINK_ORDERS = (4, 6)
# An interval's bar, a kink within it included, in deviations of the noise over its half width.
EXPECTED_BAR = 24.0


def _transform() -> npt.NDArray[np.float64]:
    """Return the matrix from values at the nodes to Chebyshev coefficients (DCT-I)."""
    matrix = np.cos(np.outer(np.arange(DEGREE + 1), _ANGLES)) * (2 / DEGREE)
    matrix[:, [0, -1]] /= 2
    matrix[[0, -1]] /= 2
    return np.asarray(matrix)


_COEFFICIENTS = _transform()
# The slope of T_k at the middle: k, -k, k, ... for odd k, 0 for even ones.
_SLOPES = np.array([k * math.sin(k * math.pi / 2) for k in range(DEGREE + 1)]).round()
# Standard deviation of a coefficient for noise of deviation 1.
_SPREAD = math.sqrt(2 / DEGREE)
# The coefficients of a kink at the middle.
_ABSOLUTE = _COEFFICIENTS @ np.abs(NODES)


@dataclass(frozen=True)
class Interval:
    """What an interval around the origin says about the slope there.

    Attributes
    ----------
    estimate: the discrepancy
    error: how far it may be off, without the round-off of the analytic side
    kink: by how much more if there is a kink at the origin that the noise hides
    """

    estimate: float
    error: float
    kink: float


def sample(evaluate: Evaluate, conditions: Conditions, width: float) -> Interval | None:
    """Return the discrepancy from samples on [-width, width], None where these do not resolve it.

    Takes `EVALUATIONS` evaluations.
    """
    residual = np.zeros(DEGREE + 1)
    largest = abs(float(conditions.value))
    for position, node in enumerate(NODES):
        if position != DEGREE // 2:
            value, slope = evaluate(float(node) * width)
            residual[position] = value - conditions.value - slope
            largest = max(largest, abs(float(value)))
    if not np.all(np.isfinite(residual)):
        return None
    expected = max(conditions.noise, ROUND_OFF_UNITS_OF_LOSS * conditions.unit * largest)
    return _interval(_COEFFICIENTS @ residual, expected, width, conditions.multiplier)


def _interval(
    coefficients: npt.NDArray[np.float64], expected: float, width: float, multiplier: float
) -> Interval | None:
    plateau = math.sqrt(float(np.mean(coefficients[PLATEAU:] ** 2))) / _SPREAD
    if plateau > LARGEST_PLATEAU * expected:
        return None
    deviation = max(expected, plateau)
    cut, error = min(
        ((cut, _error(coefficients, cut, deviation)) for cut in CUTS), key=lambda pair: pair[1]
    )
    estimate = float(_SLOPES[: cut + 1] @ coefficients[: cut + 1]) / width
    seen, spread = np.transpose([_kink(coefficients, order, deviation) for order in KINK_ORDERS])
    if seen[-1] > SIGNIFICANT * spread[-1]:
        return None
    kink = float(np.min(seen + HIDDEN * spread))
    return Interval(estimate, multiplier * error / width, multiplier * kink / width)


def _error(coefficients: npt.NDArray[np.float64], cut: int, deviation: float) -> float:
    """Return the noise in the sum up to `cut`, and what may be missing beyond."""
    spread = deviation * _SPREAD
    noise = NOISE_MULTIPLE * spread * float(np.linalg.norm(_SLOPES[: cut + 1]))
    beyond = np.maximum(np.abs(coefficients[cut + 1 :]) - SIGNIFICANT * spread, 0.0)
    missing = float(np.abs(_SLOPES[cut + 1 :]) @ beyond) + HIDDEN * spread * (cut + 2)
    return noise + TRUNCATION_SAFETY * missing


def _kink(
    coefficients: npt.NDArray[np.float64], order: int, deviation: float
) -> tuple[float, float]:
    """Return half the jump of the slope that the coefficients from `order` on show; its noise."""
    shape = _ABSOLUTE[order:]
    norm = float(np.linalg.norm(shape))
    return abs(float(shape @ coefficients[order:])) / norm**2, deviation * _SPREAD / norm
