"""Problems with a gradient in closed form, facts about wrong ones, and the proof of a check."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gradcheck import Problem, check, check_gradients
from gradcheck.diagnosis.facts import Facts, Sample
from gradcheck.diagnosis.gathering import gather
from gradcheck.diagnosis.proof import Proof
from gradcheck.execution import Evaluator
from gradcheck.measuring import measure_parameters
from gradcheck.plan import make_plan
from gradcheck.preflight import run_preflight
from gradcheck.probing import Task

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Waves:
    """The loss sum(A sin(W + B)) over all parameters W, whose gradient is A cos(W + B).

    No entry of the gradient is near zero, none is like another, and none is left out by symmetry.
    """

    parameters: dict[str, np.ndarray]
    heights: dict[str, np.ndarray]
    phases: dict[str, np.ndarray]
    size: float = 1.0
    extra: dict[str, Any] = field(default_factory=dict)

    def loss(self, parameters: Arrays, *_: Any) -> float:
        return float(
            sum(
                self.size * np.sum(self.heights[name] * np.sin(array + self.phases[name]))
                for name, array in parameters.items()
            )
        )

    def gradient(self, parameters: Arrays, *_: Any) -> dict[str, np.ndarray]:
        return {
            name: self.size * self.heights[name] * np.cos(array + self.phases[name])
            for name, array in parameters.items()
        }

    @property
    def true(self) -> dict[str, np.ndarray]:
        return self.gradient(self.parameters)

    def problem(self, fault: Callable, *, penalty: Callable | None = None, **fields: Any):
        """Return the problem with a gradient made wrong: fault(true gradients, parameters)."""

        def loss(parameters, *args):
            added = sum(penalty(array) for array in parameters.values()) if penalty else 0.0
            return self.loss(parameters, *args) + added

        def gradient(parameters, *args):
            wrong = fault(self.gradient(parameters, *args), parameters)
            return {
                name: np.asarray(array, parameters[name].dtype) for name, array in wrong.items()
            }

        return Problem(loss, gradient, self.parameters, **fields)

    def checked(self, fault: Callable, *, penalty: Callable | None = None, **given: Any):
        """Return the report of a check of the gradient made wrong by `fault`."""
        known = {key: given.pop(key) for key in ("sizes", "args", "layers") if key in given}
        return check(self.problem(fault, penalty=penalty, **known), **given)


def make_waves(shapes: Mapping[str, tuple[int, ...]], seed: int = 0, dtype=float, size=1.0):
    """Return a problem with a parameter of each of these shapes."""
    generator = np.random.default_rng([seed, 3])
    parameters, heights, phases = {}, {}, {}
    for name, shape in shapes.items():
        parameters[name] = np.asarray(generator.normal(size=shape), dtype)
        heights[name] = np.asarray(
            generator.uniform(0.5, 1.5, shape) * generator.choice([-1.0, 1.0], shape)
        )
        phases[name] = generator.uniform(-1.0, 1.0, shape) - parameters[name].astype(float)
    return Waves(parameters, heights, phases, size)


def make_facts(
    true: Arrays,
    claimed: Arrays,
    parameters: Arrays | None = None,
    *,
    bars: float = 1e-10,
    measured: float = 1.0,
    seed: int = 0,
    **fields: Any,
) -> Facts:
    """Return what a check would know: a half of what was measured is there to be fitted to.

    Parameters
    ----------
    bars: error bars, relative to the largest entry of the true gradient
    measured: part of the entries that were measured
    """
    generator = np.random.default_rng([seed, 5])
    known, samples, wrong = {}, {}, {}
    for name, array in true.items():
        count = max(1, round(measured * array.size))
        positions = np.sort(generator.permutation(array.size)[:count])
        bar = bars * float(np.max(np.abs(array), initial=0.0))
        whole = Sample(positions, array.reshape(-1)[positions], np.full(count, bar), array.size)
        known[name] = whole
        samples[name] = whole.chosen(np.sort(generator.permutation(count)[: (count + 1) // 2]))
        if measured == 1.0:
            wrong[name] = np.abs(claimed[name] - array) > 1e-6 * np.abs(array)
    differing = [name for name in true if not np.array_equal(true[name], claimed[name])]
    differing = fields.pop("failing", tuple(differing))
    given = {
        "analytic": dict(claimed),
        "parameters": dict(parameters or {name: np.ones_like(a) for name, a in true.items()}),
        "failing": differing,
        "passing": tuple(name for name in true if name not in differing),
        "samples": {name: samples[name] for name in differing},
        "known": {name: known[name] for name in differing},
        "wrong": {name: wrong[name] for name in differing if name in wrong and wrong[name].any()},
        "layer_of": {name: name for name in true},
    }
    return Facts(**(given | fields))


def make_proof(problem: Problem, seed: int = 0, effort: str = "auto") -> SimpleNamespace:
    """Return the facts about a wrong gradient, as a check gathers them, and what proves causes."""
    evaluator = Evaluator(problem)
    names = tuple(evaluator.original)
    flight = run_preflight(evaluator, names)
    plan = make_plan({name: evaluator.original[name].size for name in names}, effort)
    found = measure_parameters(Task(evaluator, names, plan, seed, None), flight)
    facts, rest = gather(
        problem,
        analytic=flight.analytic,
        parameters={name: array.astype(float) for name, array in evaluator.original.items()},
        measured=found.parameters,
        layer_of={name: name for name in names},
        seed=seed,
    )
    conditions = found.noise.conditions(plan.comparisons)
    proof = Proof(evaluator, conditions, found.parameters, rest, found.effect, seed)
    return SimpleNamespace(facts=facts, proof=proof, measured=found.parameters, rest=rest)


def errors_of(report) -> list:
    """Return the findings that are no notes.

    `told` is the evidence without what the repaired gradient was verified to.
    """
    return [
        SimpleNamespace(**vars(finding), told=finding.evidence.partition("; repaired, ")[0])
        for finding in report.findings
        if finding.severity == "error"
    ]


def the_error(report):
    """Return the only finding that is no note."""
    (finding,) = errors_of(report)
    return finding


def array_facts(true: np.ndarray, claimed: np.ndarray, parameter=None, **fields: Any) -> Facts:
    """Return the facts about one parameter, W."""
    return make_facts(
        {"W": true}, {"W": claimed}, None if parameter is None else {"W": parameter}, **fields
    )


@pytest.fixture
def waves():
    return make_waves


@pytest.fixture
def facts_of():
    return make_facts


@pytest.fixture
def facts_of_array():
    return array_facts


@pytest.fixture
def proof_of():
    return make_proof


@pytest.fixture
def errors():
    return errors_of


@pytest.fixture
def only_error():
    return the_error


@pytest.fixture
def checked_errors():
    return lambda *given, **options: errors_of(check_gradients(*given, **options))
