"""GC202 to GC205: factors, sizes and signs."""

import numpy as np
import pytest

from gradcheck.diagnosis.constant_factor import constant_factor

SHAPES = [(), (1,), (5,), (3, 4), (4, 4), (2, 3, 2)]
FACTORS = [2.0, 0.5, -1.0, -2.0, 3.0, 8.0, 0.125, -8.0, 1.7, -0.3, 1e-6, 1e6]


def times(factor):
    return lambda true, _: {name: factor * array for name, array in true.items()}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("factor", FACTORS)
def test_a_factor_is_proposed_and_divided_out(factor, shape, waves, facts_of_array):
    for seed in range(10):
        true = waves({"W": shape}, seed).true["W"]
        facts = facts_of_array(true, factor * true, sizes={"batch": 8}, seed=seed)
        (found,) = constant_factor(facts)
        np.testing.assert_allclose(found.repaired["W"], true, rtol=1e-9)
        assert found.details["factor"] == pytest.approx(factor, rel=1e-9)


@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        (2.0, (["constant_factor"], "2", False)),
        (0.5, (["constant_factor"], "1/2", False)),
        (-1.0, (["sign_flip"], "-1", False)),
        (-2.0, (["constant_factor", "sign_flip"], "-2", False)),
        (8.0, (["batch_size_factor"], "batch", False)),
        (0.125, (["batch_size_factor"], "1/batch", False)),
        (-8.0, (["batch_size_factor", "sign_flip"], "-batch", False)),
        (1.7, (["constant_factor"], "1.7", True)),
        (-1.7, (["constant_factor", "sign_flip"], "-1.7", True)),
    ],
)
def test_the_factor_says_which_causes_it_is(factor, expected, waves, facts_of_array):
    true = waves({"W": (3, 4)}).true["W"]
    (found,) = constant_factor(facts_of_array(true, factor * true, sizes={"batch": 8}))
    slugs = [found.code.slug, *(code.slug for code in found.also)]
    assert (slugs, found.details["matches"], found.fitted) == expected


@pytest.mark.parametrize(
    ("factor", "shape", "alternatives"),
    [
        (2.0, (3, 4), ("accumulated_twice",)),
        (0.5, (3, 4), ()),
        (-2.0, (3, 4), ()),
        (4.0, (3, 4), ()),
        (8.0, (3, 4), ("batch_reduction",)),
        (0.125, (3, 4), ("batch_reduction",)),
        (0.125, (5,), ("batch_reduction", "bias_not_summed")),
        (-1.0, (5,), ()),
    ],
)
def test_causes_that_leave_the_same_factor_are_alternatives(
    factor, shape, alternatives, waves, facts_of_array
):
    true = waves({"W": shape}).true["W"]
    (found,) = constant_factor(facts_of_array(true, factor * true, sizes={"batch": 8}))
    assert found.alternatives == alternatives


def test_two_may_be_a_batch_of_two(waves, facts_of_array):
    true = waves({"W": (3, 4)}).true["W"]
    (found,) = constant_factor(facts_of_array(true, 2.0 * true, sizes={"batch": 2}))
    assert found.code.slug == "batch_size_factor"
    assert set(found.alternatives) == {"accumulated_twice", "batch_reduction"}


def test_a_factor_that_most_entries_share_is_none(waves, facts_of_array):
    for seed in range(10):
        true = waves({"W": (3, 4)}, seed).true["W"]
        claimed = 2.0 * true
        facts = facts_of_array(true, claimed, seed=seed)
        fitted_to = facts.samples["W"].positions[0]
        claimed.reshape(-1)[fitted_to] *= 1.01
        assert list(constant_factor(facts_of_array(true, claimed, seed=seed))) == []


def test_a_right_gradient_has_no_factor(waves, facts_of_array):
    true = waves({"W": (3, 4)}).true["W"]
    facts = facts_of_array(true, true * (1 + 1e-9), failing=("W",))
    assert list(constant_factor(facts)) == []


def test_a_zero_gradient_has_no_factor(waves, facts_of_array):
    true = waves({"W": (3, 4)}).true["W"]
    assert list(constant_factor(facts_of_array(true, 0.0 * true))) == []
    assert list(constant_factor(facts_of_array(0.0 * true, true))) == []


@pytest.mark.parametrize("size", [1e150, 1e-150, 1e-200, 1e-290])
def test_the_size_of_a_gradient_does_not_matter(size, waves, facts_of_array):
    true = size * waves({"W": (3, 4)}).true["W"]
    (found,) = constant_factor(facts_of_array(true, -1.7 * true))
    np.testing.assert_allclose(found.repaired["W"], true, rtol=1e-9)


def test_exact_values_have_no_error_bars(waves, facts_of_array):
    true = waves({"W": (3, 4)}).true["W"]
    (found,) = constant_factor(facts_of_array(true, 3.0 * true, bars=0.0))
    np.testing.assert_allclose(found.repaired["W"], true, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        (2.0, ("constant_factor", "analytic / numerical is 2 in every entry")),
        (0.5, ("constant_factor", "analytic / numerical is 0.5 in every entry, which is 1/2")),
        (-1.0, ("sign_flip", "analytic / numerical is -1 in every entry")),
        (
            8.0,
            (
                "batch_size_factor",
                "analytic / numerical is 8 in every entry, which is the batch size",
            ),
        ),
        (
            0.125,
            (
                "batch_size_factor",
                "analytic / numerical is 0.125 in every entry, which is 1/the batch size",
            ),
        ),
        (1.7, ("constant_factor", "analytic / numerical is 1.7 in every entry")),
    ],
)
def test_a_factor_of_all_parameters_is_one_finding(factor, expected, dtype, waves, only_error):
    found = only_error(
        waves({"W": (3, 4), "b": (4,)}, dtype=dtype).checked(times(factor), sizes={"batch": 8})
    )
    assert (found.slug, found.told) == expected
    assert found.parameters == ("W", "b")
    assert found.details["factor"] == pytest.approx(factor, rel=1e-6)


def test_a_negative_size_is_two_findings_about_the_same(waves, errors):
    report = waves({"W": (3, 4), "b": (4,)}).checked(times(-8.0), sizes={"batch": 8})
    first, second = errors(report)
    assert (first.slug, second.slug) == ("batch_size_factor", "sign_flip")
    assert first.parameters == second.parameters == ("W", "b")
    assert second.told == f"together with batch_size_factor: {first.told}"
    assert first.details == second.details == {"factor": -8.0, "matches": "-batch"}


def test_every_parameter_may_have_a_factor_of_its_own(waves, errors):
    def fault(true, _):
        return {"a": 2.0 * true["a"], "b": -true["b"], "c": 7.0 * true["c"], "d": true["d"]}

    problem = waves({"a": (3, 4), "b": (4,), "c": (2, 3), "d": (5,)})
    found = {f.parameters: f.slug for f in errors(problem.checked(fault, sizes={"batch": 7}))}
    assert found == {
        ("a",): "constant_factor",
        ("b",): "sign_flip",
        ("c",): "batch_size_factor",
    }


def test_different_factors_of_one_kind_are_told_apart(waves, errors):
    def fault(true, _):
        return {"a": 2.0 * true["a"], "b": 3.0 * true["b"]}

    found = errors(waves({"a": (3, 4), "b": (4,)}).checked(fault))
    assert [(f.parameters, f.details["factor"]) for f in found] == [(("a",), 2.0), (("b",), 3.0)]


def test_an_inferred_size_is_said_to_be_inferred(waves, only_error):
    data = (np.linspace(0.0, 1.0, 12),)
    found = only_error(waves({"W": (3, 4)}).checked(times(1 / 12), args=data))
    assert found.slug == "batch_size_factor"
    assert found.details["matches"] == "1/samples"
    assert found.told == (
        "analytic / numerical is 0.0833333 in every entry; 12 is the length of args[0]"
    )


def test_a_factor_as_long_as_an_axis_may_be_another_constant(waves, only_error):
    found = only_error(waves({"W": (3, 7)}).checked(times(7.0)))
    assert found.slug == "constant_factor"
    assert found.told == (
        "analytic / numerical is 7 in every entry; 7 is also the length of axis 1"
    )
    assert found.alternatives == ("batch_size_factor",)


@pytest.mark.parametrize("factor", [2.0, -1.0, 8.0])
def test_a_known_factor_of_a_lone_entry_is_believed(factor, waves, errors):
    for seed in range(10):
        found = errors(waves({"s": ()}, seed).checked(times(factor), sizes={"batch": 8}))
        assert found[0].slug in {"constant_factor", "sign_flip", "batch_size_factor"}


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_any_other_factor_of_a_lone_entry_is_not(shape, waves, only_error):
    # One number is always some constant times another.
    for seed in range(10):
        assert only_error(waves({"s": shape}, seed).checked(times(1.7))).slug == "unexplained"


def test_all_entries_but_one_times_two_are_not_a_factor(waves, only_error):
    def fault(true, _):
        claimed = 2.0 * true["W"]
        claimed[1, 2] *= 1.001
        return {"W": claimed}

    for seed in range(10):
        assert only_error(waves({"W": (3, 4)}, seed).checked(fault)).slug == "unexplained"


@pytest.mark.parametrize(("factor", "told"), [(4.0, True), (-4.0, False), (0.25, False)])
def test_between_two_layers_a_factor_of_4_may_be_a_sigmoid_whose_slope_is_forgotten(
    factor, told, waves, facts_of
):
    true = waves({"W1": (3, 4), "W2": (4, 2)}).true
    claimed = true | {"W1": factor * true["W1"]}
    (found,) = constant_factor(facts_of(true, claimed))
    assert ("missing_activation_derivative" in found.alternatives) is told
