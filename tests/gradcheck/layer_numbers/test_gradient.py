"""The gradients of whole networks from forward passes, against backprop in extended precision."""

from dataclasses import replace

import numpy as np
import pytest

from gradcheck.layer_numbers import layered_gradient
from mlp import losses
from mlp.activations import identity, leaky_relu, relu, sigmoid, tanh
from mlp.initialisers import unit_normal
from mlp.network import dense_network
from mlp.normalisation import batch_norm_network

ACTIVATIONS = [sigmoid, tanh, relu, leaky_relu, identity]
LOSSES = [
    losses.half_mean_squared_norm,
    losses.sum_of_squares,
    losses.mean_squared_error,
    losses.softmax_cross_entropy,
]
# Derivatives that are right where the unit is saturated, too: 1 - a would be all round-off.
EXACT = {
    "sigmoid": replace(sigmoid, derivative=lambda z: sigmoid.function(z) * sigmoid.function(-z)),
    "tanh": replace(tanh, derivative=lambda z: 1 / np.cosh(z) ** 2),
}


def full_names(nested):
    return {f"{layer}.{key}": a for layer, own in nested.items() for key, a in own.items()}


def measured(network, inputs, targets, **options):
    parameters = full_names(network.parameters)
    loss = float(network.loss_value(network.parameters, inputs, targets))
    return layered_gradient(network, parameters, inputs, targets, loss, **options)


def true_gradient(network, inputs, targets):
    """Return backprop in extended precision, of functions that tests/mlp holds to be right."""
    extended = {
        layer: {key: array.astype(np.longdouble) for key, array in own.items()}
        for layer, own in network.parameters.items()
    }
    given = (array.astype(np.longdouble) for array in (inputs, targets))
    layers = tuple(
        replace(layer, activation=EXACT.get(layer.activation.name, layer.activation))
        for layer in network.layers
    )
    return full_names(replace(network, layers=layers).backward(extended, *given))


def assert_holds(found, truth, sharp):
    for name, values in found.values.items():
        assert values.shape == found.error_bars[name].shape == truth[name].shape
        off = np.abs(values - truth[name]).astype(float)
        assert np.all(off <= found.error_bars[name]), name
        assert np.linalg.norm(found.error_bars[name]) <= sharp * np.linalg.norm(
            truth[name].astype(float)
        )


def example(seed, activation, loss, scale=1.0):
    rng = np.random.default_rng(seed)
    network = dense_network(
        rng, (5, 7, 6, 4), activation, identity, loss, initialiser=unit_normal, bias_scale=0.3
    )
    targets = rng.random((8, 4))
    return network, scale * rng.standard_normal((8, 5)), targets / targets.sum(1, keepdims=True)


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda activation: activation.name)
@pytest.mark.parametrize("method", ["auto", "complex"])
def test_the_truth_is_inside_every_error_bar_and_bars_are_sharp(activation, loss, method):
    for seed in range(5):
        for scale in (1e-6, 1.0, 30.0):
            problem = example(seed, activation, loss, scale)
            found = measured(*problem, method=method)
            assert_holds(found, true_gradient(*problem), sharp=1e-8)
            assert set(found.values) == set(full_names(problem[0].parameters))


def test_batch_normalisation_is_understood_too():
    rng = np.random.default_rng(0)
    network = batch_norm_network(
        rng, (5, 7, 6, 4), tanh, identity, LOSSES[-1], initialiser=unit_normal, spread=0.3
    )
    targets = rng.random((8, 4))
    problem = network, rng.standard_normal((8, 5)), targets / targets.sum(1, keepdims=True)
    found = measured(*problem)
    assert_holds(found, true_gradient(*problem), sharp=1e-7)
    assert set(found.values) == set(full_names(network.parameters))


def test_another_loss_than_the_users_gives_no_numbers():
    network, inputs, targets = example(0, tanh, LOSSES[0])
    parameters = full_names(network.parameters)
    loss = float(network.loss_value(network.parameters, inputs, targets))
    assert layered_gradient(network, parameters, inputs, targets, loss) is not None
    assert layered_gradient(network, parameters, inputs, targets, loss * (1 + 1e-5)) is None


def sized(seed, sizes, batch):
    """Return a network of sigmoids, weights with the spread that keeps signals of order one."""
    rng = np.random.default_rng(seed)

    def initialiser(generator, fan_in, fan_out):
        return generator.standard_normal((fan_in, fan_out)) / np.sqrt(fan_in)

    network = dense_network(
        rng, sizes, sigmoid, identity, LOSSES[0], initialiser=initialiser, bias_scale=0.1
    )
    return network, rng.standard_normal((batch, sizes[0])), rng.standard_normal((batch, sizes[-1]))


@pytest.mark.parametrize("method", ["auto", "complex"])
def test_every_entry_of_a_large_network_is_right_to_five_digits_at_least(method):
    for seed in range(2):
        problem = sized(seed, (784, 128, 64, 10), batch=32)
        found, truth = measured(*problem, method=method), true_gradient(*problem)
        assert_holds(found, truth, sharp=1e-8)
        assert sum(values.size for values in found.values.values()) == 109_386
        for name, values in found.values.items():
            off = np.abs(values - truth[name]) / np.abs(truth[name])
            assert float(np.max(off)) <= 1e-5
        # Some calls per layer, not per entry.
        assert found.partial_evaluations <= 80


def test_a_gradient_that_vanishes_through_many_layers_stays_sharp():
    for seed in range(5):
        problem = sized(seed, (16,) * 9, batch=8)
        found, truth = measured(*problem), true_gradient(*problem)
        assert_holds(found, truth, sharp=1e-6)
        assert np.max(np.abs(truth["layer1.weight"])) < 1e-2 * np.max(np.abs(truth["layer8.bias"]))
