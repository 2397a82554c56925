"""A gradient formed with the inputs or the delta of another layer, or simply another's gradient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import permutations

import numpy as np

from gradcheck.diagnosis.causes import WRONG_LAYER
from gradcheck.diagnosis.facts import Explanation, Facts
from gradcheck.diagnosis.layer_facts import below
from gradcheck.diagnosis.matching import (
    explanation,
    is_passed_on,
    matched,
    meets,
    true_gradients,
)
from gradcheck.directions import Floats

# Entries that two gradients have to share to be no coincidence.
ENTRIES = 2


def wrong_layer(facts: Facts) -> Iterator[Explanation]:
    """Yield the layers whose gradients are made of what belongs to others."""
    if not facts.failing:
        return
    truths = true_gradients(facts)
    explained: set[str] = set()
    exchanged = _exchanged(facts, truths)
    for index in reversed(range(len(facts.network))):
        for found in _of_layer(facts, truths, index):
            if exchanged >= set(found.repaired):
                continue
            explained |= set(found.repaired)
            yield found
    yield from _same_as_another(facts, truths, explained)


def _exchanged(facts: Facts, truths: Mapping[str, Floats]) -> set[str]:
    """Return the parameters that have each other's gradients, which has a name of its own."""
    known = [name for name in facts.failing if name in truths]
    return {
        name
        for one, other in permutations(known, 2)
        if meets(facts.analytic[one], truths[other], truths[one])
        and meets(facts.analytic[other], truths[one], truths[other])
        for name in (one, other)
    }


def _of_layer(facts: Facts, truths: Mapping[str, Floats], index: int) -> Iterator[Explanation]:
    layer = facts.network[index]
    if layer.is_given:
        return
    signals = list(_signals(facts, index))
    inputs = list(_inputs(facts, index))
    for phrase, delta in signals:
        predicted = below(facts.network, index, delta)
        # For the layers below it is another matter what the layer's own gradients are made of.
        own = {name: predicted[name] for name in layer.names.values()}
        for prediction in (predicted, own):
            match = matched(facts, truths, prediction)
            if match is not None and not is_passed_on(facts, index, match):
                told = f"{layer.name} takes {phrase} for its delta"
                tries = len(signals) + len(inputs)
                yield explanation(WRONG_LAYER, match, told, layer.name, tries=tries)
                break
    dense = layer.dense
    for phrase, x in inputs if dense else ():
        assert dense is not None
        name = layer.names[dense.weight_name]
        match = matched(facts, truths, {name: dense.weight_gradient(x, layer.delta)})
        if match is not None:
            told = f"{layer.name} takes {phrase} for its inputs"
            tries = len(signals) + len(inputs)
            yield explanation(WRONG_LAYER, match, told, layer.name, tries=tries)


def _signals(facts: Facts, index: int) -> Iterator[tuple[str, Floats]]:
    """Yield what goes to the layer below, and deltas and upstreams of other layers that fit.

    But for layers without parameters: to take their upstream is to leave them out.
    """
    layer = facts.network[index]
    known = []
    if index:
        known.append(("dL/dx, which it hands down,", facts.network[index - 1].upstream))
    for other in facts.network:
        if other.name != layer.name and other.names and not other.is_given:
            signals = ("delta", other.delta), ("upstream", other.upstream)
            known += [(f"the {kind} of {other.name}", signal) for kind, signal in signals]
    told = [layer.delta]
    for phrase, signal in known:
        if signal.shape == layer.delta.shape and not any(np.array_equal(signal, t) for t in told):
            told.append(signal)
            yield phrase, signal


def _inputs(facts: Facts, index: int) -> Iterator[tuple[str, Floats]]:
    """Yield inputs of other layers that fit, and the outputs of the network they are in."""
    layer = facts.network[index]
    layers = [one for one in facts.network if one.name != layer.name and not one.is_given]
    known = [(f"the inputs of {other.name}", other.inputs) for other in layers]
    if layers:
        known.append(("the outputs of the network", facts.network[-1].outputs))
    for phrase, x in known:
        if x.shape == layer.inputs.shape and not np.array_equal(x, layer.inputs):
            yield phrase, x


def _same_as_another(
    facts: Facts, truths: Mapping[str, Floats], explained: set[str]
) -> Iterator[Explanation]:
    """Yield the wrong gradients that are, entry by entry, a right one of another parameter."""
    for name in facts.failing:
        claimed = facts.analytic[name]
        twins = [
            other
            for other in facts.passing
            # Of one layer, they may be sums of the same numbers by a mistake in either.
            if facts.layer_of[other] != facts.layer_of[name]
            and np.array_equal(facts.analytic[other], claimed)
            and claimed.size >= ENTRIES
            and np.ptp(claimed) > 0
        ]
        if name in explained or len(twins) != 1:
            continue
        known = {name: truths[name]} if name in truths else {name: claimed}
        unknown = {} if name in truths else {name: np.ones(claimed.shape, dtype=bool)}
        yield Explanation(
            WRONG_LAYER,
            known,
            f"{name} is the gradient of {twins[0]}, bit by bit in {claimed.size} entries",
            unknown=unknown,
            details={"other": twins[0]},
            tries=len(facts.passing),
            layer=facts.layer_of[name],
        )
