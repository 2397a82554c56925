"""What everything says of bugs, and of gradients that are right."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from speed_bugs import TWICE_W1, ZERO_W1, Bug, bugs_of, grade, truth_of
from speed_contestants import OwnCheck, said_by_all
from speed_networks import make_network

RIGHT = "right"
# Letter by bug.
Letters = Mapping[str, str]


@dataclass(frozen=True)
class Caught:
    """How many bugs were caught, and how exactly."""

    total: int
    caught: int
    parameters: int
    entries: int
    accused: int = 0

    @classmethod
    def of(cls, letters: Iterable[str]) -> Caught:
        """Return the counts of letters; see `grade`."""
        seen = list(letters)
        return cls(
            len(seen),
            sum(letter != "." for letter in seen),
            sum(letter in "PE" for letter in seen),
            sum(letter == "E" for letter in seen),
            sum(letter == "!" for letter in seen),
        )


@dataclass(frozen=True)
class RightGradients:
    """What was said of right gradients: how many there were, were accused, were left undecided."""

    total: int
    accused: int
    undecided: int = 0


def asked_bugs(size: str) -> tuple[Bug, ...]:
    """Return the bugs that everything is asked of: at L, two more that leave much to be seen."""
    return (*bugs_of(size), TWICE_W1, ZERO_W1) if size == "L" else bugs_of(size)


def letters_of_all(size: str, seed: int, longest: int) -> dict[str, Letters]:
    """Return a letter for every bug by tool; RIGHT has one for the right gradient."""
    network = make_network(size, seed)
    gradients = {RIGHT: network.gradient}
    gradients |= {bug.title: bug.gradient(network) for bug in asked_bugs(size)}
    said = said_by_all(size, network, gradients, longest)
    truths = {t: truth_of(network, each(network.parameters)) for t, each in gradients.items()}
    return {
        tool: {title: grade(truths[title], one) for title, one in by_title.items()}
        for tool, by_title in said.items()
    }


def alarms_of_all(size: str, seeds: Iterable[int], longest: int) -> dict[str, RightGradients]:
    """Return what all tools say of the right gradients of several networks."""
    counts: dict[str, list[bool]] = {}
    for seed in seeds:
        network = make_network(size, seed)
        for tool, by_title in said_by_all(
            size, network, {RIGHT: network.gradient}, longest
        ).items():
            counts.setdefault(tool, []).append(by_title[RIGHT].alarm)
    return {tool: RightGradients(len(seen), sum(seen)) for tool, seen in counts.items()}


def letters_of_own(
    own: OwnCheck, size: str, seeds: Iterable[int], known: Mapping[str, Letters]
) -> list[str]:
    """Return letters for every bug of several networks by one of our checks.

    Parameters
    ----------
    own: the check
    size, seeds: of the networks
    known: what is known of another network, by tool, and counts too
    """
    titles = {bug.title for bug in bugs_of(size)}
    letters = [letter for title, letter in known.get(own.title, {}).items() if title in titles]
    for seed in seeds:
        network = make_network(size, seed)
        for bug in bugs_of(size):
            gradient = bug.gradient(network)
            truth = truth_of(network, gradient(network.parameters))
            letters.append(grade(truth, own.said(network, gradient)))
    return letters


def alarms_of_own(own: OwnCheck, size: str, seeds: Iterable[int]) -> RightGradients:
    """Return what one of our checks says of the right gradients of several networks."""
    verdicts = [own.report(make_network(size, seed)).verdict for seed in seeds]
    return RightGradients(len(verdicts), verdicts.count("fail"), verdicts.count("inconclusive"))
