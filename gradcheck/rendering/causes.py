"""What is wrong: a block per cause, and one per failing parameter whose cause is not known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from gradcheck.rendering import wording
from gradcheck.rendering.text import STYLES, Labelled, Layout, lines, text
from gradcheck.rendering.wrong_map import wrong_map
from gradcheck.report import Comparison, Finding, GradientReport, ParameterReport

BLOCKS = 8
NAMES = 8
NAMES_IN_TITLE = 3
# Causes that are looked for in the wrong entries themselves: several are shown.
OF_ENTRIES = ("sparse_entry", wording.NO_CAUSE)


def wrong_blocks(
    report: GradientReport, layout: Layout, *, verbose: bool
) -> Iterator[RenderableType]:
    """Yield a block per cause, then one per failing parameter without; eight unless `verbose`."""
    items: list[Finding | ParameterReport] = [*wording.errors(report)]
    items += wording.unexplained(report)
    shown = items if verbose else items[:BLOCKS]
    told: set[str] = set()
    for item in shown:
        if isinstance(item, Finding):
            yield _cause_block(item, report, told, layout)
        else:
            yield _failing_block(item, layout)
    rest = len(items) - len(shown)
    if rest:
        yield text(f"and {rest:,} more (-v shows all)")


def _cause_block(
    finding: Finding, report: GradientReport, told: set[str], layout: Layout
) -> RenderableType:
    """Return one cause; values of a parameter that another cause has shown are not repeated."""
    concerned = wording.failing_of(finding, report)
    worst = wording.worst_of(concerned)
    named, several = len(finding.parameters) > 1, finding.slug in OF_ENTRIES
    values: list[Labelled] = []
    picture: list[Labelled] = []
    if worst is not None and worst.name not in told:
        values = _values(worst, layout, named=named, several=several)
        picture = _map(worst, layout, named=named)
    told.update(finding.parameters)
    title, extent = _title(finding, concerned, layout.width)
    many = len(finding.parameters) > NAMES_IN_TITLE
    labelled: list[Labelled] = [
        ("wrong", extent),
        ("in", wording.listing(finding.parameters, NAMES) if many else ""),
        ("layer", finding.layer or ""),
        *values,
        ("evidence", finding.evidence),
        ("try", finding.suggestion),
        ("or", ", ".join(finding.alternatives)),
        *picture,
    ]
    labelled = [(label, words) for label, words in labelled if words]
    return Group(title, lines(labelled)) if labelled else title


def _title(finding: Finding, concerned: Sequence[ParameterReport], width: int) -> tuple[Text, str]:
    """Return the first line of a cause, and how much is wrong where that does not fit in it."""
    title = text(f"{finding.code} {finding.slug}", STYLES["fail"]).append("  ")
    if finding.parameters:
        most = 1 if len(finding.parameters) > NAMES_IN_TITLE else NAMES_IN_TITLE
        title.append_text(text(wording.listing(finding.parameters, most), "bold")).append(": ")
    title.append_text(text(finding.title))
    extent = wording.extent(concerned)
    if extent and title.cell_len + len(f"  ({extent} wrong)") <= width:
        return title.append(f"  ({extent} wrong)"), ""
    return title, extent


def _failing_block(parameter: ParameterReport, layout: Layout) -> RenderableType:
    title = text("FAIL  ", STYLES["fail"])
    title.append_text(text(parameter.name, "bold"))
    if parameter.layer != parameter.name:
        title.append_text(text(f" ({wording.layer_title(parameter.layer)})"))
    title.append_text(text(f": {wording.wrongness(parameter)}"))
    labelled = _values(parameter, layout, named=False, several=True)
    labelled += _map(parameter, layout, named=False)
    return Group(title, lines(labelled)) if labelled else title


def _values(
    parameter: ParameterReport, layout: Layout, *, named: bool, several: bool
) -> list[Labelled]:
    """Return the worst entry, or else the probe that disagrees; `several`: more entries too."""
    worst, probes = parameter.worst, wording.disagreeing(parameter)
    if worst is not None and (wording.shows_error(worst) or not probes):
        prefix = wording.printable(parameter.name) if named else ""
        rows = _entry(worst, prefix, layout)
        if several:
            gap, _ = wording.beyond(abs(worst.analytic - worst.numerical), worst.error_bar)
            off = f"{gap}, relative error {wording.magnitude(worst.relative_error)}"
            further = [entry for entry in parameter.worst_entries if entry.index != worst.index]
            rows += [("off by", off), *_further(further, layout)]
        return rows
    if not probes:
        return []
    analytic, numerical = wording.compared(probes[0], layout.glyphs.plus_minus)
    prefix = f"{wording.printable(parameter.name)}, " if named else ""
    return [
        ("along", f"{prefix}{wording.DIRECTIONS[probes[0].kind]} through the whole parameter"),
        ("analytic", f"{analytic} (slope)"),
        ("numerical", numerical),
    ]


def _entry(entry: Comparison, prefix: str, layout: Layout) -> list[Labelled]:
    """Return an entry in one line, or in three where that would be too long."""
    where = prefix + (wording.place(entry.index) if entry.index else "")
    analytic, numerical = wording.compared(entry, layout.glyphs.plus_minus)
    values: list[Labelled] = [("analytic", analytic), ("numerical", numerical)]
    if not where:
        return values
    line = f"{where}  analytic {analytic}  numerical {numerical}"
    return [("at", line)] if len(line) <= layout.room else [("at", where), *values]


def _further(entries: Sequence[Comparison], layout: Layout) -> list[Labelled]:
    """Return further entries, a line each where there is room for their values."""
    if not entries:
        return []
    places = [wording.place(entry.index) for entry in entries]
    pairs = [wording.compared(entry, layout.glyphs.plus_minus) for entry in entries]
    wide, high = max(map(len, places)), max(len(analytic) for analytic, _ in pairs)
    table = [
        f"{place:<{wide}}  analytic {analytic:<{high}}  numerical {numerical}"
        for place, (analytic, numerical) in zip(places, pairs, strict=True)
    ]
    if max(map(len, table)) > layout.room:
        return [("also at", ", ".join(places))]
    return [("also at" if not number else "", line) for number, line in enumerate(table)]


def _map(parameter: ParameterReport, layout: Layout, *, named: bool) -> list[Labelled]:
    picture = wrong_map(parameter, layout)
    if picture is None:
        return []
    return [("map", Text.assemble(text(f"{parameter.name}, " if named else ""), picture))]
