"""GC401 without exposed layers: all before a point is wrong, and all after it is right."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np

from gradcheck.diagnosis.causes import WRONG_UPSTREAM
from gradcheck.diagnosis.facts import Facts
from gradcheck.directions import Floats
from gradcheck.report import Finding

# Relative size of a singular value that counts as zero.
RANK_TOLERANCE = 1e-6
# A single wrong gradient is more likely to be wrong by itself.
FEWEST_WRONG = 2


def wrong_signal(facts: Facts, unexplained: Collection[str]) -> Finding | None:
    """Return a finding on the signal between two layers, if that is what the pattern says.

    In a chain of layers the signal comes from the last one. Where it is wrong from some layer on,
    all parameters of that layer and of those before it are wrong, and none after it.
    """
    layers = _chain(facts)
    wrong = [all(name in facts.failing for name in names) for names in layers.values()]
    right = [all(name in facts.passing for name in names) for names in layers.values()]
    depth = sum(wrong)
    if not layers or wrong != [True] * depth + [False] * (len(wrong) - depth):
        return None
    if not all(right[depth:]) or depth == 0:
        return None
    names = list(layers)
    top = layers[names[depth - 1]]
    involved = [name for layer in names[:depth] for name in layers[layer]]
    open_ones = [name for name in involved if name in unexplained]
    if not set(top) <= set(unexplained) or len(open_ones) < FEWEST_WRONG:
        return None
    if not set(unexplained) <= set(involved) or not _may_share_a_signal(facts, top):
        return None
    return _finding(names, depth, tuple(open_ones))


def _finding(layers: Sequence[str], depth: int, names: tuple[str, ...]) -> Finding:
    lower = _titled(layers[depth - 1])
    if depth < len(layers):
        upper = _titled(layers[depth])
        signal = f"the signal from {upper} to {lower}"
        why = f"everything in {_titled(layers[-1])}" if depth == len(layers) - 1 else "all"
        right = f"{why} from {upper} on is right" if why == "all" else f"{why} is right"
        suggestion = (
            f"look at the line that hands the gradient from {upper} down to {lower}, and at the "
            f"derivative of {lower}'s activation; the lines that form {names[0]} may be right"
        )
    else:
        signal, right = f"the signal from the loss to {lower}", "nothing is right"
        suggestion = (
            f"look at the gradient of the loss at the outputs, and at the derivative of {lower}'s "
            "activation"
        )
    finding = WRONG_UPSTREAM.finding(
        f"{signal} is wrong: {right}, and everything in {lower}"
        f"{' and before' if depth > 1 else ''} is wrong, by no common factor",
        names,
        {"below": layers[depth - 1], "above": layers[depth] if depth < len(layers) else "loss"},
    )

    return replace(finding, suggestion=suggestion)


def _titled(layer: str) -> str:
    return f"layer {layer}" if layer.isdecimal() else layer


def _chain(facts: Facts) -> dict[str, list[str]]:
    """Return the layers in order, {} unless each has a matrix that fits that of the next."""
    layers: dict[str, list[str]] = {}
    for name in facts.analytic:
        layers.setdefault(facts.layer_of[name], []).append(name)
    matrices = []
    for names in layers.values():
        held = [facts.analytic[name].shape for name in names if facts.analytic[name].ndim == 2]
        # A bias may be a matrix of one row or one column.
        held = [shape for shape in held if len(held) == 1 or min(shape) > 1]
        if len(held) != 1:
            return {}
        matrices.append(held[0])
    in_rows = all(lower[1] == upper[0] for lower, upper in pairwise(matrices))
    in_columns = all(lower[0] == upper[1] for lower, upper in pairwise(matrices))
    return layers if len(layers) > 1 and (in_rows or in_columns) else {}


def _may_share_a_signal(facts: Facts, names: Sequence[str]) -> bool:
    """Return whether the claimed gradients of a layer can come from its inputs and some signal.

    dL/dW = x.T @ delta for whatever delta, so that its columns are combinations of the samples.
    Where those are fewer than the inputs, that can be seen.
    """
    for name in names:
        sample, claimed = facts.known[name], facts.analytic[name]
        if claimed.ndim != 2 or not sample.is_complete or min(claimed.shape) < 2:
            continue
        true = sample.values.reshape(claimed.shape)
        if not (_spans(true, claimed) or _spans(true.T, claimed.T)):
            return False
    return True


def _spans(true: Floats, claimed: Floats) -> bool:
    """Return whether the columns of one matrix span those of the other."""
    basis, sizes, _ = np.linalg.svd(true, full_matrices=False)
    kept = basis[:, sizes > RANK_TOLERANCE * sizes[0]]
    if kept.shape[1] == min(true.shape):
        return True  # it may be the units, not the samples, that limit the rank
    rest = claimed - kept @ (kept.T @ claimed)
    return bool(np.linalg.norm(rest) <= RANK_TOLERANCE * np.linalg.norm(claimed))
