"""Ladders of many functions at once, read as `gradcheck.extrapolation` reads one.

The windows of 2 to 4 neighbouring rungs, their error bars and which of them to trust are the same
there and here; arrays hold a row per rung, or per window, and a column per function.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from gradcheck.directions import Floats
from gradcheck.extrapolation import (
    JUMP_SIGNIFICANCE,
    NOISE_MULTIPLE,
    RATIO,
    SMOOTH_SHRINKAGE,
    TRUNCATION_SAFETY,
    UNVERIFIED_ORDER,
)
from gradcheck.ladder import EPSILON
from gradcheck.many_rungs import Mask, Rungs, extrapolation

COUNTS = (2, 3, 4)
# Windows of so many steps have to agree before larger ones that do not are held for aliasing.
AGREEING_STEPS = 3
# How much larger than round-off the noise may be where small steps contradict each other.
NOISE_FACTORS = (1.0, 4.0, 16.0, 64.0, 256.0)
# How many rungs further down bends may show that a jump at large steps was none.
REFUTING_RUNGS = 4


@dataclass(frozen=True, eq=False)
class Reading:
    """What ladders say about the functions' derivatives at the origin.

    Attributes
    ----------
    values, error_bars: the derivatives, and how far they may be off; NaN and infinite where a
        function has no values around the origin
    jumps: by how much the slope may jump within reach of the steps; 0 where smooth
    """

    values: Floats
    error_bars: Floats
    jumps: Floats


def read(rungs: Rungs) -> Reading:
    """Return the derivatives with their error bars."""
    reading, clashing = _read(rungs, NOISE_FACTORS[0])
    for factor in NOISE_FACTORS[1:]:
        if not np.any(clashing):
            return reading
        noisier, still = _read(rungs, factor)
        parts = (
            np.where(clashing, new, old)
            for new, old in zip(vars(noisier).values(), vars(reading).values(), strict=True)
        )
        reading, clashing = Reading(*parts), clashing & still
    if not np.any(clashing):
        return reading
    return _without_trust(rungs, reading, clashing)


def _without_trust(rungs: Rungs, reading: Reading, clashing: Mask) -> Reading:
    """Return readings whose bars reach all differences, where no two agree."""
    off = np.max(np.abs(rungs.central - reading.values), axis=0)
    bars = np.where(clashing, np.maximum(reading.error_bars, off), reading.error_bars)
    return Reading(reading.values, bars, reading.jumps)


@lru_cache(maxsize=8)
def _weights(steps: tuple[float, ...], odd: bool) -> tuple[Floats, Floats, Floats]:
    """Return weights of every window, of it without its largest step, and without its smallest.

    Windows that would reach beyond the last rung have none: (counts * rungs, rungs).
    """
    rungs = len(steps)
    whole, lower, upper = np.zeros((3, len(COUNTS), rungs, rungs))
    for place, count in enumerate(COUNTS):
        for top in range(rungs - count + 1):
            bottom = top + count
            whole[place, top, top:bottom] = extrapolation(steps[top:bottom], odd=odd)
            lower[place, top, top + 1 : bottom] = extrapolation(steps[top + 1 : bottom], odd=odd)
            upper[place, top, top : bottom - 1] = extrapolation(steps[top : bottom - 1], odd=odd)
    whole, lower, upper = (array.reshape(-1, rungs) for array in (whole, lower, upper))
    return whole, lower, upper


class _Windows:
    """All windows of some ladders, (counts, rungs, functions); those that do not exist are bare.

    Attributes
    ----------
    estimates: of the derivatives
    truncations, noises, jumps, jump_bars: as of `gradcheck.extrapolation.Window`
    exist: which of them do, with finite values only
    """

    def __init__(self, rungs: Rungs, factor: float) -> None:
        self.shape = (len(COUNTS), *rungs.ahead.shape)
        self.relative = rungs.relative
        central, bends, steps = rungs.central, rungs.bends, rungs.steps
        bad = ~(np.isfinite(central) & np.isfinite(bends))
        central, bends = (np.where(bad, 0.0, array) for array in (central, bends))
        jitter = np.where(bad, 0.0, rungs.noise / steps)
        whole = _weights(self.relative, False)[0]
        exists = np.any(whole, axis=1)[:, np.newaxis]
        self.exist = (exists & ~((whole != 0.0) @ bad)).reshape(self.shape)
        self.bends = np.abs(bends)
        # Both sides are moved as far only up to the round-off of the moved point.
        lopsided = 0.5 * EPSILON * (np.abs(rungs.at) + steps) / steps
        self._read_slopes(central, jitter, lopsided * self.bends, factor)
        self._read_jumps(bends, jitter + lopsided * np.abs(central), factor)

    def _read_slopes(
        self, central: Floats, jitter: Floats, lopsided: Floats, factor: float
    ) -> None:
        whole, lower, upper = _weights(self.relative, False)
        estimates = whole @ central
        low, high = np.abs(estimates - lower @ central), np.abs(estimates - upper @ central)
        # By RATIO and not its square: where a second derivative jumps, errors fall like the step.
        truncations = (TRUNCATION_SAFETY * np.maximum(low, high / RATIO)).reshape(self.shape)
        large = sum(step > UNVERIFIED_ORDER for step in self.relative)
        gaps = np.abs(central[:-1] - central[1:])
        truncations[0, :large] = gaps[:large]
        # What agrees by accident has not got the better of the window one step up.
        for place, count in enumerate(COUNTS):
            expected = truncations[place, :-1] / RATIO ** (2 * (count - 1))
            truncations[place, 1:] = np.maximum(truncations[place, 1:], expected)
        # Linearly, as squares may underflow; the smallest step dominates anyway.
        deviation = np.abs(whole) @ jitter / np.sqrt(2)
        self.estimates = estimates.reshape(self.shape)
        self.truncations = truncations
        noises = NOISE_MULTIPLE * factor * deviation + np.abs(whole) @ lopsided
        self.noises = noises.reshape(self.shape)

    def _read_jumps(self, bends: Floats, jitter: Floats, factor: float) -> None:
        whole, lower, upper = _weights(self.relative, True)
        jumps = whole @ bends
        low, high = np.abs(jumps - lower @ bends), np.abs(jumps - upper @ bends)
        gains = np.repeat([RATIO ** min(count - 1, 2) for count in COUNTS], len(bends))
        truncations = TRUNCATION_SAFETY * np.maximum(low, high / gains[:, np.newaxis])
        deviation = np.sqrt(6) * (np.abs(whole) @ jitter)
        self.jumps = np.abs(jumps).reshape(self.shape)
        jump_bars = truncations + NOISE_MULTIPLE * factor * deviation
        self.jump_bars = jump_bars.reshape(self.shape)

    def kinks(self) -> Floats:
        """Return half of how large a jump all steps of a window may reach across."""
        largest = np.where(self.exist, self.jumps + self.jump_bars, np.inf)
        is_seen = self.exist & (self.jumps > JUMP_SIGNIFICANCE * self.jump_bars)
        seen = np.where(is_seen, largest, 0.0)
        by_larger = _by_larger_steps(seen, self._refuted_at())
        below = _below(np.max(seen, axis=0), np.maximum, 0.0)
        in_reach: Floats = np.minimum(np.maximum(by_larger, below), _bounds(largest))
        return 0.5 * in_reach

    def _refuted_at(self) -> Floats:
        """Return the rung from which on the jump a window sees is only how smooth functions bend.

        Infinite where it is not. The bend of a smooth function shrinks like the step.
        """
        curvatures = self.bends / np.array(self.relative)[:, np.newaxis]
        high, low = curvatures[:-1], curvatures[1:]
        shrinks = np.abs(low - high) < SMOOTH_SHRINKAGE * high
        refuted = np.full(self.shape, np.inf)
        for further in reversed(range(REFUTING_RUNGS)):
            count = self.shape[1] - 2 - further
            if count <= 0:
                continue
            smooth = (shrinks[:-1] & shrinks[1:])[further:]
            refutes = smooth & (self.jumps[:, :count] > self.bends[2 + further :])
            place = np.arange(count)[:, np.newaxis] + further + 1.0
            refuted[:, :count] = np.where(refutes, place, refuted[:, :count])
        return refuted


def _by_larger_steps(seen: Floats, refuted: Floats) -> Floats:
    """Return the largest jump seen by windows with at least the steps of a window's largest.

    A window counts unless it is refuted at a rung that this one reaches down to.
    """
    found = np.zeros_like(seen)
    lasting = np.max(np.where(np.isinf(refuted), seen, 0.0), axis=0)
    np.maximum.accumulate(lasting, axis=0, out=lasting)
    rungs = seen.shape[1]
    for place, count in enumerate(COUNTS):
        found[place] = lasting
        bottoms = np.arange(rungs)[:, np.newaxis] + count - 1
        # Refutations come within a few rungs, so that only near windows still count.
        for up in range(min(REFUTING_RUNGS + 1, rungs)):
            counts = refuted[:, : rungs - up] > bottoms[up:]
            near = np.max(np.where(counts, seen[:, : rungs - up], 0.0), axis=0)
            found[place, up:] = np.maximum(found[place, up:], near)
    return found


def _bounds(largest: Floats) -> Floats:
    """Return the smallest bound on a jump by windows that reach neither beyond nor below."""
    running = np.minimum.accumulate(largest, axis=1)
    bounds = np.empty_like(largest)
    for place, count in enumerate(COUNTS):
        bounds[place] = running[place]
        for other, smaller in enumerate(COUNTS):
            shift = max(smaller - count, 0)
            tail = running[other, : running.shape[1] - shift]
            bounds[place, shift:] = np.minimum(bounds[place, shift:], tail)
    return bounds


def _below(by_rung: Floats, fold: np.ufunc, nothing: float) -> Floats:
    """Return for every rung what all below it come to."""
    below = np.full_like(by_rung, nothing)
    below[:-1] = fold.accumulate(by_rung[:0:-1], axis=0)[::-1]
    return below


def _read(rungs: Rungs, factor: float) -> tuple[Reading, Mask]:
    """Return the derivatives at a level of noise, and where small steps contradict each other."""
    windows = _Windows(rungs, factor)
    kinks = windows.kinks()
    errors = np.where(windows.exist, windows.truncations + windows.noises + kinks, np.inf)
    lower, upper = windows.estimates - errors, windows.estimates + errors
    highest, lowest = np.max(lower, axis=0), np.min(upper, axis=0)
    meets = (lower <= _below(lowest, np.minimum, np.inf)) & (
        upper >= _below(highest, np.maximum, -np.inf)
    )
    flat = np.where(meets, errors, np.inf).reshape(-1, errors.shape[-1])
    best = np.argmin(flat, axis=0)[np.newaxis]

    def chosen(array: Floats) -> Floats:
        picked: Floats = np.take_along_axis(array.reshape(flat.shape), best, axis=0)[0]
        return picked

    bars = chosen(errors)
    values = np.where(np.isfinite(bars), chosen(windows.estimates), np.nan)
    doubtful = np.any(windows.exist & ~meets, axis=(0, 1))
    doubtful &= ~_smaller_steps_agree(highest, lowest, best[0] % errors.shape[1])
    return Reading(values, bars, 2 * chosen(kinks)), doubtful


def _smaller_steps_agree(highest: Floats, lowest: Floats, top: npt.NDArray[np.intp]) -> Mask:
    """Return whether all windows of smallest steps agree, up to those of the best one."""
    lows = np.maximum.accumulate(highest[::-1], axis=0)
    highs = np.minimum.accumulate(lowest[::-1], axis=0)
    exists = np.isfinite(highest[::-1])
    agreeing = np.logical_and.accumulate((lows <= highs) | ~exists, axis=0)
    tops = np.sum(agreeing & exists, axis=0)
    first = len(highest) - np.sum(agreeing, axis=0)
    is_enough: Mask = (tops >= AGREEING_STEPS) & (top >= first - 1)
    return is_enough
