"""A second look at float32: the same gradient code in float64 tells rounding from mistakes.

Where it is right in float64, it is either rounded in float32 or has a mistake that only float32
has. A mistake shows wherever the code is called. Rounding may be as large as the gradient, where
terms cancel or a unit is saturated: 1 - a is then a small multiple of 2**-24, or 0. At parameters
where they do not and it is not, both precisions agree.

Code that computes in float32 whatever it gets, or on the arrays of an object, has no second
precision. It is taken to be off by some round-off of what its gradient is where nothing saturates.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from gradcheck.budget import OUT_OF_TIME
from gradcheck.directions import Floats, norm
from gradcheck.execution import Evaluator
from gradcheck.measured import Measured
from gradcheck.probes import Claim, movable

# Part of the largest effect an entry has which the rounding of float32 may reach anywhere: 1e4
# units.
LARGEST_ROUNDING = 1e4 * float(np.finfo(np.float32).eps)
# Nothing is saturated by parameters that are small enough, or lost beside a constant by those that
# are large enough. The nearest come first.
ELSEWHERE = tuple(4.0 ** (sign * power) for power in range(1, 7) for sign in (-1, 1))
# In units of round-off: where two precisions are as near as that, the lower one is right.
SAME = 1e3
SMALLEST = float(np.finfo(np.float32).tiny)
# Where a gradient that has one precision only is seen unsaturated, and how many units of its
# round-off there it may be off by here.
SMALLER = tuple(4.0**-power for power in range(1, 5))
SATURATED = 4.0
DOUBLE_UNIT = float(np.finfo(np.float64).eps)

# What a report says about it.
SEEN = "the same code in float64 is right"
POSSIBLE = "no more off than saturated units make it, and the code has no float64 to compare with"

Mask = npt.NDArray[np.bool_]


def without_rounding(
    evaluator: Evaluator,
    measured: Mapping[str, Measured],
    effect: float,
    measure: Callable[[Claim], Measured],
    doubled: bool,
) -> dict[str, Measured]:
    """Return the measurements with what is only the rounding of float32 told apart.

    The same code is run with float64 parameters: where that gradient is right, the code is.

    Parameters
    ----------
    evaluator: uses double precision, where it can
    measured: what was found out about each parameter
    effect: largest norm of gradient times scale among the parameters
    measure: compares another gradient of one of the parameters
    doubled: whether the evaluator uses double precision
    """
    claims = {name: found.claim for name, found in measured.items()}
    again = rounded_only(evaluator, claims, effect) if doubled else {}
    failing = {n: claims[n] for n, found in measured.items() if found.judgement.verdict == "fail"}
    wider = with_possible_rounding(evaluator, failing, again if doubled else None)
    result = dict(measured)
    for name, found in measured.items():
        if name in wider:
            second = measure(wider[name])
            result[name] = _excused(found, second, wider[name].inexactness, POSSIBLE)
        elif name in again:
            result[name] = _compared(found, again[name], measure)
    return result


def _compared(found: Measured, exact: Floats, measure: Callable[[Claim], Measured]) -> Measured:
    """Return what was found with what the gradient in float64 says about it."""
    error = np.abs(exact - found.claim.analytic)
    if found.judgement.verdict != "pass":
        return _excused(found, measure(found.claim.in_double(exact)), error, SEEN)
    if np.any(error > found.claim.required * np.abs(exact)):
        # Right, but some entries are so far off that their user may think otherwise.
        return found.rounded(found.judgement, _relative(error, exact), SEEN)
    return found


def _excused(found: Measured, second: Measured, error: Floats, reason: str) -> Measured:
    """Return what was found, under the judgement of the second look unless that fails too."""
    if second.judgement.reason == OUT_OF_TIME:
        # Nobody is accused of what may be rounding.
        return replace(found, judgement=second.judgement, out_of_time=True)
    if second.judgement.verdict == "fail":
        return found
    return found.rounded(second.judgement, _relative(error, second.claim.analytic), reason)


def rounded_only(
    evaluator: Evaluator, claims: Mapping[str, Claim], effect: float
) -> dict[str, Floats]:
    """Return the gradients in float64 that those in float32 differ from by rounding only.

    Parameters
    ----------
    evaluator: uses double precision
    claims: the gradients in float32, by parameter name
    effect: largest norm of gradient times scale among the parameters
    """
    again = {
        name: movable(array, claims[name].scale)
        for name, array in evaluator.gradient_at({}, claims.keys()).items()
        if array.shape == claims[name].scale.shape and np.all(np.isfinite(array))
    }
    far_off = {
        name: np.abs(exact - claims[name].analytic) * claims[name].scale > LARGEST_ROUNDING * effect
        for name, exact in again.items()
    }
    mistaken = _wrong_elsewhere(evaluator, claims, far_off)
    return {name: exact for name, exact in again.items() if name not in mistaken}


def with_possible_rounding(
    evaluator: Evaluator, claims: Mapping[str, Claim], again: Mapping[str, Floats] | None
) -> dict[str, Claim]:
    """Return the claims of code with one precision, as inexact as saturated units may make them.

    Their slope has the round-off of what it is elsewhere, at smaller parameters. There the signals
    that pass through other parameters are smaller too, by about the same factor.

    Parameters
    ----------
    claims: gradients that fail
    again: what the same code returned for float64 parameters; None where it cannot be given any
    """
    alone = {
        name: claim
        for name, claim in claims.items()
        if claim.unit > DOUBLE_UNIT
        and (again is None or np.array_equal(again.get(name, np.nan), claim.analytic))
    }
    largest = {name: np.abs(claim.analytic) for name, claim in alone.items()}
    for factor in SMALLER if alone else ():
        moved = {name: factor * array for name, array in evaluator.original.items()}
        for name, array in evaluator.gradient_at(moved, alone.keys()).items():
            if array.shape == largest[name].shape and np.all(np.isfinite(array)):
                size = np.abs(movable(array, alone[name].scale)) / factor
                largest[name] = np.maximum(largest[name], size)
    return {
        name: claim.rounded_more(SATURATED * claim.unit * largest[name])
        for name, claim in alone.items()
    }


def _wrong_elsewhere(
    evaluator: Evaluator, claims: Mapping[str, Claim], suspects: Mapping[str, Mask]
) -> set[str]:
    """Return the names of the gradients that have a suspect which is wrong elsewhere too.

    It is where the precisions differ at all other parameters, as far as they can be compared.
    """
    left = {name: mask for name, mask in suspects.items() if np.any(mask)}
    compared = {name: np.zeros_like(mask) for name, mask in left.items()}
    for exact, rounded in _elsewhere(evaluator, left.keys()) if left else ():
        for name in left.keys() & exact.keys() & rounded.keys():
            if not exact[name].shape == rounded[name].shape == left[name].shape:
                continue
            with np.errstate(all="ignore"):
                size, error = np.abs(exact[name]), np.abs(rounded[name] - exact[name])
            # What float32 has no numbers for, it is not wrong about.
            is_told = np.isfinite(error) & (size > SMALLEST)
            compared[name] |= is_told
            left[name] = left[name] & ~(is_told & (error <= SAME * claims[name].unit * size))
        left = {name: mask for name, mask in left.items() if np.any(mask)}
        if not left:
            break
    return {name for name, mask in left.items() if np.any(mask & compared[name])}


def _elsewhere(
    evaluator: Evaluator, names: Collection[str]
) -> Iterator[tuple[Mapping[str, Floats], Mapping[str, Floats]]]:
    """Yield the gradient at other parameters, in float64 and in the parameters' own precision."""
    with closing(evaluator.with_args(tuple(evaluator.problem.args))) as narrow:
        narrow.loss_first = evaluator.loss_first
        given = narrow.original
        for factor in ELSEWHERE:
            moved = narrow.bounds.turned_back(given, {n: factor * a for n, a in given.items()})
            moved = {name: array.astype(given[name].dtype) for name, array in moved.items()}
            yield evaluator.gradient_at(moved, names), narrow.gradient_at(moved, names)
            evaluator.gradient_calls += 1


def _relative(error: Floats, array: Floats) -> float:
    size = norm(array)
    return norm(error) / size if size else 0.0
