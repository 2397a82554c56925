"""Where losses are evaluated: the user's code, called on working copies and counted."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.parameters import flatten, flatten_like, rebuilder
from gradcheck.problem import Problem

Array = npt.NDArray[Any]


class LossNotScalar(ValueError):
    """A loss that is not one real number."""


class Evaluator:
    """Calls the user's functions on working arrays, and puts those back exactly.

    Attributes
    ----------
    original: the floating-point parameters as they were given, by name; never handed out
    working: the arrays the user's code gets: copies, or for an in-place problem the live arrays
    skipped: names of leaves without a derivative (integers, booleans, text), handed on as copies
    evaluations, gradient_calls: calls of the user's code so far
    """

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.leaves = flatten(problem.parameters)
        taken = {
            name: _floats(name, leaf, live=problem.in_place) for name, leaf in self.leaves.items()
        }
        self.original = {name: array for name, array in taken.items() if array is not None}
        self.skipped = tuple(name for name, array in taken.items() if array is None)
        self.working = {
            name: self.leaves[name] if problem.in_place else array.copy(order="K")
            for name, array in self.original.items()
        }
        self.evaluations = 0
        self.gradient_calls = 0
        self._containers = rebuilder(problem.parameters)
        self._scalars = [
            name for name in self.original if not isinstance(self.leaves[name], np.ndarray)
        ]
        fixed = {name: self.leaves[name] for name in self.skipped}
        self._fixed = {k: leaf.copy() for k, leaf in fixed.items() if isinstance(leaf, np.ndarray)}

    def loss(self) -> float:
        """Return the loss at the working arrays.

        Raises
        ------
        LossNotScalar
            when the user's loss returns anything but one real number
        """
        self.evaluations += 1
        if self.problem.loss is not None:
            return _scalar(self._called(self.problem.loss, "loss"))
        return _scalar(self._value_and_gradient()[0])

    def gradient(self) -> Any:
        """Return what the user's gradient returns at the working arrays."""
        self.gradient_calls += 1
        if not callable(self.problem.gradient):
            return self.problem.gradient
        if self.problem.loss is None:
            return self._value_and_gradient()[1]
        return self._called(self.problem.gradient, "gradient")

    def gradient_at(
        self, changes: Mapping[str, Array], names: Collection[str]
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Return the named parts of the gradient with some parameters changed; {} if it raises."""
        try:
            with np.errstate(all="ignore"), self._changed(changes):
                found = flatten_like(self.problem.parameters, self.gradient(), names)
                return {name: np.array(found[name], dtype=np.float64) for name in names}
        except Exception:
            return {}

    def loss_at(self, changes: Mapping[str, Array]) -> float:
        """Return the loss with some parameters changed; NaN where it cannot be evaluated.

        A loss that raises or is no number away from the given point has a domain that ends
        nearby, which is not an error.
        """
        try:
            with np.errstate(all="ignore"), self._changed(changes):
                return self.loss()
        except Exception:
            return float("nan")

    @contextmanager
    def _changed(self, changes: Mapping[str, Array]) -> Iterator[None]:
        try:
            for name, values in changes.items():
                self.working[name][...] = values
            yield
        finally:
            self.restore(changes)

    def changed_by_loss_at(self, changes: Mapping[str, Array]) -> tuple[str, ...]:
        """Return the names of arrays that the loss, called with some changed, changes itself."""
        with self._changed(changes):
            before = {name: array.copy() for name, array in self.working.items()}
            try:
                with np.errstate(all="ignore"):
                    self.loss()
            except Exception:
                pass
            changed = _differing(self.working, before)
        self.restore()
        return changed

    def loss_at_entry(self, name: str, index: tuple[int, ...], value: Any) -> float:
        """Return the loss with one entry changed; NaN where it cannot be evaluated."""
        working = self.working[name]
        try:
            working[index] = value
            with np.errstate(all="ignore"):
                return self.loss()
        except Exception:
            return float("nan")
        finally:
            working[index] = self.original[name][index]

    def complex_loss_at(self, changes: Mapping[str, Array]) -> complex:
        """Return the loss at complex copies of all parameters, some of them changed.

        Not for in-place problems, whose live arrays have no room for an imaginary part. What the
        loss raises comes through, and so does numpy's ComplexWarning, as an exception.
        """
        self.evaluations += 1
        copies = {
            name: np.array(changes.get(name, array), dtype=np.complex128, subok=True)
            for name, array in self.original.items()
        }
        scalars = {name: copies[name][()] for name in self._scalars}
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            handed_out = self._containers(copies | scalars | self._fixed)
            if self.problem.loss is not None:
                result = self.problem.loss(handed_out, *self.problem.args)
            else:
                result = self.problem.gradient(handed_out, *self.problem.args)[0]
            return _complex_scalar(result)

    def restore(self, names: Mapping[str, Any] | None = None) -> None:
        """Put the working arrays back to the original values, bit by bit."""
        for name in self.original if names is None else names:
            self.working[name][...] = self.original[name]

    def changed_parameters(self) -> tuple[str, ...]:
        """Return the names of working arrays that no longer hold the original values."""
        return _differing(self.working, self.original)

    def data_digest(self) -> bytes:
        """Return a digest of the arrays in `args`, which changes when they do."""
        digest = blake2b()
        for leaf in flatten(list(self.problem.args)).values():
            if isinstance(leaf, np.ndarray) and leaf.dtype.kind != "O":
                digest.update(np.ascontiguousarray(leaf).data.cast("B") if leaf.size else b"")
        return digest.digest()

    def use_double_precision(self) -> bool:
        """Evaluate the loss in float64 where the user's code allows it, and say whether it does.

        Differences of a float32 loss see little; the same code run on float64 copies of the
        parameters sees a float32 gradient's errors clearly.
        """
        narrow = [name for name, array in self.original.items() if array.dtype.itemsize < 8]
        if not narrow or self.problem.in_place:
            return False
        before = self.original, self.working
        self.original = {
            name: array.astype(np.float64) if name in narrow else array
            for name, array in self.original.items()
        }
        self.working = {name: array.copy(order="K") for name, array in self.original.items()}
        try:
            usable = np.isfinite(self.loss())
        except Exception:
            usable = False
        if not usable:
            self.original, self.working = before
        return bool(usable)

    def _value_and_gradient(self) -> tuple[Any, Any]:
        pair = self._called(self.problem.gradient, "gradient")
        if not (isinstance(pair, tuple | list) and len(pair) == 2):
            raise TypeError(
                f"gradient must return (value, gradient) where loss is None, got {_described(pair)}"
            )
        return pair[0], pair[1]

    def _called(self, function: Callable[..., Any], what: str) -> Any:
        try:
            if self.problem.in_place:
                return function()
            return function(self._handed_out(), *self.problem.args)
        except Exception as error:
            error.add_note(f"raised by the {what} of {self.problem.title!r} while it was checked")
            raise

    def _handed_out(self) -> Any:
        """Return new containers, so that only the arrays themselves are shared between calls."""
        if not self._scalars and not self._fixed:
            return self._containers(self.working)
        scalars = {
            name: self.working[name][()]
            if isinstance(self.leaves[name], np.generic)
            else float(self.working[name])
            for name in self._scalars
        }
        return self._containers(self.working | scalars | self._fixed)


def _floats(name: str, leaf: Any, *, live: bool) -> Array | None:
    """Return a copy of a parameter that has a derivative, None for a leaf that has none."""
    if leaf is None or isinstance(leaf, str | bytes) or callable(leaf):
        return None
    array = np.asanyarray(leaf)
    if array.dtype.kind in "iub":
        return None
    if array.dtype.kind == "c":
        raise TypeError(f"parameter {name!r} must be real, got {array.dtype}")
    if isinstance(leaf, np.ma.MaskedArray):
        raise TypeError(f"parameter {name!r} must not be a masked array; check .filled(...)")
    if array.dtype.kind != "f":
        raise TypeError(f"parameter {name!r} must be an array of floats, got {_described(leaf)}")
    if live and not (isinstance(leaf, np.ndarray) and leaf.flags.writeable):
        raise TypeError(
            f"parameter {name!r} of an in-place problem must be a writeable array, "
            f"got {_described(leaf)}"
        )
    if not np.all(np.isfinite(array)):
        bad = array[~np.isfinite(array)].flat[0]
        raise ValueError(f"parameter {name!r} must be finite, got {bad}")
    copied: Array = array.copy(order="K")
    return copied


def _differing(one: Mapping[str, Array], other: Mapping[str, Array]) -> tuple[str, ...]:
    return tuple(name for name in one if not np.array_equal(one[name], other[name], equal_nan=True))


def _scalar(result: Any) -> float:
    try:
        array = np.asarray(result)
    except ValueError:  # such as a pair of a number and an array
        raise LossNotScalar(f"loss must be one real number, got {_described(result)}") from None
    if array.size != 1 or array.dtype.kind not in "fiub":
        raise LossNotScalar(f"loss must be one real number, got {_described(result)}")
    return float(array.reshape(()))


def _complex_scalar(result: Any) -> complex:
    array = np.asarray(result)
    if array.size != 1 or array.dtype.kind != "c":
        raise LossNotScalar(f"loss must be one complex number, got {_described(result)}")
    return complex(array.reshape(()))


def _described(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} array of shape {value.shape}"
    return f"{type(value).__name__} {value!r}"[:80]
