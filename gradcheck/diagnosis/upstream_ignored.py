"""The delta of a layer is the derivative of its activation alone."""

from __future__ import annotations

from collections.abc import Iterator

from gradcheck.diagnosis.causes import UPSTREAM_IGNORED
from gradcheck.diagnosis.deltas import WrongDelta, wrong_deltas
from gradcheck.diagnosis.facts import Explanation, Facts
from gradcheck.diagnosis.layer_facts import LayerFacts


def upstream_ignored(facts: Facts) -> Iterator[Explanation]:
    """Yield the layers that take f'(z) for delta, or f'(z) over the batch size."""
    return wrong_deltas(facts, _candidates)


def _candidates(layer: LayerFacts) -> list[WrongDelta]:
    if not layer.tells_preactivations:
        return []
    slopes = layer.activation.diagonal
    return [
        WrongDelta(UPSTREAM_IGNORED, "f'(z) alone for its delta", slopes),
        WrongDelta(
            UPSTREAM_IGNORED,
            f"f'(z) / {layer.samples}, over the samples, for its delta",
            slopes / layer.samples,
        ),
    ]
