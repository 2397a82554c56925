"""What will be evaluated, counted in loss evaluations, so that it is the same on every machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gradcheck.options import Effort

# Two directions: an error set that cancels in one is still seen by the other.
PROBES = 2
EVALUATIONS_PER_ENTRY = 4
# "auto" compares every entry up to here; a sweep of a small network takes well under a second.
SWEEP_EVALUATIONS = 20_000


@dataclass(frozen=True)
class Plan:
    """How much of each parameter is compared.

    Attributes
    ----------
    probes: random directions per parameter
    sweep: whether every entry of every parameter is compared
    comparisons: how many comparisons that makes; error bars widen with it
    """

    probes: int
    sweep: bool
    comparisons: int


def make_plan(sizes: Mapping[str, int], effort: Effort, probes: int = PROBES) -> Plan:
    """Return the plan for parameters of these sizes."""
    entries = sum(sizes.values())
    sweep = effort == "exhaustive" or (
        effort == "auto" and entries * EVALUATIONS_PER_ENTRY <= SWEEP_EVALUATIONS
    )
    comparisons = len(sizes) * probes + (entries if sweep else 0)
    return Plan(probes, sweep, comparisons)
