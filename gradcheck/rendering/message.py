"""A report in a dozen lines: the text of an AssertionError. Never imports rich."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from gradcheck.rendering import wording

if TYPE_CHECKING:
    from gradcheck.report import Finding, GradientReport, ParameterReport

CULPRITS_IN_FIRST_LINE = 2
CULPRITS = 4
NAMES = 2
CAUSES = 2
CODES = 2
# pytest prints a message twice where CI is set.
LINES = 12


def render_message(report: GradientReport, *, rerun: str | None = None) -> str:
    """Return the verdict in one line, then at most eleven lines of what supports it."""
    explained = [_cause(finding, report) for finding in wording.errors(report)]
    culprits = [_culprit(part) for part in wording.unexplained(report)]
    undecided = _reasons(part for part in report.parameters if part.verdict == "inconclusive")
    last = [f"  {wording.tally(report)}, seed {report.seed}"]
    if codes := wording.codes(report, CODES):
        last.append(f"  learn: gradcheck --explain {' '.join(codes)}")
    if rerun is not None:
        last.append(f"  rerun: {rerun}")
    body = [line for lines in explained[:CAUSES] for line in lines]
    body += [lines[0] for lines in explained[CAUSES:]] + _limited(culprits) + _limited(undecided)
    return "\n".join([_first_line(report), *_cut(body, LINES - 1 - len(last)), *last])


def render_verdict(report: GradientReport) -> str:
    """Return the verdict, what it is about and the report's name, in one line."""
    return f"{wording.VERDICT_TITLES[report.verdict]}  {_first_line(report)}"


def _first_line(report: GradientReport) -> str:
    phrase, names, besides = wording.headline(report)
    about = f"({wording.printable(report.name)})" if report.name else ""
    if not names:
        return f"{phrase} {about}".rstrip()
    return f"{_culprits(report, names)}: {phrase}{besides} {about}".rstrip()


def _culprits(report: GradientReport, names: Sequence[str]) -> str:
    """Return who is to blame and why, one parameter for every cause, then those without one."""
    shown: list[str] = []
    left = list(names)
    for finding in wording.errors(report):
        concerned = [name for name in left if name in finding.parameters]
        if concerned:
            shown.append(f"{wording.printable(concerned[0])} {wording.cause(finding)}".rstrip())
        elif not finding.parameters:  # about all that were never measured
            shown.append(finding.slug)
            concerned = [name for name in left if report[name].reason]
            names = [name for name in names if name not in concerned[1:]]
        left = [name for name in left if name not in concerned]
    shown += [wording.printable(name) for name in left]
    kept = shown[:CULPRITS_IN_FIRST_LINE]
    rest = len(names) - len(kept)
    return ", ".join(kept) + (f" and {rest:,} more" if rest > 0 else "")


def _cause(finding: Finding, report: GradientReport) -> list[str]:
    """Return a cause in four lines: what it is, an entry, the evidence, what to try."""
    concerned = wording.failing_of(finding, report)
    worst = wording.worst_of(concerned)
    names = f" {wording.listing(finding.parameters, NAMES)}:" if finding.parameters else ""
    extent = wording.extent(concerned)
    wrong = f" ({extent} wrong)" if extent else ""
    lines = [f"  {finding.code}{names} {wording.printable(finding.title)}{wrong}"]
    if worst is not None and wording.shows_error(worst.worst):
        lines.append(f"    at {_entry(worst)}")
    lines.append(f"    evidence: {wording.printable(finding.evidence)}")
    if finding.suggestion:
        lines.append(f"    try: {wording.printable(finding.suggestion)}")
    return lines


def _culprit(parameter: ParameterReport) -> str:
    extent = wording.wrongness(parameter)
    if not wording.shows_error(parameter.worst):
        return f"  {wording.printable(parameter.name)}: {extent}"
    return f"  {_entry(parameter)} ({extent})"


def _entry(parameter: ParameterReport) -> str:
    """Return the worst entry with both values."""
    name, worst = wording.printable(parameter.name), parameter.worst
    if worst is None:
        return name
    analytic, numerical = wording.compared(worst, "+-")
    where = wording.place(worst.index) if worst.index else ""
    return f"{name}{where}: analytic {analytic}, numerical {numerical}"


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


def _cut(lines: list[str], most: int) -> list[str]:
    """Return as many lines as there is room for, and that there are more where there are."""
    return lines if len(lines) <= most else [*lines[: most - 1], "  and more"]
