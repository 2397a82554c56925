"""The blocks below what is wrong: what is undecided, the notes, the probes."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType

from gradcheck.rendering import wording
from gradcheck.rendering.text import STYLES, Glyphs, lines, text
from gradcheck.report import Finding, GradientReport, ParameterReport

NAMES = 8


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


def note_blocks(report: GradientReport) -> Iterator[RenderableType]:
    """Yield a block per note."""
    for finding in report.findings:
        if finding.severity == "note":
            yield _note_block(finding)


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


def _note_block(finding: Finding) -> RenderableType:
    title = text(f"note {finding.code} {finding.slug}", STYLES["inconclusive"])
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
