"""A step of a training as it was taken: where it began, by which gradient, where it led."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from gradcheck.directions import Floats, entry_scales, norm
from gradcheck.execution import Evaluator
from gradcheck.leaves import Array, kinds_instead
from gradcheck.parameters import flatten
from gradcheck.probes import ROUND_OFF_UNITS, Claim
from gradcheck.problem import Problem
from gradcheck.repeats import as_double, precision_of
from gradcheck.rounding import unit_of
from gradcheck.verdict import REQUIRED_FLOAT32, REQUIRED_FLOAT64

EPSILON = float(np.finfo(np.float64).eps)
# A gradient in less than float64 cannot be had again in float64 here, so that all the rounding
# which adds up on the way through a network has to be allowed for.
NARROW_ROUND_OFF_UNITS = 1000.0
# Reach of a step, in units of the parameters' scales, below which parts of it are no numbers.
SHORTEST = 1e-150


@dataclass(frozen=True)
class Start:
    """Where a step begins.

    Attributes
    ----------
    number: of the step
    problem: its loss, and the parameters as they were given
    evaluator: of that, on copies of the parameters or, in place, on the live arrays; it keeps what
        they were. None where they cannot be used
    obstacle: why they cannot; "" otherwise
    value: the loss there
    gradient: copies, by parameter name; without those that `fault` speaks of
    unit: round-off of the precision that the gradient came in
    fault: what is wrong with the gradient before any number is compared; "" where nothing is
    before: the parameters of the call before, by name; {} where they are not known
    """

    number: int
    problem: Problem
    evaluator: Evaluator | None
    obstacle: str = ""
    value: float = math.nan
    gradient: Mapping[str, Floats] = field(default_factory=dict)
    unit: float = EPSILON
    fault: str = ""
    before: Mapping[str, Array] = field(default_factory=dict)


def start_at(problem: Problem, number: int) -> Start:
    """Return where a step begins, its parameters copied; the gradient is not known yet.

    Parameters that are not finite, as where a training diverges, are an obstacle; all else that
    cannot be used raises.
    """
    try:
        evaluator = Evaluator(problem)
    except ValueError as error:
        if _are_finite(problem.parameters):
            raise
        return Start(number, problem, None, str(error))
    if not any(array.size for array in evaluator.original.values()):
        got = kinds_instead(evaluator.skipped, evaluator.original)
        raise ValueError(f"parameters must hold an array of floats, got {got}")
    return Start(number, problem, evaluator)


def with_gradient(start: Start, gradient: Any) -> Start:
    """Return where a step begins with the loss and the gradient there.

    What the loss raises there propagates.
    """
    evaluator = start.evaluator
    if evaluator is None:
        return start
    value = float(evaluator.loss())
    if changed := evaluator.changed_parameters():
        evaluator.restore()
        return replace(start, value=value, fault=f"the loss changes {', '.join(changed)}")
    names = [name for name, array in evaluator.original.items() if array.size]
    returned = evaluator.read(gradient, names)
    sound = {
        name: array
        for name, array in returned.arrays.items()
        if array.shape == evaluator.original[name].shape and np.all(np.isfinite(array))
    }
    return replace(
        start,
        value=value,
        gradient={name: np.array(array, np.float64) for name, array in sound.items()},
        unit=max((unit_of(precision_of(array)) for array in sound.values()), default=EPSILON),
        fault=returned.fault or _fault(returned.arrays, evaluator.original),
    )


def _fault(gradient: Mapping[str, Array], parameters: Mapping[str, Array]) -> str:
    """Return what makes a gradient impossible to compare; "" where nothing does."""
    for name, array in gradient.items():
        if array.shape != parameters[name].shape:
            shapes = f"of shape {array.shape}, parameter of shape {parameters[name].shape}"
            return f"{name}: gradient {shapes}"
        if bad := int(np.count_nonzero(~np.isfinite(array))):
            return f"{name}: {bad} of {array.size} entries of the gradient not finite"
    return ""


def _are_finite(parameters: Any) -> bool:
    arrays = [np.asanyarray(leaf) for leaf in flatten(parameters).values()]
    return all(np.all(np.isfinite(array)) for array in arrays if array.dtype.kind in "fc")


def following(before: Start, now: Start) -> Start:
    """Return where a step begins, knowing where the call before was.

    Raises
    ------
    ValueError
        where parameters are others, or of other types or shapes, than in that call
    """
    last, this = before.evaluator, now.evaluator
    if last is None or this is None:
        return now
    old, new = last.original, this.original
    for name in [*(old.keys() & {*this.skipped}), *(new.keys() & {*last.skipped})]:
        raise ValueError(
            f"parameter {name!r} must keep its type from call to call, "
            f"got {this.dtype_of(name)} after {last.dtype_of(name)}"
        )
    if list(old) != list(new):
        raise ValueError(
            "parameters must keep their names from call to call, "
            f"got {', '.join(new)} after {', '.join(old)}"
        )
    for name, array in new.items():
        if array.shape != old[name].shape:
            raise ValueError(
                f"parameter {name!r} must keep its shape from call to call, "
                f"got {array.shape} after {old[name].shape}"
            )
    return replace(now, before=old)


@contextmanager
def back_at(start: Evaluator, now: Evaluator) -> Iterator[Evaluator]:
    """Yield an evaluator of a step's loss at the parameters that the step began from.

    In place, the live arrays are put back to those meanwhile, whether they are still the same
    arrays as then or not.
    """
    if not start.problem.in_place:
        yield start
        return
    for name, live in now.working.items():
        live[...] = start.original[name]
    try:
        yield Evaluator(replace(start.problem, parameters=now.problem.parameters))
    finally:
        now.restore()


@contextmanager
def moved_to(parameters: Mapping[str, Array], evaluator: Evaluator) -> Iterator[None]:
    """Let an evaluator start from other parameters meanwhile."""
    kept = evaluator.original
    evaluator.original = {n: parameters[n].astype(array.dtype) for n, array in kept.items()}
    try:
        evaluator.restore()
        yield
    finally:
        evaluator.original = kept
        evaluator.restore()


@dataclass(frozen=True)
class Taken:
    """A step as it was taken, and what the gradient claims about it.

    Attributes
    ----------
    evaluator: of the step's own loss, at the parameters that it began from
    start: what is known about those
    after: the parameters that the step led to
    """

    evaluator: Evaluator
    start: Start
    after: Mapping[str, Array]

    @cached_property
    def move(self) -> dict[str, Floats]:
        """By how much every entry moved."""
        before = self.evaluator.original
        return {name: as_double(array) - as_double(before[name]) for name, array in self._moved()}

    @cached_property
    def length(self) -> float:
        """The Euclidean length of the step."""
        return norm(flat(self.move))

    @cached_property
    def scales(self) -> dict[str, Floats]:
        """The distance that counts as of order one, per entry."""
        original = {name: self.evaluator.original[name] for name in self.move}
        return entry_scales(original, self.start.gradient)

    @cached_property
    def reach(self) -> float:
        """The length of the step in units of the scales."""
        return norm(flat(self.move) / flat(self.scales))

    @property
    def is_measurable(self) -> bool:
        """Whether the step can be divided and multiplied."""
        return SHORTEST <= self.reach <= 1 / SHORTEST

    @cached_property
    def steepness(self) -> float:
        """The slope along the step that the gradient claims, per unit of its reach."""
        return abs(self.along(self.start.gradient)) / self.reach

    def along(self, gradient: Mapping[str, Floats]) -> float:
        """Return the slope along the step that a gradient claims."""
        return dot(gradient, self.move)

    def claims(self, loss: float) -> dict[str, Claim]:
        """Return the gradient of every parameter as a claim."""
        start = self.start
        precisions = [unit_of(self.evaluator.dtype_of(name)) for name in start.gradient]
        is_double = max(start.unit, *precisions) <= EPSILON
        return {
            name: Claim(
                name=name,
                analytic=gradient,
                scale=self.scales[name],
                unit=start.unit,
                jitter=np.zeros(gradient.shape),
                # Terms that cancel in an entry may be as large as the loss.
                rounding=EPSILON * abs(loss) / self.scales[name],
                required=REQUIRED_FLOAT64 if is_double else REQUIRED_FLOAT32,
                units=ROUND_OFF_UNITS if start.unit <= EPSILON else NARROW_ROUND_OFF_UNITS,
            )
            for name, gradient in start.gradient.items()
        }

    def _moved(self) -> Iterator[tuple[str, Array]]:
        return ((name, array) for name, array in self.after.items() if array.size)


def flat(arrays: Mapping[str, Floats]) -> Floats:
    """Return the entries of all arrays in one row."""
    return np.concatenate([array.ravel() for array in arrays.values()])


def dot(one: Mapping[str, Floats], other: Mapping[str, Floats]) -> float:
    """Return the sum of the products of all entries."""
    return sum(float(np.vdot(array, other[name])) for name, array in one.items())
