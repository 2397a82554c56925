"""Every entry of a parameter by finite differences, the loss taken as a black box."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.budget import Budget
from gradcheck.directions import Floats, entry_scales, noise_directions, norm
from gradcheck.entry_table import Entries, EntryMeasurement
from gradcheck.execution import Evaluator
from gradcheck.ladder import Conditions, Evaluate, LineSettings
from gradcheck.leaves import Array, as_complex
from gradcheck.line import differentiate, first_step
from gradcheck.noise import measure_noise
from gradcheck.parameters import rebuilder
from gradcheck.probes import (
    SHARED_ROUND_OFF,
    Claim,
)
from gradcheck.problem import Problem

# An entry this much smaller than its parameter's typical one is compared at that size: beside it
# the entry's own relative error does not matter, and the loss cannot show it.
SMALLEST_RELEVANT = 1e-6
# From further away a saturated function looks straight; the ladder may still grow there.
LONGEST_START = 8.0
# A neighbour close to a kink took steps that are far too small for others.
SHORTEST_START = 1e-3
NUMERICAL_REQUIRED = 1e-6


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
    shape = claim.analytic.shape
    typical = norm(claim.analytic) / math.sqrt(claim.analytic.size)
    largest = float(np.max(np.abs(claim.analytic)))
    measured = []
    # Neighbouring entries like similar steps: each starts where the last one ended.
    start = None
    for position in positions:
        if budget is not None and budget.is_spent():
            break
        index = tuple(int(i) for i in np.unravel_index(position, shape))
        analytic, scale = float(claim.analytic[index]), float(claim.scale[index])
        default = first_step(scale, conditions)
        round_off = claim.units * claim.unit * (abs(analytic) + SHARED_ROUND_OFF * largest)
        settings = LineSettings(
            slope=analytic,
            slope_round_off=round_off + float(claim.inexactness[index]),
            scale=scale,
            first_step=max(start * scale, SHORTEST_START * default) if start else default,
            required=claim.required,
            reference=SMALLEST_RELEVANT * typical if analytic else typical,
            enough=claim.required * typical,
            negligible=claim.negligible * abs(analytic),
            comparing=claim.comparing,
        )
        derivative = differentiate(
            _line(evaluator, claim.name, index, analytic), conditions, settings
        )
        if derivative.limit == "precision" and abs(derivative.discrepancy) <= derivative.error_bar:
            start = min(derivative.step_size / scale, LONGEST_START)
        measured.append(EntryMeasurement(index, analytic, derivative))
    return Entries.of(shape, measured)


def _line(evaluator: Evaluator, name: str, index: tuple[int, ...], analytic: float) -> Evaluate:
    original = evaluator.original[name]
    kind: Callable[[float], Any] = original.dtype.type
    origin = float(original[index])

    def evaluate(step: float) -> tuple[float, float]:
        moved = kind(origin + step)
        if moved == origin:  # the step is below what the entry's precision can show
            return math.nan, 0.0
        return evaluator.loss_at_entry(name, index, moved), analytic * (float(moved) - origin)

    return evaluate


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
