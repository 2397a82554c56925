"""A small picture of which entries of a parameter are wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from rich.text import Text

from gradcheck.rendering.text import STYLES, Glyphs, Layout, text
from gradcheck.rendering.wording import plural
from gradcheck.report import ParameterReport

# Higher pictures push what is said about the cause off the screen.
LINES = 8


@dataclass(frozen=True)
class _Grid:
    """A mask, an array of rows and columns, and how many of each a mark stands for."""

    mask: Any
    tall: int
    wide: int

    @property
    def is_folded(self) -> bool:
        """Whether a mark stands for more than one entry."""
        return self.tall * self.wide > 1


def wrong_map(parameter: ParameterReport, layout: Layout) -> Text | None:
    """Return the wrong entries as marks under a caption; None where that would show nothing."""
    if parameter.wrong is None or parameter.wrong.all() or not parameter.wrong.any():
        return None
    # Leading axes in rows, as numpy prints them.
    mask = parameter.wrong.reshape(-1, parameter.wrong.shape[-1])
    rows, columns = mask.shape
    grid = _Grid(mask, math.ceil(rows / LINES), math.ceil(columns / layout.room))
    picture = text(_caption(parameter, grid, layout.glyphs))
    # Marks are taller than they are wide: a gap between two makes them square.
    gap = " " if 2 * columns - 1 <= layout.room else ""
    for top in range(0, rows, grid.tall):
        picture.append("\n")
        for left in range(0, columns, grid.wide):
            mark = _mark(grid, top, left, layout.glyphs)
            style = STYLES["pass"] if mark == layout.glyphs.right else STYLES["fail"]
            picture.append((gap if left else "") + mark, style)
    return picture


def _mark(grid: _Grid, top: int, left: int, glyphs: Glyphs) -> str:
    part = grid.mask[top : top + grid.tall, left : left + grid.wide]
    if part.all():
        return glyphs.wrong
    return glyphs.partly if part.any() else glyphs.right


def _caption(parameter: ParameterReport, grid: _Grid, glyphs: Glyphs) -> str:
    """Return what a mark stands for: "7x7, one mark per entry: # wrong, . ok"."""
    shape, (rows, columns) = parameter.shape, grid.mask.shape
    size = "x".join(map(str, shape)) if len(shape) > 1 else plural(columns, "entry")
    if len(shape) > 2:
        size += f" as {rows}x{columns}, leading axes in rows"
    entries = f"{grid.tall}x{grid.wide} entries" if len(shape) > 1 else f"{grid.wide} entries"
    cell = entries if grid.is_folded else "entry"
    partly = f", {glyphs.partly} partly" if grid.is_folded else ""
    return f"{size}, one mark per {cell}: {glyphs.wrong} wrong{partly}, {glyphs.right} ok"
