"""The losses of all samples where one pre-activation of a layer is shifted, many shifts at a time.

Moving the weight from input i to unit j by h shifts the pre-activation of unit j, of sample k by
h x_ki, and that alone. The next layer sees one column of its inputs change, its pre-activations a
change of rank one; what is above that is one pass over many perturbed batches, stacked as rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.diagnosis.linear_parts import Dense
from gradcheck.directions import Floats
from gradcheck.layer_numbers.evaluations import Array, is_same
from gradcheck.layer_numbers.linear_maps import dense_map
from gradcheck.layer_numbers.passes import Pass

Units = npt.NDArray[np.intp]
RowsAbove = Callable[[Units, Floats], tuple[Array, Sequence[Pass]]]

# Numbers in the largest array of one pass: it stays in the cache, and the calls still are few.
CHUNK = 60_000
# How far off functions are tried: nearby, if further away they are not defined.
FAR = (1.0, 1e-4)


@dataclass(frozen=True)
class DenseUnits:
    """A dense layer that tells its activation, samples in rows.

    Attributes
    ----------
    form: the formula of its pre-activations
    preactivations, outputs: at the point
    activate: from the one to the other
    is_entrywise: whether that takes every number by itself, all alike
    """

    form: Dense
    preactivations: Floats
    outputs: Floats
    activate: Callable[[Floats], Any]
    is_entrywise: bool

    @cached_property
    def weight(self) -> Floats:
        """The weight as (fan_in, fan_out)."""
        return np.ascontiguousarray(self.form.as_held(self.form.weight))

    @cached_property
    def by_unit(self) -> tuple[Floats, Floats]:
        """Pre-activations and outputs, a row per unit."""
        z, outputs = (
            np.ascontiguousarray(array.T) for array in (self.preactivations, self.outputs)
        )
        return z, outputs


def dense_units(one: Pass, generator: np.random.Generator) -> DenseUnits | None:
    """Return a layer as a dense one that tells its activation; None if it is none."""
    activate, z = one.layer.activate, one.preactivations
    dense = dense_map(one, generator) if activate is not None else None
    if activate is None or z is None or dense is None or dense.form.columns:
        return None
    if not is_same(np.asarray(activate(z.copy())), one.outputs):
        return None
    return DenseUnits(dense.form, z, one.outputs, activate, _is_entrywise(activate, z, generator))


def _is_entrywise(
    activate: Callable[[Floats], Any], z: Floats, generator: np.random.Generator
) -> bool:
    """Return whether a function takes every number by itself, all alike, in arrays of any shape."""
    order = generator.permutation(z.size)
    for far in FAR:
        moved = z + far * generator.standard_normal(z.shape)
        plain = np.asarray(activate(moved.copy())).reshape(-1)
        shuffled = np.asarray(activate(moved.reshape(-1)[order].reshape(moved.shape[::-1])))
        if np.all(np.isfinite(plain)):
            return plain.size == z.size and is_same(shuffled.reshape(-1), plain[order])
    return False


@dataclass
class UnitShifts:
    """The loss of every sample as a function of shifts of one unit's pre-activations.

    Attributes
    ----------
    units: those of the layer that are shifted
    above: the layers above it, whose rows have nothing to do with each other
    next: the first of these, if it is such a layer too
    losses: of the samples, for stacked sets of outputs (sets, samples, units)
    passes: how many batches were passed through the layers above so far
    """

    units: DenseUnits
    above: Sequence[Pass]
    next: DenseUnits | None
    losses: Callable[[Array], Array]
    passes: int = 0
    _scratch: Floats = field(default_factory=lambda: np.empty(0))

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return len(self.units.outputs)

    def at(self, units: Units, shifts: Floats) -> Floats:
        """Return the losses for shifts (perturbations, samples) of one unit each, in their shape.

        There may be any number of them.
        """
        return self._all_losses(units, shifts, self._shifted)

    def at_outputs(self, units: Units, changes: Floats) -> Floats:
        """Return the same for changes of what the units put out."""
        return self._all_losses(units, changes, self._changed)

    def finished(self, rows: Array, above: Sequence[Pass]) -> Array:
        """Return the losses (batches, samples) of rows that are passed through layers yet."""
        for one in above:
            rows = one.forward(one.copies(), rows)
        return self.losses(rows.reshape(-1, self.samples, rows.shape[-1]))

    @cached_property
    def _most(self) -> int:
        """How many perturbed batches to pass through at a time."""
        formed = [one.outputs for one in self.above]
        if self._rank_one is None:
            formed.append(self.units.outputs)
        return max(1, CHUNK // max(outputs.size for outputs in formed))

    @property
    def _rank_one(self) -> DenseUnits | None:
        """The next layer, where a column of its inputs is all that changes."""
        return self.next if self.units.is_entrywise else None

    def _all_losses(self, units: Units, by: Floats, rows_above: RowsAbove) -> Floats:
        found = np.empty(by.shape)
        for start in range(0, len(units), self._most):
            part = slice(start, start + self._most)
            found[part] = self.finished(*rows_above(units[part], by[part]))
        self.passes += len(units)
        return found

    def _shifted(self, units: Units, shifts: Floats) -> tuple[Array, Sequence[Pass]]:
        """Return the rows of perturbed networks so far, and the layers that they pass yet."""
        here = self.units
        if here.is_entrywise:
            z, outputs = here.by_unit
            moved = np.asarray(here.activate(z[units] + shifts))
            return self._changed(units, moved - outputs[units])
        rows = np.repeat(here.preactivations[None], len(units), axis=0)
        rows[np.arange(len(units)), :, units] += shifts
        return np.asarray(here.activate(rows.reshape(-1, rows.shape[-1]))), self.above

    def _changed(self, units: Units, changes: Floats) -> tuple[Array, Sequence[Pass]]:
        """Return the same where one column of the outputs changes."""
        if (above := self._rank_one) is None:
            rows = np.repeat(self.units.outputs[None], len(units), axis=0)
            rows[np.arange(len(units)), :, units] += changes
            return rows.reshape(-1, rows.shape[-1]), self.above
        # In the same memory every time, which then is in the cache.
        if self._scratch.shape != (len(units), *above.preactivations.shape):
            self._scratch = np.empty((len(units), *above.preactivations.shape))
        z = self._scratch
        if np.all(units == units[0]):  # an outer product, which a BLAS forms faster
            row = above.weight[units[:1]]
            np.dot(changes.reshape(-1, 1), row, out=z.reshape(-1, row.size))
        else:
            np.multiply(changes[:, :, None], above.weight[units][:, None, :], out=z)
        z += above.preactivations
        return np.asarray(above.activate(z.reshape(-1, z.shape[-1]))), self.above[1:]
