"""Interleaved rounds: every contestant once a round, so that a slow minute is slow for all."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from speed_clock import Cost, seconds_of
from speed_contestants import PLAIN_LOOP, contestants
from speed_networks import Network, make_network

# What the loss and the gradient take by themselves, timed in every round.
BARE_LOSS, BARE_GRADIENT = "the loss alone", "the gradient alone"
BARE_SECONDS = 0.2


@dataclass(frozen=True)
class Race:
    """Costs by contestant, one for each round that it ran in; None where it did not."""

    network: Network
    costs: dict[str, list[Cost | None]] = field(default_factory=dict)

    def seconds(self, title: str) -> float:
        """Return the median time; NaN where it never ran."""
        return _median([cost.seconds for cost in self.costs.get(title, ()) if cost])

    def evaluations(self, title: str) -> float:
        """Return the median number of evaluations."""
        return _median([cost.evaluations for cost in self.costs.get(title, ()) if cost])

    def is_part(self, title: str) -> bool:
        """Return whether any of its costs is extrapolated."""
        return any(cost.is_part for cost in self.costs.get(title, ()) if cost)

    def ratio(self, title: str, other: str) -> float:
        """Return the median over rounds of the time of one contestant over that of another."""
        return self.median_of(lambda one, two: one.seconds / two.seconds, title, other)

    def median_of(self, formula: Callable[..., float], *titles: str) -> float:
        """Return the median over rounds of a formula of the costs of several contestants."""
        columns = [self.costs.get(title, []) for title in titles]
        rounds = [costs for costs in zip(*columns, strict=False) if all(costs)]
        return _median([formula(*costs) for costs in rounds])

    def speedup(self, title: str) -> float:
        """Return how many times faster than the plain loop it is."""
        return 1.0 / self.ratio(title, PLAIN_LOOP)


def run_race(
    size: str, rounds: int, seconds: float, per_entry: dict[str, float], seed: int = 0
) -> Race:
    """Return the costs at a size.

    Parameters
    ----------
    size, seed: of the network
    rounds: how often everything is timed; tools that take long, other than the plain loop and our
        own, only once
    seconds: after which a check that takes long is stopped, and extrapolated
    per_entry: evaluations per entry of tools that take long, which smaller sizes have shown
    """
    network = make_network(size, seed)
    race, running = Race(network), contestants(size, network, per_entry)
    for number in range(rounds):
        for title, call in (
            (BARE_LOSS, lambda: network.loss(network.parameters)),
            (BARE_GRADIENT, lambda: network.gradient(network.parameters)),
        ):
            race.costs.setdefault(title, []).append(Cost(seconds_of(call, BARE_SECONDS), 1))
        for one in running:
            is_due = number == 0 or not one.is_long or _is_needed(one.title)
            race.costs.setdefault(one.title, []).append(one.cost(seconds) if is_due else None)
    return race


def _is_needed(title: str) -> bool:
    return title == PLAIN_LOOP or title.startswith("gradcheck")


def _median(values: Sequence[float]) -> float:
    return statistics.median(values) if values else math.nan
