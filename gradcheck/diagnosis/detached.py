"""GC206: the gradient is zero, and the loss depends on the parameter all the same."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcheck.diagnosis.causes import DETACHED
from gradcheck.diagnosis.facts import Explanation, Facts


def detached(facts: Facts) -> Iterator[Explanation]:
    """Propose for every failing parameter without any gradient that it is cut off."""
    for name in facts.failing:
        claimed, sample = facts.analytic[name], facts.known[name]
        if claimed.any():
            continue
        largest = float(np.max(np.abs(sample.values), initial=0.0))
        seen, measured = int(np.count_nonzero(~sample.agrees(claimed))), len(sample.positions)
        yield Explanation(
            code=DETACHED,
            repaired={name: claimed},
            unknown={name: np.ones(claimed.shape, dtype=bool)},
            evidence=f"analytic 0 in every entry; numerically {seen:,} of {measured:,} that were "
            f"measured are not, the largest {largest:.3g}",
        )
