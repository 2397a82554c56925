"""As a black box: right for every sample alone, and wrong for all of them together.

Where the gradient for all is made of those of some samples, GC406 or GC407; where the samples are
mixed up in another way, no more can be said than that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gradcheck.diagnosis.causes import BATCH_REDUCTION, BIAS_NOT_SUMMED, UNEXPLAINED
from gradcheck.diagnosis.facts import Explanation, Facts
from gradcheck.directions import Floats

# Of its largest entry: the claimed gradient is made of those of some samples to this precision.
SAME_GRADIENT = 1e-9
_MIXED = (
    "look for what mixes samples up: an order or index that differs between two arrays, a product "
    "of sums where a sum of products belongs, a sum along the wrong axis; or for a term that is "
    "counted once where the others are summed or averaged"
)


@dataclass(frozen=True)
class _Part:
    """Some of the samples, in words, and what their gradients are divided by."""

    words: str
    count: int
    divisor: int


def batch_as_black_box(facts: Facts) -> Iterator[Explanation]:
    """Propose that the sum or mean of what is returned for each sample alone would be right."""
    for name in facts.failing:
        alone = (facts.per_sample() or {}).get(name)
        if alone is None:
            continue
        total = alone.sum(axis=0)
        sums = {"sum": total, "mean": total / len(alone)}
        for word, array in sums.items():
            if array.shape != facts.analytic[name].shape or not facts.fits(name, array):
                continue
            yield _explanation(facts, name, alone, word, array)


def _explanation(
    facts: Facts, name: str, alone: Floats, word: str, repaired: Floats
) -> Explanation:
    part = _part_of(facts.analytic[name], alone)
    told = (
        f"the {word} of what is returned for each of the {len(alone)} samples alone agrees with "
        "the numerical gradient; what is returned for all "
    )
    details = {"samples": len(alone), "reduction": word}
    if part is None:
        told += "together does not"
        return Explanation(UNEXPLAINED, {name: repaired}, told, _MIXED, details, tries=2)
    is_single_bias = part.count == 1 and repaired.ndim < 2
    over = f", over {part.divisor}" if part.divisor > 1 else ""
    return Explanation(
        code=BIAS_NOT_SUMMED if is_single_bias else BATCH_REDUCTION,
        repaired={name: repaired},
        evidence=f"{told}is that of {part.words} alone{over}",
        details=details,
        tries=2,
    )


def _part_of(claimed: Floats, alone: Floats) -> _Part | None:
    """Return the samples whose gradients make up the claimed one."""
    size = float(np.max(np.abs(claimed)))
    for part, summed in _parts(alone):
        for divisor in sorted({1, part.count, len(alone)}):
            if np.max(np.abs(summed / divisor - claimed)) <= SAME_GRADIENT * size:
                return _Part(part.words, part.count, divisor)
    return None


def _parts(alone: Floats) -> Iterator[tuple[_Part, Floats]]:
    """Yield single samples, then the first and the last so many, with their summed gradients."""
    for number, gradient in enumerate(alone):
        yield _Part(f"sample {number}", 1, 1), gradient
    count = len(alone)
    from_first, from_last = np.cumsum(alone, axis=0), np.cumsum(alone[::-1], axis=0)
    for so_many in range(2, count):
        yield _Part(f"the first {so_many} samples", so_many, 1), from_first[so_many - 1]
        yield _Part(f"the last {so_many} samples", so_many, 1), from_last[so_many - 1]
