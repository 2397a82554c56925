"""Derivatives of many functions of one number each, at once, with an error bar for each.

Where a layer works entry by entry, or a loss sample by sample, thousands of derivatives are wanted
of functions that one call evaluates all together. A few steps suffice for most of them; what these
leave open is measured over a long ladder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gradcheck.directions import Floats
from gradcheck.extrapolation import (
    NOISE_MULTIPLE,
    RATIO,
    TRUNCATION_SAFETY,
)
from gradcheck.ladder import EPSILON, ROUND_OFF_UNITS_OF_LOSS
from gradcheck.many_windows import (
    SEEN_NOISE_SAFETY,
    UNDERFLOW,
    Mask,
    Reading,
    Rungs,
    extrapolation,
    read,
)

# Takes rows of points, an entry per function, and returns the functions' values in the same shape.
Functions = Callable[[Floats], Floats]

# A step of order one, in this part of the size of what is moved, if that is larger.
PART_OF_SIZE = 0.25
# How much shorter than powers of RATIO the steps are at most. Round steps from round points have
# few digits, and what has few digits looks like lower precision.
SHORTER, GOLDEN = 0.2, 0.6180339887498949
# The long ladder, in parts of order one.
LADDER = tuple(RATIO**-k * (1.0 - SHORTER * (k * GOLDEN % 1.0)) for k in range(1, 19))
# The few steps: four that are extrapolated, near each other to be large, as what round-off costs
# is the less for it; and two far smaller ones to say whether they may be.
LARGEST, MAIN_RATIO = 0.075, 2.618
MAIN, WITNESSES = tuple(LARGEST * MAIN_RATIO**-k for k in range(4)), (LADDER[6], LADDER[9])
# Rows of points that are evaluated at once.
CHUNK = 12
# Points that may be nearer to a kink at zero than any step is.
NEAR_ZERO = RATIO**-10
# The few steps suffice up to this relative error, and up to so much more noise than round-off.
SHARP, NOISIER = 1e-10, 16.0
# Values that have to be the same are, up to so many units of round-off.
SAME_UNITS = 8.0

_WHOLE = extrapolation(MAIN)
_FEW = np.array([_WHOLE, [0.0, *extrapolation(MAIN[1:])], [*extrapolation(MAIN[:-1]), 0.0]])

# How much less than the smallest main step the witnesses miss.
_LEFT = (np.array(WITNESSES)[:, np.newaxis] / MAIN[-1]) ** 2
# By how much noise over the largest step is more in the extrapolated difference.
_NOISE_WEIGHT = float(np.sqrt(np.sum((_WHOLE * MAIN[0] / np.array(MAIN)) ** 2)))
# Of order one, in the complex step; and how many units of round-off its derivatives may be off.
COMPLEX_STEP, COMPLEX_UNITS = 1e-20, 32.0
# The fraction bits of a float64, and those of them that a value in lower precision leaves zero.
MANTISSA, LOWER_DIGITS = (1 << 52) - 1, (1 << 8) - 1


@dataclass(frozen=True)
class Slopes:
    """Derivatives of many functions.

    Attributes
    ----------
    values, error_bars: the derivatives, and how far they may be off; NaN and infinite where a
        function has no values around its point
    jumps: by how much the slope jumps at the point, where there is a kink; its middle is the value
        then, and the error bar reaches to both sides
    curvatures: second derivatives, roughly
    origin: the functions' own values
    independent: whether a function's value depends on its own number alone
    noise: standard deviation of a value
    evaluations: rows of points that were evaluated
    """

    values: Floats
    error_bars: Floats
    jumps: Floats
    curvatures: Floats
    origin: Floats
    independent: Mask
    noise: Floats
    evaluations: int

    def of(self, part: slice) -> Slopes:
        """Return those of some of the functions."""
        arrays = {name: held[part] for name, held in vars(self).items() if name != "evaluations"}
        return replace(self, **arrays)


def slopes(functions: Functions, at: Floats, parts: Sequence[slice] | None = None) -> Slopes:
    """Return the derivative of every function at its own point.

    Parameters
    ----------
    functions: evaluates all of them, at rows of points
    at: the points, (functions,)
    parts: which of them are computed by the same code, and so in the same precision; by default
        all
    """
    scales = np.maximum(1.0, PART_OF_SIZE * np.abs(at))
    few = _measured(functions, at, scales)
    unit, floor = _precision(few.values, parts or [slice(None)])
    found, is_open = _quick(few, unit, floor)
    independent = np.abs(few.mixed - few.expected) <= SAME_UNITS * unit * np.abs(few.expected)
    found = replace(found, independent=independent)
    if np.any(is_open):
        found = _refined(_Long(functions, at, scales, unit, found.origin), found, is_open)
    return found


@dataclass(frozen=True)
class _Few:
    """Values at the few steps: at the origin, ahead and behind; steps and widths with them.

    `mixed` are values where every function is at a step of its own, `expected` what they were when
    all were at that step.
    """

    at: Floats
    values: Floats
    steps: Floats
    widths: Floats
    mixed: Floats
    expected: Floats


def _measured(functions: Functions, at: Floats, scales: Floats) -> _Few:
    steps = scales * np.array(MAIN + WITNESSES)[:, np.newaxis]
    count = len(steps)
    points = np.empty((2 * count + 2, at.size))
    points[0] = at
    np.add(at, steps, out=points[1 : count + 1])
    np.subtract(at, steps, out=points[count + 1 : -1])
    choice = np.random.default_rng(0).integers(0, 2 * count + 1, at.size), np.arange(at.size)
    points[-1] = points[choice]
    widths = points[1 : count + 1] - points[count + 1 : -1]
    values = functions(points)
    expected = values[choice]
    return _Few(at, values[:-1], steps, widths, values[-1], expected)


def _precision(values: Floats, parts: Sequence[slice]) -> tuple[Floats, Floats]:
    """Return the round-off of the precision that values were computed in, from the digits used.

    And the noise of those that do not move at all, for what is lost in them may be of the others'
    size: log(1 + exp(z)) is 0 where exp(z) is less than round-off.

    Parameters
    ----------
    values: (points, functions)
    """
    unit = np.full(values.shape[1], EPSILON)
    floor = np.where(np.any(values[1:] != values[0], axis=0), UNDERFLOW, 1.0)
    digits = np.ascontiguousarray(values).view(np.int64)
    for part in parts:
        used = int(np.bitwise_or.reduce(digits[:, part], axis=None)) & MANTISSA
        # What never changes has no digits to show.
        if used and used & LOWER_DIGITS == 0:
            unit[part] = EPSILON * (used & -used)
        still = floor[part] == 1.0
        if np.any(still):
            sizes = np.abs(values[:, part])
            size = float(np.max(sizes, where=np.isfinite(sizes), initial=0.0)) or 1.0
            floor[part][still] = ROUND_OFF_UNITS_OF_LOSS * unit[part][still] * size
    return unit, floor


def _quick(few: _Few, unit: Floats, floor: Floats) -> tuple[Slopes, Mask]:
    """Return the derivatives by the few steps, and which of them these leave open."""
    count = len(few.steps)
    origin, ahead, behind = few.values[0], few.values[1 : count + 1], few.values[count + 1 :]
    central = (ahead - behind) / few.widths
    whole, fewer, coarser = _FEW @ central[: len(MAIN)]
    truncation = TRUNCATION_SAFETY * np.maximum(
        np.abs(whole - fewer), np.abs(whole - coarser) / MAIN_RATIO**2
    )
    size = np.maximum(np.maximum(np.abs(ahead[0]), np.abs(behind[0])), np.abs(origin))
    if np.any(unit > EPSILON):
        # Points in lower precision jitter as well.
        size += np.where(unit > EPSILON, np.abs(few.at * whole), 0.0)
    assumed = ROUND_OFF_UNITS_OF_LOSS * unit * size + floor
    middle = len(MAIN) - 2
    curvature = ((ahead[middle] - origin) + (behind[middle] - origin)) / few.steps[middle] ** 2
    seen = _seen_noise(few, (origin, ahead, behind), central, whole, curvature)
    noise = np.maximum(assumed, SEEN_NOISE_SAFETY * seen)
    jitter = NOISE_MULTIPLE / np.sqrt(2) * _NOISE_WEIGHT * noise / few.steps[0]
    lopsided = EPSILON * (np.abs(few.at) + few.steps[0]) * np.abs(curvature)
    bars = truncation + jitter + lopsided
    sharp = truncation <= SHARP * np.abs(whole) + jitter
    settled = sharp & (seen <= NOISIER * assumed) & np.isfinite(bars)
    none, all_ = np.zeros_like(whole), np.ones_like(settled)
    evaluations = 2 * count + 2
    return Slopes(whole, bars, none, curvature, origin, all_, noise, evaluations), ~settled


def _seen_noise(
    few: _Few,
    values: tuple[Floats, Floats, Floats],
    central: Floats,
    slope: Floats,
    curvature: Floats,
) -> Floats:
    """Return the noise of one value, by how the smallest steps miss the slope and the bend.

    Where that is far more than round-off, it is no noise: a kink close by, or a function that is
    narrower than the steps.
    """
    origin, ahead, behind = values
    witnesses = slice(len(MAIN), None)
    # What the smallest main step still misses goes down with the square of the step.
    left = (central[len(MAIN) - 1] - slope) * _LEFT
    misses = np.abs(central[witnesses] - slope - left) * few.steps[witnesses] * np.sqrt(2)
    second = (ahead[-1] - origin) + (behind[-1] - origin) - curvature * few.steps[-1] ** 2
    # Ahead and behind are as far away only up to the round-off of the moved point.
    lopsided = EPSILON * (np.abs(few.at) + few.steps[-1]) * np.abs(slope)
    bend = np.maximum(np.abs(second) - lopsided, 0.0) / np.sqrt(6)
    found: Floats = np.maximum(np.max(misses, axis=0), bend)
    return found


def _refined(long: _Long, found: Slopes, is_open: Mask) -> Slopes:
    """Return the derivatives with those that are open measured over a long ladder."""
    values, bars, jumps = (a.copy() for a in (found.values, found.error_bars, found.jumps))
    noise = found.noise.copy()

    def keep(some: Mask, reading: Reading) -> None:
        values[some], bars[some], jumps[some] = vars(reading).values()

    rungs = long.rungs(is_open, long.scales)
    keep(is_open, read(rungs))
    noise[is_open] = rungs.noise[-1]
    evaluations = found.evaluations + 2 * len(LADDER)
    # A kink at zero may be as near as the point itself, which no other size tells.
    distances = np.abs(long.at)
    near = is_open & (jumps > 0.0) & (distances > 0.0) & (distances <= NEAR_ZERO)
    if np.any(near):
        reading = read(long.rungs(near, distances))
        sharper = reading.error_bars < bars[near]
        near[near] = sharper
        keep(near, Reading(*(array[sharper] for array in vars(reading).values())))
        evaluations += 2 * len(LADDER)
    return replace(
        found, values=values, error_bars=bars, jumps=jumps, noise=noise, evaluations=evaluations
    )


@dataclass(frozen=True)
class _Long:
    """What the long ladder needs to know, an entry per function."""

    functions: Functions
    at: Floats
    scales: Floats
    unit: Floats
    origin: Floats

    def rungs(self, some: Mask, scales: Floats) -> Rungs:
        """Return the ladder of some functions, while the others stand still."""
        size = int(np.sum(some))
        ahead, behind, widths = np.empty((3, len(LADDER), size))
        for first in range(0, len(LADDER), CHUNK // 2):
            rungs = slice(first, first + CHUNK // 2)
            steps = scales[some] * np.array(LADDER[rungs])[:, np.newaxis]
            moved = np.concatenate([self.at[some] + steps, self.at[some] - steps])
            points = np.repeat(self.at[np.newaxis], len(moved), axis=0)
            points[:, some] = moved
            values = self.functions(points)[:, some]
            ahead[rungs], behind[rungs] = np.split(values, 2)
            widths[rungs] = moved[: len(steps)] - moved[len(steps) :]
        at, origin, unit = (array[some] for array in (self.at, self.origin, self.unit))
        return Rungs(at, origin, ahead, behind, widths, LADDER, unit)


def complex_slopes(functions: Functions, at: Floats, found: Slopes) -> Slopes | None:
    """Return the derivatives by the complex step, None where the functions take none.

    They count where they are within the error bars of what differences found. At a kink they are
    of one side only, so that there the differences stay.

    Parameters
    ----------
    functions, at: as of `slopes`; the functions are given complex points
    found: what `slopes` found
    """
    step = COMPLEX_STEP * np.maximum(np.abs(at), 1.0)
    values = functions((at + 1j * step)[np.newaxis])[0]
    if values.dtype.kind != "c":
        return None
    slopes = values.imag / step
    same = np.abs(values.real - found.origin) <= SAME_UNITS * EPSILON * np.abs(found.origin)
    # Nothing cancels, so that only the function's own rounding is left.
    bars = COMPLEX_UNITS * EPSILON * np.abs(slopes) + UNDERFLOW
    if not np.all(same & (np.abs(slopes - found.values) <= found.error_bars + bars)):
        return None
    kept = (found.jumps > 0.0) | (found.error_bars <= bars)
    return replace(
        found,
        values=np.where(kept, found.values, slopes),
        error_bars=np.where(kept, found.error_bars, bars),
        evaluations=found.evaluations + 1,
    )
