"""Every weight of a dense layer really moved up and down, by exact losses and no chain rule.

A number here is the difference of two losses of the network, one with W[i, j] + h and one with
W[i, j] - h, over 2 h: no derivative of anything is multiplied by any other. What makes it fast is
that few numbers of the network depend on W[i, j], and that many perturbed networks go through the
layers above at once (`unit_shifts`).

Two losses per entry leave nothing to tell an error by. But sample k sees nothing of W[i, j] beside
the shift of its pre-activation z_kj by h x_ki. How its loss, as a function of that shift, bends and
jitters is measured once per sample and unit (`unit_reach`), and bounds the error of all weights of
the unit: truncation falls like the square of the shift, kinks within reach count in full, and the
round-off is that of two sums of losses.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from gradcheck.diagnosis.asking import AskedLoss, Asker, quiet
from gradcheck.diagnosis.linear_parts import Dense
from gradcheck.directions import Floats, norm
from gradcheck.extrapolation import NOISE_MULTIPLE
from gradcheck.ladder import bar_multiplier
from gradcheck.layer_numbers.at_outputs import LossAtOutputs
from gradcheck.layer_numbers.evaluations import Array
from gradcheck.layer_numbers.gradient import SEED, LayeredGradient
from gradcheck.layer_numbers.passes import NotUnderstood, Pass, forward_passes
from gradcheck.layer_numbers.unit_reach import Reach, reach
from gradcheck.layer_numbers.unit_shifts import FAR, UnitShifts, dense_units
from gradcheck.seeding import random_generator

FORM = "moving every weight by itself"
# Perturbations whose losses are kept at a time.
AT_ONCE = 4_096
# Losses of stacked networks and of one by itself are the same up to this, relative to their norm.
SAME_LOSSES = 1e-10
# What is left of terms that cancel nobody can tell the rounding of.
SMALLEST_LOSS = 1e-12


def strict_gradient(
    network: Any,
    parameters: Mapping[str, Array],
    inputs: Any,
    targets: Any,
    loss: float,
    *,
    names: Collection[str] | None = None,
    asker: Asker | None = None,
) -> LayeredGradient | None:
    """Return the derivatives by the weights of dense layers, every one moved by itself.

    Without those whose layer is not dense, does not tell its activation, has samples in columns, or
    has a layer above it in which rows depend on each other.

    Parameters
    ----------
    network: its layers, and its loss on the outputs, which tells that of every sample
    parameters: by full name; they are not changed
    inputs, targets: the data
    loss: the user's loss, which the network's has to be
    names: of the parameters that are wanted; all by default
    asker: calls the layers; by default one that takes the time it needs, which is much

    Returns
    -------
    LayeredGradient | None
        None where nothing can be found in this way; its `partial_evaluations` are batches that were
        passed through the layers above one whose weights were moved
    """
    if not abs(loss) > SMALLEST_LOSS:
        return None
    own = asker or Asker(most_seconds=math.inf)
    try:
        with quiet():
            passes = forward_passes(network, parameters, inputs, own)
            generator = random_generator(SEED, "strict", 0)
            losses = LossAtOutputs(
                AskedLoss(network.loss, own), passes[-1].outputs, targets, loss, generator
            )
            found = _Strict(passes, losses, names, generator).gradient()
    except Exception:
        # What the user's code makes of these calls is its own affair.
        return None
    finally:
        if asker is None:
            own.close()
    return found if found.values else None


class _Strict:
    """The layers of a network from the last to the first.

    Parameters
    ----------
    passes: the layers
    losses: those of the samples
    names: of the parameters that are wanted; all if None
    generator: of the random points at which formulas are tried
    """

    def __init__(
        self,
        passes: list[Pass],
        losses: LossAtOutputs,
        names: Collection[str] | None,
        generator: np.random.Generator,
    ) -> None:
        self._generator = generator
        is_twice = len({one.layer.name for one in passes}) < len(passes)
        rows = losses.functions
        if is_twice or not rows.stacks or rows.axis:
            raise NotUnderstood("samples have to be rows, and layers to be passed through once")
        self._passes, self._losses, self._factor = passes, rows.values, losses.factor
        wanted = [one.parameters[key] for one in passes for key in self._keys(one, names)]
        self._widened = bar_multiplier(sum(array.size for array in wanted))
        self._names = names

    def gradient(self) -> LayeredGradient:
        """Return what can be found."""
        values: dict[str, Floats] = {}
        bars: dict[str, Floats] = {}
        forms, evaluations = {}, 0
        least, above = np.zeros(len(self._passes[-1].outputs)), None
        for place, one in reversed(list(enumerate(self._passes))):
            units = dense_units(one, self._generator)
            if units is not None:
                shifts = UnitShifts(units, self._passes[place + 1 :], above, self._losses)
                if _is_the_network(one, shifts, self._generator):
                    found = reach(shifts, least)
                    least = found.least
                    if keys := self._keys(one, self._names):
                        value, bar = _measured(shifts, found)
                        factor = self._factor
                        values |= {one.names[key]: factor * value[key] for key in keys}
                        bars |= {one.names[key]: factor * self._widened * bar[key] for key in keys}
                        forms[one.layer.name] = FORM
                evaluations += shifts.passes
            above = units
        return LayeredGradient(values, bars, forms, evaluations)

    def _keys(self, one: Pass, names: Collection[str] | None) -> list[str]:
        """Return which parameters of a layer are wanted."""
        return [key for key, name in one.names.items() if names is None or name in names]


def _is_the_network(one: Pass, shifts: UnitShifts, generator: np.random.Generator) -> bool:
    """Return whether shifts of a unit are moves of its weights, and every row is by itself.

    Stacked are a batch that is moved, the same with only some rows moved, and one as it is.
    """
    units, form = shifts.units, shifts.units.form
    along = generator.standard_normal(len(units.weight))
    unit = int(generator.integers(units.outputs.shape[1]))
    some = generator.permutation(shifts.samples) < (shifts.samples + 1) // 2
    (here,) = shifts.finished(one.outputs.copy(), shifts.above)
    for far in FAR:
        shift = one.inputs @ (far * along)
        stacked = shifts.at(np.full(3, unit), np.stack([shift, some * shift, 0.0 * shift]))
        weight = units.weight.copy()
        weight[:, unit] += far * along
        moved = {**one.copies(), form.weight_name: form.as_held(weight)}
        (plain,) = shifts.finished(one.forward(moved, one.inputs.copy()), shifts.above)
        expected = np.stack([plain, np.where(some, plain, here), here])
        if np.all(np.isfinite(expected)):
            return norm(stacked - expected) <= SAME_LOSSES * norm(expected)
    return False


def _measured(shifts: UnitShifts, found: Reach) -> tuple[dict[str, Floats], dict[str, Floats]]:
    """Return the derivatives of the sum of all samples' losses, and their bars, by short name."""
    dense = shifts.units.form
    inputs = dense.inputs.T
    if dense.bias_name:
        # A bias is the weight of an input that is 1.
        inputs = np.vstack([inputs, np.ones(inputs.shape[1])])
    steps = _steps(found, inputs, dense.weight)
    values = _slopes(shifts, inputs, steps)
    return _as_held(dense, values), _as_held(dense, _bars(found, inputs, steps))


def _steps(found: Reach, inputs: Floats, weight: Floats) -> Floats:
    """Return by how much every weight is moved, (inputs, units); 0 where that moves nothing.

    So far that the largest shift is the unit's distance, but not far beyond what weights are.
    """
    largest, furthest = np.max(np.abs(inputs), axis=1), max(1.0, float(np.max(np.abs(weight))))
    with np.errstate(divide="ignore", over="ignore"):
        steps = np.minimum(found.distance / largest[:, None], furthest)
    return np.where(largest[:, None] > 0.0, steps, 0.0)


def _slopes(shifts: UnitShifts, inputs: Floats, steps: Floats) -> Floats:
    """Return the central differences along all weights, (inputs, units)."""
    # Unit by unit: those of one perturbation after the other are in the cache.
    by_unit = steps.T.reshape(-1)
    values = np.zeros(by_unit.size)
    moving = np.flatnonzero(by_unit)
    for start in range(0, moving.size, AT_ONCE):
        entries = moving[start : start + AT_ONCE]
        units, rows = np.divmod(entries, len(inputs))
        moves = by_unit[entries, None] * inputs[rows]
        change = shifts.at(units, moves) - shifts.at(units, -moves)
        # Sample by sample: the sum of all losses rounds more than a few changes do.
        values[entries] = np.sum(change, axis=1) / (2 * by_unit[entries])
    return values.reshape(steps.shape[::-1]).T


def _bars(found: Reach, inputs: Floats, steps: Floats) -> Floats:
    """Return how far the central differences may be off, (inputs, units)."""
    sizes = np.abs(inputs)
    truncation = (steps / found.distance) ** 2 * (sizes**3 @ found.truncation)
    # Samples that do not see the weight have the very same loss twice.
    noise = NOISE_MULTIPLE * np.sqrt((sizes > 0.0) @ found.variance / 2)
    noises = np.divide(noise, steps, out=np.zeros_like(steps), where=steps > 0.0)
    bars = truncation + sizes @ found.kink + noises
    return np.where(np.isfinite(bars), bars, np.inf)


def _as_held(dense: Dense, matrix: Floats) -> dict[str, Floats]:
    """Return what belongs to weight and bias, as the layer holds them."""
    held = {dense.weight_name: dense.as_held(matrix[: dense.inputs.shape[1]])}
    if dense.bias_name:
        held[dense.bias_name] = matrix[-1].reshape(dense.bias_shape)
    return held
