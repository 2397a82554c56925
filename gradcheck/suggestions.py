"""What somebody may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(typed: object, known: Iterable[str]) -> str | None:
    """Return "did you mean 'W1'?" for the nearest known name, None if none is near."""
    by_folded = {name.casefold(): name for name in known}
    close = get_close_matches(str(typed).casefold(), by_folded, n=1)
    return f"did you mean {by_folded[close[0]]!r}?" if close else None
