"""Causes that make a wrong delta in one layer: everything from there down is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from gradcheck.diagnosis.codes import Code
from gradcheck.diagnosis.facts import Explanation, Facts
from gradcheck.diagnosis.layer_facts import LayerFacts, below
from gradcheck.diagnosis.matching import (
    explanation,
    is_passed_on,
    matched,
    others,
    same_predictions,
    true_gradients,
)
from gradcheck.directions import Floats


@dataclass(frozen=True)
class WrongDelta:
    """What a layer may take for its delta.

    Attributes
    ----------
    code: the cause
    phrase: what it is, to follow "layer2 takes "
    delta: its value
    alternatives: slugs of causes that always have the same effect
    details: numbers behind it
    is_any: it is whatever it is, found by measuring: no alternative to what has a name, and no
        delta where only the gradient of the bias, which it was read from, is made of it
    """

    code: Code
    phrase: str
    delta: Floats
    alternatives: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    is_any: bool = False


Candidates = Callable[[LayerFacts], Sequence[WrongDelta]]


def wrong_deltas(facts: Facts, candidates: Candidates) -> Iterator[Explanation]:
    """Yield the candidates that the gradients agree with, from the topmost layer down.

    The first of several that predict the same is yielded, the others are its alternatives.
    """
    if not facts.failing or not facts.network:
        return
    truths = true_gradients(facts)
    for index in reversed(range(len(facts.network))):
        layer = facts.network[index]
        tried = [one for one in candidates(layer) if one.delta.shape == layer.delta.shape]
        predictions = [below(facts.network, index, one.delta) for one in tried]
        told: list[int] = []
        for place, (one, predicted) in enumerate(zip(tried, predictions, strict=True)):
            match = matched(facts, truths, predicted)
            if match is None or any(same_predictions(predictions[k], predicted) for k in told):
                continue
            if one.is_any and set(match.repaired) == {layer.bias}:
                continue
            if is_passed_on(facts, index, match):
                continue
            told.append(place)
            rivals = [
                other.code
                for other, prediction in zip(tried, predictions, strict=True)
                if not other.is_any and same_predictions(prediction, predicted)
            ]
            yield explanation(
                one.code,
                match,
                f"{layer.name} takes {one.phrase}",
                layer.name,
                tries=len(tried),
                alternatives=(*others(one.code, rivals), *one.alternatives),
                details=one.details,
            )
