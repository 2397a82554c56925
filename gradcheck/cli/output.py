"""Where the report goes: opened, announced and, if it cannot be finished, removed, only here."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path
from typing import TextIO

from gradcheck.cli.messages import tell
from gradcheck.cli.parser import UsageError

STANDARD_OUTPUT = "-"


def check_writable(output: str) -> None:
    """Check, before anything is computed, that the report could be written.

    Raises
    ------
    UsageError
        when there is no such folder, or a folder in the way
    """
    if output == STANDARD_OUTPUT:
        return
    path = Path(output)
    if path.is_dir():
        raise UsageError(f"--output must be a file, got the folder {output!r}")
    if not path.parent.is_dir():
        raise UsageError(f"--output: no folder {str(path.parent)!r}", f"mkdir -p {path.parent}")


def layout_stream(output: str) -> TextIO:
    """Return the stream whose width, encoding and colours the report is laid out for."""
    return sys.stdout if output == STANDARD_OUTPUT else StringIO()


def write(text: str, output: str) -> None:
    """Write the report to standard output or to a file.

    Raises
    ------
    UsageError
        when the file cannot be written; nothing half-written is left behind
    """
    if output == STANDARD_OUTPUT:
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
        return
    path = Path(output)
    try:
        with path.open("w", encoding="utf-8") as file:
            try:
                file.write(text)
            except BaseException:
                if path.is_file():
                    path.unlink()
                raise
    except OSError as error:
        raise UsageError(f"--output: cannot write {output!r}: {error.strerror}") from error
    tell(f"report written to {output}")
