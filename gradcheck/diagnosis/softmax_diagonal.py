"""A softmax taken for a function of each entry alone: only the diagonal of its Jacobian is used."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcheck.diagnosis.causes import SOFTMAX_DIAGONAL
from gradcheck.diagnosis.deltas import WrongDelta, wrong_deltas
from gradcheck.diagnosis.facts import Explanation, Facts, Sample
from gradcheck.diagnosis.layer_facts import LayerFacts
from gradcheck.directions import Floats, norm

# Outputs s are those of a softmax where they vary by s (1 - s) with their own logits, up to this.
IS_SOFTMAX = 1e-6
# Logits alone show no more than that a softmax of them is in the loss.
OF_LOGITS = (
    "use the whole Jacobian: s * (upstream - sum(upstream * s)) for outputs s, "
    "upstream - s * sum(upstream) for outputs log(s)"
)
# Of two logits the loss knows but the difference: any half of its gradient looks like a diagonal.
FEWEST_LOGITS = 3
# How well a repaired gradient of logits has to meet the samples, beyond their error bars.
MET = 1e-6


def softmax_diagonal(facts: Facts) -> Iterator[Explanation]:
    """Yield the layers that are a softmax and whose delta does not show it.

    And the parameters that are the logits of a softmax themselves.
    """
    yield from wrong_deltas(facts, _candidates)
    explained = {name for layer in facts.network for name in layer.names.values()}
    for name in facts.failing:
        if name not in explained:
            yield from _of_logits(facts, name)


def _candidates(layer: LayerFacts) -> list[WrongDelta]:
    s, diagonal = layer.outputs, layer.activation.diagonal
    if layer.activation.jacobian is None:
        return []
    if not norm(diagonal - s * (1 - s)) <= IS_SOFTMAX * norm(s):
        return []
    delta = layer.upstream * diagonal
    phrase = "upstream * s (1 - s), the diagonal of the Jacobian alone, for its delta"
    return [WrongDelta(SOFTMAX_DIAGONAL, phrase, delta)]


def _of_logits(facts: Facts, name: str) -> Iterator[Explanation]:
    """Yield the axes along which a parameter holds logits.

    With s the softmax and u the gradient at s, the code returned s (1 - s) u. So u is known, and
    with it the true gradient s (u - sum(s u)).
    """
    logits, claimed = facts.parameters[name], facts.analytic[name]
    if not np.ptp(logits):
        return  # of equal logits, a softmax is like a subtraction of the mean
    axes = [axis for axis in range(logits.ndim) if logits.shape[axis] >= FEWEST_LOGITS]
    for axis in axes:
        with np.errstate(all="ignore"):
            shares = np.exp(logits - logits.max(axis=axis, keepdims=True))
            shares /= shares.sum(axis=axis, keepdims=True)
            weighted = claimed / (1 - shares)  # s u
            repaired = weighted - shares * weighted.sum(axis=axis, keepdims=True)
        if np.all(np.isfinite(repaired)) and _meets(repaired, claimed, facts.samples[name]):
            yield Explanation(
                SOFTMAX_DIAGONAL,
                {name: repaired},
                f"{name} is s (1 - s) u along axis {axis} for the u that makes "
                f"s (u - sum(s u)) the true gradient; that sums to 0, {name} to "
                f"{float(np.abs(claimed.sum(axis=axis)).max()):.3g}",
                suggestion=OF_LOGITS,
                details={"axis": axis},
                tries=len(axes),
            )


def _meets(repaired: Floats, claimed: Floats, sample: Sample) -> bool:
    missing = np.abs(sample.of(repaired) - sample.values)
    wrong = norm(sample.of(claimed) - sample.values)
    return norm(missing) <= MET * norm(sample.values) + norm(sample.error_bars) < wrong
