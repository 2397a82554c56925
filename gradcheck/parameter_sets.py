"""Losses of many parameter sets in one call: every floating-point array has a leading axis of sets.

References
----------
numpy's generalised ufuncs, scipy.optimize.differential_evolution(vectorized=True): many points at
once along an axis of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.diagnosis import codes
from gradcheck.directions import entry_scales
from gradcheck.execution import Evaluator
from gradcheck.leaves import Array, as_complex, described, usable_array
from gradcheck.parameters import flatten, rebuilder
from gradcheck.problem import Problem
from gradcheck.returned import LossNotScalar

# Copies of the perturbed parameter that are handed out together take about this many bytes, which
# stay in a processor's cache; no call gets more sets than these.
SETS_BYTES, MOST_SETS = 2**20, 64
# How far a second point is away, in scales, to see which set a loss belongs to: the first of these
# where it can be evaluated.
AWAY = (0.1, 1e-3, 1e-5)
# Calls in which a random loss shows that it is; a random number is hardly ever drawn twice.
REPEATS = 3


@dataclass(frozen=True)
class SetsLoss:
    """A loss of many parameter sets, called with one: as a loss of parameters is."""

    of_sets: Callable[..., Any]

    def __call__(self, parameters: Any, *args: Any) -> Any:
        """Return the loss of one parameter set."""
        leaves = flatten(parameters)
        taken = {name: usable_array(name, leaf, live=False) for name, leaf in leaves.items()}
        sets = {name: array[np.newaxis] for name, array in taken.items() if array is not None}
        rest = {name: leaf for name, leaf in leaves.items() if name not in sets}
        losses = self.of_sets(rebuilder(parameters)(sets | rest), *args)
        return read_losses(losses, 1)[0]


def read_losses(result: Any, count: int) -> npt.NDArray[Any]:
    """Return the losses of so many sets.

    Raises
    ------
    ValueError
        when they are not as many real numbers, or complex ones
    """
    losses = np.asarray(result)
    if losses.shape != (count,) or losses.dtype.kind not in "fiubc":
        sets = "1 parameter set" if count == 1 else f"{count} parameter sets"
        raise ValueError(
            f"loss must return an array of shape ({count},) for {sets}, as vectorized=True says, "
            f"got {described(result)}"
        )
    return losses


def with_sets(problem: Problem) -> Problem:
    """Return a problem whose loss takes a leading axis as one whose loss takes parameters.

    Raises
    ------
    ValueError
        when it has no loss of its own, or one without parameters
    """
    if problem.loss is None or problem.in_place:
        got = "an in-place problem" if problem.in_place else "loss=None"
        raise ValueError(f"vectorized=True must come with a loss of parameters, got {got}")
    return replace(problem, loss=SetsLoss(problem.loss), name=problem.title)


class ParameterSets:
    """Calls a loss with many sets that differ in some parameters only.

    Parameters
    ----------
    problem: whose loss is a SetsLoss
    original: its parameters as real numbers, by name
    complex_names: of those that are complex
    """

    def __init__(
        self, problem: Problem, original: Mapping[str, Array], complex_names: frozenset[str]
    ) -> None:
        self._problem = problem
        self._original, self._complex = original, complex_names
        self._containers = rebuilder(problem.parameters)
        leaves = flatten(problem.parameters)
        others = {name: leaf for name, leaf in leaves.items() if name not in original}
        self._others = {k: v.copy() if isinstance(v, np.ndarray) else v for k, v in others.items()}

    def call(self, moved: Mapping[str, Array]) -> Callable[[], Any]:
        """Return the call with these parameters, (sets, ...) each; the others are alike in all."""
        count = len(next(iter(moved.values())))
        sets = {
            name: moved.get(name, np.broadcast_to(array, (count, *array.shape)))
            for name, array in self._original.items()
        }
        sets |= {name: as_complex(sets[name]) for name in self._complex}
        handed = self._containers(sets | self._others)
        loss: SetsLoss = self._problem.loss  # type: ignore[assignment]
        return partial(loss.of_sets, handed, *self._problem.args)


def most_sets(evaluator: Evaluator, array: Array) -> int:
    """Return how many sets that differ in this parameter one call may get."""
    # A call of many takes longer than one of one, which is all that a timeout is about.
    if not isinstance(evaluator.problem.loss, SetsLoss) or evaluator.timeout is not None:
        return 1
    return max(1, min(SETS_BYTES // max(array.nbytes, 1), MOST_SETS))


def check_sets(evaluator: Evaluator) -> None:
    """Check that a loss says for two sets together what it says for each alone.

    Not of a loss that is no finite number at the given parameters, or is random, of which
    preflight tells; nor where no call gets two sets. What the loss raises there propagates.

    Raises
    ------
    ValueError
        when it does not: it ignores the leading axis, or mixes the sets
    """
    if evaluator.timeout is not None:
        return
    try:
        here = _here(evaluator)
    except LossNotScalar:
        return
    if not np.isfinite(here):
        return
    away, there = _elsewhere(evaluator, here)
    together = _together(evaluator, away)
    alone = np.array([here, there])
    unit = np.finfo(together.dtype if together.dtype.kind == "f" else np.float64).eps
    # Sums in another order round differently; what is mixed up differs by far more.
    allowed = math.sqrt(unit) * float(np.max(np.abs(alone)))
    if np.all(np.abs(together - alone) <= allowed) or _is_random(evaluator, here, allowed):
        return
    raise ValueError(
        "loss must return for each parameter set what it returns for that set alone, as "
        f"vectorized=True says, got {together[0]:.9g} and {together[1]:.9g} for two together, "
        f"{here:.9g} and {there:.9g} for each alone"
    )


def _here(evaluator: Evaluator) -> float:
    """Return the loss at the given parameters, which are what they were whatever it does."""
    try:
        return evaluator.loss()
    finally:
        evaluator.restore()


def _elsewhere(evaluator: Evaluator, here: float) -> tuple[Mapping[str, Array], float]:
    """Return parameters a little way off and the loss there; the given ones where it has none."""
    original = evaluator.original
    scales = entry_scales(original)
    for distance in AWAY:
        moved = {
            name: (array + distance * scales[name]).astype(array.dtype)
            for name, array in original.items()
        }
        away = evaluator.bounds.turned_back(original, moved)
        there = evaluator.loss_at(away)
        if np.isfinite(there):
            return away, there
    return original, here


def _together(evaluator: Evaluator, away: Mapping[str, Array]) -> npt.NDArray[Any]:
    """Return the losses of the given parameters and of others, of one call."""
    original = evaluator.original
    pairs = {name: np.stack([array, away[name]]) for name, array in original.items()}
    sets = ParameterSets(evaluator.problem, original, evaluator.complex_names)
    evaluator.evaluations += 2
    with closing(evaluator.another_caller()) as caller, np.errstate(all="ignore"):
        try:
            losses = caller.call(sets.call(pairs), "loss")
        except Exception as error:
            error.add_note(
                f"{codes.LOSS_RAISED.code} {codes.LOSS_RAISED.slug}: the loss of "
                f"{evaluator.problem.title!r} raised for 2 parameter sets together, which "
                "vectorized=True says it takes"
            )
            raise
    return read_losses(losses, 2)


def _is_random(evaluator: Evaluator, here: float, allowed: float) -> bool:
    """Return whether the loss differs by more than this from call to call."""
    return any(abs(_here(evaluator) - here) > allowed for _ in range(REPEATS))
