"""Activation functions and their derivatives, applied entry by entry to pre-activations z.

All of them return the dtype they are given. The smooth ones accept complex z as well, so that
their derivatives can be checked with the complex step Im f(z + ih) / h.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlp.arrays import Array

# Slope of the leaky ReLU left of its kink; Maas, Hannun & Ng (2013) use this value.
LEAKY_SLOPE = 0.01


@dataclass(frozen=True)
class Activation:
    """An activation function f with its derivative f'.

    Parameters
    ----------
    name: what messages call it.
    function: f, from pre-activations to outputs of the same shape.
    derivative: f', also taken at the pre-activations, not at the outputs.
    """

    name: str
    function: Callable[[Array], Array]
    derivative: Callable[[Array], Array]


def sigmoid_function(z: Array) -> Array:
    """Return the logistic sigmoid 1 / (1 + exp(-z)); complex z only as far left as -700."""
    # exp(-z) overflows to inf far to the left, where 1 / (1 + inf) = 0 is the exact limit.
    with np.errstate(over="ignore"):
        outputs: Array = 1 / (1 + np.exp(-z))
    return outputs


def sigmoid_derivative(z: Array) -> Array:
    """Return exp(-z) / (1 + exp(-z))**2, which is a (1 - a) for the outputs a."""
    outputs = sigmoid_function(z)
    slopes: Array = outputs * (1 - outputs)
    return slopes


def tanh_function(z: Array) -> Array:
    """Return the hyperbolic tangent."""
    outputs: Array = np.tanh(z)
    return outputs


def tanh_derivative(z: Array) -> Array:
    """Return 1 / cosh(z)**2, which is 1 - a**2 for the outputs a."""
    slopes: Array = 1 - tanh_function(z) ** 2
    return slopes


def relu_function(z: Array) -> Array:
    """Return z where it is positive and 0 elsewhere."""
    outputs: Array = np.maximum(z, 0)
    return outputs


def relu_derivative(z: Array) -> Array:
    """Return 1 where z is positive and 0 elsewhere, the kink at 0 included."""
    return (z > 0).astype(z.dtype)


def leaky_relu_function(z: Array) -> Array:
    """Return z where it is positive and LEAKY_SLOPE * z elsewhere."""
    return np.where(z > 0, z, LEAKY_SLOPE * z)


def leaky_relu_derivative(z: Array) -> Array:
    """Return 1 where z is positive and LEAKY_SLOPE elsewhere, the kink at 0 included."""
    return np.where(z > 0, 1.0, LEAKY_SLOPE).astype(z.dtype)


def identity_function(z: Array) -> Array:
    """Return z itself, for linear layers."""
    return z


def identity_derivative(z: Array) -> Array:
    """Return 1 everywhere."""
    return np.ones_like(z)


sigmoid = Activation("sigmoid", sigmoid_function, sigmoid_derivative)
tanh = Activation("tanh", tanh_function, tanh_derivative)
relu = Activation("relu", relu_function, relu_derivative)
leaky_relu = Activation("leaky_relu", leaky_relu_function, leaky_relu_derivative)
identity = Activation("identity", identity_function, identity_derivative)
