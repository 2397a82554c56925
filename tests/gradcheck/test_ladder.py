"""What a ladder makes of a coarse loss: one that moves by multiples of a quantum, or not at all."""

import math

import numpy as np
import pytest

from gradcheck import check_gradients
from gradcheck.ladder import Conditions, Ladder, LineSettings
from gradcheck.line import differentiate, first_step
from gradcheck.verdict import outcome

EPSILON = 2.0**-52


def settings(slope=0.0, first=0.1):
    return LineSettings(
        slope=slope,
        slope_round_off=0.0,
        scale=1.0,
        first_step=first,
        required=1e-6,
        reference=1.0,
    )


def ladder(loss, *, rungs=7, noise=None):
    value = loss(0.0)
    conditions = Conditions(value, EPSILON * abs(value) if noise is None else noise, 1.0)
    made = Ladder(lambda step: (loss(step), 0.0), conditions, settings())
    for index in range(rungs):
        made.add(index)
    return made


def noise_of_smallest(made):
    """Return the noise of one evaluation that the window of the two smallest steps reckons with."""
    window = max(made.windows(), key=lambda window: window.top)
    low, high = (made.step(index) for index in (window.bottom, window.top))
    # Six deviations of (16 low - high) / 15, each a difference of two values over twice the step.
    return window.noise / (6 * math.hypot(16 / 15 / low, 1 / 15 / high) / math.sqrt(2))


def rounded(loss, quantum):
    return lambda t: quantum * round(loss(t) / quantum)


@pytest.mark.parametrize("quantum", [1e-3, 1e-5, 2.0**-20])
def test_a_rounded_loss_has_the_noise_of_its_quantum(quantum):
    # Its smallest steps do not move it, the largest by many quanta, one by a single one.
    made = ladder(rounded(lambda t: math.sin(1 + t), quantum), rungs=10)
    smallest = min(change for change in made.changes if change)
    assert noise_of_smallest(made) == pytest.approx(smallest / 2)
    assert smallest >= quantum * (1 - 1e-6)


def test_float32_inside_has_the_noise_of_its_last_digit():
    made = ladder(lambda t: float(np.float32(math.sin(1 + t))), rungs=14)
    unit = 2.0**-24  # between neighbours of 0.84 in float32
    assert noise_of_smallest(made) == pytest.approx(unit / 2)


def test_noise_that_was_measured_to_be_larger_stays():
    made = ladder(rounded(lambda t: math.sin(1 + t), 1e-5), rungs=10, noise=1e-4)
    assert noise_of_smallest(made) == pytest.approx(1e-4)


def test_a_loss_that_moves_at_every_step_is_not_coarse():
    made = ladder(lambda t: 1 + math.sin(t))
    assert noise_of_smallest(made) < 4 * EPSILON
    # Not even one that moves by whole quanta: 2 * 4**6 of them at first, one in the end.
    made = ladder(rounded(lambda t: 10 * t, 0.1 * 4.0**-6), rungs=7)
    assert noise_of_smallest(made) < 4 * EPSILON


def test_a_loss_that_never_moves_is_not_coarse():
    assert noise_of_smallest(ladder(lambda t: 1.0)) < 4 * EPSILON


def test_a_dead_zone_is_not_coarse():
    """It moves at some steps and not at others, but by any amount."""
    made = ladder(lambda t: 1 + math.sin(max(abs(t) - 1e-3, 0.0)))
    assert any(made.changes)
    assert not all(made.changes)
    assert noise_of_smallest(made) < 4 * EPSILON


def probed(loss, slope):
    value = loss(0.0)
    conditions = Conditions(value, 0.75 * EPSILON * abs(value), 1.0)
    given = settings(slope, first_step(1.0, conditions))
    return differentiate(lambda step: (loss(step), slope * step), conditions, given)


@pytest.mark.parametrize("quantum", [1e-4, 1e-6, 1e-9])
def test_rungs_alone_show_nearly_every_rounded_loss_to_be_one(quantum):
    """Nothing else says how noisy it is here; a check measures the noise beforehand as well."""
    accused = 0
    for at in np.random.default_rng(0).uniform(-2.0, 2.0, 100):
        found = probed(rounded(lambda t, at=at: 1 + math.sin(at + t), quantum), math.cos(at))
        accused += outcome(found) == "disagrees"
    assert accused <= 10


def test_slope_of_a_rounded_loss_that_is_far_off_is_still_wrong():
    caught = 0
    for at in np.linspace(-0.5, 0.5, 20):
        found = probed(rounded(lambda t, at=at: 1 + math.sin(at + t), 1e-6), 2 * math.cos(at))
        caught += outcome(found) == "disagrees"
    assert caught == 20


@pytest.mark.parametrize("digits", range(12))
def test_right_gradient_of_a_rounded_loss_is_never_accused(digits):
    for seed in range(50):
        point = np.random.default_rng(seed).standard_normal(5)
        report = check_gradients(
            lambda x: round(float(np.sum(np.sin(x))), digits), np.cos, point, seed=seed
        )
        assert report.verdict != "fail", seed
