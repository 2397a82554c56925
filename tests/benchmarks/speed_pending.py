"""What this version of the checker can do: the only place of the benchmark that asks."""

from __future__ import annotations

from typing import Any

from gradcheck.options import settle_options


def knows(**options: Any) -> bool:
    """Return whether a check takes these options."""
    try:
        settle_options(options)
    except (TypeError, ValueError):
        return False
    return True
