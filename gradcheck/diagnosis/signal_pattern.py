"""GC401 without exposed layers: all before a point is wrong, and all after it is right."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from gradcheck.diagnosis.causes import WRONG_UPSTREAM
from gradcheck.diagnosis.constants import BATCH
from gradcheck.diagnosis.facts import Facts
from gradcheck.directions import Floats, norm
from gradcheck.report import Finding

# Relative size of a singular value that counts as zero.
RANK_TOLERANCE = 1e-6
# Part of the entries of a wrong unit that has to be wrong: its inputs may be zero.
FILLED = 0.5


def signal_pattern(facts: Facts, unexplained: Collection[str]) -> Finding | None:
    """Return a finding on the signal between two layers, if that is what the pattern says.

    In a chain of layers the signal comes from the last one. Where it is wrong from some layer on,
    all parameters of that layer and of those before it are wrong, and none after it.

    Parameters
    ----------
    unexplained: names of failing parameters that no cause of their own explains as a whole
    """
    chain = _chain(facts)
    if chain is None:
        return None
    layers = list(chain.layers.values())
    wrong = [all(name in facts.failing for name in names) for names in layers]
    right = [all(name in facts.passing for name in names) for names in layers]
    depth = sum(wrong)
    # Where nothing is right, there is no point that the signal was right at.
    if not 0 < depth < len(layers) or not all(wrong[:depth]) or not all(right[depth:]):
        return None
    involved = [name for names in layers[:depth] for name in names]
    open_ones = tuple(name for name in involved if name in unexplained)
    if not set(layers[depth - 1]) <= set(open_ones) or not set(unexplained) <= set(open_ones):
        return None
    if not _share_a_signal(facts, layers[depth - 1], chain):
        return None
    if not all(_is_of_one_signal(facts, names, chain) for names in layers[:depth]):
        return None
    return _finding(list(chain.layers), depth, open_ones)


def right_signal(facts: Facts, names: Sequence[str]) -> str:
    """Return why the signal at these parameters of one layer is right; "" if that is not known."""
    chain = _chain(facts)
    layers = [
        layer for layer, held in (chain.layers if chain else {}).items() if set(held) & set(names)
    ]
    if chain is None or len(layers) != 1:
        return ""
    (layer,) = layers
    others = [name for name in chain.layers[layer] if name not in names]
    order = list(chain.layers)
    below = order[order.index(layer) - 1] if order.index(layer) else ""
    for right, witnesses in ((", ".join(others), others), (below, chain.layers.get(below, []))):
        if witnesses and all(name in facts.passing for name in witnesses):
            lines = "line that forms" if len(names) == 1 else "lines that form"
            verb = "are" if len(witnesses) > 1 and right != below else "is"
            told = f"{right} {verb} right, so the signal is: look at the {lines}"
            return f"{told} {', '.join(names)}"
    return ""


def _finding(layers: Sequence[str], depth: int, names: tuple[str, ...]) -> Finding:
    lower, before = _titled(layers[depth - 1]), " and before" if depth > 1 else ""
    upper = _titled(layers[depth])
    finding = WRONG_UPSTREAM.finding(
        f"the signal between {upper} and {lower} is wrong: all from {upper} on is right, all in "
        f"{lower}{before} is wrong",
        names,
        {"below": layers[depth - 1], "above": layers[depth]},
    )
    suggestion = (
        f"look at the line that hands the gradient from {upper} down to {lower}, and at the "
        f"derivative of {lower}'s activation; the lines that form {names[-1]} may be right"
    )
    return replace(finding, suggestion=suggestion)


def _titled(layer: str) -> str:
    if ", " in layer:  # a pair without a name of its own
        return f"the layer of {layer}"
    return f"layer {layer}" if layer.isdecimal() else layer


@dataclass(frozen=True)
class _Chain:
    """Layers in order, by name, and the axes of their matrices that the units may be on."""

    layers: dict[str, list[str]]
    unit_axes: tuple[int, ...]


def _chain(facts: Facts) -> _Chain | None:
    """Return the layers in order, None unless each has a matrix that fits that of the next.

    And a bias with an entry per unit: matrices alone fit each other in attention and recurrence
    too, where they are no chain.
    """
    layers: dict[str, list[str]] = {}
    for name in facts.analytic:
        layers.setdefault(facts.layer_of[name], []).append(name)
    if all(len(names) == 1 for names in layers.values()):
        layers = _pairs(facts)
    held = [_matrix_and_biases([facts.analytic[n].shape for n in ns]) for ns in layers.values()]
    known = [one for one in held if one is not None]
    if len(layers) < 2 or len(known) < len(layers):
        return None
    axes = []
    for units, inputs in ((1, 0), (0, 1)):
        fits = all(low[0][units] == up[0][inputs] for low, up in pairwise(known))
        if fits and all(biases == {matrix[units]} for matrix, biases in known):
            axes.append(units)
    return _Chain(layers, tuple(axes)) if axes else None


def _pairs(facts: Facts) -> dict[str, list[str]]:
    """Return matrices with the bias that follows each, where names tell of no layers.

    In a list, [W1, b1, W2, b2], or where no matrix is square: square ones fit each other in
    attention too. {} where there is anything else.
    """
    names = list(facts.analytic)
    matrices, biases = names[::2], names[1::2]
    if len(matrices) != len(biases):
        return {}
    shapes = [facts.analytic[name].shape for name in matrices]
    is_list = all(name.isdecimal() for name in names)
    if not all(len(shape) == 2 and (is_list or shape[0] != shape[1]) for shape in shapes):
        return {}
    return {f"{w}, {b}": [w, b] for w, b in zip(matrices, biases, strict=True)}


def _matrix_and_biases(
    shapes: Sequence[tuple[int, ...]],
) -> tuple[tuple[int, ...], set[int]] | None:
    """Return the shape of a layer's matrix and the sizes of its biases, None without either."""
    matrices = [shape for shape in shapes if len(shape) == 2]
    if len(matrices) > 1:  # a bias may be a matrix of one row or one column
        wide = [shape for shape in matrices if min(shape) > 1]
        matrices = wide or [max(matrices, key=math.prod)]
    if len(matrices) != 1:
        return None
    biases = {math.prod(shape) for shape in shapes if shape is not matrices[0]}
    return (matrices[0], biases) if biases else None


def _share_a_signal(facts: Facts, names: Sequence[str], chain: _Chain) -> bool:
    """Return whether the claimed gradients of a layer can come from its inputs and some signal.

    dL/dW = x.T @ delta for whatever delta, so that its columns are combinations of the samples.
    Where those are fewer than the inputs, that can be seen. A unit whose signal is right is right
    in all parameters of the layer.
    """
    return any(_share_units(facts, names, axis) for axis in chain.unit_axes)


def _share_units(facts: Facts, names: Sequence[str], unit_axis: int) -> bool:
    units = []
    for name in names:
        sample, claimed = facts.known[name], facts.analytic[name]
        if not sample.is_complete:
            continue
        wrong = ~sample.agrees(claimed).reshape(claimed.shape)
        if claimed.ndim == 2 and min(claimed.shape) > 1:
            true = sample.values.reshape(claimed.shape)
            of_units = (true, claimed) if unit_axis == 1 else (true.T, claimed.T)
            if not _spans(*of_units, _batch(facts)):
                return False
            wrong = wrong if unit_axis == 0 else wrong.T
            wrong_units = wrong[wrong.any(axis=1)]
            if np.count_nonzero(wrong_units) < FILLED * wrong_units.size:
                return False
            units.append(wrong.any(axis=1))
        elif claimed.size > 1:
            units.append(wrong.reshape(-1))
    return all(np.array_equal(one, units[0]) for one in units)


def _is_of_one_signal(facts: Facts, names: Sequence[str], chain: _Chain) -> bool:
    """Return whether the claimed gradients of a layer have the form that any signal gives them.

    For one sample dL/dW is its inputs times its delta, and dL/db that delta. Where the gradient
    cannot be had for one sample, nothing speaks against it.
    """
    alone = facts.per_sample()
    if alone is None:
        return True
    matrix = next(n for n in names if alone[n].ndim == 3 and min(alone[n].shape[1:]) >= 1)
    biases = [name for name in names if name != matrix]
    return any(
        _is_outer(weight if axis == 1 else weight.T, bias)
        for axis in chain.unit_axes
        for weight, bias in [(alone[matrix][0], alone[biases[0]][0].reshape(-1))]
    )


def _is_outer(weight: Floats, delta: Floats) -> bool:
    size = norm(delta)
    if size == 0.0 or weight.shape[1] != delta.size:
        return True
    inputs = weight @ (delta / size)
    return norm(weight - np.outer(inputs, delta / size)) <= RANK_TOLERANCE * norm(weight)


def _batch(facts: Facts) -> int | None:
    """Return how many samples there are, as far as that is known."""
    if BATCH in facts.sizes:
        return int(facts.sizes[BATCH])
    lengths = {len(data) for data in facts.args if isinstance(data, np.ndarray) and data.ndim}
    return lengths.pop() if len(lengths) == 1 else None


def _spans(true: Floats, claimed: Floats, batch: int | None) -> bool:
    """Return whether the columns of one matrix span those of the other, as far as can be told.

    They have to where the samples limit the rank, not where the units do: the deltas of a softmax
    sum to zero.
    """
    basis, sizes, _ = np.linalg.svd(true, full_matrices=False)
    kept = basis[:, sizes > RANK_TOLERANCE * sizes[0]]
    if kept.shape[1] != batch:
        return True
    rest = claimed - kept @ (kept.T @ claimed)
    return norm(rest) <= RANK_TOLERANCE * norm(claimed)
