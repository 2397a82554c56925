"""Preflight: do the user's functions behave well enough to be compared at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
# Bits that a number may have by chance without its precision being told.
SHORT_BITS = 12
# A step that stays inside any domain and is large enough to be noticed.
NEARBY = 1.0 + 2.0**-20


@dataclass(frozen=True)
class Preflight:
    """What two calls of the loss and of the gradient showed.

    Attributes
    ----------
    values: the loss, twice; NaN where there is none
    analytic: the gradient by parameter name, in float64; without those that cannot be compared
    dtypes: what dtype the gradient came in
    jitter: by how much each entry differed between two calls, only where random
    findings: errors and notes
    failed: parameters that are wrong before any number is compared, with the reason
    stopped: why nothing could be compared; "" otherwise
    """

    values: tuple[float, float]
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
        data = evaluator.data_digest()
        values = evaluator.loss(), evaluator.loss()
    except LossNotScalar as error:
        finding = codes.LOSS_NOT_SCALAR.finding(str(error))
        return Preflight((np.nan, np.nan), findings=(finding,), stopped=finding.title)
    if not np.isfinite(values[0]):
        finding = codes.NOT_FINITE.finding(f"the loss is {values[0]} at the given parameters")
        return Preflight(values, findings=(finding,), stopped=f"the loss is {values[0]}")
    # Once more a little way off, for code that renormalises what is normalised already.
    moved = {name: evaluator.original[name] * NEARBY for name in selected}
    changed = evaluator.changed_parameters() or evaluator.changed_by_loss_at(moved)
    if changed:
        return mutated(values, selected, "loss", changed)
    try:
        # Copied before the next call, which may write into the same buffers.
        gradients = [_copied(evaluator, selected) for _ in range(2)]
        if any(_difference(gradients[0][n], gradients[1][n]) is not None for n in selected):
            gradients.append(_copied(evaluator, selected))
    except StructureMismatch as error:
        finding = codes.WRONG_STRUCTURE.finding(str(error), selected)
        failed = dict.fromkeys(selected, "wrong structure")
        return Preflight(values, findings=(finding,), failed=failed, stopped=finding.title)
    if changed := evaluator.changed_parameters():
        return mutated(values, selected, "gradient", changed)
    if evaluator.data_digest() != data:
        finding = codes.MUTATES_DATA.finding("the arrays in args are not what they were")
        failed = dict.fromkeys(selected, "a call changes args")
        return Preflight(values, findings=(finding,), failed=failed, stopped=finding.title)
    return _compared(evaluator, selected, values, gradients)


def mutated(
    values: tuple[float, float], selected: tuple[str, ...], what: str, changed: tuple[str, ...]
) -> Preflight:
    """Return what stops a check whose loss or gradient changes the parameters it is given."""
    finding = codes.MUTATES_PARAMETERS.finding(f"the {what} changed {', '.join(changed)}", changed)
    # Where it changes others only, what is selected cannot be trusted either.
    blamed = set(changed) & set(selected) or selected
    failed = dict.fromkeys(blamed, f"the {what} changes {', '.join(changed)}")
    return Preflight(values, findings=(finding,), failed=failed, stopped=finding.title)


def _copied(evaluator: Evaluator, selected: tuple[str, ...]) -> dict[str, Array]:
    """Return copies of the arrays that one call of the gradient returns, by parameter name."""
    gradient = evaluator.gradient()
    found = flatten_like(evaluator.problem.parameters, gradient, selected)
    return {name: _array(name, found[name]).copy() for name in selected}


def _array(name: str, value: Any) -> Array:
    try:
        array = np.asarray(value)
    except ValueError:  # a ragged list
        array = np.asarray(None)
    if array.dtype.kind not in "fiub":
        raise StructureMismatch(f"{name} must be an array of real numbers, got {_kind(value)}")
    return array


def _kind(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return "None" if value is None else f"{type(value).__name__} {value!r}"[:80]


def _compared(
    evaluator: Evaluator,
    selected: tuple[str, ...],
    values: tuple[float, float],
    gradients: Sequence[Mapping[str, Array]],
) -> Preflight:
    findings: list[Finding] = []
    failed: dict[str, str] = {}
    jitter: dict[str, npt.NDArray[np.float64]] = {}
    if values[0] != values[1]:
        evidence = f"two calls at the same parameters: {values[0]!r} and {values[1]!r}"
        findings.append(codes.NONDETERMINISTIC_LOSS.finding(evidence))
    for name in selected:
        calls, parameter = [gradient[name] for gradient in gradients], evaluator.original[name]
        error = _unusable(name, calls, parameter) or _accumulated(name, calls)
        if error is not None:
            findings.append(error)
            failed[name] = error.evidence.removeprefix(f"{name}: ")
            continue
        array = calls[0]
        precision = _precision(array)
        if precision.kind != "f" or precision.itemsize < parameter.dtype.itemsize:
            evidence = f"{name}: {precision} numbers for a {parameter.dtype} parameter"
            findings.append(codes.WRONG_DTYPE.finding(evidence, (name,)))
        if (change := _difference(calls[0], calls[1])) is not None:
            jitter[name] = change
            evidence = f"{name}: two equal calls differ by up to {float(change.max()):.1e}"
            findings.append(codes.NONDETERMINISTIC_GRADIENT.finding(evidence, (name,)))
    sound = [name for name in selected if name not in failed]
    return Preflight(
        values,
        analytic={name: _double(gradients[0][name]) for name in sound},
        dtypes={name: _precision(gradients[0][name]) for name in sound},
        jitter=jitter,
        findings=tuple(findings),
        failed=failed,
    )


def _precision(array: Array) -> np.dtype[Any]:
    """Return the dtype that an array's numbers have, which may be less than it has room for."""
    if array.dtype != np.float64:
        return array.dtype
    with np.errstate(over="ignore"):
        rounded = np.array_equal(array.astype(np.float32), array)
    # Numbers of few digits, such as 0.5 or 3 or a difference of neighbours, fit anywhere.
    mantissa, _ = np.frexp(array)
    short = np.all(np.ldexp(mantissa, SHORT_BITS) % 1.0 == 0.0)
    return np.dtype(np.float32) if rounded and not short else array.dtype


def _unusable(name: str, calls: Sequence[Array], parameter: Array) -> Finding | None:
    """Return what makes a gradient impossible to compare."""
    for array in calls:
        if array.shape != parameter.shape:
            shapes = f"gradient of shape {array.shape}, parameter of shape {parameter.shape}"
            return codes.WRONG_SHAPE.finding(f"{name}: {shapes}", (name,))
        if not np.all(np.isfinite(array)):
            return codes.NOT_FINITE.finding(f"{name}: {_where_not_finite(array)}", (name,))
    return None


def _accumulated(name: str, calls: Sequence[Array]) -> Finding | None:
    """Return the finding that every call adds the same to what the one before returned."""
    if len(calls) < 3 or _difference(calls[0], calls[1]) is None:
        return None
    first, second, third = (_double(array) for array in calls)
    if _difference(third - second, second - first, unit=_unit(calls[0])) is not None:
        return None
    evidence = f"{name}: equal calls return more and more, the same amount each time"
    return codes.STATEFUL_GRADIENT.finding(evidence, (name,))


def _unit(array: Array) -> float:
    return float(np.finfo(array.dtype).eps) if array.dtype.kind == "f" else 0.0


def _difference(
    first: Array, second: Array, unit: float | None = None
) -> npt.NDArray[np.float64] | None:
    """Return how far two gradients of one point differ per entry, None if only by rounding."""
    if first.shape != second.shape:
        return np.full(first.shape, np.inf)
    with np.errstate(invalid="ignore"):  # inf - inf
        change = np.abs(_double(second) - _double(first))
    size = float(np.max(np.abs(first), initial=0.0))
    allowed = REPEATABLE_UNITS * (_unit(first) if unit is None else unit) * size
    # Compared this way round, a NaN is a difference too.
    return None if np.all(change <= allowed) else change


def _double(array: Array) -> npt.NDArray[np.float64]:
    return np.asarray(array, dtype=np.float64)


def _where_not_finite(array: Array) -> str:
    bad = np.argwhere(~np.isfinite(array))
    index = [int(i) for i in bad[0]]
    return f"{len(bad)} of {array.size} entries not finite, first {array[tuple(bad[0])]} at {index}"
