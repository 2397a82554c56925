import numpy as np
import pytest

from gradcheck.repeats import (
    REPEATABLE_UNITS,
    STALE_PART,
    difference,
    grows,
    is_stale,
    precision_of,
    unit_of,
)

G = np.array([1.0, -4.0, 0.5])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, ">f8"])
def test_a_few_units_of_round_off_of_the_largest_entry_are_no_difference(dtype):
    g = G.astype(dtype)
    allowed = REPEATABLE_UNITS * unit_of(g) * 4.0
    assert difference(g.astype(float), g + 0.9 * allowed, unit=unit_of(g)) is None
    change = difference(g.astype(float), g.astype(float) + 1.1 * allowed, unit=unit_of(g))
    assert change == pytest.approx(np.full(3, 1.1 * allowed))


def test_whole_numbers_differ_or_do_not():
    assert difference(np.array([3, 4]), np.array([3, 4])) is None
    assert difference(np.array([3, 4]), np.array([3, 5])).tolist() == [0.0, 1.0]


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_differs(odd):
    assert difference(G, np.array([1.0, odd, 0.5])) is not None
    assert difference(np.array([odd, 1.0]), np.array([odd, 1.0])) is not None


def test_another_shape_differs_everywhere():
    assert difference(G, G[:2]).tolist() == [np.inf] * 3


def test_calls_grow_where_each_adds_the_same():
    assert grows(G, 2 * G, 3 * G)
    assert grows(7 + G, 7 + 2 * G, 7 + 3 * G)
    assert not grows(G, G, G)
    assert not grows(G, 2 * G, 4 * G)
    assert not grows(G, 2 * G, G)
    assert not grows(G, G * np.nan, G)


def staleness(change, elsewhere=1.01 * G, size=1.0):
    return is_stale((G, G + change, elsewhere), np.ones(3), size)


def test_a_gradient_of_elsewhere_is_stale():
    assert staleness(0.01 * G)
    assert staleness(np.array([0.0, 0.0, 0.003]))


def test_a_change_far_smaller_than_on_the_way_there_is_none():
    way = 0.04
    assert staleness(np.array([1.1 * STALE_PART * way, 0.0, 0.0]))
    assert not staleness(np.array([0.9 * STALE_PART * way, 0.0, 0.0]))


def test_a_change_that_a_large_loss_rounds_away_is_none():
    assert staleness(0.01 * G, size=1e10)
    assert not staleness(0.01 * G, size=1e15)


@pytest.mark.parametrize("elsewhere", [None, G, G * np.nan, G[:2]])
def test_without_a_gradient_of_elsewhere_nothing_is_known(elsewhere):
    assert not staleness(0.01 * G, elsewhere)


def test_rounding_and_what_is_not_finite_are_not_stale():
    assert not staleness(1e-16 * G)
    assert not staleness(np.array([np.nan, 0.0, 0.0]))


def test_numbers_of_float32_are_told_in_arrays_of_float64():
    thirds = np.array([1 / 3, 2 / 3])
    assert precision_of(thirds) == np.float64
    assert precision_of(thirds.astype(np.float32).astype(np.float64)) == np.float32
    assert precision_of(np.array([0.5, 3.0, 1e6])) == np.float64  # these fit anywhere
    assert precision_of(np.array([123_457.0, 1e6, -3.0])) == np.float64
    assert precision_of(np.array([16_777_213.0])) == np.float32
    assert precision_of(np.array([1, 2])) == np.dtype(int)
