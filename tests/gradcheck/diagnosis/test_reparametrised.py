"""GC213: the derivative of a change of variables."""

import numpy as np
import pytest

from gradcheck.diagnosis.reparametrised import log_reparam

SEEDS = range(10)
SHAPES = [(5,), (3, 4), (2, 3, 2)]


def sigmoid(p):
    return 1.0 / (1.0 + np.exp(-p))


# What the true gradient is, over the claimed one; each written down once more.
LACKING = {
    "exp(p)": np.exp,
    "2 exp(2 p)": lambda p: 2.0 * np.exp(p) ** 2,
    "exp(p / 2) / 2": lambda p: np.sqrt(np.exp(p)) / 2.0,
    "sigmoid(p)": sigmoid,
    "sigmoid(p) (1 - sigmoid(p))": lambda p: np.exp(-p) / (1.0 + np.exp(-p)) ** 2,
    "1 - tanh(p)**2": lambda p: 1.0 / np.cosh(p) ** 2,
}
OF_POSITIVE = {"1 / p": lambda p: 1.0 / p}


@pytest.mark.parametrize(
    ("form", "shape"),
    [
        *((form, shape) for form in LACKING for shape in [(), (1,), *SHAPES]),
        *((form, shape) for form in OF_POSITIVE for shape in SHAPES),
    ],
)
def test_what_is_lacking_is_proposed_and_supplied(form, shape, waves, facts_of_array):
    lacking = (LACKING | OF_POSITIVE)[form]
    for seed in SEEDS:
        problem = waves({"W": shape}, seed)
        true, parameter = problem.true["W"], problem.parameters["W"]
        parameter = np.abs(parameter) if form in OF_POSITIVE else parameter
        facts = facts_of_array(true, true / lacking(parameter), parameter, seed=seed)
        found = [one for one in log_reparam(facts) if one.details["form"] == form]
        np.testing.assert_allclose(found[0].repaired["W"], true, rtol=1e-9)
        assert found[0].code.slug == "log_reparam"


@pytest.mark.parametrize("factor", [2.0, -1.0, 1.7])
def test_a_factor_on_top_is_one_fault_too_many(factor, waves, facts_of_array):
    problem = waves({"W": (3, 4)})
    true, parameter = problem.true["W"], problem.parameters["W"]
    facts = facts_of_array(true, factor * true / np.exp(parameter), parameter)
    assert list(log_reparam(facts)) == []


@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_lone_number_that_is_one_over_the_parameter_may_be_any_factor(
    shape, waves, facts_of_array
):
    problem = waves({"W": shape})
    true, parameter = problem.true["W"], np.abs(problem.parameters["W"])
    assert list(log_reparam(facts_of_array(true, true * parameter, parameter))) == []


def test_equal_parameters_show_a_factor_only(waves, facts_of_array):
    true = waves({"W": (3, 4)}).true["W"]
    facts = facts_of_array(true, true / np.exp(2.0), np.full((3, 4), 2.0))
    assert list(log_reparam(facts)) == []


def test_logarithms_of_negative_parameters_are_not_proposed(waves, facts_of_array):
    problem = waves({"W": (3, 4)})
    true, parameter = problem.true["W"], problem.parameters["W"]
    assert np.any(parameter < 0.0)
    assert list(log_reparam(facts_of_array(true, true * parameter, parameter))) == []


@pytest.mark.parametrize("large", [800.0, -800.0, 1e300])
def test_parameters_that_overflow_are_coped_with(large, waves, facts_of_array):
    true = waves({"W": (3, 4)}).true["W"]
    parameter = np.linspace(0.0, large, 12).reshape(3, 4)
    assert list(log_reparam(facts_of_array(true, 3.3 * true, parameter))) == []


def test_one_more_wrong_entry_is_not_proposed(waves, facts_of_array):
    for seed in SEEDS:
        problem = waves({"W": (3, 4)}, seed)
        true, parameter = problem.true["W"], problem.parameters["W"]
        claimed = true / np.exp(parameter)
        facts = facts_of_array(true, claimed, parameter, seed=seed)
        claimed.reshape(-1)[facts.samples["W"].positions[0]] *= 1.001
        assert list(log_reparam(facts_of_array(true, claimed, parameter, seed=seed))) == []


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_missing_exponential_is_named(dtype, waves, only_error):
    report = waves({"s": (5,), "W": (3, 4)}, dtype=dtype).checked(
        lambda true, p: {**true, "s": true["s"] / np.exp(p["s"])}
    )
    found = only_error(report)
    assert found.slug == "log_reparam"
    assert found.parameters == ("s",)
    assert found.told == (
        "numerical / analytic is exp(p) for p = s: as for p = log(x), when the gradient is that "
        "of x"
    )
    assert found.details == {"form": "exp(p)"}
    assert report["W"].verdict == "pass"


@pytest.mark.parametrize("form", LACKING)
def test_other_forms_are_named(form, waves, only_error):
    for seed in range(3):
        report = waves({"s": (6,)}, seed).checked(
            lambda true, p: {"s": true["s"] / LACKING[form](p["s"])}
        )
        assert only_error(report).details["form"] == form


def test_a_lone_log_deviation_is_named(waves, only_error):
    for seed in SEEDS:
        report = waves({"log_sigma": ()}, seed).checked(
            lambda true, p: {"log_sigma": true["log_sigma"] / np.exp(p["log_sigma"])}
        )
        assert only_error(report).slug == "log_reparam"


def test_the_same_form_in_several_parameters_is_one_finding(waves, only_error):
    report = waves({"s": (5,), "t": (3,)}).checked(
        lambda true, p: {name: true[name] / np.exp(p[name]) for name in true}
    )
    found = only_error(report)
    assert (found.slug, found.parameters) == ("log_reparam", ("s", "t"))


def test_one_more_wrong_entry_is_unexplained(waves, only_error):
    def fault(true, p):
        claimed = true["s"] / np.exp(p["s"])
        claimed[2] *= 1.01
        return {"s": claimed}

    for seed in SEEDS:
        assert only_error(waves({"s": (6,)}, seed).checked(fault)).slug == "unexplained"
