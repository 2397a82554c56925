"""How exact can a gradient be meant: the rounding of its own computation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.directions import Floats, at_random, root_mean_square
from gradcheck.execution import Evaluator
from gradcheck.gradient_calls import effect_elsewhere
from gradcheck.leaves import DOUBLE, Array
from gradcheck.pieces import PIECE, compact_dtype, in_pieces, is_compact, is_finite, zeros
from gradcheck.preflight import Preflight
from gradcheck.probes import MEASURED_ROUND_OFF_UNITS, ROUND_OFF_UNITS
from gradcheck.seeding import random_generator

# Part of the largest effect an entry has beyond which a change is a jump, not rounding.
JUMP = 1e-3
ROUNDING_DIRECTIONS = (2_000_000, 2_000_001)
ROUNDING_STEP = 2.0
# Entries from which the median of all is guessed.
SAMPLE = 1024


@dataclass(frozen=True, eq=False)
class Rounding:
    """How exact a gradient can be meant: what was measured per entry, and units of the rest."""

    moves: Floats
    units: float = ROUND_OFF_UNITS


def moves_by_rounding(evaluator: Evaluator, flight: Preflight, seed: int) -> dict[str, Floats]:
    """Return how far the gradient moves, per entry, when the parameters move by their rounding.

    Nothing of a random gradient, whose moves say nothing about rounding.
    """
    units = {} if flight.jitter else {n: unit_of(dtype) for n, dtype in flight.dtypes.items()}
    moves: dict[str, Floats] = {}
    for unit in set(units.values()):
        found = _measured(evaluator, flight.analytic, unit, seed)
        moves |= {name: move for name, move in found.items() if units[name] == unit}
    return moves


def known_rounding(
    evaluator: Evaluator,
    flight: Preflight,
    scales: Mapping[str, Floats],
    moves: Mapping[str, Floats],
) -> dict[str, Rounding]:
    """Return how exact the gradient of each parameter can be meant.

    Parameters
    ----------
    moves: see `moves_by_rounding`; written over
    """
    if not moves:
        none = {name: zeros(array.shape) for name, array in flight.analytic.items()}
        return {name: Rounding(zeros) for name, zeros in none.items()}
    effect = max(_largest(g, scales[name]) for name, g in flight.analytic.items())
    if max(_largest(move, scales[name]) for name, move in moves.items()) > JUMP * effect:
        # At an optimum the gradient is all rounding: what it is a little way off counts there.
        effect = max(effect, effect_elsewhere(evaluator, scales))
    most = JUMP * effect
    # Terms that cancel exactly here may still be as large as the loss.
    least = float(np.finfo(np.float64).eps) * abs(flight.values[0])
    return {
        name: _rounding(moves[name], scale, most, least)
        for name, scale in scales.items()
        if name in moves
    }


def _largest(values: Floats, scale: Floats) -> float:
    """Return the largest absolute product of two arrays."""
    return max(
        float(np.abs(np.multiply(one, other, dtype=DOUBLE)).max())
        for one, other in in_pieces(values, scale)
    )


def _rounding(moves: Floats, scale: Floats, most: float, least: float) -> Rounding:
    """Return what the moves of a gradient say of its rounding, written over them.

    Parameters
    ----------
    most: effect above which a move is no rounding; 0 where there is none
    least: effect that may go unseen
    """
    known, most_there_is = ROUND_OFF_UNITS, float(np.finfo(moves.dtype).max)
    for rounding, distance in in_pieces(moves, scale):
        if most != 0.0:
            # What jumps by more has left a kink, or a narrow minimum: no matter of rounding.
            rounding[np.multiply(rounding, distance, dtype=DOUBLE) > most] = 0.0
        if np.count_nonzero(rounding):
            known = MEASURED_ROUND_OFF_UNITS
        unseen = np.zeros(distance.shape)
        np.divide(least, distance, out=unseen, where=distance > 0.0, dtype=DOUBLE)
        np.minimum(rounding + unseen, most_there_is, out=rounding, casting="same_kind")
    return Rounding(moves, known)


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
    moves: dict[str, Floats] = {
        name: np.zeros(array.shape, _dtype_of_moves(array, unit))
        for name, array in analytic.items()
    }

    def look(nearby: Mapping[str, Array]) -> None:
        for name, array in nearby.items():
            if array.shape == moves[name].shape and is_finite(array):
                for most, there, here in in_pieces(moves[name], array, analytic[name]):
                    np.maximum(most, np.abs(there - here), out=most, casting="same_kind")

    for number in ROUNDING_DIRECTIONS:

        def move(name: str, moved: Array, number: int = number) -> None:
            generator = random_generator(seed, name, number)
            _move(moved, evaluator.original[name], ROUNDING_STEP * unit, generator)
            if name in evaluator.bounds.lower:
                there = {name: moved.copy()}
                moved[...] = evaluator.bounds.turned_back(evaluator.original, there)[name]

        evaluator.seen_moved(move, tuple(analytic), look)
    for name, seen in moves.items():
        np.maximum(seen, _typical(seen), out=seen)
        moves[name] = seen.astype(compact_dtype(seen), copy=False)
    return moves


def _dtype_of_moves(array: Floats, unit: float) -> np.dtype[Any]:
    """Return float32 for the moves of a large gradient, where that has room for them."""
    return np.dtype(np.float32) if is_compact(array, unit * root_mean_square(array)) else DOUBLE


def _move(moved: Array, origin: Array, step: float, generator: np.random.Generator) -> None:
    """Move every entry at random by about a step times its size."""
    # How far exactly does not matter.
    rough = np.empty(min(moved.size, PIECE), np.float32 if moved.size > PIECE else DOUBLE)
    for target, start in in_pieces(moved, origin):
        drawn = at_random(rough[: target.size].reshape(target.shape), generator)
        factor = np.multiply(drawn, step, dtype=DOUBLE)
        factor += 1.0
        np.multiply(start, factor, out=target, casting="same_kind")


def _typical(values: Floats) -> float:
    """Return about the median of the entries, from some of them that lie evenly."""
    stride = values.size // SAMPLE + 1
    while math.gcd(stride, values.size) > 1:  # not always the same columns
        stride += 1
    ordered = np.sort(values.reshape(-1)[::stride])
    middle = ordered[(ordered.size - 1) // 2], ordered[ordered.size // 2]
    return 0.5 * float(sum(middle))
