"""The analytic gradient of one sample at a time, from calls with parts of the data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from gradcheck.budget import Budget
from gradcheck.calling import TimedOut
from gradcheck.diagnosis.asking import quiet
from gradcheck.diagnosis.facts import Facts
from gradcheck.directions import Floats
from gradcheck.execution import Evaluator

# Larger batches are not cut up.
MOST_SAMPLES = 100


def with_samples(facts: Facts, evaluator: Evaluator, budget: Budget) -> Facts:
    """Return the facts with the gradient for each sample, computed when it is asked for."""

    @cache
    def per_sample() -> Mapping[str, Floats] | None:
        return _per_sample(evaluator, tuple(facts.analytic), budget)

    return replace(facts, per_sample=per_sample)


def _per_sample(
    evaluator: Evaluator, names: Sequence[str], budget: Budget
) -> dict[str, Floats] | None:
    """Return the gradients by name, samples on the first axis.

    None where there is no batch, or no time.
    """
    problem = evaluator.problem
    axis = _sample_axis(problem.args)
    if axis is None or problem.in_place or not callable(problem.gradient):
        return None
    found: list[dict[str, Floats]] = []
    for number in range(_length(problem.args, axis)):
        if budget.is_spent():
            return None
        args = tuple(_taken(data, axis, number) for data in problem.args)
        alone = _gradient_alone(evaluator.with_args(args), names)
        evaluator.gradient_calls += 1
        if set(alone) != set(names):
            return None
        found.append(alone)
    stacked = {name: [gradient[name] for gradient in found] for name in names}
    if any(len({array.shape for array in arrays}) > 1 for arrays in stacked.values()):
        return None
    return {name: np.array(arrays) for name, arrays in stacked.items()}


def _gradient_alone(evaluator: Evaluator, names: Sequence[str]) -> dict[str, Floats]:
    """Return the gradient for one sample; {} where it raises, takes too long or exits."""
    try:
        # A variance over one sample is our doing; its user need not be warned of it.
        with quiet():
            return evaluator.gradient_at({}, names)
    except (TimedOut, SystemExit):
        return {}
    finally:
        evaluator.close()


def _sample_axis(args: Sequence[Any]) -> int | None:
    """Return the axis, first or last, along which all arrays of the data are equally long."""
    arrays = [data for data in args if isinstance(data, np.ndarray) and data.ndim]
    for axis in (0, -1):
        lengths = {array.shape[axis] for array in arrays}
        if len(lengths) == 1 and 1 < lengths.pop() <= MOST_SAMPLES:
            return axis
    return None


def _length(args: Sequence[Any], axis: int) -> int:
    return next(int(d.shape[axis]) for d in args if isinstance(d, np.ndarray) and d.ndim)


def _taken(data: Any, axis: int, number: int) -> Any:
    if not (isinstance(data, np.ndarray) and data.ndim):
        return data
    return data[number : number + 1] if axis == 0 else data[..., number : number + 1]
