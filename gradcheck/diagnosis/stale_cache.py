"""A weight's gradient formed with something else than the inputs of the forward pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from gradcheck.diagnosis.causes import STALE_CACHE
from gradcheck.diagnosis.facts import Explanation, Facts
from gradcheck.diagnosis.layer_facts import LayerFacts
from gradcheck.diagnosis.linear_parts import Dense
from gradcheck.diagnosis.matching import Match, explanation, matched, true_gradients
from gradcheck.directions import Floats, norm

# The rows of a gradient lie in the space of the deltas where no more of them sticks out.
INSIDE = 1e-9
# Two rows are multiples of each other where they are to this.
PARALLEL = 1e-6


def stale_cache(facts: Facts) -> Iterator[Explanation]:
    """Yield the layers whose weight's gradient is right but for the inputs it is formed with."""
    if not facts.failing or not facts.network:
        return
    truths = true_gradients(facts)
    for index in reversed(range(len(facts.network))):
        layer = facts.network[index]
        dense = layer.dense
        if dense is None or layer.names[dense.weight_name] not in facts.failing:
            continue
        found = list(_known_arrays(facts, truths, index, dense))
        yield from found or _unknown_array(facts, truths, layer, dense)


def _known_arrays(
    facts: Facts, truths: Mapping[str, Floats], index: int, dense: Dense
) -> Iterator[Explanation]:
    layer = facts.network[index]
    name = layer.names[dense.weight_name]
    candidates = list(_candidates(facts, index, dense))
    for phrase, inputs in candidates:
        predicted = dense.weight_gradient(inputs, layer.delta)
        match = matched(facts, truths, {name: predicted})
        if match is not None:
            told = f"{layer.name} takes {phrase} for its inputs"
            yield explanation(STALE_CACHE, match, told, layer.name, tries=len(candidates))


def _candidates(facts: Facts, index: int, dense: Dense) -> Iterator[tuple[str, Floats]]:
    """Yield what a cache may hold in place of the inputs."""
    layer = facts.network[index]
    for other in [one for one in facts.network if not one.is_given]:
        z = other.preactivations
        if z.shape == dense.inputs.shape and not np.array_equal(z, dense.inputs):
            is_own = other.name == layer.name
            yield "its pre-activations" if is_own else f"the pre-activations of {other.name}", z
    if layer.outputs.shape == dense.inputs.shape:
        yield "its own outputs", layer.outputs
    for shift in range(1, layer.samples):
        moved = np.roll(dense.inputs, shift, axis=dense.sample_axis)
        before = "the sample before" if shift == 1 else f"{shift} samples before"
        yield f"the inputs of {before}", moved
    yield "the inputs in reverse", np.flip(dense.inputs, axis=dense.sample_axis)


def _unknown_array(
    facts: Facts, truths: Mapping[str, Floats], layer: LayerFacts, dense: Dense
) -> Iterator[Explanation]:
    """Yield that the gradient is x'^T delta for the true delta and some other x'.

    Its rows then are combinations of the deltas, which are fewer than there are units. So are
    multiples of the true rows, true rows in another order, sums over some of the samples, and what
    the inputs of other layers make: these have names of their own.
    """
    name = layer.names[dense.weight_name]
    delta = dense.rows(layer.delta)
    claimed = dense.as_held(facts.analytic[name])
    truth = dense.as_held(truths[name])
    fitted, _, rank, _ = np.linalg.lstsq(delta.T, claimed.T, rcond=None)
    inputs = np.asarray(fitted, np.float64)
    if rank < len(delta) or rank >= _dimensions(delta):
        return
    residual = norm(inputs.T @ delta - claimed) / norm(claimed) if norm(claimed) else np.inf
    true_inputs = dense.rows(dense.inputs)
    if residual > INSIDE or _are_multiples(inputs, true_inputs) or _are_multiples(claimed, truth):
        return
    others = [other.inputs for other in facts.network if other.inputs.shape == dense.inputs.shape]
    if _has_rows_of(claimed, truth) or any(_are_same(inputs, dense.rows(x)) for x in others):
        return
    match = Match({name: truths[name]}, residual)
    told = (
        f"the rows of {name} are combinations of the {len(delta)} deltas of {layer.name}, in "
        f"{delta.shape[1]} dimensions, but not those that its inputs make"
    )
    yield explanation(STALE_CACHE, match, told, layer.name)


def _dimensions(delta: Floats) -> int:
    """Return in how many dimensions deltas of this kind lie.

    Units that never have one do not count; those of a softmax with cross-entropy sum to 0.
    """
    units = int(np.count_nonzero(np.any(delta != 0.0, axis=0)))
    sums_to_zero = norm(delta.sum(axis=1)) <= INSIDE * norm(delta)
    return units - sums_to_zero


def _are_same(one: Floats, other: Floats) -> bool:
    return norm(one - other) <= PARALLEL * norm(other)


def _are_multiples(rows: Floats, others: Floats) -> bool:
    """Return whether every row is a number times its counterpart."""
    products = np.sum(rows * others, axis=1, keepdims=True)
    squares = np.sum(others**2, axis=1, keepdims=True)
    fitted = others * products / np.where(squares > 0, squares, 1.0)
    return norm(rows - fitted) <= PARALLEL * norm(rows)


def _has_rows_of(rows: Floats, others: Floats) -> bool:
    """Return whether any row is one of the others, at another place."""
    distances = np.linalg.norm(rows[:, np.newaxis] - others[np.newaxis], axis=2)
    np.fill_diagonal(distances, np.inf)
    return bool(np.any(distances <= PARALLEL * np.linalg.norm(rows, axis=1)[:, np.newaxis]))
