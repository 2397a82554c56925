"""The losses with single entries moved, for many entries in a row."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.directions import Floats
from gradcheck.execution import Array, Evaluator
from gradcheck.leaves import DOUBLE
from gradcheck.parameter_sets import ParameterSets, most_sets, read_losses
from gradcheck.returned import read_loss

Positions = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Moves:
    """Single entries moved, each by as many steps; (entries, steps), as all arrays here.

    Attributes
    ----------
    moved: the values they are moved to, in their own precision
    taken: how far that really is
    usable: where it is a move at all, and within bounds
    """

    moved: Array
    taken: Floats
    usable: npt.NDArray[np.bool_]

    def rows(self) -> list[list[Any]]:
        """Return the values by entry, None for those that are not usable."""
        rows: list[list[Any]] = self.moved.tolist()
        for entry, step in np.argwhere(~self.usable).tolist():
            rows[entry][step] = None
        return rows


class EntryLosses:
    """Evaluates the loss with single entries of one parameter moved, and puts each back.

    Parameters
    ----------
    evaluator: calls the user's code
    name: of the parameter
    kind: what losses are, np.float64 or np.longdouble
    """

    def __init__(self, evaluator: Evaluator, name: str, kind: Any) -> None:
        self._evaluator = evaluator
        self._name = name
        self._kind = kind
        self._original = evaluator.original[name]

    def moves(self, positions: Positions, steps: Floats) -> Moves:
        """Return the moves of these entries by these steps, one row per entry."""
        dtype = self._original.dtype
        # In float64 at least: a difference in float32 would be rounded once more.
        wide = np.result_type(dtype, DOUBLE)
        origin = self._original.flat[positions].astype(wide)[:, np.newaxis]
        with np.errstate(all="ignore"):
            moved = (origin + steps).astype(dtype)
            # Else the step is below what the precision can show, or beyond it.
            usable = (moved != origin) & np.isfinite(moved)
            usable &= self._evaluator.bounds.hold_each(self._name, positions, moved)
            return Moves(moved, (moved - origin).astype(DOUBLE), usable)

    def at(self, positions: Positions, moves: Moves) -> npt.NDArray[Any]:
        """Return the losses, a row per entry, NaN where they cannot be evaluated."""
        room = most_sets(self._evaluator, self._original)
        if room > 1:
            return self._in_sets(room, positions, moves)
        bare = self._evaluator.bare_loss()
        if bare is None:
            found = self._with_care(positions, moves)
        else:
            found = self._in_a_row(bare, positions, moves)
        return np.array(found, self._kind).reshape(-1, moves.moved.shape[1])

    def _in_a_row(self, bare: Any, positions: Positions, moves: Moves) -> list[Any]:
        # Every call that can be left out of this loop is: it runs once per evaluation.
        working, original = self._evaluator.working[self._name].flat, self._original.flat
        found: list[Any] = []
        calls = 0
        try:
            with np.errstate(all="ignore"):
                for position, row in zip(positions.tolist(), moves.rows(), strict=True):
                    try:
                        for value in row:
                            if value is None:
                                found.append(math.nan)
                                continue
                            working[position] = value
                            calls += 1
                            try:
                                loss = bare()
                                found.append(loss if isinstance(loss, float) else read_loss(loss))
                            except Exception:
                                found.append(math.nan)
                    finally:
                        working[position] = original[position]
        finally:
            self._evaluator.evaluations += calls
        return found

    def _with_care(self, positions: Positions, moves: Moves) -> list[Any]:
        found: list[Any] = []
        for position, row in zip(positions, moves.moved, strict=True):
            index = tuple(int(i) for i in np.unravel_index(position, self._original.shape))
            usable = moves.usable[len(found) // len(row)]
            found += [
                self._evaluator.loss_at_entry(self._name, index, value) if ok else math.nan
                for value, ok in zip(row, usable, strict=True)
            ]
        return found

    def _in_sets(self, room: int, positions: Positions, moves: Moves) -> npt.NDArray[Any]:
        """Evaluate so many moves in one call; one by one where a call of them all fails."""
        evaluator, original = self._evaluator, self._original
        sets = ParameterSets(evaluator.problem, evaluator.original, evaluator.complex_names)
        stack = np.empty((room, *original.shape), original.dtype)
        stack[...] = original
        rows, losses = stack.reshape(room, -1), np.full(moves.moved.shape, math.nan, self._kind)
        places = np.argwhere(moves.usable)
        with closing(evaluator.another_caller()) as caller, np.errstate(all="ignore"):
            for start in range(0, len(places), room):
                entry, step = places[start : start + room].T
                count, at = entry.size, positions[entry]
                rows[np.arange(count), at] = moves.moved[entry, step]
                try:
                    call = sets.call({self._name: stack[:count]})
                    evaluator.evaluations += count
                    losses[entry, step] = read_losses(caller.call(call, "loss"), count)
                except Exception:
                    # One set out of the domain must not hide the others.
                    losses[entry, step] = self._alone(at, moves.moved[entry, step])
                finally:
                    rows[np.arange(count), at] = original.flat[at]
        return losses

    def _alone(self, positions: Positions, values: Array) -> list[float]:
        shape, evaluate = self._original.shape, self._evaluator.loss_at_entry
        return [
            evaluate(self._name, tuple(int(i) for i in np.unravel_index(position, shape)), value)
            for position, value in zip(positions, values, strict=True)
        ]
