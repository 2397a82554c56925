"""Gradients one step down: through functions of a sample that no formula is known of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.directions import Floats
from gradcheck.few_steps import MAIN
from gradcheck.ladder import EPSILON
from gradcheck.layer_numbers.evaluations import (
    Array,
    Evaluation,
    SampleBySample,
    is_same,
    same_units,
)
from gradcheck.layer_numbers.linear_maps import ROUNDED_DIFFERENCE, Signal
from gradcheck.layer_numbers.rounding import SAFETY, SEED, along_rows, nudged
from gradcheck.many_lines import Slopes, complex_slopes, slopes

# Numbers that the user's code may have to work through for the derivatives of a layer.
MOST_NUMBERS = 50_000_000
# Rows of points that derivatives take, about.
ROWS = 20
# How much larger than by one difference a derivative may be that error bars are taken through.
COARSE = 2.0


def differentiate(functions: Evaluation, *, method: str) -> Slopes | None:
    """Return derivatives; None where one cannot be had, or not by this method."""
    return by_method(functions, slopes(functions, functions.at), method=method)


def by_method(functions: Evaluation, found: Slopes, *, method: str) -> Slopes | None:
    """Return derivatives found by differences if they are usable, by complex steps if wanted.

    They are where all are known, and where each function depends on its own number alone.
    """
    is_known = found.independent.all() and np.isfinite(found.error_bars).all()
    units = same_units(found.origin, functions.origin) if is_known else 0.0
    if not units:
        return None
    if units > 1.0:
        # In the network, functions are computed in less than the float64 that they are here.
        off = ROUNDED_DIFFERENCE * units * EPSILON
        bars = found.error_bars + off * np.abs(found.values)
        found = replace(found, error_bars=bars, noise=found.noise + off * np.abs(found.origin))
    return complex_slopes(functions, functions.at, found) if method == "complex" else found


def through_function(
    function: Callable[[Array], Any],
    at: Floats,
    off: Floats,
    outputs: Floats,
    signal: Signal,
    *,
    method: str,
) -> Signal | None:
    """Return the gradient at the inputs of a function of matrices, from one at its outputs.

    None where neither samples nor units are independent of each other, or there are too many.

    Parameters
    ----------
    function: takes arrays of the shape of `at`; and, if it can, some stacked
    at, outputs: its inputs and outputs; samples are rows
    off: how far the inputs may be off by rounding
    signal: the gradient at its outputs
    """
    found = _through(function, at, outputs, signal, method)
    if found is None or not np.any(off):
        return found
    # Where the inputs might be as well, the gradient may be another.
    there = nudged(at, off, np.random.default_rng([SEED, *b"nearby"]))
    theirs = np.array(function(there.copy()), np.float64)
    nearby = _through(function, there, theirs, signal, method)
    if nearby is None and method != "auto":
        # Complex steps may fail at one of two points only: what differences tell is coarser.
        nearby = _through(function, there, theirs, signal, "auto")
    if nearby is None:
        return None
    other = SAFETY * along_rows(np.abs(nearby.values - found.values))
    return Signal(found.values, found.bars + other)


def _through(
    function: Callable[[Array], Any], at: Floats, outputs: Floats, signal: Signal, method: str
) -> Signal | None:
    if min(outputs.ndim, at.ndim) < 2 or len(at) != len(outputs):
        return None
    if not is_same(np.asarray(function(at.copy())), outputs):
        return None
    rows, shape = at.reshape(len(at), -1), at.shape
    values = Signal(*(a.reshape(len(at), -1) for a in (signal.values, signal.bars)))

    def flat(stacked: Array, copies: int) -> Array:
        outputs = np.array(function(stacked.reshape(-1, *shape[1:])))
        return outputs.reshape(copies * len(at), -1)

    by_rows = _Weighted(flat, values)
    for axis in (0, 1):
        if axis and values.values.shape != rows.shape:
            return None
        found = _along(by_rows, rows, axis, method)
        if found is not None:
            return Signal(found.values.reshape(shape), found.bars.reshape(shape))
    return None


class _Weighted:
    """The sum of outputs weighted by a gradient, for every sample, or for every unit."""

    def __init__(self, function: Callable[[Array, int], Array], signal: Signal) -> None:
        self.function, self.signal = function, signal

    def by_sample(self, stacked: Array, copies: int) -> Array:
        """Return a number per sample, (copies * samples,)."""
        outputs = self.function(stacked, copies)
        shaped = outputs.reshape(copies, *self.signal.values.shape)
        numbers: Array = np.einsum("cnj,nj->cn", shaped, self.signal.values)
        return numbers.reshape(-1)

    def by_unit(self, array: Array, copies: int) -> Array:
        """Return a number per unit, of one copy."""
        outputs = self.function(array, 1)
        numbers: Array = np.einsum("nj,nj->j", outputs, self.signal.values)
        return numbers


def _along(weighted: _Weighted, at: Floats, axis: int, method: str) -> Signal | None:
    """Return the gradient where samples (axis 0) or units (axis 1) are independent."""
    signal = weighted.signal
    wide = max(at.size, signal.values.size)
    if ROWS * wide * at.shape[1 - axis] > MOST_NUMBERS:
        return None
    function = weighted.by_unit if axis else weighted.by_sample
    for stacks in (False,) if axis else (True, False):
        try:
            functions = SampleBySample(function, at, axis=axis, stacks=stacks)
            found = differentiate(functions, method=method)
        except Exception:
            continue
        if found is not None:
            # What is summed may be larger than the sum.
            terms = np.abs(weighted.function(at.copy(), 1) * signal.values).sum(axis=1 - axis)
            bars = found.error_bars.reshape(at.shape)
            bars = bars + _carried(weighted, at, axis)
            bars += ROUNDED_DIFFERENCE * EPSILON * np.expand_dims(terms, 1 - axis) / MAIN[-1]
            return Signal(found.values.reshape(at.shape), bars)
    return None


def _carried(weighted: _Weighted, at: Floats, axis: int) -> Floats:
    """Return what the error bars of the outputs come to at the inputs, by one difference each."""
    carried = np.empty_like(at)
    step = MAIN[1] * np.maximum(1.0, 0.25 * np.abs(at))
    for place in range(at.shape[1 - axis]):
        line = (place, slice(None)) if axis else (slice(None), place)
        ahead, behind = at.copy(), at.copy()
        ahead[line] += step[line]
        behind[line] -= step[line]
        moved = np.abs(weighted.function(ahead, 1) - weighted.function(behind, 1))
        total = (moved * weighted.signal.bars).sum(axis=1 - axis)
        carried[line] = COARSE * total / (2 * step[line])
    return carried
