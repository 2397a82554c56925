"""GC406, GC407 as a black box: right for every sample alone, and wrong for all of them together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcheck.diagnosis.causes import BATCH_REDUCTION, BIAS_NOT_SUMMED
from gradcheck.diagnosis.facts import Explanation, Facts
from gradcheck.directions import Floats

# Of its largest entry: the claimed gradient is that of one sample to this precision.
SAME_GRADIENT = 1e-9


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
            single = _single(facts.analytic[name], alone)
            told = f"that of sample {single[0]} alone{single[1]}" if single else "not that"
            yield Explanation(
                code=BIAS_NOT_SUMMED if single and array.ndim < 2 else BATCH_REDUCTION,
                repaired={name: array},
                evidence=f"the {word} of what is returned for each of the {len(alone)} samples "
                f"alone agrees with the numerical gradient; what is returned for all is {told}",
                details={"samples": len(alone), "reduction": word},
                tries=len(sums),
            )


def _single(claimed: Floats, alone: Floats) -> tuple[int, str] | None:
    """Return the sample whose gradient is claimed for all, and what it is divided by."""
    for divisor, words in ((1.0, ""), (float(len(alone)), f", over {len(alone)}")):
        gaps = np.abs(alone / divisor - claimed).reshape(len(alone), -1).max(axis=1)
        closest = int(np.argmin(gaps))
        if gaps[closest] <= SAME_GRADIENT * np.max(np.abs(claimed)):
            return closest, words
    return None
