"""GC209: parameters that hold each other's gradients."""

import numpy as np
import pytest

from gradcheck.diagnosis.swapped import swapped_parameters

SEEDS = range(10)


def exchanged(**holders):
    """Return the fault by which each parameter holds the gradient of another."""
    return lambda true, _: {
        name: true[holders.get(name, name)].reshape(array.shape) for name, array in true.items()
    }


@pytest.mark.parametrize("shape", [(), (5,), (3, 4), (2, 3, 2)])
def test_a_pair_is_proposed_and_put_back(shape, waves, facts_of):
    for seed in SEEDS:
        true = waves({"a": shape, "b": shape, "c": (2,)}, seed).true
        claimed = {**true, "a": true["b"], "b": true["a"]}
        (found,) = swapped_parameters(facts_of(true, claimed, seed=seed))
        assert set(found.repaired) == {"a", "b"}
        for name, array in found.repaired.items():
            np.testing.assert_array_equal(array, true[name])


def test_a_ring_of_three_is_proposed_and_put_back(waves, facts_of):
    for seed in SEEDS:
        true = waves({"a": (3,), "b": (3,), "c": (3,)}, seed).true
        claimed = {"a": true["b"], "b": true["c"], "c": true["a"]}
        (found,) = swapped_parameters(facts_of(true, claimed, seed=seed))
        for name, array in found.repaired.items():
            np.testing.assert_array_equal(array, true[name])
        assert found.evidence == "a holds that of b, c holds that of a, b holds that of c"


def test_two_pairs_are_two_rings(waves, facts_of):
    true = waves(dict.fromkeys("abcd", (3,))).true
    claimed = {"a": true["b"], "b": true["a"], "c": true["d"], "d": true["c"]}
    found = [set(one.repaired) for one in swapped_parameters(facts_of(true, claimed))]
    assert found == [{"a", "b"}, {"c", "d"}]


def test_matrices_may_be_exchanged_and_transposed(waves, facts_of):
    for seed in SEEDS:
        true = waves({"a": (3, 4), "b": (4, 3)}, seed).true
        claimed = {"a": true["b"].T, "b": true["a"].T}
        (found,) = swapped_parameters(facts_of(true, claimed, seed=seed))
        for name, array in found.repaired.items():
            np.testing.assert_array_equal(array, true[name])


def test_a_row_and_a_vector_may_be_exchanged(waves, facts_of):
    true = waves({"a": (1, 4), "b": (4,)}).true
    claimed = {"a": true["b"].reshape(1, 4), "b": true["a"].reshape(4)}
    (found,) = swapped_parameters(facts_of(true, claimed))
    np.testing.assert_array_equal(found.repaired["b"], true["b"])


def test_a_gradient_returned_for_two_is_no_exchange(waves, facts_of):
    true = waves({"a": (3,), "b": (3,)}).true
    claimed = {"a": true["a"], "b": true["a"]}
    assert list(swapped_parameters(facts_of(true, claimed))) == []


def test_an_exchange_with_one_more_wrong_entry_is_not_proposed(waves, facts_of):
    for seed in SEEDS:
        true = waves({"a": (3, 4), "b": (3, 4)}, seed).true
        claimed = {"a": true["b"].copy(), "b": true["a"].copy()}
        facts = facts_of(true, claimed, seed=seed)
        claimed["a"].reshape(-1)[facts.samples["b"].positions[0]] *= 1.001
        assert list(swapped_parameters(facts_of(true, claimed, seed=seed))) == []


def test_zero_gradients_are_not_exchanged(waves, facts_of):
    true = waves({"a": (3,), "b": (3,)}).true
    true = {"a": true["a"], "b": 0.0 * true["b"]}
    claimed = {"a": 0.0 * true["a"], "b": true["a"]}
    assert list(swapped_parameters(facts_of(true, claimed))) == []


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_pair_is_named(dtype, waves, only_error):
    problem = waves({"a": (3, 4), "b": (3, 4), "c": (2,)}, dtype=dtype)
    report = problem.checked(exchanged(a="b", b="a"))
    found = only_error(report)
    assert found.slug == "swapped_parameters"
    assert found.parameters == ("a", "b")
    assert found.told == "a holds that of b, b holds that of a"
    assert found.details == {"a": "b", "b": "a"}
    assert report["c"].verdict == "pass"


def test_a_ring_is_one_finding(waves, only_error):
    found = only_error(
        waves({"a": (3,), "b": (3,), "c": (3,)}).checked(exchanged(a="b", b="c", c="a"))
    )
    assert found.slug == "swapped_parameters"
    assert found.parameters == ("a", "b", "c")
    assert found.details == {"a": "b", "b": "c", "c": "a"}


def test_two_pairs_are_one_finding_that_tells_both(waves, only_error):
    problem = waves(dict.fromkeys("abcd", (3,)))
    found = only_error(problem.checked(exchanged(a="b", b="a", c="d", d="c")))
    assert found.slug == "swapped_parameters"
    assert found.parameters == ("a", "b", "c", "d")
    assert found.told == (
        "a, b: a holds that of b, b holds that of a; c, d: c holds that of d, d holds that of c"
    )
    assert found.details == {"a": "b", "b": "a", "c": "d", "d": "c"}


def test_lone_entries_may_be_exchanged(waves, only_error):
    for seed in SEEDS:
        report = waves({"a": (), "b": (1,)}, seed).checked(exchanged(a="b", b="a"))
        assert only_error(report).slug == "swapped_parameters"


def test_an_exchange_beside_another_fault_leaves_that_to_be_named(waves, errors):
    def fault(true, _):
        return {"a": true["b"], "b": true["a"], "c": 2.0 * true["c"]}

    found = errors(waves({"a": (3,), "b": (3,), "c": (3,)}).checked(fault))
    assert [(one.slug, one.parameters) for one in found] == [
        ("swapped_parameters", ("a", "b")),
        ("constant_factor", ("c",)),
    ]


def test_a_ring_is_not_named_where_only_a_part_of_it_holds(waves, errors):
    # Every wrong entry may be one that the ring was fitted to, or one that was kept back.
    for position in range(6):

        def fault(true, _, position=position):
            claimed = {"a": true["b"].copy(), "b": true["a"]}
            claimed["a"][position] *= 1.01
            return claimed

        found = errors(waves({"a": (6,), "b": (6,)}).checked(fault))
        assert [one.slug for one in found] == ["unexplained", "unexplained"]
