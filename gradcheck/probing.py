"""One parameter probed: along how many directions, and which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gradcheck.budget import Budget
from gradcheck.directions import Floats, random_direction
from gradcheck.eigen import of_usual_size
from gradcheck.execution import Evaluator
from gradcheck.ladder import Conditions
from gradcheck.options import Directions, Method
from gradcheck.plan import Plan
from gradcheck.probes import Claim, ProbeMeasurement, fitting, measure_probe
from gradcheck.verdict import needs_another

# Random directions at most, where the first leave a chance of a miss.
MOST_PROBES = 4


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


@dataclass(frozen=True)
class Probed:
    """A claim, the directions it is to be probed along, and what the first of them showed."""

    claim: Claim
    directions: tuple[Floats, ...]
    probes: tuple[ProbeMeasurement, ...]

    @property
    def along(self) -> tuple[Floats, ...]:
        """The directions that could be measured."""
        return self.directions[: len(self.probes)]


def probe_parameter(task: Task, conditions: Conditions, claim: Claim) -> Probed:
    """Probe a parameter along random directions and eigenvectors, as far as time allows."""
    planned = [_direction(task, conditions, claim, number) for number in range(task.plan.probes)]
    probes = _along(task, conditions, claim, planned)
    while not task.plan.sweep and len(planned) < MOST_PROBES and needs_another(probes, claim):
        planned.append(_direction(task, conditions, claim, len(planned)))
        probes += _along(task, conditions, claim, planned[-1:])
    eigen = [
        fitting(task.evaluator, conditions, claim.name, along)
        for along in task.eigen.get(claim.name, ())
    ]
    along_eigen = _along(task, conditions, claim, eigen)
    probes += [of_usual_size(probe, claim) for probe in along_eigen]
    return Probed(claim, (*planned, *eigen), tuple(probes))


def _direction(task: Task, conditions: Conditions, claim: Claim, number: int) -> Floats:
    along = random_direction(claim.scale, task.seed, claim.name, number)
    return fitting(task.evaluator, conditions, claim.name, along)


def _along(
    task: Task, conditions: Conditions, claim: Claim, directions: Sequence[Floats]
) -> list[ProbeMeasurement]:
    """Return the probes along directions, as far as time allows."""
    probes: list[ProbeMeasurement] = []
    for along in directions:
        if task.budget.is_spent():
            break
        probes.append(measure_probe(task.evaluator, conditions, claim, along))
    return probes
