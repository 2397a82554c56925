"""The line derivative against closed forms and mpmath."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradcheck.ladder import Conditions, LineSettings, bar_multiplier
from gradcheck.line import differentiate, first_step
from gradcheck.verdict import is_subgradient, outcome

EPSILON = 2.0**-52


def derivative(function, *, slope=0.0, scale=1.0, noise=None, comparing=True, reference=0.0):
    """Differentiate `function` at 0, the analytic slope claimed to be `slope`."""
    value = function(0.0)
    deviation = 0.75 * EPSILON * abs(value) if noise is None else noise
    conditions = Conditions(value, deviation, multiplier=1.0)
    known = LineSettings(
        slope=slope,
        slope_round_off=8 * EPSILON * abs(slope),
        scale=scale,
        first_step=first_step(scale, conditions),
        required=1e-6,
        reference=reference,
        comparing=comparing,
    )

    def evaluate(step):
        try:
            return function(step), slope * step
        except ValueError:
            return math.nan, slope * step

    return differentiate(evaluate, conditions, known)


SMOOTH = {
    "sin": (lambda t: math.sin(1 + t), lambda: mpmath.cos(1)),
    "exp of 50 t": (lambda t: math.exp(50 * t), lambda: mpmath.mpf(50)),
    "saturated sigmoid": (
        lambda t: 1 / (1 + math.exp(-(16 + t))),
        lambda: mpmath.exp(-16) / (1 + mpmath.exp(-16)) ** 2,
    ),
    "large offset": (lambda t: 1e6 + math.sin(1 + t), lambda: mpmath.cos(1)),
    "narrow": (lambda t: math.sin(1 + 1e4 * t), lambda: 1e4 * mpmath.cos(1)),
    "bessel": (
        lambda t: float(mpmath.besselj(1, 2 + t)),
        lambda: mpmath.diff(lambda x: mpmath.besselj(1, x), 2),
    ),
    "polynomial": (lambda t: (1 + t) ** 5, lambda: mpmath.mpf(5)),
    "zero slope": (lambda t: 1 + t**2, lambda: mpmath.mpf(0)),
}


@pytest.mark.parametrize("name", SMOOTH)
def test_truth_lies_within_the_error_bar(name):
    function, truth = SMOOTH[name]
    exact = float(truth())
    found = derivative(function, slope=exact)
    assert abs(found.value - exact) <= found.error_bar
    assert outcome(found) == "agrees"
    assert found.smoothness == "smooth"


@pytest.mark.parametrize("name", [name for name in SMOOTH if name != "zero slope"])
@pytest.mark.parametrize("error", [1e-2, 1e-4])
def test_wrong_slope_disagrees(name, error):
    function, truth = SMOOTH[name]
    found = derivative(function, slope=float(truth()) * (1 + error))
    assert outcome(found) == "disagrees"


def test_bar_is_sharp_and_cheap_on_a_well_scaled_function():
    found = derivative(lambda t: math.sin(1 + t), slope=math.cos(1))
    assert found.error_bar < 2e-8
    assert found.evaluations == 4


def test_derivative_without_a_claim_is_as_good():
    found = derivative(math.exp, comparing=False)
    assert abs(found.value - 1.0) <= found.error_bar < 1e-7


@pytest.mark.parametrize(
    ("slope", "says"),
    [(0.0, "agrees"), (1.0, "agrees"), (0.4, "agrees"), (1.2, "disagrees"), (-0.2, "disagrees")],
)
def test_kink_accepts_exactly_its_subgradients(slope, says):
    found = derivative(lambda t: max(t, 0.0), slope=slope)
    assert outcome(found) == says
    assert is_subgradient(found) == (slope == 0.4)


@pytest.mark.parametrize("distance", [1e-3, 1e-5, 1e-7, 1e-9])
@pytest.mark.parametrize("side", [-1, 1])
def test_kink_nearby_is_never_held_against_the_gradient(distance, side):
    at = side * distance
    found = derivative(lambda t: 1 + math.sin(t) + max(t - at, 0.0), slope=1.0 + (at < 0))
    assert outcome(found) == "agrees"


def test_saturated_plateau_far_away_accuses_nobody():
    rng = np.random.default_rng(3)
    noisy = lambda t: 1 + 1e-5 * math.tanh(t) + 1e-8 * rng.standard_normal()  # noqa: E731
    found = derivative(noisy, slope=1e-5, noise=1e-8, reference=1e-5)
    assert outcome(found) != "disagrees"


def test_hidden_noise_is_noticed_by_contradiction():
    rng = np.random.default_rng(4)
    found = derivative(lambda t: math.sin(1 + t) + 1e-7 * rng.standard_normal(), slope=math.cos(1))
    assert outcome(found) != "disagrees"


def test_loss_that_ends_nearby_gives_no_number():
    found = derivative(math.sqrt, slope=0.0)
    assert outcome(found) == "undecided"
    assert found.limit == "domain_edge"


@pytest.mark.parametrize(("side", "sign"), [("right", 1), ("left", -1)])
def test_at_the_edge_of_the_domain_one_side_is_enough(side, sign):
    def function(t):
        return (0.5 + t) * math.sin(t) if sign * t >= 0 else math.nan

    found = derivative(function, slope=0.5)
    assert (outcome(found), found.smoothness, found.side) == ("agrees", "smooth", side)
    assert abs(found.value - 0.5) <= found.error_bar < 1e-8
    assert outcome(derivative(function, slope=0.5001)) == "disagrees"


def test_a_slope_that_grows_without_bound_at_the_edge_is_left_open():
    for power in (0.3, 0.5, 0.9):
        found = derivative(lambda t, power=power: t**power if t >= 0 else math.nan, slope=3.0)
        assert outcome(found) == "undecided"


def test_loss_that_ends_further_out_is_differentiated():
    found = derivative(lambda t: math.log(1e-5 + t), slope=1e5, scale=1.0)
    assert outcome(found) == "agrees"
    assert found.error_bar < 1.0


@settings(max_examples=200, deadline=None)
@given(
    coefficients=st.lists(st.floats(-10, 10), min_size=2, max_size=4),
    exponent=st.integers(-8, 8),
)
def test_low_polynomials_are_never_accused_at_any_scale(coefficients, exponent):
    scale = 10.0**exponent

    def function(t):
        return sum(c * (t / scale) ** k for k, c in enumerate(coefficients))

    found = derivative(function, slope=coefficients[1] / scale, scale=scale, reference=1 / scale)
    assert outcome(found) != "disagrees"


def test_bars_widen_with_the_number_of_comparisons():
    assert bar_multiplier(1) == 1.0
    assert bar_multiplier(100_000) > bar_multiplier(100) > 1.0
