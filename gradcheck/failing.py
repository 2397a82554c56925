"""What is wrong in a failing parameter: all entries of a small one, else those that can be located.

Where too many are wrong for that, a sample of its entries is what a cause is looked for in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gradcheck.budget import Budget
from gradcheck.directions import Floats
from gradcheck.entries import measure_entries
from gradcheck.entry_table import Entries
from gradcheck.execution import Evaluator
from gradcheck.ladder import Conditions
from gradcheck.probes import Claim, ProbeMeasurement

if TYPE_CHECKING:
    from gradcheck.localise import Localisation

# Parameters up to this size are compared entry by entry; of larger ones so many entries are sampled
# where the wrong ones cannot all be located.
SAMPLED_ENTRIES = 64


def search_failing(
    evaluator: Evaluator,
    conditions: Conditions,
    claim: Claim,
    probes: Sequence[tuple[Floats, ProbeMeasurement]],
    *,
    seed: int,
    budget: Budget,
) -> Localisation:
    """Return what can be found out about the wrong entries of a parameter.

    Parameters
    ----------
    probes: the directions that were measured, some of which disagree
    seed, budget: as in `localise`
    """
    from gradcheck.localise import Localisation, localise

    shape = claim.analytic.shape
    found = Localisation(Entries.of(shape, ()))
    if claim.size > SAMPLED_ENTRIES:
        random = [pair for pair in probes if pair[1].kind == "random"]
        found = localise(evaluator, conditions, claim, random, seed=seed, budget=budget)
    if found.complete:
        return found
    chosen = chosen_positions(seed, claim, min(claim.size, SAMPLED_ENTRIES))
    missing = np.setdiff1d(chosen, found.entries.positions)
    sampled = measure_entries(evaluator, conditions, claim, missing, budget=budget)
    ordered = sorted([*found.entries, *sampled], key=lambda entry: entry.index)
    return Localisation(Entries.of(shape, ordered), found.regions, dense=found.dense)


def chosen_positions(seed: int, claim: Claim, count: int) -> npt.NDArray[np.int_]:
    """Return the flat positions of `count` entries among those that can be moved."""
    if count == 0:
        return np.zeros(0, np.intp)
    positions = np.flatnonzero(claim.scale)
    if count < positions.size:
        generator = np.random.default_rng([seed, *claim.name.encode()])
        return positions[np.sort(generator.choice(positions.size, count, replace=False))]
    return positions[:count]
