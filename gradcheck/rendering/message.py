"""A report in a dozen lines: the text of an AssertionError. Never imports rich."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from gradcheck.rendering import wording

if TYPE_CHECKING:
    from gradcheck.report import Finding, GradientReport, ParameterReport

NAMES_IN_FIRST_LINE = 2
CULPRITS = 4
CAUSES = 2
# pytest prints a message twice where CI is set.
LINES = 12


def render_message(report: GradientReport, *, rerun: str | None = None) -> str:
    """Return the verdict in one line, then at most about ten lines of what supports it."""
    body = _limited([_culprit(part) for part in _with_verdict(report, "fail")])
    body += _limited(_reasons(_with_verdict(report, "inconclusive")))
    errors = [finding for finding in report.findings if finding.severity == "error"]
    for finding in errors[:CAUSES]:
        body += [f"  {_cause(finding)}", f"    {wording.printable(finding.evidence)}"]
    last = [f"  {wording.tally(report)}, seed {report.seed}"]
    if rerun is not None:
        last.append(f"  rerun: {rerun}")
    lines = [_first_line(report), *body[: LINES - 1 - len(last)], *last]
    return "\n".join(lines)


def render_verdict(report: GradientReport) -> str:
    """Return the verdict, what it is about and the report's name, in one line."""
    return f"{wording.VERDICT_TITLES[report.verdict]}  {_first_line(report)}"


def _first_line(report: GradientReport) -> str:
    phrase, names, besides = wording.headline(report)
    about = f"({wording.printable(report.name)})" if report.name else ""
    if not names:
        return f"{phrase} {about}".rstrip()
    shown = [_with_cause(report[name]) for name in names[:NAMES_IN_FIRST_LINE]]
    rest = len(names) - len(shown)
    culprits = ", ".join(shown) + (f" and {rest:,} more" if rest else "")
    return f"{culprits}: {phrase}{besides} {about}".rstrip()


def _with_cause(parameter: ParameterReport) -> str:
    causes = [finding.slug for finding in parameter.findings if finding.severity == "error"]
    return " ".join([wording.printable(parameter.name), *causes[:1]])


def _with_verdict(report: GradientReport, verdict: str) -> list[ParameterReport]:
    return [part for part in report.parameters if part.verdict == verdict]


def _culprit(parameter: ParameterReport) -> str:
    name, worst = wording.printable(parameter.name), parameter.worst
    extent = wording.wrongness(parameter)
    if worst is None or not wording.shows_error(worst):
        return f"  {name}: {extent}"
    analytic, numerical = wording.compared(worst, "+-")
    where = wording.place(worst.index) if worst.index else ""
    return f"  {name}{where}: analytic {analytic}, numerical {numerical} ({extent})"


def _reasons(parameters: Iterable[ParameterReport]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for parameter in parameters:
        groups.setdefault(parameter.reason, []).append(parameter.name)
    return [
        f"  {wording.listing(names, CULPRITS)}: {wording.printable(reason) or 'undecided'}"
        for reason, names in groups.items()
    ]


def _limited(lines: list[str]) -> list[str]:
    rest = len(lines) - CULPRITS
    return lines[:CULPRITS] + ([f"  and {rest:,} more"] if rest > 0 else [])


def _cause(finding: Finding) -> str:
    return f"{finding.code} {finding.slug}: {wording.printable(finding.title)}"
