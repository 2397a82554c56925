"""The derivative of a loss along a line, with an error bar and a statement about smoothness.

What is measured is the *discrepancy* between the loss and the analytic slope, on a ladder of
central differences h, h/4, h/16, ... Neighbouring rungs form a window that is extrapolated to
h = 0; its error bar is the sum of separately estimated parts: truncation, noise, kink and the
round-off of the analytic side. A window counts only if it agrees with every window of smaller
steps ("trust from below"): steps far above the length scale of a function can agree with each
other and still be nonsense.

References
----------
Ridders 1982, Advances in Engineering Software 4:75 (extrapolated differences);
Moré & Wild 2012, ACM TOMS 38(3):19 (steps for noisy functions).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Smoothness = Literal["smooth", "kink", "unresolved"]
Limit = Literal["none", "precision", "noise", "kink", "budget", "domain_edge"]
Evaluate = Callable[[float], tuple[float, float]]

RATIO = 4.0
MAX_RUNGS = 14
# Six standard deviations: the noise estimate itself is good to a small factor only.
NOISE_MULTIPLE = 6.0
TRUNCATION_SAFETY = 2.0
# Above this part of the scale two rungs have not shown yet that the error falls like h**2.
UNVERIFIED_ORDER = 0.02
# A step that agrees is good enough when its bar is this part of what is required.
SHARPNESS = 0.1
# Twice the noise deviation is what one difference of two noisy values may be off by chance;
# the jump in slope has to stand out by this multiple of its own bar to be believed.
JUMP_SIGNIFICANCE = 3.0
EPSILON = float(np.finfo(np.float64).eps)
# A correctly rounded loss jitters by about this part of itself.
ROUND_OFF = 0.75 * EPSILON


def _extrapolation_weights(powers: list[int]) -> tuple[float, ...]:
    """Return w with sum w_k q(h_k) = q(0) for q spanned by h**powers, h_k = RATIO**-k."""
    steps = RATIO ** -np.arange(len(powers))
    basis = steps[:, None] ** np.array(powers)
    first = np.zeros(len(powers))
    first[0] = 1.0
    return tuple(float(weight) for weight in np.linalg.solve(basis.T, first))


# Central differences err in h**2, h**4, ...; second differences over h err in h, h**3, ...
_EVEN = {count: _extrapolation_weights([2 * i for i in range(count)]) for count in (1, 2, 3, 4)}
_ODD = {
    count: _extrapolation_weights([0] + [2 * i - 1 for i in range(1, count)])
    for count in (1, 2, 3, 4)
}


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


@dataclass(frozen=True, slots=True)
class _Rung:
    step: float
    # Central difference of loss minus analytic slope: estimates the discrepancy.
    central: float
    # Second difference over the step: tends to the jump of the slope, to 0 where smooth.
    bend: float
    noise: float


@dataclass(frozen=True, slots=True)
class _Window:
    top: int
    bottom: int
    estimate: float
    truncation: float
    noise: float
    jump: float
    jump_bar: float
    kink: float = 0.0
    error: float = math.inf

    @property
    def jump_is_significant(self) -> bool:
        return abs(self.jump) > JUMP_SIGNIFICANCE * self.jump_bar

    def meets(self, other: _Window) -> bool:
        return abs(self.estimate - other.estimate) <= self.error + other.error


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
    ladder.add(0)
    ladder.add(1)
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
        self.rungs: dict[int, _Rung] = {}
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
            # Noise follows the size of the values differenced, which may grow with the step.
            size = max(abs(above), abs(below))
            relative = max(given.noise / abs(given.value) if given.value else 0.0, ROUND_OFF)
            noise = max(given.noise, relative * size)
            self.rungs[index] = _Rung(step, central, bend, noise)

    def windows(self, noise_factor: float = 1.0) -> list[_Window]:
        """Return every window of 2 to 4 neighbouring rungs, with its error bar."""
        bare = [
            self._window(top, count, noise_factor)
            for top in sorted(self.rungs)
            for count in (2, 3, 4)
            if all(top + i in self.rungs for i in range(count))
        ]
        return [self._with_error(window, bare) for window in bare]

    def _window(self, top: int, count: int, noise_factor: float) -> _Window:
        rungs = [self.rungs[top + i] for i in range(count)]
        central = [rung.central for rung in rungs]
        bend = [rung.bend for rung in rungs]
        even, odd = _EVEN[count], _ODD[count]
        estimate = _dot(even, central)
        without_largest = _dot(_EVEN[count - 1], central[1:])
        without_smallest = _dot(_EVEN[count - 1], central[:-1])
        truncation = TRUNCATION_SAFETY * max(
            abs(estimate - without_largest), abs(estimate - without_smallest) / RATIO**2
        )
        if count == 2 and rungs[0].step > UNVERIFIED_ORDER * self.settings.scale:
            truncation = abs(central[0] - central[1])
        jitter = [rung.noise / rung.step for rung in rungs]
        deviation = math.sqrt(sum((w * j) ** 2 for w, j in zip(even, jitter, strict=True)) / 2)
        jump = _dot(odd, bend)
        spread = [w * j for w, j in zip(odd, jitter, strict=True)]
        # The value at the origin is shared by all rungs, so its noise adds up linearly.
        jump_noise = math.sqrt(2 * sum(s * s for s in spread) + (2 * sum(spread)) ** 2)
        multiple = NOISE_MULTIPLE * noise_factor
        jump_bar = TRUNCATION_SAFETY * max(
            abs(jump - _dot(_ODD[count - 1], bend[1:])),
            abs(jump - _dot(_ODD[count - 1], bend[:-1])) / RATIO ** min(count - 1, 2),
        )
        return _Window(
            top=top,
            bottom=top + count - 1,
            estimate=estimate,
            truncation=truncation,
            noise=multiple * deviation,
            jump=jump,
            jump_bar=jump_bar + multiple * jump_noise,
        )

    def _with_error(self, window: _Window, windows: list[_Window]) -> _Window:
        # A jump within reach of a window is seen by every window of larger steps as well, unless
        # one of those bounds it away.
        above = [other for other in windows if other.top <= window.top]
        seen = [
            abs(o.jump) + o.jump_bar
            for o in above
            if o.jump_is_significant and not self._is_refuted(o, window)
        ]
        kink = 0.5 * min(max(seen), min(abs(o.jump) + o.jump_bar for o in above)) if seen else 0.0
        # Two rungs may agree by accident where h**2 and h**4 cancel; what the window one step up
        # leads to expect does not vanish with them.
        order = window.bottom - window.top
        expected = [
            other.truncation / RATIO ** (2 * order)
            for other in above
            if other.top == window.top - 1 and other.bottom == window.bottom - 1
        ]
        truncation = max(window.truncation, *expected, 0.0)
        error = self.conditions.multiplier * (truncation + window.noise + kink)
        return replace(
            window,
            truncation=truncation,
            kink=kink,
            error=error + self.settings.slope_round_off,
        )

    def _is_refuted(self, evidence: _Window, window: _Window) -> bool:
        """Return whether a jump seen at large steps is only how a smooth function bends there.

        Between those steps and the window, the bend of a smooth function shrinks like the step; a
        jump within reach of the window keeps its size.
        """
        if self.rungs[evidence.bottom].step <= UNVERIFIED_ORDER * self.settings.scale:
            return False
        for top in range(evidence.top, window.bottom - 1):
            bends = [abs(self.rungs[top + i].bend) for i in range(3) if top + i in self.rungs]
            if len(bends) == 3 and abs(evidence.jump) > bends[2]:
                pairs = ((bends[0], bends[1]), (bends[1], bends[2]))
                if all(0.8 * larger < RATIO * smaller < 1.2 * larger for larger, smaller in pairs):
                    return True
        return False

    def next_rung(self) -> tuple[int, ...] | None:
        """Return the rungs to measure next, None when more would not help."""
        if len(self.tried) >= MAX_RUNGS:
            return None
        windows = self.windows()
        if not windows:
            return (max(self.tried) + 1,)
        best, clash = _trusted(windows)
        if clash or not self._agrees(best):
            # Suspicious: sweep down until noise dominates before anybody is accused.
            return None if _swept(windows, best) else (max(self.tried) + 1,)
        if best.error <= self._target(best):
            return None
        if best.kink > best.truncation + best.noise:
            # Only steps below the distance of the kink can leave it behind.
            return None if _swept(windows, best) else (max(self.tried) + 1,)
        smaller, larger = (best.bottom + 1,), (best.top - 1,)
        if best.noise < best.truncation:
            return self._first_untried(smaller, larger)
        return self._jump(best) or self._first_untried(larger, smaller)

    def _agrees(self, best: _Window) -> bool:
        return not self.settings.comparing or abs(best.estimate) <= best.error

    def _target(self, best: _Window) -> float:
        given = self.settings
        size = max(abs(given.slope), abs(given.slope + best.estimate), given.reference)
        # Where everything is zero there is nothing to be sharp about.
        return SHARPNESS * given.required * size if size else math.inf

    def _jump(self, best: _Window) -> tuple[int, ...] | None:
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
        best, clash = _trusted(windows)
        noisier = False
        if clash and not _smaller_steps_agree(windows, best):
            for factor in (4.0, 16.0, 64.0, 256.0):
                windows = self.windows(factor)
                best, clash = _trusted(windows)
                if not clash:
                    noisier = True
                    break
        else:
            clash = False
        kinked = _kink_at_origin(windows)
        if kinked is not None and best.kink > best.truncation + best.noise:
            return self._kink(kinked)
        settled = not clash and (self._agrees(best) or _confirmed(windows, best))
        return self._result(
            best,
            smoothness="smooth" if settled else "unresolved",
            limit=self._limit(best, noisier),
        )

    def _result(self, best: _Window, smoothness: Smoothness, limit: Limit) -> LineDerivative:
        return LineDerivative(
            value=self.settings.slope + best.estimate,
            error_bar=best.error,
            discrepancy=best.estimate,
            smoothness=smoothness,
            jump=0.0,
            evaluations=self.evaluations,
            limit=limit,
            step_size=self.rungs[best.top].step,
        )

    def _kink(self, window: _Window) -> LineDerivative:
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
            step_size=self.rungs[window.top].step,
        )

    def _nothing(self) -> LineDerivative:
        return LineDerivative(
            math.nan, math.inf, math.nan, "unresolved", 0.0, self.evaluations, "domain_edge", 0.0
        )

    def _limit(self, best: _Window, noisier: bool) -> Limit:
        given = self.conditions
        if best.kink > max(best.truncation, best.noise):
            return "kink"
        if noisier or given.noise > 64 * EPSILON * abs(given.value):
            return "noise"
        if len(self.tried) >= MAX_RUNGS and best.truncation > best.noise:
            return "budget"
        return "precision"


def _dot(weights: tuple[float, ...], values: list[float]) -> float:
    return sum(w * v for w, v in zip(weights, values, strict=True))


def _trusted(windows: list[_Window]) -> tuple[_Window, bool]:
    """Return the sharpest window that meets all of smaller steps, and whether any did not."""
    best, clash = None, False
    for window in windows:
        smaller = (other for other in windows if other.top > window.top)
        if all(window.meets(other) for other in smaller):
            if best is None or window.error < best.error:
                best = window
        else:
            clash = True
    assert best is not None  # the window of smallest steps has none below it to meet
    return best, clash


def _swept(windows: list[_Window], best: _Window) -> bool:
    """Return whether two smaller windows than the best exist and noise dominates the smallest."""
    smallest = max(windows, key=lambda window: window.top)
    noisy = smallest.noise >= max(smallest.truncation + smallest.kink, 0.3 * best.error)
    return noisy and smallest.top >= best.top + 2


def _confirmed(windows: list[_Window], best: _Window) -> bool:
    """Return whether smaller steps see the discrepancy of the best window too.

    One of them beyond its own error bar, or two of different steps that come out nearer to that
    discrepancy than to none: their bars grow faster than their errors.
    """
    smaller = [window for window in windows if window.top > best.top]
    ratios = {window.top: window.estimate / best.estimate for window in smaller}
    if sum(0.5 < ratio < 2.0 for ratio in ratios.values()) >= 2:
        return True
    return any(abs(w.estimate) > w.error and ratios[w.top] > 0 for w in smaller)


def _smaller_steps_agree(windows: list[_Window], best: _Window) -> bool:
    """Return whether a clash is with larger steps only: aliasing, or kinks further out.

    Of the windows of smallest steps, those of at least three different steps, the best among
    them, have to agree with each other.
    """
    agreeing: list[_Window] = []
    for top in sorted({window.top for window in windows}, reverse=True):
        these = [window for window in windows if window.top == top]
        if not all(one.meets(other) for one in these for other in (*agreeing, *these)):
            break
        agreeing += these
    return best in agreeing and len({window.top for window in agreeing}) >= 3


def _kink_at_origin(windows: list[_Window]) -> _Window | None:
    """Return the window that shows a jump of the slope best, if one persists to the smallest."""
    significant = [window for window in windows if window.jump_is_significant]
    persistent = [
        window
        for window in significant
        if any(other.top > window.top for other in significant)
        and all(
            abs(other.jump - window.jump) <= other.jump_bar + window.jump_bar
            for other in windows
            if other.top > window.top
        )
    ]
    if not persistent:
        return None
    return min(persistent, key=lambda w: w.truncation + w.noise + 0.5 * w.jump_bar)
