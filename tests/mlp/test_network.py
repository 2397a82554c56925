"""Chaining layers: what fits, what is refused, and that nothing is changed on the way."""

import re
from copy import deepcopy

import numpy as np
import pytest

from mlp.activations import identity, sigmoid
from mlp.initialisers import unit_normal
from mlp.layers import Dense
from mlp.losses import half_mean_squared_norm, sum_of_squares
from mlp.network import Network, dense_network


def make_network(**options):
    rng = np.random.default_rng(0)
    return dense_network(
        rng,
        (3, 4, 5, 2),
        sigmoid,
        identity,
        half_mean_squared_norm,
        initialiser=unit_normal,
        **options,
    )


@pytest.fixture
def data():
    rng = np.random.default_rng(1)
    return rng.standard_normal((7, 3)), rng.standard_normal((7, 2))


def test_prediction_is_one_layer_after_the_other(data):
    network = make_network(bias_scale=1.0)
    inputs, _ = data
    values = inputs
    for position in (1, 2, 3):
        parameters = network.parameters[f"layer{position}"]
        values = values @ parameters["weight"] + parameters["bias"]
        values = values if position == 3 else 1 / (1 + np.exp(-values))
    np.testing.assert_allclose(network.predict(network.parameters, inputs), values, rtol=1e-14)


def test_loss_is_taken_of_the_prediction(data):
    network = make_network()
    inputs, targets = data
    errors = network.predict(network.parameters, inputs) - targets
    expected = sum(0.5 * np.dot(row, row) for row in errors) / 7
    assert network.loss_value(network.parameters, *data) == pytest.approx(expected, rel=1e-14)


def test_gradient_has_the_structure_and_order_of_the_parameters(data):
    network = make_network()
    gradient = network.backward(network.parameters, *data)
    assert list(gradient) == ["layer1", "layer2", "layer3"]
    for layer, values in network.parameters.items():
        assert {key: array.shape for key, array in gradient[layer].items()} == {
            key: array.shape for key, array in values.items()
        }


def test_layers_that_do_not_fit_are_refused_with_both_names_and_sizes():
    first = Dense("first", sigmoid, {"weight": np.ones((3, 4))})
    second = Dense("second", sigmoid, {"weight": np.ones((5, 2))})
    with pytest.raises(ValueError, match=r"4 outputs of layer 'first' for 5 inputs of .*'second'"):
        Network((first, second), half_mean_squared_norm)


def test_layers_of_one_name_are_refused():
    twin = Dense("twin", sigmoid, {"weight": np.ones((3, 3))})
    with pytest.raises(ValueError, match=r"unique names, got \['twin', 'twin'\]"):
        Network((twin, twin), half_mean_squared_norm)


def test_network_without_layers_is_refused():
    with pytest.raises(ValueError, match="one or more"):
        Network((), half_mean_squared_norm)


@pytest.mark.parametrize("shape", [(7,), (7, 1), (2,), (6, 2)])
def test_targets_that_would_be_broadcast_are_refused(data, shape):
    network = make_network()
    inputs, _ = data
    for use in (network.loss_value, network.backward):
        with pytest.raises(ValueError, match=r"targets .* shape \(7, 2\), got"):
            use(network.parameters, inputs, np.ones(shape))


@pytest.mark.parametrize("shape", [(3,), (7, 4), (3, 7)])
def test_inputs_of_the_wrong_width_are_refused(shape):
    network = make_network()
    with pytest.raises(ValueError, match=r"inputs must have shape \(batch, 3\), got"):
        network.predict(network.parameters, np.ones(shape))


@pytest.mark.parametrize("name", ["inputs", "targets"])
def test_data_in_lists_are_refused(data, name):
    network, given = make_network(), dict(zip(("inputs", "targets"), data, strict=True))
    given[name] = given[name].tolist()
    for use in (network.loss_value, network.backward):
        with pytest.raises(TypeError, match=rf"^{name} must be an array, got \[\["):
            use(network.parameters, **given)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p: {}, "must be a dict of the layers ['layer1', 'layer2', 'layer3'], got []"),
        (lambda p: p | {"layer4": {}}, "got ['layer1', 'layer2', 'layer3', 'layer4']"),
        (
            lambda p: [1, 2],
            "must be a dict of the layers ['layer1', 'layer2', 'layer3'], got [1, 2",
        ),
        (lambda p: None, "must be a dict of the layers ['layer1', 'layer2', 'layer3'], got None"),
        (
            lambda p: p | {"layer2": {"weight": p["layer2"]["weight"]}},
            "of layer 'layer2' must have the shapes {'weight': (4, 5), 'bias': (5,)}, "
            "got {'weight': (4, 5)}",
        ),
        (
            lambda p: p | {"layer2": p["layer2"] | {"weight": np.ones((5, 4))}},
            "of layer 'layer2' must have the shapes {'weight': (4, 5), 'bias': (5,)}, "
            "got {'weight': (5, 4), 'bias': (5,)}",
        ),
        (
            lambda p: p | {"layer1": {"weight": [[1.0]], "bias": 2.0}},
            "got {'weight': <class 'list'>, 'bias': <class 'float'>}",
        ),
        # Each of these would be broadcast to a gradient of another shape.
        (
            lambda p: p | {"layer3": p["layer3"] | {"bias": np.ones(1)}},
            "of layer 'layer3' must have the shapes {'weight': (5, 2), 'bias': (2,)}, "
            "got {'weight': (5, 2), 'bias': (1,)}",
        ),
        (
            lambda p: p | {"layer3": p["layer3"] | {"bias": np.ones((7, 2))}},
            "got {'weight': (5, 2), 'bias': (7, 2)}",
        ),
    ],
)
def test_parameters_of_another_network_are_refused(data, change, message):
    network = make_network()
    given = change(network.parameters)
    for use in (network.loss_value, network.backward):
        with pytest.raises(ValueError, match=f"^parameters .*{re.escape(message)}"):
            use(given, *data)


def test_what_verifies_nothing_is_refused(data):
    network = make_network()
    message = r"^verify must be a function .* gradcheck\.layer_verifier\(\), got True$"
    with pytest.raises(TypeError, match=message):
        network.backward(network.parameters, *data, verify=True)


def test_float32_in_gives_float32_out(data, in_dtype):
    network = make_network(bias_scale=1.0)
    parameters = in_dtype(network.parameters, np.float32)
    inputs, targets = (in_dtype(array, np.float32) for array in data)
    assert network.predict(parameters, inputs).dtype == np.float32
    assert network.loss_value(parameters, inputs, targets).dtype == np.float32
    gradient = network.backward(parameters, inputs, targets)
    assert {array.dtype for values in gradient.values() for array in values.values()} == {
        np.dtype(np.float32)
    }


def test_passes_leave_parameters_and_data_untouched(data):
    network = make_network(bias_scale=1.0)
    before = deepcopy((network.parameters, data))
    network.loss_value(network.parameters, *data)
    network.backward(network.parameters, *data)
    np.testing.assert_equal((network.parameters, data), before)


def test_gradient_is_taken_at_the_given_parameters_not_at_the_initial_ones(data):
    network, elsewhere = make_network(), make_network(bias_scale=1.0)
    here = network.backward(network.parameters, *data)
    there = network.backward(elsewhere.parameters, *data)
    np.testing.assert_equal(there, elsewhere.backward(elsewhere.parameters, *data))
    assert not np.any(here["layer1"]["weight"] == there["layer1"]["weight"])


def test_layers_can_be_named_and_go_without_bias():
    network = make_network(bias=False, names=("low", "middle", "high"))
    assert {layer: list(values) for layer, values in network.parameters.items()} == {
        "low": ["weight"],
        "middle": ["weight"],
        "high": ["weight"],
    }


def test_biases_start_at_zero_unless_given_a_scale():
    assert not np.any(make_network().parameters["layer2"]["bias"])
    assert np.all(make_network(bias_scale=0.5).parameters["layer2"]["bias"])


class Overwriting(Dense):
    """A right layer that computes in the array that it is handed."""

    def delta(self, cache, upstream):
        upstream *= self.activation.derivative(cache.preactivation)
        return upstream


def test_what_is_verified_is_the_upstream_as_it_was_handed_down():
    parameters = {"weight": np.array([[0.5, -1.0]]), "bias": np.array([0.1, 0.2])}
    network = Network((Overwriting("only", sigmoid, parameters),), sum_of_squares)
    inputs, targets = np.array([[1.0], [2.0]]), np.zeros((2, 2))
    asked = {}
    network.backward(
        network.parameters, inputs, targets, verify=lambda one: asked.update({one.name: one})
    )
    outputs = network.predict(network.parameters, inputs)
    one = asked["only"]
    np.testing.assert_allclose(one.loss(one.parameters), np.sum(2 * outputs * outputs))
