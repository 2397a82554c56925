"""What comparisons add up to: rates with their confidence limits, sharpness and cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from outcomes import BUGS, Record

# Standard deviations to either side that hold 95 % of a normal distribution.
NORMAL_95 = 1.959963984540054


@dataclass(frozen=True)
class Rate:
    """A count out of a number, with 95 % confidence limits (Wilson's score interval)."""

    count: int
    total: int

    @property
    def part(self) -> float:
        """The count over the number; NaN of none."""
        return self.count / self.total if self.total else math.nan

    @property
    def limits(self) -> tuple[float, float]:
        """Lower and upper confidence limit."""
        if not self.total:
            return 0.0, 1.0
        spread = NORMAL_95**2 / self.total
        middle = (self.part + spread / 2) / (1 + spread)
        half = math.sqrt(spread * (self.part * (1 - self.part) + spread / 4)) / (1 + spread)
        low = 0.0 if self.count == 0 else middle - half
        return low, 1.0 if self.count == self.total else middle + half

    def is_below(self, least: float, problems: int) -> bool:
        """Return whether the rate is below a number by more than its sampling error.

        Comparisons of one problem share its fate, so that only problems are counted as samples.
        """
        return Rate(round(self.part * problems), problems).limits[1] < least

    def __str__(self) -> str:
        if not self.total:
            return "–"
        low, high = self.limits
        # What is not all of them is not shown as 100 %.
        digits = 1 if self.part in (0.0, 1.0) else max(1, math.ceil(-2 - math.log10(1 - self.part)))
        return f"{100 * self.part:.{digits}f} % ({100 * low:.{digits}f}–{100 * high:.{digits}f})"


@dataclass(frozen=True)
class Figures:
    """What the comparisons of one tool add up to.

    Attributes
    ----------
    false_fail: right claims that failed
    passes: right gradients, no bug put in, that passed
    kinks: right gradients that passed with the note that there is a kink
    detection: by size of the bug, those that failed, of those that made the claim wrong
    coverage: truths inside the error bar
    sharpness: median of error bar over error; NaN without error bars
    evaluations: median and 95th percentile over right gradients that passed
    evaluations_at_kinks: the same over those that passed with the note
    """

    false_fail: Rate
    passes: Rate
    kinks: Rate
    detection: dict[float, Rate]
    coverage: Rate
    sharpness: float
    evaluations: tuple[float, float]
    evaluations_at_kinks: tuple[float, float]


def rate(records: Sequence[Record], verdict: str) -> Rate:
    """Return how many comparisons ended in a verdict."""
    return Rate(sum(record.said.verdict == verdict for record in records), len(records))


def figures(records: Sequence[Record]) -> Figures:
    """Return what comparisons add up to."""
    right = [record for record in records if record.right]
    untouched = [record for record in right if not record.bug]
    barred = [record for record in records if record.has_bar]
    smooth = [record.sharpness for record in barred if not record.entry.at_kink]
    wrong = {bug: [r for r in records if r.bug == bug and not r.right] for bug in BUGS[1:]}
    return Figures(
        false_fail=rate(right, "fail"),
        passes=rate(untouched, "pass"),
        kinks=rate(untouched, "kink"),
        detection={bug: rate(claims, "fail") for bug, claims in wrong.items()},
        coverage=Rate(sum(record.covered for record in barred), len(barred)),
        sharpness=float(np.median(smooth)) if smooth else math.nan,
        evaluations=_spread(untouched, "pass"),
        evaluations_at_kinks=_spread(untouched, "kink"),
    )


def _spread(records: Sequence[Record], verdict: str) -> tuple[float, float]:
    costs = [record.said.evaluations for record in records if record.said.verdict == verdict]
    if not costs:
        return math.nan, math.nan
    return float(np.median(costs)), float(np.percentile(costs, 95))
