"""Bugs in what a layer multiplies its upstream by: the derivative of its activation."""

from mlp.activations import relu_derivative, sigmoid_derivative, sigmoid_function, tanh_function
from mlp.arrays import Array
from mlp.faults.catalogue import rebuilds_network
from mlp.faults.rebuilding import with_derivative, with_layer
from mlp.faults.twins import (
    correct,
    correct_classifier,
    correct_deep,
    correct_leaky,
    correct_softmax,
    parameters_of,
)
from mlp.layers import Dense, DenseCache
from mlp.network import Network

BELOW_THIRD = parameters_of("layer1", "layer2")


class _NoActivationDerivative(Dense):
    def delta(self, cache: DenseCache, upstream: Array) -> Array:
        return upstream


class _ActivationForDerivative(Dense):
    def delta(self, cache: DenseCache, upstream: Array) -> Array:
        return upstream * self.activation.function(cache.preactivation)


class _UpstreamIgnored(Dense):
    def delta(self, cache: DenseCache, upstream: Array) -> Array:
        return self.activation.derivative(cache.preactivation)


def _sigmoid_derivative_at_output(z: Array) -> Array:
    return sigmoid_derivative(sigmoid_function(z))


def _tanh_derivative_without_square(z: Array) -> Array:
    slopes: Array = 1 - tanh_function(z)
    return slopes


@rebuilds_network(
    correct,
    wrong=BELOW_THIRD,
    layer="layer2",
    causes={"missing_activation_derivative"},
    black_box={"missing_activation_derivative", "wrong_upstream", "unexplained"},
)
def missing_activation_derivative(network: Network) -> Network:
    """layer2 takes its upstream for its delta: f' was forgotten on the way back."""
    return with_layer(network, "layer2", _NoActivationDerivative)


@rebuilds_network(
    correct_classifier,
    wrong=parameters_of("layer1"),
    causes={"missing_activation_derivative"},
    black_box={"missing_activation_derivative", "wrong_upstream", "unexplained"},
)
def first_derivative_missing(network: Network) -> Network:
    """layer1 takes its upstream for its delta: the loop that multiplies by f' ends above it."""
    return with_layer(network, "layer1", _NoActivationDerivative)


@rebuilds_network(
    correct,
    wrong=BELOW_THIRD,
    layer="layer2",
    causes={"activation_for_derivative"},
    black_box={"activation_for_derivative", "wrong_upstream", "unexplained"},
)
def activation_for_derivative(network: Network) -> Network:
    """layer2 multiplies its upstream by f where f' belongs: the wrong one of two similar names."""
    return with_layer(network, "layer2", _ActivationForDerivative)


@rebuilds_network(
    correct_leaky,
    wrong=BELOW_THIRD,
    layer="layer2",
    causes={"activation_for_derivative"},
    black_box={"activation_for_derivative", "wrong_upstream", "unexplained"},
)
def leaky_activation_for_derivative(network: Network) -> Network:
    """layer2, a leaky ReLU, multiplies its upstream by f(z): found in a published backward loop."""
    return with_layer(network, "layer2", _ActivationForDerivative)


@rebuilds_network(
    correct,
    wrong=BELOW_THIRD,
    layer="layer2",
    causes={"wrong_activation_derivative"},
    black_box={"wrong_activation_derivative", "wrong_upstream", "unexplained"},
)
def derivative_at_output(network: Network) -> Network:
    """layer2 takes the sigmoid's derivative at its outputs a: the derivative wants z."""
    return with_derivative(network, "layer2", _sigmoid_derivative_at_output)


@rebuilds_network(
    correct_deep,
    wrong=parameters_of("layer1", "layer2", "layer3"),
    layer="layer3",
    causes={"wrong_activation_derivative"},
    black_box={"wrong_activation_derivative", "wrong_upstream", "unexplained"},
)
def tanh_derivative_without_square(network: Network) -> Network:
    """layer3 has 1 - a for the derivative of tanh: the square in 1 - a**2 was lost."""
    return with_derivative(network, "layer3", _tanh_derivative_without_square)


@rebuilds_network(
    correct_leaky,
    wrong=BELOW_THIRD,
    layer="layer2",
    causes={"wrong_activation_derivative"},
    black_box={"wrong_activation_derivative", "wrong_upstream", "unexplained"},
)
def leaky_slope_missing(network: Network) -> Network:
    """layer2, a leaky ReLU, has the derivative of a ReLU: the leak was added to forward only."""
    return with_derivative(network, "layer2", relu_derivative)


@rebuilds_network(
    correct_softmax,
    wrong=BELOW_THIRD,
    layer="layer2",
    causes={"softmax_diagonal"},
    black_box={"softmax_diagonal", "wrong_upstream", "unexplained"},
)
def softmax_diagonal(network: Network) -> Network:
    """layer2 multiplies its upstream by s (1 - s): softmax taken for a function of each entry."""
    return with_layer(network, "layer2", Dense)


@rebuilds_network(
    correct,
    wrong=BELOW_THIRD,
    layer="layer2",
    causes={"upstream_ignored"},
    black_box={"upstream_ignored", "wrong_upstream", "unexplained"},
)
def upstream_ignored(network: Network) -> Network:
    """layer2 takes f' alone for its delta: the factor that comes from above was forgotten."""
    return with_layer(network, "layer2", _UpstreamIgnored)
