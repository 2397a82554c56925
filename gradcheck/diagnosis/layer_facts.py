"""What each layer of a network saw: inputs, pre-activations, outputs, and the true signals."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LayerFacts:
    """One layer at the point of the check."""

    name: str
