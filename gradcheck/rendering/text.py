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
GAP = 2
LONGEST_LABEL = len("numerical")

# A label and what stands beside it.
Labelled = tuple[str, str | Text]


@dataclass(frozen=True)
class Glyphs:
    """The characters beyond ASCII that a view uses, or what stands in for them."""

    rule: str
    plus_minus: str
    wrong: str
    partly: str
    right: str


UNICODE = Glyphs(rule="─", plus_minus="±", wrong="■", partly="□", right="·")
ASCII = Glyphs(rule="-", plus_minus="+-", wrong="#", partly="+", right=".")


@dataclass(frozen=True)
class Layout:
    """How wide a view is, and what it is drawn with."""

    width: int
    glyphs: Glyphs

    @property
    def room(self) -> int:
        """Columns beside the labels of a block."""
        return max(1, self.width - INDENT - LONGEST_LABEL - GAP)


def text(words: object, style: str = "") -> Text:
    """Return words, the user's or ours, as they are: nothing in them is markup."""
    # Not the style of the whole: more may be appended in another.
    return Text(overflow="fold").append(wording.printable(words), style)


def lines(labelled: Sequence[Labelled]) -> RenderableType:
    """Return labels with what they label beside them, wrapped under itself."""
    grid = Table.grid(padding=(0, GAP, 0, 0))
    grid.add_column(no_wrap=True, width=max(len(label) for label, _ in labelled))
    grid.add_column(overflow="fold")
    for label, words in labelled:
        grid.add_row(text(label, "dim"), words if isinstance(words, Text) else text(words))
    return Padding(grid, (0, 0, 0, INDENT))
