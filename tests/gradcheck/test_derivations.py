"""The derivations of the 2-2-2 network under the checker, in float64 and in float32."""

from dataclasses import replace

import numpy as np
import pytest

from gradcheck import check
from gradcheck.targets import load_targets
from mlp import derivations
from mlp.problems import two_two_two

TARGETS = ["by_hand", "by_tape", "by_matrices", "one_weight", "two_variables"]
FRAMEWORKS = [pytest.param("by_framework", marks=pytest.mark.frameworks)]
SEEDS = range(20)


@pytest.mark.usefixtures("project")  # away from a folder that has an mlp of its own
@pytest.mark.parametrize("name", [*TARGETS, *FRAMEWORKS])
def test_every_derivation_is_a_target_that_passes(name):
    (target,) = load_targets(f"mlp.derivations:{name}")
    assert target.problem.name == name
    for seed in range(5):
        assert check(target.problem, seed=seed).verdict == "pass", seed


@pytest.mark.parametrize("name", ["by_hand", "by_tape", "by_matrices", *FRAMEWORKS])
def test_a_slip_in_a_derivation_is_found_in_its_weights(name):
    problem = getattr(derivations, name)()

    def slipped(*args):
        gradient = problem.gradient(*args)
        return gradient | {"V": gradient["V"].T}

    report = check(replace(problem, gradient=slipped))
    assert {p.name: p.verdict for p in report.parameters} == {"W": "pass", "V": "fail"}


def at_another_point(seed):
    """Return the problem in float32 where hidden unit 1 is at 14.8 to 17.2."""
    problem = derivations.in_float32()
    rng = np.random.default_rng(seed)
    moved = {
        name: (array + rng.uniform(-0.3, 0.3, array.shape)).astype(np.float32)
        for name, array in problem.parameters.items()
    }
    return replace(problem, parameters=moved)


def codes(report):
    return {finding.code for finding in report.findings}


def test_float32_never_fails_and_is_said_to_be_limited_by_precision():
    for seed in SEEDS:
        report = check(derivations.in_float32(), seed=seed)
        assert report.verdict != "fail", seed
        assert "GC122" in codes(report), seed
        (finding,) = [f for f in report.findings if f.code == "GC122"]
        assert finding.parameters == ("W",)
        assert finding.severity == "note"


@pytest.mark.parametrize("effort", ["quick", "exhaustive"])
def test_float32_fails_with_no_effort(effort):
    assert check(derivations.in_float32(), effort=effort).verdict != "fail"


def test_float32_fails_at_no_point_nearby():
    verdicts = [check(at_another_point(seed)).verdict for seed in range(40)]
    assert verdicts.count("fail") == 0


def test_float32_of_a_network_that_shows_its_layers_never_fails():
    problem = two_two_two()
    lowered = {
        name: {key: value.astype(np.float32) for key, value in values.items()}
        for name, values in problem.parameters.items()
    }
    args = tuple(array[:1].astype(np.float32) for array in problem.args)
    for seed in SEEDS:
        report = check(replace(problem, parameters=lowered, args=args), seed=seed)
        assert report.verdict != "fail", seed
        assert "GC122" in codes(report), seed
