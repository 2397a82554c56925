"""A discrepancy stands out only where not even a kink hidden at the origin would explain it."""

import math
from dataclasses import replace

import numpy as np
import pytest

from gradcheck.extrapolation import RATIO, Reading, Rung, Window, all_windows

READING = Reading(scale=1.0, multiplier=1.0, round_off=0.0)
PLAIN = Window(
    top=0,
    bottom=1,
    step=1e-3,
    estimate=1.0,
    truncation=0.1,
    noise=0.1,
    jump=0.0,
    jump_bar=0.0,
    error=0.2,
)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, True),
        ({"error": 0.99}, True),
        ({"error": 1.0}, False),
        ({"jump_bar": 1.5}, True),  # a kink of 1.5 moves the mean of both slopes by 0.75
        ({"jump_bar": 1.7}, False),
        ({"jump": 1.5}, True),
        ({"jump": -1.5}, True),
        ({"jump": -1.7}, False),
        ({"jump": 0.8, "jump_bar": 0.7}, True),
        ({"jump": -0.8, "jump_bar": 0.9}, False),
        ({"jump_bar": math.inf}, False),  # as of a one-sided window, which knows of no kink
        ({"error": math.inf}, False),
        ({"estimate": math.nan}, False),
    ],
)
def test_error_bar_and_half_the_largest_jump_are_the_threshold(changes, says, sign):
    window = replace(PLAIN, **changes)
    assert replace(window, estimate=sign * window.estimate).stands_out is says


def windows_of(loss, *, noise=0.0, first=1e-2, count=5):
    """Return the windows over differences of a loss whose analytic slope is taken to be 0."""
    rungs = {}
    for k in range(count):
        h = first * RATIO**-k
        above, below, here = loss(h), loss(-h), loss(0.0)
        rungs[k] = Rung(h, (above - below) / (2 * h), (above - 2 * here + below) / h, noise)
    return all_windows(rungs, READING)


@pytest.mark.parametrize("off", [1e-3, -0.1, 2.0])
def test_a_slope_that_is_off_by_more_than_noise_stands_out_at_every_step(off):
    found = windows_of(lambda t: off * t + t**3, noise=1e-12)
    assert all(window.stands_out for window in found)


@pytest.mark.parametrize("left", [0.0, -1.0, 0.5])
def test_a_kink_with_the_claimed_slope_to_one_side_does_not_stand_out(left):
    """The central difference is off by half the jump, which is just what it may be off by."""
    for jump in (1.0, 1e-3, -0.25):
        right = left + jump

        def kinked(t, left=left, right=right):
            return t * (right if t > 0 else left)

        for claimed in (left, right):
            found = windows_of(lambda t, c=claimed, f=kinked: f(t) - c * t, noise=1e-15)
            assert not any(window.stands_out for window in found)


def test_a_slope_outside_both_sides_of_a_kink_stands_out():
    found = windows_of(lambda t: 0.5 * abs(t) + 2.0 * t, noise=1e-12)
    assert all(window.stands_out for window in found)


def test_noise_that_could_hide_a_kink_keeps_a_discrepancy_from_standing_out():
    """Over many draws: an offset of noise's size never does, a large one always does."""
    noise, first = 1e-9, 1e-4
    for seed in range(300):
        rng = np.random.default_rng(seed)
        shaken = lambda t, rng=rng: noise * rng.standard_normal()  # noqa: E731
        assert not any(w.stands_out for w in windows_of(shaken, noise=noise, first=first, count=3))
        off = 100 * noise / (first * RATIO**-2)
        tilted = lambda t, rng=rng, off=off: off * t + noise * rng.standard_normal()  # noqa: E731
        assert all(w.stands_out for w in windows_of(tilted, noise=noise, first=first, count=3))
