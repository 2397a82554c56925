"""The table: a row per parameter, grouped by layer, in as many columns as fit whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.box import Box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from gradcheck.rendering import wording
from gradcheck.rendering.text import STYLES, Glyphs
from gradcheck.report import GradientReport, LayerReport, ParameterReport

# Two lines each, so that numbers, not titles, decide how wide a column is.
TITLES = {
    "parameter": "\nparameter",
    "shape": "\nshape",
    "checked": "\nchecked",
    "verified": "verified\nto",
    "error": "relative\nerror",
    "where": "\nworst at",
    "verdict": "\nverdict",
}
RIGHT = ("checked", "verified", "error")
DROPPED_FIRST = ("where", "shape", "checked", "error", "verified")

GAP = 2  # the box draws one of them
NAME_SHARE = 0.3  # of the width: a longer name folds before a further column is dropped


@dataclass(frozen=True)
class Row:
    """One line of the table: what stands in each column, and the verdict that colours it."""

    cells: dict[str, str]
    verdict: str
    heading: bool = False


def parameter_table(report: GradientReport, width: int, glyphs: Glyphs) -> Table:
    """Return the table in at most `width` columns; only names fold, the rest is whole or absent."""
    rows = [row for layer in report.layers for row in _rows(layer)]
    columns = _fitting(rows, width)
    table = Table(
        box=_head_rule(glyphs), padding=(0, GAP - 1, 0, 0), pad_edge=False, show_edge=False
    )
    for column, wide in columns.items():
        table.add_column(
            Text(TITLES[column]),
            width=wide,
            justify="right" if column in RIGHT else "left",
            overflow="fold",
            no_wrap=column != "parameter",
        )
    for row in rows:
        table.add_row(*(_cell(row, column) for column in columns))
    return table


def _rows(layer: LayerReport) -> Iterator[Row]:
    alone = len(layer.parameters) == 1 and layer.parameters[0].name == layer.name
    if not alone:
        cells = {"parameter": wording.layer_title(layer.name), "verdict": _word(layer.verdict)}
        yield Row(cells, layer.verdict, heading=True)
    for parameter in layer.parameters:
        yield Row(_cells(parameter, indent="" if alone else "  "), parameter.verdict)


def _cells(parameter: ParameterReport, indent: str) -> dict[str, str]:
    worst = parameter.worst
    failed = parameter.verdict == "fail"
    return {
        "parameter": indent + wording.printable(parameter.name),
        "shape": str(tuple(parameter.shape)),
        "checked": f"{parameter.checked_count}/{parameter.size}",
        "verified": wording.UNKNOWN if failed else wording.bound(parameter.resolution),
        "error": wording.relative(worst),
        "where": wording.place(worst.index) if worst else wording.UNKNOWN,
        "verdict": " ".join([_word(parameter.verdict), *_code(parameter)]),
    }


def _fitting(rows: list[Row], width: int) -> dict[str, int]:
    """Return the columns that fit, with their widths."""
    widths = {column: _natural(rows, column) for column in TITLES}
    shortest_name = min(widths["parameter"], round(width * NAME_SHARE))
    for column in DROPPED_FIRST:
        if _total(widths) - widths["parameter"] + shortest_name <= width:
            break
        del widths[column]
    too_wide = max(0, _total(widths) - width)
    widths["parameter"] = max(1, widths["parameter"] - too_wide)
    return widths


def _natural(rows: list[Row], column: str) -> int:
    texts = [*TITLES[column].split("\n"), *(row.cells.get(column, "") for row in rows)]
    return max(map(cell_len, texts))


def _total(widths: dict[str, int]) -> int:
    return sum(widths.values()) + GAP * (len(widths) - 1)


def _cell(row: Row, column: str) -> Text:
    text = row.cells.get(column, "")
    style = "bold" if row.heading else ""
    if column == "verdict":
        style = f"{style} {STYLES[row.verdict]}".strip()
    return Text(text, style=style)


def _head_rule(glyphs: Glyphs) -> Box:
    blank = "    \n"
    return Box(blank * 2 + f"{glyphs.rule * 4}\n" + blank * 4 + "    ", ascii=glyphs.rule == "-")


def _code(parameter: ParameterReport) -> list[str]:
    """Return the code of what explains a failure best, where anything does."""
    if parameter.verdict != "fail":
        return []
    return [finding.code for finding in parameter.findings if finding.severity == "error"][:1]


def _word(verdict: str) -> str:
    return wording.VERDICT_WORDS[verdict]
