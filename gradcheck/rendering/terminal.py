"""The terminal view: header, table, what is wrong and why, and the verdict in the last line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from gradcheck import __version__
from gradcheck.rendering import blocks, wording
from gradcheck.rendering.table import parameter_table
from gradcheck.rendering.text import ASCII, STYLES, UNICODE, Layout, text
from gradcheck.report import GradientReport

# More lessons than these nobody reads at once.
CODES_TO_LEARN = 3


@dataclass(frozen=True)
class ReportView:
    """A report that a rich console can print, laid out for its width and encoding."""

    report: GradientReport
    verbose: bool = False
    quiet: bool = False
    rerun: str | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield the sections, a blank line between two."""
        glyphs = ASCII if options.ascii_only else UNICODE
        for section in self._sections(Layout(options.max_width, glyphs)):
            yield section
            yield Text("")
        yield _verdict(self.report, options.max_width)

    def _sections(self, layout: Layout) -> Iterator[RenderableType]:
        report = self.report
        if not self.quiet:
            yield _header(report)
            if report.parameters:
                yield parameter_table(report, layout.width, layout.glyphs)
        if wording.errors(report) or wording.unexplained(report):
            from gradcheck.rendering.causes import wrong_blocks

            yield from wrong_blocks(report, layout, verbose=self.verbose)
        yield from blocks.inconclusive_blocks(report)
        if not self.quiet:
            yield from blocks.note_blocks(report)
        if self.verbose:
            yield from blocks.probe_blocks(report, layout.glyphs)
        if not self.quiet:
            yield from _remarks(report)
        commands = list(self._commands())
        if commands:
            yield Group(*commands)

    def _commands(self) -> Iterator[RenderableType]:
        """Yield what to type next, each in one line, however long, so that it can be copied."""
        codes = wording.codes(self.report, CODES_TO_LEARN)
        if codes and not self.quiet:
            yield _command("learn", f"gradcheck --explain {' '.join(codes)}")
        if self.rerun is not None and not self.report.ok:
            yield _command("rerun", wording.printable(self.rerun))


def _command(label: str, command: str) -> RenderableType:
    return Text(f"{label}  {command}", no_wrap=True, overflow="ignore")


def _header(report: GradientReport) -> RenderableType:
    header = text(f"gradcheck {__version__}  ", "dim")
    header.append_text(text(report.name, "bold"))
    header.append_text(text(f"  seed {report.seed}", "dim"))
    return header


def _remarks(report: GradientReport) -> Iterator[RenderableType]:
    """Yield the notes of the report and what a pass rules out, line by line."""
    remarks = [f"note: {note}" for note in report.notes]
    claim = wording.ruled_out(report)
    if claim:
        remarks.append(claim)
    if remarks:
        yield Group(*(text(remark) for remark in remarks))


def _verdict(report: GradientReport, width: int) -> RenderableType:
    """Return the verdict as the last line; what the check took goes before it if it must."""
    phrase, names, besides = wording.headline(report)
    title = f"{wording.VERDICT_TITLES[report.verdict]}  "
    tally = f"   {wording.tally(report)}"
    line = text(title, STYLES[report.verdict])
    room = width - cell_len(title + phrase)
    named = _fitting_names(names, room - cell_len(besides + tally))
    if bool(named) == bool(names) and cell_len(named + besides + tally) <= room:
        line.append_text(text(phrase + named + besides + tally))
        return line
    named = _fitting_names(names, room - cell_len(besides))
    besides = besides if cell_len(named + besides) <= room else ""
    line.append_text(text(phrase + named + besides))
    return Group(text(tally.strip()), line)


def _fitting_names(names: tuple[str, ...], room: int) -> str:
    """Return as many names as fit in `room` columns, each of them whole."""
    for most in range(min(len(names), room), 0, -1):
        words = f": {wording.listing(names, most)}"
        if cell_len(words) <= room:
            return words
    return ""
