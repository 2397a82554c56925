"""What a tool says about one comparison, and whether it was right."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from families import Entry

BUGS = (0.0, 1e-2, 1e-4, 1e-6)
# A right claim at a kink may miss the subdifferential by its own rounding.
CLAIM_ROUNDING = 1e-12
# No error is taken to be smaller than the rounding of the true slope itself.
SMALLEST_ERROR = float(np.finfo(np.float64).eps)
ROUNDED = 2 * SMALLEST_ERROR


@dataclass(frozen=True)
class Measurement:
    """What a tool says about one slope.

    Attributes
    ----------
    verdict: "pass", "fail", "inconclusive", or "kink": a pass with the note that it is one
    value, bar: the numerical slope and its error bar; NaN where the tool tells none
    jump: slope to the right minus slope to the left, where the tool found a kink
    evaluations: calls of the loss
    limit: what kept the bar from being smaller
    """

    verdict: str
    value: float = math.nan
    bar: float = math.nan
    jump: float = 0.0
    evaluations: int = 0
    limit: str = ""


@dataclass(frozen=True)
class Record:
    """One comparison by one tool, beside the truth.

    Attributes
    ----------
    right: whether the claim was right
    """

    tool: str
    family: str
    number: int
    entry: Entry
    bug: float
    right: bool
    said: Measurement

    @property
    def has_bar(self) -> bool:
        """Whether the tool told a slope with an error bar."""
        return math.isfinite(self.said.value) and math.isfinite(self.said.bar)

    @property
    def covered(self) -> bool:
        """Whether the truth is inside the error bar: at a kink, both slopes."""
        said, entry = self.said, self.entry
        ends = (said.value - said.jump / 2, said.value + said.jump / 2)
        # The two numbers compared are rounded themselves.
        bar = said.bar + ROUNDED * max(abs(entry.left), abs(entry.right))
        if entry.at_kink:
            pairs = zip(ends, (entry.left, entry.right), strict=True)
            return all(abs(end - true) <= bar for end, true in pairs)
        return any(abs(end - entry.right) <= bar for end in ends)

    @property
    def sharpness(self) -> float:
        """How many times larger the error bar is than the error."""
        true = self.entry.right
        error = max(abs(self.said.value - true), SMALLEST_ERROR * abs(true))
        return self.said.bar / error if error else math.inf


def is_right(entry: Entry, analytic: float, bug: float) -> bool:
    """Return whether a slope made wrong by the relative size `bug` is still a right one."""
    return bug == 0.0 or (
        entry.at_kink and entry.holds(analytic * (1 + bug), CLAIM_ROUNDING * abs(analytic))
    )
