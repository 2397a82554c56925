"""Activation functions against closed forms, their derivatives against the complex step."""

import warnings

import numpy as np
import pytest

from mlp.activations import LEAKY_SLOPE, identity, leaky_relu, relu, sigmoid, tanh

POINTS = np.array([[-30.0, -3.0, -0.5, -1e-8], [1e-8, 0.25, 4.0, 30.0]])
KINKED = np.array([-2.0, -0.0, 0.0, 3.0])


@pytest.mark.parametrize("activation", [sigmoid, tanh, identity], ids=lambda item: item.name)
def test_smooth_derivative_agrees_with_the_complex_step(activation):
    step_size = 1e-30
    numerical = activation.function(POINTS + 1j * step_size).imag / step_size
    # 1 - a loses digits where a is near 1, so far out only absolute accuracy is left.
    np.testing.assert_allclose(activation.derivative(POINTS), numerical, rtol=1e-13, atol=1e-16)
    assert np.all(numerical > 0)


def test_sigmoid_and_its_derivative_have_their_known_values():
    z = np.array([-np.log(3), 0.0, np.log(3)])
    np.testing.assert_allclose(sigmoid.function(z), [1 / 4, 1 / 2, 3 / 4], rtol=1e-15)
    np.testing.assert_allclose(sigmoid.derivative(z), [3 / 16, 1 / 4, 3 / 16], rtol=1e-15)


def test_tanh_and_its_derivative_have_their_known_values():
    z = np.array([-np.log(3), 0.0, np.log(3)])
    np.testing.assert_allclose(tanh.function(z), [-4 / 5, 0, 4 / 5], rtol=1e-15)
    np.testing.assert_allclose(tanh.derivative(z), [9 / 25, 1, 9 / 25], rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sigmoid_reaches_its_limits_without_a_warning(dtype):
    z = np.array([-1e4, 1e4], dtype)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(sigmoid.function(z), [0, 1])
        np.testing.assert_array_equal(sigmoid.derivative(z), [0, 0])


def test_relu_and_its_derivative_have_their_closed_forms():
    np.testing.assert_array_equal(relu.function(KINKED), [0, 0, 0, 3])
    np.testing.assert_array_equal(relu.derivative(KINKED), [0, 0, 0, 1])


def test_leaky_relu_and_its_derivative_have_their_closed_forms():
    np.testing.assert_array_equal(leaky_relu.function(KINKED), [-2 * LEAKY_SLOPE, 0, 0, 3])
    np.testing.assert_array_equal(
        leaky_relu.derivative(KINKED), [LEAKY_SLOPE, LEAKY_SLOPE, LEAKY_SLOPE, 1]
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
@pytest.mark.parametrize("activation", [sigmoid, tanh, identity], ids=lambda item: item.name)
def test_smooth_activation_keeps_the_dtype(activation, dtype):
    z = POINTS.astype(dtype)
    assert activation.function(z).dtype == dtype
    assert activation.derivative(z).dtype == dtype


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", [relu, leaky_relu], ids=lambda item: item.name)
def test_kinked_activation_keeps_the_dtype(activation, dtype):
    z = POINTS.astype(dtype)
    assert activation.function(z).dtype == dtype
    assert activation.derivative(z).dtype == dtype
