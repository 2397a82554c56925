"""Every entry of a parameter by finite differences, the loss taken as a black box."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcheck.budget import Budget
from gradcheck.directions import Floats, entry_scales, noise_directions
from gradcheck.entry_table import Entries, EntryMeasurement, is_plain
from gradcheck.execution import Evaluator
from gradcheck.ladder import Conditions
from gradcheck.leaves import Array, as_complex
from gradcheck.noise import measure_noise
from gradcheck.parameters import rebuilder
from gradcheck.probes import Claim
from gradcheck.problem import Problem

if TYPE_CHECKING:
    from gradcheck.entry_losses import Positions

NUMERICAL_REQUIRED = 1e-6
# The first entries tell what steps the others like.
BLOCKS = (8, 64, 512, 1024)


def measure_entries(
    evaluator: Evaluator,
    conditions: Conditions,
    claim: Claim,
    positions: Sequence[int] | np.ndarray,
    *,
    budget: Budget | None = None,
) -> Entries:
    """Return the slopes along the entries at these flat positions, in this order.

    Where the time runs out, those of the first ones.
    """
    flat = np.asarray(positions, np.intp)
    if not flat.size:
        return Entries.of(claim.analytic.shape, ())
    from gradcheck.sweep import Block, Sweep

    budget = budget or Budget()
    sweep = Sweep(evaluator, conditions, claim, budget)
    value, error, discrepancy = (np.empty(flat.size) for _ in range(3))
    special: dict[int, EntryMeasurement] = {}
    shape, analytic = claim.analytic.shape, _at(claim.analytic, flat)
    done, bias = 0, 1.0
    for start, end in _blocks(flat.size):
        block = Block(sweep, flat[start:end], bias)
        discrepancy[start:end], error[start:end] = block.estimate, block.error
        value[start:end] = analytic[start:end] + block.estimate
        for place, found in block.slopes.items():
            at = start + place
            value[at], error[at] = found.value, found.error_bar
            discrepancy[at] = found.discrepancy
            if not is_plain(found):
                index = tuple(int(i) for i in np.unravel_index(flat[at], shape))
                special[at] = EntryMeasurement(index, float(analytic[at]), found)
        done = start + block.done
        if done < end:
            break
        bias *= block.step_ratio
    kept = slice(done)
    return Entries(
        shape, flat[kept], analytic[kept], value[kept], error[kept], discrepancy[kept], special
    )


def _blocks(count: int) -> Iterator[tuple[int, int]]:
    start = 0
    for size in chain(BLOCKS, repeat(BLOCKS[-1])):
        if start >= count:
            return
        end = min(count, start + size)
        yield start, end
        start = end


def _at(array: Floats, positions: Positions) -> Floats:
    """Return the entries at flat positions; where these are all of them, without a copy."""
    if positions.size == array.size and np.all(positions[1:] > positions[:-1]):
        return array.reshape(-1)
    return array.flat[positions]


@dataclass(frozen=True)
class NumericalGradient:
    """A numerical gradient, each part nested like the parameters.

    Attributes
    ----------
    value: the derivative per entry; of a complex parameter dL/dRe + i dL/dIm
    error_bar: how far it may be off; infinite where the loss could not be differentiated
    evaluations: calls of the loss
    """

    value: Any
    error_bar: Any
    evaluations: int


def numerical_gradient(
    loss: Callable[..., Any], parameters: Any, *, args: Sequence[Any] = ()
) -> NumericalGradient:
    """Return the gradient of `loss` by finite differences, with an error bar per entry.

    Parameters
    ----------
    loss: ``loss(parameters, *args)`` returns one real number
    parameters: an array or any nesting of containers; not changed
    args: handed on to the loss

    Raises
    ------
    ValueError
        when the loss is not one finite real number at the parameters

    Examples
    --------
    >>> import numpy as np
    >>> result = numerical_gradient(lambda x: np.sum(np.sin(x)), np.array([0.0, 1.0]))
    >>> bool(np.all(np.abs(result.value - np.cos([0.0, 1.0])) <= result.error_bar))
    True
    """
    evaluator = Evaluator(Problem(loss, parameters, parameters, args=args))
    evaluator.use_double_precision()
    scales = entry_scales(evaluator.original)
    noise = measure_noise(evaluator, noise_directions(evaluator.original, scales, seed=0))
    if not math.isfinite(noise.value):
        raise ValueError(f"loss must be finite at the parameters, got {noise.value}")
    conditions = noise.conditions(sum(scale.size for scale in scales.values()))
    values: dict[str, Array] = {}
    bars: dict[str, Floats] = {}
    for name, scale in scales.items():
        nothing = np.zeros(scale.shape)
        claim = Claim(
            name, nothing, scale, 0.0, nothing, nothing, NUMERICAL_REQUIRED, comparing=False
        )
        measured = measure_entries(evaluator, conditions, claim, range(scale.size))
        values[name] = measured.value.reshape(scale.shape)
        bars[name] = measured.error_bar.reshape(scale.shape)
        if name in evaluator.complex_names:
            values[name], bars[name] = as_complex(values[name]), np.hypot(*bars[name].T).T
    nested = rebuilder(parameters)
    return NumericalGradient(nested(values), nested(bars), evaluator.evaluations)
