"""Numerical derivatives that share no code with the backward passes they judge."""

from copy import deepcopy

import numpy as np
import pytest


def perturbed(parameters, place, change, dtype):
    """Return a copy of the parameters in the dtype, with one entry changed."""
    copy = {
        name: {inner: array.astype(dtype) for inner, array in values.items()}
        for name, values in parameters.items()
    }
    layer, key, index = place
    copy[layer][key][index] += change
    return copy


def entrywise(slope, parameters):
    """Return slope(layer, key, index) for every entry, in the structure of the parameters."""
    gradient = deepcopy(parameters)
    for layer, values in gradient.items():
        for key, array in values.items():
            for index in np.ndindex(array.shape):
                array[index] = slope(layer, key, index)
    return gradient


@pytest.fixture
def complex_step():
    """Gradient by Im f(x + ih) / h, exact to rounding: nothing is subtracted."""
    step_size = 1e-30

    def gradient(loss, parameters, *args):
        def slope(*place):
            moved = perturbed(parameters, place, 1j * step_size, complex)
            return np.imag(loss(moved, *args)) / step_size

        return entrywise(slope, parameters)

    return gradient


@pytest.fixture
def central_differences():
    """Gradient by (f(x + h) - f(x - h)) / 2h, for functions with kinks."""
    step_size = 1e-6

    def gradient(loss, parameters, *args):
        def slope(*place):
            ahead = perturbed(parameters, place, step_size, float)
            behind = perturbed(parameters, place, -step_size, float)
            return (loss(ahead, *args) - loss(behind, *args)) / (2 * step_size)

        return entrywise(slope, parameters)

    return gradient


@pytest.fixture
def assert_same_gradient():
    """Compare every entry, small ones too, and refuse parameters that test nothing."""

    def compare(analytic, numerical, rtol, floor):
        assert list(analytic) == list(numerical)
        for layer, values in numerical.items():
            assert list(analytic[layer]) == list(values)
            for key, expected in values.items():
                largest = np.abs(expected).max()
                assert largest > 0, f"{layer}.{key} has a zero gradient"
                np.testing.assert_allclose(
                    analytic[layer][key],
                    expected,
                    rtol=rtol,
                    atol=floor * largest,
                    err_msg=f"{layer}.{key}",
                )

    return compare


@pytest.fixture
def in_dtype():
    """Cast nested parameters, or an array, to a dtype."""

    def cast(value, dtype):
        if isinstance(value, dict):
            return {key: cast(inner, dtype) for key, inner in value.items()}
        return value.astype(dtype)

    return cast


@pytest.fixture
def flat_gradient():
    """Return the gradient of a problem at its parameters, by names such as "layer2.weight"."""

    def flatten(problem):
        gradient = problem.gradient(problem.parameters, *problem.args)
        return {
            f"{layer}.{key}": array
            for layer, values in gradient.items()
            for key, array in values.items()
        }

    return flatten
