"""Scales and random directions."""

import numpy as np
import pytest

from gradcheck.directions import entry_scales, noise_directions, random_direction


def test_scale_is_the_entry_or_the_typical_size_of_its_parameter():
    scales = entry_scales({"W": np.array([3.0, 4.0, 0.0])})["W"]
    typical = 5 / np.sqrt(3)
    assert scales == pytest.approx([3.0, 4.0, typical])


@pytest.mark.parametrize("factor", [1e-200, 1e-8, 1e8, 1e200])
def test_scale_follows_the_unit_of_the_parameters(factor):
    small = entry_scales({"W": factor * np.array([3.0, 4.0])})["W"]
    assert small == pytest.approx(factor * entry_scales({"W": np.array([3.0, 4.0])})["W"])


def test_zero_bias_takes_the_scale_of_its_neighbours():
    scales = entry_scales({"W": np.full(4, 0.01), "b": np.zeros(2)})
    assert scales["b"] == pytest.approx([0.01, 0.01])


def test_scale_is_one_where_everything_is_zero():
    assert entry_scales({"b": np.zeros(2)})["b"].tolist() == [1.0, 1.0]


def test_directions_depend_on_seed_name_and_number_only():
    scale = np.ones((3, 2))
    base = random_direction(scale, 0, "W", 0)
    assert np.array_equal(base, random_direction(scale, 0, "W", 0))
    for other in ((1, "W", 0), (0, "V", 0), (0, "W", 1)):
        assert not np.array_equal(base, random_direction(scale, *other))


def test_directions_have_both_signs_and_no_two_equal_magnitudes():
    direction = random_direction(np.full(1000, 2.0), 0, "W", 0)
    assert 400 < np.sum(direction > 0) < 600
    assert np.all((np.abs(direction) >= 1.0) & (np.abs(direction) <= 3.0))
    assert len(np.unique(np.abs(direction))) == 1000


def test_global_random_state_is_neither_used_nor_advanced():
    before = np.random.get_state()[1].copy()  # noqa: NPY002, the state that must not move
    random_direction(np.ones(5), 0, "W", 0)
    list(noise_directions({"W": np.ones(5)}, {"W": np.ones(5)}, seed=0))
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_signs_are_fair_and_magnitudes_uniform():
    drawn = random_direction(np.ones(400_000), 0, "W", 0)
    counts, _ = np.histogram(drawn, np.r_[-1.5:-0.5:11j, 0.5:1.5:11j])
    assert np.abs(drawn).min() >= 0.5
    assert np.abs(drawn).max() <= 1.5
    # Twenty boxes of 20,000 entries each, a deviation of 138; and none between -0.5 and 0.5.
    assert counts[10] == 0
    assert np.all(np.abs(np.delete(counts, 10) - 20_000) < 5 * 138)


def test_neighbouring_seeds_numbers_and_names_have_nothing_in_common():
    ones = np.ones(10_000)
    drawn = [
        random_direction(ones, *key)
        for key in [(0, "W", 1), (1, "W", 0), (0, "W", 11), (0, "W1", 1), (0, "1 W", 0)]
    ]
    correlations = np.corrcoef(drawn) - np.eye(len(drawn))
    assert np.max(np.abs(correlations)) < 0.05


@pytest.mark.parametrize(
    ("size", "unit", "dtype"),
    [(100_000, 1.0, np.float32), (100_000, 1e-30, float), (9, 1.0, float)],
)
def test_large_directions_for_noise_take_half_the_memory(size, unit, dtype):
    x = unit * np.linspace(-1.0, 1.0, size)
    scales = entry_scales({"x": x})
    for direction in noise_directions({"x": x}, scales, seed=0):
        assert direction["x"].dtype == dtype
        moved = np.abs(direction["x"])
        allowed = np.where(x == 0.0, scales["x"], np.abs(x))
        assert np.all((moved >= 0.499 * allowed) & (moved <= 1.501 * allowed))
