"""How far rounding moves what a function returns, where no formula of the function is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradcheck.directions import Floats
from gradcheck.ladder import EPSILON
from gradcheck.layer_numbers.evaluations import FLOAT32, Array

# Random signs that arguments are moved by: a row that all of them happen to leave where it is has
# a chance of about one in a million.
PROBES = 4
# How much farther than random signs show, along a row, rounding may move it: for what adds up,
# the root of as many units as are off alike.
SAFETY = 4.0
# Of the random signs.
SEED = 0


def along_rows(moved: Floats) -> Floats:
    """Return the largest number of every sample, or of all of a vector, for each in it."""
    axes = tuple(range(1, moved.ndim)) or None
    return np.broadcast_to(np.max(moved, axis=axes, keepdims=True, initial=0.0), moved.shape)


def nudged(
    array: Array, off: Floats | float, generator: np.random.Generator, unit: float = EPSILON
) -> Array:
    """Return an array moved, by random signs, as far as it may be off; integers stay.

    Parameters
    ----------
    off: by the rounding of what made it
    unit: round-off of a function that it is an argument of, whose rounding is like one of these
    """
    if array.dtype.kind != "f":
        return array.copy()
    signs = generator.choice((-1.0, 1.0), size=array.shape)
    moved: Array = array + signs * (off + unit * np.abs(array))
    return moved


def off_by_arguments(
    function: Callable[..., Any],
    arguments: Sequence[Array],
    offs: Sequence[Floats | float],
    outputs: Floats,
) -> Floats:
    """Return how far the outputs of a function may be off by rounding; infinite where not known.

    Parameters
    ----------
    function: may do with its arguments what it likes
    arguments, offs: where it is evaluated, and how far these may be off
    outputs: its values there
    """
    generator = np.random.default_rng([SEED, *b"rounding"])

    def nearby(unit: float) -> Floats:
        values = np.empty((PROBES, *outputs.shape))
        for place in range(PROBES):
            both = zip(arguments, offs, strict=True)
            given = (nudged(array, off, generator, unit) for array, off in both)
            values[place] = np.asarray(function(*given)).reshape(outputs.shape)
        return values

    try:
        unit, values = EPSILON, nearby(EPSILON)
        if np.array_equal(values, values.astype(np.float32)):
            # What is computed in float32 does not see steps of less.
            unit, values = FLOAT32, nearby(FLOAT32)
    except Exception:
        return np.full(outputs.shape, np.inf)
    farthest = np.max(np.abs(values - outputs), axis=0)
    off: Floats = SAFETY * (along_rows(farthest) + unit * np.abs(outputs))
    return np.where(np.isfinite(off), off, np.inf)
