"""Every selected parameter measured: claims, probes, entries, and the judgement on each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gradcheck.assembly import Measured
from gradcheck.directions import Floats, entry_scales, noise_directions, random_direction
from gradcheck.entries import measure_entries
from gradcheck.execution import Evaluator
from gradcheck.line import Conditions, bar_multiplier
from gradcheck.noise import Noise, measure_noise
from gradcheck.parameters import flatten_like
from gradcheck.plan import Plan
from gradcheck.preflight import Preflight
from gradcheck.probes import Claim, measure_probe
from gradcheck.verdict import judge, outcome, required_resolution_for


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
    """

    evaluator: Evaluator
    selected: tuple[str, ...]
    plan: Plan
    seed: int
    required_resolution: float | None


def measure_parameters(task: Task, flight: Preflight) -> tuple[dict[str, Measured], Noise]:
    """Return all that is found out about the parameters that preflight let through."""
    evaluator = task.evaluator
    doubled = evaluator.use_double_precision()
    scales = entry_scales({name: evaluator.original[name] for name in task.selected})
    noise = measure_noise(evaluator, noise_directions(scales, task.seed))
    conditions = Conditions(noise.value, noise.deviation, bar_multiplier(task.plan.comparisons))
    claims = _claims(task, flight, scales, noise)
    effects = [float(np.linalg.norm(claim.analytic * claim.scale)) for claim in claims.values()]
    effect = max(effects, default=0.0)
    measured = {name: _measure(task, conditions, claim, effect) for name, claim in claims.items()}
    if doubled:
        measured = _without_rounding(task, conditions, claims, measured, effect)
    return measured, noise


def _claims(
    task: Task, flight: Preflight, scales: Mapping[str, Floats], noise: Noise
) -> dict[str, Claim]:
    relative_noise = noise.deviation / abs(noise.value) if noise.value else 0.0
    claims = {}
    for name, analytic in flight.analytic.items():
        leaf, dtype = np.asarray(task.evaluator.leaves[name]), flight.dtypes[name]
        claims[name] = Claim(
            name=name,
            analytic=analytic,
            scale=scales[name],
            unit=float(np.finfo(dtype if dtype.kind == "f" else leaf.dtype).eps),
            jitter=flight.jitter.get(name, np.zeros(analytic.shape)),
            required=task.required_resolution
            or required_resolution_for(leaf.dtype, dtype, relative_noise),
        )
    return claims


def _measure(task: Task, conditions: Conditions, claim: Claim, effect: float) -> Measured:
    """Probe a parameter, then compare its entries as far as the plan, or its failure, asks."""
    evaluator, plan, seed = task.evaluator, task.plan, task.seed
    probes = tuple(
        measure_probe(
            evaluator,
            conditions,
            claim,
            random_direction(claim.scale, seed, claim.name, number),
        )
        for number in range(plan.probes)
    )
    size = claim.analytic.size
    failing = any(outcome(probe.derivative) == "disagrees" for probe in probes)
    count = size if plan.sweep else plan.entries_of_failing(size) if failing else 0
    positions = np.arange(size)
    if 0 < count < size:
        generator = np.random.default_rng([seed, *claim.name.encode()])
        positions = np.sort(generator.choice(size, count, replace=False))
    entries = measure_entries(evaluator, conditions, claim, positions[:count])
    return Measured(claim, probes, entries, judge(probes, entries, claim, effect))


def _without_rounding(
    task: Task,
    conditions: Conditions,
    claims: Mapping[str, Claim],
    measured: Mapping[str, Measured],
    effect: float,
) -> dict[str, Measured]:
    """Measure again what fails in float32, with the gradient that the same code gives in float64.

    Where that passes, the code is right and only the rounding of float32 was seen.
    """
    failing = [name for name, found in measured.items() if found.judgement.verdict == "fail"]
    if not failing:
        return dict(measured)
    evaluator = task.evaluator
    try:
        again = flatten_like(evaluator.problem.parameters, evaluator.gradient(), evaluator.original)
    except Exception:
        return dict(measured)
    finally:
        evaluator.restore()
    result = dict(measured)
    for name in failing:
        array = np.asarray(again[name])
        if array.shape == claims[name].analytic.shape and array.dtype == np.float64:
            repeated = _measure(task, conditions, claims[name].in_double(array), effect)
            if repeated.judgement.verdict == "pass":
                result[name] = measured[name].rounded(repeated.judgement)
    return result
