"""The dense layer alone: its passes, its names, its manners."""

import numpy as np
import pytest

from mlp.activations import identity, sigmoid, tanh
from mlp.layers import Dense


@pytest.fixture
def layer():
    rng = np.random.default_rng(0)
    parameters = {"weight": rng.standard_normal((3, 4)), "bias": rng.standard_normal(4)}
    return Dense("hidden", tanh, parameters)


@pytest.fixture
def inputs():
    return np.random.default_rng(1).standard_normal((5, 3))


@pytest.fixture
def upstream():
    return np.random.default_rng(2).standard_normal((5, 4))


def test_forward_is_the_activation_of_weighted_sums_plus_bias(layer, inputs):
    outputs, _ = layer.forward(layer.parameters, inputs)
    weight, bias = layer.parameters["weight"], layer.parameters["bias"]
    for sample in range(5):
        for unit in range(4):
            total = sum(inputs[sample, i] * weight[i, unit] for i in range(3)) + bias[unit]
            assert outputs[sample, unit] == pytest.approx(np.tanh(total), rel=1e-14)


def test_input_gradient_agrees_with_the_complex_step(layer, inputs, upstream):
    _, cache = layer.forward(layer.parameters, inputs)
    input_gradient, _ = layer.backward(cache, upstream)
    numerical = np.empty_like(inputs)
    for index in np.ndindex(inputs.shape):
        moved = inputs.astype(complex)
        moved[index] += 1e-30j
        outputs, _ = layer.forward(layer.parameters, moved)
        numerical[index] = np.sum(upstream * outputs).imag / 1e-30
    np.testing.assert_allclose(input_gradient, numerical, rtol=1e-12)


def test_parameter_gradients_agree_with_the_complex_step(
    layer, inputs, upstream, complex_step, assert_same_gradient
):
    _, cache = layer.forward(layer.parameters, inputs)
    _, gradients = layer.backward(cache, upstream)

    def weighted_outputs(parameters):
        outputs, _ = layer.forward(parameters["hidden"], inputs)
        return np.sum(upstream * outputs)

    numerical = complex_step(weighted_outputs, {"hidden": layer.parameters})
    assert_same_gradient({"hidden": gradients}, numerical, rtol=1e-12, floor=1e-14)


def test_preactivations_are_linear_in_the_parameters_it_names(layer, inputs):
    assert layer.linear_in == ("weight", "bias")
    doubled = {key: 2 * layer.parameters[key] for key in layer.linear_in}
    np.testing.assert_allclose(
        layer.preactivation(doubled, inputs),
        2 * layer.preactivation(layer.parameters, inputs),
        rtol=1e-14,
    )


def test_outputs_are_the_activation_of_the_preactivations(layer, inputs):
    outputs, _ = layer.forward(layer.parameters, inputs)
    z = layer.preactivation(layer.parameters, inputs)
    np.testing.assert_array_equal(layer.activate(z), outputs)


def test_layer_without_bias_names_and_returns_no_bias(inputs):
    layer = Dense("plain", identity, {"weight": np.ones((3, 2))})
    outputs, cache = layer.forward(layer.parameters, inputs)
    _, gradients = layer.backward(cache, np.ones((5, 2)))
    assert layer.linear_in == ("weight",)
    assert list(gradients) == ["weight"]
    np.testing.assert_allclose(outputs[:, 0], inputs.sum(axis=1), rtol=1e-14)


def test_passes_leave_parameters_inputs_cache_and_upstream_untouched(layer, inputs, upstream):
    arrays = [inputs, upstream, *layer.parameters.values()]
    before = [array.copy() for array in arrays]
    _, cache = layer.forward(layer.parameters, inputs)
    remembered = {key: array.copy() for key, array in vars(cache).items()}
    layer.backward(cache, upstream)
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)
    assert set(remembered) == {"inputs", "weight", "preactivation"}
    for key, copy in remembered.items():
        np.testing.assert_array_equal(getattr(cache, key), copy)


def test_backward_twice_on_one_cache_gives_the_same_answer_in_new_arrays(layer, inputs, upstream):
    _, cache = layer.forward(layer.parameters, inputs)
    first_input, first = layer.backward(cache, upstream)
    second_input, second = layer.backward(cache, upstream)
    np.testing.assert_array_equal(first_input, second_input)
    for key in first:
        np.testing.assert_array_equal(first[key], second[key])
        assert not np.shares_memory(first[key], second[key])


def test_unknown_parameter_is_refused_by_name():
    with pytest.raises(ValueError, match=r"'hidden'.*got \['scale', 'weight'\]"):
        Dense("hidden", sigmoid, {"weight": np.ones((3, 4)), "scale": np.ones(4)})


@pytest.mark.parametrize(
    "parameters",
    [
        {"weight": np.ones((3, 4)), "bias": np.ones(3)},
        {"weight": np.ones((3, 4)), "bias": np.ones((1, 4))},
        {"weight": np.ones(4)},
    ],
    ids=["bias of another width", "bias as a row", "weight as a vector"],
)
def test_parameters_of_the_wrong_shape_are_refused(parameters):
    with pytest.raises(ValueError, match=r"'hidden' must have shapes \(fan_in, fan_out\)"):
        Dense("hidden", sigmoid, parameters)
