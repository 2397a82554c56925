"""What is said when something raises: the user's own frames for theirs, a traceback for ours."""

from __future__ import annotations

import linecache
import os
import sysconfig
import traceback
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from gradcheck.cli.messages import say, tell

if TYPE_CHECKING:
    from gradcheck.targets import TargetError

PACKAGE = Path(__file__).resolve().parent.parent
FRAMES = 6


def is_users(error: BaseException) -> bool:
    """Return whether the user's code raised it: its frames come after our last one."""
    after_ours: list[str] = []
    for file, _ in _frames(error.__traceback__):
        if _is_gradcheck(file):
            after_ours.clear()
        elif not _is_machinery(file):
            after_ours.append(file)
    return bool(after_ours)


def is_about_arguments(error: BaseException) -> bool:
    """Return whether we raised it about the arguments we were given."""
    innermost = [file for file, _ in _frames(error.__traceback__)][-1:]
    return isinstance(error, ValueError | TypeError) and any(map(_is_gradcheck, innermost))


def described(error: BaseException) -> str:
    """Return the kind of an exception and its message."""
    said = str(error).strip()
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def users_lines(error: BaseException) -> list[str]:
    """Return the last lines of the user's code that led to an exception, and its notes."""
    places = list(_frames(error.__traceback__))
    ours = [position for position, (file, _) in enumerate(places) if _is_gradcheck(file)]
    places = places[ours[0] :] if ours else places
    kept = [
        (file, line) for file, line in places if not _is_gradcheck(file) and not _is_machinery(file)
    ]
    # Each line once in a row: a recursion says nothing more by its depth.
    shown = [_line(*place) for place, _ in list(groupby(kept))[-FRAMES:]]
    if isinstance(error, SyntaxError) and error.filename:
        source = (error.text or "").strip()
        shown.append(f"  {_short(error.filename)}:{error.lineno}  {source}")
    notes = [f"  note: {note}" for note in getattr(error, "__notes__", ())]
    return shown + notes


def say_target(error: TargetError) -> None:
    """Print why a target cannot be checked, with the user's lines if their code raised."""
    cause = error.__cause__
    say(error.message, tip=error.tip, lines=users_lines(cause) if cause else None)


def say_bug(doing: str, error: BaseException) -> None:
    """Print a failure of gradcheck itself, with its traceback."""
    tell("".join(traceback.format_exception(error)).rstrip())
    say(f"{doing} failed inside gradcheck; please report this with the traceback above")


def _frames(trace: TracebackType | None) -> Iterator[tuple[str, int]]:
    for frame, line in traceback.walk_tb(trace):
        yield frame.f_code.co_filename, line


def _is_gradcheck(file: str) -> bool:
    return PACKAGE in Path(file).parents


def _is_machinery(file: str) -> bool:
    """Return whether a file is of Python itself or numpy: both we and the user call them."""
    if file.startswith("<"):
        return file.startswith("<frozen ")
    path = Path(file)
    if "site-packages" in path.parts or "dist-packages" in path.parts:
        return "numpy" in path.parts
    return Path(sysconfig.get_path("stdlib")) in path.parents


def _line(file: str, line: int) -> str:
    source = linecache.getline(file, line).strip()
    return f"  {_short(file)}:{line}  {source}".rstrip()


def _short(file: str) -> str:
    here = os.getcwd() + os.sep
    return file.removeprefix(here)
