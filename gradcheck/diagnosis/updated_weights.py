"""The signal goes down through weights that have been updated on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from gradcheck.diagnosis.causes import UPDATED_WEIGHTS
from gradcheck.diagnosis.facts import Explanation, Facts
from gradcheck.diagnosis.layer_facts import LayerFacts, handed_down
from gradcheck.diagnosis.matching import Match, explanation, matched, true_gradients
from gradcheck.directions import Floats, norm

# Gradients are multiples of the true ones where all entries agree on the factor to this.
SAME_FACTOR = 1e-4


def updated_weights(facts: Facts) -> Iterator[Explanation]:
    """Yield the steps that explain the signals: of all layers, or of one of them."""
    if not facts.failing or not facts.network:
        return
    names = [layer.name for layer in facts.network]
    if len(set(names)) < len(names):
        # What a step does to the passes through one layer depends on when it is taken.
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
        match = alone or in_loop
        if match is None or not _tells_more(facts, truths, index, match):
            continue
        name: str | None = facts.network[index].name
        told = f"the signal leaves {name} through W - {step:.6g} dW in place of W"
        if in_loop is not None and len(in_loop.repaired) > len(match.repaired):
            # In one loop over all layers: then it is none of theirs.
            match, name, told = in_loop, None, f"{told}, and so on below"
        details = {"step": step}
        yield explanation(UPDATED_WEIGHTS, match, told, name, details=details, fitted=True)
        return


def _tells_more(facts: Facts, truths: Mapping[str, Floats], index: int, match: Match) -> bool:
    """Return whether the gradients say more than one fitted number can make up.

    A wrong signal leaves nothing right in the layer that it goes to. Where all there is a multiple
    of the truth, a factor explains as much.
    """
    lower = _lower(facts, index)
    if lower is None or not set(lower.names.values()) <= set(match.repaired):
        return False
    return any(
        not _is_multiple(facts.analytic[name], truths[name]) for name in lower.names.values()
    )


def _is_multiple(claimed: Floats, truth: Floats) -> bool:
    size = norm(truth)
    factor = float(np.sum(claimed * truth)) / size**2 if size else 0.0
    return norm(claimed - factor * truth) <= SAME_FACTOR * norm(claimed)


def _lower(facts: Facts, index: int) -> LayerFacts | None:
    """Return the next layer down that has parameters."""
    return next((one for one in reversed(facts.network[:index]) if one.names), None)


def _step(facts: Facts, truths: Mapping[str, Floats], index: int) -> float | None:
    """Return the step that explains best what is wrong in the next layer that has parameters.

    The gradients there are linear in it. None where it would go uphill.
    """
    layer = facts.network[index]
    lower = _lower(facts, index)
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
    return step if step > 0.0 else None


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
