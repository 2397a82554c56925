"""What this version of the checker can do: the only place of the benchmark that asks."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from gradcheck.options import settle_options


def knows(**options: Any) -> bool:
    """Return whether a check takes these options."""
    try:
        settle_options(options)
    except (TypeError, ValueError):
        return False
    return True


def knows_layers() -> bool:
    """Return whether the entries of a problem that shows its layers are compared through them."""
    return find_spec("gradcheck.layer_numbers") is not None
