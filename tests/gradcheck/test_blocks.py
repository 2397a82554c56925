"""Blocks of entries and slices of parameters: arithmetic on slopes that are known exactly."""

import numpy as np
import pytest

from gradcheck.blocks import Block, difference, lone_candidates
from gradcheck.quick_slopes import Reading
from gradcheck.regions import Region, common, crowded, slice_of

SIZE = 1000
DEVIATION = 1e-9


def block(errors, readings=3, *, deviation=DEVIATION, seed=0, noise=0.0):
    """Return a block of SIZE entries with the slopes that these errors, by position, make."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(readings):
        weights = rng.choice([-1.0, 1.0], SIZE) * rng.uniform(0.5, 1.5, SIZE)
        value = sum(weights[position] * error for position, error in errors.items())
        made.append(Reading(weights, value + noise * rng.standard_normal(), deviation))
    return Block(np.arange(SIZE), tuple(made))


def test_a_lone_error_is_the_only_candidate():
    assert lone_candidates(block({123: 0.7})).tolist() == [123]


def test_noise_leaves_several_candidates_and_the_right_one_among_them():
    noisy = block({123: 1.0}, readings=2, deviation=0.02, noise=0.01)
    candidates = lone_candidates(noisy)
    assert 123 in candidates
    assert 1 < candidates.size < 100


def test_more_readings_leave_fewer_candidates():
    counts = [
        lone_candidates(block({5: 1.0}, readings=count, deviation=0.02)).size for count in (2, 3, 5)
    ]
    assert counts[0] > counts[1] > counts[2] == 1


def test_two_errors_have_no_candidate():
    assert lone_candidates(block({5: 1.0, 700: -0.6})).size == 0


def test_an_error_that_explains_nearly_everything_is_a_candidate():
    assert lone_candidates(block({5: 1.0, 700: 1e-4}, readings=4)).tolist() == [5]


def test_one_reading_tells_no_position():
    assert lone_candidates(block({5: 1.0}, readings=1)).size == 0


def test_without_a_known_error_nothing_is_left():
    left = block({5: 1.0, 6: 2.0}).without({5: (1.0, 0.0), 6: (2.0, 0.0)})
    assert left.is_empty
    assert left.positions.size == SIZE - 2
    assert not {5, 6} & set(left.positions.tolist())


def test_the_doubt_about_a_known_error_stays():
    whole = block({5: 1.0})
    left = whole.without({5: (1.001, 0.01)})
    for before, after in zip(whole.readings, left.readings, strict=True):
        doubt = np.hypot(DEVIATION, 0.01 * before.weights[5])
        assert after.deviation == pytest.approx(doubt)
        assert after.value == pytest.approx(-0.001 * before.weights[5])


def test_one_half_tells_the_other():
    whole = block({5: 1.0, 700: -0.6}, readings=1).readings[0]
    half = np.arange(SIZE) < 500
    part = Reading(whole.weights[half], float(whole.weights[5]), DEVIATION)
    rest = difference(whole, part, ~half)
    assert rest.value == pytest.approx(-0.6 * whole.weights[700])
    assert np.array_equal(rest.weights, whole.weights[500:])


def test_a_block_without_readings_is_taken_for_empty():
    assert Block(np.arange(3), ()).is_empty
    nan = Reading(np.ones(3), float("nan"), 1.0)
    assert Block(np.arange(3), ()).with_reading(nan).readings == ()


def test_the_positions_of_a_slice():
    assert slice_of(Region(1, (2,)), np.arange(12), (3, 4)).tolist() == [2, 6, 10]


def test_a_slice_with_most_of_the_wrong_entries_is_crowded():
    column = [7 + 20 * row for row in range(7)]
    assert crowded([*column, 3, 58], (10, 20), ()) == Region(1, (7,))
    assert crowded([*column, 3, 58], (10, 20), [Region(1, (7,))]) is None


def test_scattered_entries_are_no_crowd():
    positions = np.random.default_rng(0).choice(200, 40, replace=False)
    assert crowded(positions.tolist(), (10, 20), ()) is None


def test_what_all_wrong_ones_share_is_found():
    assert common([1, 6, 11, 16], (4, 5)) == Region(1, (1,))
    assert common([1, 6, 12, 16], (4, 5)) is None
    assert common([1, 6, 11], (4, 5)) is None
    assert common([1, 2, 3, 4], (9,)) is None
