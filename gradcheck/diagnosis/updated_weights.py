"""The signal goes down through weights that have been updated on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from gradcheck.diagnosis.causes import UPDATED_WEIGHTS
from gradcheck.diagnosis.facts import Explanation, Facts
from gradcheck.diagnosis.layer_facts import handed_down
from gradcheck.diagnosis.matching import explanation, matched, true_gradients
from gradcheck.directions import Floats, norm


def updated_weights(facts: Facts) -> Iterator[Explanation]:
    """Yield the steps that explain the signals: of all layers, or of one of them."""
    if not facts.failing or not facts.network:
        return
    truths = true_gradients(facts)
    for index in reversed(range(1, len(facts.network))):
        step = _step(facts, truths, index)
        if step is None:
            continue
        alone, in_loop = (
            matched(facts, truths, _gradients(facts, truths, index, step, alone=alone))
            for alone in (True, False)
        )
        if (match := alone or in_loop) is None:
            continue
        name: str | None = facts.network[index].name
        told = f"the signal leaves {name} through W - {step:.6g} dW in place of W"
        if in_loop is not None and len(in_loop.repaired) > len(match.repaired):
            # In one loop over all layers: then it is none of theirs.
            match, name, told = in_loop, None, f"{told}, and so on below"
        yield explanation(UPDATED_WEIGHTS, match, told, name, details={"step": step})
        return


def _step(facts: Facts, truths: Mapping[str, Floats], index: int) -> float | None:
    """Return the step that explains best what is wrong in the next layer that has parameters.

    The gradients there are linear in it.
    """
    layer = facts.network[index]
    lower = next((one for one in reversed(facts.network[:index]) if one.names), None)
    if layer.dense is None or lower is None:
        return None
    names = [name for name in lower.names.values() if name in facts.failing]
    weight = truths[layer.names[layer.dense.weight_name]]
    per_step = handed_down(facts.network, index, layer.dense.through(layer.delta, -weight))
    changes = [facts.analytic[name] - truths[name] for name in names]
    if any(facts.analytic[name].shape != truths[name].shape for name in names) or not names:
        return None
    change = np.concatenate([array.reshape(-1) for array in changes])
    along = np.concatenate([per_step[name].reshape(-1) for name in names])
    size = norm(along)
    step = float(change @ along) / size**2 if size else 0.0
    return step or None


def _gradients(
    facts: Facts, truths: Mapping[str, Floats], index: int, step: float, *, alone: bool
) -> dict[str, Floats]:
    """Return the gradients below a layer whose weight is stepped before the signal leaves it.

    Parameters
    ----------
    alone: only its weight is, not those below, with the gradients that they get
    """
    layer, predicted, delta = facts.network[index], dict(truths), facts.network[index].delta
    found: dict[str, Floats] = {}
    while index:
        dense = layer.dense
        if dense is None:
            signal = layer.input_gradient(delta)
        else:
            change = step * predicted[layer.names[dense.weight_name]]
            signal = dense.through(delta, dense.weight - change)
        if alone:
            return handed_down(facts.network, index, signal)
        index -= 1
        layer = facts.network[index]
        delta = layer.activation.delta(signal)
        found |= layer.gradients(delta)
        predicted |= found
    return found
