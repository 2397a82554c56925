"""Short ladders on many lines at once: which lines they settle, which rung the others need.

What `Search` and `conclude` do with a ladder of a few rungs where nothing is in doubt, on arrays.
A line on which anything is (a kink, a clash of steps, a discrepancy, a coarse loss, a domain that
ends) is left to them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from gradcheck.directions import Floats
from gradcheck.extrapolation import (
    EVEN,
    JUMP_SIGNIFICANCE,
    NOISE_MULTIPLE,
    ODD,
    RATIO,
    TRUNCATION_SAFETY,
    UNVERIFIED_ORDER,
)
from gradcheck.known_lines import Lines
from gradcheck.ladder import ROUND_OFF_UNITS_OF_LOSS, SHARPNESS, Conditions
from gradcheck.search import LEAST_LEAP

Mask = npt.NDArray[np.bool_]
LARGEST_WINDOW = 4


@dataclass(frozen=True, eq=False)
class Rungs:
    """Rungs of many ladders: arrays of shape (rungs, lines).

    Attributes
    ----------
    indices: of the rungs, ascending; the step of each is first_step * RATIO**-index
    step, central, bend, noise: as in `Rung`
    moves: whether the loss moved to the left, to the right; (2, rungs, lines)
    """

    indices: tuple[int, ...]
    step: Floats
    central: Floats
    bend: Floats
    noise: Floats
    moves: Mask

    @classmethod
    def of(
        cls,
        indices: tuple[int, ...],
        step: Floats,
        *,
        losses: npt.NDArray[Any],
        slopes: Floats,
        lines: Lines,
        conditions: Conditions,
    ) -> Self:
        """Return the rungs from the losses and the analytic slopes of the moves.

        Parameters
        ----------
        losses, slopes: to the right and to the left; (2, rungs, lines)
        """
        with np.errstate(all="ignore"):
            change = losses - conditions.value
            right, left = (change - slopes).astype(np.float64)
            size = np.abs(losses).astype(np.float64).max(axis=0)
            noise = np.maximum(conditions.noise, ROUND_OFF_UNITS_OF_LOSS * conditions.unit * size)
            if here := abs(float(conditions.value)):
                # Far out a loss may be so much larger that its noise, whatever its kind, is too.
                far = np.maximum(noise, conditions.noise * size / here)
                noise = np.where(step > lines.scale, far, noise)
            central, bend = (right - left) / (2 * step), (right + left) / step
        return cls(indices, step, central, bend, noise, change != 0.0)

    def chosen(self, which: Any) -> Self:
        """Return the rungs of the lines at these places."""
        return type(self)(
            self.indices,
            *(self.step[:, which], self.central[:, which], self.bend[:, which]),
            *(self.noise[:, which], self.moves[..., which]),
        )

    def beside(self, other: Self) -> Self:
        """Return these rungs and others, of smaller steps."""
        return type(self)(
            (*self.indices, *other.indices),
            np.concatenate([self.step, other.step]),
            np.concatenate([self.central, other.central]),
            np.concatenate([self.bend, other.bend]),
            np.concatenate([self.noise, other.noise]),
            np.concatenate([self.moves, other.moves], axis=1),
        )

    def joined(self, other: Self, above: Mask) -> Self:
        """Return the rungs with one more, which lies above those of some lines, below of others."""

        def merged(mine: npt.NDArray[Any], new: npt.NDArray[Any]) -> npt.NDArray[Any]:
            return np.where(
                above,
                np.concatenate([new, mine], axis=-2),
                np.concatenate([mine, new], axis=-2),
            )

        indices = tuple(range(len(self.indices) + 1))
        return type(self)(
            indices,
            merged(self.step, other.step),
            merged(self.central, other.central),
            merged(self.bend, other.bend),
            merged(self.noise, other.noise),
            merged(self.moves, other.moves),
        )


@dataclass(frozen=True, eq=False)
class Readings:
    """What short ladders say, (lines,) each.

    Attributes
    ----------
    estimate, error: the discrepancy and its bar, from the best window
    step: at which two rungs would have been enough: the last but one of the best window
    settled: nothing is in doubt, and the bar is sharp enough
    smaller, larger: nothing is in doubt, but the bar is not sharp enough; what it needs
    """

    estimate: Floats
    error: Floats
    step: Floats
    settled: Mask
    smaller: Mask
    larger: Mask


@dataclass(frozen=True, eq=False)
class _Windows:
    """A window of the same rungs of every line; as `Window`, (lines,) each."""

    top: int
    bottom: int
    estimate: Floats
    truncation: Floats
    noise: Floats
    has_jump: Mask
    error: Floats


def read(rungs: Rungs, lines: Lines, conditions: Conditions) -> Readings:
    """Return what the rungs say about each line."""
    with np.errstate(all="ignore"):
        windows = list(_all_windows(rungs, lines, conditions))
        best, is_plain = _trusted(windows)
        estimate, error, *_, bottom = best
        finite = np.all(np.isfinite(rungs.central) & np.isfinite(rungs.bend), axis=0)
        moves = rungs.moves.reshape(-1, len(lines))
        is_plain &= finite & (moves.all(axis=0) | ~moves.any(axis=0))
        if lines.comparing:
            is_plain &= np.abs(estimate) <= np.maximum(error, lines.negligible)
        target, every = lines.target(estimate), np.arange(len(lines))
        is_sharp = error <= target
        smaller, larger, leaps = _next(rungs, best, error / target, lines.scale)
        # Where neither helps, what is needed is enough.
        is_sharp |= ~(smaller | larger | leaps) & (error <= target / SHARPNESS)
        return Readings(
            estimate=estimate,
            error=error,
            step=rungs.step[bottom - 1, every],
            settled=is_plain & is_sharp,
            smaller=is_plain & ~is_sharp & smaller,
            larger=is_plain & ~is_sharp & larger,
        )


def _next(
    rungs: Rungs, best: Sequence[npt.NDArray[Any]], missing: Floats, scale: Floats
) -> tuple[Mask, Mask, Mask]:
    """Return which lines need a smaller step next, which a larger one, which far larger ones.

    What `Search` says where nothing is in doubt.
    """
    _, _, truncation, noise, top, bottom = best
    is_noisy, reaches_up, reaches_down = (
        noise >= truncation,
        top == 0,
        bottom == len(rungs.step) - 1,
    )
    step = rungs.step[top, np.arange(top.size)]
    leap = np.minimum(np.ceil(_rungs(missing)), np.floor(_rungs(scale / step)))
    leaps = is_noisy & reaches_up & (leap > LEAST_LEAP)
    larger = reaches_up & (is_noisy | ~reaches_down) & ~leaps
    return reaches_down & ~(larger | leaps), larger, leaps


def _rungs(ratio: Floats) -> Floats:
    return np.asarray(np.log(ratio) / math.log(RATIO))


def _all_windows(rungs: Rungs, lines: Lines, conditions: Conditions) -> Iterator[_Windows]:
    """Yield every window of neighbouring rungs, those of the largest steps first."""
    bare: dict[tuple[int, int], Floats] = {}
    for top in range(len(rungs.indices)):
        for count in range(2, LARGEST_WINDOW + 1):
            these = rungs.indices[top : top + count]
            if len(these) < count or these[-1] - these[0] != count - 1:
                continue
            part = slice(top, top + count)
            step, central, bend = rungs.step[part], rungs.central[part], rungs.bend[part]
            jitter = rungs.noise[part] / step
            truncation = bare[top, count] = _truncation(step, central, lines.scale)
            if (top - 1, count) in bare and these[0] - 1 == rungs.indices[top - 1]:
                # Two rungs may agree by accident where h**2 and h**4 cancel.
                expected = bare[top - 1, count] / RATIO ** (2 * (count - 1))
                truncation = np.maximum(truncation, expected)
            noise = NOISE_MULTIPLE * _deviation(EVEN[count], jitter)
            bar = _jump_truncation(bend) + NOISE_MULTIPLE * _jump_deviation(ODD[count], jitter)
            yield _Windows(
                top=top,
                bottom=top + count - 1,
                estimate=_dot(EVEN[count], central),
                truncation=truncation,
                noise=noise,
                has_jump=np.abs(_dot(ODD[count], bend))
                > JUMP_SIGNIFICANCE * (bar + lines.round_off),
                error=conditions.multiplier * (truncation + noise) + lines.round_off,
            )


def _trusted(windows: Sequence[_Windows]) -> tuple[list[npt.NDArray[Any]], Mask]:
    """Return the sharpest windows, and where no two of them clash and none sees a jump."""
    first = windows[0]
    best: list[npt.NDArray[Any]] = []
    is_plain = np.ones(first.error.shape, bool)
    for window in windows:
        is_plain &= ~window.has_jump
        for other in windows:
            if other.top > window.top:
                gap = np.abs(window.estimate - other.estimate)
                is_plain &= gap <= window.error + other.error
        ends = (np.full(len(first.error), end) for end in (window.top, window.bottom))
        held = [window.estimate, window.error, window.truncation, window.noise, *ends]
        if best:
            sharper = window.error < best[1]
            held = [np.where(sharper, new, old) for new, old in zip(held, best, strict=True)]
        best = held
    return best, is_plain


def _dot(weights: Sequence[float], values: Floats) -> Floats:
    total = np.asarray(weights[0] * values[0])
    for weight, value in zip(weights[1:], values[1:], strict=True):
        total = total + weight * value
    return total


def _truncation(step: Floats, central: Floats, scale: Floats) -> Floats:
    fewer, estimate = EVEN[len(central) - 1], _dot(EVEN[len(central)], central)
    without_largest = np.abs(estimate - _dot(fewer, central[1:]))
    without_smallest = np.abs(estimate - _dot(fewer, central[:-1]))
    gain = np.where(step[0] > scale, RATIO, RATIO**2)
    shown = TRUNCATION_SAFETY * np.maximum(without_largest, without_smallest / gain)
    if len(central) > 2:
        return shown
    return np.where(step[0] > UNVERIFIED_ORDER * scale, np.abs(central[0] - central[1]), shown)


def _jump_truncation(bend: Floats) -> Floats:
    fewer, jump = ODD[len(bend) - 1], _dot(ODD[len(bend)], bend)
    without_largest = np.abs(jump - _dot(fewer, bend[1:]))
    without_smallest = np.abs(jump - _dot(fewer, bend[:-1]))
    gain = RATIO ** min(len(bend) - 1, 2)
    return TRUNCATION_SAFETY * np.maximum(without_largest, without_smallest / gain)


def _deviation(weights: Sequence[float], jitter: Floats) -> Floats:
    return _length([w * each for w, each in zip(weights, jitter, strict=True)]) / math.sqrt(2)


def _jump_deviation(weights: Sequence[float], jitter: Floats) -> Floats:
    spread = [w * each for w, each in zip(weights, jitter, strict=True)]
    return np.asarray(np.hypot(math.sqrt(2) * _length(spread), 2 * sum(spread)))


def _length(parts: Sequence[Floats]) -> Floats:
    # Squares of 1e-200 would vanish.
    return np.asarray(reduce(np.hypot, parts))
