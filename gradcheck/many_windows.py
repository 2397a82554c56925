"""Ladders of many functions at once, read as `gradcheck.extrapolation` reads one.

The windows of 2 to 4 neighbouring rungs, their error bars and which of them to trust are the same
there and here; arrays hold a row per rung, or per window, and a column per function.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from gradcheck.ladder import EPSILON, QUANTUM_TOLERANCE, ROUND_OFF_UNITS_OF_LOSS

Mask = npt.NDArray[np.bool_]

COUNTS = (2, 3, 4)
# Windows of so many steps have to agree before larger ones that do not are held for aliasing.
AGREEING_STEPS = 3
# How much larger than round-off the noise may be where small steps contradict each other.
NOISE_FACTORS = (1.0, 4.0, 16.0, 64.0, 256.0)
# How many rungs further down bends may show that a jump at large steps was none.
REFUTING_RUNGS = 4
# Smallest rungs by which the noise is seen, and what that may be too small by; the median of the
# size of a normal number, in its deviations.
NOISE_RUNGS, SEEN_NOISE_SAFETY, MEDIAN_OF_NORMAL = 9, 2.0, 0.6745
# Below this there is no precision left; it stands for round-off there.
UNDERFLOW = float(np.finfo(np.float64).tiny)
# Changes of a function that are the same but for round-off; how many others show a rounded one.
SAME_CHANGE, FEWEST_MULTIPLES = 1e-9, 3
DIVISORS = (6, 5, 4, 3, 2, 1)


@dataclass(frozen=True)
class Rungs:
    """Values of many functions at neighbouring steps, each some RATIO times the next.

    Not exactly: at steps with a common ratio the round-off of a function might be the same multiple
    of the step at all of them, and look like a slope.

    Attributes
    ----------
    at, origin: where the functions were moved from, and their values there
    ahead, behind: values at the steps h and -h; a row per step, largest first
    widths: how far these two are apart, as moved
    relative: the steps in units of each function's scale
    unit: round-off of the precision that the functions come in, one each
    """

    at: Floats
    origin: Floats
    ahead: Floats
    behind: Floats
    widths: Floats
    relative: tuple[float, ...]
    unit: Floats

    @property
    def steps(self) -> Floats:
        """The steps."""
        return 0.5 * self.widths

    @property
    def central(self) -> Floats:
        """Central differences."""
        return (self.ahead - self.behind) / self.widths

    @property
    def bends(self) -> Floats:
        """Second differences over h, which tend to the jump of the slope."""
        return ((self.ahead - self.origin) + (self.behind - self.origin)) / self.steps

    @property
    def noise(self) -> Floats:
        """Standard deviation of one value at every step."""
        size = np.maximum(np.maximum(np.abs(self.ahead), np.abs(self.behind)), np.abs(self.origin))
        assumed = ROUND_OFF_UNITS_OF_LOSS * self.unit * size + UNDERFLOW
        seen = np.maximum(SEEN_NOISE_SAFETY * self._seen(), self._quantum() / 2)
        noise: Floats = np.maximum(assumed, seen)
        return noise

    def _seen(self) -> Floats:
        """Return by how much the differences of the smallest steps contradict each other.

        Their truncation errors are nothing beside round-off. A median, for a kink between two of
        the steps is no noise.
        """
        central = self.central[-NOISE_RUNGS:]
        gaps = np.abs(central[1:] - central[:-1]) * self.steps[1 - NOISE_RUNGS :] * np.sqrt(2)
        seen: Floats = np.median(gaps, axis=0) / MEDIAN_OF_NORMAL
        return np.nan_to_num(seen, nan=0.0, posinf=0.0)

    def _quantum(self) -> Floats:
        """Return what the values move by multiples of, where these stand still at some steps.

        So do those of a function that is rounded; zero for others.
        """
        sides = np.stack([self.ahead - self.origin, self.behind - self.origin])
        changes = np.sort(np.abs(sides).reshape(-1, sides.shape[-1]), axis=0)
        gaps = np.diff(changes, axis=0)
        is_new = gaps > SAME_CHANGE * changes[1:]
        smallest = np.min(np.where(is_new, gaps, np.inf), axis=0)
        may_be = (changes[0] == 0.0) & (np.sum(is_new, axis=0) >= FEWEST_MULTIPLES)
        quantum: Floats = np.zeros_like(smallest)
        # The smallest gap that was met may be a few quanta.
        for divisor in DIVISORS if np.any(may_be) else ():
            multiples = changes / (smallest / divisor)
            off = np.abs(multiples - np.rint(multiples))
            fits = np.all(off <= QUANTUM_TOLERANCE * np.maximum(multiples, 1.0), axis=0)
            quantum = np.where(may_be & fits, smallest / divisor, quantum)
        return quantum


@dataclass(frozen=True)
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


def extrapolation(steps: Sequence[float], *, odd: bool = False) -> Floats:
    """Return w with sum w_k q(h_k) = q(0) for q spanned by 1 and even powers of h, or odd ones."""
    count = len(steps)
    powers = [0, *range(1, 2 * count, 2)] if odd else list(range(0, 2 * count, 2))
    basis = (np.array(steps) / steps[0])[:, np.newaxis] ** np.array(powers[:count])
    weights: Floats = np.linalg.solve(basis.T, np.eye(count)[0])
    return weights


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
        truncations = (TRUNCATION_SAFETY * np.maximum(low, high / RATIO**2)).reshape(self.shape)
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
