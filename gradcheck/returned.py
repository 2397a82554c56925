"""What calls of the user's functions returned: a loss as one number, a gradient as real arrays."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.leaves import Array, as_reals, described
from gradcheck.parameters import match


class LossNotScalar(ValueError):
    """A loss that is not one real number."""


@dataclass(frozen=True, eq=False)
class Returned:
    """One gradient as it came.

    Attributes
    ----------
    arrays: by parameter name, those that could be read; where they could be, in the memory that
        the user's code returned
    faulty: names of the parameters for which there is no such array
    fault: what is wrong with the structure; "" where nothing is
    real: names of complex parameters whose gradient came as real numbers
    """

    arrays: Mapping[str, Array]
    faulty: tuple[str, ...] = ()
    fault: str = ""
    real: tuple[str, ...] = ()

    def copied(self) -> dict[str, Array]:
        """Return copies of the arrays, which later calls cannot write to."""
        return {name: array.copy() for name, array in self.arrays.items()}


def read_gradient(
    template: Any, gradient: Any, names: Collection[str], complex_names: Collection[str]
) -> Returned:
    """Return the named parts of a gradient.

    Parameters
    ----------
    template: the parameters it should be nested like
    gradient: what the user's code returned
    names: of the parameters wanted
    complex_names: of the parameters whose gradient is read as pairs (real, imaginary)
    """
    matched = match(template, gradient, names)
    arrays: dict[str, Array] = {}
    faults = [matched.fault] if matched.fault else []
    real = []
    for name in names:
        if name not in matched.leaves:
            continue
        array = _array(matched.leaves[name])
        if array.dtype.kind not in ("fiubc" if name in complex_names else "fiub"):
            numbers = "numbers" if name in complex_names else "real numbers"
            faults.append(
                f"{name} must be an array of {numbers}, got {described(matched.leaves[name])}"
            )
        elif name not in complex_names:
            arrays[name] = array
        elif array.dtype.kind == "c":
            arrays[name] = as_reals(array)
        else:
            arrays[name] = np.stack([array, np.zeros_like(array)], axis=-1)
            real.append(name)
    faulty = tuple(name for name in names if name not in arrays)
    if matched.fault and not faulty:
        # Something unexpected only: nobody can tell which gradient it was meant to be.
        faulty = tuple(names)
    return Returned(arrays, faulty, "; ".join(faults), tuple(real))


def _array(value: Any) -> Array:
    try:
        return np.asarray(value)
    except ValueError:  # a ragged list
        return np.asarray(None)


def read_loss(result: Any) -> Any:
    """Return the one real number that a loss returned; raise LossNotScalar for anything else."""
    if isinstance(result, float):  # np.float64 is one too
        return float(result)
    try:
        array = np.asarray(result)
    except ValueError:  # such as a pair of a number and an array
        raise LossNotScalar(f"loss must be one real number, got {described(result)}") from None
    if array.size != 1 or array.dtype.kind not in "fiub":
        raise LossNotScalar(f"loss must be one real number, got {described(result)}")
    if array.dtype.kind == "f" and array.dtype.itemsize > np.dtype(np.float64).itemsize:
        # More digits than a float has are kept for the differences that live on them.
        return np.longdouble(array.reshape(())[()])
    return float(array.reshape(()))


def read_complex_loss(result: Any) -> complex:
    """Return the one complex number that a loss returned; raise LossNotScalar for anything else."""
    array = np.asarray(result)
    if array.size != 1 or array.dtype.kind != "c":
        raise LossNotScalar(f"loss must be one complex number, got {described(result)}")
    return complex(array.reshape(()))
