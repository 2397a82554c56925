"""What the command says beside the report, on stderr."""

from __future__ import annotations

import sys


def say(message: str, *, tip: str | None = None, lines: list[str] | None = None) -> None:
    """Print an error, with where it comes from and what to do about it."""
    shown = [f"error: {message}", *(lines or []), *([f"  tip: {tip}"] if tip else [])]
    tell("\n".join(shown))


def tell(text: str) -> None:
    """Print to stderr, which can show any text."""
    print(text, file=sys.stderr)
