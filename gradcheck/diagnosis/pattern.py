"""GC301 to GC305: which part of a parameter is wrong, where all of its wrong entries are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from gradcheck.diagnosis.causes import (
    PARTIAL_ZERO,
    SPARSE_ENTRY,
    WRONG_BLOCK,
    WRONG_COLUMN,
    WRONG_ROW,
)
from gradcheck.diagnosis.codes import Code
from gradcheck.diagnosis.constants import SAME_NUMBER
from gradcheck.diagnosis.facts import Explanation, Facts

Mask = npt.NDArray[np.bool_]

# Part of a row, column or block that has to be wrong: the rest may be right by accident, as where
# both gradients are zero.
FILLED = 0.8
# More of a parameter than this is no part of it.
LARGEST_PART = 0.75
# Single entries: so many, or this part of the parameter.
FEW_ENTRIES, FEW = 3, 0.1
SHORTEST_RUN = 3


def wrong_part(facts: Facts) -> Iterator[Explanation]:
    """Propose for every failing parameter that it is wrong in a part, and right in the rest."""
    for name in facts.failing:
        mask = facts.wrong.get(name)
        if mask is None:
            yield from _zeros(facts, name)
        if mask is None or not mask.any() or mask.ndim == 0 or mask.all():
            continue
        found = _part(mask, mask | (facts.analytic[name] == 0.0))
        zeros = not facts.analytic[name][mask].any() and facts.analytic[name].any()
        if zeros:
            where = found[1] if found else f"{np.count_nonzero(mask):,} entries"
            found = PARTIAL_ZERO, f"analytic 0 in {where}, where the numerical gradient is not"
        elif found:
            found = found[0], f"wrong in {found[1]}"
        if found:
            code, words = found[0], f"{found[1]}{_ratio(facts, name, mask)}"
            yield Explanation(
                code=code,
                repaired={name: facts.analytic[name]},
                unknown={name: mask},
                evidence=f"{words}; all other entries agree",
                details={"count": int(np.count_nonzero(mask))},
            )


def _zeros(facts: Facts, name: str) -> Iterator[Explanation]:
    """Propose that just the zeros are wrong, where only a sample of the entries was compared."""
    claimed, sample = facts.analytic[name], facts.known[name]
    zeros = claimed == 0.0
    wrong, inside = ~sample.agrees(claimed), sample.of(zeros)
    if zeros.all() or not wrong.any() or wrong[~inside].any() or inside.all():
        return
    yield Explanation(
        code=PARTIAL_ZERO,
        repaired={name: claimed},
        unknown={name: zeros},
        evidence=f"analytic 0 in {np.count_nonzero(zeros):,} of {claimed.size:,} entries; "
        f"numerically {np.count_nonzero(wrong):,} of {np.count_nonzero(inside):,} of these that "
        "were measured are not, and all others agree",
        details={"count": int(np.count_nonzero(zeros))},
    )


def _ratio(facts: Facts, name: str, mask: Mask) -> str:
    """Return by which factor the wrong entries are off, if it is one for all of them."""
    sample = facts.known[name]
    inside = sample.chosen(sample.of(mask) & (sample.values != 0.0))
    claimed = inside.of(facts.analytic[name])
    if len(claimed) < 2 or not claimed.any():
        return ""
    with np.errstate(all="ignore"):
        ratios = claimed / inside.values
        slack = np.max(inside.error_bars / np.abs(inside.values)) + SAME_NUMBER
        # Compared this way round, a NaN is no common factor.
        if not np.ptp(ratios) <= slack * np.max(np.abs(ratios)) < np.inf:
            return ""
    return f", analytic / numerical being {np.median(ratios):.5g} there"


def _part(mask: Mask, maybe: Mask) -> tuple[Code, str] | None:
    """Return what kind of part the wrong entries make up, and its place in words.

    Parameters
    ----------
    mask: the wrong entries
    maybe: those, and others that would be right in a wrong part too: both gradients are zero there
    """
    count, size = int(np.count_nonzero(mask)), mask.size
    hulls = [np.flatnonzero(mask.any(axis=_others(mask, axis))) for axis in range(mask.ndim)]
    within = int(np.prod([len(hull) for hull in hulls]))
    restricted = [axis for axis, hull in enumerate(hulls) if len(hull) < mask.shape[axis] > 1]
    is_filled = count >= FILLED * within and within <= LARGEST_PART * size
    slabs = [axis for axis in restricted if _fills(maybe, axis, hulls[axis])]
    if len(slabs) == 1 and count > FEW_ENTRIES:
        return _slab(slabs[0], hulls[slabs[0]], mask.ndim)
    if is_filled and count > 1:
        if len(restricted) == 1 and _is_matrix(mask):
            return _slab(restricted[0], hulls[restricted[0]], mask.ndim)
        if count >= SHORTEST_RUN and all(_is_run(hulls[axis]) for axis in restricted):
            place = ", ".join(_span(hull) for hull in hulls)
            return WRONG_BLOCK, f"the block [{place}]"
    if count <= max(FEW_ENTRIES, FEW * size):
        places = [f"[{', '.join(map(str, index))}]" for index in np.argwhere(mask)[:3]]
        more = f" and {count - 3:,} more" if count > 3 else ""
        noun = "entry" if count == 1 else "entries"
        return SPARSE_ENTRY, f"{noun} {', '.join(places)}{more}"
    return None


def _is_matrix(mask: Mask) -> bool:
    return len([length for length in mask.shape if length > 1]) > 1


def _fills(maybe: Mask, axis: int, indices: npt.NDArray[np.int_]) -> bool:
    """Return whether whole slices along an axis may be wrong, and no more than a part of all."""
    slab = np.take(maybe, indices, axis)
    return bool(slab.all() and _is_matrix(maybe) and slab.size <= LARGEST_PART * maybe.size)


def _slab(axis: int, indices: npt.NDArray[np.int_], rank: int) -> tuple[Code, str]:
    listed = _listed(indices.tolist())
    if axis == 0:
        return WRONG_ROW, f"{'row' if len(indices) == 1 else 'rows'} {listed}"
    if axis == rank - 1:
        return WRONG_COLUMN, f"{'column' if len(indices) == 1 else 'columns'} {listed}"
    return WRONG_BLOCK, f"index {listed} of axis {axis}"


def _listed(indices: Sequence[int]) -> str:
    if len(indices) > 2 and _is_run(np.array(indices)):
        return f"{indices[0]} to {indices[-1]}"
    more = f" and {len(indices) - 5} more" if len(indices) > 5 else ""
    return ", ".join(map(str, indices[:5])) + more


def _others(mask: Mask, axis: int) -> tuple[int, ...]:
    return tuple(other for other in range(mask.ndim) if other != axis)


def _is_run(indices: npt.NDArray[np.int_]) -> bool:
    return bool(np.all(np.diff(indices) == 1))


def _span(hull: npt.NDArray[np.int_]) -> str:
    return f"{hull[0]}" if len(hull) == 1 else f"{hull[0]}:{hull[-1] + 1}"
