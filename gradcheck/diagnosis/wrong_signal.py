"""What one layer hands down is wrong: its own gradients are right, those below are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from gradcheck.diagnosis.activation_derivative import activation_derivative
from gradcheck.diagnosis.causes import (
    BATCH_SIZE_FACTOR,
    CONSTANT_FACTOR,
    SIGN_FLIP,
    WRONG_UPSTREAM,
)
from gradcheck.diagnosis.facts import Explanation, Facts
from gradcheck.diagnosis.layer_facts import (
    LayerFacts,
    given_upstream,
    handed_down,
    with_own,
)
from gradcheck.diagnosis.matching import MET, explanation, is_right, matched, true_gradients
from gradcheck.diagnosis.softmax_diagonal import softmax_diagonal
from gradcheck.diagnosis.upstream_ignored import upstream_ignored
from gradcheck.directions import Floats, norm


def wrong_signal(facts: Facts) -> Iterator[Explanation]:
    """Yield the layers that hand down something else than dL/dx."""
    if not facts.failing or not facts.network:
        return
    truths = true_gradients(facts)
    yield from _loss_in_hidden_layers(facts, truths)
    # What a layer without parameters hands down is its delta.
    deltas = (*activation_derivative(facts), *softmax_diagonal(facts), *upstream_ignored(facts))
    told = {found.layer for found in deltas}
    for index in reversed(range(1, len(facts.network))):
        layer = facts.network[index]
        if layer.name in told and not layer.names:
            continue
        candidates = list(_candidates(facts, index))
        for one in candidates:
            match = matched(facts, truths, one.predicted)
            if match is not None:
                said = f"{layer.name} hands down {one.phrase}"
                yield explanation(
                    *(WRONG_UPSTREAM, match, said, layer.name),
                    tries=len(candidates),
                    alternatives=_multiples(layer, one.signal),
                )
                break


@dataclass(frozen=True)
class _Candidate:
    """What a layer may hand down, in words and numbers, and the gradients that this makes."""

    phrase: str
    signal: Floats
    predicted: Mapping[str, Floats]


def _candidates(facts: Facts, index: int) -> Iterator[_Candidate]:
    """Yield what a layer may hand down in place of dL/dx, what it does hand down last."""
    layer = facts.network[index]
    true = layer.input_gradient(layer.delta)
    for phrase, signal in _guesses(facts, index):
        if signal.shape == layer.inputs.shape and not is_right(signal, true):
            yield _Candidate(phrase, signal, handed_down(facts.network, index, signal))
    if layer.name not in [above.name for above in facts.network[index + 1 :]]:
        yield from _measured(facts, index)


def _guesses(facts: Facts, index: int) -> Iterator[tuple[str, Floats]]:
    layer = facts.network[index]
    dense, delta = layer.dense, layer.delta
    if dense is not None:
        if dense.weight.shape[0] == dense.weight.shape[1]:
            yield "delta W in place of delta W^T", dense.through(delta, dense.weight.T)
        for other in facts.network:
            twin = other.dense
            if other is not layer and twin and twin.weight.shape == dense.weight.shape:
                yield f"delta W^T with the W of {other.name}", dense.through(delta, twin.weight)
    # Where its own gradients are wrong too, so is its delta.
    if layer.tells_preactivations and not any(n in facts.failing for n in layer.names.values()):
        yield "dL/dx of the upstream, without f'(z)", layer.input_gradient(layer.upstream)
    yield "its delta", delta
    yield "its upstream", layer.upstream


def _measured(facts: Facts, index: int) -> Iterator[_Candidate]:
    """Yield what the layer's own backward hands down, if only that is wrong in it.

    All else is right then, or what the backwards above make it.
    """
    network, layer = facts.network, facts.network[index]
    signal, own = layer.own.at(layer.upstream)
    true = layer.gradients(layer.delta)
    if signal is None or signal.shape != layer.inputs.shape:
        return
    if is_right(signal, layer.input_gradient(layer.delta)):
        return
    if not all(key in own and is_right(own[key], true[n]) for key, n in layer.names.items()):
        return
    lower = {name for one in network[:index] for name in one.names.values()}
    above = {one.name for one in network[index:]}
    ways = ((network[-1].upstream, {layer.name}), (given_upstream(network), above))
    for upstream, names in ways:
        made = with_own(network, upstream, names)
        predicted = {name: array for name, array in made.items() if name in lower}
        yield _Candidate(_described(layer, signal), signal, predicted)


def _described(layer: LayerFacts, signal: Floats) -> str:
    true = layer.input_gradient(layer.delta)
    factor = _multiple_of(signal, true)
    if factor is not None:
        return f"{factor:.6g} times dL/dx"
    return f"a dL/dx whose error is {norm(signal - true) / norm(true):.2g} of the true one's size"


def _multiple_of(signal: Floats, true: Floats) -> float | None:
    """Return what number of times the true signal a signal is, None where it is no multiple."""
    size = norm(true)
    factor = float(np.sum(signal * true)) / size**2 if size else 0.0
    return factor if norm(signal - factor * true) <= MET * norm(signal) else None


def _multiples(layer: LayerFacts, signal: Floats) -> tuple[str, ...]:
    """Return the causes that a multiple of the true signal looks like."""
    factor = _multiple_of(signal, layer.input_gradient(layer.delta))
    if factor is None:
        return ()
    for size_factor in (layer.samples, 1 / layer.samples):
        if abs(factor / size_factor - 1) <= MET:
            return (BATCH_SIZE_FACTOR.slug,)
    return (SIGN_FLIP.slug if abs(factor + 1) <= MET else CONSTANT_FACTOR.slug,)


def _loss_in_hidden_layers(facts: Facts, truths: Mapping[str, Floats]) -> Iterator[Explanation]:
    """Yield that hidden layers get the loss's derivative at their own outputs."""
    predicted: dict[str, Floats] = {}
    for layer in facts.network[:-1]:
        if layer.loss_upstream is not None:
            predicted |= layer.gradients(layer.activation.delta(layer.loss_upstream))
    if (match := matched(facts, truths, predicted)) is not None:
        told = "hidden layers get the loss's derivative at their own outputs for their upstream"
        yield explanation(WRONG_UPSTREAM, match, told, None)
