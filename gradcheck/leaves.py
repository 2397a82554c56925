"""Leaves of the parameters as arrays of real numbers, and how the user gets them back."""

from __future__ import annotations

from collections.abc import Collection
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
DOUBLE = np.dtype(np.float64)


def usable_array(name: str, leaf: Any, *, live: bool) -> Array | None:
    """Return a parameter that has a derivative as an array, None for a leaf that has none.

    The array shares the leaf's memory where the leaf is one.

    Parameters
    ----------
    name: the parameter's name, for messages
    leaf: what the user gave
    live: whether it has to be an array that can be written to

    Raises
    ------
    TypeError, ValueError
        when it is no array of finite floating-point numbers, or cannot be written to
    """
    if leaf is None or isinstance(leaf, str | bytes) or callable(leaf):
        return None
    array: Array = np.asanyarray(leaf)
    if array.dtype.kind in "iub":
        return None
    if _is_masked(leaf):
        raise TypeError(f"parameter {name!r} must not be a masked array; check .filled(...)")
    if array.dtype.kind not in "fc":
        raise TypeError(f"parameter {name!r} must be an array of floats, got {described(leaf)}")
    if live and not (isinstance(leaf, np.ndarray) and leaf.flags.writeable):
        raise TypeError(
            f"parameter {name!r} of an in-place problem must be a writeable array, "
            f"got {_unwriteable(leaf)}"
        )
    plain = np.asarray(array)
    if not is_all(np.isfinite(plain)):
        bad = plain[~np.isfinite(plain)].flat[0]
        raise ValueError(f"parameter {name!r} must be finite, got {bad}")
    return array


def as_reals(array: Array) -> Array:
    """Return a view of real numbers: of a complex array its pairs (real, imaginary), last axis.

    The view is of the plain array type: what a subclass makes of indices and products is its own.
    """
    plain = np.asarray(array)
    if plain.dtype.kind != "c":
        return plain
    # The real part's type knows the byte order too.
    return plain[..., np.newaxis].view(plain.real.dtype)


def as_complex(pairs: Array) -> Array:
    """Return the complex array of pairs (real, imaginary) in the last axis."""
    result = np.empty(pairs.shape[:-1], np.result_type(pairs.dtype, np.complex64))
    result.real, result.imag = pairs[..., 0], pairs[..., 1]
    return result


def as_given(leaf: Any, array: Array) -> Any:
    """Return an array as what the leaf was: an array, a scalar of numpy or a Python number."""
    if isinstance(leaf, np.generic):
        return array[()]
    return array.item() if isinstance(leaf, float | complex) else array


def described(value: Any) -> str:
    """Return what a value is, for a message."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array of shape {value.shape}"
    return "None" if value is None else f"{type(value).__name__} {value!r}"[:80]


def kinds_instead(skipped: Collection[str], empty: Collection[str]) -> str:
    """Return what parameters are where none of them has a number to move, for a message.

    Parameters
    ----------
    skipped: names of those that are no floats
    empty: names of those without entries
    """
    if skipped:
        names = ", ".join(skipped)
        return f"only integers or other types in {names}; convert with .astype(float)"
    return "only empty ones" if empty else "nothing"


def _is_masked(leaf: Any) -> bool:
    # Only what may be one asks for numpy.ma, which takes a quarter as long to load as numpy itself.
    is_subclass = isinstance(leaf, np.ndarray) and type(leaf) is not np.ndarray
    return is_subclass and isinstance(leaf, np.ma.MaskedArray)


def _unwriteable(leaf: Any) -> str:
    return f"{described(leaf)}, read-only" if isinstance(leaf, np.ndarray) else described(leaf)


def is_all(mask: npt.NDArray[np.bool_]) -> bool:
    """Return whether all entries are true; of a small array sooner than numpy's reduction does."""
    return int(np.count_nonzero(mask)) == mask.size


def digest(array: Array) -> bytes:
    """Return a digest that changes as the array does."""
    if array.dtype.kind in "fc" and array.real.dtype.itemsize > DOUBLE.itemsize:
        # A long double has padding, whose bytes mean nothing.
        reals = as_reals(array)
        with np.errstate(all="ignore"):
            leading = reals.astype(DOUBLE)
            array = np.stack([leading, (reals - leading).astype(DOUBLE)])
    return blake2b(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data).digest()
