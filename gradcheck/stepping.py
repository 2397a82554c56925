"""A step along a direction, written straight into the array that the user's code is given."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.leaves import DOUBLE, Array

# Entries that are moved at a time: few enough to stay in the cache, many enough to hide the loop.
BLOCK = 16_384


def step_along(
    moved: Array, origin: Array, direction: Array, step: float, analytic: Array | None = None
) -> float:
    """Move an array from its origin along a direction, and return what a gradient says of that.

    That is the gradient times the step really taken: rounded to the precision of the array, it is
    not quite the one asked for.

    Parameters
    ----------
    moved: becomes ``origin + step * direction``
    origin, direction, analytic: of its shape, in any precision; 0 is returned without a gradient
    """
    given = [direction] if analytic is None else [direction, analytic]
    if moved.size <= BLOCK:
        return _moved(moved, origin, step, *given)
    # One list of flags per array, which numpy's annotation does not know.
    flags: Any = [["writeonly"], ["readonly"], *[["readonly"]] * len(given)]
    blocks = np.nditer(
        [moved, origin, *given],
        flags=["external_loop", "buffered"],
        op_flags=flags,
        buffersize=BLOCK,
    )
    with blocks:
        return sum(_moved(target, start, step, *rest) for target, start, *rest in blocks)


def _moved(
    moved: Array, origin: Array, step: float, direction: Array, analytic: Array | None = None
) -> float:
    move = np.multiply(direction, step, out=np.empty(moved.shape), dtype=DOUBLE)
    np.add(origin, move, out=moved, casting="same_kind")
    if analytic is None:
        return 0.0
    # In float64 at least: a difference in float32 would be rounded once more.
    taken = move if moved.dtype == DOUBLE else None
    taken = np.subtract(moved, origin, out=taken, dtype=np.promote_types(moved.dtype, DOUBLE))
    return float(np.vdot(analytic, taken))
