"""The terminal view as a picture that needs nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from rich.console import RenderableType
from rich.text import Text

from gradcheck.rendering.console import recording_console
from gradcheck.rendering.wording import printable

WIDTH = 88

# rich's own template fetches a font from a server; this one takes what the reader has.
# Preserved space keeps indents where a viewer would trim them.
_SVG = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"
 xml:space="preserve">
<style>
.{unique_id}-matrix, .{unique_id}-title {{
  font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, "Liberation Mono", monospace;
}}
.{unique_id}-matrix {{ font-size: {char_height}px; line-height: {line_height}px; }}
.{unique_id}-title {{ font-size: 16px; font-weight: bold; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def picture(views: Sequence[RenderableType], title: str) -> str:
    """Return an SVG document of the views, one below the other."""
    console = recording_console(StringIO(), WIDTH)
    for position, view in enumerate(views):
        if position:
            console.print(Text(""))
        console.print(view)
    return console.export_svg(title=printable(title), code_format=_SVG)
