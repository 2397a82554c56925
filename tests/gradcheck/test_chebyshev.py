"""The interval of Chebyshev points against slopes known in closed form."""

import math

import numpy as np
import pytest

from gradcheck.chebyshev import EVALUATIONS, EXPECTED_BAR, sample
from gradcheck.ladder import Conditions

EPSILON = 2.0**-52
# Coefficients have to be noise from some order on: a smooth function is on an interval so wide.
NOISE, WIDTH = 1e-12, 0.03


def interval(function, *, width=WIDTH, slope=0.0, noise=NOISE, multiplier=1.0):
    """Return what samples of `function` say about its slope at 0 beyond the one claimed."""
    conditions = Conditions(function(0.0), noise, multiplier)
    return sample(lambda step: (function(step), slope * step), conditions, width)


POLYNOMIALS = {
    "constant": [2.0],
    "straight": [1.0, -3.0],
    "parabola": [1.0, 0.5, 4.0],
    "cubic": [0.0, 0.25, -1.0, 2.0],
    "quartic": [5.0, 0.0, 2.0, 1.0, -0.5],
    "quintic": [1.0, -0.5, 0.0, 3.0, 1.0, -2.0],
}


@pytest.mark.parametrize("width", [1e-3, 0.1, 1.0, 8.0])
@pytest.mark.parametrize("slope", [0.0, 1.5])
@pytest.mark.parametrize("coefficients", POLYNOMIALS.values(), ids=POLYNOMIALS.keys())
def test_slope_of_a_polynomial_is_exact_to_round_off(coefficients, slope, width):
    def polynomial(t):
        return sum(c * t**k for k, c in enumerate(coefficients))

    size = sum(abs(c) * width**k for k, c in enumerate(coefficients)) + abs(slope) * width
    found = interval(polynomial, width=width, slope=slope, noise=16 * EPSILON * size)
    exact = ([*coefficients, 0.0])[1] - slope
    assert abs(found.estimate - exact) <= 8 * EPSILON * size / width
    assert abs(found.estimate - exact) <= found.error


SMOOTH = {
    "sin": (lambda t: math.sin(1 + t), math.cos(1)),
    "exp": (math.exp, 1.0),
    "sigmoid": (lambda t: 1 / (1 + math.exp(-2 - t)), math.exp(-2) / (1 + math.exp(-2)) ** 2),
    "logarithm": (lambda t: math.log(3 + t), 1 / 3),
    "bump": (lambda t: math.exp(-((t - 0.5) ** 2)), math.exp(-0.25)),
}


@pytest.mark.parametrize("width", [WIDTH, 0.01, 1e-3])
@pytest.mark.parametrize("name", SMOOTH)
def test_a_smooth_function_is_resolved_and_the_truth_within_its_bar(name, width):
    function, exact = SMOOTH[name]
    found = interval(function, width=width)
    assert abs(found.estimate - exact) <= found.error <= EXPECTED_BAR * NOISE / width


@pytest.mark.parametrize("function", [lambda t: math.sin(40 * t), lambda t: math.exp(-300 * t * t)])
def test_what_sixteen_points_cannot_follow_is_not_resolved(function):
    assert interval(function, width=1.0) is None
    assert interval(function, width=1e-3) is not None


@pytest.mark.parametrize("at", [-0.9, -0.5, -0.123, -0.01, 0.0, 0.03, 0.3, 0.5, 0.77, 0.9])
@pytest.mark.parametrize("jump", [1.0, -1e-3, 1e-6, -1e-7])
def test_a_kink_inside_the_interval_is_noticed(at, jump):
    def function(t):
        return math.sin(1 + t) + jump * max(t - at * WIDTH, 0.0)

    assert interval(function) is None
    assert interval(lambda t: math.sin(1 + t)) is not None


@pytest.mark.parametrize("at", [1.0, 1.5, -1.0, -2.0])
def test_a_kink_outside_the_interval_does_no_harm(at):
    found = interval(lambda t: math.sin(1 + t) + abs(t - at * WIDTH))
    assert abs(found.estimate - (math.cos(1) - math.copysign(1.0, at))) <= found.error


def test_a_bend_like_that_of_a_kink_resolves_nothing():
    def bent(t, size):
        return math.sin(1 + t) + size * math.cos(6 * math.acos(t / WIDTH))

    assert interval(lambda t: bent(t, 0.1 * NOISE)) is not None
    assert interval(lambda t: bent(t, 10 * NOISE)) is None


def noisy(function, deviation, seed):
    rng = np.random.default_rng(seed)
    return lambda step: (function(step) + deviation * rng.standard_normal(), 0.0)


@pytest.mark.parametrize("jump", [1.0, 10.0, 30.0, 40.0])
def test_a_kink_at_the_origin_that_noise_hides_is_allowed_for(jump):
    """The slopes to both sides stay within the bar and what is said of hidden kinks."""
    noise, width = 1e-6, 0.1
    resolved = 0
    for seed in range(1000):
        evaluate = noisy(lambda t: t + jump * noise * max(t, 0.0) / width, noise, seed)
        found = sample(evaluate, Conditions(0.0, noise, 1.0), width)
        if found is not None:
            resolved += 1
            for exact in (1.0, 1.0 + jump * noise / width):
                assert abs(found.estimate - exact) <= found.error + found.kink, seed
    assert resolved >= 10


@pytest.mark.parametrize(("noise", "width"), [(1e-12, 0.02), (1e-6, 0.3)])
def test_bar_holds_against_noise_and_is_as_sharp_as_expected(noise, width):
    errors, bars, kinks = [], [], []
    conditions = Conditions(math.sin(1), noise, 1.0)
    for seed in range(1000):
        found = sample(noisy(lambda t: math.sin(1 + t), noise, seed), conditions, width)
        if found is not None:
            errors.append(abs(found.estimate - math.cos(1)) * width / noise)
            bars.append(found.error * width / noise)
            kinks.append(found.kink * width / noise)
    assert len(bars) >= 990
    assert np.all(np.array(errors) <= bars)
    assert np.median(bars) <= EXPECTED_BAR
    assert np.median(np.array(bars) + kinks) <= 1.5 * EXPECTED_BAR
    # Or noise would not have been tested: it does reach a good part of the bar.
    assert np.max(errors) >= 0.1 * np.median(bars)


def test_bar_follows_noise_that_was_underestimated():
    given, width = 1e-9, 0.05
    expected = interval(lambda t: math.sin(1 + t), width=width, noise=given).error
    bars = []
    for seed in range(300):
        evaluate = noisy(lambda t: math.sin(1 + t), 2 * given, seed)
        found = sample(evaluate, Conditions(math.sin(1), given, 1.0), width)
        if found is not None:
            bars.append(found.error)
            assert abs(found.estimate - math.cos(1)) <= found.error, seed
    assert len(bars) >= 100
    assert np.median(bars) >= 1.5 * expected


def test_far_more_noise_than_was_measured_resolves_nothing():
    for seed in range(100):
        evaluate = noisy(lambda t: math.sin(1 + t), 1e-8, seed)
        assert sample(evaluate, Conditions(math.sin(1), 1e-9, 1.0), 0.05) is None, seed


def test_bar_widens_with_the_multiplier_and_shrinks_with_the_width():
    narrow, wide = (interval(math.exp, width=w, noise=1e-9) for w in (0.005, 0.05))
    assert narrow.error == pytest.approx(10 * wide.error, rel=0.2)
    careful = interval(math.exp, width=0.05, noise=1e-9, multiplier=1.5)
    assert careful.error == pytest.approx(1.5 * wide.error)
    assert careful.kink == pytest.approx(1.5 * wide.kink)
    assert careful.estimate == wide.estimate


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("missing", range(EVALUATIONS))
def test_a_point_that_cannot_be_evaluated_gives_nothing(missing, bad):
    asked = []

    def evaluate(step):
        asked.append(step)
        return (bad if len(asked) == missing + 1 else math.sin(1 + step)), 0.0

    assert sample(evaluate, Conditions(math.sin(1), NOISE, 1.0), WIDTH) is None


def test_points_reach_both_ends_and_spare_the_origin():
    asked = []

    def evaluate(step):
        asked.append(step)
        return math.exp(step), 0.0

    sample(evaluate, Conditions(1.0, 0.0, 1.0), 0.25)
    assert len(set(asked)) == len(asked) == EVALUATIONS
    assert (min(asked), max(asked)) == (-0.25, 0.25)
    assert min(map(abs, asked)) > 0.01
