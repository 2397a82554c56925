"""One parameter probed: along how many directions, and which."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import overload

from gradcheck.budget import Budget
from gradcheck.choices import Directions, Method
from gradcheck.directions import Floats, random_direction
from gradcheck.execution import Evaluator
from gradcheck.ladder import Conditions
from gradcheck.plan import Plan
from gradcheck.probes import Claim, ProbeMeasurement, fitting, measure_probe
from gradcheck.shared_probes import measure_together
from gradcheck.verdict import are_coarse, needs_another

# Random directions at most, where the first leave a chance of a miss.
MOST_PROBES = 4
# Part of a doubt about all parameters that each of them is looked at with an error bar of.
PART_OF_DOUBT = 0.1
# From so many parameters on, directions through all of them are worth trying.
FEWEST_TOGETHER = 2


@dataclass(frozen=True)
class Task:
    """What is to be measured and how far.

    Attributes
    ----------
    evaluator: calls the user's code
    selected: names of the parameters
    plan: how much of each is compared
    seed: of the random directions
    required_resolution: relative error that a pass has to rule out; None for the default
    method: "complex" compares by the complex step, certified along the random directions
    directions: "eigen" also probes along the top eigenvectors of the Hessian
    eigen: those, by parameter name
    budget: the time there is
    """

    evaluator: Evaluator
    selected: tuple[str, ...]
    plan: Plan
    seed: int
    required_resolution: float | None
    method: Method = "auto"
    directions: Directions = "random"
    eigen: Mapping[str, tuple[Floats, ...]] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)


class DrawnDirections(Sequence[Floats]):
    """Directions that are made again whenever they are looked at: each is as large as a gradient.

    Parameters
    ----------
    makers: return them, the same ones every time
    """

    def __init__(self, makers: Sequence[Callable[[], Floats]] = ()) -> None:
        self._makers = tuple(makers)

    def __len__(self) -> int:
        return len(self._makers)

    @overload
    def __getitem__(self, place: int) -> Floats: ...
    @overload
    def __getitem__(self, place: slice) -> DrawnDirections: ...
    def __getitem__(self, place: int | slice) -> Floats | DrawnDirections:
        if isinstance(place, slice):
            return DrawnDirections(self._makers[place])
        return self._makers[place]()

    def kept(self) -> DrawnDirections:
        """Return the same directions, made once and for all."""
        return DrawnDirections([partial(_itself, along) for along in self])

    def __add__(self, others: DrawnDirections) -> DrawnDirections:
        return DrawnDirections((*self._makers, *others._makers))


def _itself(direction: Floats) -> Floats:
    return direction


@dataclass(frozen=True, eq=False)
class Probed:
    """A claim, the directions it is to be probed along, and what the first of them showed."""

    claim: Claim
    directions: DrawnDirections = field(default_factory=DrawnDirections)
    probes: tuple[ProbeMeasurement, ...] = ()

    @property
    def along(self) -> DrawnDirections:
        """The directions that could be measured."""
        return self.directions[: len(self.probes)]

    def and_along(self, directions: DrawnDirections, probes: Iterable[ProbeMeasurement]) -> Probed:
        """Return what is known with more directions."""
        return replace(
            self, directions=self.directions + directions, probes=(*self.probes, *probes)
        )


def probe_parameters(
    task: Task, conditions: Conditions, claims: Mapping[str, Claim]
) -> dict[str, Probed]:
    """Probe all parameters: together as far as that says all there is to say, then one by one."""
    shared, doubt = _together(task, conditions, claims)
    # Some parameter has to account for what was seen in all of them.
    sharpest = PART_OF_DOUBT * doubt if doubt else math.inf
    return {
        name: _with_eigen(task, conditions, shared[name])
        if name in shared
        else probe_parameter(task, conditions, claim, sharpest)
        for name, claim in claims.items()
    }


def _together(
    task: Task, conditions: Conditions, claims: Mapping[str, Claim]
) -> tuple[dict[str, Probed], float]:
    """Return the parameters that directions through all of them say enough of, and any doubt.

    All parameters where the time runs out. A doubt is how far the loss is off along a direction.
    """
    if len(claims) < FEWEST_TOGETHER or any(claim.is_random for claim in claims.values()):
        return {}, 0.0
    found = {name: Probed(claim) for name, claim in claims.items()}
    # Where entries are compared too, directions need not exclude all chance.
    lacks = are_coarse if task.plan.compares_entries else needs_another
    lacking = found
    for number in range(max(task.plan.probes, MOST_PROBES)):
        if number >= task.plan.probes and all(map(_is_coarse, lacking.values())):
            break  # more directions would not be sharper
        if task.budget.is_spent():
            left = range(number, max(number + 1, task.plan.probes))
            cut = {n: _random(task, conditions, one.claim, left) for n, one in found.items()}
            return {name: one.and_along(cut[name], ()) for name, one in found.items()}, 0.0
        along = {n: _random(task, conditions, claim, [number]) for n, claim in claims.items()}
        if task.plan.layered:  # they are looked at again, to certify
            along = {name: one.kept() for name, one in along.items()}
        # Nobody holds on to a direction while the next is drawn.
        seen = measure_together(
            task.evaluator, conditions, claims, {name: one[0] for name, one in along.items()}
        )
        if isinstance(seen, float):
            return {}, seen
        found = {name: one.and_along(along[name], [seen[name]]) for name, one in found.items()}
        lacking = {n: one for n, one in found.items() if lacks(one.probes, one.claim)}
        if len(lacking) == len(found) and all(map(_is_coarse, lacking.values())):
            return {}, 0.0
    return {name: one for name, one in found.items() if name not in lacking}, 0.0


def _is_coarse(probed: Probed) -> bool:
    return are_coarse(probed.probes, probed.claim)


def probe_parameter(
    task: Task, conditions: Conditions, claim: Claim, sharpest: float = math.inf
) -> Probed:
    """Probe a parameter along random directions and eigenvectors, as far as time allows.

    Parameters
    ----------
    sharpest: error bar that random directions have to have, if they can
    """
    probed = Probed(claim)
    while (number := len(probed.directions)) < task.plan.probes or (
        not task.plan.compares_entries
        and number < MOST_PROBES
        and needs_another(probed.probes, claim)
    ):
        along = _random(task, conditions, claim, [number])
        probed = _measured_along(task, conditions, probed, along, sharpest)
    return _with_eigen(task, conditions, probed)


def _with_eigen(task: Task, conditions: Conditions, probed: Probed) -> Probed:
    """Return a probed parameter with what eigenvectors show besides, as far as time allows."""
    claim, along = probed.claim, task.eigen.get(probed.claim.name, ())
    if not along:
        return probed
    from gradcheck.eigen import of_usual_size

    fit = partial(fitting, task.evaluator, conditions, claim.name)
    eigen = DrawnDirections([partial(fit, one) for one in along])
    seen = _measured_along(task, conditions, Probed(claim), eigen)
    return probed.and_along(eigen, [of_usual_size(probe, claim) for probe in seen.probes])


def _random(
    task: Task, conditions: Conditions, claim: Claim, numbers: Iterable[int]
) -> DrawnDirections:
    """Return the random directions of these numbers."""

    def drawn(number: int) -> Floats:
        along = random_direction(claim.scale, task.seed, claim.name, number)
        return fitting(task.evaluator, conditions, claim.name, along)

    return DrawnDirections([partial(drawn, number) for number in numbers])


def _measured_along(
    task: Task,
    conditions: Conditions,
    probed: Probed,
    directions: DrawnDirections,
    sharpest: float = math.inf,
) -> Probed:
    """Return what is known with more directions, as far as time allows."""
    probes: list[ProbeMeasurement] = []
    for along in directions:
        if task.budget.is_spent():
            break
        probes.append(measure_probe(task.evaluator, conditions, probed.claim, along, sharpest))
    return probed.and_along(directions, probes)
