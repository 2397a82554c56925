"""From the measurements of a check to the causes of what fails."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.budget import Budget
from gradcheck.diagnosis.asking import Asker
from gradcheck.diagnosis.diagnose import Diagnosis, diagnose
from gradcheck.diagnosis.discrete import counted
from gradcheck.diagnosis.gathering import gather
from gradcheck.diagnosis.layer_facts import LayerFacts
from gradcheck.diagnosis.network_facts import network_facts
from gradcheck.diagnosis.proof import Proof
from gradcheck.diagnosis.samples import with_samples
from gradcheck.directions import Floats
from gradcheck.execution import Evaluator
from gradcheck.ladder import Conditions
from gradcheck.layer_blame import blamed_on_layers
from gradcheck.layer_parts import INPUTS
from gradcheck.measuring import Measurements


def diagnosis_of(
    evaluator: Evaluator,
    found: Measurements,
    *,
    analytic: Mapping[str, Floats],
    layer_of: Mapping[str, str],
    conditions: Conditions,
    seed: int,
    budget: Budget,
) -> Diagnosis:
    """Return why the parameters that fail do so; there must be one.

    Parameters
    ----------
    found: the measurements and verdicts
    analytic: what the code under test returned, by name in flatten order
    layer_of: the layer of every parameter
    conditions: of the measurements
    seed: of directions, and of which entries are kept back for proofs
    budget: the time there is
    """
    if budget.is_spent():
        return Diagnosis()
    facts, kept_back = gather(
        evaluator.problem,
        analytic=analytic,
        parameters={name: evaluator.original[name].astype(np.float64) for name in analytic},
        measured=found.parameters,
        layer_of=layer_of,
        seed=seed,
    )
    facts = with_samples(facts, evaluator, budget)
    with closing(Asker(evaluator.another_caller, budget)) as asker:
        facts = replace(facts, network=_network(evaluator, found, seed, asker))
        proof = Proof(
            *(evaluator, conditions, found.parameters, kept_back, found.effect, seed),
            counted=counted(facts),
        )
        diagnosis = diagnose(facts, proof)
        if budget.is_spent():
            return diagnosis
        return blamed_on_layers(diagnosis, evaluator, facts, asker, seed=seed, budget=budget)


def _network(
    evaluator: Evaluator, found: Measurements, seed: int, asker: Asker
) -> tuple[LayerFacts, ...]:
    """Return what every layer saw, () where the problem does not show its layers."""
    problem = evaluator.problem
    if problem.network is None:
        return ()
    parameters = {name: a.astype(np.float64) for name, a in evaluator.original.items()}
    source = "" if problem.args else _parameter_of_inputs(problem.network)
    data = (parameters[source], None) if source in parameters else tuple(problem.args)
    if len(data) != 2:
        return ()
    inputs, targets = data
    loss = float(found.noise.value)
    return network_facts(
        *(problem.network, parameters, inputs, targets, loss),
        source=source,
        seed=seed,
        asker=asker,
    )


def _parameter_of_inputs(network: Any) -> str:
    """Return what a parameter would be called that holds the inputs of a network; "" for none."""
    names = [getattr(layer, "name", "") for layer in getattr(network, "layers", ())]
    return f"{names[0]}.{INPUTS}" if names else ""
