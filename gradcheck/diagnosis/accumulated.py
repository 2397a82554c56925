"""A layer's gradients are added up twice by what calls its backward."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise

from gradcheck.diagnosis.causes import ACCUMULATED_TWICE, CONSTANT_FACTOR, WRONG_UPSTREAM
from gradcheck.diagnosis.facts import Explanation, Facts
from gradcheck.diagnosis.layer_facts import LayerFacts
from gradcheck.diagnosis.matching import (
    explanation,
    is_right,
    listed,
    matched,
    meets,
    true_gradients,
)
from gradcheck.directions import Floats


def accumulated(facts: Facts) -> Iterator[Explanation]:
    """Yield the layers that are right by themselves and whose gradients are all there twice.

    Not where the lowest is one of several, or is no layer: the signal may be there twice, from one
    of them down.
    """
    if not facts.failing or not facts.network or not _is_loss_right(facts.network[-1]):
        return
    truths = true_gradients(facts)
    layers = [
        layer
        for index, layer in enumerate(facts.network)
        if _is_doubled(facts, truths, layer) and _is_signal_right(facts, index)
    ]
    lowest = next((layer for layer in facts.network if layer.names), None)
    if lowest in layers and (len(layers) > 1 or lowest.is_given):
        return
    doubled = {name: 2 * truths[name] for layer in layers for name in layer.names.values()}
    if (match := matched(facts, truths, doubled)) is not None:
        names = [layer.name for layer in layers]
        own = "its own backward returns" if len(names) == 1 else "their own backwards return"
        yield explanation(
            ACCUMULATED_TWICE,
            match,
            f"the network has twice what {own} in {listed(names)}",
            names[0] if len(names) == 1 else None,
            alternatives=_alternatives(is_lowest=lowest in layers),
        )


def _alternatives(*, is_lowest: bool) -> tuple[str, ...]:
    """Return what else may be meant: below the lowest layer nothing shows what the signal is."""
    return (CONSTANT_FACTOR.slug, *([WRONG_UPSTREAM.slug] if is_lowest else []))


def _is_loss_right(last: LayerFacts) -> bool:
    return is_right(last.loss_gradient, last.upstream)


def _is_signal_right(facts: Facts, index: int) -> bool:
    """Return whether the layers above, each by itself, hand down the true signal."""
    return all(
        is_right(upper.own.at(upper.upstream)[0], lower.upstream)
        for lower, upper in pairwise(facts.network[index:])
    )


def _is_doubled(facts: Facts, truths: Mapping[str, Floats], layer: LayerFacts) -> bool:
    """Return whether all gradients of a layer are twice what its backward rightly returns."""
    _, own = layer.own.at(layer.upstream)
    return bool(layer.names) and all(
        name in facts.failing
        and key in own
        and is_right(own[key], truths[name])
        and meets(facts.analytic[name], 2 * truths[name], truths[name])
        for key, name in layer.names.items()
    )
