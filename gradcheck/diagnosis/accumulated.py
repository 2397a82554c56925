"""A layer's gradients are added up twice by what calls its backward."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from gradcheck.diagnosis.causes import ACCUMULATED_TWICE, CONSTANT_FACTOR
from gradcheck.diagnosis.facts import Explanation, Facts
from gradcheck.diagnosis.layer_facts import LayerFacts
from gradcheck.diagnosis.matching import (
    MET,
    explanation,
    listed,
    matched,
    meets,
    true_gradients,
)
from gradcheck.directions import Floats, norm


def accumulated(facts: Facts) -> Iterator[Explanation]:
    """Yield the layers that are right by themselves and whose gradients are all there twice."""
    if not facts.failing or not facts.network or not _is_loss_right(facts.network[-1]):
        return
    truths = true_gradients(facts)
    layers = [layer for layer in facts.network if _is_doubled(facts, truths, layer)]
    doubled = {name: 2 * truths[name] for layer in layers for name in layer.names.values()}
    if (match := matched(facts, truths, doubled)) is not None:
        names = [layer.name for layer in layers]
        own = "its own backward returns" if len(names) == 1 else "their own backwards return"
        yield explanation(
            ACCUMULATED_TWICE,
            match,
            f"the network has twice what {own} in {listed(names)}",
            names[0] if len(names) == 1 else None,
            alternatives=(CONSTANT_FACTOR.slug,),
        )


def _is_loss_right(last: LayerFacts) -> bool:
    given, true = last.loss_gradient, last.upstream
    return (
        given is not None and given.shape == true.shape and norm(given - true) <= MET * norm(true)
    )


def _is_doubled(facts: Facts, truths: Mapping[str, Floats], layer: LayerFacts) -> bool:
    """Return whether all gradients of a layer are twice what its backward rightly returns."""
    _, own = layer.own.at(layer.upstream)
    return bool(layer.names) and all(
        name in facts.failing
        and key in own
        and own[key].shape == truths[name].shape
        and norm(own[key] - truths[name]) <= MET * norm(truths[name])
        and meets(facts.analytic[name], 2 * truths[name], truths[name])
        for key, name in layer.names.items()
    )
