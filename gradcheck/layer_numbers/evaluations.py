"""Functions of a layer or a loss as many functions of one number each, evaluated together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gradcheck.directions import Floats
from gradcheck.ladder import EPSILON

Array = npt.NDArray[Any]

# Numbers that are handed to the user's code at once: about what a cache holds.
CHUNK = 200_000
# Copies stacked into one array give the same values as one by one up to this, relatively.
SAME, SAME_IN_FLOAT32 = 1e-12, 1e-5
FLOAT32 = float(np.finfo(np.float32).eps)


class Evaluation(Protocol):
    """Many functions of one number each: rows of points in, rows of values out.

    Attributes
    ----------
    at, origin: where their derivatives are wanted, and their values there
    """

    at: Floats
    origin: Floats

    def __call__(self, points: Array) -> Array:
        """Return values of the shape of the points, (rows, functions)."""


class EntryByEntry:
    """A function of an array that works entry by entry, as far as is known.

    Parameters
    ----------
    function: takes arrays of the shape of `at`, or some stacked along the first axis
    at: where its derivative is wanted
    origin: its values there
    """

    def __init__(self, function: Callable[[Array], Any], at: Floats, origin: Floats) -> None:
        self._function, self._shape = function, at.shape
        self.at, self.origin = at.reshape(-1), origin.reshape(-1)
        self._stacks: bool | None = None

    def __call__(self, points: Array) -> Array:
        """Return values of the shape of the points, (rows, functions)."""
        if self._stacks is not False and self._shape:
            values = self._stacked(points)
            if self._stacks is None:
                self._stacks = values is not None and is_same(values[0], self.origin)
            if self._stacks and values is not None:
                return values
        # Copies, as the user's code may return the same array every time.
        rows = [np.array(self._function(row.reshape(self._shape).copy())) for row in points]
        return np.stack(rows).reshape(points.shape)

    def _stacked(self, points: Array) -> Array | None:
        # The user's code gets a copy of its own.
        stack = points.copy().reshape(len(points) * self._shape[0], *self._shape[1:])
        try:
            values = np.asarray(self._function(stack))
        except Exception:
            self._stacks = False
            return None
        return values.reshape(points.shape) if values.size == points.size else None


class SampleBySample:
    """A function that gives a number per sample, as functions of every entry of the sample.

    Unit i is moved for all samples at once, so that it takes as many copies as there are units.

    Parameters
    ----------
    function: takes so many copies of an array like `at` stacked along its axis of samples, returns
        a number for every sample, (copies * samples,)
    at: where derivatives are wanted; a matrix
    axis: which of its axes counts samples
    stacks: whether more than one copy may be stacked

    Attributes
    ----------
    samples, numbers: how many samples, and the numbers of these
    axis, stacks: as given
    """

    def __init__(
        self, function: Callable[[Array, int], Any], at: Floats, *, axis: int = 0, stacks: bool
    ) -> None:
        self._function = function
        self.axis, self.at = axis, at.reshape(-1)
        self._rows = at.T if axis else at
        self.stacks = stacks
        values = self.values(self._rows[np.newaxis])
        self.samples, self.numbers = len(self._rows), values[0]
        origin = np.broadcast_to(self.numbers[:, np.newaxis], self._rows.shape)
        self.origin = (origin.T if axis else origin).reshape(-1)

    def __call__(self, points: Array) -> Array:
        """Return values of the shape of the points, (rows, functions)."""
        samples, units = self._rows.shape
        shape = (len(points), units, samples) if self.axis else (len(points), samples, units)
        shaped = points.reshape(shape)
        moved = shaped if self.axis else shaped.swapaxes(1, 2)
        at_once = CHUNK // max(self._rows.size, 1) if self.stacks else 1
        if at_once >= units:
            step = at_once // units
            parts = [self._all_moved(moved[at : at + step]) for at in range(0, len(moved), step)]
        else:
            # One line of (samples,) for every row of points and every unit.
            lines, step = moved.reshape(-1, samples), max(1, at_once)
            parts = [self._moved(lines, slice(at, at + step)) for at in range(0, len(lines), step)]
        whole = parts[0] if len(parts) == 1 else np.concatenate(parts)
        values = whole.reshape(len(points), units, samples)
        return (values if self.axis else values.swapaxes(1, 2)).reshape(points.shape)

    def _all_moved(self, moved: Array) -> Array:
        """Return the numbers where every unit by itself has moved, to (rows, units, samples)."""
        rows, units, samples = moved.shape
        sets = np.empty((rows, units, samples, units), moved.dtype)
        sets[:] = self._rows
        # A view of every unit in the copy where it has moved.
        np.einsum("kisi->kis", sets)[:] = moved
        return self.values(sets.reshape(rows * units, samples, units))

    def _moved(self, lines: Array, chosen: slice) -> Array:
        some = lines[chosen]
        units = np.arange(len(lines))[chosen] % self._rows.shape[1]
        sets = np.empty((len(some), *self._rows.shape), some.dtype)
        sets[:] = self._rows
        sets[np.arange(len(some)), :, units] = some
        return self.values(sets)

    def values(self, sets: Array) -> Array:
        """Return the numbers of the samples, (sets, samples), for sets of rows."""
        copies, samples, units = sets.shape
        stacked = sets.reshape(copies * samples, units)
        values = np.array(self._function(stacked.T.copy() if self.axis else stacked, copies))
        return values.reshape(copies, samples)


class Together:
    """Several such as one.

    Attributes
    ----------
    parts: where the functions of each are
    """

    def __init__(self, evaluations: Sequence[Evaluation]) -> None:
        self._evaluations = evaluations
        ends = np.cumsum([0, *(evaluation.origin.size for evaluation in evaluations)])
        self.parts = [slice(int(first), int(last)) for first, last in pairwise(ends)]
        self.at = np.concatenate([evaluation.at for evaluation in evaluations])
        self.origin = np.concatenate([evaluation.origin for evaluation in evaluations])

    def __call__(self, points: Array) -> Array:
        """Return values of the shape of the points, (rows, functions)."""
        values = [
            _or_nothing(evaluation, points[:, part])
            for part, evaluation in zip(self.parts, self._evaluations, strict=True)
        ]
        return np.concatenate(values, axis=1)


def _or_nothing(evaluation: Evaluation, points: Array) -> Array:
    """Return values; NaN where they cannot be had, which leaves the others theirs."""
    try:
        return evaluation(points)
    except Exception:
        if len(points) == 1:
            return np.full(points.shape, np.nan)
    # What raises may do so at some rows only, outside of its domain.
    return np.concatenate([_or_nothing(evaluation, row[np.newaxis]) for row in points])


def is_same(ours: Array, theirs: Array) -> bool:
    """Return whether two arrays are the same but for round-off."""
    return ours.shape == theirs.shape and _off(ours, theirs) <= SAME


def same_units(ours: Array, theirs: Array) -> float:
    """Return in which units of round-off two arrays are the same; 0 if they are not.

    Parameters
    ----------
    ours, theirs: in float64, where the latter may have been computed in float32
    """
    if ours.shape != theirs.shape:
        return 0.0
    if (off := _off(ours, theirs)) <= SAME:
        return 1.0
    is_single = off <= SAME_IN_FLOAT32 and np.array_equal(np.asarray(theirs, np.float32), theirs)
    return FLOAT32 / EPSILON if is_single else 0.0


def _off(ours: Array, theirs: Array) -> float:
    """Return the largest difference relative to the largest number."""
    difference = ours - theirs
    if not difference.any():
        return 0.0
    off, size = largest(difference), largest(theirs)
    return off / size if size else np.inf


def largest(array: Array) -> float:
    """Return the largest size of a number; 0 where there is none, NaN where one is NaN."""
    return float(np.maximum.reduce(np.abs(array), axis=None, initial=0.0))
