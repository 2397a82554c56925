"""The self-test: it says what is so, and it fails where the checker does."""

from dataclasses import replace

import numpy as np
import pytest

from gradcheck import measuring, self_test
from gradcheck.parameters import flatten
from gradcheck.planted_faults import FAULTS
from gradcheck.self_test import SUBJECTS, SelfTest, Trial, run_self_test
from gradcheck.verdict import Judgement

SIGMOID = replace(SUBJECTS[0], seeds=1)


@pytest.fixture(scope="module")
def result():
    return run_self_test()


@pytest.fixture
def quickly(monkeypatch):
    """Leave one network and one set of parameters."""
    monkeypatch.setattr(self_test, "SUBJECTS", (SIGMOID,))


def judging(monkeypatch, verdict, resolution):
    """Put a checker in place that has made up its mind."""
    judgement = Judgement(verdict, "", "none", resolution, all_zero=False, kinks=0)
    monkeypatch.setattr(measuring, "judge", lambda *measurements: judgement)


def test_everything_is_caught_and_placed_but_what_is_below_resolution(result):
    assert result.ok
    for trial in result.planted:
        tiny = trial.subject == "float32" and trial.fault == "one entry off by 1e-6"
        assert trial.outcome in (["caught", "below resolution"] if tiny else ["caught"]), trial
        assert trial.placed == (trial.outcome == "caught"), trial


def test_no_correct_gradient_is_accused(result):
    assert {trial.outcome for trial in result.correct} == {"accepted"}
    assert len(result.correct) == 2 * sum(subject.seeds for subject in SUBJECTS)


def test_every_fault_is_planted_in_every_network_that_can_have_it(result):
    planted = {(trial.subject, trial.fault) for trial in result.planted}
    for subject in SUBJECTS:
        square = subject.builtin == "reference"
        for fault in FAULTS:
            possible = square or fault.name != "square weight transposed"
            assert ((subject.name, fault.name) in planted) == possible


def test_it_takes_a_few_seconds(result):
    assert result.seconds < 20  # 4 seconds on one core that has little else to do


def test_it_is_repeatable(quickly):
    first, second = run_self_test(3), run_self_test(3)
    assert first.trials == second.trials
    assert first.trials != run_self_test(4).trials


def test_a_checker_that_passes_everything_fails_it(quickly, monkeypatch):
    judging(monkeypatch, "pass", 1e-9)
    result = run_self_test()
    assert not result.ok
    assert {trial.outcome for trial in result.planted} == {"missed"}
    assert {trial.outcome for trial in result.correct} == {"accepted"}


def test_a_checker_that_accuses_everything_fails_it(quickly, monkeypatch):
    judging(monkeypatch, "fail", None)
    result = run_self_test()
    assert not result.ok
    assert {trial.outcome for trial in result.correct} == {"accused"}
    # All parameters fail, so that only what is wrong in all of them is placed, if at all.
    assert {trial.fault for trial in result.planted if trial.placed} <= {"1/batch forgotten"}


def test_a_checker_that_decides_nothing_fails_it_unless_it_admits_to_see_nothing(
    quickly, monkeypatch
):
    judging(monkeypatch, "inconclusive", 1e-9)
    assert not run_self_test().ok
    judging(monkeypatch, "inconclusive", None)
    result = run_self_test()
    assert result.ok
    assert {trial.outcome for trial in result.planted} == {"below resolution"}


def test_a_checker_blind_to_small_errors_is_told_apart_from_one_that_says_so(quickly, monkeypatch):
    judging(monkeypatch, "pass", 1e-2)
    outcomes = {trial.fault: trial.outcome for trial in run_self_test().planted}
    assert outcomes["one entry off by 1e-4"] == "below resolution"
    assert outcomes["bias off by 0.1 %"] == "below resolution"
    assert outcomes["weight doubled"] == "missed"


def test_a_self_test_without_trials_proves_nothing():
    assert not SelfTest((), 0.0).ok


def test_trials_are_sorted_into_planted_and_correct():
    trials = [
        Trial("sigmoid", 0, str(number), outcome, True, 0.0)
        for number, outcome in enumerate(
            ["caught", "missed", "below resolution", "accepted", "accused"]
        )
    ]
    result = SelfTest(tuple(trials), 1.0)
    assert [trial.outcome for trial in result.planted] == ["caught", "missed", "below resolution"]
    assert [trial.outcome for trial in result.correct] == ["accepted", "accused"]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_changes_what_it_says_and_nothing_else(fault):
    rng = np.random.default_rng(0)
    shapes = {"layer1.weight": (3, 4), "layer2.weight": (4, 4), "layer2.bias": (4,)}
    right = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    wrong = {name: array.copy() for name, array in right.items()}
    fault.spoil(wrong, 5)
    ratio = {name: wrong[name] / right[name] for name in right}
    weight, bias = ratio.pop("layer2.weight"), ratio.pop("layer2.bias")
    everything = fault.name == "1/batch forgotten"
    np.testing.assert_allclose(ratio["layer1.weight"], 5.0 if everything else 1.0)
    of_bias = {"bias negated": -1.0, "bias off by 0.1 %": 1.001, "1/batch forgotten": 5.0}
    np.testing.assert_allclose(bias, of_bias.get(fault.name, 1.0))
    of_weight = {
        "weight doubled": 16,
        "square weight transposed": 12,
        "1/batch forgotten": 16,
        "column of zeros": 4,
        "two rows swapped": 8,
        "one entry off by 1e-2": 1,
        "one entry off by 1e-4": 1,
        "one entry off by 1e-6": 1,
    }
    assert np.count_nonzero(weight != 1.0) == of_weight.get(fault.name, 0)
    if fault.name.startswith("one entry"):
        assert np.max(np.abs(weight - 1)) == pytest.approx(float(fault.name[-4:]))


def test_the_float32_network_is_in_float32_throughout():
    problem = self_test._drawn(SUBJECTS[-1], 0)
    gradient = flatten(problem.gradient(problem.parameters, *problem.args))
    assert {array.dtype for array in gradient.values()} == {np.dtype("float32")}
