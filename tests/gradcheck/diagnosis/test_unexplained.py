"""GC900: the facts about a difference that nobody explains."""

import numpy as np
import pytest

import gradcheck
from gradcheck.diagnosis.unexplained import unexplained


def told(facts):
    return unexplained(facts, "W").evidence.split("; ")


def test_the_spread_of_the_ratios_is_told(facts_of_array):
    true = np.array([1.0, 2.0, -4.0])
    facts = facts_of_array(true, np.array([0.5, 6.0, -8.0]))
    found = unexplained(facts, "W")
    assert told(facts)[:2] == [
        "3 of 3 measured entries are wrong",
        "analytic / numerical is between 0.5 and 3 there",
    ]
    assert found.details["smallest_ratio"] == pytest.approx(0.5)
    assert found.details["largest_ratio"] == pytest.approx(3.0)
    assert (found.code, found.slug, found.parameters) == ("GC900", "unexplained", ("W",))


def test_right_entries_do_not_count_in_the_spread(facts_of_array):
    facts = facts_of_array(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 9.0]))
    assert told(facts)[:2] == [
        "1 of 3 measured entries are wrong",
        "analytic / numerical is 3 there",
    ]


def test_one_ratio_of_all_is_told_as_one(facts_of_array):
    facts = facts_of_array(np.array([1.0, 2.0, 3.0]), np.array([1.0, 3.0, 4.5]))
    assert told(facts)[1] == "analytic / numerical is 1.5 in each of them"


def test_entries_whose_true_gradient_is_zero_have_no_ratio(facts_of_array):
    facts = facts_of_array(np.array([1.0, 0.0, 1e-9]), np.array([2.0, 5.0, 1.0]))
    assert told(facts)[:2] == [
        "3 of 3 measured entries are wrong",
        "analytic / numerical is 2 there",
    ]


def test_a_gradient_that_should_be_zero_has_no_ratios(facts_of_array):
    facts = facts_of_array(np.zeros((2, 3)), np.ones((2, 3)))
    assert told(facts)[0] == "6 of 6 measured entries are wrong"
    assert "smallest_ratio" not in unexplained(facts, "W").details


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_rank_of_the_difference_is_told(rank, waves, facts_of_array):
    generator = np.random.default_rng(rank)
    true = waves({"W": (4, 5)}).true["W"]
    difference = generator.normal(size=(4, rank)) @ generator.normal(size=(rank, 5))
    facts = facts_of_array(true, true + difference)
    assert f"the difference has rank {rank} of 4" in told(facts)
    assert unexplained(facts, "W").details["rank_of_difference"] == rank


def test_rows_and_columns_are_told_where_others_are_right(waves, facts_of_array):
    true = waves({"W": (4, 5)}).true["W"]
    claimed = true.copy()
    claimed[[0, 2], 1:4] += 1.0
    lines = told(facts_of_array(true, claimed))
    assert "only rows 0, 2" in lines
    assert "only columns 1, 2, 3" in lines


def test_sampled_entries_tell_no_rank_and_no_rows(waves, facts_of_array):
    true = waves({"W": (4, 5)}).true["W"]
    lines = told(facts_of_array(true, true**2, measured=0.5))
    assert not any("rank" in line or "only" in line for line in lines)


def test_correlations_are_cosines(facts_of_array):
    true, parameter = np.array([1.0, 0.0, 2.0]), np.array([0.0, 3.0, 0.0])
    lines = told(facts_of_array(true, true + parameter, parameter))
    # cos = 5 / (sqrt(5) sqrt(14)); the numerical minus the analytic gradient is -parameter.
    assert f"analytic and numerical correlate by {5 / np.sqrt(70):.2f}" in lines
    assert "the difference correlates with the parameter by -1.00" in lines


@pytest.mark.parametrize("shape", [(), (1,), (2,)])
def test_too_few_entries_do_not_correlate(shape, waves, facts_of_array):
    problem = waves({"W": shape})
    true = problem.true["W"]
    lines = told(facts_of_array(true, 1.3 * true + 0.1, problem.parameters["W"]))
    assert not any("correlate" in line for line in lines)


@pytest.mark.parametrize("sizes", [(1e150, 1e150), (1e-200, 1e-200), (1e-200, 1e200)])
def test_sizes_do_not_matter(sizes, waves, facts_of_array):
    true = waves({"W": (4, 5)}).true["W"]
    facts = facts_of_array(sizes[0] * true, sizes[1] * true**2)
    assert any(line.startswith("analytic and numerical correlate") for line in told(facts))


def test_nothing_measured_tells_nothing_wrong(waves, facts_of_array):
    true = waves({"W": (4, 5)}).true["W"]
    facts = facts_of_array(true, true**2)
    nothing = facts.known["W"].chosen(np.array([], dtype=int))
    facts.known["W"] = nothing
    assert told(facts) == ["0 of 0 measured entries are wrong"]


def test_a_difference_without_a_cause_is_unexplained_with_its_facts(waves, only_error):
    report = waves({"W": (3, 4)}).checked(lambda true, p: {"W": true["W"] + p["W"] ** 2})
    found = only_error(report)
    assert found.slug == "unexplained"
    assert found.parameters == ("W",)
    assert "12 of 12 measured entries are wrong" in found.evidence
    assert "the difference has rank 3 of 3" in found.evidence


def test_every_parameter_without_a_cause_has_a_finding_of_its_own(waves, errors):
    report = waves({"a": (3, 4), "b": (5,)}).checked(
        lambda true, p: {name: true[name] + p[name] ** 2 for name in true}
    )
    assert [one.parameters for one in errors(report)] == [("a",), ("b",)]


@pytest.mark.parametrize("effort", ["auto", "quick"])
@pytest.mark.parametrize("seed", range(10))
def test_of_what_the_loss_does_not_read_no_cause_is_named(seed, effort):
    rng = np.random.default_rng(seed)
    shape = [(4,), (4, 4), (8, 8), (3, 2, 2)][seed % 4]
    unread = rng.normal(size=shape)
    claimed = {
        "unread": [rng.normal(size=shape), 3 * np.ones(shape), unread.copy(), -0.3 * unread**2][
            seed // 4
        ]
    }
    report = gradcheck.check_gradients(
        lambda p: np.sum(p["read"] ** 2),
        lambda p: {"read": 2 * p["read"], **claimed},
        {"read": np.ones(3), "unread": unread},
        effort=effort,
        sizes={"batch": 8},
    )
    (found,) = [finding for finding in report.findings if finding.severity == "error"]
    assert found.code == "GC900"
    assert "the loss does not change with any of them" in found.evidence
