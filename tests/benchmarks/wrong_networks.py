"""Networks whose gradient is wrong in known places, and what localising them finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import ours
from ours import Prepared
from whole_checks import of_network

from gradcheck.blocks import Block, difference, is_significant
from gradcheck.budget import Budget
from gradcheck.comparisons import Comparisons
from gradcheck.directions import Floats, random_direction
from gradcheck.localise import Localisation, localise
from gradcheck.plan import PROBES
from gradcheck.probes import Claim, ProbeMeasurement, fitting, measure_probe
from gradcheck.quick_slopes import QuickSlopes
from gradcheck.verdict import outcome
from mlp import activations, initialisers, losses
from mlp.network import dense_network

FIRST_WEIGHT = "layer1.weight"
# Evaluations per parameter at which plain bisection gives up.
MOST_EVALUATIONS = 6_000

Probes = Sequence[tuple[Floats, ProbeMeasurement]]
Claims = dict[str, Claim]
Place = tuple[str, int]
Locator = Callable[[Prepared, Claim, Probes, int], Localisation]


@dataclass(frozen=True)
class Attempt:
    """What one locator found out about one network.

    Attributes
    ----------
    wrong: how many entries are wrong
    found: how many of them were located
    unseen, admitted, hidden: those missed: no probe of their parameter disagreed; the locator said
        that there is more; it did not, what is left being within the error bars of all probes
    false: entries that were accused and are right
    evaluations: of the loss, beyond the probes
    dense: whether errors were called dense
    """

    wrong: int
    found: int
    unseen: int
    admitted: int
    hidden: int
    false: int
    evaluations: int
    dense: bool


def prepared_network(seed: int, sizes: Sequence[int], batch: int) -> Prepared:
    """Return a sigmoid network on random data, ready to be probed."""
    rng = np.random.default_rng(seed)
    network = dense_network(
        rng,
        sizes,
        activations.sigmoid,
        activations.identity,
        losses.half_mean_squared_norm,
        initialiser=initialisers.lecun_normal,
    )
    inputs, targets = (rng.standard_normal((batch, size)) for size in (sizes[0], sizes[-1]))
    return ours.prepare(of_network(network, inputs, targets), seed, "quick")


def scattered(prepared: Prepared, count: int, relative: float, seed: int) -> set[Place]:
    """Return places drawn from all entries of the network whose gradient is not zero."""
    places = [
        (name, int(position))
        for name, claim in prepared.claims.items()
        for position in np.flatnonzero(claim.analytic)
    ]
    rng = np.random.default_rng([seed, count, round(1 / relative)])
    return {places[i] for i in rng.choice(len(places), count, replace=False)}


def first_row(prepared: Prepared, seed: int) -> set[Place]:
    """Return the places of one row of the first weight."""
    shape = prepared.claims[FIRST_WEIGHT].analytic.shape
    row = seed % shape[0]
    return {(FIRST_WEIGHT, row * shape[1] + column) for column in range(shape[1])}


def first_column(prepared: Prepared, seed: int) -> set[Place]:
    """Return the places of one column of the first weight."""
    shape = prepared.claims[FIRST_WEIGHT].analytic.shape
    column = seed % shape[1]
    return {(FIRST_WEIGHT, row * shape[1] + column) for row in range(shape[0])}


def first_weight(prepared: Prepared, _seed: int) -> set[Place]:
    """Return all places of the first weight."""
    return {(FIRST_WEIGHT, p) for p in range(prepared.claims[FIRST_WEIGHT].analytic.size)}


def spoilt(prepared: Prepared, wrong: set[Place], relative: float) -> Claims:
    """Return the claims with these entries too large by a relative error."""
    factors = {name: np.ones(claim.analytic.size) for name, claim in prepared.claims.items()}
    for name, position in wrong:
        factors[name][position] += relative
    return {
        name: replace(claim, analytic=claim.analytic * factors[name].reshape(claim.analytic.shape))
        for name, claim in prepared.claims.items()
    }


def probed(prepared: Prepared, claims: Claims, seed: int) -> dict[str, Probes]:
    """Return the random directions of every parameter, and what they show."""
    evaluator, conditions = prepared.evaluator, prepared.conditions
    probes = {}
    for name, claim in claims.items():
        drawn = [random_direction(claim.scale, seed, name, number) for number in range(PROBES)]
        along = [fitting(evaluator, conditions, name, direction) for direction in drawn]
        probes[name] = [(v, measure_probe(evaluator, conditions, claim, v)) for v in along]
    return probes


def ours_locator(prepared: Prepared, claim: Claim, probes: Probes, seed: int) -> Localisation:
    """Locate as a check does."""
    return localise(prepared.evaluator, prepared.conditions, claim, probes, seed=seed)


def bisection(prepared: Prepared, claim: Claim, probes: Probes, seed: int) -> Localisation:
    """Locate by halving whatever disagrees: one half measured, the other deduced."""
    slopes = QuickSlopes(prepared.evaluator, prepared.conditions, claim, seed)
    found = Comparisons(prepared.evaluator, prepared.conditions, claim, Budget())
    start = prepared.evaluator.evaluations
    rng = np.random.default_rng(seed)
    positions = rng.permutation(np.flatnonzero(claim.scale))
    weights = np.ravel(probes[0][0])[positions]
    blocks = [Block(positions, (slopes.resolve(positions, weights, 0.0),))]
    while blocks and prepared.evaluator.evaluations - start < MOST_EVALUATIONS:
        block = blocks.pop()
        if block.positions.size == 1:
            found.compare(block.positions)
        elif not block.is_empty:
            half = np.arange(block.positions.size) < block.positions.size // 2
            whole = block.readings[0]
            inside = slopes.along(block.positions[half], whole.weights[half])
            outside = difference(whole, inside, ~half)
            blocks += [
                block.part(mask, [reading])
                for mask, reading in ((half, inside), (~half, outside))
                if is_significant(reading)
            ]
    entries = tuple(found.measured[position] for position in sorted(found.measured))
    return Localisation(entries, complete=found.explain(probes))


def attempt(
    prepared: Prepared,
    claims: Claims,
    probes: dict[str, Probes],
    wrong: set[Place],
    *,
    seed: int,
    locator: Locator,
) -> Attempt:
    """Locate what is wrong in every parameter whose probes disagree, and count."""
    before = prepared.evaluator.evaluations
    located = {
        name: locator(prepared, claim, probes[name], seed)
        for name, claim in claims.items()
        if any(outcome(probe.derivative) == "disagrees" for _, probe in probes[name])
    }
    accused = {
        (name, int(np.ravel_multi_index(entry.index, claims[name].analytic.shape)))
        for name, result in located.items()
        for entry in result.entries
        if outcome(entry.derivative) == "disagrees"
    }
    missed = [name for name, _ in wrong - accused]
    seen = [name for name in missed if name in located]
    hidden = sum(located[name].complete for name in seen)
    return Attempt(
        wrong=len(wrong),
        found=len(wrong & accused),
        unseen=len(missed) - len(seen),
        admitted=len(seen) - hidden,
        hidden=hidden,
        false=len(accused - wrong),
        evaluations=prepared.evaluator.evaluations - before,
        dense=any(result.dense for result in located.values()),
    )
