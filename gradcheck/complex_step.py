"""The complex step as a third oracle, and what it takes before its word counts.

Its slopes are exact to round-off, if the loss is analytic. Whether it is cannot be seen from the
complex side: abs, conj, real or a lost imaginary part give smooth, precise and wrong slopes. So
every parameter is certified: along random directions the complex step has to meet the error bar
of ordinary differences. And nobody is accused on its word alone: differences have to confirm it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
import numpy.typing as npt

from gradcheck.budget import Budget
from gradcheck.complex_slope import STEPS, Move, Slopes, complex_slopes
from gradcheck.conclusion import LineDerivative
from gradcheck.directions import SMALLEST_MAGNITUDE, Floats
from gradcheck.entries import measure_entries
from gradcheck.entry_table import Entries
from gradcheck.execution import Evaluator
from gradcheck.ladder import Conditions
from gradcheck.probes import Claim, ProbeMeasurement, slope_round_off
from gradcheck.returned import LossNotScalar
from gradcheck.verdict import outcome, probe_resolution, which


class ComplexStepRefused(ValueError):
    """The complex step cannot be used for this loss."""

    def __init__(self, why: str) -> None:
        super().__init__(f"method='complex' cannot be used: {why}; use method='auto'")


@dataclass(frozen=True)
class Certificate:
    """What differences along random directions of one parameter say about its complex step.

    Attributes
    ----------
    probes: the directions, their slopes by the complex step
    error_bar: largest of the differences': what is not analytic by less would not have been seen
    resolution: the same, relative to the slopes that such directions typically see
    """

    probes: tuple[ProbeMeasurement, ...]
    error_bar: float
    resolution: float


def certify(
    evaluator: Evaluator,
    conditions: Conditions,
    claim: Claim,
    directions: Sequence[Floats],
    probes: Sequence[ProbeMeasurement],
) -> Certificate:
    """Return the probes measured again by the complex step, certified by what they were.

    Parameters
    ----------
    directions, probes: random directions through the claim's parameter, and the ordinary
        differences along them

    Raises
    ------
    ComplexStepRefused
        when the loss takes no complex numbers, or takes them and is not analytic
    """
    slopes = _slopes(evaluator, claim.name, [Move(..., direction) for direction in directions])
    certified = []
    widest = max(probe.derivative.error_bar for probe in probes)
    for number, (direction, probe) in enumerate(zip(directions, probes, strict=True)):
        round_off = slope_round_off(claim, direction)
        step = _derivative(slopes, number, conditions, probe.analytic, round_off)
        _check_analytic(claim.name, step, probe.derivative)
        if outcome(step) == "disagrees" and not _counts(step, probe.derivative, widest):
            step = probe.derivative
        taken = step.evaluations + probe.derivative.evaluations
        certified.append(replace(probe, derivative=replace(step, evaluations=taken)))
    return Certificate(tuple(certified), widest, max(map(probe_resolution, probes)))


def measure_entries_complex(
    evaluator: Evaluator,
    conditions: Conditions,
    claim: Claim,
    positions: Sequence[int] | np.ndarray,
    certificate: Certificate,
    *,
    budget: Budget | None = None,
) -> Entries:
    """Return the slopes along the entries at these flat positions, by the complex step.

    An entry that it calls wrong is measured by differences too. Where they say otherwise, or
    cannot tell about something too small for the certificate, theirs are taken, and it is a special
    one. Where the time runs out, entries are left out that it would have had to confirm.
    """
    if budget is not None and budget.is_spent():
        return Entries.of(claim.analytic.shape, ())
    stepped = _stepped(evaluator, conditions, claim, np.asarray(positions, dtype=np.intp))
    wrong = np.flatnonzero(which(stepped, "disagrees"))
    accused = stepped.positions[wrong]
    by_differences = measure_entries(evaluator, conditions, claim, accused, budget=budget)
    visible = certificate.error_bar / (SMALLEST_MAGNITUDE * stepped.taken_from(claim.scale))
    taken = {
        place: real.derivative
        for place, real in zip(wrong.tolist(), by_differences, strict=False)
        if not _counts(stepped[place].derivative, real.derivative, float(visible[place]))
    }
    is_told = np.ones(len(stepped), dtype=bool)
    is_told[wrong[len(by_differences) :]] = False
    return stepped.with_special(taken).chosen(is_told)


def _stepped(
    evaluator: Evaluator, conditions: Conditions, claim: Claim, positions: npt.NDArray[np.intp]
) -> Entries:
    """Return what the complex step says of entries, per unit of each, not of its scale."""
    shape = claim.analytic.shape
    analytic, scale = np.ravel(claim.analytic)[positions], np.ravel(claim.scale)[positions]
    indices = [tuple(map(int, np.unravel_index(position, shape))) for position in positions]
    moves = [Move(index, claim.scale[index]) for index in indices]
    slopes = _slopes(evaluator, claim.name, moves)
    value = slopes.values / scale
    bar = conditions.multiplier * slopes.error_bars / scale
    return Entries(
        shape=shape,
        positions=positions,
        analytic=analytic,
        value=value,
        error_bar=bar + _round_off(claim, positions),
        discrepancy=value - analytic,
    )


def _round_off(claim: Claim, positions: npt.NDArray[np.intp]) -> Floats:
    """Return how far the claim may be off by rounding, as `slope_round_off` along each entry."""
    size = 2.0 * np.abs(np.ravel(claim.analytic)[positions])
    return claim.round_off(size) + claim.inexactness_at(positions)


def complex_step_note(certificates: Sequence[Certificate], entries: Sequence[Entries]) -> str:
    """Return what a report says about the complex step.

    Parameters
    ----------
    certificates: one per parameter
    entries: of the same parameters, by `measure_entries_complex`
    """
    derivatives = [probe.derivative for each in certificates for probe in each.probes]
    by_differences = sum(not is_complex_step(derivative) for derivative in derivatives)
    by_differences += sum(len(each.special) for each in entries)
    slopes = len(derivatives) + sum(map(len, entries)) - by_differences
    coarsest = max(certificate.resolution for certificate in certificates)
    besides = f"; {by_differences} by differences, which contradict it" if by_differences else ""
    return (
        f"method complex: {slopes} slopes by the complex step{besides}; certified by differences "
        f"along {len(derivatives)} directions, to {coarsest:.0e} of their slopes"
    )


def is_complex_step(derivative: LineDerivative) -> bool:
    """Return whether a slope is one of the complex step: no difference is taken so close by."""
    return 0.0 < derivative.step_size <= max(STEPS)


def _derivative(
    slopes: Slopes, number: int, conditions: Conditions, analytic: float, round_off: float
) -> LineDerivative:
    value = float(slopes.values[number])
    return LineDerivative(
        value=value,
        error_bar=conditions.multiplier * float(slopes.error_bars[number]) + round_off,
        discrepancy=value - analytic,
        smoothness="smooth",
        jump=0.0,
        evaluations=int(slopes.evaluations[number]),
        limit="precision",
        step_size=max(STEPS),
    )


def _counts(step: LineDerivative, real: LineDerivative, visible: float) -> bool:
    """Return whether the complex step's discrepancy counts, rather than what differences say.

    Parameters
    ----------
    visible: a discrepancy beyond this cannot come from a part of the loss that is not analytic,
        as the certificate would have shown it
    """
    if not _meet(step, real):
        return False
    return outcome(real) == "disagrees" or abs(step.discrepancy) > visible


def _meet(step: LineDerivative, real: LineDerivative) -> bool:
    return abs(step.value - real.value) <= step.error_bar + real.error_bar


def _check_analytic(name: str, step: LineDerivative, real: LineDerivative) -> None:
    if real.smoothness == "kink":
        raise ComplexStepRefused(f"the loss has a kink at these parameters, seen along {name}")
    if outcome(real) == "undecided" or not math.isfinite(real.error_bar):
        raise ComplexStepRefused(f"differences along {name} are undecided and certify nothing")
    if not _meet(step, real):
        raise ComplexStepRefused(
            f"the loss is not analytic: along a direction through {name} the complex step gives "
            f"{step.value:.6g}, differences {real.value:.6g} +- {real.error_bar:.1g}; look for "
            "abs, conj, real, a norm, a maximum or a comparison"
        )


def _slopes(evaluator: Evaluator, name: str, moves: Sequence[Move]) -> Slopes:
    """Return the slopes, or refuse with what keeps the loss from having them."""
    if evaluator.problem.in_place:
        raise ComplexStepRefused(
            "the live arrays of an in-place problem cannot hold complex numbers"
        )
    if name in evaluator.complex_names:
        raise ComplexStepRefused(f"parameter {name} is complex itself")
    try:
        slopes = complex_slopes(evaluator, name, moves)
    except np.exceptions.ComplexWarning:
        raise ComplexStepRefused(
            "the loss drops the imaginary part of complex parameters; look for float(), .real, or "
            "writing into an array of floats"
        ) from None
    except LossNotScalar as error:
        raise ComplexStepRefused(f"at complex parameters {error}") from None
    except Exception as error:
        _refuse_for(error)
    if not np.all(np.isfinite(slopes.values)):
        raise ComplexStepRefused(f"the loss is not finite at complex values of {name}")
    return slopes


def _refuse_for(error: Exception) -> NoReturn:
    said = (str(error).splitlines() or [""])[0]
    raise ComplexStepRefused(
        f"the loss raised {type(error).__name__} at complex parameters ({said})"
    ) from error
