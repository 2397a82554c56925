"""Exit codes, and which one several outcomes make together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradcheck.report import GradientReport

PASSED = 0
WRONG = 1
COULD_NOT_RUN = 2
INCONCLUSIVE = 3
NOTHING_CHECKED = 5
INTERRUPTED = 130

# One bad target does not hide another, and nothing hides behind a pass.
_GRAVEST_FIRST = (COULD_NOT_RUN, WRONG, INCONCLUSIVE, NOTHING_CHECKED, PASSED)


def of_report(report: GradientReport, *, allow_inconclusive: bool) -> int:
    """Return the exit code of one report."""
    if not report.parameters:
        return NOTHING_CHECKED
    if report.verdict == "fail":
        return WRONG
    if report.verdict == "pass":
        return PASSED
    # An error beside an undecided verdict: the loss gave nothing to compare with.
    if any(finding.severity == "error" for finding in report.findings):
        return COULD_NOT_RUN
    return PASSED if allow_inconclusive else INCONCLUSIVE


def together(codes: Iterable[int]) -> int:
    """Return the gravest of the codes; of none at all, that nothing was checked."""
    seen = set(codes)
    return next((code for code in _GRAVEST_FIRST if code in seen), NOTHING_CHECKED)
