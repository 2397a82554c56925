"""The measured noise against noise that was put in."""

import numpy as np
import pytest

from gradcheck.directions import entry_scales, noise_directions
from gradcheck.execution import Evaluator
from gradcheck.noise import difference_table_noise, measure_noise, quantum
from gradcheck.problem import Problem


def noise_of(loss, point):
    evaluator = Evaluator(Problem(loss, point, point))
    noise = measure_noise(
        evaluator, noise_directions(evaluator.original, entry_scales(evaluator.original), seed=0)
    )
    return noise, evaluator


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("deviation", [1e-12, 1e-8, 1e-5])
def test_noise_in_a_table_of_a_smooth_function_is_found(seed, deviation):
    rng = np.random.default_rng(seed)
    steps = np.arange(9) * deviation
    values = np.exp(steps) + deviation * rng.standard_normal(9)
    found, state = difference_table_noise(values)
    assert state == "measured"
    assert deviation / 5 < found < deviation * 5


def test_smooth_differences_are_not_taken_for_noise():
    found, state = difference_table_noise(np.exp(np.arange(9) * 1e-2))
    assert (found, state) == (0.0, "too_large") or found < 1e-14


def test_round_off_is_the_least_noise_there_is():
    noise, evaluator = noise_of(lambda x: float(np.sum(x**2)), np.array([1.0, 2.0]))
    assert 1e-16 < noise.deviation / noise.value < 1e-14
    assert evaluator.evaluations <= 20


def test_float32_inside_is_noise():
    def loss(x):
        return float(np.sum(np.sin(x.astype(np.float32))))

    noise, _ = noise_of(loss, np.linspace(0.1, 1.0, 10))
    assert 1e-9 < noise.deviation / noise.value < 1e-6


def test_spread_of_a_random_loss_is_its_noise():
    rng = np.random.default_rng(0)
    noise, _ = noise_of(lambda x: float(x @ x) + 1e-3 * rng.standard_normal(), np.ones(3))
    assert 2e-4 < noise.deviation < 5e-3


def test_measuring_leaves_the_parameters_alone():
    point = np.array([1.0, 2.0])
    _, evaluator = noise_of(lambda x: float(x @ x), point)
    assert evaluator.changed_parameters() == ()
    assert point.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("digits", [0, 1, 2, 6])
def test_a_rounded_loss_is_as_noisy_as_it_is_coarse(digits):
    for seed in range(10):
        point = np.random.default_rng(seed).standard_normal(5)
        noise, _ = noise_of(lambda x: round(float(np.sum(np.sin(x))), digits), point)
        assert 0.1 <= noise.deviation * 10**digits <= 1.0, seed


@pytest.mark.parametrize("slope", [1e-12, 1e-3, 1.0])
def test_a_straight_loss_is_not_taken_for_a_rounded_one(slope):
    noise, _ = noise_of(lambda x: 1.0 + slope * float(np.sum(x)), np.arange(1.0, 4.0))
    assert noise.deviation < 1e-15 * noise.value


def test_quantum_is_the_largest_common_divisor_of_all_changes():
    assert quantum(np.array([0.3, 0.9, 1.5, 0.9])) == pytest.approx(0.6)
    assert quantum(np.array([0.0, 0.2, 0.5, 0.6])) == pytest.approx(0.1)
    assert quantum(0.1 * np.array([1, 3, 6, 7, 3])) == pytest.approx(0.1)
    assert quantum(np.sin(np.arange(9.0))) == 0.0
    assert quantum(np.array([2.0, 2.0, np.nan])) == 0.0


def test_noise_is_measured_inside_the_domain():
    def loss(x):
        if np.any(x < 0):
            raise ValueError("outside")
        return float(np.sum((1 + x) * np.log(1 + x)))

    noise, _ = noise_of(loss, np.zeros(3))
    assert 1e-17 < noise.deviation < 1e-14


def test_an_entry_of_1e_minus_8_is_not_moved_by_the_rounding_of_its_neighbours():
    noise, _ = noise_of(lambda x: float(np.sin(1e8 * x[0]) + x[1] / 1e8), np.array([1e-8, 1e8]))
    assert noise.deviation < 1e-14
