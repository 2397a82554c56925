"""Single comparisons by gradcheck's own pipeline: the one place here that knows its insides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from families import Case, Entry
from outcomes import Measurement

from gradcheck import measuring
from gradcheck.choices import Effort
from gradcheck.conclusion import LineDerivative
from gradcheck.directions import entry_scales, noise_directions, norm
from gradcheck.entries import measure_entries
from gradcheck.execution import Evaluator
from gradcheck.ladder import Conditions
from gradcheck.noise import measure_noise
from gradcheck.plan import make_plan
from gradcheck.preflight import run_preflight
from gradcheck.probes import Claim
from gradcheck.probing import Task
from gradcheck.problem import Problem
from gradcheck.rounding import known_rounding, moves_by_rounding
from gradcheck.second_look import rounded_only, with_possible_rounding
from gradcheck.verdict import outcome

NAME = "gradcheck"


@dataclass(frozen=True)
class Prepared:
    """What gradcheck finds out once per problem, before it compares entries.

    Attributes
    ----------
    claims: the analytic gradient of each parameter
    again: the gradient of the same code run in float64, where that differs by rounding only
    wider: the claims of code that has float32 only, as inexact as saturated units may make them
    shared: evaluations so far
    """

    evaluator: Evaluator
    conditions: Conditions
    claims: dict[str, Claim]
    again: dict[str, np.ndarray]
    wider: dict[str, Claim]
    shared: int


def prepare_case(case: Case) -> Prepared:
    """Return what is shared by all comparisons of a case."""
    return prepare(Problem(case.loss, case.gradient, case.parameters))


def prepare(problem: Problem, seed: int = 0, effort: Effort = "exhaustive") -> Prepared:
    """Run preflight and measure the noise, as the measuring of a whole check does."""
    evaluator = Evaluator(problem)
    names = tuple(evaluator.original)
    plan = make_plan({name: evaluator.original[name].size for name in names}, effort)
    task = Task(evaluator, names, plan, seed, required_resolution=None)
    flight = run_preflight(evaluator, names)
    scales = entry_scales(evaluator.original, flight.analytic)
    moves = moves_by_rounding(evaluator, flight, seed)
    rounding = known_rounding(evaluator, flight, scales, moves)
    doubled = evaluator.use_double_precision()
    noise = measure_noise(evaluator, noise_directions(evaluator.original, scales, seed))
    claims = measuring._claims(task, flight, scales, noise, rounding)
    effect = max(norm(claim.analytic * claim.scale) for claim in claims.values())
    again = rounded_only(evaluator, claims, effect) if doubled else {}
    return Prepared(
        evaluator=evaluator,
        conditions=noise.conditions(plan.comparisons),
        claims=claims,
        again=again,
        wider=with_possible_rounding(evaluator, claims, again if doubled else None),
        shared=evaluator.evaluations,
    )


def analytic_slope(prepared: Prepared, entry: Entry) -> float:
    """Return what the gradient under test says about an entry."""
    return float(prepared.claims[entry.name].analytic.flat[entry.position])


def compare(prepared: Prepared, entry: Entry, bug: float) -> Measurement:
    """Compare one entry, with its analytic slope made wrong by the relative size `bug`."""
    claim = _with_bug(prepared.claims[entry.name], entry.position, bug)
    derivative = _derivative(prepared, claim, entry.position)
    slope = float(claim.analytic.flat[entry.position])
    verdict = _verdict(derivative, slope, claim.required)
    measured = _measurement(verdict, derivative)
    if verdict == "fail" and entry.name in prepared.wider:
        second = _with_bug(prepared.wider[entry.name], entry.position, bug)
    elif verdict in ("fail", "inconclusive") and entry.name in prepared.again:
        exact = claim.in_double(prepared.again[entry.name])
        second = _with_bug(exact, entry.position, bug)
    else:
        return measured
    return _looked_at_again(prepared, second, entry.position, measured)


def every_entry(problem: Problem, seed: int = 0) -> Iterator[tuple[str, int, float, Measurement]]:
    """Yield name, position, analytic slope and comparison of all entries, as exhaustive does."""
    evaluator = Evaluator(problem)
    names = tuple(evaluator.original)
    plan = make_plan({name: evaluator.original[name].size for name in names}, "exhaustive")
    task = Task(evaluator, names, plan, seed, required_resolution=None)
    measured = measuring.measure_parameters(task, run_preflight(evaluator, names))
    for name, found in measured.parameters.items():
        for position, entry in enumerate(found.entries):
            verdict = _verdict(entry.derivative, entry.analytic, found.claim.required)
            yield name, position, entry.analytic, _measurement(verdict, entry.derivative)


def _looked_at_again(
    prepared: Prepared, claim: Claim, position: int, measured: Measurement
) -> Measurement:
    """Return the measurement once the rounding of a float32 gradient is told apart."""
    derivative = _derivative(prepared, claim, position)
    verdict = _verdict(derivative, float(claim.analytic.flat[position]), claim.required)
    return replace(
        measured,
        verdict=measured.verdict if verdict == "fail" else verdict,
        evaluations=measured.evaluations + derivative.evaluations,
    )


def _measurement(verdict: str, derivative: LineDerivative) -> Measurement:
    return Measurement(
        verdict=verdict,
        value=derivative.value,
        bar=derivative.error_bar,
        jump=derivative.jump if derivative.smoothness == "kink" else 0.0,
        evaluations=derivative.evaluations,
        limit=derivative.limit,
    )


def _with_bug(claim: Claim, position: int, bug: float) -> Claim:
    analytic = claim.analytic.copy()
    analytic.flat[position] *= 1 + bug
    return replace(claim, analytic=analytic)


def _derivative(prepared: Prepared, claim: Claim, position: int) -> LineDerivative:
    before = prepared.evaluator.evaluations
    (found,) = measure_entries(prepared.evaluator, prepared.conditions, claim, [position])
    return replace(found.derivative, evaluations=prepared.evaluator.evaluations - before)


def _verdict(derivative: LineDerivative, slope: float, required: float) -> str:
    said = outcome(derivative)
    if said == "disagrees":
        return "fail"
    if said == "agrees" and derivative.smoothness == "kink":
        return "kink"
    size = max(abs(slope), abs(derivative.value))
    sharp = derivative.error_bar <= required * size
    return "pass" if said == "agrees" and sharp else "inconclusive"
