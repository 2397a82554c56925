"""The pieces that the views are built from: styles, glyphs, and labelled lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from gradcheck.rendering import wording

STYLES = {"pass": "green", "fail": "bold red", "inconclusive": "bold yellow"}

INDENT = 2


@dataclass(frozen=True)
class Glyphs:
    """The characters beyond ASCII that a view uses, or what stands in for them."""

    rule: str
    plus_minus: str


UNICODE = Glyphs(rule="─", plus_minus="±")
ASCII = Glyphs(rule="-", plus_minus="+-")


def text(words: object, style: str = "") -> Text:
    """Return words, the user's or ours, as they are: nothing in them is markup."""
    # Not the style of the whole: more may be appended in another.
    return Text(overflow="fold").append(wording.printable(words), style)


def lines(labelled: Sequence[tuple[str, str]]) -> RenderableType:
    """Return labels with what they label beside them, wrapped under itself."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, width=max(len(label) for label, _ in labelled))
    grid.add_column(overflow="fold")
    for label, words in labelled:
        grid.add_row(text(label, "dim"), text(words))
    return Padding(grid, (0, 0, 0, INDENT))
