"""An array up to a constant."""

import numpy as np
import pytest

from gradcheck.diagnosis.factors import scaled


def test_what_fits_as_it_is_has_no_factor(waves, facts_of_array):
    true = waves({"W": (4, 4)}).true["W"]
    found = scaled(facts_of_array(true, true.T), "W", true)
    assert found.is_plain
    assert not found.is_fitted
    assert found.codes == ()
    assert np.array_equal(found.array, true)


@pytest.mark.parametrize(("factor", "matches"), [(4.0, "4"), (-1 / 3, "-1/3"), (1.75, "1.75")])
def test_the_constant_is_found_for_any_base(factor, matches, waves, facts_of_array):
    true = waves({"W": (4, 4)}).true["W"]
    found = scaled(facts_of_array(true, true.T), "W", factor * true)
    assert found.factor == pytest.approx(factor)
    assert found.matches == matches
    np.testing.assert_allclose(found.array, true, rtol=1e-9)


def test_a_factor_near_one_is_no_factor(waves, facts_of_array):
    true = waves({"W": (4, 4)}).true["W"]
    facts = facts_of_array(true, true.T, bars=1e-5)
    assert scaled(facts, "W", true * (1 + 5e-7)).is_plain
    assert scaled(facts, "W", true * (1 + 5e-6)).is_fitted


def test_a_base_that_is_not_finite_is_refused(waves, facts_of_array):
    true = waves({"W": (4, 4)}).true["W"]
    for bad in (np.nan, np.inf):
        base = np.where(np.arange(16).reshape(4, 4) == 3, bad, true)
        assert scaled(facts_of_array(true, true.T), "W", base) is None


def test_a_base_that_does_not_fit_is_refused(waves, facts_of_array):
    for seed in range(10):
        true = waves({"W": (4, 4)}, seed).true["W"]
        assert scaled(facts_of_array(true, true.T, seed=seed), "W", true.T) is None


def test_entries_with_wide_error_bars_count_less(waves, facts_of_array):
    true = waves({"W": (40,)}).true["W"]
    facts = facts_of_array(true, 1.7 * true)
    sample = facts.samples["W"]
    # A measurement that is far off within a bar that says so.
    values, bars = sample.values.copy(), sample.error_bars.copy()
    values[0], bars[0] = 3.0 * values[0], 3.0 * abs(values[0])
    object.__setattr__(sample, "values", values)
    object.__setattr__(sample, "error_bars", bars)
    assert scaled(facts, "W", 1.7 * true).factor == pytest.approx(1.7, rel=1e-9)
