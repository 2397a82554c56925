"""What every layer saw, against correct backward passes and differences of the whole loss."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

import mlp.faults
import mlp.problems
from gradcheck.diagnosis.layer_facts import below, handed_down
from gradcheck.diagnosis.network_facts import network_facts
from gradcheck.parameters import flatten
from mlp.activations import sigmoid
from mlp.initialisers import xavier_normal
from mlp.losses import mean_squared_error, softmax_cross_entropy
from mlp.network import dense_network

GENERATOR = np.random.default_rng(0)
SQUARES = SimpleNamespace(value=lambda y, t: np.sum((y - t) ** 2) / 2, gradient=lambda y, t: y - t)


def draw(*shape):
    return np.random.default_rng([len(shape), *shape]).standard_normal(shape)


class Layer:
    """A layer of which only the forward pass counts here."""

    def __init__(self, name, **parameters):
        self.name, self.parameters = name, parameters

    def backward(self, cache, upstream):
        raise ArithmeticError("nobody must need it")


class Torch(Layer):
    """z = x W^T + b."""

    def preactivation(self, parameters, inputs):
        return inputs @ parameters["W"].T + parameters["b"]

    def forward(self, parameters, inputs):
        return np.tanh(self.preactivation(parameters, inputs)), None


class Columns(Layer):
    """z = W x + b, a sample per column."""

    def preactivation(self, parameters, inputs):
        return parameters["W"] @ inputs + parameters["b"]

    def forward(self, parameters, inputs):
        return np.tanh(self.preactivation(parameters, inputs)), None


class Linear(Layer):
    """x W, which says nothing about pre-activations."""

    def forward(self, parameters, inputs):
        return inputs @ parameters["W"], None


class Tanh(Layer):
    def forward(self, parameters, inputs):
        return np.tanh(inputs), None


class Softmax(Layer):
    def forward(self, parameters, inputs):
        powers = np.exp(inputs)
        return powers / powers.sum(axis=1, keepdims=True), None


class Convolution(Layer):
    """Three taps along the second axis."""

    def preactivation(self, parameters, inputs):
        taps, width = parameters["taps"], inputs.shape[1] - 2
        return sum(taps[k] * inputs[:, k : k + width] for k in range(3)) + parameters["b"]

    def forward(self, parameters, inputs):
        return np.maximum(self.preactivation(parameters, inputs), 0), None


class Centred(Layer):
    """Mixes the samples: every column loses its mean."""

    def forward(self, parameters, inputs):
        return (inputs - inputs.mean(axis=0)) * parameters["gain"], None


class Embedding(Layer):
    def forward(self, parameters, inputs):
        return parameters["table"][inputs], None


class Single(Torch):
    """Takes no complex numbers."""

    def forward(self, parameters, inputs):
        z = self.preactivation(parameters, inputs)
        return np.tanh(np.array(z, float)), None


CHAINS = {
    "torch": ([Torch("a", W=draw(5, 3), b=draw(5)), Torch("b", W=draw(2, 5), b=draw(2))], (4, 3)),
    "columns": (
        [Columns("a", W=draw(5, 3), b=draw(5, 1)), Columns("b", W=draw(5, 5), b=draw(5, 1))],
        (3, 4),
    ),
    "square batch": (
        [Torch("a", W=draw(4, 4), b=draw(4)), Torch("b", W=draw(4, 4) + 1, b=draw(4) + 1)],
        (4, 4),
    ),
    "activations apart": (
        [Linear("a", W=draw(3, 5)), Tanh("b"), Linear("c", W=draw(5, 2))],
        (4, 3),
    ),
    "softmax within": (
        [Linear("a", W=draw(3, 5)), Softmax("b"), Linear("c", W=draw(5, 2))],
        (4, 3),
    ),
    "convolution": (
        [Convolution("a", taps=draw(3), b=draw(1)), Linear("b", W=draw(4, 2))],
        (5, 6),
    ),
    "samples mixed": ([Centred("a", gain=draw(3)), Linear("b", W=draw(3, 2)), Tanh("c")], (4, 3)),
    "real numbers only": (
        [Single("a", W=draw(5, 3), b=draw(5)), Single("b", W=draw(2, 5), b=draw(2))],
        (4, 3),
    ),
}


def loss_of(layers, parameters, inputs, targets):
    for layer in layers:
        own = {key: parameters[f"{layer.name}.{key}"] for key in layer.parameters}
        inputs, _ = layer.forward(own, inputs)
    return SQUARES.value(inputs, targets)


def by_differences(layers, parameters, inputs, targets):
    """Return the gradient by fourth-order differences of the whole loss."""
    step, gradient = 1e-3, {}
    for name, array in parameters.items():
        gradient[name] = np.empty(array.shape)
        for index in np.ndindex(array.shape):

            def moved(t, name=name, array=array, index=index):
                copy = array.copy()
                copy[index] += t
                return loss_of(layers, parameters | {name: copy}, inputs, targets)

            near, far = moved(step) - moved(-step), moved(2 * step) - moved(-2 * step)
            gradient[name][index] = (8 * near - far) / (12 * step)
    return gradient


def facts_of(layers, inputs, targets, loss=None):
    parameters = {f"{la.name}.{key}": a for la in layers for key, a in la.parameters.items()}
    value = loss_of(layers, parameters, inputs, targets) if loss is None else loss
    network = SimpleNamespace(layers=layers, loss=SQUARES)
    return network_facts(network, parameters, inputs, targets, value), parameters


def of_problem(problem):
    loss = problem.loss(problem.parameters, *problem.args)
    return network_facts(problem.network, flatten(problem.parameters), *problem.args, loss)


def true_gradients(facts):
    return below(facts, len(facts) - 1, facts[-1].delta)


def assert_close(found, expected, rtol):
    assert sorted(found) == sorted(expected)
    for name, array in expected.items():
        assert np.linalg.norm(found[name] - array) <= rtol * np.linalg.norm(array), name


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "make",
    [
        mlp.problems.reference,
        mlp.problems.digits,
        mlp.problems.deep_sigmoid,
        mlp.problems.relu,
        mlp.problems.leaky_relu,
        mlp.faults.correct,
        mlp.faults.correct_softmax,
        mlp.faults.correct_deep,
        mlp.faults.correct_gain,
    ],
    ids=lambda make: make.__name__,
)
def test_gradients_are_those_of_a_correct_backward(make, seed):
    problem = make(seed)
    expected = flatten(problem.gradient(problem.parameters, *problem.args))
    assert_close(true_gradients(of_problem(problem)), expected, 1e-9)


@pytest.mark.parametrize("name", CHAINS)
def test_gradients_are_those_of_the_whole_loss(name):
    layers, shape = CHAINS[name]
    inputs = np.random.default_rng(1).standard_normal(shape)
    outputs = inputs
    for layer in layers:
        outputs, _ = layer.forward(layer.parameters, outputs)
    targets = np.random.default_rng(2).standard_normal(outputs.shape)
    facts, parameters = facts_of(layers, inputs, targets)
    assert [layer.name for layer in facts] == [layer.name for layer in layers]
    expected = by_differences(layers, parameters, inputs, targets)
    assert_close(true_gradients(facts), expected, 1e-8)


def test_whole_numbers_may_be_the_inputs():
    layers = [Embedding("a", table=draw(6, 3)), Tanh("b"), Linear("c", W=draw(3, 2))]
    inputs, targets = np.array([0, 5, 2, 2]), draw(4, 2)
    facts, parameters = facts_of(layers, inputs, targets)
    assert_close(true_gradients(facts), by_differences(layers, parameters, inputs, targets), 1e-8)


def test_the_signals_are_those_of_a_correct_backward():
    problem = mlp.faults.correct(3)
    inputs, targets = problem.args
    outputs, caches = problem.network.forward(problem.parameters, inputs)
    upstream = problem.network.loss.gradient(outputs, targets)
    facts = of_problem(problem)
    for layer, cache, found in zip(
        reversed(problem.network.layers), reversed(caches), reversed(facts), strict=True
    ):
        np.testing.assert_allclose(found.upstream, upstream, rtol=1e-9, atol=1e-12)
        delta = layer.delta(cache, upstream)
        np.testing.assert_allclose(found.delta, delta, rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(found.inputs, cache.inputs)
        np.testing.assert_allclose(found.preactivations, cache.preactivation, rtol=1e-14)
        slopes = layer.activation.derivative(cache.preactivation)
        np.testing.assert_allclose(found.activation.slopes, slopes, rtol=1e-9, atol=1e-12)
        upstream, _ = layer.backward(cache, upstream)


def test_the_jacobian_of_a_softmax_is_known_per_sample():
    layers, shape = CHAINS["softmax within"]
    inputs = np.random.default_rng(1).standard_normal(shape)
    facts, _ = facts_of(layers, inputs, draw(4, 2))
    s = facts[1].outputs
    expected = np.einsum("ni,ij->nij", s, np.eye(5)) - np.einsum("ni,nj->nij", s, s)
    np.testing.assert_allclose(facts[1].activation.jacobian, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(facts[1].activation.diagonal, s * (1 - s), rtol=1e-9)


def test_any_delta_is_taken_further_as_by_a_correct_backward():
    problem = mlp.faults.correct(1)
    facts = of_problem(problem)
    _, caches = problem.network.forward(problem.parameters, problem.args[0])
    first, second = problem.network.layers[:2]
    upstream = np.random.default_rng(2).standard_normal(facts[1].outputs.shape)
    signal, gradients = second.backward(caches[1], upstream)
    _, lower = first.backward(caches[0], signal)
    delta = facts[1].activation.delta(upstream)
    expected = flatten({"layer1": lower, "layer2": gradients})
    assert_close(below(facts, 1, delta), expected, 1e-9)
    assert_close(handed_down(facts, 1, signal), flatten({"layer1": lower}), 1e-9)
    assert handed_down(facts, 0, signal) == {}


def test_the_activation_is_known_at_other_points():
    facts = of_problem(mlp.faults.correct(2))
    # More units than inputs: their pre-activations are handed in a few at a time.
    for layer in facts[:2]:
        z = np.random.default_rng(3).standard_normal(layer.preactivations.shape)
        expected = 1 / (1 + np.exp(-z))
        np.testing.assert_allclose(layer.activated(z), expected, rtol=1e-12)
        np.testing.assert_allclose(layer.slopes_at(z), expected * (1 - expected), rtol=1e-9)


def test_the_backward_under_test_is_told_apart_from_the_truth():
    problem = mlp.faults.missing_activation_derivative(4)
    facts = of_problem(problem)
    right = mlp.faults.correct(4)
    expected = flatten(right.gradient(right.parameters, *right.args))
    assert_close(true_gradients(facts), expected, 1e-9)
    _, own = facts[1].own.at(facts[1].upstream)
    np.testing.assert_allclose(own["bias"], facts[1].upstream.sum(axis=0), rtol=1e-9)
    np.testing.assert_allclose(facts[1].delta_made_of(facts[1].upstream), facts[1].upstream)


def test_another_loss_is_noticed():
    layers, shape = CHAINS["torch"]
    inputs, targets = draw(*shape), draw(4, 2)
    facts, parameters = facts_of(layers, inputs, targets)
    assert facts
    loss = loss_of(layers, parameters, inputs, targets)
    assert facts_of(layers, inputs, targets, loss * (1 + 1e-5))[0] == ()


def test_preactivations_that_are_none_are_noticed():
    class Lying(Torch):
        def preactivation(self, parameters, inputs):
            return super().preactivation(parameters, inputs)[::-1]

        def forward(self, parameters, inputs):
            return np.tanh(super().preactivation(parameters, inputs)), None

    layers = [Lying("a", W=draw(5, 3), b=draw(5)), Linear("b", W=draw(5, 2))]
    assert facts_of(layers, draw(4, 3), draw(4, 2))[0] == ()


@pytest.mark.parametrize(
    "network",
    [
        None,
        SimpleNamespace(layers=[]),
        SimpleNamespace(layers=CHAINS["torch"][0]),
        SimpleNamespace(layers=CHAINS["torch"][0], loss=lambda y, t: 0.0),
        SimpleNamespace(layers=[Tanh("a"), Tanh("a")], loss=SQUARES),
    ],
    ids=["no network", "no layers", "no loss", "a loss without gradient", "one name twice"],
)
def test_nothing_is_known_where_the_protocol_does_not_hold(network):
    parameters = {
        f"{la.name}.{k}": a for la in CHAINS["torch"][0] for k, a in la.parameters.items()
    }
    assert network_facts(network, parameters, draw(4, 3), draw(4, 2), 0.0) == ()


def test_nothing_is_changed():
    class Greedy(Torch):
        def forward(self, parameters, inputs):
            outputs, _ = super().forward(parameters, inputs)
            if np.isrealobj(inputs):
                inputs *= 2
            return outputs, None

    layers = [Greedy("a", W=draw(5, 3), b=draw(5)), Linear("b", W=draw(5, 2))]
    inputs, targets = draw(4, 3), draw(4, 2)
    given = inputs.copy(), targets.copy()
    facts_of(layers, inputs.copy(), targets)
    parameters = {f"{la.name}.{key}": a for la in layers for key, a in la.parameters.items()}
    network_facts(SimpleNamespace(layers=layers, loss=SQUARES), parameters, inputs, targets, 1.0)
    np.testing.assert_array_equal(inputs, given[0])
    np.testing.assert_array_equal(targets, given[1])


def test_a_large_network_takes_no_time_to_speak_of():
    generator = np.random.default_rng(0)
    network = dense_network(
        *(generator, (784, 128, 64, 10), sigmoid, sigmoid, mean_squared_error),
        initialiser=xavier_normal,
    )
    inputs = generator.random((32, 784))
    problem = mlp.problems.network_problem("large", network, inputs, generator.random((32, 10)))
    started = time.process_time()
    facts = of_problem(problem)
    assert time.process_time() - started < 5
    expected = flatten(problem.gradient(problem.parameters, *problem.args))
    assert_close(true_gradients(facts), expected, 1e-9)


def test_a_network_of_logits_is_known_too():
    generator = np.random.default_rng(1)
    network = dense_network(
        *(generator, (5, 7, 4), sigmoid, sigmoid, softmax_cross_entropy), initialiser=xavier_normal
    )
    targets = np.eye(4)[generator.integers(0, 4, 6)]
    problem = mlp.problems.network_problem("logits", network, generator.random((6, 5)), targets)
    expected = flatten(problem.gradient(problem.parameters, *problem.args))
    assert_close(true_gradients(of_problem(problem)), expected, 1e-9)
