"""GC206: no gradient at all."""

import numpy as np
import pytest

from gradcheck.diagnosis.detached import detached


@pytest.mark.parametrize("shape", [(), (1,), (5,), (3, 4), (2, 3, 2)])
def test_a_zero_gradient_is_proposed_with_nothing_repaired(shape, waves, facts_of_array):
    for seed in range(10):
        true = waves({"W": shape}, seed).true["W"]
        (found,) = detached(facts_of_array(true, 0.0 * true, seed=seed))
        assert found.code.slug == "detached"
        assert not found.repaired["W"].any()
        assert found.unknown["W"].all()


def test_a_gradient_that_is_zero_but_for_one_entry_is_not(waves, facts_of_array):
    true = waves({"W": (3, 4)}).true["W"]
    claimed = np.zeros_like(true)
    claimed[0, 0] = 1e-300
    assert list(detached(facts_of_array(true, claimed))) == []


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("shape", [(), (1,), (5,), (3, 4), (2, 3, 2)])
def test_detached_is_named_with_its_parameter(shape, dtype, waves, only_error):
    problem = waves({"W": shape, "right": (4,)}, dtype=dtype)
    report = problem.checked(lambda true, _: {**true, "W": 0.0 * true["W"]})
    found = only_error(report)
    assert found.slug == "detached"
    assert found.parameters == ("W",)
    size, largest = problem.true["W"].size, np.max(np.abs(problem.true["W"]))
    assert found.told == (
        f"analytic 0 in every entry; numerically {size} of {size} that were measured are not, "
        f"the largest {largest:.3g}"
    )
    assert report["W"].wrong.all()


def test_detached_parameters_are_one_finding(waves, only_error):
    def fault(true, _):
        return {name: 0.0 * array for name, array in true.items()}

    found = only_error(waves({"a": (3,), "b": (2, 2), "c": ()}).checked(fault))
    assert found.slug == "detached"
    assert found.parameters == ("a", "b", "c")


def test_entries_whose_true_gradient_is_zero_too_are_not_counted(waves, only_error):
    problem = waves({"W": (3, 4)})
    problem.heights["W"][:, 0] = 0.0
    found = only_error(problem.checked(lambda true, _: {"W": 0.0 * true["W"]}))
    assert found.slug == "detached"
    assert "numerically 9 of 12 that were measured are not" in found.evidence
