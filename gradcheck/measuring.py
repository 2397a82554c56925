"""Every selected parameter measured: claims, probes, entries, and the judgement on each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.beside_kinks import BesideKinks
from gradcheck.directions import Floats, entry_scales, noise_directions
from gradcheck.entries import measure_entries
from gradcheck.entry_table import Entries
from gradcheck.failing import SAMPLED_ENTRIES, chosen_positions, search_failing
from gradcheck.gradient_calls import effect_elsewhere
from gradcheck.ladder import Conditions
from gradcheck.measured import Measured
from gradcheck.noise import Noise, measure_noise
from gradcheck.pieces import zeros
from gradcheck.preflight import Preflight
from gradcheck.probes import Claim, movable
from gradcheck.probing import Probed, Task, probe_parameter, probe_parameters
from gradcheck.rounding import Rounding, known_rounding, moves_by_rounding, unit_of
from gradcheck.second_look import without_rounding
from gradcheck.verdict import judge, outcome, required_resolution_for, which

if TYPE_CHECKING:
    from gradcheck.layered_entries import Layered
    from gradcheck.regions import Region

# A loss that moves by itself by more of its deviations than these spoils what was measured of it.
DRIFT_DEVIATIONS = 6.0
# What layers say whose every weight was moved by itself.
STRICT = "moving every weight by itself"
# Noise is measured along one side of the point only, within this part of a direction.
NOISE_REACH = 0.5


@dataclass(frozen=True, eq=False)
class Measurements:
    """All that was measured.

    Attributes
    ----------
    parameters: by name
    noise: of the loss
    effect: largest norm of gradient times scale among the parameters
    notes: remarks for the report
    drift: how far the loss was in the end from where it was before, at the same parameters
    partial_evaluations: calls of the layers' own functions
    """

    parameters: dict[str, Measured]
    noise: Noise
    effect: float
    notes: tuple[str, ...] = ()
    drift: float = 0.0
    partial_evaluations: int = 0


def measure_parameters(task: Task, flight: Preflight) -> Measurements:
    """Return all that is found out about the parameters that preflight let through."""
    evaluator = task.evaluator
    moves = moves_by_rounding(evaluator, flight, task.seed)
    scales = _scales(task, flight)
    rounding = known_rounding(evaluator, flight, scales, moves)
    del moves  # of the size of all parameters
    doubled = evaluator.use_double_precision()
    values = None if doubled else flight.values
    noise = measure_noise(evaluator, _noise_directions(task, scales), values)
    claims = _claims(task, flight, scales, noise, rounding)
    if task.directions == "eigen" and claims and not task.budget.is_spent():
        task = replace(task, eigen=_eigen(task, claims))
    effects = [claim.effect for claim in claims.values()]
    effect = max(effects, default=0.0)
    if effect == 0.0 and evaluator.bounds.lower:
        effect = effect_elsewhere(evaluator, scales)
    measured, partial_evaluations = _all_measured(task, noise, claims, effect, doubled)
    before = noise.value if doubled else flight.values[0]
    after = before if task.budget.is_spent() else evaluator.loss()
    drift = abs(float(after - before))
    is_noise = not math.isfinite(drift) or drift <= DRIFT_DEVIATIONS * noise.deviation
    if not is_noise and any(found.judgement.verdict != "pass" for found in measured.values()):
        # What the loss does by itself looks like a wrong gradient, unless it counts as noise.
        noise = replace(noise, value=after, deviation=drift)
        measured, further = _all_measured(task, noise, claims, effect, doubled)
        partial_evaluations += further
    notes = _notes(task, measured)
    return Measurements(measured, noise, effect, notes, drift, partial_evaluations)


def _all_measured(
    task: Task, noise: Noise, claims: Mapping[str, Claim], effect: float, doubled: bool
) -> tuple[dict[str, Measured], int]:
    """Measure all claims, each along its directions first: where time runs out, that says most.

    Parameters
    ----------
    doubled: whether the loss is evaluated in float64 though its parameters are not

    Returns
    -------
    what was measured, by parameter name, and how often the layers' own functions were called
    """
    conditions = noise.conditions(task.plan.comparisons)
    probed = probe_parameters(task, conditions, claims)
    with _layers_of(task, probed, float(noise.value)) as layered:
        measured = {
            name: _measure(task, conditions, probed[name], effect, layered) for name in claims
        }
        measure = partial(_measured_alone, task, conditions, effect, layered)
        measured = without_rounding(task.evaluator, measured, effect, measure, doubled)
        return measured, layered.partial_evaluations if layered else 0


def _layers_of(
    task: Task, probed: Mapping[str, Probed], value: float
) -> AbstractContextManager[Layered | None]:
    """Return what gives what the layers can tell."""
    if not task.plan.layered or not probed or task.budget.is_spent():
        return nullcontext()
    # Most problems expose no layers.
    from gradcheck.layered_entries import layers_of

    return layers_of(task, probed, value)


def _scales(task: Task, flight: Preflight) -> dict[str, Floats]:
    bounds, original = task.evaluator.bounds, task.evaluator.original
    scales = entry_scales({name: original[name] for name in task.selected}, flight.analytic)
    return {name: bounds.within_width(name, scale) for name, scale in scales.items()}


def _noise_directions(task: Task, scales: Mapping[str, Floats]) -> Iterator[dict[str, Floats]]:
    """Return directions to measure noise along, a way ahead of which is inside all bounds."""
    evaluator = task.evaluator

    def inward(direction: Mapping[str, Floats]) -> dict[str, Floats]:
        return {
            name: evaluator.bounds.inward(name, evaluator.original[name], along, NOISE_REACH)
            for name, along in direction.items()
        }

    # A loop would hold on to one direction until the next is there.
    return map(inward, noise_directions(evaluator.original, scales, task.seed))


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
        jitter, scale = flight.jitter.get(name, zeros(analytic.shape)), scales[name]
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


def _measure(
    task: Task,
    conditions: Conditions,
    probed: Probed,
    effect: float,
    layered: Layered | None,
) -> Measured:
    """Compare the entries of a parameter as far as the plan, or its failure, asks, and judge it."""
    claim, probes = probed.claim, probed.probes
    entries = layered.entries(task, conditions, probed) if layered else None
    if layered is not None and entries is not None:
        cut = len(entries) < claim.size
        return Measured(
            *(claim, probes, entries),
            judge(probes, entries, claim, effect, "rest" if cut else ""),
            probed.along,
            out_of_time=cut,
            planned=(len(probed.directions), claim.size),
            form=layered.forms[claim.name],
        )
    return _measured_as_black_box(task, conditions, probed, effect)


def _measured_as_black_box(
    task: Task, conditions: Conditions, probed: Probed, effect: float
) -> Measured:
    """Compare the entries of a parameter by the whole loss, as far as is asked, and judge it."""
    evaluator, claim, probes = task.evaluator, probed.claim, probed.probes
    directions = len(probed.directions)
    if len(probes) < task.plan.probes:
        entries = Entries.of(claim.analytic.shape, ())
        judgement = judge(probes, entries, claim, effect, "probes")
        return Measured(
            *(claim, probes, entries, judgement, probed.along),
            out_of_time=True,
            planned=(directions, 0),
        )
    certificate, beside = None, BesideKinks(evaluator, conditions, task.seed, task.budget)
    if task.method == "complex":
        from gradcheck.complex_step import certify

        certificate = certify(evaluator, conditions, claim, probed.along, probes)
        probes = certificate.probes
    elif not task.plan.sweep:
        probes = beside.probes(claim, probed.along, probes)
        probed = replace(probed, probes=probes)
    is_failing = any(outcome(probe.derivative) == "disagrees" for probe in probes)
    if is_failing and certificate is None and not task.plan.sweep:
        return _searched(task, conditions, probed, effect)
    sampled = SAMPLED_ENTRIES if is_failing else 0
    count = claim.size if task.plan.sweep else min(claim.size, sampled)
    positions = chosen_positions(task.seed, claim, count)
    if certificate is None:
        entries = measure_entries(evaluator, conditions, claim, positions, budget=task.budget)
        entries = beside.entries(claim, entries)
    else:
        from gradcheck.complex_step import measure_entries_complex

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


def _measured_alone(
    task: Task, conditions: Conditions, effect: float, layered: Layered | None, claim: Claim
) -> Measured:
    """Return all that is found out about one claim."""
    return _measure(task, conditions, probe_parameter(task, conditions, claim), effect, layered)


def _searched(task: Task, conditions: Conditions, probed: Probed, effect: float) -> Measured:
    """Look for what is wrong in a parameter that some probe disagrees with, and judge it."""
    claim, probes = probed.claim, probed.probes
    found = search_failing(
        *(task.evaluator, conditions, claim, list(zip(probed.along, probes, strict=True))),
        seed=task.seed,
        budget=task.budget,
    )
    beside = BesideKinks(task.evaluator, conditions, task.seed, task.budget)
    entries = beside.entries(claim, found.entries)
    cut = len(probes) < len(probed.directions) or task.budget.is_spent()
    judgement = judge(probes, entries, claim, effect, "rest" if cut else "")
    return Measured(
        *(claim, probes, entries, judgement, probed.along),
        out_of_time=cut,
        planned=(len(probed.directions), len(entries) + 1),
        regions=tuple(region for region in found.regions if _is_wrong(region, entries)),
        is_located=found.complete,
    )


def _is_wrong(region: Region, entries: Entries) -> bool:
    """Return whether an entry of a region is wrong, and not only at its kink."""
    from gradcheck.regions import slice_of

    wrong = entries.positions[which(entries, "disagrees")]
    return slice_of(region, wrong, entries.shape).size > 0


def _eigen(task: Task, claims: Mapping[str, Claim]) -> dict[str, tuple[Floats, ...]]:
    from gradcheck.eigen import eigen_directions

    scales = {name: claim.scale for name, claim in claims.items()}
    unit = max(claim.unit for claim in claims.values())
    return eigen_directions(task.evaluator, scales, unit, task.seed)


def _notes(task: Task, measured: Mapping[str, Measured]) -> tuple[str, ...]:
    notes = []
    if any(found.form for found in measured.values()):
        from gradcheck.layered_entries import forms_note

        notes.append(forms_note(measured))
    is_strict = task.method == "strict" and task.plan.compares_entries
    if is_strict and all(found.form != STRICT for found in measured.values()):
        notes.append("method strict: no layer shows weights that could be moved by themselves")
    if task.directions == "eigen":
        from gradcheck.eigen import eigen_note

        notes.append(eigen_note(task.eigen))
    certificates = [found.certificate for found in measured.values() if found.certificate]
    if certificates:
        from gradcheck.complex_step import complex_step_note

        entries = [found.entries for found in measured.values()]
        notes.append(complex_step_note(certificates, entries))
    return tuple(notes)
