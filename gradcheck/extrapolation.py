"""Rungs and windows: a ladder of differences extrapolated to step zero, with an error bar.

A rung is a central difference at one step; neighbouring rungs form a window, which is extrapolated
to h = 0. Its error bar is the sum of separately estimated parts: truncation, noise, kink and the
round-off of the analytic side.

References
----------
Ridders 1982, Advances in Engineering Software 4:75 (extrapolated differences).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

RATIO = 4.0
# Six standard deviations: the noise estimate itself is good to a small factor only.
NOISE_MULTIPLE = 6.0
TRUNCATION_SAFETY = 2.0
# Above this part of the scale two rungs have not shown yet that the error falls like h**2.
UNVERIFIED_ORDER = 0.02
# A jump in slope has to stand out by this multiple of its own bar to be believed.
JUMP_SIGNIFICANCE = 3.0
# Part of its bar beyond which a jump is not noise in all likelihood.
JUMP_HINT = 0.5
# The bend of a smooth function shrinks like the step: by RATIO per rung, within this much.
SMOOTH_SHRINKAGE = 0.2


def extrapolation_weights(powers: list[int]) -> tuple[float, ...]:
    """Return w with sum w_k q(h_k) = q(0) for q spanned by h**powers, h_k = RATIO**-k."""
    steps = RATIO ** -np.arange(len(powers))
    basis = steps[:, None] ** np.array(powers)
    first = np.zeros(len(powers))
    first[0] = 1.0
    return tuple(float(weight) for weight in np.linalg.solve(basis.T, first))


# Central differences err in h**2, h**4, ...; second differences over h err in h, h**3, ...
EVEN = {count: extrapolation_weights([2 * i for i in range(count)]) for count in (1, 2, 3, 4)}
ODD = {
    count: extrapolation_weights([0] + [2 * i - 1 for i in range(1, count)])
    for count in (1, 2, 3, 4)
}


@dataclass(frozen=True, slots=True)
class Rung:
    """Two evaluations at steps h and -h, with the analytic slope taken off.

    Attributes
    ----------
    step: h
    central: central difference, which estimates the discrepancy; errs in h**2, h**4, ...
    bend: second difference over h; tends to the jump of the slope, to 0 like h where smooth
    noise: standard deviation of one evaluation there
    """

    step: float
    central: float
    bend: float
    noise: float


@dataclass(frozen=True, slots=True)
class Window:
    """Neighbouring rungs extrapolated to step zero.

    Attributes
    ----------
    top, bottom: rungs of the largest and of the smallest step
    step: the largest step
    estimate: the discrepancy
    truncation, noise, kink: parts of its error bar
    jump, jump_bar: jump of the slope within reach of the steps, and how far it may be off
    error: the whole error bar
    one_sided: whether it rests on one side of the origin only
    """

    top: int
    bottom: int
    step: float
    estimate: float
    truncation: float
    noise: float
    jump: float
    jump_bar: float
    kink: float = 0.0
    error: float = math.inf
    one_sided: bool = False

    @property
    def jump_is_significant(self) -> bool:
        """Whether the jump stands out from its own error bar."""
        return abs(self.jump) > JUMP_SIGNIFICANCE * self.jump_bar

    @property
    def largest_jump(self) -> float:
        """How large the jump may be."""
        return abs(self.jump) + self.jump_bar

    @property
    def slopes_error(self) -> float:
        """How far the slopes to either side of a kink at the origin may be off."""
        return self.truncation + self.noise + 0.5 * self.jump_bar

    def meets_at_kink(self, other: Window) -> bool:
        """Return whether both may see the same slopes to either side."""
        off = abs(self.estimate - other.estimate) + 0.5 * abs(self.jump - other.jump)
        return off <= self.slopes_error + other.slopes_error

    @property
    def stands_out(self) -> bool:
        """Whether not even a kink at the origin, hidden by noise, would explain the discrepancy."""
        return abs(self.estimate) > self.error + 0.5 * self.largest_jump

    def hints_at_kink(self, other: Window) -> bool:
        """Return whether a jump seen here, though in doubt, would explain another's discrepancy."""
        is_seen = abs(self.jump) > JUMP_HINT * self.jump_bar
        return is_seen and abs(other.estimate) <= other.error + 0.5 * self.largest_jump

    def meets(self, other: Window) -> bool:
        """Return whether the two intervals overlap."""
        return abs(self.estimate - other.estimate) <= self.error + other.error


@dataclass(frozen=True)
class Reading:
    """How rungs are read.

    Attributes
    ----------
    scale: step that counts as of order one
    multiplier: widens the error bar for the number of comparisons made
    round_off: of the analytic side
    noise_factor: how much larger the noise is taken to be than it was measured
    """

    scale: float
    multiplier: float
    round_off: float
    noise_factor: float = 1.0


def all_windows(rungs: Mapping[int, Rung], reading: Reading) -> list[Window]:
    """Return every window of 2 to 4 neighbouring rungs, with its error bar."""
    bare = [
        _window([rungs[top + i] for i in range(count)], top, reading)
        for top in sorted(rungs)
        for count in (2, 3, 4)
        if all(top + i in rungs for i in range(count))
    ]
    return [_with_error(window, bare, rungs, reading) for window in bare]


def _window(rungs: Sequence[Rung], top: int, reading: Reading) -> Window:
    count = len(rungs)
    central = [rung.central for rung in rungs]
    bend = [rung.bend for rung in rungs]
    jitter = [rung.noise / rung.step for rung in rungs]
    multiple = NOISE_MULTIPLE * reading.noise_factor
    return Window(
        top=top,
        bottom=top + count - 1,
        step=rungs[0].step,
        estimate=dot(EVEN[count], central),
        truncation=_truncation(rungs, central, reading),
        noise=multiple * deviation(EVEN[count], jitter),
        jump=dot(ODD[count], bend),
        # What the analytic side cannot tell apart is no jump to speak of.
        jump_bar=_jump_truncation(bend)
        + multiple * jump_deviation(ODD[count], jitter)
        + reading.round_off,
    )


def _truncation(rungs: Sequence[Rung], central: Sequence[float], reading: Reading) -> float:
    if len(rungs) == 2 and rungs[0].step > UNVERIFIED_ORDER * reading.scale:
        return abs(central[0] - central[1])
    fewer, estimate = EVEN[len(rungs) - 1], dot(EVEN[len(rungs)], central)
    without_largest = abs(estimate - dot(fewer, central[1:]))
    without_smallest = abs(estimate - dot(fewer, central[:-1]))
    # The smallest step gains a factor RATIO**2, if steps are small enough for orders to show.
    gain = RATIO if rungs[0].step > reading.scale else RATIO**2
    return TRUNCATION_SAFETY * max(without_largest, without_smallest / gain)


def _jump_truncation(bend: Sequence[float]) -> float:
    fewer, jump = ODD[len(bend) - 1], dot(ODD[len(bend)], bend)
    without_largest = abs(jump - dot(fewer, bend[1:]))
    without_smallest = abs(jump - dot(fewer, bend[:-1]))
    return TRUNCATION_SAFETY * max(
        without_largest, without_smallest / RATIO ** min(len(bend) - 1, 2)
    )


def deviation(weights: Sequence[float], jitter: Sequence[float]) -> float:
    """Return the standard deviation of weighted central differences; jitter is noise over step."""
    return math.hypot(*(w * j for w, j in zip(weights, jitter, strict=True))) / math.sqrt(2)


def jump_deviation(weights: Sequence[float], jitter: Sequence[float]) -> float:
    """Return the standard deviation of weighted second differences; jitter is noise over step."""
    spread = [w * j for w, j in zip(weights, jitter, strict=True)]
    # The value at the origin is shared by all rungs, so its noise adds up linearly.
    return math.hypot(math.sqrt(2) * math.hypot(*spread), 2 * sum(spread))


def _with_error(
    window: Window, windows: Sequence[Window], rungs: Mapping[int, Rung], reading: Reading
) -> Window:
    above = [other for other in windows if other.top <= window.top]
    kink = 0.5 * _jump_in_reach(window, windows, rungs, reading)
    # Two rungs may agree by accident where h**2 and h**4 cancel; what the window one step up
    # leads to expect does not vanish with them.
    order = 2 * (window.bottom - window.top)
    expected = [
        other.truncation / RATIO**order
        for other in above
        if other.top == window.top - 1 and other.bottom == window.bottom - 1
    ]
    truncation = max([window.truncation, *expected])
    error = reading.multiplier * (truncation + window.noise + kink) + reading.round_off
    return replace(window, truncation=truncation, kink=kink, error=error)


def _jump_in_reach(
    window: Window, windows: Sequence[Window], rungs: Mapping[int, Rung], reading: Reading
) -> float:
    """Return how large a jump of the slope may be that all steps of the window reach across.

    Smaller steps that see one say so. Larger steps see it as well, unless they bound it away.
    """
    seen = [
        other.largest_jump
        for other in windows
        if other.jump_is_significant
        and (other.top > window.top or not _is_refuted(other, window, rungs, reading))
    ]
    # A window that reaches further down says nothing about kinks between its steps and ours.
    bounds = [
        other.largest_jump
        for other in windows
        if other.top <= window.top and other.bottom <= window.bottom
    ]
    return min([max(seen), *bounds]) if seen else 0.0


def _is_refuted(
    evidence: Window, window: Window, rungs: Mapping[int, Rung], reading: Reading
) -> bool:
    """Return whether a jump seen at large steps is only how a smooth function bends there.

    Between those steps and the window, or one further down, the bend of a smooth function shrinks
    like the step; that of a jump within reach of the window does not over three steps.
    """
    measured = [index for index in sorted(rungs) if index >= evidence.top]
    for three in zip(measured, measured[1:], measured[2:], strict=False):
        if three[1] > window.bottom:
            break
        bends = [abs(rungs[index].bend) for index in three]
        if abs(evidence.jump) > bends[2] and all(
            abs(RATIO ** (lower - upper) * low - high) < SMOOTH_SHRINKAGE * high
            for (upper, high), (lower, low) in pairwise(zip(three, bends, strict=True))
        ):
            return True
    return False


def dot(weights: Sequence[float], values: Sequence[float]) -> float:
    """Return the weighted sum."""
    return sum(w * v for w, v in zip(weights, values, strict=True))
