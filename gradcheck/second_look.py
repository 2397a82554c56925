"""A second look at float32: the same gradient code in float64 tells rounding from mistakes.

Where it is right in float64, it is either rounded in float32 or has a mistake that only float32
has. A mistake shows wherever the code is called. Rounding may be as large as the gradient, where
terms cancel or a unit is saturated: 1 - a is then a small multiple of 2**-24, or 0. At parameters
where they do not and it is not, both precisions agree.
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

Mask = npt.NDArray[np.bool_]


def without_rounding(
    evaluator: Evaluator,
    measured: Mapping[str, Measured],
    effect: float,
    measure: Callable[[Claim], Measured],
) -> dict[str, Measured]:
    """Return the measurements with what is only the rounding of float32 told apart.

    The same code is run with float64 parameters: where that gradient is right, the code is.

    Parameters
    ----------
    evaluator: uses double precision
    measured: what was found out about each parameter
    effect: largest norm of gradient times scale among the parameters
    measure: compares another gradient of one of the parameters
    """
    claims = {name: found.claim for name, found in measured.items()}
    result = dict(measured)
    for name, exact in rounded_only(evaluator, claims, effect).items():
        claim, found = claims[name], measured[name]
        error = np.abs(exact - claim.analytic)
        if found.judgement.verdict != "pass":
            second = measure(claim.in_double(exact))
            if second.judgement.reason == OUT_OF_TIME:
                # Nobody is accused of what may be rounding.
                result[name] = replace(found, judgement=second.judgement, out_of_time=True)
            elif second.judgement.verdict != "fail":
                result[name] = found.rounded(second.judgement, _relative(error, exact))
        elif np.any(error > claim.required * np.abs(exact)):
            # Right, but some entries are so far off that their user may think otherwise.
            result[name] = found.rounded(found.judgement, _relative(error, exact))
    return result


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
