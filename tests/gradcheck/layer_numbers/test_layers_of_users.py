"""Layers as users write them: other storage, other code, hostile code; numbers right or none."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from gradcheck.layer_numbers import layered_gradient

SAMPLES = 6


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


@dataclass
class Layer:
    """A dense layer x W + b with an activation; what is not overridden."""

    name: str
    parameters: dict
    function: object = sigmoid
    linear_in: object = ("weight", "bias")

    def preactivation(self, parameters, inputs):
        return inputs @ parameters["weight"] + parameters["bias"]

    def activate(self, z):
        return self.function(z)

    def forward(self, parameters, inputs):
        return self.function(self.preactivation(parameters, inputs)), None

    def backward(self, cache, upstream):
        raise AssertionError("nothing of a backward may be used")


class Squares:
    """The mean of the samples' squared distances."""

    @staticmethod
    def per_sample(outputs, targets):
        return np.sum((outputs - targets) ** 2, axis=1)

    @classmethod
    def value(cls, outputs, targets):
        return np.mean(cls.per_sample(outputs, targets))


class Total:
    """The same without losses of samples."""

    @staticmethod
    def value(outputs, targets):
        return np.mean(np.sum((outputs - targets) ** 2, axis=1))


def dense(rng, name, fan_in, fan_out, kind=Layer, **options):
    parameters = {
        "weight": rng.standard_normal((fan_in, fan_out)),
        "bias": rng.standard_normal(fan_out),
    }
    return kind(name, parameters, **options)


@dataclass
class Example:
    """A network of such layers, and the truth by complex steps of its own forward pass."""

    layers: list
    loss: object = Squares
    inputs: object = field(
        default_factory=lambda: np.random.default_rng(5).standard_normal((SAMPLES, 4))
    )
    targets: object = field(
        default_factory=lambda: np.random.default_rng(6).standard_normal((SAMPLES, 3))
    )

    @property
    def parameters(self):
        return {f"{x.name}.{key}": a for x in self.layers for key, a in x.parameters.items()}

    def value(self, parameters, inputs=None):
        signal = self.inputs if inputs is None else inputs
        for layer in self.layers:
            own = {key: parameters[f"{layer.name}.{key}"] for key in layer.parameters}
            signal = layer.forward(own, signal)[0]
        return self.loss.value(signal, self.targets)

    def truth(self):
        found = {}
        for name, array in self.parameters.items():
            found[name] = np.empty(array.shape)
            for index in np.ndindex(array.shape):
                moved = {n: np.array(a, complex) for n, a in self.parameters.items()}
                moved[name][index] += 1e-30j
                found[name][index] = self.value(moved).imag / 1e-30
        return found

    def measured(self, **options):
        loss = float(np.real(self.value(self.parameters)))
        network = SimpleNamespace(layers=self.layers, loss=self.loss)
        return layered_gradient(
            network, self.parameters, self.inputs, self.targets, loss, **options
        )


def assert_right(found, truth, sharp=1e-8):
    """The bars hold for every entry; the truth by complex steps is good to some units itself."""
    assert found is not None
    for name, values in found.values.items():
        assert values.shape == truth[name].shape
        own = 1e-14 * np.max(np.abs(truth[name]))
        assert np.all(np.abs(values - truth[name]) <= found.error_bars[name] + own), name
        assert np.all(found.error_bars[name] <= sharp * np.max(np.abs(truth[name]))), name


def two_layers(first=Layer, last=Layer, **options):
    rng = np.random.default_rng(0)
    return [dense(rng, "a", 4, 5, first), dense(rng, "b", 5, 3, last, **options)]


class Transposed(Layer):
    def preactivation(self, parameters, inputs):
        return inputs @ parameters["weight"].T + parameters["bias"]


class Columns(Layer):
    def preactivation(self, parameters, inputs):
        return parameters["weight"] @ inputs + parameters["bias"][:, None]


class ColumnSquares:
    @staticmethod
    def per_sample(outputs, targets):
        return np.sum((outputs - targets) ** 2, axis=0)

    @classmethod
    def value(cls, outputs, targets):
        return np.sum(cls.per_sample(outputs, targets))


def softmax(z):
    exponentials = np.exp(z - z.real.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


@dataclass
class Softmax(Layer):
    function: object = softmax


class Linear(Layer):
    """One whose outputs are the pre-activations, without a method for these."""

    preactivation = None
    activate = None

    def forward(self, parameters, inputs):
        return inputs @ parameters["weight"] + parameters["bias"], None


class Convolution(Layer):
    """A one-dimensional convolution, linear in its two parameters."""

    def preactivation(self, parameters, inputs):
        kernel, bias = parameters["weight"], parameters["bias"]
        return bias + kernel[0] * inputs + kernel[1] * np.roll(inputs, 1, axis=1)


class InPlace(Layer):
    """Writes to all it is given."""

    def preactivation(self, parameters, inputs):
        z = inputs @ parameters["weight"] + parameters["bias"]
        inputs[:] = 7.0
        parameters["bias"] += 1.0
        return z

    def activate(self, z):
        np.negative(z, out=z)
        np.exp(z, out=z)
        return 1 / (1 + z)

    def forward(self, parameters, inputs):
        given = {key: array.copy() for key, array in parameters.items()}
        return sigmoid(self.preactivation(given, inputs.copy())), None


@pytest.mark.parametrize("method", ["auto", "complex"])
def test_weights_may_be_held_transposed(method):
    rng = np.random.default_rng(1)
    layers = two_layers()
    held = {"weight": rng.standard_normal((5, 4)), "bias": rng.standard_normal(5)}
    layers[0] = Transposed("a", held)
    example = Example(layers)
    found = example.measured(method=method)
    assert set(found.values) == set(example.parameters)
    assert_right(found, example.truth())


def test_a_square_weight_is_not_taken_for_its_transpose():
    rng = np.random.default_rng(1)
    layers = [dense(rng, "a", 4, 4, Transposed), dense(rng, "b", 4, 3)]
    example = Example(layers)
    assert_right(example.measured(), example.truth())


def test_samples_may_be_columns():
    rng = np.random.default_rng(2)
    layers = [
        Columns("a", {"weight": rng.standard_normal((5, 4)), "bias": rng.standard_normal(5)}),
        Columns("b", {"weight": rng.standard_normal((3, 5)), "bias": rng.standard_normal(3)}),
    ]
    inputs, targets = rng.standard_normal((4, SAMPLES)), rng.standard_normal((3, SAMPLES))
    example = Example(layers, ColumnSquares, inputs, targets)
    found = example.measured()
    assert set(found.values) == set(example.parameters)
    assert_right(found, example.truth())


@pytest.mark.parametrize("method", ["auto", "complex"])
def test_a_softmax_mixes_the_outputs_of_a_sample(method):
    example = Example(two_layers(last=Softmax))
    found = example.measured(method=method)
    assert set(found.values) == set(example.parameters)
    assert_right(found, example.truth())


def test_a_layer_without_an_activation_says_so_by_having_no_such_methods():
    example = Example(two_layers(last=Linear))
    found = example.measured()
    assert set(found.values) == set(example.parameters)
    assert_right(found, example.truth())


def test_a_small_convolution_that_declares_its_parameters_is_measured_by_a_basis():
    rng = np.random.default_rng(3)
    layers = [
        Convolution("c", {"weight": rng.standard_normal(2), "bias": rng.standard_normal(1)}),
        *two_layers(),
    ]
    example = Example(layers)
    found = example.measured()
    assert set(found.values) == set(example.parameters)
    assert_right(found, example.truth())


def test_a_layer_that_declares_nothing_has_no_numbers_but_those_around_it_do():
    rng = np.random.default_rng(4)
    layers = [*two_layers(), dense(rng, "c", 3, 3)]
    layers[1].linear_in = None
    found = Example(layers).measured()
    assert set(found.values) == {"a.weight", "a.bias", "c.weight", "c.bias"}
    assert set(found.forms) == {"a", "c"}
    assert_right(found, Example(layers).truth())


def test_a_loss_without_losses_of_samples_is_measured_output_by_output():
    example = Example(two_layers(), Total)
    found = example.measured()
    assert set(found.values) == set(example.parameters)
    assert_right(found, example.truth())


def test_losses_of_samples_that_do_not_add_up_to_the_loss_are_not_used():
    class Wrong(Total):
        per_sample = staticmethod(lambda outputs, targets: np.sum(outputs**2, axis=1))

    example = Example(two_layers(), Wrong)
    assert_right(example.measured(), example.truth())


def test_losses_of_samples_that_depend_on_each_other_are_not_used():
    class Coupled:
        @staticmethod
        def per_sample(outputs, targets):
            centred = outputs - outputs.mean(axis=0)
            return np.sum((centred - targets) ** 2, axis=1)

        @classmethod
        def value(cls, outputs, targets):
            return np.mean(cls.per_sample(outputs, targets))

    example = Example(two_layers(), Coupled)
    assert_right(example.measured(), example.truth())


def test_a_layer_that_is_passed_through_twice_has_one_gradient():
    rng = np.random.default_rng(7)
    shared = dense(rng, "a", 4, 4)
    example = Example([shared, shared, dense(rng, "b", 4, 3)])
    found = example.measured()
    assert set(found.values) == set(example.parameters)
    assert_right(found, example.truth())


def test_two_layers_of_one_name_give_nothing():
    layers = two_layers()
    layers[1].name = "a"
    example = Example(layers)
    network = SimpleNamespace(layers=layers, loss=Squares)
    parameters = layers[0].parameters
    named = {f"a.{key}": array for key, array in parameters.items()}
    assert layered_gradient(network, named, example.inputs, example.targets, 1.0) is None


def test_user_code_that_writes_to_what_it_is_given_spoils_nothing():
    example = Example(two_layers(first=InPlace))
    parameters = {name: array.copy() for name, array in example.parameters.items()}
    inputs, truth = example.inputs.copy(), Example(two_layers()).truth()
    found = example.measured()
    for name, array in example.parameters.items():
        np.testing.assert_array_equal(array, parameters[name])
    np.testing.assert_array_equal(example.inputs, inputs)
    if found is not None:
        assert_right(found, truth)


def test_parameters_in_float32_are_measured_in_float64():
    layers = two_layers()
    for layer in layers:
        layer.parameters = {key: a.astype(np.float32) for key, a in layer.parameters.items()}
    example = Example(layers)
    loss = float(example.value({n: a.astype(float) for n, a in example.parameters.items()}))
    network = SimpleNamespace(layers=layers, loss=Squares)
    found = layered_gradient(network, example.parameters, example.inputs, example.targets, loss)
    assert_right(found, example.truth())
    assert all(array.dtype == np.float64 for array in found.values.values())


def test_complex_parameters_give_nothing():
    layers = two_layers()
    layers[0].parameters["weight"] = layers[0].parameters["weight"] + 0.5j
    assert Example(layers).measured() is None


def test_arithmetic_in_float32_inside_a_layer_shows_in_the_error_bars():
    class Single(Layer):
        def preactivation(self, parameters, inputs):
            given = (np.asarray(a, np.float32) for a in (inputs, *parameters.values()))
            x, weight, bias = given
            return x @ weight + bias

    example = Example(two_layers(first=Single))
    found = example.measured()
    truth = Example(two_layers()).truth()
    assert_right(found, truth, sharp=1e-2)
    assert np.max(found.error_bars["a.weight"]) > 1e-9


def test_nothing_is_asked_of_any_backward_nor_of_the_losss_gradient():
    class Refusing(Squares):
        @staticmethod
        def gradient(outputs, targets):
            raise AssertionError("the loss's own gradient may not be used")

    example = Example(two_layers(), Refusing)
    assert_right(example.measured(), example.truth())


@pytest.mark.parametrize("method", ["forward", "preactivation", "activate"])
def test_a_layer_whose_methods_raise_gives_no_numbers_below_it(method):
    def raising(*_):
        raise RuntimeError("no")

    layers = two_layers()
    example = Example(layers)
    loss = float(example.value(example.parameters))
    setattr(layers[0], method, raising)
    network = SimpleNamespace(layers=layers, loss=Squares)
    found = layered_gradient(network, example.parameters, example.inputs, example.targets, loss)
    assert found is None or not {"a.weight", "a.bias"} & set(found.values)


def test_only_what_is_wanted_is_returned():
    found = Example(two_layers()).measured(names=["b.bias"])
    assert set(found.values) == set(found.error_bars) == {"b.bias"}
    assert set(found.forms) == {"b"}


def test_a_network_without_any_protocol_gives_nothing():
    for network in (None, SimpleNamespace(), SimpleNamespace(layers=[]), SimpleNamespace(layers=3)):
        assert layered_gradient(network, {}, np.ones((2, 2)), None, 1.0) is None


def test_integer_inputs_of_an_embedding_are_handed_on_as_they_are():
    class Embedding(Layer):
        linear_in = ("table",)
        preactivation = None
        activate = None

        def forward(self, parameters, inputs):
            return parameters["table"][inputs], None

    rng = np.random.default_rng(8)
    layers = [Embedding("e", {"table": rng.standard_normal((9, 4))}), *two_layers()]
    layers[0].linear_in = ("table",)
    example = Example(layers, inputs=rng.integers(0, 9, SAMPLES))
    found = example.measured()
    assert set(found.values) == set(example.parameters)
    assert_right(found, example.truth())


def test_a_batch_without_samples_gives_nothing():
    example = Example(two_layers(), inputs=np.zeros((0, 4)), targets=np.zeros((0, 3)))
    network = SimpleNamespace(layers=example.layers, loss=Squares)
    given = example.parameters, example.inputs, example.targets
    assert layered_gradient(network, *given, 0.0) is None


def test_wide_outputs_are_measured_too():
    rng = np.random.default_rng(9)
    layers = [dense(rng, "a", 4, 5), dense(rng, "b", 5, 300)]
    example = Example(layers, targets=rng.standard_normal((SAMPLES, 300)))
    found = example.measured(names=["a.bias"])
    truth = {"a.bias": np.empty(5)}
    for place in range(5):
        moved = {name: np.array(array, complex) for name, array in example.parameters.items()}
        moved["a.bias"][place] += 1e-30j
        truth["a.bias"][place] = example.value(moved).imag / 1e-30
    assert_right(found, truth)


def test_layers_of_activations_alone_need_no_parameters():
    class Activation(Layer):
        preactivation = None

        def forward(self, parameters, inputs):
            return self.function(inputs), None

    rng = np.random.default_rng(10)
    layers = [
        dense(rng, "a", 4, 5, Linear),
        Activation("f", {}, np.tanh),
        dense(rng, "b", 5, 3, Linear),
    ]
    example = Example(layers)
    found = example.measured()
    assert set(found.values) == set(example.parameters)
    assert_right(found, example.truth())


def test_at_a_kink_every_subgradient_is_inside_the_bars():
    rng = np.random.default_rng(11)
    layers = two_layers()
    layers[0].function = lambda z: np.where(np.real(z) > 0, z, 0 * z)
    layers[0].parameters["weight"][:, 0] = 0.0
    layers[0].parameters["bias"][0] = 0.0
    example = Example(layers, inputs=rng.standard_normal((SAMPLES, 4)))
    found = example.measured()
    inside = []
    for side in (1e-300, -1e-300):
        layers[0].parameters["bias"][0] = side
        truth = example.truth()["a.bias"]
        inside.append(np.abs(found.values["a.bias"] - truth) <= found.error_bars["a.bias"] + 1e-15)
    assert np.all(inside)
    # Only the unit that is at its kink has a bar to speak of.
    assert found.error_bars["a.bias"][0] > 1e3 * np.max(found.error_bars["a.bias"][1:])


def test_a_loss_of_probabilities_stays_in_its_domain():
    class Entropy:
        @staticmethod
        def per_sample(outputs, targets):
            return -np.sum(targets * np.log(outputs), axis=1)

        @classmethod
        def value(cls, outputs, targets):
            return np.mean(cls.per_sample(outputs, targets))

    targets = np.random.default_rng(12).random((SAMPLES, 3))
    layers = two_layers(last=Softmax)
    layers[1].parameters["weight"] *= 8.0
    example = Example(layers, Entropy, targets=targets / targets.sum(axis=1, keepdims=True))
    found = example.measured()
    assert set(found.values) == set(example.parameters)
    assert_right(found, example.truth(), sharp=1e-5)
    assert found.partial_evaluations < 500


@pytest.mark.parametrize("units", [3, 200])
def test_an_activation_that_raises_outside_of_its_domain_is_measured_inside(units):
    def logarithm(z):
        if np.any(np.real(z) <= 0.0):
            raise ValueError("no logarithm")
        return np.log(z)

    rng = np.random.default_rng(13)
    inputs, targets = rng.uniform(0.5, 1.5, (SAMPLES, 4)), rng.standard_normal((SAMPLES, units))
    weight, bias = rng.uniform(0.001, 0.01, (4, units)), np.full(units, 0.02)
    layer = Layer("log", {"weight": weight, "bias": bias}, logarithm)
    found = Example([layer], Squares, inputs, targets).measured()
    z = inputs @ weight + bias
    assert z.min() < 0.075  # nearer to the edge than the largest step
    delta = 2 * (np.log(z) - targets) / SAMPLES / z
    assert_right(found, {"log.weight": inputs.T @ delta, "log.bias": delta.sum(axis=0)})


def test_user_code_may_return_the_same_array_every_time():
    def reusing(function):
        buffers = {}

        def reused(*given):
            fresh = np.asarray(function(*given))
            buffer = buffers.setdefault((fresh.shape, fresh.dtype), np.empty_like(fresh))
            buffer[...] = fresh
            return buffer

        return reused

    class Reusing(Squares):
        per_sample = staticmethod(reusing(Squares.per_sample))

    truth = Example(two_layers(last=Softmax)).truth()
    layers = two_layers(last=Softmax)
    example = Example(layers, Reusing)
    loss = float(example.value(example.parameters))
    for layer in layers:
        for method in ("preactivation", "activate"):
            setattr(layer, method, reusing(getattr(layer, method)))
    network = SimpleNamespace(layers=layers, loss=Reusing)
    found = layered_gradient(network, example.parameters, example.inputs, example.targets, loss)
    assert set(found.values) == set(example.parameters)
    assert_right(found, truth)
