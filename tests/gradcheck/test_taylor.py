"""Taylor orders and curvatures against closed forms in high precision."""

import math

import mpmath
import numpy as np
import pytest

from gradcheck.taylor import Remainder, curvature, taylor_order

EPSILON = float(np.finfo(float).eps)
STEPS = [0.5 / 4.0**k for k in range(8)]


def remainders(size, noise=1e-16):
    return [Remainder(step, abs(float(size(step))), noise) for step in STEPS]


@pytest.mark.parametrize("power", [1, 2, 3])
def test_a_power_of_the_step_has_that_order_in_the_whole_window(power):
    order = taylor_order(remainders(lambda h: 3.0 * h**power, noise=0.0))
    assert order.value == pytest.approx(power, abs=1e-12)
    assert (order.largest, order.smallest) == (STEPS[0], STEPS[-1])


def test_the_order_of_the_exponential_is_that_of_its_remainder_in_the_window():
    def remainder(h):
        return mpmath.expm1(h) - h

    order = taylor_order(remainders(remainder))
    ratio = remainder(order.largest) / remainder(order.smallest)
    assert order.value == pytest.approx(
        float(mpmath.log(ratio) / mpmath.log(order.largest / order.smallest)), abs=1e-9
    )
    assert 2.0 <= order.value < 2.02


def test_an_inflection_has_the_order_three():
    assert taylor_order(remainders(lambda h: h**3 + h**4)).value == pytest.approx(3, abs=0.05)


def test_the_window_ends_where_larger_steps_have_another_order():
    order = taylor_order(remainders(lambda h: h**2 if h < 0.02 else h, noise=0.0))
    assert order.largest < 0.02
    assert order.value == pytest.approx(2)


def test_a_wrong_slope_has_the_order_one_however_large_the_curvature():
    order = taylor_order(remainders(lambda h: 0.1 * h + h**2, noise=1e-17))
    # Above h = 0.1 it looks like 2: the window ends below.
    assert order.largest < 0.1
    assert 1 <= order.value < 1.1


def test_of_nothing_there_is_no_order():
    assert taylor_order(remainders(lambda h: 0.0, noise=0.0)) is None


def test_what_noise_may_have_made_has_no_order():
    assert taylor_order(remainders(lambda h: h**2, noise=1e-4)) is None
    rng = np.random.default_rng(0)
    for _ in range(100):
        jitter = iter(rng.normal(size=len(STEPS)))
        assert taylor_order(remainders(lambda h, j=jitter: next(j), noise=6.0)) is None


def test_values_that_are_missing_have_no_order():
    assert taylor_order(remainders(lambda h: math.nan)) is None
    assert taylor_order([]) is None


def values(function, step, levels=4):
    steps = [step / 4.0**k for k in range(levels)]
    return {0.0: function(0.0)} | {s * h: function(s * h) for h in steps for s in (1, -1)}


@pytest.mark.parametrize(
    ("function", "truth"),
    [
        (math.exp, 1.0),
        (lambda t: math.sin(1 + t), -math.sin(1)),
        (lambda t: 5 + 3 * t, 0.0),
        (lambda t: 1e6 + 4 * t**2, 8.0),
        (lambda t: math.exp(-30 * t), 900.0),
        (lambda t: t**4, 0.0),
    ],
)
@pytest.mark.parametrize("step", [1.0, 1e-1, 1e-2, 1e-3, 1e-5, 1e-7])
def test_the_curvature_is_within_its_error_bar(function, truth, step):
    given = values(function, step)
    value, bar = curvature(given, EPSILON * max(map(abs, given.values())))
    assert abs(value - truth) <= bar


def test_a_curvature_is_sharp_where_steps_are_sensible():
    value, bar = curvature(values(math.exp, 1e-2), EPSILON)
    assert value == pytest.approx(1, abs=1e-8)
    assert bar < 1e-4


def test_without_two_steps_to_both_sides_there_is_no_curvature():
    value, bar = curvature({0.0: 1.0, 0.1: 2.0, -0.1: 2.0, 0.05: 1.5}, EPSILON)
    assert math.isnan(value)
    assert bar == math.inf


def test_a_value_that_is_missing_is_not_used():
    given = values(math.exp, 1.0) | {1.0: math.nan}
    value, bar = curvature(given, EPSILON)
    assert abs(value - 1) <= bar < 0.1
