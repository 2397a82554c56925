"""What runs in the race: the other tools and our own checks, behind one way to be timed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from speed_bugs import Gradient, Said
from speed_clock import Cost, Counted, OutOfTime, seconds_of
from speed_layers import layered_name, layered_problem
from speed_networks import Network, plain_problem
from speed_parts import CERTIFIED, seconds_within
from speed_peers import Peer, installed, said_of

import gradcheck
from gradcheck import GradientReport, Problem

ALL_SIZES = ("S", "M", "L", "XL", "V")
PLAIN_LOOP = "plain loop, h = 1e-5"
QUICK, LAYERED = "gradcheck, quick", "gradcheck, layered"
COMPLEX, STRICT = "gradcheck, layered, complex step", "gradcheck, layered, strict"
BLACK_BOX, VECTORIZED = "gradcheck, every entry", "gradcheck, every entry, vectorized"
# Of networks with more parameters than that, every entry is compared of the arrays up to this size.
LARGE, PART_OF_LARGE = 10_000, 1_000


@dataclass(frozen=True)
class OwnCheck:
    """One of our own checks.

    Attributes
    ----------
    title: what reports call it
    problem: the problem to check, from a network and a gradient
    options: of the check
    sizes: where it is run
    is_layered: whether parameters have the names of the layered problem
    is_long: whether its evaluations grow with the number of parameters, so that a part is timed
    is_part: whether only its directions, the numbers of entries and their judgement are timed
    """

    title: str
    problem: Callable[[Network, Gradient | None], Problem]
    options: Mapping[str, Any]
    sizes: tuple[str, ...] = ALL_SIZES
    is_layered: bool = False
    is_long: bool = False
    is_part: bool = False

    def report(self, network: Network, gradient: Gradient | None = None) -> GradientReport:
        """Return the report of one check."""
        return gradcheck.check(self.problem(network, gradient), **self.options)

    def said(self, network: Network, gradient: Gradient) -> Said:
        """Return what the check says of a gradient."""
        return said_by_report(self.report(network, gradient), network, self.is_layered)


def sets_problem(network: Network, gradient: Gradient | None = None) -> Problem:
    """Return the problem whose loss takes several sets of parameters at once."""
    return Problem(
        network.losses, gradient or network.gradient, network.parameters, name="several sets"
    )


def said_by_report(report: GradientReport, network: Network, is_layered: bool) -> Said:
    """Return what a report says, under the names of the network."""
    mine = {layered_name(name): name for name in network.parameters} if is_layered else {}
    parts = [(mine.get(part.name, part.name), part) for part in report.parameters]
    failing = frozenset(name for name, part in parts if part.verdict == "fail")
    return Said(report.verdict == "fail", failing, {name: part.wrong for name, part in parts})


def own_checks() -> tuple[OwnCheck, ...]:
    """Return our checks."""
    every = {"effort": "exhaustive"}
    return (
        OwnCheck(QUICK, plain_problem, {"effort": "quick"}),
        *_layered(LAYERED, {}, ALL_SIZES),
        *_layered(COMPLEX, {"method": "complex"}, ALL_SIZES),
        *_layered(STRICT, {"method": "strict"}, ("S", "M", "L")),
        OwnCheck(BLACK_BOX, plain_problem, every, is_long=True),
        OwnCheck(VECTORIZED, sets_problem, {**every, "vectorized": True}, ("S", "M")),
    )


def _layered(title: str, options: Mapping[str, Any], sizes: tuple[str, ...]) -> Iterator[OwnCheck]:
    """Yield a check that sees the layers, whole and as far as it is about entries."""
    yield OwnCheck(title, layered_problem, options, sizes, is_layered=True)
    yield OwnCheck(
        entries_of(title), layered_problem, options, sizes, is_layered=True, is_part=True
    )


def entries_of(title: str) -> str:
    """Return the title of the part of a check that is about entries."""
    return f"{title}, entries and certification"


class Contestant:
    """Something that checks the right gradient of a network, again and again.

    Attributes
    ----------
    title: what reports call it
    is_long: whether its evaluations grow with the number of parameters

    Parameters
    ----------
    what: a tool or one of our checks
    network: whose gradient it checks
    per_entry: evaluations per entry of those that were seen to the end, by title
    """

    def __init__(
        self, what: Peer | OwnCheck, network: Network, per_entry: dict[str, float]
    ) -> None:
        self.title, self.is_long = what.title, what.is_long
        self._what, self._network, self._per_entry = what, network, per_entry
        self._counted = Counted(network)
        if isinstance(what, Peer):
            self._check = what.prepare(self._counted, network.gradient)

    def cost(self, seconds: float) -> Cost:
        """Return what one check costs, extrapolated where it takes longer than some seconds.

        Where it is not known how many evaluations it takes, it runs to its end.
        """
        if isinstance(self._what, OwnCheck):
            return self._own_cost(self._what)
        if self.title not in self._per_entry:
            seconds = math.inf
        self._counted.evaluations = 0
        if not self.is_long:
            self._check()
            evaluations, self._counted.evaluations = self._counted.evaluations, 0
            return Cost(seconds_of(self._check), evaluations)
        started = time.process_time()
        self._counted.deadline = started + seconds
        try:
            self._check()
        except OutOfTime:
            return self._extrapolated(time.process_time() - started, self._counted.evaluations)
        return self._whole(time.process_time() - started, self._counted.evaluations)

    def _own_cost(self, own: OwnCheck) -> Cost:
        problem, options = own.problem(self._network, None), dict(own.options)
        if not own.is_long:
            reports: list[GradientReport] = []

            def check() -> None:
                reports.append(gradcheck.check(problem, **options))

            taken = seconds_within(CERTIFIED, check) if own.is_part else seconds_of(check)
            return Cost(taken, reports[-1].evaluations)
        # A budget would have every entry wait for a look at the clock.
        part = [name for name, array in problem.parameters.items() if array.size <= PART_OF_LARGE]
        options["only"] = part if self._network.count > LARGE else None
        started = time.process_time()
        quick = gradcheck.check(problem, effort="quick", only=options["only"])
        first = Cost(time.process_time() - started, quick.evaluations)
        started = time.process_time()
        report = gradcheck.check(problem, **options)
        taken = time.process_time() - started
        share = self._network.count / sum(each.checked_count for each in report.parameters)
        evaluations = first.evaluations + share * (report.evaluations - first.evaluations)
        return Cost(first.seconds + share * (taken - first.seconds), evaluations, share > 1.0)

    def _whole(self, seconds: float, evaluations: int) -> Cost:
        self._per_entry[self.title] = evaluations / self._network.count
        return Cost(seconds, evaluations)

    def _extrapolated(self, seconds: float, evaluations: int) -> Cost:
        """Return the cost of the whole from that of a part."""
        whole = self._per_entry[self.title] * self._network.count
        return Cost(seconds * whole / evaluations, whole, is_part=True)


def contestants(
    size: str, network: Network, per_entry: dict[str, float], only: str = ""
) -> list[Contestant]:
    """Return all that run at a size, the plain loop first, or the one that has a title."""
    own = [check for check in own_checks() if size in check.sizes]
    running = [what for what in (*installed(), *own) if only in ("", what.title)]
    return [Contestant(what, network, per_entry) for what in running]


def said_by_all(
    size: str, network: Network, gradients: Mapping[str, Gradient], longest: int
) -> dict[str, dict[str, Said]]:
    """Return what everything that runs at a size says of gradients, by its title and theirs.

    Tools that take long, and further forms of our checks, are asked for networks of no more than
    `longest` parameters.
    """
    said: dict[str, dict[str, Said]] = {}
    for peer in installed():
        if peer.shows_rights and (not peer.is_long or network.count <= longest):
            said[peer.title] = said_of(peer, network, gradients)
    for own in own_checks():
        is_asked = own.title in (QUICK, LAYERED) or network.count <= longest
        if is_asked and size in own.sizes and not (own.is_long or own.is_part):
            said[own.title] = {t: own.said(network, each) for t, each in gradients.items()}
    return said
