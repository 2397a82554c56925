"""Preflight: do the user's functions behave well enough to be compared at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.diagnosis import codes
from gradcheck.execution import Evaluator
from gradcheck.gradient_calls import Arrays, GradientCalls, Mutated, call_gradient, moved_away
from gradcheck.leaves import Array
from gradcheck.pieces import is_finite
from gradcheck.repeats import as_double, difference, precision_of
from gradcheck.report import Finding
from gradcheck.returned import LossNotScalar

# A step that stays inside any domain and is large enough to be noticed.
NEARBY = 1.0 + 2.0**-20


@dataclass(frozen=True, eq=False)
class Preflight:
    """What a few calls of the loss and of the gradient showed.

    Attributes
    ----------
    values: the loss, twice; NaN where there is none
    analytic: the gradient by parameter name, in float64; without those that cannot be compared
    dtypes: what dtype the gradient came in
    jitter: by how much each entry differed between two calls, only where random
    findings: errors and notes
    failed: parameters that are wrong before any number is compared, with the reason
    stopped: why nothing could be compared; "" otherwise
    real: complex parameters whose gradient came as real numbers
    data: digests of the arrays in `args`, by place
    """

    values: tuple[float, float]
    analytic: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    dtypes: Mapping[str, np.dtype[Any]] = field(default_factory=dict)
    jitter: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    stopped: str = ""
    real: tuple[str, ...] = ()
    data: Sequence[tuple[str, bytes]] = ()


def run_preflight(evaluator: Evaluator, selected: tuple[str, ...]) -> Preflight:
    """Call the loss and the gradient a few times and look at what they return and leave behind.

    Exceptions of the user's code propagate.
    """
    value = float("nan")
    try:
        data = evaluator.data_digests()
        value = evaluator.loss()
        if not np.isfinite(value):
            finding = codes.NOT_FINITE.finding(f"the loss is {value} at the given parameters")
            return Preflight((value, value), findings=(finding,), stopped=f"the loss is {value}")
        away = moved_away(evaluator, selected)
        _watch_loss(evaluator, selected, away)
        if changed := changed_data(evaluator, data):
            return mutated_data((value, value), selected, f"the loss changed {changed}")
        values = value, evaluator.loss()
        calls = call_gradient(evaluator, selected, value, away)
    except LossNotScalar as error:
        finding = codes.LOSS_NOT_SCALAR.finding(str(error))
        return Preflight((np.nan, np.nan), findings=(finding,), stopped=finding.title)
    except Mutated as error:
        return mutated((value, value), selected, error)
    if changed := changed_data(evaluator, data):
        return mutated_data(values, selected, f"the gradient changed {changed}")
    return replace(_compared(evaluator, selected, values, calls), data=data)


def mutated(values: tuple[float, float], selected: tuple[str, ...], error: Mutated) -> Preflight:
    """Return what stops a check whose loss or gradient changes the parameters it is given."""
    changed = ", ".join(error.names)
    finding = codes.MUTATES_PARAMETERS.finding(str(error), error.names)
    # Where it changes others only, what is selected cannot be trusted either.
    blamed = set(error.names) & set(selected) or selected
    failed = dict.fromkeys(blamed, f"the {error.what} changes {changed}")
    return Preflight(values, findings=(finding,), failed=failed, stopped=finding.title)


def mutated_data(
    values: tuple[float, float], selected: tuple[str, ...], evidence: str
) -> Preflight:
    """Return what stops a check whose loss or gradient changes the arrays in `args`."""
    finding = codes.MUTATES_DATA.finding(evidence)
    failed = dict.fromkeys(selected, "a call changes args")
    return Preflight(values, findings=(finding,), failed=failed, stopped=finding.title)


def changed_data(evaluator: Evaluator, before: Sequence[tuple[str, bytes]]) -> str:
    """Return the places in `args` whose arrays are not what they were."""
    changed = set(evaluator.data_digests()) ^ set(before)
    return ", ".join(sorted({place for place, _ in changed}))


def _watch_loss(evaluator: Evaluator, selected: tuple[str, ...], away: Arrays) -> None:
    """Stop where the loss changed what it was given, or does so a little way off.

    Code that normalises its parameters does not show where they are normalised already.
    """
    if changed := evaluator.changed_parameters():
        raise Mutated("loss", changed)
    nearby = {name: evaluator.original[name] * NEARBY for name in selected}
    nearby = evaluator.bounds.turned_back(evaluator.original, nearby)
    for moved in (nearby, away):
        _, changed = evaluator.call_at(moved, evaluator.loss)
        if changed:
            raise Mutated("loss", changed)


def _compared(
    evaluator: Evaluator,
    selected: tuple[str, ...],
    values: tuple[float, float],
    calls: GradientCalls,
) -> Preflight:
    findings: list[Finding] = []
    failed: dict[str, str] = {}
    jitter: dict[str, npt.NDArray[np.float64]] = {}
    precisions: dict[str, np.dtype[Any]] = {}
    first = calls.first
    if values[0] != values[1]:
        evidence = f"two calls at the same parameters: {values[0]} and {values[1]}"
        findings.append(codes.NONDETERMINISTIC_LOSS.finding(evidence))
    if first.fault:
        findings.append(codes.WRONG_STRUCTURE.finding(first.fault, first.faulty))
        failed |= dict.fromkeys(first.faulty, "wrong structure")
    for name in [name for name in selected if name not in failed]:
        if (error := _error(evaluator, name, calls)) is not None:
            findings.append(error)
            failed[name] = error.evidence.removeprefix(f"{name}: ")
            continue
        precisions[name] = precision_of(calls.repeats[0][name])
        findings += _precision_lost(evaluator, name, precisions[name])
        if (change := _jitter([call[name] for call in calls.repeats])) is not None:
            jitter[name] = change
            findings.append(_random(name, change))
    sound = {name: calls.repeats[0][name] for name in selected if name not in failed}
    return Preflight(
        values,
        analytic={name: as_double(array) for name, array in sound.items()},
        dtypes=precisions,
        jitter=jitter,
        findings=(*findings, *_harmless(evaluator, calls, sound)),
        failed=failed,
        stopped="" if sound else codes.WRONG_STRUCTURE.title,
        real=tuple(name for name in first.real if name in sound),
    )


def _error(evaluator: Evaluator, name: str, calls: GradientCalls) -> Finding | None:
    """Return what makes a gradient wrong before any number is compared."""
    # Calls that returned the same share one array.
    repeats = list({id(call[name]): call[name] for call in calls.repeats}.values())
    if (unusable := _unusable(evaluator, name, repeats)) is not None:
        return unusable
    if name in calls.growing:
        evidence = f"{name}: equal calls return more and more, the same amount each time"
        return codes.STATEFUL_GRADIENT.finding(evidence, (name,))
    if evaluator.problem.in_place:  # such objects own what they return, and keep a forward pass
        return None
    if name in calls.stale:
        off = f"differs by up to {calls.stale[name]:.1e}"
        evidence = f"{name}: called after the loss at other parameters and not at these, it {off}"
        return codes.STATEFUL_GRADIENT.finding(evidence, (name,))
    if name in calls.overwritten:
        evidence = f"{name}: the array that one call returned was changed by a later call"
        return codes.ALIASED_OUTPUT.finding(evidence, (name,))
    return None


def _unusable(evaluator: Evaluator, name: str, repeats: Sequence[Array]) -> Finding | None:
    """Return what makes a gradient impossible to compare."""
    parameter = evaluator.original[name]
    # The user's own shapes: pairs of real numbers are ours.
    own = slice(None, -1 if name in evaluator.complex_names else None)
    for array in repeats:
        if array.shape != parameter.shape:
            shapes = (
                f"gradient of shape {array.shape[own]}, parameter of shape {parameter.shape[own]}"
            )
            return codes.WRONG_SHAPE.finding(f"{name}: {shapes}", (name,))
        if not is_finite(array):
            return codes.NOT_FINITE.finding(f"{name}: {_where_not_finite(array)}", (name,))
    return None


def _where_not_finite(array: Array) -> str:
    bad = np.argwhere(~np.isfinite(array))
    index = [int(i) for i in bad[0]]
    return f"{len(bad)} of {array.size} entries not finite, first {array[tuple(bad[0])]} at {index}"


def _precision_lost(evaluator: Evaluator, name: str, precision: np.dtype[Any]) -> Iterator[Finding]:
    if precision.kind != "f" or precision.itemsize < evaluator.original[name].dtype.itemsize:
        evidence = f"{name}: {precision} numbers for a {evaluator.dtype_of(name)} parameter"
        yield codes.WRONG_DTYPE.finding(evidence, (name,))


def _jitter(repeats: Sequence[Array]) -> npt.NDArray[np.float64] | None:
    """Return how far calls of a gradient differ, None if only by rounding."""
    changes = [change for pair in pairwise(repeats) if (change := difference(*pair)) is not None]
    return np.max(changes, axis=0) if changes else None


def _random(name: str, change: npt.NDArray[np.float64]) -> Finding:
    evidence = f"{name}: two equal calls differ by up to {float(change.max()):.1e}"
    return codes.NONDETERMINISTIC_GRADIENT.finding(evidence, (name,))


def _harmless(evaluator: Evaluator, calls: GradientCalls, sound: Arrays) -> Iterator[Finding]:
    """Yield notes about what gradients share with parameters and with other calls."""
    stale, overwritten = (
        tuple(name for name in sound if name in names) for names in (calls.stale, calls.overwritten)
    )
    if stale:
        evidence = "it belongs to wherever the loss was evaluated last; compared right after that"
        suggestion = "nothing is wrong; evaluate the loss before every call of the gradient"
        yield codes.STATEFUL_GRADIENT.note(evidence, stale, suggestion)
    if overwritten:
        evidence = "the arrays that one call returned were changed by a later call"
        suggestion = "nothing is wrong; copy a gradient that has to outlive the next call"
        yield codes.ALIASED_OUTPUT.note(evidence, overwritten, suggestion)
    if shared := tuple(name for name in sound if name in calls.shared):
        owners = ", ".join(dict.fromkeys(calls.shared[name] for name in shared))
        evidence = f"it lies in the memory of {owners}, and changes where that is updated in place"
        suggestion = "nothing is wrong here; return a copy, for optimisers that update in place"
        yield codes.ALIASED_OUTPUT.note(evidence, shared, suggestion)
