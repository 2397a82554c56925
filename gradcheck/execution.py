"""Where losses are evaluated: the user's code, called on working arrays and counted."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from gradcheck.bounds import OutOfBounds, read_bounds
from gradcheck.calling import Caller
from gradcheck.diagnosis import codes
from gradcheck.fresh_containers import copier
from gradcheck.leaves import (
    DOUBLE,
    Array,
    as_given,
    as_reals,
    described,
    digest,
    usable_array,
)
from gradcheck.parameters import flatten, named_leaves, rebuilder
from gradcheck.pieces import differing, step_along
from gradcheck.problem import Problem
from gradcheck.returned import (
    Returned,
    read_complex_loss,
    read_gradient,
    read_loss,
)

__all__ = ["Array", "Evaluator"]

T = TypeVar("T")


class Evaluator:
    """Calls the user's functions on working arrays, and puts those back exactly.

    Inside, all is real: a complex parameter of shape s is an array of shape s + (2,), its last
    axis (real, imaginary). The user's functions get the complex array.

    Attributes
    ----------
    leaves: the floating-point parameters as the user holds them, by name; not to be written to
    original: copies of them, never handed out
    working: what the user's code gets: copies, or for an in-place problem the live arrays
    skipped: names of leaves without a derivative (integers, booleans, text), handed on as copies
    complex_names: names of the complex parameters
    reseed, timeout: how the user's functions are called
    bounds: outside of which the user's functions are never called
    evaluations, gradient_calls: calls of the user's code so far
    loss_first: whether a gradient counts only right after the loss at the same parameters, as from
        objects that keep from the forward pass what their backward pass needs

    Parameters
    ----------
    problem: whose functions are called
    reseed, timeout: how they are called; see `Caller`
    bounds: that the parameters must stay in; see `read_bounds`
    """

    def __init__(
        self,
        problem: Problem,
        reseed: Any = None,
        timeout: float | None = None,
        bounds: Any = None,
    ) -> None:
        self.problem = problem
        self._options = reseed, timeout, bounds
        self.reseed, self.timeout = reseed, timeout
        self._caller = self.another_caller()
        self._given = flatten(problem.parameters)
        taken = {
            name: usable_array(name, leaf, live=problem.in_place)
            for name, leaf in self._given.items()
        }
        usable = {name: array for name, array in taken.items() if array is not None}
        self.skipped = tuple(name for name, array in taken.items() if array is None)
        self.complex_names = frozenset(n for n, array in usable.items() if array.dtype.kind == "c")
        self.leaves = {name: as_reals(array) for name, array in usable.items()}
        self.original = {name: array.copy(order="K") for name, array in self.leaves.items()}
        self.bounds = read_bounds(bounds, list(self._given), self.original, self.complex_names)
        self._handed = {
            name: array if problem.in_place else array.copy(order="K")
            for name, array in usable.items()
        }
        self.working = {name: as_reals(array) for name, array in self._handed.items()}
        self.evaluations = 0
        self.gradient_calls = 0
        self.loss_first = problem.in_place and problem.loss is not None
        self._containers = rebuilder(problem.parameters)
        self._scalars = [n for n in usable if not isinstance(self._given[n], np.ndarray)]
        fixed = {name: self._given[name] for name in self.skipped}
        self._fixed = {k: leaf.copy() for k, leaf in fixed.items() if isinstance(leaf, np.ndarray)}

    def with_args(self, args: tuple[Any, ...]) -> Evaluator:
        """Return an evaluator of the same functions at the same parameters on other data."""
        return Evaluator(replace(self.problem, args=args), *self._options)

    def another_caller(self) -> Caller:
        """Return what makes calls like those of the problem's functions."""
        return Caller(self.reseed, self.timeout)

    def dtype_of(self, name: str) -> np.dtype[Any]:
        """Return the dtype of a parameter as the user gave it."""
        return np.asarray(self._given[name]).dtype

    def loss(self) -> float:
        """Return the loss at the working arrays: a float, or a np.longdouble where it is one.

        Raises
        ------
        LossNotScalar
            when the user's loss returns anything but one real number
        """
        self.evaluations += 1
        if self.problem.loss is not None:
            result = self._called(self.problem.loss, "loss")
        else:
            result = self._value_and_gradient()[0]
        return cast("float", read_loss(result))

    def gradient(self) -> Any:
        """Return what the user's gradient returns at the working arrays.

        Where `loss_first`, right after the loss there, which counts as an evaluation.
        """
        if self.loss_first and callable(self.problem.gradient):
            self.loss()
        return self.gradient_alone()

    def gradient_alone(self) -> Any:
        """Return what the user's gradient returns, whatever was called before."""
        if not callable(self.problem.gradient):
            return self.problem.gradient
        self.gradient_calls += 1
        if self.problem.loss is None:
            return self._value_and_gradient()[1]
        return self._called(self.problem.gradient, "gradient")

    def read(self, gradient: Any, names: Collection[str]) -> Returned:
        """Return the named parts of a gradient as arrays of real numbers."""
        return read_gradient(self.problem.parameters, gradient, names, self.complex_names)

    def gradient_at(
        self, changes: Mapping[str, Array], names: Collection[str]
    ) -> dict[str, npt.NDArray[np.float64]]:
        """Return the named parts of the gradient with some parameters changed.

        {} where it raises or that is out of bounds.
        """

        def copies() -> dict[str, npt.NDArray[np.float64]]:
            found = self.read(self.gradient(), names).arrays
            return {name: np.array(array, np.float64) for name, array in found.items()}

        try:
            return self._with(changes, copies)
        except Exception:
            return {}

    def seen_moved(
        self,
        move: Callable[[str, Array], None],
        names: Collection[str],
        look: Callable[[Mapping[str, Array]], T],
    ) -> T | None:
        """Return what is made of the named parts of the gradient with those parameters moved.

        None where the gradient raises or that is out of bounds.

        Parameters
        ----------
        move: moves a parameter, given its name and its working array
        names: of the parameters
        look: is given the user's own arrays, which it may neither keep nor write to
        """
        try:
            with np.errstate(all="ignore"):
                for name in names:
                    move(name, self.working[name])
                return self._inside(names, lambda: look(self.read(self.gradient(), names).arrays))
        except Exception:
            return None
        finally:
            self.restore(names)

    def loss_at(self, changes: Mapping[str, Array]) -> float:
        """Return the loss with some parameters changed; NaN where it cannot be evaluated.

        A loss that raises or is no number away from the given point has a domain that ends
        nearby, which is not an error. Out of bounds it is not called.
        """
        try:
            return self._with(changes, self.loss)
        except Exception:
            return float("nan")

    def loss_along(
        self,
        directions: Mapping[str, Array],
        step: float,
        analytic: Mapping[str, Array] | None = None,
    ) -> tuple[float, float]:
        """Return the loss a step along directions, and the change that a gradient claims for it.

        Like `loss_at`, without copies of the parameters. What is claimed is of the step really
        taken, after rounding; 0 where no gradient is given.
        """
        return self.losses_along(directions, (step,), analytic)[0]

    @contextmanager
    def moving(self, directions: Mapping[str, Array]) -> Iterator[Callable[[float], float]]:
        """Give the loss as a function of the step along directions; put all back in the end."""
        try:
            with np.errstate(all="ignore"):
                yield lambda step: self._stepped(directions, step, None)[0]
        finally:
            self.restore(directions)

    def losses_along(
        self,
        directions: Mapping[str, Array],
        steps: Iterable[float],
        analytic: Mapping[str, Array] | None = None,
    ) -> list[tuple[float, float]]:
        """Return what `loss_along` does at several steps, the parameters put back once."""
        try:
            with np.errstate(all="ignore"):
                return [self._stepped(directions, step, analytic) for step in steps]
        finally:
            self.restore(directions)

    def _stepped(
        self, directions: Mapping[str, Array], step: float, analytic: Mapping[str, Array] | None
    ) -> tuple[float, float]:
        claimed = 0.0
        for name, direction in directions.items():
            gradient = None if analytic is None else analytic[name]
            moved, origin = self.working[name], self.original[name]
            claimed += step_along(moved, origin, direction, step, gradient)
        if self.bounds.lower and not self._are_inside(directions):
            return float("nan"), claimed
        try:
            return self.loss(), claimed
        except Exception:
            return float("nan"), claimed

    def loss_at_entry(self, name: str, index: tuple[int, ...], value: Any) -> float:
        """Return the loss with one entry changed; NaN where it cannot be evaluated."""
        if not self.bounds.hold_at(name, index, value):
            return float("nan")
        working = self.working[name]
        try:
            working[index] = value
            with np.errstate(all="ignore"):
                return self.loss()
        except Exception:
            return float("nan")
        finally:
            working[index] = self.original[name][index]

    def bare_loss(self) -> Callable[[], Any] | None:
        """Return the call of the loss at the working arrays alone, for many in a row.

        Nobody counts it or reads what it returns. None where calls need more than containers.
        """
        loss, args = self.problem.loss, self.problem.args
        if loss is None or self.reseed is not None or self.timeout is not None:
            return None
        if self.problem.in_place:
            return loss
        make = self._handed_out if self._scalars else copier(self._handed_out())
        return None if make is None else lambda: loss(make(), *args)

    def complex_loss_at(self, changes: Mapping[str, Array]) -> complex:
        """Return the loss at complex copies of all parameters, some of them changed.

        Not for in-place problems, whose live arrays have no room for an imaginary part. What the
        loss raises comes through, and so does numpy's ComplexWarning, as an exception.

        Raises
        ------
        OutOfBounds
            where the real parts are
        """
        copies = {
            name: np.array(changes.get(name, array), dtype=np.complex128, subok=True)
            for name, array in self.original.items()
        }
        if not all(self.bounds.hold(name, copy.real) for name, copy in copies.items()):
            raise OutOfBounds
        self.evaluations += 1
        scalars = {name: copies[name][()] for name in self._scalars}
        handed_out = self._containers(copies | scalars | self._fixed)
        loss = self.problem.loss or (lambda *given: self.problem.gradient(*given)[0])
        call = partial(loss, handed_out, *self.problem.args)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            return read_complex_loss(self._caller.call(call, "loss"))

    def call_at(
        self, changes: Mapping[str, Array], call: Callable[[], Any]
    ) -> tuple[Any, tuple[str, ...]]:
        """Call something with some parameters changed.

        Returns
        -------
        what it returns, None if it raises or that is out of bounds; and the names of the arrays
        that it changed itself
        """
        point = {**self.original, **changes}

        def called() -> tuple[Any, tuple[str, ...]]:
            result = None
            with suppress(Exception):
                result = call()
            # What has fewer digits than the working array compares equal as it is.
            given = {
                name: array
                if np.can_cast(array.dtype, self.working[name].dtype)
                else np.asarray(array, self.working[name].dtype)
                for name, array in point.items()
            }
            return result, differing(self.working, given)

        try:
            return self._with(point, called)
        except OutOfBounds:
            return None, ()

    def _with(self, changes: Mapping[str, Array], call: Callable[[], T]) -> T:
        """Call something with some parameters changed, and put them back."""
        try:
            with np.errstate(all="ignore"):
                for name, values in changes.items():
                    self.working[name][...] = values
                return self._inside(changes, call)
        finally:
            self.restore(changes)

    def _inside(self, names: Iterable[str], call: Callable[[], T]) -> T:
        """Call something where these parameters, which were moved, are inside their bounds."""
        if self.bounds.lower and not self._are_inside(names):
            raise OutOfBounds
        return call()

    def _are_inside(self, names: Iterable[str]) -> bool:
        return all(self.bounds.hold(name, self.working[name]) for name in names)

    @contextmanager
    def moved_to(self, point: Mapping[str, Array]) -> Iterator[None]:
        """Evaluate around another point for a while: these parameters, in their own precision."""
        here = self.original
        try:
            self.original = {**here, **point}
            self.restore()
            yield
        finally:
            self.original = here
            self.restore()

    def restore(self, names: Iterable[str] | None = None) -> None:
        """Put the working arrays back to the original values, bit by bit."""
        for name in self.original if names is None else names:
            self.working[name][...] = self.original[name]

    def close(self) -> None:
        """Put the working arrays back and make no more calls."""
        self.restore()
        self._caller.close()

    def changed_parameters(self) -> tuple[str, ...]:
        """Return the names of working arrays that no longer hold the original values."""
        return differing(self.working, self.original)

    def data_digests(self) -> list[tuple[str, bytes]]:
        """Return, for every array in `args`, its place and a digest that changes as it does."""
        return [
            (f"args.{place}", digest(leaf))
            for place, leaf in named_leaves(list(self.problem.args))
            if isinstance(leaf, np.ndarray) and not leaf.dtype.hasobject
        ]

    def use_double_precision(self) -> bool:
        """Evaluate the loss in float64 where the user's code allows it, and say whether it does.

        Differences of a float32 loss see little; the same code run on float64 copies of the
        parameters sees a float32 gradient's errors clearly.
        """
        narrow = [name for name, array in self.original.items() if array.dtype.itemsize < 8]
        if not narrow or self.problem.in_place:
            return False
        before = self.original, self._handed, self.working
        self._handed = {
            name: array.astype(np.result_type(array.dtype, DOUBLE)) if name in narrow else array
            for name, array in self._handed.items()
        }
        self.working = {name: as_reals(array) for name, array in self._handed.items()}
        self.original = {name: array.copy(order="K") for name, array in self.working.items()}
        try:
            usable = np.isfinite(self.loss())
        except Exception:
            usable = False
        if not usable:
            self.original, self._handed, self.working = before
        return bool(usable)

    def _value_and_gradient(self) -> tuple[Any, Any]:
        pair = self._called(self.problem.gradient, "gradient")
        if not (isinstance(pair, tuple | list) and len(pair) == 2):
            raise TypeError(
                f"gradient must return (value, gradient) where loss is None, got {described(pair)}"
            )
        return pair[0], pair[1]

    def _called(self, function: Callable[..., Any], what: str) -> Any:
        if not self.problem.in_place:
            function = partial(function, self._handed_out(), *self.problem.args)
        try:
            return self._caller.call(function, what)
        except Exception as error:
            code = codes.LOSS_RAISED if what == "loss" else codes.GRADIENT_RAISED
            # Away from the given parameters nobody gets to see it.
            error.add_note(
                f"{code.code} {code.slug}: the {what} of {self.problem.title!r} raised "
                "at the given parameters"
            )
            raise

    def _handed_out(self) -> Any:
        """Return new containers, so that only the arrays themselves are shared between calls."""
        if not self._scalars and not self._fixed:
            return self._containers(self._handed)
        scalars = {name: as_given(self._given[name], self._handed[name]) for name in self._scalars}
        return self._containers(self._handed | scalars | self._fixed)
