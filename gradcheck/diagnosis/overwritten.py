"""GC412: contributions that should add up overwrite each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.diagnosis.causes import OVERWRITTEN_ACCUMULATION
from gradcheck.diagnosis.facts import Explanation, Facts
from gradcheck.diagnosis.matching import explanation, matched, true_gradients

MOST_LISTED = 5


def overwritten_accumulation(facts: Facts) -> Iterator[Explanation]:
    """Propose that of several contributions to a gradient only one was kept."""
    yield from _of_repeated_layers(facts)
    yield from _of_repeated_rows(facts)


def _of_repeated_layers(facts: Facts) -> Iterator[Explanation]:
    """Propose that a layer that is passed through twice has the gradient of one pass."""
    names = [layer.name for layer in facts.network]
    truths = true_gradients(facts)
    for name in dict.fromkeys(name for name in names if names.count(name) > 1):
        passes = [layer for layer in facts.network if layer.name == name]
        for number, layer in enumerate(passes, start=1):
            match = matched(facts, truths, layer.gradients(layer.delta))
            if match is not None:
                told = f"{name} has the gradient of pass {number} of {len(passes)} alone"
                yield explanation(*(OVERWRITTEN_ACCUMULATION, match, told, name), tries=len(passes))


def _of_repeated_rows(facts: Facts) -> Iterator[Explanation]:
    """Propose that just those rows are wrong whose index is used more than once."""
    for name in facts.failing:
        claimed = facts.analytic[name]
        if claimed.ndim < 1:
            continue
        for position, data in enumerate(facts.args):
            repeated = _repeated(data, len(claimed))
            if repeated is None:
                continue
            unused = _unused(facts, name, repeated)
            repeated = np.setdiff1d(repeated, unused)
            mask = np.zeros(claimed.shape, dtype=bool)
            mask[repeated] = True
            if not _separates(facts, name, mask) or _is_mean(facts, name, data):
                continue
            apart = f", but for {_listed(unused)}, zero in both" if unused else ""
            yield Explanation(
                code=OVERWRITTEN_ACCUMULATION,
                repaired={name: claimed},
                unknown={name: mask},
                evidence=f"wrong in rows {_listed(repeated)}, the very ones that args[{position}] "
                f"names more than once{apart}; right in all others",
                details={"rows": [int(row) for row in repeated]},
            )


def _listed(rows: Sequence[int] | npt.NDArray[np.int_]) -> str:
    return ", ".join(map(str, rows[:MOST_LISTED])) + (", ..." if len(rows) > MOST_LISTED else "")


def _repeated(data: object, length: int) -> npt.NDArray[np.int_] | None:
    """Return the rows that an array of indices names more than once; None where it is none."""
    if not isinstance(data, np.ndarray) or data.dtype.kind not in "iu" or not data.size:
        return None
    if data.min() < 0 or data.max() >= length:
        return None
    counts = np.bincount(data.reshape(-1).astype(int), minlength=length)
    # Where each row is used several times, or none is, the indices tell nothing.
    rows = np.flatnonzero(counts > 1)
    return rows if len(rows) > 0 and np.any(counts == 1) else None


def _is_mean(facts: Facts, name: str, data: npt.NDArray[Any]) -> bool:
    """Return whether contributions are averaged, not overwritten: rows times their count fit."""
    claimed = facts.analytic[name]
    counts = np.bincount(data.reshape(-1).astype(int), minlength=len(claimed))
    counts = np.maximum(counts, 1).reshape(-1, *[1] * (claimed.ndim - 1))
    return bool(np.all(facts.known[name].agrees(claimed * counts)))


def _unused(facts: Facts, name: str, rows: npt.NDArray[np.int_]) -> list[int]:
    """Return those of the rows in which both gradients are zero, such as that of the padding."""
    sample, claimed = facts.known[name], facts.analytic[name]
    wrong = ~sample.agrees(claimed)
    measured = np.unravel_index(sample.positions, claimed.shape)[0]
    return [int(r) for r in rows if not claimed[r].any() and not wrong[measured == r].any()]


def _separates(facts: Facts, name: str, mask: npt.NDArray[np.bool_]) -> bool:
    """Return whether all that disagrees is within the mask, in each of its rows."""
    sample = facts.known[name]
    wrong = ~sample.agrees(facts.analytic[name])
    inside = sample.of(mask)
    if wrong[~inside].any() or not inside.any() or not (~inside).any():
        return False
    rows = np.unravel_index(sample.positions, mask.shape)[0]
    return all(wrong[rows == row].any() for row in np.unique(rows[inside]))
