"""Derivatives from values alone, against closed forms."""

import numpy as np
import pytest

from gradcheck.diagnosis.slopes import Differentiator, complex_slope, difference_slope

AT = np.random.default_rng(0).standard_normal((4, 3))


@pytest.mark.parametrize(
    ("function", "derivative"),
    [
        (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
        (np.exp, np.exp),
        (lambda x: 1e6 + np.sin(x), np.cos),
        (lambda x: np.maximum(x, 0.0), lambda x: (x > 0) * 1.0),
    ],
    ids=["tanh", "exp", "sine on a hill", "relu"],
)
def test_differences_are_good_to_nine_digits_of_the_largest(function, derivative):
    slope = difference_slope(lambda t: function(AT + t))
    # A height of 1e6 costs six digits.
    rtol = 1e-9 if abs(np.max(function(AT))) < 1e3 else 1e-6
    np.testing.assert_allclose(slope, derivative(AT), rtol=rtol, atol=rtol)


def test_a_kink_close_by_is_kept_out():
    at = np.array([1e-5, -1e-5, 0.3, -2.0])
    slope = difference_slope(lambda t: np.abs(at + t))
    np.testing.assert_allclose(slope, [1, -1, 1, -1], rtol=0, atol=1e-7)


def test_the_complex_step_is_exact():
    slope = complex_slope(lambda t: np.sin(AT + t) ** 3)
    np.testing.assert_allclose(slope, 3 * np.sin(AT) ** 2 * np.cos(AT), rtol=1e-14)


@pytest.mark.parametrize(
    "line",
    [
        lambda t: np.sin(np.real(AT + t)),
        lambda t: np.asarray(AT + t, np.float64),
        lambda t: np.array([float(x) for x in (AT + t).reshape(-1)]),
    ],
    ids=["real part", "cast", "floats"],
)
def test_there_is_no_complex_step_where_the_imaginary_part_is_lost(line):
    assert complex_slope(line) is None


def test_a_complex_step_that_is_wrong_is_not_used():
    def line(t):
        return np.abs(AT + t)  # smooth, and blind to an imaginary part

    differentiator = Differentiator(line)
    assert not differentiator.is_complex
    np.testing.assert_allclose(differentiator.slope(line), np.sign(AT), rtol=0, atol=1e-7)


def test_a_complex_step_that_is_right_is_used():
    calls = []

    def line(t):
        calls.append(t)
        return np.cos(AT + t)

    differentiator = Differentiator(line)
    calls.clear()
    np.testing.assert_allclose(differentiator.slope(line), -np.sin(AT), rtol=1e-14)
    assert len(calls) == 1
