"""GC210, GC211: penalties that only the loss has, or only the gradient."""

import numpy as np
import pytest

from gradcheck.diagnosis.regularisation import regularisation

SEEDS = range(10)


def untouched(true, _):
    return true


def l2(strength):
    return lambda array: strength * float(np.sum(array**2))


def l1(strength):
    return lambda array: strength * float(np.sum(np.abs(array)))


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 2)])
@pytest.mark.parametrize("weight", [0.1, 1e-4, 30.0, -0.1])
@pytest.mark.parametrize("kind", ["W", "sign(W)"])
def test_a_multiple_is_proposed_and_added(shape, weight, kind, waves, facts_of_array):
    for seed in SEEDS:
        problem = waves({"W": shape}, seed)
        true, parameter = problem.true["W"], problem.parameters["W"]
        term = parameter if kind == "W" else np.sign(parameter)
        facts = facts_of_array(true, true - weight * term, parameter, seed=seed, bars=1e-12)
        (found,) = regularisation(facts)
        np.testing.assert_allclose(found.repaired["W"], true, rtol=1e-6)
        assert found.details == {kind: pytest.approx(weight, rel=1e-6)}
        missing = weight > 0.0
        assert found.code.slug == ("missing_regularisation" if missing else "wrong_regularisation")
        assert found.alternatives == (("wrong_regularisation",) if missing else ())
        assert found.fitted


def test_one_penalty_for_the_other_is_proposed(waves, facts_of_array):
    for seed in SEEDS:
        problem = waves({"W": (3, 4)}, seed)
        true, parameter = problem.true["W"], problem.parameters["W"]
        claimed = true - 0.2 * parameter + 0.1 * np.sign(parameter)
        (found,) = regularisation(facts_of_array(true, claimed, parameter, seed=seed))
        assert found.code.slug == "wrong_regularisation"
        assert found.details == {"W": pytest.approx(0.2), "sign(W)": pytest.approx(-0.1)}
        np.testing.assert_allclose(found.repaired["W"], true, rtol=1e-8)


def test_an_elastic_net_that_is_missing_altogether_is_not_proposed(waves, facts_of_array):
    problem = waves({"W": (3, 4)})
    true, parameter = problem.true["W"], problem.parameters["W"]
    claimed = true - 0.2 * parameter - 0.1 * np.sign(parameter)
    assert list(regularisation(facts_of_array(true, claimed, parameter))) == []


def test_zero_parameters_have_no_penalty(waves, facts_of_array):
    true = waves({"W": (3, 4)}).true["W"]
    assert list(regularisation(facts_of_array(true, 1.3 * true, np.zeros((3, 4))))) == []


@pytest.mark.parametrize("shape", [(), (1,), (2,)])
def test_too_few_entries_are_not_fitted(shape, waves, facts_of_array):
    problem = waves({"W": shape})
    true, parameter = problem.true["W"], problem.parameters["W"]
    assert list(regularisation(facts_of_array(true, true + 0.1 * parameter, parameter))) == []


@pytest.mark.parametrize("size", [1e150, 1e-200])
def test_the_size_of_a_gradient_does_not_matter(size, waves, facts_of_array):
    problem = waves({"W": (3, 4)})
    true, parameter = size * problem.true["W"], problem.parameters["W"]
    claimed = true - 0.1 * size * parameter
    (found,) = regularisation(facts_of_array(true, claimed, parameter))
    np.testing.assert_allclose(found.repaired["W"], true, rtol=1e-8)


def test_one_more_wrong_entry_is_not_proposed(waves, facts_of_array):
    for seed in SEEDS:
        problem = waves({"W": (3, 4)}, seed)
        true, parameter = problem.true["W"], problem.parameters["W"]
        claimed = true - 0.1 * parameter
        facts = facts_of_array(true, claimed, parameter, seed=seed)
        claimed.reshape(-1)[facts.samples["W"].positions[0]] += 0.01
        assert list(regularisation(facts_of_array(true, claimed, parameter, seed=seed))) == []


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("penalty", "evidence"),
    [
        (l2(0.05), "numerical - analytic is +0.1 * W in every entry, W being kernel"),
        (l1(0.05), "numerical - analytic is +0.05 * sign(W) in every entry, W being kernel"),
    ],
)
def test_a_missing_penalty_is_named(penalty, evidence, dtype, waves, only_error):
    for seed in range(3):
        report = waves({"kernel": (3, 4)}, seed, dtype).checked(untouched, penalty=penalty)
        found = only_error(report)
        assert found.slug == "missing_regularisation"
        assert found.parameters == ("kernel",)
        assert found.alternatives == ("wrong_regularisation",)
        assert found.told == evidence


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_penalty_of_the_wrong_strength_is_named(dtype, waves, only_error):
    # The loss has 0.05 W**2, the gradient 0.2 W.
    report = waves({"W": (3, 4)}, dtype=dtype).checked(
        lambda true, p: {"W": true["W"] + 0.2 * p["W"]}, penalty=l2(0.05)
    )
    found = only_error(report)
    assert found.slug == "wrong_regularisation"
    assert found.details == {"W": pytest.approx(-0.1, rel=1e-4)}
    assert found.alternatives == ()


def test_the_other_penalty_is_named(waves, only_error):
    report = waves({"W": (3, 4)}).checked(
        lambda true, p: {"W": true["W"] + 0.01 * np.sign(p["W"])}, penalty=l2(0.05)
    )
    found = only_error(report)
    assert found.slug == "wrong_regularisation"
    assert found.details == {"W": pytest.approx(0.1), "sign(W)": pytest.approx(-0.01)}


def test_one_penalty_on_several_parameters_is_one_finding(waves, only_error):
    found = only_error(waves({"a": (3, 4), "b": (5,)}).checked(untouched, penalty=l2(0.05)))
    assert found.parameters == ("a", "b")
    assert found.details == {"W": pytest.approx(0.1)}
    assert found.told == (
        "a: numerical - analytic is +0.1 * W in every entry, W being a; "
        "b: numerical - analytic is +0.1 * W in every entry, W being b"
    )


def test_a_penalty_on_a_lone_entry_is_not_believed(waves, only_error):
    # One number is always some multiple of another.
    found = only_error(waves({"s": ()}).checked(untouched, penalty=l2(0.0371)))
    assert found.slug == "unexplained"


def test_one_more_wrong_entry_is_unexplained(waves, only_error):
    def fault(true, _):
        claimed = true["W"].copy()
        claimed[1, 2] += 0.01
        return {"W": claimed}

    for seed in SEEDS:
        report = waves({"W": (3, 4)}, seed).checked(fault, penalty=l2(0.05))
        assert only_error(report).slug == "unexplained"


def test_a_penalty_beside_a_factor_is_unexplained(waves, only_error):
    report = waves({"W": (3, 4)}).checked(lambda true, _: {"W": 2.0 * true["W"]}, penalty=l2(0.05))
    assert only_error(report).slug == "unexplained"


def test_weights_of_one_size_do_not_tell_the_penalties_apart(waves, only_error):
    problem = waves({"W": (3, 4)})
    problem.parameters["W"][...] = np.sign(problem.parameters["W"])
    found = only_error(problem.checked(untouched, penalty=l2(0.05)))
    assert found.slug == "missing_regularisation"
    assert found.details == {"W": pytest.approx(0.1)}
