"""Derivatives of many functions at once against closed forms in extended precision."""

import numpy as np
import pytest

from gradcheck.many_lines import complex_slopes, slopes


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def extended(z):
    return np.asarray(z, np.longdouble)


# Functions with their derivatives, right to more digits than float64 has.
SMOOTH = {
    "identity": (lambda z: z, lambda z: 1 + 0 * extended(z)),
    "square": (lambda z: z * z / 2, extended),
    "sigmoid": (sigmoid, lambda z: sigmoid(extended(z)) * sigmoid(-extended(z))),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(extended(z)) ** 2),
    "softplus": (lambda z: np.logaddexp(0, z), lambda z: sigmoid(extended(z))),
    # What is lost in 1 + exp(z) makes it far noisier than its values are large.
    "naive softplus": (lambda z: np.log(1 + np.exp(z)), lambda z: sigmoid(extended(z))),
    "tanh by a sigmoid": (
        lambda z: 2 * sigmoid(2 * z) - 1,
        lambda z: 1 / np.cosh(extended(z)) ** 2,
    ),
    "wide": (lambda z: np.tanh(1e-4 * z), lambda z: 1e-4 / np.cosh(1e-4 * extended(z)) ** 2),
    "on a pedestal": (lambda z: 1e6 + np.sin(z), lambda z: np.cos(extended(z))),
    "narrow": (lambda z: np.sin(1e4 * z), lambda z: 1e4 * np.cos(1e4 * extended(z))),
    "a narrow step": (
        lambda z: np.tanh(1e4 * z),
        lambda z: 1e4 / np.cosh(np.minimum(1e4 * extended(np.abs(z)), 5000)) ** 2,
    ),
}
KINKED = {
    "relu": (lambda z: np.maximum(z, 0), lambda z: 1.0 * (z > 0)),
    "leaky": (lambda z: np.where(z > 0, z, 0.01 * z), lambda z: np.where(z > 0, 1.0, 0.01)),
    "abs": (np.abs, np.sign),
    "clipped": (lambda z: np.clip(z, -1, 1), lambda z: 1.0 * (np.abs(z) < 1)),
    "elu": (lambda z: np.where(z > 0, z, np.expm1(z)), lambda z: np.where(z > 0, 1, np.exp(z))),
}


def points(seed):
    rng = np.random.default_rng(seed)
    sizes = 10.0 ** rng.uniform(-12, 0, 200) * rng.choice([-1, 1], 200)
    return np.concatenate(
        [rng.standard_normal(1000), 10 * rng.standard_normal(200), 30 * rng.random(50), sizes]
    )


def off(found, truth):
    return np.abs(found.values - truth).astype(float)


@pytest.mark.parametrize("name", [*SMOOTH, *KINKED])
def test_the_truth_is_inside_every_error_bar(name):
    function, derivative = (SMOOTH | KINKED)[name]
    for seed in range(8):
        z = points(seed)
        with np.errstate(over="ignore"):
            found = slopes(function, z)
        assert np.all(off(found, derivative(z)) <= found.error_bars)
        np.testing.assert_array_equal(found.origin, function(z))
        assert np.all(found.independent)


@pytest.mark.parametrize(
    ("name", "sharp"),
    [
        ("identity", 1e-12),
        ("sigmoid", 2e-12),
        ("tanh", 2e-11),
        ("softplus", 1e-12),
        ("on a pedestal", 2e-6),
        ("narrow", 1e-2),
    ],
)
def test_error_bars_are_sharp(name, sharp):
    function, derivative = SMOOTH[name]
    z = np.random.default_rng(0).standard_normal(3000)
    found = slopes(function, z)
    size = np.max(np.abs(derivative(z)).astype(float))
    assert np.max(found.error_bars) <= sharp * size
    assert np.median(found.error_bars) <= sharp * size / 2


def test_few_points_suffice_where_all_is_smooth():
    z = np.random.default_rng(0).standard_normal(3000)
    assert slopes(sigmoid, z).evaluations == 14
    assert slopes(KINKED["relu"][0], z).evaluations > 14


def test_units_near_a_kink_are_as_sharp_as_others():
    function, _ = KINKED["relu"]
    for distance in 10.0 ** -np.arange(1, 14):
        found = slopes(function, np.array([distance, -distance]))
        np.testing.assert_allclose(found.values, [1, 0], atol=1e-9)
        assert np.all(found.error_bars <= 1e-8)
        assert np.all(found.jumps <= 1e-8)


def test_units_near_a_kink_elsewhere_are_resolved_as_far_as_round_off_lets_them():
    function, _ = KINKED["clipped"]
    for distance in 10.0 ** -np.arange(1, 9):
        found = slopes(function, np.array([1 - distance, 1 + distance]))
        np.testing.assert_allclose(found.values, [1, 0], atol=1e-6)
        assert np.all(found.error_bars <= 1e-5)


@pytest.mark.parametrize(
    ("name", "left", "right"),
    [("relu", 0, 1), ("leaky", 0.01, 1), ("abs", -1, 1)],
)
def test_at_a_kink_the_bar_reaches_from_the_middle_to_both_slopes(name, left, right):
    function, _ = KINKED[name]
    found = slopes(function, np.zeros(3))
    np.testing.assert_allclose(found.values, (left + right) / 2, rtol=1e-9)
    np.testing.assert_allclose(found.error_bars, (right - left) / 2, rtol=1e-6)
    assert np.all(found.error_bars >= (right - left) / 2)
    np.testing.assert_allclose(found.jumps, right - left, rtol=1e-6)


def test_a_saturated_unit_has_next_to_no_slope():
    z = np.array([30.0, -30.0, 100.0, -100.0, 600.0])
    found = slopes(np.tanh, z)
    assert np.all(off(found, 0.0) <= found.error_bars)
    assert np.all(found.error_bars <= 1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_lower_precision_inside_shows_in_the_error_bars(dtype):
    z = np.random.default_rng(1).uniform(-4, 4, 2000)
    unit = float(np.finfo(dtype).eps)
    found = slopes(lambda p: sigmoid(p.astype(dtype)).astype(float), z)
    truth = SMOOTH["sigmoid"][1](z)
    assert np.all(off(found, truth) <= found.error_bars)
    assert np.median(found.error_bars) > unit
    # Not as if nothing were known.
    assert np.median(found.error_bars) < 2e3 * unit


def test_a_rounded_function_is_not_taken_at_its_word():
    z = np.random.default_rng(2).uniform(-2, 2, 1000)
    found = slopes(lambda p: np.round(sigmoid(p), 5), z)
    assert np.all(off(found, SMOOTH["sigmoid"][1](z)) <= found.error_bars)
    assert np.max(found.error_bars) <= 1e-2


def test_a_step_at_the_point_has_no_slope_that_would_be_believed():
    found = slopes(lambda p: 1.0 * (p > 0), np.array([0.0, 0.3]))
    assert found.error_bars[0] > 1.0
    assert off(found, 0.0)[1] <= found.error_bars[1]


def test_functions_that_depend_on_each_other_are_told_from_others():
    z = np.random.default_rng(3).standard_normal(60)

    def softmax_of_rows(p):
        exponentials = np.exp(p.reshape(len(p), 12, 5))
        return (exponentials / exponentials.sum(axis=-1, keepdims=True)).reshape(p.shape)

    def centred_over_rows(p):
        shaped = p.reshape(len(p), 12, 5)
        return (shaped - shaped.mean(axis=1, keepdims=True)).reshape(p.shape)

    assert not np.all(slopes(softmax_of_rows, z).independent)
    assert not np.all(slopes(centred_over_rows, z).independent)
    assert np.all(slopes(sigmoid, z).independent)


def test_a_function_without_values_around_its_point_has_no_slope():
    found = slopes(lambda p: np.where(p > 2, np.nan, p), np.array([1.0, 3.0]))
    assert np.isfinite(found.error_bars[0])
    assert np.isinf(found.error_bars[1])
    assert np.isnan(found.values[1])


def test_the_edge_of_a_domain_is_stayed_away_from():
    z = 10.0 ** -np.array([*range(8), 12, 15, 40, 200])
    with np.errstate(invalid="ignore", divide="ignore"):
        found = slopes(np.log, z)
    assert np.all(off(found, 1 / extended(z)) <= found.error_bars)
    assert np.all(found.error_bars <= 1e-3 / z)


def test_parts_of_different_precision_do_not_spoil_each_other():
    z = np.random.default_rng(4).uniform(-2, 2, 400)

    def both(p):
        single = sigmoid(p[:, 200:].astype(np.float32)).astype(float)
        return np.concatenate([sigmoid(p[:, :200]), single], axis=1)

    found = slopes(both, z, [slice(0, 200), slice(200, 400)])
    assert np.max(found.error_bars[:200]) < 1e-11
    assert np.min(found.error_bars[200:]) > 1e-8


@pytest.mark.parametrize("name", ["identity", "square", "sigmoid", "wide"])
def test_complex_steps_hold_and_are_sharper(name):
    function, derivative = SMOOTH[name]
    z = np.random.default_rng(5).standard_normal(2000)
    found = slopes(function, z)
    by_complex = complex_slopes(function, z, found)
    truth = derivative(z)
    assert np.all(off(by_complex, truth) <= by_complex.error_bars)
    assert np.max(by_complex.error_bars / np.abs(truth)) <= 1e-14
    assert np.median(by_complex.error_bars) < np.median(found.error_bars)


@pytest.mark.parametrize(
    "function",
    [
        lambda z: sigmoid(np.real(z)),  # drops the imaginary part
        lambda z: np.abs(z) ** 2,  # not analytic
        lambda z: sigmoid(np.conj(z)),
    ],
)
def test_functions_that_take_no_complex_numbers_are_found_out(function):
    z = np.random.default_rng(6).standard_normal(50)
    assert complex_slopes(function, z, slopes(function, z)) is None


def test_a_complex_step_at_a_kink_leaves_the_bar_that_reaches_to_both_sides():
    def relu(z):
        return np.where(np.real(z) > 0, z, 0 * z)

    z = np.array([0.0, 0.5, -0.5])
    found = complex_slopes(relu, z, slopes(relu, z))
    np.testing.assert_allclose(found.values, [0.5, 1.0, 0.0])
    assert found.error_bars[0] >= 0.5
