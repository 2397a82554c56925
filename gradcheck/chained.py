"""What the backwards of a network's layers make, one after the other: whether a gradient is that.

A network that shows its layers need not use them for the gradient that is checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gradcheck.diagnosis.asking import AskedLayer, AskedLoss, Asker, quiet
from gradcheck.diagnosis.facts import Facts
from gradcheck.directions import Floats, norm
from gradcheck.execution import Evaluator
from gradcheck.layer_parts import backward, forward, known_loss, own_parameters

# A gradient is the one that the layers make where it is to this, and where it is held in less than
# double precision, to that.
SAME = 1e-6
SAME_SINGLE = 1e-4


@dataclass(frozen=True)
class Chained:
    """The gradients that the backwards of the layers make of an upstream of the last one.

    Attributes
    ----------
    gradients: by full name
    tolerances: what they are the same to as a claimed one, relative to it
    by_own_loss: whether the upstream is what the network's loss says
    """

    gradients: Mapping[str, Floats] = field(default_factory=dict)
    tolerances: Mapping[str, float] = field(default_factory=dict)
    by_own_loss: bool = False

    def has(self, name: str, claimed: Floats) -> bool:
        """Return whether a claimed gradient is the one that the layers make."""
        made = self.gradients.get(name)
        if made is None or made.shape != claimed.shape:
            return False
        return norm(made - claimed) <= self.tolerances[name] * norm(claimed)


def chained_gradients(evaluator: Evaluator, facts: Facts, asker: Asker) -> Chained:
    """Return what the layers make of the loss's own gradient, or of the true upstream.

    Whichever has more of the failing gradients. Nothing where the layers cannot be called like
    this.
    """
    upstreams: list[tuple[bool, Floats | None]] = [(True, None)]
    if facts.network:
        upstreams.append((False, facts.network[-1].upstream))
    found = [Chained()]
    for by_own_loss, upstream in upstreams:
        try:
            with quiet():
                gradients = _gradients(evaluator, upstream, asker)
        except Exception:
            # What the layers make of being called like this is no fault of the gradient.
            continue
        tolerances = {name: _tolerance(evaluator, name) for name in gradients}
        found.append(Chained(gradients, tolerances, by_own_loss))
    return max(found, key=lambda one: sum(one.has(n, facts.analytic[n]) for n in facts.failing))


def _tolerance(evaluator: Evaluator, name: str) -> float:
    held = evaluator.dtype_of(name)
    return SAME if held.itemsize >= np.dtype(np.float64).itemsize else SAME_SINGLE


def _gradients(evaluator: Evaluator, upstream: Floats | None, asker: Asker) -> dict[str, Floats]:
    """Return the gradients by full name; {} where nothing tells the upstream."""
    problem = evaluator.problem
    loss = known_loss(problem.network)
    if (upstream is None and loss is None) or len(problem.args) < 2:
        return {}
    inputs, targets = problem.args[:2]
    passed: list[tuple[AskedLayer, Sequence[str], Any]] = []
    signal = np.array(inputs)
    for one, held in own_parameters(problem.network, None):
        layer = AskedLayer(one, asker)
        own = {key: evaluator.original[f"{layer.name}.{key}"].copy() for key in held}
        outputs, cache = forward(layer, own, signal.copy())
        passed.append((layer, list(own), cache))
        signal = outputs.copy()
    handed = AskedLoss(loss, asker).gradient(signal, targets) if upstream is None else upstream
    found: dict[str, Floats] = {}
    for layer, keys, cache in reversed(passed):
        handed, gradients = backward(layer, cache, np.array(handed))
        for key in keys:
            name, array = f"{layer.name}.{key}", np.array(gradients[key], np.float64)
            found[name] = found[name] + array if name in found else array
    return found
