"""What the rungs measured on a line say together: the derivative, its error bar, its smoothness."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from gradcheck import chebyshev
from gradcheck.chebyshev import EXPECTED_BAR, Interval
from gradcheck.extrapolation import RATIO, Window
from gradcheck.ladder import ROUND_OFF_UNITS_OF_LOSS, Ladder, Side
from gradcheck.search import MAX_RUNGS
from gradcheck.trust import confirmed, smaller_steps_agree, trusted

Smoothness = Literal["smooth", "kink", "noisy", "unresolved"]
Limit = Literal["precision", "noise", "kink", "budget", "domain_edge"]

# A clash of small steps with each other means more noise than was measured: this much, perhaps.
LARGER_NOISE = (4.0, 16.0, 64.0, 256.0)
# A loss whose noise is this many units of round-off is noisy.
NOISY_UNITS = 64
# Part of a discrepancy that is next to nothing; and how many steps have to see no more, of which
# so many hint at it.
QUIET, QUIET_RUNGS, FEWEST_HINTS = 0.1, 3, 2
# Intervals that are tried, each a quarter as wide as the one before.
INTERVALS = 3


@dataclass(frozen=True)
class LineDerivative:
    """The slope of a loss along a line at its origin.

    Attributes
    ----------
    value: the derivative; NaN if the loss could not be evaluated around the origin
    error_bar: how far `value` may be off
    discrepancy: value minus the analytic slope, free of the cancellation in that difference
    smoothness: "smooth", "kink" (a jump of the slope at the origin), "noisy" (the loss jitters by
        far more than round-off) or "unresolved"
    jump: slope to the right minus slope to the left, 0 unless a kink
    evaluations: calls of the loss
    limit: what made up most of the error bar
    step_size: largest step the value rests on
    side: the side that `value` is the one-sided derivative of, "left" or "right"; "" for both
    beside: what the same line shows right beside a kink, where that is what counts
    """

    value: float
    error_bar: float
    discrepancy: float
    smoothness: Smoothness
    jump: float
    evaluations: int
    limit: Limit
    step_size: float
    side: Side = ""
    beside: LineDerivative | None = None

    @property
    def left(self) -> float:
        """The slope to the left of the origin."""
        return self.value - self.jump / 2

    @property
    def right(self) -> float:
        """The slope to the right of the origin."""
        return self.value + self.jump / 2

    @property
    def resolution(self) -> float:
        """The error bar relative to the value; infinite where that is zero."""
        return self.error_bar / abs(self.value) if self.value else math.inf


def conclude(ladder: Ladder) -> LineDerivative:
    """Return what the rungs of a ladder say together."""
    return _Conclusion(ladder).drawn()


def agreement(ladder: Ladder) -> LineDerivative | None:
    """Return what the rungs say together where that is that all is right, None otherwise."""
    return _Conclusion(ladder).agreement()


def doubt(ladder: Ladder) -> float:
    """Return how far the loss is off the claim as far as the rungs show, 0 where they do not."""
    windows = ladder.windows()
    if not windows:
        return 0.0
    best, _ = trusted(windows)
    return 0.0 if ladder.settings.agrees(best) else abs(best.estimate)


def is_in_stairs(ladder: Ladder, seen: LineDerivative) -> bool:
    """Return whether larger steps, over a wide range, see next to nothing of a discrepancy.

    A loss of which a part is rounded, as by float32 inside or by what cancels there, goes in
    stairs: steps within a stair see the slope of the rest, and only those beyond it the whole.
    No smooth loss looks right over several steps and is wrong below.
    """
    return len(quiet_rungs(ladder, seen.discrepancy, seen.step_size)) >= QUIET_RUNGS


def quiet_rungs(ladder: Ladder, discrepancy: float, step: float) -> list[int]:
    """Return the rungs of larger steps that see next to nothing of a discrepancy, larger first."""
    most = QUIET * abs(discrepancy)
    if abs(ladder.settings.slope) <= most:
        # Far away any bounded loss looks flat, as such a claim has it.
        return []
    rungs = ladder.rungs.items()
    return sorted(i for i, rung in rungs if rung.step > step and abs(rung.central) <= most)


class _Conclusion:
    """What the rungs of a ladder say together."""

    def __init__(self, ladder: Ladder) -> None:
        self.ladder = ladder
        self.conditions = ladder.conditions
        self.settings = ladder.settings

    def drawn(self) -> LineDerivative:
        """Return what the rungs say together."""
        windows = self.ladder.windows()
        if not windows:
            return self._nothing()
        best, clash = trusted(windows)
        clash = clash and not smaller_steps_agree(windows, best)
        noisier, factor = clash, 1.0
        for factor in LARGER_NOISE if clash else ():
            windows = self.ladder.windows(factor)
            best, clash = trusted(windows)
            if not clash:
                break
        kinked = self.ladder.kink(factor)
        if kinked is not None and best.kink > best.truncation + best.noise:
            return self._kink(kinked)
        if not clash:
            best, clash = self._settled(windows, best)
        return self._result(best, clash, noisier)

    def agreement(self) -> LineDerivative | None:
        """Return what the rungs say together where nothing speaks against the claim, else None."""
        windows = self.ladder.windows()
        if not windows:
            return None
        best, clash = trusted(windows)
        clash = clash and not smaller_steps_agree(windows, best)
        kinked = best.kink > best.truncation + best.noise
        if clash or kinked or best.one_sided or not self.settings.agrees(best):
            return None
        return self._result(best, clash=False, noisier=False)

    def _settled(self, windows: Sequence[Window], best: Window) -> tuple[Window, bool]:
        """Return the best window, sharpened by an interval where it leaves the question open."""
        if best.one_sided:
            return self._without_accidents(windows, self._witnessed(windows, best))
        if self.settings.agrees(best):
            needed = self.settings.needed(best)
            if best.error <= needed:
                return best, False
            if best.error > self.settings.enough:
                needed = max(needed, self.settings.enough)
        elif self._is_quiet_above(best):
            return best, True
        elif self._is_beyond_doubt(windows, best):
            return best, False
        else:
            needed = abs(best.estimate)
        interval = self._interval(best, needed)
        if interval is None:
            return self._without_accidents(windows, best)
        return self._combined(best, interval)

    def _interval(self, best: Window, needed: float) -> Interval | None:
        """Return what the widest interval that is needed says, None if none can be that sharp."""
        given, ladder = self.conditions, self.ladder
        noise = max(given.noise, ROUND_OFF_UNITS_OF_LOSS * given.unit * abs(float(given.value)))
        needed -= self.settings.slope_round_off
        width = EXPECTED_BAR * given.multiplier * noise / needed if needed > 0.0 else math.inf
        if width > self.settings.scale:
            return None
        narrowest = min(best.step, self.settings.scale)
        kinked = any(window.jump_is_significant for window in ladder.windows())
        # Where larger steps reached across a kink, so would a wider interval.
        width = narrowest if kinked else max(width, narrowest)
        for _ in range(INTERVALS):
            if width < best.step / RATIO**2:
                return None
            ladder.evaluations += chebyshev.EVALUATIONS
            interval = chebyshev.sample(ladder.evaluate, given, width)
            if interval is not None:
                return interval
            width /= RATIO
        return None

    def _combined(self, best: Window, interval: Interval) -> tuple[Window, bool]:
        """Return the window with what the interval says about it, and whether the two clash."""
        error = interval.error + self.settings.slope_round_off
        gap, size = abs(interval.estimate - best.estimate), abs(interval.estimate)
        if size <= max(error + interval.kink, self.settings.negligible):
            # Where the two differ, an accident or a kink that noise hides: the bar covers either.
            error = max(error, size, 0.0 if self.settings.agrees(best) else gap)
        elif gap > best.error + error:
            return best, True
        if best.error <= error and self.settings.agrees(best):
            return best, False
        return replace(best, estimate=interval.estimate, error=error, noise=error), False

    def _witnessed(self, windows: Sequence[Window], best: Window) -> Window:
        """Return a window that disagrees, is about as sharp, and that smaller steps confirm.

        Where the loss is zero its noise vanishes with the step, so that the very smallest steps
        are the best ones; below those there is no witness.
        """
        if self.settings.agrees(best):
            return best
        return next(
            (
                window
                for window in windows
                if window.error <= RATIO * best.error
                and not self.settings.agrees(window)
                and self._is_beyond_doubt(windows, window)
            ),
            best,
        )

    def _without_accidents(self, windows: Sequence[Window], best: Window) -> tuple[Window, bool]:
        """Return the best window whose discrepancy, if any, smaller steps confirm, and any clash.

        What they do not confirm was seen by accident: theirs are the bars to go by.
        """
        clash = False
        while not (clash or self.settings.agrees(best) or self._is_beyond_doubt(windows, best)):
            windows = [window for window in windows if window.bottom > best.bottom]
            if not windows:
                return best, True
            best, clash = trusted(windows)
        return best, clash

    def _is_beyond_doubt(self, windows: Sequence[Window], best: Window) -> bool:
        if not confirmed(windows, best, self.settings.scale):
            return False
        smaller = [window for window in windows if window.bottom > best.bottom]
        kinked = any(window.hints_at_kink(best) for window in smaller)
        return best.one_sided or (best.stands_out and not kinked)

    def _is_quiet_above(self, best: Window) -> bool:
        """Return whether larger steps see no discrepancy, measuring what is missing for that."""
        quiet = quiet_rungs(self.ladder, best.estimate, best.step)
        while FEWEST_HINTS <= len(quiet) < QUIET_RUNGS:
            missing = set(range(quiet[0] - 1, quiet[-1])) - self.ladder.tried
            if not missing:
                return False
            self.ladder.add(max(missing))
            quiet = quiet_rungs(self.ladder, best.estimate, best.step)
        return len(quiet) >= QUIET_RUNGS

    def _result(self, best: Window, clash: bool, noisier: bool) -> LineDerivative:
        limit = self._limit(best, noisier)
        slight = abs(best.estimate) <= self.settings.negligible
        smoothness: Smoothness = "noisy" if limit == "noise" else "smooth"
        return LineDerivative(
            value=self.settings.slope + best.estimate,
            error_bar=max(best.error, abs(best.estimate)) if slight else best.error,
            discrepancy=best.estimate,
            smoothness="unresolved" if clash else smoothness,
            jump=0.0,
            evaluations=self.ladder.evaluations,
            limit=limit,
            step_size=best.step,
            side=self.ladder.side if best.one_sided else "",
        )

    def _kink(self, window: Window) -> LineDerivative:
        given = self.settings
        error = self.conditions.multiplier * window.slopes_error
        return LineDerivative(
            value=given.slope + window.estimate,
            error_bar=error + given.slope_round_off,
            discrepancy=window.estimate,
            smoothness="kink",
            jump=window.jump,
            evaluations=self.ladder.evaluations,
            limit="kink",
            step_size=window.step,
        )

    def _nothing(self) -> LineDerivative:
        return LineDerivative(
            math.nan,
            math.inf,
            math.nan,
            "unresolved",
            0.0,
            self.ladder.evaluations,
            "domain_edge",
            0.0,
        )

    def _limit(self, best: Window, noisier: bool) -> Limit:
        given = self.conditions
        if best.one_sided and noisier:
            return "domain_edge"
        if best.kink > max(best.truncation, best.noise):
            return "kink"
        if noisier or given.noise > NOISY_UNITS * given.unit * abs(float(given.value)):
            return "noise"
        if len(self.ladder.tried) >= MAX_RUNGS and best.truncation > best.noise:
            return "budget"
        return "precision"
