"""The batch normalisation layer alone: its passes, its names, and networks that have it."""

import numpy as np
import pytest

from mlp.activations import identity, tanh
from mlp.initialisers import unit_normal
from mlp.losses import half_mean_squared_norm
from mlp.normalisation import BATCH_AXIS, EPSILON, BatchNorm, batch_norm_network, normalise


@pytest.fixture
def layer():
    rng = np.random.default_rng(0)
    return BatchNorm("norm", tanh, {"gamma": 1 + rng.random(4), "beta": rng.standard_normal(4)})


@pytest.fixture
def inputs():
    return 3 + 2 * np.random.default_rng(1).standard_normal((5, 4))


@pytest.fixture
def upstream():
    return np.random.default_rng(2).standard_normal((5, 4))


def test_forward_is_the_activation_of_scaled_and_shifted_deviations(layer, inputs):
    outputs, _ = layer.forward(layer.parameters, inputs)
    for unit in range(4):
        column = [float(inputs[sample, unit]) for sample in range(5)]
        mean = sum(column) / 5
        variance = sum((entry - mean) ** 2 for entry in column) / 5
        for sample in range(5):
            u = (column[sample] - mean) / (variance + EPSILON) ** 0.5
            y = layer.parameters["gamma"][unit] * u + layer.parameters["beta"][unit]
            assert outputs[sample, unit] == pytest.approx(np.tanh(y), rel=1e-13)


def test_input_gradient_agrees_with_the_complex_step(layer, inputs, upstream):
    _, cache = layer.forward(layer.parameters, inputs)
    input_gradient, _ = layer.backward(cache, upstream)
    numerical = np.empty_like(inputs)
    for index in np.ndindex(inputs.shape):
        moved = inputs.astype(complex)
        moved[index] += 1e-30j
        outputs, _ = layer.forward(layer.parameters, moved)
        numerical[index] = np.sum(upstream * outputs).imag / 1e-30
    np.testing.assert_allclose(input_gradient, numerical, rtol=1e-11, atol=1e-14)


def test_parameter_gradients_agree_with_the_complex_step(
    layer, inputs, upstream, complex_step, assert_same_gradient
):
    _, cache = layer.forward(layer.parameters, inputs)
    _, gradients = layer.backward(cache, upstream)

    def weighted_outputs(parameters):
        outputs, _ = layer.forward(parameters["norm"], inputs)
        return np.sum(upstream * outputs)

    numerical = complex_step(weighted_outputs, {"norm": layer.parameters})
    assert_same_gradient({"norm": gradients}, numerical, rtol=1e-12, floor=1e-14)


def test_input_gradient_ignores_what_moves_all_samples_alike(layer, inputs, upstream):
    _, cache = layer.forward(layer.parameters, inputs)
    input_gradient, _ = layer.backward(cache, upstream)
    np.testing.assert_allclose(input_gradient.sum(axis=0), np.zeros(4), atol=1e-15)


def test_of_two_samples_only_the_order_is_left():
    # u = h / sqrt(h**2 + EPSILON) for a half distance h, and its slope EPSILON / s**3.
    inputs, ones = np.array([[16.0, -4.0], [-14.0, 23.0]]), np.ones(2)
    half = np.array([15.0, -13.5])
    cache = normalise({"gamma": ones, "beta": 0 * ones}, inputs, BATCH_AXIS)
    np.testing.assert_allclose(cache.outputs, [[1, -1], [-1, 1]], rtol=1e-7)
    layer = BatchNorm("norm", identity, {"gamma": ones, "beta": 0 * ones})
    input_gradient, _ = layer.backward(cache, np.array([[1.0, 1.0], [0.0, 0.0]]))
    # Of the upstream 1 at the first sample, half moves the distance: d(u_1)/d(x_1) = u'(h) / 2.
    expected = EPSILON / (half**2 + EPSILON) ** 1.5 / 2
    np.testing.assert_allclose(input_gradient, [expected, -expected], rtol=1e-6)


def test_a_constant_feature_and_a_batch_of_one_come_out_as_beta(layer):
    for inputs in (np.full((5, 4), 7.0), np.array([[1.0, 2.0, 3.0, 4.0]])):
        outputs, cache = layer.forward(layer.parameters, inputs)
        expected = np.tile(np.tanh(layer.parameters["beta"]), (len(inputs), 1))
        np.testing.assert_allclose(outputs, expected, rtol=1e-15)
        input_gradient, _ = layer.backward(cache, np.ones_like(inputs))
        np.testing.assert_allclose(input_gradient, np.zeros_like(inputs), atol=1e-12)


def test_outputs_are_the_activation_of_the_preactivations(layer, inputs):
    outputs, _ = layer.forward(layer.parameters, inputs)
    z = layer.preactivation(layer.parameters, inputs)
    np.testing.assert_array_equal(layer.activate(z), outputs)


def test_preactivations_are_linear_in_the_parameters_it_names(layer, inputs):
    assert layer.linear_in == ("gamma", "beta")
    doubled = {key: 2 * layer.parameters[key] for key in layer.linear_in}
    np.testing.assert_allclose(
        layer.preactivation(doubled, inputs),
        2 * layer.preactivation(layer.parameters, inputs),
        rtol=1e-14,
    )


def test_passes_leave_parameters_inputs_cache_and_upstream_untouched(layer, inputs, upstream):
    arrays = [inputs, upstream, *layer.parameters.values()]
    before = [array.copy() for array in arrays]
    _, cache = layer.forward(layer.parameters, inputs)
    remembered = {key: array.copy() for key, array in vars(cache).items()}
    layer.backward(cache, upstream)
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)
    for key, copy in remembered.items():
        np.testing.assert_array_equal(getattr(cache, key), copy)


def test_float32_in_gives_float32_out(layer, inputs, upstream, in_dtype):
    narrow = in_dtype(layer.parameters, np.float32)
    outputs, cache = layer.forward(narrow, inputs.astype(np.float32))
    input_gradient, gradients = layer.backward(cache, upstream.astype(np.float32))
    arrays = [outputs, input_gradient, *gradients.values()]
    assert {array.dtype for array in arrays} == {np.dtype(np.float32)}


@pytest.mark.parametrize("names", [["gamma"], ["beta", "gamma", "mean"], ["bias", "weight"]])
def test_parameters_of_other_names_are_refused(names):
    with pytest.raises(ValueError, match=f"'norm' must be 'gamma' and 'beta', got .*{names[0]}"):
        BatchNorm("norm", tanh, {name: np.ones(4) for name in names})


@pytest.mark.parametrize("shapes", [((4,), (5,)), ((4,), (1, 4)), ((2, 4), (2, 4)), ((), ())])
def test_parameters_of_the_wrong_shape_are_refused(shapes):
    gamma, beta = shapes
    with pytest.raises(ValueError, match=r"'norm' must have shapes \(features,\), got"):
        BatchNorm("norm", tanh, {"gamma": np.ones(gamma), "beta": np.ones(beta)})


def test_a_network_has_a_normalisation_before_every_hidden_activation():
    network = batch_norm_network(
        np.random.default_rng(0),
        (3, 4, 5, 2),
        tanh,
        identity,
        half_mean_squared_norm,
        initialiser=unit_normal,
    )
    assert [(layer.name, layer.activation.name) for layer in network.layers] == [
        ("layer1", "identity"),
        ("norm1", "tanh"),
        ("layer2", "identity"),
        ("norm2", "tanh"),
        ("layer3", "identity"),
    ]
    shapes = {
        name: {key: array.shape for key, array in values.items()}
        for name, values in network.parameters.items()
    }
    assert shapes["layer1"] == {"weight": (3, 4)}
    assert shapes["norm2"] == {"gamma": (5,), "beta": (5,)}
    assert shapes["layer3"] == {"weight": (5, 2), "bias": (2,)}
    np.testing.assert_array_equal(network.parameters["norm1"]["gamma"], np.ones(4))
    np.testing.assert_array_equal(network.parameters["norm1"]["beta"], np.zeros(4))
