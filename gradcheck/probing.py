"""One parameter probed: along how many directions, and which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from gradcheck.budget import Budget
from gradcheck.directions import Floats, random_direction
from gradcheck.eigen import of_usual_size
from gradcheck.execution import Evaluator
from gradcheck.ladder import Conditions
from gradcheck.options import Directions, Method
from gradcheck.plan import Plan
from gradcheck.probes import Claim, ProbeMeasurement, fitting, measure_probe
from gradcheck.shared_probes import measure_together
from gradcheck.verdict import are_coarse, needs_another

# Random directions at most, where the first leave a chance of a miss.
MOST_PROBES = 4
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

    def and_along(self, direction: Floats, probe: ProbeMeasurement) -> Probed:
        """Return what is known with one more direction."""
        return replace(self, directions=(*self.directions, direction), probes=(*self.probes, probe))


def probe_parameters(
    task: Task, conditions: Conditions, claims: Mapping[str, Claim]
) -> dict[str, Probed]:
    """Probe all parameters: together as far as that says all there is to say, then one by one."""
    shared = _together(task, conditions, claims) if task.method == "auto" else {}
    return {
        name: _with_eigen(task, conditions, shared[name])
        if name in shared
        else probe_parameter(task, conditions, claim)
        for name, claim in claims.items()
    }


def _together(task: Task, conditions: Conditions, claims: Mapping[str, Claim]) -> dict[str, Probed]:
    """Return the parameters that directions through all of them say enough of."""
    if len(claims) < FEWEST_TOGETHER or any(claim.jitter.any() for claim in claims.values()):
        return {}
    found = {name: Probed(claim, (), ()) for name, claim in claims.items()}
    lacking = found
    for number in range(max(task.plan.probes, MOST_PROBES)):
        if number >= task.plan.probes and all(map(_is_coarse, lacking.values())):
            break  # more directions would not be sharper
        along = {n: _direction(task, conditions, claim, number) for n, claim in claims.items()}
        seen = measure_together(task.evaluator, conditions, claims, along)
        if not seen or task.budget.is_spent():
            return {}
        found = {name: one.and_along(along[name], seen[name]) for name, one in found.items()}
        lacking = {n: one for n, one in found.items() if needs_another(one.probes, one.claim)}
        if len(lacking) == len(found) and all(map(_is_coarse, lacking.values())):
            return {}
    return {name: one for name, one in found.items() if name not in lacking}


def _is_coarse(probed: Probed) -> bool:
    return are_coarse(probed.probes, probed.claim)


def probe_parameter(task: Task, conditions: Conditions, claim: Claim) -> Probed:
    """Probe a parameter along random directions and eigenvectors, as far as time allows."""
    planned = [_direction(task, conditions, claim, number) for number in range(task.plan.probes)]
    probes = _along(task, conditions, claim, planned)
    while not task.plan.sweep and len(planned) < MOST_PROBES and needs_another(probes, claim):
        planned.append(_direction(task, conditions, claim, len(planned)))
        probes += _along(task, conditions, claim, planned[-1:])
    return _with_eigen(task, conditions, Probed(claim, tuple(planned), tuple(probes)))


def _with_eigen(task: Task, conditions: Conditions, probed: Probed) -> Probed:
    """Return a probed parameter with what eigenvectors show besides, as far as time allows."""
    claim = probed.claim
    eigen = [
        fitting(task.evaluator, conditions, claim.name, along)
        for along in task.eigen.get(claim.name, ())
    ]
    seen = [of_usual_size(probe, claim) for probe in _along(task, conditions, claim, eigen)]
    return Probed(claim, (*probed.directions, *eigen), (*probed.probes, *seen))


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
