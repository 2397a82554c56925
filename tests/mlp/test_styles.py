"""Backpropagation as others write it agrees with the reference network and the complex step."""

import pickle
from itertools import pairwise

import numpy as np
import pytest

from mlp import problems, styles
from mlp.activations import identity, leaky_relu, relu, sigmoid, tanh
from mlp.layers import Dense
from mlp.losses import mean_squared_error, sum_of_squares
from mlp.network import Network
from mlp.styles import lists
from mlp.styles.holding import Perceptron, held_problem
from mlp.styles.stacking import Layer, NeuralNetwork, sample_problem

SEEDS = range(5)
PROBLEMS = {name: getattr(styles, name) for name in ("six_arrays", "any_depth", "one_sample")}
STEP_SIZE = 1e-30  # of the complex step, from which nothing is subtracted


def assert_same(array, expected, rtol=1e-12):
    """Compare every entry, small ones too, and refuse arrays that test nothing."""
    largest = np.abs(expected).max()
    assert array.shape == expected.shape
    assert largest > 0
    np.testing.assert_allclose(array, expected, rtol=rtol, atol=rtol * 1e-2 * largest)


def slopes(loss, array):
    """Return Im loss(array + ih) / h for every entry of an array that the loss reads in place."""
    gradient = np.zeros(array.shape)
    for index in np.ndindex(array.shape):
        array[index] += 1j * STEP_SIZE
        gradient[index] = loss().imag / STEP_SIZE
        array[index] = array[index].real
    return gradient


def six_at_unit_scale(seed):
    rng = np.random.default_rng(seed)
    shapes = [array.shape for array in lists.initialise(rng)]
    return [rng.standard_normal(shape) for shape in shapes], *lists.data(rng)


@pytest.mark.parametrize("seed", SEEDS)
def test_six_arrays_are_the_reference_network_transposed(seed):
    parameters, x, t = six_at_unit_scale(seed)
    network = problems.reference().network
    transposed = {
        f"layer{n + 1}": {"weight": parameters[2 * n].T, "bias": parameters[2 * n + 1]}
        for n in range(3)
    }
    expected = network.backward(transposed, x.T, t.T)
    gradient = lists.backward(parameters, x, t)
    assert len(gradient) == 6
    for n, layer in enumerate(expected.values()):
        assert_same(gradient[2 * n], layer["weight"].T)
        assert_same(gradient[2 * n + 1], layer["bias"])
    loss = network.loss_value(transposed, x.T, t.T)
    assert lists.loss(parameters, x, t) == pytest.approx(loss, rel=1e-14)


@pytest.mark.parametrize("seed", SEEDS)
def test_gradient_of_six_arrays_agrees_with_the_complex_step(seed):
    parameters, x, t = six_at_unit_scale(seed)
    moved = [array.astype(complex) for array in parameters]
    for array, slope in zip(moved, lists.backward(parameters, x, t), strict=True):
        assert_same(slope, slopes(lambda: lists.loss(moved, x, t), array), rtol=1e-10)


def test_forward_returns_what_every_layer_makes_of_a_batch_of_columns():
    parameters, x, _ = six_at_unit_scale(0)
    passed = lists.forward(parameters, x)
    assert [array.shape for array in passed] == [(3, 5), (4, 5), (4, 5), (2, 5)]
    assert passed[0] is x
    for column in range(5):
        for array, alone in zip(passed, lists.forward(parameters, x[:, [column]]), strict=True):
            np.testing.assert_allclose(array[:, [column]], alone, rtol=1e-14)


def test_six_arrays_start_small_and_without_biases():
    weights = np.concatenate(
        [lists.initialise(np.random.default_rng(seed))[0].ravel() for seed in range(500)]
    )
    assert weights.std() == pytest.approx(0.01, rel=0.05)
    parameters = lists.initialise(np.random.default_rng(0))
    assert [a.shape for a in parameters] == [(4, 3), (4,), (4, 4), (4,), (2, 4), (2,)]
    assert not np.any([array.any() for array in parameters[1::2]])


def dense(weight, bias, activation, number):
    return Dense(f"layer{number}", activation, {"weight": weight, "bias": bias})


def held(depth, activation, seed):
    """Return a perceptron of that depth with a batch, and the network of the same arrays."""
    rng = np.random.default_rng([seed, depth])
    perceptron = Perceptron(rng.integers(2, 6, depth + 1), activation, sum_of_squares, rng)
    network = Network(
        tuple(
            dense(weight, bias[0], activation, number)
            for number, (weight, bias) in enumerate(
                zip(perceptron.weights, perceptron.biases, strict=True)
            )
        ),
        sum_of_squares,
    )
    inputs = rng.standard_normal((7, len(perceptron.weights[0])))
    return perceptron, network, inputs, rng.random((7, perceptron.biases[-1].size))


@pytest.mark.parametrize("activation", [tanh, sigmoid, leaky_relu], ids=lambda f: f.name)
@pytest.mark.parametrize("depth", range(1, 7))
def test_perceptron_of_any_depth_is_the_network_of_the_same_arrays(depth, activation):
    perceptron, network, inputs, targets = held(depth, activation, 0)
    expected = network.backward(network.parameters, inputs, targets)
    gradient = perceptron.backward(inputs, targets)
    assert list(gradient) == ["weights", "biases"]
    for weight, bias, layer in zip(*gradient.values(), expected.values(), strict=True):
        assert_same(weight, layer["weight"])
        assert_same(bias, layer["bias"][np.newaxis])
    np.testing.assert_allclose(
        perceptron.predict(inputs), network.predict(network.parameters, inputs), rtol=1e-14
    )
    assert perceptron.loss_value(inputs, targets) == pytest.approx(
        network.loss_value(network.parameters, inputs, targets), rel=1e-14
    )


@pytest.mark.parametrize("depth", range(1, 7))
def test_gradient_of_a_perceptron_agrees_with_the_complex_step(depth):
    perceptron, _, inputs, targets = held(depth, tanh, 1)
    gradient = perceptron.backward(inputs, targets)
    for name in ("weights", "biases"):
        setattr(perceptron, name, [array.astype(complex) for array in getattr(perceptron, name)])
        for array, slope in zip(getattr(perceptron, name), gradient[name], strict=True):
            numerical = slopes(lambda: perceptron.loss_value(inputs, targets), array)
            assert_same(slope, numerical, rtol=1e-9)


def test_gradient_of_a_batch_is_the_sum_of_those_of_its_samples():
    perceptron, _, inputs, targets = held(3, sigmoid, 2)
    whole = perceptron.backward(inputs, targets)
    parts = [perceptron.backward(x, t) for x, t in zip(inputs, targets, strict=True)]
    for name in ("weights", "biases"):
        for position, array in enumerate(whole[name]):
            assert_same(sum(part[name][position] for part in parts), array)


def test_sample_without_a_batch_is_a_batch_of_one():
    perceptron, _, inputs, targets = held(2, sigmoid, 3)
    one = inputs[0], targets[0]
    row = inputs[:1], targets[:1]
    np.testing.assert_equal(perceptron.predict(one[0]), perceptron.predict(row[0]))
    assert perceptron.loss_value(*one) == perceptron.loss_value(*row)
    np.testing.assert_equal(perceptron.backward(*one), perceptron.backward(*row))
    assert held_problem("one", perceptron, *one).sizes == {"batch": 1}


def test_perceptron_steps_in_its_own_arrays():
    perceptron, _, inputs, targets = held(3, tanh, 4)
    arrays = perceptron.weights + perceptron.biases
    before = [array.copy() for array in arrays]
    gradient = perceptron.backward(inputs, targets)
    perceptron.step(inputs, targets, 0.25)
    for array, now, was, slope in zip(
        arrays,
        perceptron.weights + perceptron.biases,
        before,
        gradient["weights"] + gradient["biases"],
        strict=True,
    ):
        assert now is array
        np.testing.assert_allclose(array, was - 0.25 * slope, rtol=1e-14)


@pytest.mark.parametrize("sizes", [(3,), (), (3, 0, 2)])
def test_perceptron_refuses_sizes_that_make_no_layer(sizes):
    with pytest.raises(ValueError, match=r"sizes must be two or more, each at least 1, got \["):
        Perceptron(sizes, sigmoid, sum_of_squares, np.random.default_rng(0))


def test_perceptron_refuses_inputs_and_targets_of_other_widths():
    perceptron, _, inputs, targets = held(2, sigmoid, 5)
    width = inputs.shape[1]
    with pytest.raises(ValueError, match=rf"inputs must have shape \(batch, {width}\), got"):
        perceptron.backward(np.hstack([inputs, inputs]), targets)
    for method in (perceptron.backward, perceptron.loss_value):
        with pytest.raises(ValueError, match=r"targets must have the outputs' shape \(7, "):
            method(inputs, targets[:, :1])


def stacked(activation, seed, sizes=(2, 4, 5, 3)):
    """Return a network of layer objects, and the reference network of the same arrays."""
    rng = np.random.default_rng(seed)
    layers = [Layer(ins, outs, activation, rng) for ins, outs in pairwise(sizes)]
    for layer in layers:
        layer.bias += rng.standard_normal(layer.bias.shape)
    network = Network(
        tuple(
            dense(layer.weight.T, layer.bias[:, 0], activation, number)
            for number, layer in enumerate(layers, start=1)
        ),
        mean_squared_error,
    )
    x, t = rng.standard_normal((sizes[0], 1)), rng.standard_normal((sizes[-1], 1))
    return NeuralNetwork(layers, mean_squared_error, 0.05), network, x, t


@pytest.mark.parametrize("activation", [leaky_relu, sigmoid], ids=lambda f: f.name)
@pytest.mark.parametrize("seed", SEEDS)
def test_stacked_layers_are_the_network_on_a_batch_of_one(seed, activation):
    stack, network, x, t = stacked(activation, seed)
    expected = network.backward(network.parameters, x.T, t.T)
    gradient = stack.backward(x, t)
    assert list(gradient) == list(expected)
    for name, layer in expected.items():
        assert_same(gradient[name]["weight"], layer["weight"].T)
        assert_same(gradient[name]["bias"], layer["bias"][:, np.newaxis])
    loss = network.loss_value(network.parameters, x.T, t.T)
    assert stack.loss_value(x, t) == pytest.approx(loss, rel=1e-14)


@pytest.mark.parametrize("seed", SEEDS)
def test_gradient_of_stacked_layers_agrees_with_the_complex_step(seed):
    stack, _, x, t = stacked(sigmoid, seed)
    gradient = stack.backward(x, t)
    for layer, slope in zip(stack.layers, gradient.values(), strict=True):
        layer.weight, layer.bias = layer.weight.astype(complex), layer.bias.astype(complex)
        for key in ("weight", "bias"):
            numerical = slopes(lambda: stack.loss_value(x, t), getattr(layer, key))
            assert_same(slope[key], numerical, rtol=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_training_takes_one_step_down_the_gradient_in_the_arrays_of_the_layers(seed):
    stack, _, x, t = stacked(leaky_relu, seed)
    before = {name: dict(layer) for name, layer in stack.parameters.items()}
    copies = pickle.loads(pickle.dumps(before))
    gradient = stack.backward(x, t)
    stack.train(x, t)
    for name, layer in stack.parameters.items():
        for key, array in layer.items():
            assert array is before[name][key]
            expected = copies[name][key] - 0.05 * gradient[name][key]
            np.testing.assert_allclose(array, expected, rtol=1e-14)


def test_several_columns_are_predicted_like_one_by_one():
    stack, _, _, _ = stacked(leaky_relu, 0)
    x = np.random.default_rng(1).standard_normal((2, 6))
    alone = [stack.predict(x[:, [column]]) for column in range(6)]
    np.testing.assert_allclose(stack.predict(x), np.hstack(alone), rtol=1e-14)


def test_layer_starts_with_the_variance_for_rectifiers_and_without_a_bias():
    layer = Layer(50, 400, relu, np.random.default_rng(0))
    assert layer.weight.shape == (400, 50)
    assert layer.weight.var() == pytest.approx(2 / 50, rel=0.05)
    np.testing.assert_equal(layer.bias, np.zeros((400, 1)))


def test_layers_that_do_not_fit_are_refused():
    rng = np.random.default_rng(0)
    layers = [Layer(2, 4, relu, rng), Layer(4, 3, relu, rng), Layer(2, 1, identity, rng)]
    with pytest.raises(ValueError, match="got 3 outs of layer 2 for 2 ins of layer 3"):
        NeuralNetwork(layers, mean_squared_error, 0.1)
    with pytest.raises(ValueError, match="layers must be one at least, got none"):
        NeuralNetwork([], mean_squared_error, 0.1)


@pytest.mark.parametrize("learning_rate", [0, -1.0, float("nan")])
def test_learning_rate_that_leads_nowhere_is_refused(learning_rate):
    layer = Layer(2, 4, relu, np.random.default_rng(0))
    with pytest.raises(ValueError, match="learning_rate must be above 0, got"):
        NeuralNetwork([layer], mean_squared_error, learning_rate)


@pytest.mark.parametrize("fans", [(0, 3), (3, 0)])
def test_layer_without_inputs_or_outputs_is_refused(fans):
    with pytest.raises(ValueError, match=f"at least 1, got {fans[0]} and {fans[1]}"):
        Layer(*fans, relu, np.random.default_rng(0))


def test_sample_that_is_no_column_is_refused():
    stack, _, x, t = stacked(leaky_relu, 0)
    for method in (stack.backward, stack.loss_value, stack.train):
        with pytest.raises(ValueError, match=r"shapes \(2, 1\) and \(3, 1\), got \(1, 2\)"):
            method(x.T, t)
        with pytest.raises(ValueError, match=r"got \(2, 1\) and \(3, 2\)"):
            method(x, np.hstack([t, t]))
    with pytest.raises(ValueError, match=r"x must have shape \(2, samples\), got \(3, 1\)"):
        stack.predict(t)


@pytest.mark.parametrize("name", ["any_depth", "one_sample"])
def test_problem_in_place_reads_the_arrays_that_it_gives_out(name):
    problem = PROBLEMS[name]()
    assert problem.in_place
    assert problem.args == ()
    before = problem.loss()
    values = problem.parameters["biases"] if name == "any_depth" else problem.parameters["layer3"]
    array = values[-1] if name == "any_depth" else values["bias"]
    array += 0.5
    assert problem.loss() != before
    array -= 0.5
    assert problem.loss() == pytest.approx(before, rel=1e-14)


@pytest.mark.parametrize("name", PROBLEMS)
def test_problem_goes_by_its_own_name_and_its_seed_decides(name):
    def value(problem):
        return problem.loss(*([] if problem.in_place else [problem.parameters, *problem.args]))

    first, again, other = (PROBLEMS[name](seed) for seed in (3, 3, 4))
    assert first.name == name
    assert PROBLEMS[name].__doc__
    np.testing.assert_equal(first.parameters, again.parameters)
    assert value(first) == value(again) != value(other)
    assert value(pickle.loads(pickle.dumps(first))) == value(first)


def test_problem_that_was_pickled_still_reads_its_own_arrays():
    stack, _, x, t = stacked(leaky_relu, 0)
    copy = pickle.loads(pickle.dumps(sample_problem("copied", stack, x, t)))
    before = copy.loss()
    copy.parameters["layer3"]["bias"] += 0.5
    assert copy.loss() != before
