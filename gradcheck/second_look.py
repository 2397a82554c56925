"""A second look at float32: the same gradient code in float64 tells rounding from mistakes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from gradcheck.budget import OUT_OF_TIME
from gradcheck.directions import Floats, norm
from gradcheck.execution import Evaluator
from gradcheck.measured import Measured
from gradcheck.probes import Claim, movable

# Part of the largest effect an entry has which the rounding of float32 may reach where terms
# cancel: 1e4 units.
LARGEST_ROUNDING = 1e4 * float(np.finfo(np.float32).eps)


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
    again = evaluator.gradient_at({}, measured.keys())
    result = dict(measured)
    for name, array in again.items():
        found = measured[name]
        claim = found.claim
        if array.shape != claim.analytic.shape:
            continue
        exact = movable(array, claim.scale)
        error = np.abs(exact - claim.analytic)
        if not np.all(error * claim.scale <= LARGEST_ROUNDING * effect):
            continue
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


def _relative(error: Floats, array: Floats) -> float:
    size = norm(array)
    return norm(error) / size if size else 0.0
