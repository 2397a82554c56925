"""What it takes to believe a cause."""

from dataclasses import replace

import numpy as np
import pytest

from gradcheck import Problem, check
from gradcheck.diagnosis.causes import CONSTANT_FACTOR, PERMUTATION, SPARSE_ENTRY
from gradcheck.diagnosis.facts import Explanation

SEEDS = range(10)


def doubled(true, _):
    return {name: 2.0 * array for name, array in true.items()}


def noisy(problem, deviation):
    """Return the problem with a loss that jitters, always in the same way at the same point."""

    def loss(parameters, *args):
        where = float(sum(np.sum(array * 1e3) for array in parameters.values()))
        jitter = deviation * np.sin(1e12 * (where + 0.1) ** 2)
        return problem.loss(parameters, *args) + jitter

    return replace(problem, loss=loss)


def repair(array, **fields):
    given = {"code": CONSTANT_FACTOR, "repaired": {"W": array}, "evidence": "it is so"}
    return Explanation(**(given | fields))


def test_the_true_gradient_is_proved(waves, proof_of):
    for seed in range(3):
        problem = waves({"W": (3, 4)}, seed)
        case = proof_of(problem.problem(doubled))
        (resolution,) = case.proof.proved(repair(problem.true["W"])).values()
        assert 0.0 < resolution < 1e-6


@pytest.mark.parametrize("position", range(12))
def test_a_repair_that_is_wrong_in_one_entry_is_rejected(position, waves, proof_of):
    problem = waves({"W": (3, 4)})
    case = proof_of(problem.problem(doubled))
    array = problem.true["W"].copy()
    array.reshape(-1)[position] *= 1.0001
    for fitted in (False, True):
        assert case.proof.proved(repair(array, fitted=fitted)) == {}


def test_a_repair_that_fits_where_it_was_fitted_only_is_rejected(waves, proof_of):
    for seed in range(5):
        problem = waves({"W": (3, 4)}, seed)
        case = proof_of(problem.problem(doubled))
        array = case.facts.analytic["W"].copy()
        fitted_to = case.facts.samples["W"].positions
        array.reshape(-1)[fitted_to] = problem.true["W"].reshape(-1)[fitted_to]
        assert case.facts.fits("W", array)
        assert case.proof.proved(repair(array, fitted=True)) == {}


def test_a_repair_that_is_wrong_where_nothing_was_measured_is_rejected(waves, proof_of):
    # Of 6,000 entries a few are compared; random directions see them all.
    problem = waves({"W": (60, 100)})
    case = proof_of(problem.problem(doubled), effort="quick")
    sample = case.facts.known["W"]
    assert len(sample.positions) < 600
    assert case.proof.proved(repair(problem.true["W"]))
    array = problem.true["W"].copy()
    elsewhere = np.setdiff1d(np.arange(array.size), sample.positions)
    array.reshape(-1)[elsewhere[0]] *= 1.01
    assert case.facts.fits("W", array)
    assert case.proof.proved(repair(array)) == {}


def test_what_is_not_finite_is_rejected(waves, proof_of):
    problem = waves({"W": (3, 4)})
    case = proof_of(problem.problem(doubled))
    for bad in (np.nan, np.inf):
        array = problem.true["W"].copy()
        array[1, 1] = bad
        assert case.proof.proved(repair(array)) == {}


def test_the_original_gradient_is_no_repair_of_itself(waves, proof_of):
    case = proof_of(waves({"W": (3, 4)}).problem(doubled))
    assert case.proof.proved(repair(case.facts.analytic["W"])) == {}


def test_one_of_many_has_to_be_right_to_more_digits(waves, proof_of):
    problem = waves({"s": ()})
    case = proof_of(problem.problem(doubled))
    explanation = replace(repair(problem.true["s"]), repaired={"s": problem.true["s"]})
    # A lone number counts nine digits at most: six to be believed, three to choose by.
    assert case.proof.proved(replace(explanation, tries=100))
    assert not case.proof.proved(replace(explanation, tries=10_000))


def test_what_is_fitted_to_a_lone_entry_proves_nothing(waves, proof_of):
    for shape in ((), (1,), (1, 1)):
        problem = waves({"W": shape})
        case = proof_of(problem.problem(doubled))
        assert case.proof.proved(repair(problem.true["W"]))
        assert case.proof.proved(repair(problem.true["W"], fitted=True)) == {}


def test_what_is_fitted_to_the_only_entry_that_is_not_zero_proves_nothing(waves, only_error):
    for seed in SEEDS:
        problem = waves({"W": (4,)}, seed)
        problem.heights["W"][1:] = 0.0
        report = problem.checked(lambda true, _: {"W": 1.7 * true["W"]}, seed=seed)
        assert only_error(report).slug in {"sparse_entry", "unexplained"}


def test_two_entries_are_enough_for_a_fitted_constant(waves, only_error):
    for seed in SEEDS:
        report = waves({"W": (2,)}, seed).checked(lambda true, _: {"W": 1.7 * true["W"]})
        found = only_error(report)
        assert found.slug == "constant_factor"
        # In another order, some factor fits the fitted entry as well, and not the other one.
        assert found.alternatives == ()


def test_a_part_is_proved_by_what_is_right_and_what_is_wrong(waves, proof_of):
    problem = waves({"W": (3, 4)})
    mask = np.zeros((3, 4), dtype=bool)
    mask[1, 2] = True

    def fault(true, _):
        return {"W": np.where(mask, 2.0 * true["W"], true["W"])}

    case = proof_of(problem.problem(fault))
    claimed = case.facts.analytic["W"]
    part = repair(claimed, code=SPARSE_ENTRY, unknown={"W": mask})
    assert case.proof.proved(part) == {"W": None}
    # Elsewhere, all is right: a part that holds no wrong entry, and one that lacks it.
    other = np.roll(mask, 1)
    assert case.proof.proved(replace(part, unknown={"W": other})) == {}
    assert case.proof.proved(replace(part, unknown={"W": mask & ~mask})) == {}


def test_a_known_part_and_a_repaired_rest_are_proved_together(waves, proof_of):
    problem = waves({"W": (3, 4)})
    mask = np.zeros((3, 4), dtype=bool)
    mask[1] = True

    def fault(true, _):
        return {"W": np.where(mask, true["W"] ** 2, 2.0 * true["W"])}

    case = proof_of(problem.problem(fault))
    good = repair(problem.true["W"], unknown={"W": mask})
    assert case.proof.proved(good) == {"W": None}
    wrong = np.where(mask, 0.0, 1.001 * problem.true["W"])
    assert case.proof.proved(replace(good, repaired={"W": wrong})) == {}


@pytest.mark.parametrize("shape", [(), (3,)])
def test_where_all_is_unknown_no_repair_is_proved(shape, waves, proof_of):
    problem = waves({"W": shape})
    case = proof_of(problem.problem(doubled))
    unknown = {"W": np.ones(shape, dtype=bool)}
    assert case.proof.proved(repair(problem.true["W"], unknown=unknown)) == {}
    assert case.proof.proved(repair(case.facts.analytic["W"], unknown=unknown)) == {"W": None}


def test_parameters_are_proved_one_by_one(waves, proof_of):
    problem = waves({"a": (3,), "b": (3,)})
    case = proof_of(problem.problem(doubled))
    both = replace(repair(0.0), repaired={"a": problem.true["a"], "b": 1.01 * problem.true["b"]})
    assert set(case.proof.proved(both)) == {"a"}


def test_bounds_that_turn_directions_round_do_not_hide_the_digits(waves, only_error):
    # Every entry lies on its lower bound: directions can only go up.
    for seed in SEEDS:
        problem = waves({"W": (3, 4)}, seed)
        lower = {"W": problem.parameters["W"].copy()}
        report = problem.checked(
            lambda true, _: {"W": 1.7 * true["W"]}, bounds=(lower, None), effort="quick"
        )
        found = only_error(report)
        assert found.slug == "constant_factor"
        assert float(found.evidence.partition("it passes to ")[2]) < 1e-6


@pytest.mark.parametrize("deviation", [3e-2, 1e-3])
def test_noise_leaves_no_room_for_accidents(deviation, waves):
    # Unrelated numbers of the size of the true ones: some constant, order or penalty is always
    # near, and the noise would let it pass.
    named = []
    for seed in range(15):
        problem = waves({"W": (3,)}, seed)
        other = waves({"W": (3,)}, seed + 1000).true["W"]
        report = check(
            noisy(problem.problem(lambda true, _, other=other: {"W": other}), deviation), seed=seed
        )
        named += [finding.slug for finding in report.findings if finding.severity == "error"]
    assert set(named) <= {"unexplained"}
    assert named


def test_noise_of_a_wide_bar_proves_no_lone_factor(waves):
    named = []
    for seed in range(15):
        problem = waves({"s": ()}, seed).problem(lambda true, _: {"s": 2.0 * true["s"]})
        report = check(noisy(problem, 1e-3), seed=seed)
        named += [finding.slug for finding in report.findings if finding.severity == "error"]
    assert set(named) <= {"unexplained"}
    assert named


def test_a_transpose_is_still_named_through_some_noise(waves):
    for seed in range(5):
        problem = waves({"W": (6, 6)}, seed).problem(lambda true, _: {"W": true["W"].T})
        report = check(noisy(problem, 1e-6), seed=seed)
        named = [finding.slug for finding in report.findings if finding.severity == "error"]
        assert named == ["transposed"]


def test_a_wrong_permutation_of_many_is_not_believed_for_its_many_tries(waves, proof_of):
    problem = waves({"W": (4,)})
    case = proof_of(noisy(problem.problem(lambda true, _: {"W": true["W"][[1, 0, 3, 2]]}), 1e-4))
    explanation = repair(problem.true["W"], code=PERMUTATION)
    assert case.proof.proved(explanation)
    assert case.proof.proved(replace(explanation, tries=10**30)) == {}


def test_a_gradient_that_is_an_array_is_diagnosed_too(waves, only_error):
    problem = waves({"W": (3, 4)})
    given = Problem(problem.loss, {"W": -problem.true["W"]}, problem.parameters)
    assert only_error(check(given)).slug == "sign_flip"
