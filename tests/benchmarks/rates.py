"""Rates with their confidence limits, and tables of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from outcomes import BUGS, Record

# Standard deviations of 95 % of a normal distribution.
NORMAL_95 = 1.959963984540054
HEADER = (
    "false fail",
    "passes",
    *(f"finds {bug:.0e}".replace("e-0", "e-") for bug in BUGS[1:]),
    "truth inside bar",
    "bar / error",
    "evaluations",
)


@dataclass(frozen=True)
class Rate:
    """A count out of a number, with 95 % confidence limits (Wilson's score interval)."""

    count: int
    total: int

    @property
    def limits(self) -> tuple[float, float]:
        """Lower and upper confidence limit."""
        if not self.total:
            return 0.0, 1.0
        part, spread = self.count / self.total, NORMAL_95**2 / self.total
        middle = (part + spread / 2) / (1 + spread)
        half = math.sqrt(spread * (part * (1 - part) + spread / 4)) / (1 + spread)
        low = 0.0 if self.count == 0 else middle - half
        return low, 1.0 if self.count == self.total else middle + half

    def __str__(self) -> str:
        if not self.total:
            return "–"
        low, high = self.limits
        part = 100 * self.count / self.total
        return f"{part:.1f} % ({100 * low:.1f}–{100 * high:.1f})"


def rate(records: Sequence[Record], is_counted: str) -> Rate:
    """Return how many records have a property, such as "passed"."""
    return Rate(sum(getattr(record, is_counted) for record in records), len(records))


@dataclass(frozen=True)
class Figures:
    """What the comparisons of one tool add up to.

    Attributes
    ----------
    false_fail: right claims that failed
    passes: right gradients (no bug) that passed, with or without a note
    detection: bugs of each size that failed, of those that are wrong
    coverage: truths inside the error bar
    sharpness: median of error bar over error; NaN without error bars
    evaluations: median and 95th percentile over comparisons that passed
    """

    false_fail: Rate
    passes: Rate
    detection: dict[float, Rate]
    coverage: Rate
    sharpness: float
    evaluations: tuple[float, float]

    def cells(self) -> list[str]:
        """Return the figures as the cells of a table, in the order of HEADER."""
        inside = self.coverage
        return [
            f"{self.false_fail.count} of {self.false_fail.total}",
            str(self.passes),
            *(str(found) for found in self.detection.values()),
            f"{inside.count} of {inside.total}" if inside.total else "–",
            "–" if math.isnan(self.sharpness) else f"{self.sharpness:.3g}",
            "{:.0f}, {:.0f}".format(*self.evaluations) if self.passes.count else "–",
        ]


def figures(records: Sequence[Record]) -> Figures:
    """Return what comparisons add up to."""
    right = [record for record in records if record.right]
    barred = [record for record in records if record.has_bar]
    smooth = [record.sharpness for record in barred if not record.entry.at_kink]
    costs = [record.said.evaluations for record in right if record.passed]
    return Figures(
        false_fail=rate(right, "failed"),
        passes=rate([record for record in right if not record.bug], "passed"),
        detection={bug: rate(_wrong(records, bug), "failed") for bug in BUGS[1:]},
        coverage=rate(barred, "covered"),
        sharpness=float(np.median(smooth)) if smooth else math.nan,
        evaluations=_spread(costs),
    )


def _wrong(records: Sequence[Record], bug: float) -> list[Record]:
    return [record for record in records if record.bug == bug and not record.right]


def _spread(costs: Sequence[int]) -> tuple[float, float]:
    if not costs:
        return math.nan, math.nan
    return float(np.median(costs)), float(np.percentile(costs, 95))


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table that reads well as text and renders as Markdown."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [_line(header, widths), _line(["-" * width for width in widths], widths)]
    return "\n".join(lines + [_line(row, widths) for row in rows])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return f"| {' | '.join(padded)} |"
