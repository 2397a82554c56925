"""What somebody may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

CANDIDATES = 5


def did_you_mean(typed: object, known: Iterable[str]) -> str | None:
    """Return "did you mean 'W1'?" for the nearest known name, None if none is near."""
    from difflib import SequenceMatcher, get_close_matches

    by_folded = {name.casefold(): name for name in known}
    word = str(typed).casefold()

    def nearness(name: str) -> tuple[float, int]:
        # Of names that are equally near, such as GC201 and GC211, that which begins alike.
        alike = takewhile(lambda pair: pair[0] == pair[1], zip(name, word, strict=False))
        return SequenceMatcher(None, name, word).ratio(), len(list(alike))

    close = sorted(get_close_matches(word, by_folded, n=CANDIDATES))
    return f"did you mean {by_folded[max(close, key=nearness)]!r}?" if close else None
