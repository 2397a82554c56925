"""From measurements to what hypotheses are given and what they are proved on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from gradcheck.conclusion import LineDerivative
from gradcheck.diagnosis.facts import Facts, Sample
from gradcheck.directions import Floats
from gradcheck.measured import Measured
from gradcheck.probes import Claim
from gradcheck.problem import Problem
from gradcheck.verdict import REQUIRED_FLOAT64, is_subgradient, which


def gather(
    problem: Problem,
    *,
    analytic: Mapping[str, Floats],
    parameters: Mapping[str, Floats],
    measured: Mapping[str, Measured],
    layer_of: Mapping[str, str],
    seed: int,
) -> tuple[Facts, dict[str, Sample]]:
    """Return the facts, and by name the entries that are kept back from every fit.

    Parameters
    ----------
    analytic, parameters: by name, in flatten order
    measured: what was measured of each, with its verdict
    layer_of: the layer of every parameter
    seed: decides which entries are kept back
    """
    verdicts = {name: found.judgement.verdict for name, found in measured.items()}
    failing = tuple(name for name in analytic if verdicts.get(name) == "fail")
    known, fit, rest = _samples(measured, failing, seed)
    masks = {name: measured[name].wrong for name in failing}
    facts = Facts(
        analytic=analytic,
        parameters=parameters,
        failing=failing,
        passing=tuple(name for name in analytic if verdicts.get(name) == "pass"),
        samples=fit,
        known=known,
        wrong={name: mask for name, mask in masks.items() if mask is not None},
        layer_of=layer_of,
        sizes=problem.sizes,
        args=problem.args,
    )
    return facts, rest


def _samples(
    measured: Mapping[str, Measured], failing: Iterable[str], seed: int
) -> tuple[dict[str, Sample], dict[str, Sample], dict[str, Sample]]:
    """Return what was measured of each failing parameter: all, a part to fit to, and the rest."""
    known = {name: _sample(measured[name]) for name in failing}
    fit, rest = {}, {}
    for name, sample in known.items():
        generator = np.random.default_rng([seed, *name.encode()])
        order = generator.permutation(len(sample.positions))
        half = (len(order) + 1) // 2
        fit[name] = sample.chosen(np.sort(order[:half]))
        rest[name] = sample.chosen(np.sort(order[half:]))
    return known, fit, rest


def as_computed(claim: Claim) -> Claim:
    """Return a claim with the round-off of the least precise numbers it may be made of.

    Where parameters or gradient are in float32, so was part of what is between them.
    """
    if claim.required <= REQUIRED_FLOAT64:
        return claim
    return replace(claim, unit=max(claim.unit, float(np.finfo(np.float32).eps)))


def _is_at_kink(derivative: LineDerivative) -> bool:
    """Return whether there is no value that the gradient has to have."""
    return derivative.beside is not None or is_subgradient(derivative)


def _sample(measured: Measured) -> Sample:
    entries = measured.entries
    tells = ~which(entries, "undecided") & ~entries.special_where(_is_at_kink)
    kept = entries.chosen(tells)
    order = np.argsort(kept.positions)
    return Sample(
        positions=kept.positions[order],
        values=kept.value[order],
        error_bars=kept.error_bar[order],
        size=measured.claim.analytic.size,
        unit=as_computed(measured.claim).unit,
    )
