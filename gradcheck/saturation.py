"""Units of a network that are saturated or dead: no gradient comes through them.

That a unit's gradient is next to nothing is seen for free. Why, its layer is asked then, and of the
activation f nothing is known but what a few calls show. A unit is saturated where at every sample
the slope f'(z) is next to nothing of the mean slope on the way there from 0, (f(z) - f(0)) / z.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.budget import Budget
from gradcheck.directions import Floats, root_mean_square
from gradcheck.execution import Array, Evaluator
from gradcheck.layer_parts import forward, known_loss, own_parameters

if TYPE_CHECKING:
    from gradcheck.diagnosis.asking import AskedLayer, Asker

# Layers are asked where so many rows or columns of a matrix have this part of the largest gradient.
SMALL_GRADIENT = 1e-2
# Of the mean slope from 0: a sigmoid is that flat beyond 7.3, a tanh beyond 3.6.
FLAT_SLOPE = 1e-2
# Share of a layer's units that is worth telling. Of ReLUs half are dead where samples are alike, as
# they are deep in a sound network, and the other half is enough.
LEAST_SHARE, LEAST_DEAD = 0.5, 0.9
# With fewer samples many a sound ReLU is off at all of them.
LEAST_SAMPLES = 8
# The slopes along two directions are the same to this, and in this share of the entries, where f
# works entry by entry: there may be kinks.
SAME_SLOPE, SAME_SHARE = 0.05, 0.9
# The network's loss is the user's where both agree to this, relative to it; its outputs and what
# they are with the samples in another order are the same to this.
SAME = 1e-5


def saturation_notes(
    evaluator: Evaluator,
    gradients: Mapping[str, Floats],
    loss: float,
    *,
    seed: int,
    budget: Budget,
) -> tuple[tuple[str, ...], int]:
    """Return what there is to say of every layer's units, and how many calls of layers it took.

    Nothing, and none, where every unit has its gradient, or where the problem does not show its
    layers.

    Parameters
    ----------
    gradients: the analytic ones, by name
    loss: the user's, which that of the network has to be
    seed: of the directions that activations are told from other functions by
    budget: the time there is
    """
    problem = evaluator.problem
    shows_layers = problem.network is not None and len(problem.args) == 2
    if not shows_layers or evaluator.complex_names or not _is_suspect(gradients):
        return (), 0
    # Most checks have no use for it.
    from gradcheck.diagnosis.asking import Asker, quiet

    with closing(Asker(evaluator.another_caller, budget)) as asker:
        try:
            with quiet():
                # A layer that is passed through twice is told once.
                notes = tuple(dict.fromkeys(_notes(evaluator, loss, seed, asker)))
        except Exception:
            # What the user's code makes of calls that nobody has asked for is its own affair.
            notes = ()
        return notes, asker.calls


def _is_suspect(gradients: Mapping[str, Floats]) -> bool:
    """Return whether enough rows or columns of a matrix have next to nothing of a gradient."""
    matrices = [array for array in gradients.values() if array.ndim > 1 and array.size]
    unit = max((float(max(array.max(), -array.min())) for array in matrices), default=0.0)
    squares = [one for array in matrices for one in _mean_squares(array, unit or 1.0)]
    largest = max((float(one.max()) for one in squares), default=0.0)
    small = [np.count_nonzero(one <= SMALL_GRADIENT**2 * largest) / one.size for one in squares]
    return any(share >= LEAST_SHARE for share in small)


def _mean_squares(array: Floats, unit: float) -> Iterator[Floats]:
    """Yield, for every axis, the mean square of each of its slices, in that unit."""
    squares = array / unit
    np.square(squares, out=squares)
    for axis in range(array.ndim):
        yield squares.mean(axis=tuple({*range(array.ndim)} - {axis}))


@dataclass(frozen=True, eq=False)
class _Seen:
    """A layer in the forward pass."""

    layer: AskedLayer
    linear_in: tuple[str, ...]
    parameters: Mapping[str, Array]
    inputs: Array
    outputs: Array

    @property
    def tells_preactivations(self) -> bool:
        """Whether it says what its activation is of, or is an activation by itself."""
        if self.layer.preactivation is not None:
            return bool(self.linear_in)
        return not self.parameters and self.inputs.shape == self.outputs.shape

    def moved(self, move: Callable[[Array], Array]) -> tuple[Floats, Floats]:
        """Return pre-activations and outputs when what the former are linear in has moved."""
        own = {
            key: (move(array) if key in self.linear_in else array.copy())
            for key, array in self.parameters.items()
        }
        inputs = self.inputs if self.linear_in else move(self.inputs)
        # Of a layer that is an activation by itself, the inputs.
        z = inputs
        if self.layer.preactivation is not None:
            z = self.layer.preactivation({k: a.copy() for k, a in own.items()}, inputs.copy())
        outputs = forward(self.layer, own, inputs.copy())[0]
        return np.array(z, np.float64), np.array(outputs, np.float64)


def _notes(evaluator: Evaluator, loss: float, seed: int, asker: Asker) -> Iterator[str]:
    from gradcheck.diagnosis.asking import AskedLoss

    problem = evaluator.problem
    inputs, targets = problem.args
    own_loss = known_loss(problem.network)
    if own_loss is None:
        return
    layers = _forward(evaluator, np.array(inputs), asker)
    outputs = layers[-1].outputs
    value = float(AskedLoss(own_loss, asker).value(outputs.copy(), targets))
    axis = _sample_axis(evaluator, np.array(inputs), outputs, asker)
    if axis is None or not abs(value - loss) <= SAME * abs(loss):
        return
    for one in layers:
        if one.tells_preactivations:
            yield from _told(one, axis, seed)


def _forward(evaluator: Evaluator, signal: Array, asker: Asker) -> list[_Seen]:
    from gradcheck.diagnosis.asking import AskedLayer

    seen = []
    for one, held in own_parameters(evaluator.problem.network, None):
        layer = AskedLayer(one, asker)
        own = {key: evaluator.original[f"{layer.name}.{key}"] for key in held}
        copies = {key: array.copy() for key, array in own.items()}
        outputs = forward(layer, copies, signal.copy())[0].copy()
        linear_in = tuple(getattr(one, "linear_in", ()))
        seen.append(_Seen(layer, linear_in, own, signal, outputs))
        signal = outputs
    return seen


def _sample_axis(evaluator: Evaluator, inputs: Array, outputs: Array, asker: Asker) -> int | None:
    """Return the axis that samples are along: in another order they have the same outputs."""
    for axis in range(min(inputs.ndim, outputs.ndim, 2)):
        turned = _forward(evaluator, np.flip(inputs, axis), asker)[-1].outputs
        if np.allclose(np.flip(turned, axis), outputs, rtol=SAME, atol=SAME * np.ptp(outputs)):
            return axis
    return None


def _told(seen: _Seen, axis: int, seed: int) -> Iterator[str]:
    """Yield what there is to say of the units of one layer."""
    slopes = _slopes(seen, seed)
    if slopes is None:
        return
    slope, mean = slopes
    flat = slope <= FLAT_SLOPE * mean
    count = flat.shape[axis]
    is_dead = np.all(flat & (mean == 0.0), axis=axis)
    is_saturated = np.all(flat, axis=axis) & ~is_dead
    if np.mean(is_saturated) >= LEAST_SHARE:
        why = f"slopes below {_percent(FLAT_SLOPE)} of the mean from 0, at every sample"
        yield f"{seen.layer.name}: {_share(is_saturated)} saturated ({why})"
    if np.mean(is_dead) >= LEAST_DEAD and count >= LEAST_SAMPLES:
        yield f"{seen.layer.name}: {_share(is_dead)} dead (slopes of 0, at every sample)"


def _share(chosen: Array) -> str:
    count, size = int(np.sum(chosen)), chosen.size
    verb = "is" if count == 1 else "are"
    return f"{count:,} of {size:,} units ({_percent(count / size)}) {verb}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _slopes(seen: _Seen, seed: int) -> tuple[Floats, Floats] | None:
    """Return the sizes of the slope and of its mean from 0, per sample and unit.

    None where the outputs are no function of the pre-activations entry by entry, or these are not
    linear in what the layer says.
    """
    step = float(np.sqrt(np.finfo(seen.outputs.dtype).eps))
    generator = np.random.default_rng([seed, *seen.layer.name.encode()])

    def turned(array: Array) -> Array:
        size = root_mean_square(array) or 1.0
        bits = np.unpackbits(np.frombuffer(generator.bytes(array.size // 8 + 1), np.uint8))
        signs = bits[: array.size].reshape(array.shape).astype(array.dtype)
        signs -= array.dtype.type(0.5)
        signs *= array.dtype.type(2.0 * step * size)
        signs += array
        return signs

    z, outputs = seen.moved(lambda array: array.copy())
    if z.shape != outputs.shape or not np.all(np.isfinite(z)):
        return None
    z_zero, at_zero = seen.moved(np.zeros_like)
    if np.max(np.abs(z_zero)) > SAME * np.max(np.abs(z)):
        return None
    mean = np.abs((outputs - at_zero) / z)
    moved = (seen.moved(lambda array: array * array.dtype.type(1 + step)), seen.moved(turned))
    one, other = (np.abs((there - outputs) / (z_there - z)) for z_there, there in moved)
    larger = np.maximum(one, other)
    same = np.abs(one - other) <= SAME_SLOPE * larger + FLAT_SLOPE * mean
    return (larger, mean) if np.mean(same) >= SAME_SHARE else None
