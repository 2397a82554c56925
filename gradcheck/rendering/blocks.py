"""The blocks under the table: what fails, what is undecided, the findings, the probes."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType

from gradcheck.rendering import wording
from gradcheck.rendering.text import STYLES, Glyphs, lines, text
from gradcheck.report import Finding, GradientReport, ParameterReport

BLOCKS = 8
NAMES = 8


def failing_blocks(
    report: GradientReport, glyphs: Glyphs, *, verbose: bool
) -> Iterator[RenderableType]:
    """Yield a block per failing parameter, the first eight unless `verbose`."""
    failing = [part for part in report.parameters if part.verdict == "fail"]
    shown = failing if verbose else failing[:BLOCKS]
    for parameter in shown:
        yield _failing_block(parameter, glyphs)
    rest = len(failing) - len(shown)
    if rest:
        yield text(f"and {rest:,} more (-v shows all)")


def inconclusive_blocks(report: GradientReport) -> Iterator[RenderableType]:
    """Yield a block per reason, naming the parameters that share it."""
    groups: dict[str, list[str]] = {}
    for parameter in report.parameters:
        if parameter.verdict == "inconclusive":
            groups.setdefault(parameter.reason, []).append(parameter.name)
    for reason, names in groups.items():
        title = text("INCONCLUSIVE  ", STYLES["inconclusive"])
        title.append_text(text(wording.listing(names, NAMES), "bold"))
        yield Group(title, lines([("because", reason or "no reason was recorded")]))


def finding_blocks(report: GradientReport, *, notes: bool = True) -> Iterator[RenderableType]:
    """Yield a block per finding, errors before notes."""
    order = ("error", "note") if notes else ("error",)
    for severity in order:
        for finding in report.findings:
            if finding.severity == severity:
                yield _finding_block(finding)


def probe_blocks(report: GradientReport, glyphs: Glyphs) -> Iterator[RenderableType]:
    """Yield, for every parameter, its probes and its entries that could not be resolved."""
    for parameter in report.parameters:
        labelled = [
            _probe_line(number, parameter, glyphs) for number in range(len(parameter.probes))
        ]
        checked = wording.plural(parameter.checked_count, "entry")
        unresolved = f"{parameter.unresolved_count:,} of {checked} compared"
        labelled.append(("unresolved", f"{unresolved} (smaller than their error bar)"))
        yield Group(text(parameter.name, "bold"), lines(labelled))


def _failing_block(parameter: ParameterReport, glyphs: Glyphs) -> RenderableType:
    title = text("FAIL  ", STYLES["fail"])
    title.append_text(text(parameter.name, "bold"))
    if parameter.layer != parameter.name:
        title.append_text(text(f" ({wording.layer_title(parameter.layer)})"))
    title.append_text(text(f": {wording.wrongness(parameter)}"))
    labelled = _worst_lines(parameter, glyphs)
    return Group(title, lines(labelled)) if labelled else title


def _worst_lines(parameter: ParameterReport, glyphs: Glyphs) -> list[tuple[str, str]]:
    worst, probes = parameter.worst, wording.disagreeing(parameter)
    if worst is not None and (wording.shows_error(worst) or not probes):
        analytic, numerical = wording.compared(worst, glyphs.plus_minus)
        gap, _ = wording.beyond(abs(worst.analytic - worst.numerical), worst.error_bar)
        off = f"{gap}, relative error {wording.magnitude(worst.relative_error)}"
        where = [("worst at", wording.place(worst.index))] if worst.index else []
        return [*where, ("analytic", analytic), ("numerical", numerical), ("off by", off)]
    if not probes:
        return []
    analytic, numerical = wording.compared(probes[0], glyphs.plus_minus)
    return [
        ("along", f"{wording.DIRECTIONS[probes[0].kind]} through the whole parameter"),
        ("analytic", f"{analytic} (slope)"),
        ("numerical", numerical),
    ]


def _finding_block(finding: Finding) -> RenderableType:
    style = STYLES["fail"] if finding.severity == "error" else STYLES["inconclusive"]
    title = text(f"{finding.severity} {finding.code} {finding.slug}", style)
    title.append_text(text(f": {finding.title}"))
    layer = [wording.layer_title(finding.layer)] if finding.layer else []
    where = wording.listing(finding.parameters, NAMES) if finding.parameters else ""
    labelled = [
        ("in", ", ".join([*layer, *([where] if where else [])])),
        ("evidence", finding.evidence),
        ("try", finding.suggestion),
        ("or", ", ".join(finding.alternatives)),
    ]
    labelled = [(label, words) for label, words in labelled if words]
    return Group(title, lines(labelled)) if labelled else title


def _probe_line(number: int, parameter: ParameterReport, glyphs: Glyphs) -> tuple[str, str]:
    probe = parameter.probes[number]
    analytic, numerical = wording.compared(probe, glyphs.plus_minus)
    cost = wording.plural(probe.evaluations, "evaluation")
    along = "" if probe.kind == "random" else f" along {wording.DIRECTIONS[probe.kind]}"
    words = f"{probe.outcome}{along}: analytic {analytic}, numerical {numerical}, {cost}"
    return f"probe {number + 1}", words
