"""GC212: gradients that are cut off."""

import numpy as np
import pytest

from gradcheck.diagnosis.clipped import clipped, clipped_norm

SEEDS = range(10)


def cut(limit):
    return lambda true, _: {name: np.clip(array, -limit, limit) for name, array in true.items()}


def to_norm(size):
    def fault(true, _):
        whole = np.sqrt(sum(np.sum(array**2) for array in true.values()))
        return {name: array * size / whole for name, array in true.items()}

    return fault


def limit_of(true):
    """Return a limit that some entries are beyond, and some are not."""
    return float(np.median(np.abs(true)))


@pytest.mark.parametrize("shape", [(6,), (3, 4), (2, 3, 2)])
def test_a_limit_is_proposed_with_what_lies_at_it(shape, waves, facts_of_array):
    for seed in SEEDS:
        true = waves({"W": shape}, seed).true["W"]
        limit = limit_of(true)
        facts = facts_of_array(true, np.clip(true, -limit, limit), seed=seed)
        (found,) = clipped(facts)
        assert found.details == {"limit": pytest.approx(limit)}
        beyond = np.abs(true) > limit
        assert np.array_equal(found.unknown["W"] & beyond, beyond)
        np.testing.assert_array_equal(found.repaired["W"][~beyond], true[~beyond])


@pytest.mark.parametrize("size", [1e150, 1e-200])
def test_the_size_of_a_gradient_does_not_matter(size, waves, facts_of_array):
    true = size * waves({"W": (3, 4)}).true["W"]
    limit = limit_of(true)
    (found,) = clipped(facts_of_array(true, np.clip(true, -limit, limit)))
    assert found.details == {"limit": pytest.approx(limit)}


def test_a_limit_that_a_single_entry_has_is_none(waves, facts_of_array):
    for seed in SEEDS:
        true = waves({"W": (3, 4)}, seed).true["W"]
        second = np.sort(np.abs(true).reshape(-1))[-2]
        claimed = np.clip(true, -1.0001 * second, 1.0001 * second)
        assert list(clipped(facts_of_array(true, claimed, failing=("W",), seed=seed))) == []


def test_entries_that_share_a_size_and_are_too_large_are_not_cut_off(waves, facts_of_array):
    for seed in SEEDS:
        true = waves({"W": (3, 4)}, seed).true["W"]
        claimed = np.where(np.abs(true) > 0.8, 3.0 * np.sign(true), true)
        assert list(clipped(facts_of_array(true, claimed, seed=seed))) == []


def test_a_cut_with_another_wrong_entry_is_not_proposed(waves, facts_of_array):
    for seed in SEEDS:
        true = waves({"W": (6, 6)}, seed).true["W"]
        limit = limit_of(true)
        claimed = np.clip(true, -limit, limit)
        facts = facts_of_array(true, claimed, seed=seed)
        small = np.abs(facts.known["W"].of(claimed)) < limit
        claimed.reshape(-1)[facts.known["W"].positions[small][0]] *= 0.99
        assert list(clipped(facts_of_array(true, claimed, seed=seed))) == []


def test_signs_instead_of_slopes_are_not_cut_off(waves, facts_of_array):
    # No entry shows that smaller ones would be left as they are.
    for seed in SEEDS:
        true = 3.0 * waves({"W": (3, 4)}, seed).true["W"]
        true = np.where(np.abs(true) > 1.0, true, 2.0 * np.sign(true))
        assert list(clipped(facts_of_array(true, np.sign(true), seed=seed))) == []


@pytest.mark.parametrize("size", [1.0, 0.5, 0.01, 0.2, 0.25])
def test_a_round_norm_is_proposed_and_undone(size, waves, facts_of):
    for seed in SEEDS:
        true = waves({"a": (3, 4), "b": (5,)}, seed).true
        claimed = to_norm(size)(true, None)
        (found,) = clipped_norm(facts_of(true, claimed, seed=seed))
        assert found.details == {"norm": pytest.approx(size)}
        for name, array in found.repaired.items():
            np.testing.assert_allclose(array, true[name], rtol=1e-8)


def test_any_other_norm_is_a_factor(waves, facts_of):
    true = waves({"a": (3, 4), "b": (5,)}).true
    assert list(clipped_norm(facts_of(true, to_norm(0.3)(true, None)))) == []


def test_a_norm_that_is_longer_than_the_true_one_is_no_cut(waves, facts_of):
    true = waves({"a": (3, 4), "b": (5,)}).true
    assert list(clipped_norm(facts_of(true, to_norm(100.0)(true, None)))) == []


def test_gradients_cut_to_a_norm_one_by_one_are_proposed(waves, facts_of):
    true = waves({"a": (3, 4), "b": (5,)}).true
    claimed = {name: array / np.linalg.norm(array) for name, array in true.items()}
    found = list(clipped_norm(facts_of(true, claimed)))
    assert [tuple(one.repaired) for one in found] == [("a",), ("b",)]


def test_a_zero_gradient_is_not_cut_off(waves, facts_of_array):
    true = waves({"W": (3, 4)}).true["W"]
    facts = facts_of_array(true, 0.0 * true)
    assert [*clipped(facts), *clipped_norm(facts)] == []


def test_a_known_factor_is_more_likely_than_a_norm(waves, facts_of_array):
    true = waves({"W": (3, 4)}).true["W"]
    true *= 2.0 / np.linalg.norm(true)
    assert list(clipped_norm(facts_of_array(true, true / 2.0))) == []


def test_equal_entries_have_a_round_norm_by_accident(facts_of_array):
    true = np.full(4, 1.7)
    assert list(clipped_norm(facts_of_array(true, np.full(4, 0.25)))) == []


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_limit_is_named(dtype, waves, only_error):
    problem = waves({"W": (3, 4), "b": (4,)}, dtype=dtype)
    problem.heights["b"][...] = 0.1
    report = problem.checked(cut(0.75))
    found = only_error(report)
    beyond = np.abs(problem.true["W"]) > 0.75
    assert found.slug == "clipped"
    assert found.parameters == ("W",)
    assert found.told.startswith(
        f"{beyond.sum()} of 12 entries are exactly 0.75 or -0.75, where the numerical gradient is "
        "larger; all smaller entries agree"
    )
    assert found.details == {"limit": 0.75}
    assert np.array_equal(report["W"].wrong, beyond)


def test_one_limit_in_several_parameters_is_one_finding(waves, only_error):
    found = only_error(waves({"a": (3, 4), "b": (3, 4)}).checked(cut(0.75)))
    assert found.parameters == ("a", "b")
    assert found.details == {"limit": 0.75}


def test_a_norm_is_named(waves, only_error):
    for seed in SEEDS:
        problem = waves({"W": (3, 4), "b": (4,)}, seed)
        whole = np.sqrt(sum(np.sum(array**2) for array in problem.true.values()))
        found = only_error(problem.checked(to_norm(1.0)))
        assert found.slug == "clipped"
        assert found.parameters == ("W", "b")
        assert found.told == (
            "the analytic gradient has the norm 1 and is otherwise the numerical one, which is "
            f"{whole:.6g} times as long"
        )
        assert found.alternatives == ("constant_factor",)


def test_a_limit_that_a_single_entry_has_is_a_sparse_entry(waves, only_error):
    problem = waves({"W": (3, 4)})
    second = np.sort(np.abs(problem.true["W"]).reshape(-1))[-2]
    assert only_error(problem.checked(cut(1.01 * second))).slug == "sparse_entry"


def test_signs_instead_of_slopes_are_unexplained(waves, only_error):
    problem = waves({"W": (3, 4)}, size=10.0)
    assert np.min(np.abs(problem.true["W"])) > 1.0
    report = problem.checked(lambda true, _: {"W": np.sign(true["W"])})
    assert only_error(report).slug == "unexplained"
