"""Derivatives of many functions at once by a few steps, which nearly always do.

Four steps are extrapolated, and two far smaller ones say whether that may be believed. What they
leave open is for the long ladder of `gradcheck.many_windows`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

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
    extrapolation,
)

# Steps that are extrapolated, in parts of order one: near each other to be large, as what round-off
# costs is the less for it.
LARGEST, MAIN_RATIO = 0.075, 2.618
MAIN = tuple(LARGEST * MAIN_RATIO**-k for k in range(4))
WITNESSES = (LADDER[6], LADDER[9])
STEPS = (*MAIN, *WITNESSES)
# They suffice up to this relative error, and up to so much more noise than round-off.
SHARP, NOISIER = 1e-10, 16.0
# Values that have to be the same are, up to so many units of round-off.
SAME_UNITS = 8.0
# Where functions are mixed, besides at the origin: at large and at small steps, to either side.
MIXED = {0: 1.0, 2: -1.0, 4: 1.0, 5: -1.0}
# Numbers that are evaluated at once: as few calls as the cache allows.
CHUNK = 64_000
# The fraction bits of a float64, and those of them that a value in lower precision leaves zero.
MANTISSA, LOWER_DIGITS = (1 << 52) - 1, (1 << 8) - 1

_WHOLE, _FEWER, _COARSER = (extrapolation(steps) for steps in (MAIN, MAIN[1:], MAIN[:-1]))
# Of the value, and of what the largest and the smallest step change of it.
_WEIGHTS = np.array(
    [_WHOLE, np.append(0.0, _FEWER) - _WHOLE, (np.append(_COARSER, 0.0) - _WHOLE) / MAIN_RATIO**2]
)
# The bar for noise, in its deviations over the largest step.
_NOISE_WEIGHT = (
    NOISE_MULTIPLE / np.sqrt(2) * float(np.sqrt(np.sum((_WHOLE * MAIN[0] / np.array(MAIN)) ** 2)))
)
# The steps that second differences are taken by.
_MIDDLE, _LAST = 2, len(STEPS) - 1


@dataclass(frozen=True, eq=False)
class Found:
    """What few steps say of many functions, an entry for each.

    Attributes
    ----------
    values, error_bars: the derivatives, and how far they may be off
    curvatures: second derivatives, roughly
    origin, noise: the functions' values, and the standard deviation of one
    unit, floor: round-off of the precision that they come in, and a noise they have at least
    independent: whether a function's value depends on its own number alone
    settled: whether there is nothing left to measure
    """

    values: Floats
    error_bars: Floats
    curvatures: Floats
    origin: Floats
    noise: Floats
    unit: Floats
    floor: Floats
    independent: Mask
    settled: Mask


# Rows of points that are evaluated for it.
POINTS = 2 * len(STEPS) + 2


def by_few_steps(functions: Functions, at: Floats, scales: Floats, parts: Sequence[slice]) -> Found:
    """Return the derivative of every function by a few steps.

    Parameters
    ----------
    functions, at, parts: as of `gradcheck.many_lines.slopes`
    scales: steps that are of order one
    """
    few = _measured(functions, at, scales)
    unit, floor = _precision(few, parts)
    value, truncation = _extrapolated(few.central)
    size = few.size
    if (unit > EPSILON).any():
        # Points in lower precision jitter as well.
        size = size + np.where(unit > EPSILON, np.abs(at * value), 0.0)
    assumed = ROUND_OFF_UNITS_OF_LOSS * unit
    assumed *= size
    np.maximum(assumed, floor, out=assumed)
    curvature = few.second[_MIDDLE] / (STEPS[_MIDDLE] * scales) ** 2
    seen = _seen_noise(few, value, curvature)
    noise = SEEN_NOISE_SAFETY * seen
    np.maximum(noise, assumed, out=noise)
    jitter = noise / scales
    jitter *= _NOISE_WEIGHT / MAIN[0]
    # Both sides are moved as far only up to the round-off of the moved point.
    bars = np.abs(at) + MAIN[0] * scales
    bars *= EPSILON
    bars *= np.abs(curvature)
    bars += truncation
    bars += jitter
    settled = truncation <= SHARP * np.abs(value) + jitter
    settled &= (seen <= NOISIER * assumed) & np.isfinite(bars)
    independent = few.independent(SAME_UNITS * unit)
    return Found(value, bars, curvature, few.origin, noise, unit, floor, independent, settled)


@dataclass(frozen=True, eq=False)
class _Few:
    """Values at the few steps, as far as they are needed.

    Attributes
    ----------
    at, scales: the points, and steps of order one
    origin: the functions' values
    central: first differences, (steps, functions)
    second: second differences that are needed, by the step's place
    size: the largest value at the largest step
    digits: those that some values have in common
    still: whether a function has the same value at the smallest steps
    mixed, expected: values where every function is at a point of its own, and what they were when
        all were there
    """

    at: Floats
    scales: Floats
    origin: Floats
    central: Floats
    second: Mapping[int, Floats]
    size: Floats
    digits: npt.NDArray[np.int64]
    still: Mask
    mixed: Floats
    expected: Floats

    def independent(self, relative: Floats) -> Mask:
        """Return whether a function's value is the same wherever the others are."""
        off = self.mixed - self.expected
        same: Mask = np.abs(off, out=off) <= relative * np.abs(self.expected)
        if not same.all():
            # So it is where there is none in either case.
            same |= self.mixed == self.expected
            same |= np.isnan(self.mixed) & np.isnan(self.expected)
        return same


def _measured(functions: Functions, at: Floats, scales: Floats) -> _Few:
    mixing, pairs = _mixed(at.size), _pairs(functions, at, scales)
    origin, mixed, _ = next(pairs)
    expected = origin.copy()
    central, second = np.empty((len(STEPS), at.size)), {}
    for place, (ahead, behind, width) in enumerate(pairs):
        np.subtract(ahead, behind, out=central[place])
        central[place] /= width
        if place in (_MIDDLE, _LAST):
            second[place] = (ahead - origin) + (behind - origin)
        if place == _LAST:
            still = (ahead == origin) & (behind == origin)
        if place in MIXED:
            some = mixing[place]
            expected[some] = (ahead if MIXED[place] > 0 else behind)[some]
        if place == 0:
            size = np.maximum(np.maximum(np.abs(ahead), np.abs(behind)), np.abs(origin))
            digits = ahead.view(np.int64) | behind.view(np.int64)
    return _Few(at, scales, origin, central, second, size, digits, still, mixed, expected)


def _pairs(
    functions: Functions, at: Floats, scales: Floats
) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Yield the values at pairs of points, and how far these are apart.

    They are those at the origin and mixed, then ahead and behind at every step.
    """
    total = 1 + len(STEPS)
    count = max(1, CHUNK // (2 * max(at.size, 1)))
    # One array for all points keeps them in the cache.
    points, moved = np.empty((min(count, total), 2, at.size)), np.empty(at.size)
    for first in range(0, total, count):
        some = points[: total - first]
        for place, (one, other) in enumerate(some, first):
            if place:
                np.multiply(scales, STEPS[place - 1], out=moved)
                np.add(at, moved, out=one)
                np.subtract(at, moved, out=other)
            else:
                one[:] = at
                np.add(at, _mixing(at.size) * scales, out=other)
        values = _values(functions, some.reshape(-1, at.size)).reshape(some.shape)
        for (one, other), (at_one, at_other) in zip(values, some, strict=True):
            yield one, other, at_one - at_other


def _values(functions: Functions, points: Floats) -> Floats:
    return np.ascontiguousarray(functions(points), np.float64)


@lru_cache(maxsize=8)
def _mixed(size: int) -> dict[int, npt.NDArray[np.intp]]:
    """Return which functions are mixed at which step, without any period."""
    choice = np.floor(np.arange(1, size + 1) * GOLDEN % 1.0 * (len(MIXED) + 1)).astype(np.int8)
    return {step: np.flatnonzero(choice == place) for place, step in enumerate(MIXED)}


@lru_cache(maxsize=8)
def _mixing(size: int) -> Floats:
    """Return the steps that functions are mixed at, in parts of order one."""
    steps = np.zeros(size)
    for place, some in _mixed(size).items():
        steps[some] = MIXED[place] * STEPS[place]
    return steps


def _precision(few: _Few, parts: Sequence[slice]) -> tuple[Floats, Floats]:
    """Return the round-off of the precision that values were computed in, from the digits used.

    And the noise of those that stand still at small steps, for what is lost in them may be of the
    others' size: log(1 + exp(z)) is 0 where exp(z) is less than round-off.
    """
    unit, floor = np.full(few.at.shape, EPSILON), np.full(few.at.shape, UNDERFLOW)
    for part in parts:
        used, still = int(np.bitwise_or.reduce(few.digits[part])) & MANTISSA, few.still[part]
        # What never changes has no digits to show.
        if used and used & LOWER_DIGITS == 0:
            unit[part] = EPSILON * (used & -used)
        if still.any():
            sizes = few.size[part]
            size = float(np.max(sizes, where=np.isfinite(sizes), initial=0.0)) or 1.0
            floor[part][still] = ROUND_OFF_UNITS_OF_LOSS * unit[part][still] * size
    return unit, floor


def _extrapolated(central: Floats) -> tuple[Floats, Floats]:
    """Return the main differences extrapolated to step zero, and the truncation error."""
    value, off, other = _WEIGHTS @ central[: len(MAIN)]
    truncation: Floats = np.maximum(np.abs(off, out=off), np.abs(other, out=other))
    truncation *= TRUNCATION_SAFETY
    return value, truncation


def _seen_noise(few: _Few, value: Floats, curvature: Floats) -> Floats:
    """Return the noise of one value, by how the smallest steps miss the slope and the bend.

    Where that is far more than round-off, it is no noise: a kink close by, or a function that is
    narrower than the steps.
    """
    smallest = STEPS[_LAST] * few.scales
    seen: Floats = curvature * smallest
    seen *= smallest
    np.subtract(few.second[_LAST], seen, out=seen)
    np.abs(seen, out=seen)
    rounded = np.abs(few.at)
    rounded += smallest
    rounded *= EPSILON
    rounded *= np.abs(value)
    seen -= rounded
    seen /= np.sqrt(6)
    # What the smallest main step still misses goes down with the square of the step.
    missed = few.central[len(MAIN) - 1] - value
    for place in range(len(MAIN), len(STEPS)):
        misses = (STEPS[place] / MAIN[-1]) ** 2 * missed
        misses += value
        misses -= few.central[place]
        np.abs(misses, out=misses)
        misses *= few.scales
        misses *= np.sqrt(2) * STEPS[place]
        np.maximum(seen, misses, out=seen)
    return seen
