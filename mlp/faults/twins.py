"""The problems of the gallery without a fault: what each fault is planted in, and compared with.

Widths and batch are pairwise different and at least 5, so that no shape hides a mistake and no
wrong factor can be mistaken for another; only the twins of faults that need equal shapes have
hidden layers of one width. Weights are of unit scale, or scaled so that pre-activations are: no
sigmoid is saturated.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mlp.activations import Activation, identity, leaky_relu, sigmoid, tanh
from mlp.arrays import Array
from mlp.faults.networks import (
    GainDense,
    PenalisedNetwork,
    Penalty,
    SoftmaxDense,
    TiedNetwork,
    magnitudes,
    magnitudes_gradient,
    softmax,
    squares,
    squares_gradient,
)
from mlp.faults.rebuilding import dense_layers
from mlp.initialisers import he_normal, lecun_normal, unit_normal
from mlp.losses import half_mean_squared_norm, softmax_cross_entropy
from mlp.network import Initialiser, Network, dense_network
from mlp.problem import Problem
from mlp.problems import network_problem

INPUTS, OUTPUTS, BATCH = 6, 5, 11
HIDDEN, SQUARE_HIDDEN, DEEP_HIDDEN = (8, 7), (7, 7), (7, 7, 7, 7)
# Spread of the biases, and of the logarithms of gains.
BIAS_SCALE = 0.5


def correct(seed: int = 0) -> Problem:
    """Return the 6-8-7-5 network without a fault: sigmoids, and all weights of unit scale."""
    return network_problem("correct", *_drawn(seed, HIDDEN))


def correct_square(seed: int = 0) -> Problem:
    """Return the 6-7-7-5 network without a fault: the second weight is square."""
    return network_problem("correct_square", *_drawn(seed, SQUARE_HIDDEN))


def correct_one_sample(seed: int = 0) -> Problem:
    """Return the 6-7-7-5 network without a fault on a single sample."""
    return network_problem("correct_one_sample", *_drawn(seed, SQUARE_HIDDEN, batch=1))


def correct_equal(seed: int = 0) -> Problem:
    """Return the 6-7-7-7 network without a fault: hidden layers as wide as the outputs."""
    return network_problem("correct_equal", *_drawn(seed, SQUARE_HIDDEN, outputs=7))


def correct_deep(seed: int = 0) -> Problem:
    """Return a network of five tanh layers without a fault: three of its weights are square."""
    drawn = _drawn(seed, DEEP_HIDDEN, activation=tanh, initialiser=lecun_normal)
    return network_problem("correct_deep", *drawn)


def correct_leaky(seed: int = 0) -> Problem:
    """Return the 6-8-7-5 network without a fault, with leaky ReLUs."""
    drawn = _drawn(seed, HIDDEN, activation=leaky_relu, initialiser=he_normal)
    return network_problem("correct_leaky", *drawn)


def correct_leaky_equal(seed: int = 0) -> Problem:
    """Return a 6-7-7-7-7 leaky ReLU network without a fault: outputs as many as hidden units."""
    drawn = _drawn(seed, (7, 7, 7), outputs=7, activation=leaky_relu, initialiser=he_normal)
    return network_problem("correct_leaky_equal", *drawn)


def correct_classifier(seed: int = 0) -> Problem:
    """Return a 6-8-7-5 tanh classifier without a fault: softmax, cross-entropy, one-hot targets."""
    network, inputs, scores = _drawn(seed, HIDDEN, activation=tanh, initialiser=lecun_normal)
    one_hot = np.eye(OUTPUTS)[scores.argmax(axis=1)]  # (batch, outputs)
    network = replace(network, loss=softmax_cross_entropy)
    return network_problem("correct_classifier", network, inputs, one_hot)


def correct_softmax(seed: int = 0) -> Problem:
    """Return the 6-8-7-5 network without a fault, its second layer a softmax."""
    network, inputs, targets = _drawn(seed, HIDDEN)
    first, second, third = network.layers
    layer = SoftmaxDense(second.name, softmax, second.parameters)
    network = replace(network, layers=(first, layer, third))
    return network_problem("correct_softmax", network, inputs, targets)


def correct_gain(seed: int = 0) -> Problem:
    """Return the 6-8-7-5 network without a fault, with gains in layer2, stored as logarithms."""
    network, inputs, targets = _drawn(seed, HIDDEN)
    first, second, third = dense_layers(network)
    log_gain = np.random.default_rng([seed, 1]).normal(scale=BIAS_SCALE, size=second.fan_out)
    layer = GainDense(second.name, second.activation, second.parameters | {"log_gain": log_gain})
    network = replace(network, layers=(first, layer, third))
    return network_problem("correct_gain", network, inputs, targets)


def correct_ridge(seed: int = 0) -> Problem:
    """Return the 6-8-7-5 network without a fault, with a penalty on the squares of its weights."""
    network, inputs, targets = _drawn(seed, HIDDEN)
    network = PenalisedNetwork(network.layers, network.loss, Penalty(squares, squares_gradient))
    return network_problem("correct_ridge", network, inputs, targets)


def correct_lasso(seed: int = 0) -> Problem:
    """Return the 6-8-7-5 network without a fault, with a penalty on the size of its weights."""
    network, inputs, targets = _drawn(seed, HIDDEN)
    penalty = Penalty(magnitudes, magnitudes_gradient)
    network = PenalisedNetwork(network.layers, network.loss, penalty)
    return network_problem("correct_lasso", network, inputs, targets)


def correct_tied(seed: int = 0) -> Problem:
    """Return the 6-7-7-7-5 network without a fault, which passes through its layer2 twice."""
    network, inputs, targets = _drawn(seed, SQUARE_HIDDEN)
    first, second, third = network.layers
    network = TiedNetwork((first, second, second, third), network.loss)
    return network_problem("correct_tied", network, inputs, targets)


def parameters_of(*layers: str) -> set[str]:
    """Return the names of the weights and biases of layers."""
    return {f"{layer}.{key}" for layer in layers for key in ("weight", "bias")}


def _drawn(
    seed: int,
    hidden: Sequence[int],
    *,
    outputs: int = OUTPUTS,
    batch: int = BATCH,
    activation: Activation = sigmoid,
    initialiser: Initialiser = unit_normal,
) -> tuple[Network, Array, Array]:
    """Return a network with linear outputs, its inputs and its targets."""
    rng = np.random.default_rng(seed)
    network = dense_network(
        rng,
        (INPUTS, *hidden, outputs),
        activation,
        identity,
        half_mean_squared_norm,
        initialiser=initialiser,
        bias_scale=BIAS_SCALE,
    )
    inputs = rng.standard_normal((batch, INPUTS))
    targets = rng.standard_normal((batch, outputs))
    return network, inputs, targets
