"""Samples of a gradient, and whether an array agrees with them."""

import numpy as np
import pytest

from gradcheck.diagnosis.facts import Sample

SAMPLE = Sample(np.array([0, 3, 4]), np.array([1.0, -2.0, 0.0]), np.array([0.1, 0.1, 0.1]), 6)


def test_entries_are_taken_in_row_order():
    array = np.arange(6.0).reshape(2, 3)
    assert SAMPLE.of(array).tolist() == [0.0, 3.0, 4.0]
    assert SAMPLE.of(array.T.copy().T).tolist() == [0.0, 3.0, 4.0]


def test_values_agree_within_their_error_bars():
    claimed = np.array([1.09, 9.0, 9.0, -2.11, 0.1, 9.0])
    assert SAMPLE.agrees(claimed).tolist() == [True, False, True]


def test_a_slight_relative_difference_is_none():
    exact = Sample(np.array([0, 1]), np.array([1e9, 1e9]), np.zeros(2), 2)
    assert exact.agrees(np.array([1e9 + 50.0, 1e9 + 200.0])).tolist() == [True, False]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_agrees_with_nothing(bad):
    assert not SAMPLE.agrees(np.full(6, bad)).any()


def test_a_part_is_chosen_by_mask_or_by_place():
    for which in (np.array([True, False, True]), np.array([0, 2])):
        part = SAMPLE.chosen(which)
        assert part.positions.tolist() == [0, 4]
        assert part.values.tolist() == [1.0, 0.0]
        assert part.size == 6


def test_it_is_complete_where_every_entry_was_measured():
    assert not SAMPLE.is_complete
    assert Sample(np.arange(2), np.zeros(2), np.zeros(2), 2).is_complete


def test_facts_fit_where_all_samples_agree(waves, facts_of_array):
    true = waves({"W": (3, 4)}).true["W"]
    facts = facts_of_array(true, 2.0 * true, measured=0.5)
    assert facts.fits("W", true)
    assert not facts.fits("W", 1.01 * true)
    elsewhere = true.copy()
    free = np.setdiff1d(np.arange(12), facts.samples["W"].positions)
    elsewhere.reshape(-1)[free] = 0.0
    assert facts.fits("W", elsewhere)
