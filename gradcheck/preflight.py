"""Preflight: do the user's functions behave well enough to be compared at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.diagnosis import codes
from gradcheck.execution import Array, Evaluator, LossNotScalar
from gradcheck.parameters import StructureMismatch, flatten_like
from gradcheck.report import Finding

# Two backprops of the same numbers may differ by this many units of round-off (threads).
REPEATABLE_UNITS = 256.0


@dataclass(frozen=True)
class Preflight:
    """What two calls of the loss and of the gradient showed.

    Attributes
    ----------
    value, again: the loss, twice; NaN where there is none
    analytic: the gradient by parameter name, in float64; without those that cannot be compared
    dtypes: what dtype the gradient came in
    jitter: by how much each entry differed between two calls, only where random
    findings: errors and notes
    failed: parameters that are wrong before any number is compared, with the reason
    stopped: why nothing could be compared; "" otherwise
    """

    value: float
    again: float
    analytic: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    dtypes: Mapping[str, np.dtype[Any]] = field(default_factory=dict)
    jitter: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)
    stopped: str = ""


def run_preflight(evaluator: Evaluator, selected: tuple[str, ...]) -> Preflight:
    """Call the loss and the gradient twice each and compare what they return and leave behind.

    Exceptions of the user's code propagate.
    """
    try:
        value, again = evaluator.loss(), evaluator.loss()
    except LossNotScalar as error:
        finding = codes.LOSS_NOT_SCALAR.finding(str(error))
        return Preflight(np.nan, np.nan, findings=(finding,), stopped=finding.title)
    if not np.isfinite(value):
        finding = codes.NOT_FINITE.finding(f"the loss is {value} at the given parameters")
        return Preflight(value, again, findings=(finding,), stopped=f"the loss is {value}")
    if changed := evaluator.changed_parameters():
        return _mutated(evaluator, value, again, "loss", changed)
    first = evaluator.gradient()
    if changed := evaluator.changed_parameters():
        return _mutated(evaluator, value, again, "gradient", changed)
    try:
        # Copied before the second call, which may write into the same buffers.
        before = {name: array.copy() for name, array in _arrays(evaluator, first).items()}
        after = _arrays(evaluator, evaluator.gradient())
    except StructureMismatch as error:
        finding = codes.WRONG_STRUCTURE.finding(str(error), selected)
        failed = dict.fromkeys(selected, "wrong structure")
        return Preflight(value, again, findings=(finding,), failed=failed, stopped=finding.title)
    return _compared(evaluator, selected, (value, again), before, after)


def _mutated(
    evaluator: Evaluator, value: float, again: float, what: str, changed: tuple[str, ...]
) -> Preflight:
    evaluator.restore()
    finding = codes.MUTATES_PARAMETERS.finding(f"the {what} changed {', '.join(changed)}", changed)
    failed = dict.fromkeys(changed, f"the {what} changes it")
    return Preflight(value, again, findings=(finding,), failed=failed, stopped=finding.title)


def _arrays(evaluator: Evaluator, gradient: Any) -> dict[str, Array]:
    """Return the gradient's arrays by parameter name."""
    found = flatten_like(evaluator.problem.parameters, gradient, evaluator.original)
    arrays = {}
    for name in evaluator.original:
        array = np.asarray(found[name])
        if array.dtype.kind not in "fiub":
            raise StructureMismatch(f"{name} must be an array of numbers, got {_kind(found[name])}")
        arrays[name] = array
    return arrays


def _kind(value: Any) -> str:
    return "None" if value is None else f"{type(value).__name__} {value!r}"[:80]


def _compared(
    evaluator: Evaluator,
    selected: tuple[str, ...],
    values: tuple[float, float],
    before: Mapping[str, Array],
    after: Mapping[str, Array],
) -> Preflight:
    findings: list[Finding] = []
    failed: dict[str, str] = {}
    jitter: dict[str, npt.NDArray[np.float64]] = {}
    if values[0] != values[1]:
        evidence = f"two calls at the same parameters: {values[0]!r} and {values[1]!r}"
        findings.append(codes.NONDETERMINISTIC_LOSS.finding(evidence))
    for name in selected:
        array, parameter = before[name], evaluator.original[name]
        error = _unusable(name, array, parameter) or _accumulated(name, array, after[name])
        if error is not None:
            findings.append(error)
            failed[name] = error.evidence.removeprefix(f"{name}: ")
            continue
        if array.dtype.kind != "f" or array.dtype.itemsize < parameter.dtype.itemsize:
            evidence = f"{name}: {array.dtype} for a {parameter.dtype} parameter"
            findings.append(codes.WRONG_DTYPE.finding(evidence, (name,)))
        if (change := _difference(array, after[name])) is not None:
            jitter[name] = change
            evidence = f"{name}: two equal calls differ by up to {float(change.max()):.1e}"
            findings.append(codes.NONDETERMINISTIC_GRADIENT.finding(evidence, (name,)))
    sound = [name for name in selected if name not in failed]
    return Preflight(
        *values,
        analytic={name: _double(before[name]) for name in sound},
        dtypes={name: before[name].dtype for name in sound},
        jitter=jitter,
        findings=tuple(findings),
        failed=failed,
    )


def _unusable(name: str, array: Array, parameter: Array) -> Finding | None:
    """Return what makes a gradient impossible to compare."""
    if array.shape != parameter.shape:
        evidence = f"{name}: gradient of shape {array.shape}, parameter of shape {parameter.shape}"
        return codes.WRONG_SHAPE.finding(evidence, (name,))
    if not np.all(np.isfinite(array)):
        return codes.NOT_FINITE.finding(f"{name}: {_where_not_finite(array)}", (name,))
    return None


def _accumulated(name: str, first: Array, second: Array) -> Finding | None:
    if _difference(first, second) is None or _difference(2.0 * _double(first), second) is not None:
        return None
    evidence = f"{name}: the second of two equal calls returned twice the first"
    return codes.STATEFUL_GRADIENT.finding(evidence, (name,))


def _difference(first: Array, second: Array) -> npt.NDArray[np.float64] | None:
    """Return how far two gradients of one point differ per entry, None if only by rounding."""
    if first.shape != second.shape:
        return np.full(first.shape, np.inf)
    change = np.abs(_double(second) - _double(first))
    size = float(np.max(np.abs(first), initial=0.0))
    unit = float(np.finfo(first.dtype).eps) if first.dtype.kind == "f" else 0.0
    # A NaN is a difference too.
    return None if np.all(change <= REPEATABLE_UNITS * unit * size) else change


def _double(array: Array) -> npt.NDArray[np.float64]:
    return np.asarray(array, dtype=np.float64)


def _where_not_finite(array: Array) -> str:
    bad = np.argwhere(~np.isfinite(array))
    index = [int(i) for i in bad[0]]
    return f"{len(bad)} of {array.size} entries not finite, first {array[tuple(bad[0])]} at {index}"
