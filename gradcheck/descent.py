"""What a monitored training did, step by step: frozen data, no measuring and no rendering.

A step from x to x + d promises, by the gradient g at x, that the loss falls by -g.d. How it went
is never stored in words: `DescentStep.progress` says it from the numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median
from typing import Literal, NoReturn

from gradcheck.report import Verdict, combined_verdict

Progress = Literal[
    "as promised",
    "falls short",
    "overshoots",
    "uphill",
    "stalled",
    "no step",
    "not finite",
    "not comparable",
    "wrong gradient",
]

# Deviations of the loss's noise up to which a change of it means nothing.
NOISE_DEVIATIONS = 6.0
# Part of what was promised that may be missing, beyond what curvature takes, in "as promised".
SHORTFALL = 0.5
# Steps that a trend is read from.
TREND = 10
FEWEST_IN_TREND = 4
# Words for steps that promised a decrease and could be compared.
DESCENDING = ("as promised", "falls short", "overshoots")


@dataclass(frozen=True)
class TaylorOrder:
    """The power of the step that a Taylor remainder falls like, and where that was read.

    Attributes
    ----------
    value: the order
    largest, smallest: the steps between which it holds, 1 being the step that was taken
    """

    value: float
    largest: float
    smallest: float


@dataclass(frozen=True)
class DescentStep:
    """One step of a training, against what the gradient before it promised.

    Numbers that could not be had are NaN. Slopes are per step: of f(x + t d) in t, at t = 0.

    Attributes
    ----------
    number: of the step, from 0
    verdict: on the gradient along the step: its slope against the numerical one
    reason: why it is inconclusive, or wrong before any comparison; "" otherwise
    loss, loss_after: before and after the step, both of the loss that the step was made for
    noise: standard deviation of that loss's jitter
    analytic: the slope that the gradient claims, g.d
    numerical, error_bar: the slope of the loss, and how far it may be off
    resolution: relative error of the slope that would have been seen; None if unknown, as at a
        kink, where any slope between those to either side is right, or where there is no slope left
    length: of the step, Euclidean
    gradient_norm: of the gradient before the step, Euclidean
    curvature, curvature_error_bar: second derivative of the loss along the step, per unit length
    gradient_curvature: how much the gradient changed along the step, in the same unit: the mean
        curvature over the whole step by the gradients at its two ends, while `curvature` is that of
        the loss where it began; None unless both gradients are of the same loss
    first_order, second_order: powers of h that f(x + h d) - f(x), and the same minus h g.d, fall
        like; None where round-off or a kink leaves no window to read one in, or nothing is left
    comparable: whether the loss was the same function when the step was judged, and the gradient
        not that of the parameters of the call before
    evaluations: calls of the loss that judging the step took
    """

    number: int
    verdict: Verdict
    reason: str
    loss: float = math.nan
    loss_after: float = math.nan
    noise: float = 0.0
    analytic: float = math.nan
    numerical: float = math.nan
    error_bar: float = math.inf
    resolution: float | None = None
    length: float = math.nan
    gradient_norm: float = math.nan
    curvature: float = math.nan
    curvature_error_bar: float = math.inf
    gradient_curvature: float | None = None
    first_order: TaylorOrder | None = None
    second_order: TaylorOrder | None = None
    comparable: bool = True
    evaluations: int = 0

    @property
    def promised(self) -> float:
        """By how much the loss falls if it goes on as the gradient says: -g.d."""
        return -self.analytic

    @property
    def promised_by_curvature(self) -> float:
        """The same less what the curvature along the step takes: -g.d - d.H.d / 2."""
        return self.promised - self.curvature * self.length * self.length / 2

    @property
    def actual(self) -> float:
        """By how much the loss fell."""
        return self.loss - self.loss_after

    @property
    def ratio(self) -> float:
        """The actual decrease in units of the promised one; NaN where nothing was promised."""
        return self.actual / self.promised if self.promised else math.nan

    @property
    def longest(self) -> float:
        """How many such steps the curvature allows before the loss rises: 2 (-g.d) / d.H.d.

        Infinite where the loss does not curve upwards beyond the error bar; NaN of a step uphill.
        """
        if math.isnan(self.curvature) or not self.promised > 0.0:
            return math.nan
        bend = self.curvature * self.length * self.length
        is_bent = self.curvature > self.curvature_error_bar and bend > 0.0
        return 2 * self.promised / bend if is_bent else math.inf

    @property
    def is_judged(self) -> bool:
        """Whether there was a step to judge, or a gradient that is wrong without one."""
        return self.length != 0.0 or self.verdict == "fail"

    @property
    def rose(self) -> bool:
        """Whether the loss was larger after the step, or no number."""
        return self.progress == "not finite" or self.actual < -NOISE_DEVIATIONS * self.noise

    @property
    def progress(self) -> Progress:
        """How the step went, in a word or two."""
        if self.verdict == "fail":
            return "wrong gradient"
        if not self.is_judged:
            return "no step"
        if not self.comparable:
            return "not comparable"
        if not (math.isfinite(self.actual) and math.isfinite(self.promised)):
            return "not finite"
        nothing = NOISE_DEVIATIONS * self.noise
        if max(abs(self.promised), abs(self.actual)) <= nothing and not self._falls_in_noise:
            return "stalled"
        if self.promised < 0.0:
            return "uphill"
        if self.actual < -nothing:
            return "overshoots"
        return "falls short" if self._is_short else "as promised"

    @property
    def _falls_in_noise(self) -> bool:
        """Whether a decrease that is hard to tell from noise is as large as was promised."""
        return self.promised > self.noise and self.actual >= SHORTFALL * self.promised

    @property
    def _is_short(self) -> bool:
        """Whether much is missing that the curvature where the step began does not explain."""
        unsure = self.curvature_error_bar * self.length * self.length / 2
        bent, expected = self.promised_by_curvature, self.promised
        if 0.0 < bent < expected and unsure <= SHORTFALL * self.promised:
            expected = bent
        missing = expected - self.actual - NOISE_DEVIATIONS * self.noise
        return missing > SHORTFALL * self.promised


@dataclass(frozen=True)
class DescentReport:
    """All monitored steps of a training.

    Attributes
    ----------
    steps: in their order
    evaluations: calls of the loss
    seconds: that monitoring took
    """

    steps: tuple[DescentStep, ...]
    evaluations: int
    seconds: float

    @property
    def judged(self) -> tuple[DescentStep, ...]:
        """The steps that moved something."""
        return tuple(step for step in self.steps if step.is_judged)

    @property
    def verdict(self) -> Verdict:
        """Return "fail" if any step that was taken fails, else "inconclusive" if any is.

        Where no step was taken, "inconclusive" too.
        """
        judged = self.judged
        return combined_verdict(step.verdict for step in judged) if judged else "inconclusive"

    @property
    def rate(self) -> float | None:
        """The factor by which the norm of the gradient changes per step, over the last few.

        Of gradient descent on a quadratic, that is abs(1 - learning rate * curvature) in the end.
        None where there are too few steps, the gradient is zero, or not all are of the same loss.
        """
        norms = [(s.number, s.gradient_norm) for s in self.latest]
        is_same_loss = all(s.gradient_curvature is not None for s in self.latest[:-1])
        if (
            len(norms) < FEWEST_IN_TREND
            or not is_same_loss
            or not all(0.0 < n < math.inf for _, n in norms)
        ):
            return None
        (first, before), (last, after) = norms[0], norms[-1]
        return math.pow(after / before, 1 / (last - first))

    @property
    def ratios(self) -> tuple[float, float] | None:
        """The median ratio of actual to promised decrease at first, and lately.

        None before there are enough steps that promised a decrease. One that goes from 1 to 0 says
        that the curvature along the steps grows, or that the steps do.
        """
        known = [s.ratio for s in self.judged if s.progress in DESCENDING]
        if len(known) < 2 * FEWEST_IN_TREND:
            return None
        count = min(TREND, len(known) // 2)
        return median(known[:count]), median(known[-count:])

    @property
    def latest(self) -> tuple[DescentStep, ...]:
        """The last few steps, from which a trend is read."""
        return self.judged[-TREND:]

    @property
    def rising(self) -> int:
        """In how many of the last few steps the loss rose."""
        return sum(step.rose for step in self.latest)

    @property
    def is_diverging(self) -> bool:
        """Whether the loss rose in most of the last few steps."""
        return len(self.latest) >= FEWEST_IN_TREND and 2 * self.rising > len(self.latest)

    def __bool__(self) -> NoReturn:
        raise TypeError("a report has three verdicts; use report.verdict")

    def __str__(self) -> str:
        from gradcheck.rendering.descent import render_descent

        return render_descent(self)
