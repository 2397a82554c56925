"""The gradient of the loss at the outputs of a network, without trust in the code under test."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from gradcheck.diagnosis.slopes import Differentiator, entry_lines
from gradcheck.directions import Floats, norm

# Calls of the loss at the outputs that may be spent on its derivative by all of them.
MOST_CALLS = 4_000
# A gradient of the loss is believed where its slopes are right to this.
CONFIRMED = 1e-9


def loss_gradient(
    function: Callable[[Any], Any],
    own: Callable[[Any], Any],
    at: Floats,
    generator: np.random.Generator,
) -> Floats | None:
    """Return the gradient of a scalar function, None where that takes too long.

    That is its own gradient, if that has the right slope along random directions, else what is
    measured entry by entry.
    """
    scale = norm(at) / float(np.sqrt(max(at.size, 1))) or 1.0
    directions = [generator.standard_normal(at.shape) * scale for _ in range(2)]
    lines = [partial(_along, function, at, direction) for direction in directions]
    differentiator = Differentiator(lines[0])
    claimed = _returned(own, at)
    if claimed is not None and all(
        abs(float(differentiator.slope(line)) - float(np.sum(claimed * direction)))
        <= CONFIRMED * norm(claimed * direction)
        for line, direction in zip(lines, directions, strict=True)
    ):
        return claimed
    if at.size * differentiator.calls > MOST_CALLS:
        return None
    slopes = [differentiator.slope(line) for line in entry_lines(at, function)]
    return np.array(slopes, np.float64).reshape(at.shape)


def _along(function: Callable[[Any], Any], at: Floats, direction: Floats, t: Any) -> Any:
    return function(at + t * direction)


def _returned(own: Callable[[Any], Any], at: Floats) -> Floats | None:
    """Return a gradient, None where there is none of the shape of what it is taken by."""
    try:
        claimed = np.array(own(at.copy()), np.float64)
    except Exception:
        return None
    return claimed if claimed.shape == at.shape else None
