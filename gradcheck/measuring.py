"""Every selected parameter measured: claims, probes, entries, and the judgement on each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from gradcheck.budget import Budget
from gradcheck.complex_step import certify, complex_step_note, measure_entries_complex
from gradcheck.directions import (
    Floats,
    entry_scales,
    noise_directions,
    norm,
    random_direction,
)
from gradcheck.eigen import eigen_directions, eigen_note, of_usual_size
from gradcheck.entries import measure_entries
from gradcheck.execution import Evaluator
from gradcheck.failing import SAMPLED_ENTRIES, chosen_positions, search_failing
from gradcheck.gradient_calls import effect_elsewhere
from gradcheck.ladder import Conditions
from gradcheck.measured import Measured
from gradcheck.noise import Noise, measure_noise
from gradcheck.options import Directions, Method
from gradcheck.plan import Plan
from gradcheck.preflight import Preflight
from gradcheck.probes import (
    Claim,
    ProbeMeasurement,
    fitting,
    measure_probe,
    movable,
)
from gradcheck.rounding import Rounding, known_rounding, unit_of
from gradcheck.second_look import without_rounding
from gradcheck.verdict import judge, needs_another, outcome, required_resolution_for

# Random directions at most, where the first leave a chance of a miss.
MOST_PROBES = 4

# Noise is measured along one side of the point only, within this part of a direction.
NOISE_REACH = 0.5


@dataclass(frozen=True)
class Task:
    """What is to be measured and how far.

    Attributes
    ----------
    evaluator: calls the user's code
    selected: names of the parameters
    plan: how much of each is compared
    seed: of the random directions
    required_resolution: relative error that a pass has to rule out; None for the default
    method: "complex" compares by the complex step, certified along the random directions
    directions: "eigen" also probes along the top eigenvectors of the Hessian
    eigen: those, by parameter name
    budget: the time there is
    """

    evaluator: Evaluator
    selected: tuple[str, ...]
    plan: Plan
    seed: int
    required_resolution: float | None
    method: Method = "auto"
    directions: Directions = "random"
    eigen: Mapping[str, tuple[Floats, ...]] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)


@dataclass(frozen=True)
class Measurements:
    """All that was measured.

    Attributes
    ----------
    parameters: by name
    noise: of the loss
    effect: largest norm of gradient times scale among the parameters
    notes: remarks for the report
    """

    parameters: dict[str, Measured]
    noise: Noise
    effect: float
    notes: tuple[str, ...] = ()


def measure_parameters(task: Task, flight: Preflight) -> Measurements:
    """Return all that is found out about the parameters that preflight let through."""
    evaluator = task.evaluator
    scales = {
        name: evaluator.bounds.within_width(name, scale)
        for name, scale in entry_scales(
            {name: evaluator.original[name] for name in task.selected}, flight.analytic
        ).items()
    }
    rounding = known_rounding(evaluator, flight, scales, task.seed)
    doubled = evaluator.use_double_precision()
    noise = measure_noise(evaluator, _noise_directions(task, scales))
    conditions = noise.conditions(task.plan.comparisons)
    claims = _claims(task, flight, scales, noise, rounding)
    if task.directions == "eigen" and claims and not task.budget.is_spent():
        task = replace(task, eigen=_eigen(task, claims))
    effects = [norm(claim.analytic * claim.scale) for claim in claims.values()]
    effect = max(effects, default=0.0)
    if effect == 0.0 and evaluator.bounds.lower:
        effect = effect_elsewhere(evaluator, scales)
    # All are probed before any is swept: where the time runs out, that says most.
    probed = {name: _probed(task, conditions, claim) for name, claim in claims.items()}
    measured = {name: _measure(task, conditions, probed[name], effect) for name in claims}
    if doubled:
        measure = partial(_measured_alone, task, conditions, effect)
        measured = without_rounding(evaluator, measured, effect, measure)
    return Measurements(measured, noise, effect, _notes(task, measured))


def _noise_directions(task: Task, scales: Mapping[str, Floats]) -> list[dict[str, Floats]]:
    """Return directions to measure noise along, a way ahead of which is inside all bounds."""
    evaluator = task.evaluator
    return [
        {
            name: evaluator.bounds.inward(name, evaluator.original[name], along, NOISE_REACH)
            for name, along in direction.items()
        }
        for direction in noise_directions(evaluator.original, scales, task.seed)
    ]


def _claims(
    task: Task,
    flight: Preflight,
    scales: Mapping[str, Floats],
    noise: Noise,
    rounding: Mapping[str, Rounding],
) -> dict[str, Claim]:
    relative_noise = noise.deviation / abs(noise.value) if noise.value else 0.0
    claims = {}
    for name, analytic in flight.analytic.items():
        leaf, dtype = np.asarray(task.evaluator.leaves[name]), flight.dtypes[name]
        jitter, scale = flight.jitter.get(name, np.zeros(analytic.shape)), scales[name]
        claims[name] = Claim(
            name=name,
            analytic=movable(analytic, scale),
            scale=scale,
            unit=unit_of(dtype),
            jitter=movable(jitter, scale),
            rounding=movable(rounding[name].moves, scale),
            units=rounding[name].units,
            required=task.required_resolution
            or required_resolution_for(leaf.dtype, dtype, relative_noise),
        )
    return claims


@dataclass(frozen=True)
class _Probed:
    """A claim, the directions it is to be probed along, and what the first of them showed."""

    claim: Claim
    directions: tuple[Floats, ...]
    probes: tuple[ProbeMeasurement, ...]

    @property
    def along(self) -> tuple[Floats, ...]:
        """The directions that could be measured."""
        return self.directions[: len(self.probes)]


def _probed(task: Task, conditions: Conditions, claim: Claim) -> _Probed:
    """Probe a parameter along random directions and eigenvectors, as far as time allows."""
    planned = [_direction(task, conditions, claim, number) for number in range(task.plan.probes)]
    probes = _along(task, conditions, claim, planned)
    while not task.plan.sweep and len(planned) < MOST_PROBES and needs_another(probes, claim):
        planned.append(_direction(task, conditions, claim, len(planned)))
        probes += _along(task, conditions, claim, planned[-1:])
    eigen = [
        fitting(task.evaluator, conditions, claim.name, along)
        for along in task.eigen.get(claim.name, ())
    ]
    along_eigen = _along(task, conditions, claim, eigen)
    probes += [of_usual_size(probe, claim) for probe in along_eigen]
    return _Probed(claim, (*planned, *eigen), tuple(probes))


def _direction(task: Task, conditions: Conditions, claim: Claim, number: int) -> Floats:
    along = random_direction(claim.scale, task.seed, claim.name, number)
    return fitting(task.evaluator, conditions, claim.name, along)


def _along(
    task: Task, conditions: Conditions, claim: Claim, directions: Sequence[Floats]
) -> list[ProbeMeasurement]:
    """Return the probes along directions, as far as time allows."""
    probes: list[ProbeMeasurement] = []
    for along in directions:
        if task.budget.is_spent():
            break
        probes.append(measure_probe(task.evaluator, conditions, claim, along))
    return probes


def _measure(task: Task, conditions: Conditions, probed: _Probed, effect: float) -> Measured:
    """Compare the entries of a parameter as far as the plan, or its failure, asks, and judge it."""
    evaluator, claim, probes = task.evaluator, probed.claim, probed.probes
    directions = len(probed.directions)
    if len(probes) < task.plan.probes:
        judgement = judge(probes, (), claim, effect, "probes")
        return Measured(
            *(claim, probes, (), judgement, probed.along),
            out_of_time=True,
            planned=(directions, 0),
        )
    certificate = None
    if task.method == "complex":
        certificate = certify(evaluator, conditions, claim, probed.along, probes)
        probes = certificate.probes
    is_failing = any(outcome(probe.derivative) == "disagrees" for probe in probes)
    if is_failing and certificate is None and not task.plan.sweep:
        return _searched(task, conditions, probed, effect)
    sampled = SAMPLED_ENTRIES if is_failing else 0
    count = claim.size if task.plan.sweep else min(claim.size, sampled)
    positions = chosen_positions(task.seed, claim, count)
    if certificate is None:
        entries = measure_entries(evaluator, conditions, claim, positions, budget=task.budget)
    else:
        entries = measure_entries_complex(
            *(evaluator, conditions, claim, positions, certificate), budget=task.budget
        )
    cut = len(probes) < directions or len(entries) < count
    judgement = judge(probes, entries, claim, effect, "rest" if cut else "")
    return Measured(
        *(claim, probes, entries, judgement, probed.along),
        certificate=certificate,
        out_of_time=cut,
        planned=(directions, count),
    )


def _measured_alone(task: Task, conditions: Conditions, effect: float, claim: Claim) -> Measured:
    """Return all that is found out about one claim."""
    return _measure(task, conditions, _probed(task, conditions, claim), effect)


def _searched(task: Task, conditions: Conditions, probed: _Probed, effect: float) -> Measured:
    """Look for what is wrong in a parameter that some probe disagrees with, and judge it."""
    claim, probes = probed.claim, probed.probes
    found = search_failing(
        *(task.evaluator, conditions, claim, list(zip(probed.along, probes, strict=True))),
        seed=task.seed,
        budget=task.budget,
    )
    cut = len(probes) < len(probed.directions) or task.budget.is_spent()
    judgement = judge(probes, found.entries, claim, effect, "rest" if cut else "")
    return Measured(
        *(claim, probes, found.entries, judgement, probed.along),
        out_of_time=cut,
        planned=(len(probed.directions), len(found.entries) + 1),
        regions=found.regions,
        is_located=found.complete,
    )


def _eigen(task: Task, claims: Mapping[str, Claim]) -> dict[str, tuple[Floats, ...]]:
    scales = {name: claim.scale for name, claim in claims.items()}
    unit = max(claim.unit for claim in claims.values())
    return eigen_directions(task.evaluator, scales, unit, task.seed)


def _notes(task: Task, measured: Mapping[str, Measured]) -> tuple[str, ...]:
    notes = []
    if task.directions == "eigen":
        notes.append(eigen_note(task.eigen))
    certificates = [found.certificate for found in measured.values() if found.certificate]
    if certificates:
        slopes = [probe.derivative for found in measured.values() for probe in found.probes]
        slopes += [entry.derivative for found in measured.values() for entry in found.entries]
        notes.append(complex_step_note(certificates, slopes))
    return tuple(notes)
