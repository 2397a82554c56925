"""How pre-activations depend on parameters and inputs, with error bars on the way back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from gradcheck.diagnosis.linear_parts import Dense, dense_forms
from gradcheck.directions import Floats
from gradcheck.ladder import EPSILON
from gradcheck.layer_numbers.evaluations import largest, same_units
from gradcheck.layer_numbers.passes import Pass

# A sum of products is off by so many units of round-off of the sizes of what is summed.
ROUNDED_SUM = 4.0
# The same where terms were differences, or rounded once more.
ROUNDED_DIFFERENCE = 16.0
# Calls for the derivatives by all parameters of a layer, and numbers that they may return.
MOST_CALLS, MOST_NUMBERS = 4_000, 20_000_000
# Samples at which a formula is tried elsewhere.
FEW_SAMPLES = 2


@dataclass(frozen=True, eq=False)
class Signal:
    """Numbers, and how far each may be off."""

    values: Floats
    bars: Floats

    def rounded(self, units: float) -> Floats:
        """Return the bars with so many units of round-off on top."""
        bars: Floats = np.abs(self.values)
        bars *= units * EPSILON
        bars += self.bars
        return bars


class ByParameters(Protocol):
    """How pre-activations depend on parameters, at the inputs of the pass."""

    def gradients(self, delta: Signal, off: Floats) -> dict[str, Signal]:
        """Return the gradients of the parameters for one at the pre-activations.

        Parameters
        ----------
        off: how far the inputs may be off by the rounding of what made them
        """


@dataclass(frozen=True, eq=False)
class DenseMap:
    """Pre-activations x W + b.

    Attributes
    ----------
    form: how the layer holds W, and samples
    bias: b; None where there is none
    units: round-off of the layer's own arithmetic
    """

    form: Dense
    bias: Floats | None
    units: float = 1.0

    def gradients(self, delta: Signal, off: Floats) -> dict[str, Signal]:
        """Return x^T delta, and the sum of delta over the samples."""
        form, values = self.form, self.form.gradients(delta.values)
        rough = delta.rounded(ROUNDED_SUM * self.units)
        bars = form.rows(np.abs(form.inputs)).T @ form.rows(rough)
        if off.any():
            bars += np.max(form.rows(off), axis=1) @ form.rows(np.abs(delta.values))
        found = {form.weight_name: Signal(values[form.weight_name], form.as_held(bars))}
        if name := form.bias_name:
            summed = form.rows(rough).sum(axis=0).reshape(form.bias_shape)
            found[name] = Signal(values[name], summed)
        return found

    def below(self, delta: Signal) -> Signal:
        """Return delta W^T."""
        rough = delta.rounded(ROUNDED_SUM * self.units)
        bars = self.form.through(rough, np.abs(self.form.weight))
        return Signal(self.form.input_gradient(delta.values), bars)

    def off(self, inputs_off: Floats) -> Floats:
        """Return how far pre-activations may be off by rounding, for inputs that may be so."""
        form = self.form
        size = _row_norms(form.rows(form.inputs))
        size *= ROUNDED_SUM * self.units * EPSILON
        rounding = size + _row_norms(form.rows(inputs_off))
        found = np.multiply.outer(rounding, _row_norms(form.as_held(form.weight).T))
        if self.bias is not None:
            found += ROUNDED_SUM * self.units * EPSILON * np.abs(self.bias.reshape(-1))
        return form.rows(found)


@dataclass(frozen=True, eq=False)
class ColumnsMap:
    """Pre-activations that are linear in the parameters, with what one of each makes of them.

    Attributes
    ----------
    columns: by parameter, (its entries, pre-activations)
    shapes: of the parameters
    size: of what the columns were differences of, at most
    """

    columns: Mapping[str, Floats]
    shapes: Mapping[str, tuple[int, ...]]
    size: float

    def gradients(self, delta: Signal, off: Floats) -> dict[str, Signal]:
        """Return the products of delta and every column."""
        flat, rough = delta.values.reshape(-1), delta.rounded(ROUNDED_DIFFERENCE).reshape(-1)
        spread = ROUNDED_DIFFERENCE * EPSILON * self.size * float(np.sum(np.abs(flat)))
        return {
            name: Signal(
                (columns @ flat).reshape(self.shapes[name]),
                (np.abs(columns) @ rough + spread).reshape(self.shapes[name]),
            )
            for name, columns in self.columns.items()
        }


def _row_norms(matrix: Floats) -> Floats:
    norms: Floats = np.sqrt(np.einsum("ij,ij->i", matrix, matrix))
    return norms


def parameter_map(one: Pass, generator: np.random.Generator) -> ByParameters | None:
    """Return how the pre-activations of a layer depend on its parameters; None if not known."""
    if (dense := dense_map(one, generator)) is not None:
        return dense
    if one.preactivations is None or not one.parameters or not one.is_linear:
        return None
    return _columns(one, one.preactivations, generator)


def dense_map(one: Pass, generator: np.random.Generator) -> DenseMap | None:
    """Return the formula of the pre-activations of a dense layer; None if it is none."""
    z, inputs = one.preactivations, one.inputs
    if z is None or not one.parameters or not one.is_linear or inputs.dtype.kind != "f":
        return None
    for form in dense_forms(one.parameters, inputs, z):
        units = same_units(form.preactivations(one.parameters, inputs), z)
        if units and _is_formula_elsewhere(form, one, generator):
            bias = one.parameters[form.bias_name] if form.bias_name else None
            return DenseMap(form, bias, units)
    return None


def _size(array: Floats) -> float:
    """Return the size of some entries, which tells the order of all of them."""
    return largest(array[:1]) or 1.0


def _is_formula_elsewhere(form: Dense, one: Pass, generator: np.random.Generator) -> bool:
    """Return whether a formula gives what the layer does at other parameters and inputs.

    A few samples are enough to tell, if the layer takes so few.
    """
    rows = form.rows(one.inputs)
    scale = _size(rows)
    for samples in dict.fromkeys((min(FEW_SAMPLES, len(rows)), len(rows))):
        parameters = {name: _moved(array, generator) for name, array in one.parameters.items()}
        inputs = form.rows(scale * generator.standard_normal((samples, rows.shape[1])))
        formula = form.preactivations(parameters, inputs)
        try:
            # They may be spoilt: nobody needs them again, unless this fails.
            theirs = one.preactivation(parameters, inputs)
        except Exception:
            continue
        if theirs.shape == formula.shape:
            return bool(same_units(formula, theirs))
    return False


def _moved(array: Floats, generator: np.random.Generator) -> Floats:
    """Return a parameter elsewhere: any matrix of rank one tells formulas apart."""
    scale = _size(array)
    if array.ndim != 2:
        moved: Floats = array + scale * generator.standard_normal(array.shape)
        return moved
    column, row = (generator.standard_normal(size) for size in array.shape)
    moved = np.multiply.outer(scale * column, row)
    moved += array
    return moved


def _columns(one: Pass, z: Floats, generator: np.random.Generator) -> ColumnsMap | None:
    """Return what every entry of the parameters adds to the pre-activations."""
    count = sum(array.size for array in one.parameters.values())
    if count > MOST_CALLS or count * z.size > MOST_NUMBERS:
        return None
    zeros = {name: np.zeros_like(array) for name, array in one.parameters.items()}

    def at(parameters: Mapping[str, Any]) -> Floats:
        given = {name: array.copy() for name, array in parameters.items()}
        found = np.array(one.preactivation(given, one.inputs.copy()), np.float64)
        return found.reshape(z.shape)

    origin = at(zeros)
    columns = {}
    for name, array in one.parameters.items():
        rows = np.empty((array.size, z.size))
        for place in range(array.size):
            unit = np.zeros(array.size)
            unit[place] = 1.0
            rows[place] = (at({**zeros, name: unit.reshape(array.shape)}) - origin).reshape(-1)
        columns[name] = rows
    elsewhere = {n: a + generator.standard_normal(a.shape) for n, a in one.parameters.items()}
    for given, theirs in ((one.parameters, z), (elsewhere, at(elsewhere))):
        terms = [given[name].reshape(-1) @ rows for name, rows in columns.items()]
        if not same_units(origin + np.sum(terms, axis=0).reshape(z.shape), theirs):
            return None
    shapes = {name: array.shape for name, array in one.parameters.items()}
    return ColumnsMap(columns, shapes, float(np.max(np.abs(origin), initial=0.0)))


def rows_matrix(one: Pass) -> Floats | None:
    """Return M with pre-activations x M + c for every sample x; None where there is none.

    It is what the layer makes of the rows of the identity. Samples of other than one axis are
    taken as one row of numbers each.
    """
    z, x = one.preactivations, one.inputs
    if z is None or x.dtype.kind != "f" or min(x.ndim, z.ndim) < 2 or len(x) != len(z):
        return None
    rows, outputs = x.reshape(len(x), -1), z.reshape(len(z), -1)
    size = rows.shape[1]
    if size * max(size, outputs.shape[1]) > MOST_NUMBERS // 10:
        return None

    def at(inputs: Floats) -> Floats:
        found = one.preactivation(one.copies(), inputs.reshape(-1, *x.shape[1:]).copy())
        return np.array(found, np.float64).reshape(len(inputs), -1)

    both = at(np.concatenate([np.zeros((1, size)), np.eye(size)]))
    matrix: Floats = both[1:] - both[0]
    elsewhere = 1.0 - 2.0 * rows
    for inputs, theirs in ((rows, outputs), (elsewhere, at(elsewhere))):
        if not same_units(inputs @ matrix + both[0], theirs):
            return None
    return matrix
