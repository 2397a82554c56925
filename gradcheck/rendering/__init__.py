"""One report, many views; the only place that imports rich, and not before a view needs it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from io import StringIO
from typing import TYPE_CHECKING

from gradcheck.rendering.message import render_message, render_verdict
from gradcheck.rendering.verified import render_verified

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from gradcheck.report import GradientReport

__all__ = [
    "make_console",
    "render_message",
    "render_on",
    "render_plain",
    "render_svg",
    "render_terminal",
    "render_verdict",
    "render_verified",
]


def render_terminal(
    report: GradientReport, *, verbose: bool = False, quiet: bool = False, rerun: str | None = None
) -> RenderableType:
    """Return the report as something a rich console can print.

    Parameters
    ----------
    verbose: adds the probes of every parameter, its unresolved entries, and all failing parameters
    quiet: leaves what is wrong or undecided and the verdict
    rerun: the command that repeats the check, shown where something is wrong or undecided
    """
    from gradcheck.rendering.terminal import ReportView

    return ReportView(report, verbose=verbose, quiet=quiet, rerun=rerun)


def render_plain(
    report: GradientReport,
    *,
    width: int = 80,
    verbose: bool = False,
    quiet: bool = False,
    rerun: str | None = None,
    encoding: str | None = None,
) -> str:
    """Return the terminal view as text without any escape sequence.

    Parameters
    ----------
    encoding: what the text must fit in; that of standard output by default
    """
    encoding = encoding or getattr(sys.stdout, "encoding", None) or "utf-8"
    view = render_terminal(report, verbose=verbose, quiet=quiet, rerun=rerun)
    return render_on(_text_console(width, encoding), view)


def render_svg(
    report: GradientReport | Sequence[GradientReport],
    *,
    verbose: bool = False,
    quiet: bool = False,
) -> str:
    """Return a self-contained picture of the terminal view of one report or several."""
    from gradcheck.rendering.svg import picture
    from gradcheck.report import GradientReport

    reports = [report] if isinstance(report, GradientReport) else list(report)
    views = [render_terminal(each, verbose=verbose, quiet=quiet) for each in reports]
    return picture(views, title="  ".join(["gradcheck", *(each.name for each in reports)]))


def make_console(stream: object, color: str = "auto") -> Console:
    """Return a rich console for `stream`; `color` is "auto", "always" or "never"."""
    from gradcheck.rendering.console import make_console as make

    return make(stream, color)


def render_on(console: Console, view: RenderableType) -> str:
    """Return the text that `console` would print; every character of it can be written there."""
    with console.capture() as capture:
        # Uncropped, for the command that reruns the check: the terminal may fold that line.
        console.print(view, crop=False)
    text = capture.get()
    if console.color_system is None:
        text = "".join(f"{line.rstrip()}\n" for line in text.split("\n")[:-1])
    return text.encode(console.encoding, "backslashreplace").decode(console.encoding)


class _Text(StringIO):
    """A stream in memory that, unlike its parent, has an encoding."""

    encoding = "utf-8"


def _text_console(width: int, encoding: str) -> Console:
    from gradcheck.rendering.console import plain_console

    stream = _Text()
    stream.encoding = encoding
    return plain_console(stream, width)
