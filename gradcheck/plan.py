"""What will be evaluated, counted in loss evaluations, so that it is the same on every machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gradcheck.choices import Effort

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
    sweep: whether every entry of every parameter is compared, by the whole loss if need be
    comparisons: how many comparisons that makes; error bars widen with it
    layered: whether every entry is compared by its layer, where that is possible
    """

    probes: int
    sweep: bool
    comparisons: int
    layered: bool = False

    @property
    def compares_entries(self) -> bool:
        """Whether every entry is compared, in one way or the other."""
        return self.sweep or self.layered


def make_plan(
    sizes: Mapping[str, int], effort: Effort, probes: int = PROBES, *, has_layers: bool = False
) -> Plan:
    """Return the plan for parameters of these sizes.

    Parameters
    ----------
    sizes: entries to compare, by parameter name
    probes: random directions per parameter, at least
    has_layers: whether the problem exposes its layers
    """
    entries = sum(sizes.values())
    sweep = effort == "exhaustive" or (
        effort == "auto" and entries * EVALUATIONS_PER_ENTRY <= SWEEP_EVALUATIONS
    )
    layered = has_layers and effort != "quick"
    comparisons = len(sizes) * probes + (entries if sweep or layered else 0)
    return Plan(probes, sweep, comparisons, layered)
