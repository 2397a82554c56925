"""What several calls of one gradient say: the same within rounding, growing, out of date."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.leaves import Array
from gradcheck.pieces import same_numbers

Floats = npt.NDArray[np.float64]

# Two backprops of the same numbers may differ by this many units of round-off (threads).
REPEATABLE_UNITS = 256.0
# Bits that a number may have by chance without its precision being told.
SHORT_BITS = 12
# Whole numbers up to here are counts and scales: a gradient of 1e6 may be one in any precision.
LARGEST_WHOLE = 2.0**20
# Solvers that start where they stopped differ by their tolerance, a gradient left over from
# other parameters by about as much as it changes on the way to them.
STALE_PART = 1e-3
FIRST_FEW = 8
# A mantissa between 0.5 and 1 that float32 has room for is a whole number of times 1 over this.
FLOAT32_DIGITS = 2.0**24


def difference(first: Array, second: Array, unit: float | None = None) -> Floats | None:
    """Return how far two gradients of one point differ per entry, None if only by rounding."""
    if first.shape != second.shape:
        return np.full(first.shape, np.inf)
    with np.errstate(all="ignore"):
        is_finite = bool(np.isfinite(first.sum()))
    if is_finite and same_numbers(first, second):
        return None
    with np.errstate(invalid="ignore"):  # inf - inf
        change = np.abs(as_double(second) - as_double(first))
    size = float(np.max(np.abs(first), initial=0.0))
    allowed = REPEATABLE_UNITS * (unit_of(first) if unit is None else unit) * size
    # Compared this way round, a NaN is a difference too.
    return None if np.all(change <= allowed) else change


def grows(first: Array, second: Array, third: Array) -> bool:
    """Return whether every call adds the same to what the one before returned."""
    if difference(first, second) is None:
        return False
    one, two, three = as_double(first), as_double(second), as_double(third)
    with np.errstate(invalid="ignore"):  # inf - inf
        steps = three - two, two - one
    return difference(*steps, unit=unit_of(first)) is None


def is_stale(calls: tuple[Array, Array, Array | None], scale: Floats, size: float) -> bool:
    """Return whether a gradient seems to belong, in part, to other parameters than it should.

    Parameters
    ----------
    calls: the gradient right after the loss at the same parameters, the one in doubt, and that of
        the other parameters, None if unknown
    scale: distance that counts as of order one, per entry
    size: of what the gradient's terms add up to, in the unit of the loss
    """
    fresh, suspect, elsewhere = calls
    change = difference(fresh, suspect)
    if change is None or elsewhere is None or elsewhere.shape != fresh.shape:
        return False
    if not (np.all(np.isfinite(change)) and np.all(np.isfinite(elsewhere))):
        return False
    # Terms that cancel leave their rounding, which may be all there is of a gradient.
    visible = np.max(change * scale) > REPEATABLE_UNITS * unit_of(fresh) * size
    natural = np.max(np.abs(as_double(elsewhere) - as_double(fresh)))
    return bool(visible and natural > 0.0 and np.max(change) >= STALE_PART * natural)


def precision_of(array: Array) -> np.dtype[Any]:
    """Return the dtype that an array's numbers have, which may be less than it has room for."""
    if array.dtype != np.float64:
        return array.dtype
    # The first few tell of nearly all arrays that they have all digits.
    if any(math.frexp(x)[0] * FLOAT32_DIGITS % 1.0 for x in array.flat[:FIRST_FEW].tolist()):
        return array.dtype
    with np.errstate(over="ignore"):
        rounded = np.array_equal(array.astype(np.float32), array)
    return np.dtype(np.float32) if rounded and not np.all(_fits_anywhere(array)) else array.dtype


def _fits_anywhere(array: Floats) -> npt.NDArray[np.bool_]:
    """Return which numbers have few digits: 0.5, 3, 1e6, or a difference of neighbours."""
    mantissa, _ = np.frexp(array)
    is_short = np.ldexp(mantissa, SHORT_BITS) % 1.0 == 0.0
    is_whole = (array % 1.0 == 0.0) & (np.abs(array) <= LARGEST_WHOLE)
    return np.asarray(is_short | is_whole)


def unit_of(array: Array) -> float:
    """Return the round-off of an array's dtype, 0 where its numbers are exact."""
    return float(np.finfo(array.dtype).eps) if array.dtype.kind == "f" else 0.0


def as_double(array: Array) -> Floats:
    """Return an array's numbers in float64."""
    return np.asarray(array, dtype=np.float64)
