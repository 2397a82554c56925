"""How much is measured: all that the bounds ask for, or less of everything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

# Not used in tuning.
FIRST_SEED = 5000


@dataclass(frozen=True)
class Extent:
    """How much is measured.

    Attributes
    ----------
    rounds: of the race, by size
    part_seconds: after which a check that takes long is stopped, and extrapolated
    longest: parameters of the largest network for which tools that take long are asked of bugs
    peer_seeds: networks that the other tools are asked of right gradients for
    alarm_seeds: networks for false alarms of the quick check, by size
    layered_seeds: the same, of the layered check
    bug_seeds: networks that bugs are put into, by size
    memory: sizes at which the growth of a process is measured
    starts: rounds of fresh processes
    """

    rounds: Mapping[str, int]
    part_seconds: float
    longest: int
    peer_seeds: int
    alarm_seeds: Mapping[str, int]
    layered_seeds: Mapping[str, int]
    bug_seeds: Mapping[str, int]
    memory: tuple[str, ...]
    starts: int


FULL = Extent(
    rounds={"S": 7, "M": 5, "L": 5, "XL": 3},
    part_seconds=2.0,
    longest=10_000,
    peer_seeds=10,
    alarm_seeds={"S": 100, "M": 100, "L": 20},
    layered_seeds={"L": 20, "XL": 3},
    bug_seeds={"S": 3, "M": 3, "L": 3, "XL": 1, "V": 3},
    memory=("L", "XL"),
    starts=11,
)
QUICK = Extent(
    rounds={"S": 3, "M": 2, "L": 2, "XL": 1},
    part_seconds=0.3,
    longest=100,
    peer_seeds=1,
    alarm_seeds={"S": 5, "M": 5, "L": 2},
    layered_seeds={"L": 2, "XL": 1},
    bug_seeds={"S": 1, "M": 1, "L": 1, "XL": 0, "V": 1},
    memory=(),
    starts=3,
)
