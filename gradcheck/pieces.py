"""Work on large arrays in pieces: what lies in between stays in the cache, and takes no memory.

An array of some megabytes takes longer to get from the system than to be filled.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from gradcheck.leaves import DOUBLE, Array, is_all

# Entries at a time: few enough to stay in the cache and to need no pages from the system, which
# it gives from 128 KB on, many enough to hide the loop.
PIECE = 16_000
# Up to so many entries bytes are compared before numbers, which is faster.
FEW = 1024
# Sizes that float32 has room for, and for all beside them that matters.
SMALLEST = 1e-20
LONGEST = np.dtype(np.longdouble)


def in_pieces(written: Array, *read: Array) -> Iterator[tuple[Array, ...]]:
    """Yield a few entries at a time of arrays of one shape, the same of each; the first is written.

    Of small arrays the arrays themselves, of large ones flat pieces in whatever order they lie.
    """
    if written.size <= PIECE:
        yield written, *read
        return
    arrays = written, *read
    if all(array.flags.c_contiguous for array in arrays):
        flat = [array.reshape(-1) for array in arrays]
        for start in range(0, written.size, PIECE):
            yield tuple([array[start : start + PIECE] for array in flat])
        return
    # One list of flags per array, which numpy's annotation does not know.
    flags: Any = [["readwrite"], *[["readonly"]] * len(read)]
    iterator = np.nditer(
        [written, *read], flags=["external_loop", "buffered"], op_flags=flags, buffersize=PIECE
    )
    with iterator:
        yield from iterator


def is_finite(array: Array) -> bool:
    """Return whether all entries are finite."""
    if array.size <= PIECE:
        return is_all(np.isfinite(array))
    return all(is_all(np.isfinite(piece)) for (piece,) in in_pieces(array))


def same_numbers(one: Array, other: Array) -> bool:
    """Return whether two arrays hold the same numbers, NaN at the same places included."""
    if one is other or one.shape != other.shape:
        return one is other
    if one.size <= FEW and one.dtype == other.dtype and one.tobytes() == other.tobytes():
        return True
    equal = all(is_all(here == there) for here, there in in_pieces(one, other))
    return equal or np.array_equal(one, other, equal_nan=True)


def differing(one: Mapping[str, Array], other: Mapping[str, Array]) -> tuple[str, ...]:
    """Return the names whose arrays do not hold the same numbers."""
    return tuple(name for name in one if not same_numbers(one[name], other[name]))


def zeros(shape: tuple[int, ...]) -> Array:
    """Return zeros to read, which take no memory."""
    return np.ndarray(shape, DOUBLE, buffer=bytes(DOUBLE.itemsize), strides=(0,) * len(shape))


def compact_dtype(sizes: Array) -> np.dtype[Any]:
    """Return float32 for a large array of such sizes, where that has room for the largest of them.

    Of small arrays, and of very small or large sizes, nothing is to be gained.
    """
    if sizes.dtype == np.float32 or is_compact(sizes, float(np.max(sizes, initial=0.0))):
        return np.dtype(np.float32)
    return DOUBLE


def is_compact(array: Array, largest: float) -> bool:
    """Return whether numbers for every entry of an array are better held in float32.

    Parameters
    ----------
    largest: about the size of the largest of those numbers
    """
    return array.size > PIECE and SMALLEST < largest < 1 / SMALLEST


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
    if moved.size <= PIECE:
        return _moved(moved, origin, *given, step=step)
    room = np.empty(PIECE)
    return sum(
        [
            _moved(target, start, *rest, step=step, room=room[: target.size])
            for target, start, *rest in in_pieces(moved, origin, *given)
        ]
    )


def _moved(
    moved: Array,
    origin: Array,
    direction: Array,
    analytic: Array | None = None,
    *,
    step: float,
    room: Array | None = None,
) -> float:
    """Return what `step_along` does, given room for the move in float64 where that saves time."""
    move = np.multiply(direction, step, out=room, dtype=DOUBLE)
    np.add(origin, move, out=moved, casting="same_kind")
    if analytic is None:
        return 0.0
    # In float64 at least: a difference in float32 would be rounded once more.
    taken = np.subtract(moved, origin, dtype=LONGEST if moved.dtype == LONGEST else DOUBLE)
    return float(np.vdot(analytic, taken))
