"""How exact can a gradient be meant: the rounding of its own computation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.directions import Floats, random_direction
from gradcheck.execution import Evaluator
from gradcheck.gradient_calls import effect_elsewhere
from gradcheck.preflight import Preflight
from gradcheck.probes import MEASURED_ROUND_OFF_UNITS, ROUND_OFF_UNITS

# Part of the largest effect an entry has beyond which a change is a jump, not rounding.
JUMP = 1e-3
ROUNDING_DIRECTIONS = (2_000_000, 2_000_001)
ROUNDING_STEP = 2.0


@dataclass(frozen=True)
class Rounding:
    """How exact a gradient can be meant: what was measured per entry, and units of the rest."""

    moves: Floats
    units: float = ROUND_OFF_UNITS


def known_rounding(
    evaluator: Evaluator, flight: Preflight, scales: Mapping[str, Floats], seed: int
) -> dict[str, Rounding]:
    """Return how exact the gradient of each parameter can be meant."""
    if flight.jitter:  # a random gradient says nothing about rounding
        return {name: Rounding(np.zeros(array.shape)) for name, array in flight.analytic.items()}
    units = {name: unit_of(dtype) for name, dtype in flight.dtypes.items()}
    moved = {
        unit: _measured(evaluator, flight.analytic, unit, seed) for unit in set(units.values())
    }
    effect = max(float(np.max(np.abs(g) * scales[name])) for name, g in flight.analytic.items())
    if any(
        np.any(moves * scales[n] > JUMP * effect) for m in moved.values() for n, moves in m.items()
    ):
        # At an optimum the gradient is all rounding: what it is a little way off counts there.
        effect = max(effect, effect_elsewhere(evaluator, scales))
    most = JUMP * effect
    # Terms that cancel exactly here may still be as large as the loss.
    least = float(np.finfo(np.float64).eps) * abs(flight.values[0])
    rounding = {}
    for name, scale in scales.items():
        if name in units:
            moves = moved[units[name]][name]
            # What jumps by more has left a kink, or a narrow minimum: no matter of rounding.
            is_rounding = (moves * scale <= most) | (most == 0.0)
            moves = np.where(is_rounding, moves, 0.0)
            known = MEASURED_ROUND_OFF_UNITS if moves.any() else ROUND_OFF_UNITS
            unseen = np.divide(least, scale, out=np.zeros_like(scale), where=scale > 0.0)
            rounding[name] = Rounding(moves + unseen, known)
    return rounding


def unit_of(dtype: np.dtype[Any]) -> float:
    """Return the round-off of a gradient of this type."""
    return float(np.finfo(dtype if dtype.kind == "f" else np.float64).eps)


def _measured(
    evaluator: Evaluator,
    analytic: Mapping[str, Floats],
    unit: float,
    seed: int,
) -> dict[str, Floats]:
    """Return per entry how far the analytic gradient moves when the parameters move by rounding.

    No gradient is more exact than that. A bias in front of a softmax or a batch normalisation has
    a gradient of zero, computed as a sum of terms that cancel: its rounding is that of the terms.

    Parameters
    ----------
    analytic: the gradient by parameter name
    unit: round-off of the precision the gradient is computed in
    seed: of the directions
    """
    moves = {name: np.zeros(array.shape) for name, array in analytic.items()}
    for number in ROUNDING_DIRECTIONS:
        originals = {name: evaluator.original[name] for name in analytic}
        changes = {
            name: array + ROUNDING_STEP * unit * random_direction(np.abs(array), seed, name, number)
            for name, array in originals.items()
        }
        changes = evaluator.bounds.turned_back(originals, changes)
        nearby = evaluator.gradient_at(changes, tuple(analytic))
        for name, array in nearby.items():
            if array.shape == moves[name].shape and np.all(np.isfinite(array)):
                moves[name] = np.maximum(moves[name], np.abs(array - analytic[name]))
    return {name: np.maximum(move, np.median(move)) for name, move in moves.items() if move.size}
