"""From failing probes of one parameter to its confirmed wrong entries.

The discrepancy along a direction is linear in it: the sum of error times weight over the wrong
entries. Where one entry explains all slopes seen of a block, it is compared on its own; where none
does, the block is halved, and one half tells the other's slopes for free. Only what disagrees with
an error bar of its own is ever called wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gradcheck.budget import Budget
from gradcheck.comparisons import Comparisons
from gradcheck.directions import Floats
from gradcheck.entry_search import EntrySearch
from gradcheck.entry_table import Entries
from gradcheck.execution import Evaluator
from gradcheck.ladder import Conditions
from gradcheck.probes import Claim, ProbeMeasurement
from gradcheck.quick_slopes import QuickSlopes
from gradcheck.regions import Region
from gradcheck.verdict import outcome


@dataclass(frozen=True)
class Localisation:
    """Where a gradient is wrong.

    Attributes
    ----------
    entries: all that were compared on their own, right or wrong, by ascending index
    regions: rows, columns and the like that are wrong as far as their entries were compared
    complete: whether what was found explains all that was seen, and along a new direction too
    dense: whether too many entries are wrong to locate each
    sampled: indices among the entries that were chosen at random, to tell whether errors are dense
    """

    entries: Entries
    regions: tuple[Region, ...] = ()
    complete: bool = False
    dense: bool = False
    sampled: tuple[tuple[int, ...], ...] = ()


def localise(
    evaluator: Evaluator,
    conditions: Conditions,
    claim: Claim,
    probes: Sequence[tuple[Floats, ProbeMeasurement]],
    *,
    seed: int,
    budget: Budget | None = None,
) -> Localisation:
    """Return which entries of a parameter are wrong, in a few dozen evaluations of the loss.

    Parameters
    ----------
    evaluator, conditions, claim: as for the probes
    probes: directions that were measured, with what they showed; nothing is looked for unless one
        disagrees
    seed: of the random directions, halves and samples
    budget: the time there is
    """
    if all(outcome(probe.derivative) != "disagrees" for _, probe in probes):
        return Localisation(Entries.of(claim.analytic.shape, ()), complete=True)
    slopes = QuickSlopes(evaluator, conditions, claim, seed)
    found = Comparisons(evaluator, conditions, claim, budget or Budget())
    search = EntrySearch(slopes, found, probes, np.random.default_rng([seed, *claim.name.encode()]))
    complete = search.run()
    measured = dict(sorted(found.measured.items()))
    return Localisation(
        entries=Entries.of(claim.analytic.shape, measured.values()),
        regions=tuple(search.regions),
        complete=complete,
        dense=search.dense,
        sampled=tuple(e.index for p, e in measured.items() if p in search.sampled),
    )
