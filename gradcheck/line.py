"""The derivative of a loss along a line, with an error bar and a statement about smoothness.

What is measured is the *discrepancy* between the loss and the analytic slope, on a ladder of
central differences h, h/4, h/16, ...: larger steps while noise dominates, smaller ones while
truncation or a kink does, and down to the noise before a discrepancy is believed.

References
----------
Moré & Wild 2012, ACM TOMS 38(3):19 (steps for noisy functions).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from gradcheck.extrapolation import (
    RATIO,
    TRUNCATION_SAFETY,
    Reading,
    Rung,
    Window,
    all_windows,
    confirmed,
    kink_at_origin,
    smaller_steps_agree,
    trusted,
)

Smoothness = Literal["smooth", "kink", "unresolved"]
Limit = Literal["none", "precision", "noise", "kink", "budget", "domain_edge"]
Evaluate = Callable[[float], tuple[float, float]]

MAX_RUNGS = 14
FAR_BELOW = (4, 5)
# A step that agrees is good enough when its bar is this part of what is required.
SHARPNESS = 0.1
EPSILON = float(np.finfo(np.float64).eps)
# A correctly rounded loss jitters by about this part of itself.
ROUND_OFF = 0.75 * EPSILON


@dataclass(frozen=True)
class LineDerivative:
    """The slope of a loss along a line at its origin.

    Attributes
    ----------
    value: the derivative; NaN if the loss could not be evaluated around the origin
    error_bar: how far `value` may be off
    discrepancy: value minus the analytic slope, free of the cancellation in that difference
    smoothness: "smooth", "kink" (a jump of the slope at the origin) or "unresolved"
    jump: slope to the right minus slope to the left, 0 unless a kink
    evaluations: calls of the loss
    limit: what made up most of the error bar
    step_size: largest step the value rests on
    """

    value: float
    error_bar: float
    discrepancy: float
    smoothness: Smoothness
    jump: float
    evaluations: int
    limit: Limit
    step_size: float


@dataclass(frozen=True)
class Conditions:
    """What holds for every line of one check.

    Attributes
    ----------
    value: loss at the origin
    noise: standard deviation of the loss's own jitter
    multiplier: widens every error bar for the number of comparisons made
    """

    value: float
    noise: float
    multiplier: float


@dataclass(frozen=True)
class LineSettings:
    """What is known about one line beforehand.

    Attributes
    ----------
    slope: analytic slope along the line; 0 where there is none to compare with
    slope_round_off: how far `slope` may be off by rounding
    scale: step along the line that counts as of order one
    first_step: where the ladder starts
    required: relative error that has to be ruled out
    reference: size of slope that counts where the slope itself is smaller
    comparing: whether `slope` is a claim to be tested
    """

    slope: float
    slope_round_off: float
    scale: float
    first_step: float
    required: float
    reference: float
    comparing: bool = True


def first_step(scale: float, conditions: Conditions) -> float:
    """Return where to start: balances truncation h**4 against noise / h for two rungs."""
    size = abs(conditions.value)
    relative = max(conditions.noise / size, EPSILON) if size else EPSILON
    return scale * math.pow(min(relative, 1e-2), 0.2)


def bar_multiplier(comparisons: int) -> float:
    """Return what to widen error bars by, so that none of `comparisons` fails by chance.

    Bars that hold 999 times in 1,000 would accuse a correct network of 100,000 entries 100 times.
    """
    return 1.0 + 0.1 * math.log10(max(comparisons, 1))


def differentiate(
    evaluate: Evaluate, conditions: Conditions, settings: LineSettings
) -> LineDerivative:
    """Return the derivative of a loss along a line, compared with the analytic slope on the way.

    Parameters
    ----------
    evaluate: from a step t to the loss there and the analytic slope times the step *really
        taken* after rounding; NaN where the loss cannot be evaluated
    conditions, settings: what is known about the loss and about the line
    """
    ladder = _Ladder(evaluate, conditions, settings)
    for index in (0, 1):
        ladder.add(index)
    if not settings.comparing or settings.slope == 0.0:
        # Nothing speaks against a plateau that two steps see, unless much smaller ones do.
        for index in FAR_BELOW:
            ladder.add(index)
    while (rung := ladder.next_rung()) is not None:
        for index in rung:
            ladder.add(index)
    return ladder.conclusion()


class _Ladder:
    """The rungs measured on one line so far, and what they say."""

    def __init__(self, evaluate: Evaluate, conditions: Conditions, settings: LineSettings) -> None:
        self.evaluate = evaluate
        self.conditions = conditions
        self.settings = settings
        self.rungs: dict[int, Rung] = {}
        self.flat: set[int] = set()
        self.quantum = math.inf
        self.tried: set[int] = set()
        self.evaluations = 0

    def add(self, index: int) -> None:
        """Measure the rung of step first_step * RATIO**-index."""
        given = self.conditions
        step = self.settings.first_step * RATIO**-index
        above, above_slope = self.evaluate(step)
        below, below_slope = self.evaluate(-step)
        self.evaluations += 2
        self.tried.add(index)
        central = ((above - below) - (above_slope - below_slope)) / (2 * step)
        bend = ((above - given.value - above_slope) + (below - given.value - below_slope)) / step
        if math.isfinite(central) and math.isfinite(bend):
            noise = self._noise(step, max(abs(above), abs(below)))
            self.rungs[index] = Rung(step, central, bend, noise)
            change = max(abs(above - given.value), abs(below - given.value))
            if change == 0.0:
                self.flat.add(index)
            else:
                self.quantum = min(self.quantum, change)

    def _noise(self, step: float, size: float) -> float:
        """Return the noise of values of this size: round-off follows them as they grow."""
        given = self.conditions
        noise = max(given.noise, ROUND_OFF * size)
        if step > self.settings.scale and abs(given.value) > 0.0:
            # Far out a loss may be so much larger that its noise, whatever its kind, is too.
            noise = max(noise, given.noise * size / abs(given.value))
        return noise

    def windows(self, noise_factor: float = 1.0) -> list[Window]:
        """Return every window of the rungs so far."""
        given = self.settings
        reading = Reading(
            scale=given.scale,
            multiplier=self.conditions.multiplier,
            round_off=given.slope_round_off,
            noise_factor=noise_factor,
        )
        return all_windows(self._noisy_rungs(), reading)

    def _noisy_rungs(self) -> dict[int, Rung]:
        """Return the rungs, with the noise of a coarse loss where some show it to be one.

        A loss that moves at some steps and not at all at others is rounded, or computed in
        float32; the smallest change seen tells how coarsely.
        """
        if not self.flat or len(self.flat) == len(self.rungs):
            return self.rungs
        return {
            index: replace(rung, noise=max(rung.noise, self.quantum / 2))
            for index, rung in self.rungs.items()
        }

    def next_rung(self) -> tuple[int, ...] | None:
        """Return the rungs to measure next, None when more would not help."""
        if len(self.tried) >= MAX_RUNGS:
            return None
        windows = self.windows()
        if not windows:
            return (max(self.tried) + 1,)
        best, clash = trusted(windows)
        suspicious = clash or not self._agrees(best)
        if not suspicious and best.error <= self._target(best):
            return None
        if suspicious or best.kink > best.truncation + best.noise:
            # Nobody is accused, and no kink left behind, before noise dominates.
            return self._sweep_down(windows, best)
        return self._sharpen(best)

    def _sharpen(self, best: Window) -> tuple[int, ...] | None:
        smaller, larger = (best.bottom + 1,), (best.top - 1,)
        if best.noise < best.truncation:
            return self._first_untried(smaller, larger)
        return self._jump(best) or self._first_untried(larger, smaller)

    def _sweep_down(self, windows: list[Window], best: Window) -> tuple[int, ...] | None:
        """Return the next rung below the best window, None once noise dominates down there."""
        below = next(
            index for index in range(best.top, MAX_RUNGS + best.top) if index not in self.tried
        )
        reached = [window for window in windows if best.top <= window.top and window.bottom < below]
        smallest = max(reached, key=lambda window: window.top)
        noisy = smallest.noise >= max(smallest.truncation + smallest.kink, 0.3 * best.error)
        return None if noisy and smallest.top >= best.top + 2 else (below,)

    def _agrees(self, best: Window) -> bool:
        return not self.settings.comparing or abs(best.estimate) <= best.error

    def _target(self, best: Window) -> float:
        given = self.settings
        size = max(abs(given.slope), abs(given.slope + best.estimate), given.reference)
        # Where everything is zero there is nothing to be sharp about.
        return SHARPNESS * given.required * size if size else math.inf

    def _jump(self, best: Window) -> tuple[int, ...] | None:
        """Return the step that would do, if far above all tried: noise falls like 1/h."""
        if best.top > min(self.tried):
            return None
        missing = math.log(best.error / self._target(best), RATIO)
        # Not beyond the scale: a saturated function looks straight from far away.
        room = math.log(self.settings.scale / self.rungs[best.top].step, RATIO)
        rungs = min(math.ceil(missing), math.floor(room))
        return (best.top - rungs, best.top - rungs + 1) if rungs > 3 else None

    def _first_untried(self, *choices: tuple[int, ...]) -> tuple[int, ...] | None:
        return next((choice for choice in choices if not self.tried.issuperset(choice)), None)

    def conclusion(self) -> LineDerivative:
        """Return what the rungs say together."""
        windows = self.windows()
        if not windows:
            return self._nothing()
        best, clash = trusted(windows)
        noisier = False
        if clash and not smaller_steps_agree(windows, best):
            for factor in (4.0, 16.0, 64.0, 256.0):
                windows = self.windows(factor)
                best, clash = trusted(windows)
                if not clash:
                    noisier = True
                    break
        else:
            clash = False
        kinked = kink_at_origin(windows)
        if kinked is not None and best.kink > best.truncation + best.noise:
            return self._kink(kinked)
        # What smaller steps do not confirm was seen by accident: theirs are the bars to go by.
        while (
            not clash
            and not self._agrees(best)
            and not confirmed(windows, best, self.settings.scale)
        ):
            windows = [window for window in windows if window.bottom > best.bottom]
            if not windows:
                clash = True
                break
            best, clash = trusted(windows)
        return self._result(
            best,
            smoothness="unresolved" if clash else "smooth",
            limit=self._limit(best, noisier),
        )

    def _result(self, best: Window, smoothness: Smoothness, limit: Limit) -> LineDerivative:
        return LineDerivative(
            value=self.settings.slope + best.estimate,
            error_bar=best.error,
            discrepancy=best.estimate,
            smoothness=smoothness,
            jump=0.0,
            evaluations=self.evaluations,
            limit=limit,
            step_size=best.step,
        )

    def _kink(self, window: Window) -> LineDerivative:
        given = self.settings
        error = (
            TRUNCATION_SAFETY
            * self.conditions.multiplier
            * (window.truncation + window.noise + window.jump_bar)
        )
        return LineDerivative(
            value=given.slope + window.estimate,
            error_bar=error + given.slope_round_off,
            discrepancy=window.estimate,
            smoothness="kink",
            jump=window.jump,
            evaluations=self.evaluations,
            limit="kink",
            step_size=window.step,
        )

    def _nothing(self) -> LineDerivative:
        return LineDerivative(
            math.nan, math.inf, math.nan, "unresolved", 0.0, self.evaluations, "domain_edge", 0.0
        )

    def _limit(self, best: Window, noisier: bool) -> Limit:
        given = self.conditions
        if best.kink > max(best.truncation, best.noise):
            return "kink"
        if noisier or given.noise > 64 * EPSILON * abs(given.value):
            return "noise"
        if len(self.tried) >= MAX_RUNGS and best.truncation > best.noise:
            return "budget"
        return "precision"
