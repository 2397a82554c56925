"""Self-test: faults planted in the built-in networks, and what a check makes of them here."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gradcheck.checking import check
from gradcheck.choices import Effort
from gradcheck.directions import norm
from gradcheck.execution import Array
from gradcheck.parameters import flatten, rebuilder, select_names
from gradcheck.planted_faults import FAULTS, Fault, SpoiltGradient, round_to_float32
from gradcheck.problem import Problem
from gradcheck.report import GradientReport, ParameterReport
from gradcheck.targets import load_builtin

Outcome = Literal["caught", "missed", "below resolution", "accepted", "accused"]

# Weights of this size leave no unit saturated and none without a slope to speak of.
WEIGHT_SCALE = 0.5
CORRECT, ROUNDED = "correct", "correct, rounded to float32"


@dataclass(frozen=True)
class Subject:
    """A built-in network to plant faults in.

    Attributes
    ----------
    name: what the self-test calls it
    builtin: name of its problem
    seeds: how many sets of parameters are drawn for it
    samples: size of its batch; None for all
    effort: of its checks: larger networks are probed, and swept where a probe disagrees
    only: parameters to check; all if empty
    dtype: precision of its parameters and data
    """

    name: str
    builtin: str
    seeds: int
    samples: int | None = None
    effort: Effort = "auto"
    only: tuple[str, ...] = ()
    dtype: str = "float64"


SUBJECTS = (
    Subject("sigmoid", "reference", seeds=3),
    Subject("ReLU", "relu", seeds=2, samples=8, effort="quick", only=("layer2.*",)),
    Subject("softmax", "digits", seeds=1, samples=8, effort="quick", only=("layer2.*",)),
    Subject("float32", "reference", seeds=2, only=("layer2.*",), dtype="float32"),
)


@dataclass(frozen=True)
class Trial:
    """One check of a gradient that was known to be right or wrong.

    Attributes
    ----------
    subject, seed, fault: the network, its parameters, and what was planted
    outcome: of a planted fault "caught" (the check fails), "missed", or "below resolution" where
        the report itself says that it would not have seen so small an error; of a correct gradient
        "accepted" or "accused"
    placed: whether exactly the wrong parameters failed, and in them, where entries were compared
        one by one, exactly the wrong entries
    size: norm of the error over norm of the gradient, in the parameter where that is largest
    """

    subject: str
    seed: int
    fault: str
    outcome: Outcome
    placed: bool
    size: float


@dataclass(frozen=True)
class SelfTest:
    """All trials, and how long they took in seconds."""

    trials: tuple[Trial, ...]
    seconds: float

    @property
    def planted(self) -> tuple[Trial, ...]:
        """The trials with a fault."""
        return tuple(t for t in self.trials if t.outcome not in ("accepted", "accused"))

    @property
    def correct(self) -> tuple[Trial, ...]:
        """The trials without one."""
        return tuple(t for t in self.trials if t.outcome in ("accepted", "accused"))

    @property
    def ok(self) -> bool:
        """Whether nothing above the stated resolution was missed and nothing right accused."""
        return bool(self.trials) and all(
            t.outcome not in ("missed", "accused") for t in self.trials
        )


def run_self_test(seed: int = 0) -> SelfTest:
    """Plant every fault in every network and check it, and the correct networks too.

    Parameters
    ----------
    seed: of the parameters drawn and of the checks' random directions
    """
    started = time.perf_counter()
    trials = [
        trial
        for subject in SUBJECTS
        for number in range(seed, seed + subject.seeds)
        for trial in _trials(subject, number)
    ]
    return SelfTest(tuple(trials), time.perf_counter() - started)


def _trials(subject: Subject, seed: int) -> Iterator[Trial]:
    problem = _drawn(subject, seed)
    for fault in (Fault(CORRECT, lambda gradient, batch: None), Fault(ROUNDED, round_to_float32)):
        report = _checked(subject, seed, _spoilt(problem, fault))
        outcome: Outcome = "accused" if report.verdict == "fail" else "accepted"
        yield Trial(subject.name, seed, fault.name, outcome, True, 0.0)
    for fault in FAULTS:
        spoilt = _spoilt(problem, fault)
        errors = _errors(problem, spoilt, _selected(problem, subject))
        if errors:  # some faults change nothing in some networks
            report = _checked(subject, seed, spoilt)
            yield _judged(subject, seed, fault.name, report, errors)


def _drawn(subject: Subject, seed: int) -> Problem:
    """Return the built-in problem with other parameters, in the subject's precision."""
    builtin = load_builtin(subject.builtin).problem
    rng = np.random.default_rng([seed, *subject.name.encode()])
    parameters = {
        name: (WEIGHT_SCALE * rng.standard_normal(array.shape)).astype(subject.dtype)
        for name, array in flatten(builtin.parameters).items()
    }
    args = tuple(array[: subject.samples].astype(subject.dtype) for array in builtin.args)
    return Problem(
        builtin.loss,
        builtin.gradient,
        rebuilder(builtin.parameters)(parameters),
        args=args,
        sizes={"batch": len(args[0])},
    )


def _spoilt(problem: Problem, fault: Fault) -> Problem:
    gradient = SpoiltGradient(problem.gradient, fault.spoil, problem.sizes["batch"])
    return Problem(
        problem.loss, gradient, problem.parameters, args=problem.args, sizes=problem.sizes
    )


def _checked(subject: Subject, seed: int, problem: Problem) -> GradientReport:
    return check(problem, seed=seed, effort=subject.effort, only=subject.only)


def _selected(problem: Problem, subject: Subject) -> set[str]:
    return set(select_names(list(flatten(problem.parameters)), subject.only, ()))


@dataclass(frozen=True)
class _Error:
    """Which entries of a parameter's gradient are wrong, and the norm of that over its own."""

    wrong: Array
    size: float


def _errors(problem: Problem, spoilt: Problem, selected: set[str]) -> dict[str, _Error]:
    """Return the parameters that a fault made wrong."""
    right, wrong = (
        flatten(each.gradient(each.parameters, *each.args)) for each in (problem, spoilt)
    )
    return {
        name: _Error(right[name] != wrong[name], _relative(wrong[name] - right[name], right[name]))
        for name in right
        if name in selected and np.any(right[name] != wrong[name])
    }


def _relative(error: Array, gradient: Array) -> float:
    return norm(error) / max(norm(gradient), float(np.finfo(np.float64).tiny))


def _judged(
    subject: Subject, seed: int, fault: str, report: GradientReport, errors: Mapping[str, _Error]
) -> Trial:
    size = max(error.size for error in errors.values())
    if report.verdict == "fail":
        return Trial(subject.name, seed, fault, "caught", _is_placed(report, errors), size)
    unseen = all(_below_resolution(report[name], error) for name, error in errors.items())
    return Trial(subject.name, seed, fault, "below resolution" if unseen else "missed", False, size)


def _is_placed(report: GradientReport, errors: Mapping[str, _Error]) -> bool:
    failing = {part.name: part for part in report.parameters if part.verdict == "fail"}
    return failing.keys() == errors.keys() and all(
        part.wrong is None or np.array_equal(part.wrong, errors[name].wrong)
        for name, part in failing.items()
    )


def _below_resolution(part: ParameterReport, error: _Error) -> bool:
    return part.resolution is None or error.size <= part.resolution
