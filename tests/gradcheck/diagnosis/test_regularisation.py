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


def some_of_either_sign(shape, seed):
    """Return a parameter of which any half has different sizes and both signs."""
    generator = np.random.default_rng([seed, 23])
    size = int(np.prod(shape))
    signs = np.where(np.arange(size) % 2, 1.0, -1.0)
    return (signs * generator.uniform(0.5, 1.5, size)).reshape(shape)


@pytest.mark.parametrize("shape", [(8,), (3, 4), (2, 3, 2)])
@pytest.mark.parametrize("weight", [0.1, 1e-4, 0.025, -0.1, 10.0])
@pytest.mark.parametrize("kind", ["W", "sign(W)"])
def test_a_multiple_is_proposed_and_added(shape, weight, kind, waves, facts_of_array):
    for seed in SEEDS:
        true, parameter = waves({"W": shape}, seed).true["W"], some_of_either_sign(shape, seed)
        term = parameter if kind == "W" else np.sign(parameter)
        facts = facts_of_array(true, true - weight * term, parameter, seed=seed, bars=1e-12)
        if kind == "sign(W)" and not two_signs(facts):
            continue
        (found,) = regularisation(facts)
        np.testing.assert_allclose(found.repaired["W"], true, rtol=1e-6)
        assert found.details == {kind: pytest.approx(weight, rel=1e-6)}
        missing = weight > 0.0
        assert found.code.slug == ("missing_regularisation" if missing else "wrong_regularisation")
        assert found.alternatives == (("wrong_regularisation",) if missing else ())
        assert found.fitted


def two_signs(facts):
    """Return whether the entries that are fitted to have both signs."""
    return len(set(np.sign(facts.samples["W"].of(facts.parameters["W"])))) == 2


@pytest.mark.parametrize("weight", [0.1234, 1 / 3, 30.0])
def test_a_strength_that_nobody_would_choose_is_not_proposed(weight, waves, facts_of_array):
    problem = waves({"W": (3, 4)})
    true, parameter = problem.true["W"], problem.parameters["W"]
    assert list(regularisation(facts_of_array(true, true - weight * parameter, parameter))) == []


def test_a_strength_over_a_size_is_proposed(waves, facts_of_array):
    problem = waves({"W": (3, 4)})
    true, parameter = problem.true["W"], problem.parameters["W"]
    facts = facts_of_array(true, true - 0.1 / 7 * parameter, parameter, sizes={"batch": 7})
    (found,) = regularisation(facts)
    assert found.details == {"W": pytest.approx(0.1 / 7)}


def test_any_strength_that_parameters_share_is_proposed(waves, facts_of):
    problem = waves({"a": (3, 4), "b": (5,), "c": (6,)})
    true, parameters = problem.true, problem.parameters
    weights = {"a": 0.12345, "b": 0.12345, "c": 0.54321}
    claimed = {name: true[name] - weights[name] * parameters[name] for name in true}
    found = list(regularisation(facts_of(true, claimed, parameters)))
    assert [tuple(one.repaired) for one in found] == [("a",), ("b",)]


def test_an_entry_without_a_penalty_is_left_out(waves, facts_of_array):
    # The intercept in a vector of coefficients.
    problem = waves({"W": (8,)})
    true, parameter = problem.true["W"], problem.parameters["W"]
    claimed = true - 0.1 * np.where(np.arange(8) == 0, 0.0, parameter)
    (found,) = regularisation(facts_of_array(true, claimed, parameter))
    np.testing.assert_allclose(found.repaired["W"], true, rtol=1e-9)
    assert "in all but 1 entries" in found.evidence


def test_one_penalty_for_the_other_is_proposed(waves, facts_of_array):
    for seed in SEEDS:
        problem = waves({"W": (3, 4)}, seed)
        true, parameter = problem.true["W"], problem.parameters["W"]
        claimed = true - 0.2 * parameter + 0.1 * np.sign(parameter)
        (found,) = regularisation(facts_of_array(true, claimed, parameter, seed=seed))
        assert found.code.slug == "wrong_regularisation"
        assert found.details == {"W": pytest.approx(0.2), "sign(W)": pytest.approx(-0.1)}
        np.testing.assert_allclose(found.repaired["W"], true, rtol=1e-8)


def test_an_elastic_net_that_is_missing_altogether_is_proposed(waves, facts_of_array):
    problem = waves({"W": (3, 4)})
    true, parameter = problem.true["W"], problem.parameters["W"]
    claimed = true - 0.2 * parameter - 0.1 * np.sign(parameter)
    (found,) = regularisation(facts_of_array(true, claimed, parameter))
    assert found.code.slug == "missing_regularisation"
    assert found.details == {"W": pytest.approx(0.2), "sign(W)": pytest.approx(0.1)}


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
    true, parameter = size * problem.true["W"], size * problem.parameters["W"]
    claimed = true - 0.1 * parameter
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
        (l2(0.05), "numerical - analytic is +0.1 * W in every entry, with W for kernel"),
        (l1(0.05), "numerical - analytic is +0.05 * sign(W) in every entry, with W for kernel"),
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
        "a: numerical - analytic is +0.1 * W in every entry, with W for a; "
        "b: numerical - analytic is +0.1 * W in every entry, with W for b"
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


def test_a_factor_is_told_where_a_penalty_is_missing_too(waves, only_error):
    report = waves({"W": (3, 4)}).checked(lambda true, _: {"W": 2.0 * true["W"]}, penalty=l2(0.05))
    found = only_error(report)
    assert found.slug == "constant_factor"
    assert found.alternatives == ("missing_regularisation",)
    assert found.details["factor"] == 2.0


def test_a_factor_is_told_where_a_penalty_is_right(waves, only_error):
    for factor, slug in ((2.0, "constant_factor"), (-1.0, "sign_flip")):
        problem = waves({"W": (3, 4)})
        found = only_error(
            problem.checked(
                lambda true, p, c=factor: {"W": c * true["W"] + 0.1 * p["W"]}, penalty=l2(0.05)
            )
        )
        assert found.slug == slug


def test_no_factor_is_told_beside_a_strength_that_nobody_chose(waves, only_error):
    penalty = l2(0.0512345678)
    report = waves({"W": (3, 4)}).checked(lambda true, _: {"W": 2.0 * true["W"]}, penalty=penalty)
    assert only_error(report).slug == "unexplained"


def test_weights_of_one_size_do_not_tell_a_penalty(waves, only_error):
    problem = waves({"W": (3, 4)})
    problem.parameters["W"][...] = np.sign(problem.parameters["W"])
    assert only_error(problem.checked(untouched, penalty=l2(0.05))).slug == "unexplained"


def test_weights_of_one_sign_do_not_tell_an_absolute_penalty(waves, only_error):
    problem = waves({"W": (3, 4)})
    problem.parameters["W"][...] = np.abs(problem.parameters["W"])
    assert only_error(problem.checked(untouched, penalty=l1(0.05))).slug == "unexplained"
