"""A layer's gradients are added up twice by what calls its backward."""

from __future__ import annotations

from collections.abc import Iterator

from gradcheck.diagnosis.causes import ACCUMULATED_TWICE, CONSTANT_FACTOR
from gradcheck.diagnosis.facts import Explanation, Facts
from gradcheck.diagnosis.matching import MET, explanation, matched, true_gradients
from gradcheck.directions import norm


def accumulated(facts: Facts) -> Iterator[Explanation]:
    """Yield the layers that are right by themselves and whose gradients are all there twice."""
    if not facts.failing:
        return
    truths = true_gradients(facts)
    for layer in reversed(facts.network):
        names = list(layer.names.values())
        if not names or not all(name in facts.failing for name in names):
            continue
        _, own = layer.own.at(layer.upstream)
        right = all(
            key in own and norm(own[key] - truths[name]) <= MET * norm(truths[name])
            for key, name in layer.names.items()
        )
        match = matched(facts, truths, {name: 2 * truths[name] for name in names})
        if right and match is not None and len(match.repaired) == len(names):
            told = f"{layer.name}'s backward returns the true gradients, the network twice these"
            yield explanation(
                *(ACCUMULATED_TWICE, match, told, layer.name), alternatives=(CONSTANT_FACTOR.slug,)
            )
