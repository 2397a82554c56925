"""Derivatives of many functions at once by a few steps, which nearly always do.

Four steps are extrapolated, and two far smaller ones say whether that may be believed. What they
leave open is for the long ladder of `gradcheck.many_windows`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gradcheck.directions import Floats
from gradcheck.extrapolation import NOISE_MULTIPLE, TRUNCATION_SAFETY
from gradcheck.ladder import EPSILON, ROUND_OFF_UNITS_OF_LOSS
from gradcheck.many_rungs import (
    GOLDEN,
    LADDER,
    SEEN_NOISE_SAFETY,
    UNDERFLOW,
    Functions,
    Mask,
    evaluated,
    extrapolation,
)

# Steps that are extrapolated, in parts of order one: near each other to be large, as what round-off
# costs is the less for it.
LARGEST, MAIN_RATIO = 0.075, 2.618
MAIN = tuple(LARGEST * MAIN_RATIO**-k for k in range(4))
WITNESSES = (LADDER[6], LADDER[9])
# They suffice up to this relative error, and up to so much more noise than round-off.
SHARP, NOISIER = 1e-10, 16.0
# Values that have to be the same are, up to so many units of round-off.
SAME_UNITS = 8.0
# How many points functions are mixed at.
MIXED = 5
# The fraction bits of a float64, and those of them that a value in lower precision leaves zero.
MANTISSA, LOWER_DIGITS = (1 << 52) - 1, (1 << 8) - 1

_WHOLE, _FEWER, _COARSER = (extrapolation(steps) for steps in (MAIN, MAIN[1:], MAIN[:-1]))
# How much less than the smallest main step the witnesses miss.
_LEFT = tuple((step / MAIN[-1]) ** 2 for step in WITNESSES)
# The bar for noise, in its deviations over the largest step.
_NOISE_WEIGHT = (
    NOISE_MULTIPLE / np.sqrt(2) * float(np.sqrt(np.sum((_WHOLE * MAIN[0] / np.array(MAIN)) ** 2)))
)
# The step that second derivatives are taken by.
_MIDDLE = 2


@dataclass(frozen=True)
class Found:
    """What few steps say of many functions, an entry for each.

    Attributes
    ----------
    values, error_bars: the derivatives, and how far they may be off
    curvatures: second derivatives, roughly
    origin, noise: the functions' values, and the standard deviation of one
    unit: round-off of the precision that they come in
    independent: whether a function's value depends on its own number alone
    settled: whether there is nothing left to measure
    """

    values: Floats
    error_bars: Floats
    curvatures: Floats
    origin: Floats
    noise: Floats
    unit: Floats
    independent: Mask
    settled: Mask


# Rows of points that are evaluated for it.
POINTS = 2 * (len(MAIN) + len(WITNESSES)) + 2


def by_few_steps(functions: Functions, at: Floats, scales: Floats, parts: Sequence[slice]) -> Found:
    """Return the derivative of every function by a few steps.

    Parameters
    ----------
    functions, at, parts: as of `gradcheck.many_lines.slopes`
    scales: steps that are of order one
    """
    few = _measured(functions, at, scales)
    unit, floor = _precision(few, parts)
    central = [
        (ahead - behind) / width
        for ahead, behind, width in zip(few.ahead, few.behind, few.widths, strict=True)
    ]
    value, truncation = _extrapolated(central)
    size = np.maximum(np.maximum(np.abs(few.ahead[0]), np.abs(few.behind[0])), np.abs(few.origin))
    if np.any(unit > EPSILON):
        # Points in lower precision jitter as well.
        size += np.where(unit > EPSILON, np.abs(at * value), 0.0)
    assumed = ROUND_OFF_UNITS_OF_LOSS * unit * size + floor
    curvature = few.second(_MIDDLE) / (MAIN[_MIDDLE] * scales) ** 2
    seen = _seen_noise(few, central, value, curvature)
    noise = np.maximum(assumed, SEEN_NOISE_SAFETY * seen)
    jitter = _NOISE_WEIGHT / MAIN[0] * noise / scales
    # Both sides are moved as far only up to the round-off of the moved point.
    lopsided = EPSILON * (np.abs(at) + MAIN[0] * scales) * np.abs(curvature)
    bars = truncation + jitter + lopsided
    settled = truncation <= SHARP * np.abs(value) + jitter
    settled &= (seen <= NOISIER * assumed) & np.isfinite(bars)
    independent = np.abs(few.mixed - few.expected) <= SAME_UNITS * unit * np.abs(few.expected)
    return Found(value, bars, curvature, few.origin, noise, unit, independent, settled)


@dataclass(frozen=True)
class _Few:
    """Values at the few steps, largest first.

    `mixed` are values where every function is at a point of its own, `expected` what they were when
    all were there.
    """

    at: Floats
    scales: Floats
    origin: Floats
    ahead: Sequence[Floats]
    behind: Sequence[Floats]
    widths: Sequence[Floats]
    mixed: Floats
    expected: Floats

    def second(self, place: int) -> Floats:
        """Return the second difference by one step."""
        second: Floats = self.ahead[place] - self.origin
        second += self.behind[place]
        second -= self.origin
        return second


def _measured(functions: Functions, at: Floats, scales: Floats) -> _Few:
    steps = [step * scales for step in (*MAIN, *WITNESSES)]
    ahead, behind = [at + step for step in steps], [at - step for step in steps]
    # At large steps and at small ones, to either side.
    mixing = [at, ahead[0], behind[2], ahead[4], behind[5]]
    origin, *values = evaluated(functions, [at, *ahead, *behind, _mixed(mixing)])
    widths = [one - other for one, other in zip(ahead, behind, strict=True)]
    count = len(steps)
    ahead, behind, mixed = values[:count], values[count:-1], values[-1]
    expected = _mixed([origin, ahead[0], behind[2], ahead[4], behind[5]])
    return _Few(at, scales, origin, ahead, behind, widths, mixed, expected)


def _mixed(rows: Sequence[Floats]) -> Floats:
    """Return a row whose every entry is that of one of the rows."""
    mixed = rows[0].copy()
    for row, mask in zip(rows[1:], _masks(rows[0].size), strict=True):
        np.copyto(mixed, row, where=mask)
    return mixed


@lru_cache(maxsize=8)
def _masks(size: int) -> list[Mask]:
    """Return which entries are of which row but the first, without any period."""
    choice = (np.arange(1, size + 1) * GOLDEN % 1.0 * MIXED).astype(np.int8)
    return [choice == place for place in range(1, MIXED)]


def _precision(few: _Few, parts: Sequence[slice]) -> tuple[Floats, Floats]:
    """Return the round-off of the precision that values were computed in, from the digits used.

    And the noise of those that do not move at all, for what is lost in them may be of the others'
    size: log(1 + exp(z)) is 0 where exp(z) is less than round-off.
    """
    unit, floor = np.full(few.at.shape, EPSILON), np.full(few.at.shape, UNDERFLOW)
    still = (few.ahead[0] == few.origin) & (few.behind[0] == few.origin)
    if np.any(still):
        for values in (*few.ahead[1:], *few.behind[1:]):
            still &= values == few.origin
    digits = few.ahead[0].view(np.int64) | few.behind[0].view(np.int64)
    digits |= few.ahead[1].view(np.int64)
    for part in parts:
        used = int(np.bitwise_or.reduce(digits[part])) & MANTISSA
        # What never changes has no digits to show.
        if used and used & LOWER_DIGITS == 0:
            unit[part] = EPSILON * (used & -used)
        if np.any(still[part]):
            sizes = np.abs(few.ahead[0][part])
            size = float(np.max(sizes, where=np.isfinite(sizes), initial=0.0)) or 1.0
            floor[part][still[part]] = ROUND_OFF_UNITS_OF_LOSS * unit[part][still[part]] * size
    return unit, floor


def _extrapolated(central: Sequence[Floats]) -> tuple[Floats, Floats]:
    """Return the main differences extrapolated to step zero, and the truncation error."""
    value = _weighted(_WHOLE, central)
    off = _weighted(_FEWER, central[1:])
    off -= value
    other = _weighted(_COARSER, central)
    other -= value
    other /= MAIN_RATIO**2
    truncation: Floats = TRUNCATION_SAFETY * np.maximum(np.abs(off), np.abs(other))
    return value, truncation


def _weighted(weights: Floats, arrays: Sequence[Floats]) -> Floats:
    total: Floats = weights[0] * arrays[0]
    for weight, array in zip(weights[1:], arrays[1:], strict=False):
        total += weight * array
    return total


def _seen_noise(few: _Few, central: Sequence[Floats], value: Floats, curvature: Floats) -> Floats:
    """Return the noise of one value, by how the smallest steps miss the slope and the bend.

    Where that is far more than round-off, it is no noise: a kink close by, or a function that is
    narrower than the steps.
    """
    smallest = WITNESSES[-1] * few.scales
    bend = np.abs(few.second(-1) - curvature * smallest**2)
    bend -= EPSILON * (np.abs(few.at) + smallest) * np.abs(value)
    seen = bend / np.sqrt(6)
    # What the smallest main step still misses goes down with the square of the step.
    missed = central[len(MAIN) - 1] - value
    for place, part in enumerate(_LEFT, start=len(MAIN)):
        misses = np.abs(central[place] - value - part * missed)
        misses *= few.widths[place] / np.sqrt(2)
        np.maximum(seen, misses, out=seen)
    found: Floats = seen
    return found
