"""Tables of a calibration: text that renders as Markdown."""

from __future__ import annotations

import math
from collections.abc import Sequence

from outcomes import BUGS, Record
from rates import Figures, figures

HEADER = (
    "false fail",
    "passes",
    "passes, kink noted",
    "finds 1e-2",
    "finds 1e-4",
    "finds 1e-6",
    "truth inside bar",
    "bar / error",
    "evaluations",
    "at kinks",
)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table that reads well as text and renders as Markdown."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [_line(header, widths), _line(["-" * width for width in widths], widths)]
    return "\n".join(lines + [_line(row, widths) for row in rows])


def cells(found: Figures) -> list[str]:
    """Return figures as the cells of a table, in the order of HEADER."""
    false, inside = found.false_fail, found.coverage
    return [
        f"{false.count} of {false.total}, below {100 * false.limits[1]:.2g} %",
        str(found.passes),
        str(found.kinks) if found.kinks.count else "–",
        *(str(detected) for detected in found.detection.values()),
        f"{inside.count} of {inside.total}" if inside.total else "–",
        "–" if math.isnan(found.sharpness) else f"{found.sharpness:.3g}",
        _spread(found.evaluations),
        _spread(found.evaluations_at_kinks),
    ]


def family_rows(records: Sequence[Record]) -> list[list[str]]:
    """Return one tool's figures by family and in total."""
    families = dict.fromkeys(record.family for record in records)
    rows = [[name, *cells(figures([r for r in records if r.family == name]))] for name in families]
    return [*rows, ["all", *cells(figures(records))]]


def tool_rows(records: Sequence[Record]) -> list[list[str]]:
    """Return every tool's figures over all families."""
    tools = dict.fromkeys(record.tool for record in records)
    return [[name, *cells(figures([r for r in records if r.tool == name]))] for name in tools]


def matrix(records: Sequence[Record]) -> tuple[list[str], list[list[str]]]:
    """Return the header and rows of the compact table, by family and tool.

    A cell holds the percentages of right claims that failed and of bugs of 1e-2, 1e-4 and 1e-6
    that were found.
    """
    families = dict.fromkeys(record.family for record in records)
    tools = dict.fromkeys(record.tool for record in records)
    rows = [
        [family, *(_compact([r for r in records if r.family == family], tool) for tool in tools)]
        for family in families
    ]
    return ["family", *tools], rows


def _compact(records: Sequence[Record], tool: str) -> str:
    found = figures([record for record in records if record.tool == tool])
    percentages = [found.false_fail.part, *(found.detection[bug].part for bug in BUGS[1:])]
    return " / ".join("–" if math.isnan(part) else f"{100 * part:.0f}" for part in percentages)


def _spread(costs: tuple[float, float]) -> str:
    median, high = costs
    return "–" if math.isnan(median) else f"{median:.0f}, {high:.0f}"


def _line(texts: Sequence[str], widths: Sequence[int]) -> str:
    padded = (text.ljust(width) for text, width in zip(texts, widths, strict=True))
    return f"| {' | '.join(padded)} |"
