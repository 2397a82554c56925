"""Gradients that are counts."""

import numpy as np
import pytest

from gradcheck.diagnosis.discrete import counted

COUNTS = np.array([3.0, -2.0, 0.0, 7.0])
W = np.array([0.5, -1.2, 0.3, 2.2])


@pytest.mark.parametrize(
    ("divisor", "fields"),
    [(1.0, {}), (8.0, {"sizes": {"batch": 8}}), (8.0, {"args": (np.ones((8, 2)),)})],
)
def test_whole_gradients_are_counts_and_so_are_these_over_a_size(divisor, fields, facts_of_array):
    facts = facts_of_array(COUNTS / divisor, COUNTS[::-1] / divisor, W, **fields)
    assert counted(facts) == {"W"}


@pytest.mark.parametrize(
    ("true", "claimed", "parameter"),
    [
        (COUNTS + 0.1, COUNTS, W),
        (COUNTS, 1.1 * COUNTS, W),
        (COUNTS / 8.0, COUNTS[::-1] / 8.0, W),  # over a size that is not known
        (COUNTS, COUNTS[::-1], np.round(W)),
        (2000.0 * COUNTS, COUNTS, W),
    ],
)
def test_others_are_not(true, claimed, parameter, facts_of_array):
    assert counted(facts_of_array(true, claimed, parameter)) == frozenset()


@pytest.mark.parametrize("size", [1e-8, 1e-12, 1e-100, 0.0])
def test_tiny_gradients_are_no_counts(size, facts_of_array):
    assert counted(facts_of_array(size * W, 2.0 * size * W, W, failing=("W",))) == frozenset()
