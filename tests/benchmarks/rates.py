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

    def __str__(self) -> str:
        if not self.total:
            return "–"
        low, high = self.limits
        return f"{100 * self.part:.1f} % ({100 * low:.1f}–{100 * high:.1f})"


@dataclass(frozen=True)
class Figures:
    """What the comparisons of one tool add up to.

    Attributes
    ----------
    false_fail: right claims that failed
    passes: right gradients, no bug put in, that passed, with or without a note
    detection: by size of the bug, those that failed, of those that made the claim wrong
    coverage: truths inside the error bar
    sharpness: median of error bar over error; NaN without error bars
    evaluations: median and 95th percentile over right claims that passed
    """

    false_fail: Rate
    passes: Rate
    detection: dict[float, Rate]
    coverage: Rate
    sharpness: float
    evaluations: tuple[float, float]


def rate(records: Sequence[Record], is_counted: str) -> Rate:
    """Return how many records have a property, such as "passed"."""
    return Rate(sum(getattr(record, is_counted) for record in records), len(records))


def figures(records: Sequence[Record]) -> Figures:
    """Return what comparisons add up to."""
    right = [record for record in records if record.right]
    barred = [record for record in records if record.has_bar]
    smooth = [record.sharpness for record in barred if not record.entry.at_kink]
    wrong = {bug: [r for r in records if r.bug == bug and not r.right] for bug in BUGS[1:]}
    return Figures(
        false_fail=rate(right, "failed"),
        passes=rate([record for record in right if not record.bug], "passed"),
        detection={bug: rate(claims, "failed") for bug, claims in wrong.items()},
        coverage=rate(barred, "covered"),
        sharpness=float(np.median(smooth)) if smooth else math.nan,
        evaluations=_spread([record.said.evaluations for record in right if record.passed]),
    )


def _spread(costs: Sequence[int]) -> tuple[float, float]:
    if not costs:
        return math.nan, math.nan
    return float(np.median(costs)), float(np.percentile(costs, 95))
