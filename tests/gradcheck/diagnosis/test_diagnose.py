"""From proved causes to findings, and what holds for every hypothesis."""

import copy

import numpy as np
import pytest

from gradcheck.diagnosis.backprop import BACKPROP_HYPOTHESES
from gradcheck.diagnosis.diagnose import HYPOTHESES, diagnose
from gradcheck.diagnosis.facts import Facts
from gradcheck.diagnosis.pattern import wrong_part
from gradcheck.diagnosis.signal_pattern import signal_pattern
from gradcheck.diagnosis.unexplained import unexplained

# Those on layers are silent without any, and have their own tests.
EVERY = (*(one for one in HYPOTHESES if one not in BACKPROP_HYPOTHESES), wrong_part)
SHAPES = [(), (1,), (2,), (1, 1), (3, 4), (4, 4), (1, 5), (2, 3, 2), (2, 2, 2, 2)]
INDICES = np.array([0, 1, 1, 2])


def plain(facts):
    """Return all data of facts in a form that is equal where they are."""
    kept = {name: value for name, value in vars(facts).items() if name != "per_sample"}
    return repr(copy.deepcopy(kept))


def propose(hypothesis, facts):
    """Return what a hypothesis proposes, having checked that it leaves the facts alone."""
    with np.printoptions(floatmode="unique", threshold=10**6):
        before = plain(facts)
        proposed = list(hypothesis(facts))
        assert plain(facts) == before
    return proposed


def faults(true, parameter, generator):
    """Yield gradients that are wrong in all kinds of ways."""
    yield 2.0 * true
    yield -1.7 * true
    yield np.zeros_like(true)
    yield true + 0.1 * parameter
    yield true / np.exp(parameter)
    yield np.clip(true, -0.8, 0.8)
    yield true[::-1].copy() if true.ndim else 3.0 * true
    yield true.T.reshape(true.shape) * 0.5
    yield generator.normal(size=true.shape)
    changed = np.array(true)
    changed.reshape(-1)[0] *= 1.5
    yield changed


@pytest.mark.parametrize("hypothesis", EVERY)
@pytest.mark.parametrize("shape", SHAPES)
def test_facts_are_left_alone_whatever_the_fault(hypothesis, shape, waves, facts_of_array):
    for seed in range(2):
        problem, generator = waves({"W": shape}, seed), np.random.default_rng(seed)
        true, parameter = problem.true["W"], problem.parameters["W"]
        alone = np.array([0.25 * true, 0.75 * true])
        for claimed in faults(true, parameter, generator):
            facts = facts_of_array(
                true,
                np.asarray(claimed),
                parameter,
                failing=("W",),
                args=(INDICES, np.ones((2, 3))),
                sizes={"batch": 2},
                per_sample=lambda alone=alone: {"W": alone},
            )
            for found in propose(hypothesis, facts):
                assert set(found.repaired) == {"W"}
                assert found.repaired["W"].shape == shape
                assert np.all(np.isfinite(found.repaired["W"]))
                assert found.evidence
                assert found.tries >= 1


@pytest.mark.parametrize("hypothesis", EVERY)
@pytest.mark.parametrize("size", [1e150, 1e-200, 1e-300])
def test_huge_and_tiny_gradients_are_coped_with(hypothesis, size, waves, facts_of_array):
    for shape in SHAPES:
        problem = waves({"W": shape})
        true, parameter = problem.true["W"], problem.parameters["W"]
        for claimed in faults(true, parameter, np.random.default_rng(0)):
            wrong = size * np.asarray(claimed)
            list(hypothesis(facts_of_array(size * true, wrong, parameter, failing=("W",))))


@pytest.mark.parametrize("hypothesis", EVERY)
@pytest.mark.parametrize("sizes", [(1e150, 1e-200), (1e-200, 1e150)])
def test_gradients_of_wholly_different_sizes_are_coped_with(
    hypothesis, sizes, waves, facts_of_array
):
    problem = waves({"W": (3, 4)})
    true, parameter = problem.true["W"], problem.parameters["W"]
    for claimed in faults(true, parameter, np.random.default_rng(0)):
        facts = facts_of_array(sizes[0] * true, sizes[1] * claimed, parameter, failing=("W",))
        propose(hypothesis, facts)


@pytest.mark.parametrize("hypothesis", EVERY)
def test_gradients_that_should_be_zero_are_coped_with(hypothesis, waves, facts_of_array):
    for shape in SHAPES:
        problem = waves({"W": shape})
        claimed, parameter = problem.true["W"], problem.parameters["W"]
        for array in (parameter, np.zeros(shape), np.ones(shape)):
            list(hypothesis(facts_of_array(np.zeros(shape), claimed, array, failing=("W",))))


@pytest.mark.parametrize("hypothesis", EVERY)
def test_nothing_measured_is_coped_with(hypothesis, waves, facts_of_array):
    for shape in SHAPES:
        problem = waves({"W": shape})
        true, parameter = problem.true["W"], problem.parameters["W"]
        nothing = facts_of_array(true, 2.0 * true).known["W"].chosen(np.array([], dtype=int))
        samples = {"W": nothing}
        for claimed in faults(true, parameter, np.random.default_rng(0)):
            facts = facts_of_array(
                *(true, np.asarray(claimed), parameter),
                failing=("W",),
                samples=samples,
                known=samples,
                wrong={},
                args=(INDICES,),
            )
            list(hypothesis(facts))
            assert unexplained(facts, "W").evidence


def test_a_right_gradient_has_no_cause(waves, proof_of):
    case = proof_of(waves({"W": (3, 4), "b": (4,)}).problem(lambda true, _: true))
    found = diagnose(case.facts, case.proof)
    assert found.findings == ()
    assert found.wrong == {}


def test_a_cause_of_the_rest_leaves_a_signal_unnamed(facts_of, waves):
    true = waves({"W": (3, 4)}).true
    facts = facts_of(true, {"W": 2.0 * true["W"]})
    assert isinstance(facts, Facts)
    assert signal_pattern(facts, ()) is None


def test_evidence_says_what_the_repaired_gradient_was_verified_to(waves, only_error):
    one = only_error(waves({"W": (3, 4)}).checked(lambda true, _: {"W": -true["W"]}))
    text, _, verified = one.evidence.partition("; repaired, it passes to ")
    assert text == "analytic / numerical is -1 in every entry"
    assert 0.0 < float(verified) < 1e-6
    two = only_error(
        waves({"W": (3, 4), "b": (4,)}).checked(lambda true, _: {n: -a for n, a in true.items()})
    )
    assert 0.0 < float(two.evidence.partition("; repaired, all pass to ")[2]) < 1e-6


def test_a_part_is_not_said_to_be_repaired(waves, only_error):
    def fault(true, _):
        claimed = true["W"].copy()
        claimed[1] *= 2.0
        return {"W": claimed}

    assert "repaired" not in only_error(waves({"W": (3, 4)}).checked(fault)).evidence


def test_the_widest_cause_comes_first(waves, errors):
    def fault(true, _):
        return {"a": -true["a"], "b": 2.0 * true["b"], "c": 2.0 * true["c"]}

    found = errors(waves({"a": (3,), "b": (4,), "c": (5,)}).checked(fault))
    assert [one.parameters for one in found] == [("b", "c"), ("a",)]


def test_a_cause_within_one_layer_is_about_that_layer(waves, errors):
    def fault(true, _):
        return {"W1": -true["W1"], "b1": -true["b1"], "W2": 2.0 * true["W2"], "b2": true["b2"]}

    problem = waves({"W1": (3, 4), "b1": (4,), "W2": (4, 5), "b2": (5,)})
    assert [(one.slug, one.layer) for one in errors(problem.checked(fault))] == [
        ("sign_flip", "1"),
        ("constant_factor", "2"),
    ]
    whole = problem.checked(lambda true, _: {name: -array for name, array in true.items()})
    assert [one.layer for one in errors(whole)] == [None]


def test_more_than_three_are_counted_in_the_evidence(waves, only_error):
    names = "abcde"
    problem = waves(dict.fromkeys(names, (4,)))
    report = problem.checked(
        lambda true, _: {name: np.roll(true[name], 1 + names.index(name) % 3) for name in names}
    )
    found = only_error(report)
    assert found.parameters == tuple(names)
    assert "; and 2 more" in found.told


def test_every_parameter_with_a_whole_cause_is_wrong_all_over(waves):
    report = waves({"W": (60, 100)}).checked(lambda true, _: {"W": -true["W"]}, effort="quick")
    assert report["W"].wrong.all()
    assert report["W"].checked_count < 600


def test_findings_do_not_depend_on_which_directions_are_drawn(waves, only_error):
    problem = waves({"W": (4, 4), "b": (4,)})
    for seed in range(10):
        report = problem.checked(lambda true, _: {**true, "W": 2.0 * true["W"].T}, seed=seed)
        found = [one.slug for one in report.findings if one.severity == "error"]
        assert found == ["transposed", "constant_factor"]


@pytest.mark.parametrize("size", [1e100, 1e-8, 1e-100])
def test_a_loss_of_any_size_is_diagnosed(size, waves, only_error):
    report = waves({"W": (3, 4)}, size=size).checked(lambda true, _: {"W": 2.0 * true["W"]})
    assert only_error(report).slug == "constant_factor"
