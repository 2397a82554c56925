"""Derivatives of array functions along lines, good to nine digits or so, from values alone."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.directions import Floats
from gradcheck.ladder import EPSILON

# Functions of t, of which the derivative at 0 is wanted; t = 1 is a move of order one.
Line = Callable[[Any], npt.NDArray[Any]]

# Nothing is subtracted in a complex step, so that it may be as small as this.
COMPLEX_STEP = 1e-30
# Steps of the differences, from far enough for round-off to near enough for kinks close by.
STEPS = (2.0**-4, 2.0**-6, 2.0**-8, 2.0**-11, 2.0**-16, 2.0**-22, 2.0**-24)
# Weights of (f(jh) - f(-jh)) / h for j = 1, 2, 3: exact for polynomials up to degree 6.
SIXTH_ORDER = (45.0 / 60.0, -9.0 / 60.0, 1.0 / 60.0)
# The complex step is believed where differences agree with it to this.
AGREEMENT = 1e-6
# Part of the entries that have to agree: in a few, a kink may be too close for any difference.
AGREEING = 0.99


def entry_lines(array: Floats, function: Callable[[Any], Any]) -> Iterator[Line]:
    """Yield a function along every entry of an array."""
    for place in range(array.size):
        unit = np.zeros(array.size)
        unit[place] = 1.0
        along = unit.reshape(array.shape)
        yield partial(_moved, function, array, along)


def _moved(function: Callable[[Any], Any], array: Floats, along: Floats, t: Any) -> Any:
    return np.asarray(function(array + t * along))


def difference_slope(line: Line) -> Floats:
    """Return the derivative at 0 by central differences, entry by entry at the step that suits.

    That is where two neighbouring steps agree best: at a kink close by, the smallest.
    """
    estimates, bars = [], []
    for step in STEPS:
        pairs = [(_real(line(j * step)), _real(line(-j * step))) for j in (1, 2, 3)]
        slope = sum(
            weight * (ahead - behind)
            for weight, (ahead, behind) in zip(SIXTH_ORDER, pairs, strict=True)
        )
        estimates.append(np.asarray(slope) / step)
        bars.append(EPSILON * np.abs(pairs[0][0]) / step)
    gaps = [
        np.abs(one - other) + bar
        for one, other, bar in zip(estimates, estimates[1:], bars[1:], strict=False)
    ]
    best = np.argmin(np.stack(gaps), axis=0)
    chosen: Floats = np.take_along_axis(np.stack(estimates), best[np.newaxis], axis=0)[0]
    return chosen


def _real(values: npt.NDArray[Any]) -> Floats:
    return np.array(values, np.float64)


def complex_slope(line: Line) -> Floats | None:
    """Return the derivative at 0 by the complex step; None where the function takes none."""
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            values = np.asarray(line(1j * COMPLEX_STEP))
    except Exception:
        return None
    if values.dtype.kind != "c":
        return None
    slope: Floats = values.imag / COMPLEX_STEP
    return slope if np.all(np.isfinite(slope)) else None


class Differentiator:
    """Takes derivatives by the complex step once that has proved itself, else by differences.

    Parameters
    ----------
    trial: a line along which everything moves, to compare the two
    """

    def __init__(self, trial: Line) -> None:
        ours = complex_slope(trial)
        self.is_complex = False
        if ours is not None:
            self.is_complex = _agree(ours, difference_slope(trial))

    @property
    def calls(self) -> int:
        """How many calls of the function a derivative takes."""
        return 1 if self.is_complex else 2 * len(SIXTH_ORDER) * len(STEPS)

    def slope(self, line: Line) -> Floats:
        """Return the derivative at 0."""
        if self.is_complex and (slope := complex_slope(line)) is not None:
            return slope
        return difference_slope(line)


def _agree(ours: Floats, theirs: Floats) -> bool:
    """Return whether two derivatives are the same, but for a few entries that sit at a kink."""
    if ours.shape != theirs.shape:
        return False
    same = np.abs(ours - theirs) <= AGREEMENT * np.max(np.abs(theirs), initial=0.0)
    return bool(np.mean(same) >= AGREEING)
