"""The bounds of the quick check."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any

import numpy as np
from speed_bounds import Bound, at_least, at_most, exactly_named, no_alarm, not_measured
from speed_clock import Cost
from speed_contestants import QUICK, own_checks
from speed_extent import FIRST_SEED, Extent
from speed_memory import MEGABYTE, growth_beyond_user
from speed_networks import Network, make_network, plain_problem
from speed_peers import installed, said_of
from speed_power import Letters, alarms_of_own, asked_bugs, letters_of_own
from speed_race import BARE_GRADIENT, BARE_LOSS, Race

import gradcheck
from gradcheck import GradientReport, Problem

TORCH_FAST = "torch fast, own network", "torch fast, numpy function"
MOST_TIME = {"S": 0.9, "M": 0.9, "L": 1.3, "XL": 2.0}
# Of the 13 bugs at L, torch's fast mode misses so many.
TORCH_MISSES = 7
# The call of the loss that raises; the first are those of preflight, where it propagates.
RAISING_CALLS = (1, 4, 12, 24, 36)


def screening_bounds(
    extent: Extent, races: Mapping[str, Race], letters: Mapping[str, Mapping[str, Letters]]
) -> Iterator[Bound]:
    """Yield the bounds of the quick check.

    Parameters
    ----------
    extent: how much is measured
    races: by size
    letters: what everything says of the bugs in the first network of a size
    """
    (quick,) = (own for own in own_checks() if own.title == QUICK)
    yield from _evaluations(extent)
    for size, seeds in extent.bug_seeds.items():
        title = f"{size}: exactly the wrong parameters named"
        further = range(FIRST_SEED + 1, FIRST_SEED + seeds)
        found = letters_of_own(quick, size, further, letters.get(size, {}))
        yield exactly_named(title, found, entries=False)
    for size, seeds in extent.alarm_seeds.items():
        right = alarms_of_own(quick, size, range(FIRST_SEED, FIRST_SEED + seeds))
        yield no_alarm(f"{size}: false alarms over networks", right)
    for size, race in races.items():
        title, ratio = faster_torch(race)
        yield at_most(f"{size}: time / torch fast", MOST_TIME[size], ratio, also=f" ({title})")
    yield _missed_by_torch(range(FIRST_SEED, FIRST_SEED + extent.peer_seeds))
    for size in ("M", "L", "XL"):
        yield own_work(size, races[size])
    yield _memory(races["XL"].network)
    yield from _restored()


def faster_torch(race: Race) -> tuple[str, float]:
    """Return the form of torch's fast mode that is the faster, and our time over its."""
    known = [title for title in TORCH_FAST if title in race.costs]
    if not known:
        return "torch is not installed", float("nan")
    faster = min(known, key=race.seconds)
    return faster.removeprefix("torch fast, "), race.ratio(QUICK, faster)


def own_work(size: str, race: Race) -> Bound:
    """Return the bound on what the check does besides calling the user's functions."""
    calls = gradcheck.check(plain_problem(race.network), effort="quick").gradient_calls

    def share(whole: Cost, loss: Cost, gradient: Cost) -> float:
        in_losses = whole.evaluations * loss.seconds
        return (whole.seconds - in_losses - calls * gradient.seconds) / in_losses

    ratio = race.median_of(share, QUICK, BARE_LOSS, BARE_GRADIENT)
    return at_most(f"{size}: own work / time of its loss evaluations", 0.5, ratio)


def _evaluations(extent: Extent) -> Iterator[Bound]:
    own, shared, whole = [], [], []
    for size, seeds in extent.alarm_seeds.items():
        for seed in range(FIRST_SEED, FIRST_SEED + seeds):
            report = gradcheck.check(plain_problem(make_network(size, seed)), effort="quick")
            each, rest = evaluations_of(report)
            own += each
            shared.append(rest)
            whole.append(report.evaluations)
    count = f", {statistics.median(whole):g} for a check of {len(report.parameters)}"
    yield at_most(
        "evaluations for a right parameter (median)", 8, statistics.median(own), "", count
    )
    most = f", at most {max(shared)}"
    yield at_most("evaluations shared by all (median)", 20, statistics.median(shared), also=most)


def evaluations_of(report: GradientReport) -> tuple[list[float], int]:
    """Return the evaluations for every parameter's directions, and the rest.

    A direction through several parameters is in the report of each: they share what it took.
    """
    each = [sum(probe.evaluations for probe in part.probes) for part in report.parameters]
    if sum(each) <= report.evaluations:
        return [float(count) for count in each], report.evaluations - sum(each)
    return [max(each) / len(each)] * len(each), report.evaluations - max(each)


def _missed_by_torch(seeds: range) -> Bound:
    title = f"L: bugs that torch fast misses, of {len(asked_bugs('L'))} (median)"
    peer = next((peer for peer in installed() if peer.title == TORCH_FAST[1]), None)
    if peer is None:
        return not_measured(title, f"{TORCH_MISSES}", "torch is not installed")
    missed = []
    for seed in seeds:
        network = make_network("L", seed)
        gradients = {bug.title: bug.gradient(network) for bug in asked_bugs("L")}
        missed.append(sum(not said.alarm for said in said_of(peer, network, gradients).values()))
    also = f", {min(missed)} to {max(missed)} over {len(seeds)} networks"
    return at_least(title, TORCH_MISSES, statistics.median(missed), also=also)


def _memory(network: Network) -> Bound:
    largest = max(array.nbytes for array in network.parameters.values())
    most = (3 * largest + 8 * MEGABYTE) / MEGABYTE
    grown = growth_beyond_user(network, effort="quick") / MEGABYTE
    return at_most("XL: peak extra memory, 3 × the largest parameter + 8 MB", most, grown, " MB")


def _restored() -> Iterator[Bound]:
    quiet = [_is_restored(_in_place, None), _is_restored(_copied, None)]
    yield Bound("parameters restored bit by bit", "yes", _yes(quiet), all(quiet))
    raised = [
        _is_restored(form, call, kind)
        for form in (_in_place, _copied)
        for call in RAISING_CALLS
        for kind in (ValueError, KeyboardInterrupt)
    ]
    title = "the same where the loss raises, or is interrupted"
    yield Bound(title, "yes", _yes(raised), all(raised))


def _is_restored(
    form: Callable[[Network, Callable[[], None]], Problem],
    call: int | None,
    kind: type[BaseException] = ValueError,
) -> bool:
    """Return whether all arrays have the same bits after a check in which a call raises."""
    network, calls = make_network("M", FIRST_SEED), 0
    network.parameters["b1"][:2] = -0.0, 5e-324  # what arithmetic would not give back

    def count() -> None:
        nonlocal calls
        calls += 1
        if calls == call:
            raise kind("as asked")

    before = {name: array.tobytes() for name, array in network.parameters.items()}
    with suppress(ValueError, KeyboardInterrupt):
        gradcheck.check(form(network, count), effort="quick")
    return all(array.tobytes() == before[name] for name, array in network.parameters.items())


def _in_place(network: Network, count: Callable[[], None]) -> Problem:
    own = network.parameters

    def loss() -> Any:
        count()
        return network.loss(own)

    return Problem(loss, lambda: network.gradient(own), own, in_place=True)


def _copied(network: Network, count: Callable[[], None]) -> Problem:
    def loss(parameters: Mapping[str, np.ndarray]) -> Any:
        count()
        return network.loss(parameters)

    return Problem(loss, network.gradient, network.parameters)


def _yes(seen: list[bool]) -> str:
    return f"{sum(seen)} of {len(seen)} checks"
