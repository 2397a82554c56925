"""Consoles whose width, colours and glyphs are decided here, not guessed by rich.

rich takes any FORCE_COLOR, even "0", for a yes, writes bold under NO_COLOR, and measures the
keyboard's terminal where the report goes into a pipe.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import IO, Any, cast

from rich.console import Console

DEFAULT_WIDTH = 80
NARROWEST = 20


def make_console(stream: object, color: str = "auto") -> Console:
    """Return a console for `stream`, with colours as `color` and the environment have it."""
    colored = wants_color(stream, color, os.environ)
    return _console(stream, width_of(stream, os.environ), "standard" if colored else None)


def plain_console(stream: object, width: int) -> Console:
    """Return a console that writes no escape sequence, whatever the environment says."""
    return _console(stream, width, None)


def recording_console(stream: object, width: int) -> Console:
    """Return a console that remembers what it prints, for a picture of it."""
    return _console(stream, width, "truecolor", record=True)


def wants_color(stream: object, color: str, environment: Mapping[str, str]) -> bool:
    """Return whether to colour: the option, then NO_COLOR, FORCE_COLOR, TERM, then the stream."""
    if color != "auto":
        return color == "always"
    if environment.get("NO_COLOR"):
        return False
    forced = environment.get("FORCE_COLOR", "")
    if forced:
        return forced.lower() not in ("0", "false", "no", "off")
    return environment.get("TERM") not in ("dumb", "unknown") and _is_terminal(stream)


def width_of(stream: object, environment: Mapping[str, str]) -> int:
    """Return the columns of `stream`: COLUMNS if set, else its terminal's, else 80."""
    columns = environment.get("COLUMNS", "")
    if columns.isdecimal() and int(columns) > 0:
        return max(int(columns), NARROWEST)
    if not _is_terminal(stream):
        return DEFAULT_WIDTH
    try:
        width = os.get_terminal_size(cast(IO[str], stream).fileno()).columns
    except (OSError, ValueError):
        width = 0
    return max(width, NARROWEST) if width else DEFAULT_WIDTH


def _is_terminal(stream: object) -> bool:
    try:
        return bool(cast(IO[str], stream).isatty())
    except (AttributeError, ValueError):  # no such method, or a closed file
        return False


def _console(stream: object, width: int, colors: Any, *, record: bool = False) -> Console:
    return Console(
        file=cast(IO[str], stream),
        width=width,
        height=25,
        color_system=colors,
        force_terminal=colors is not None,
        no_color=colors is None,
        force_interactive=False,
        legacy_windows=False,
        highlight=False,
        markup=False,
        emoji=False,
        record=record,
    )
