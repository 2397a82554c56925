"""Error bars around activations that mix a row, whose gain on rounding may be anything."""

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

import gradcheck
from gradcheck.layer_numbers import layered_gradient

SAMPLES, WIDTHS = 6, (4, 5, 3)
SEEDS = range(20)
OFFSETS = [1.0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6]


def normalised(z):
    centred = z - z.mean(axis=1, keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, axis=1, keepdims=True))


def normalised_back(z, upstream):
    """Return (u - mean(u) - y mean(u y)) / sigma."""
    y = normalised(z)
    sigma = np.sqrt(np.mean((z - z.mean(axis=1, keepdims=True)) ** 2, axis=1, keepdims=True))
    mean, along = (np.mean(a, axis=1, keepdims=True) for a in (upstream, upstream * y))
    return (upstream - mean - y * along) / sigma


def softmax(z):
    exponentials = np.exp(z - z.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def softmax_back(z, upstream):
    """Return p (u - sum(u p))."""
    p = softmax(z)
    return p * (upstream - np.sum(upstream * p, axis=1, keepdims=True))


def tanh_back(z, upstream):
    return upstream / np.cosh(z) ** 2


def identity(z):
    return z


def identity_back(z, upstream):
    return upstream


BACKWARDS = {
    normalised: normalised_back,
    softmax: softmax_back,
    np.tanh: tanh_back,
    identity: identity_back,
}


@dataclass
class Layer:
    """A dense layer x W + b with any activation."""

    name: str
    parameters: dict
    activate: object
    linear_in = ("weight", "bias")

    @staticmethod
    def preactivation(parameters, inputs):
        return inputs @ parameters["weight"] + parameters["bias"]

    def forward(self, parameters, inputs):
        z = self.preactivation(parameters, inputs)
        return self.activate(z), (parameters, inputs, z)

    def backward(self, cache, upstream):
        parameters, inputs, z = cache
        delta = BACKWARDS[self.activate](z, upstream)
        own = {"weight": inputs.T @ delta, "bias": delta.sum(axis=0)}
        return delta @ parameters["weight"].T, own


class Squares:
    """The mean of the samples' squared distances."""

    @staticmethod
    def per_sample(outputs, targets):
        return np.sum((outputs - targets) ** 2, axis=1)

    @classmethod
    def value(cls, outputs, targets):
        return np.mean(cls.per_sample(outputs, targets))


@dataclass
class Example:
    """A network, its data, and its gradient by backprop in the precision of what is given."""

    layers: list
    inputs: object
    targets: object

    def __post_init__(self):
        self.network = SimpleNamespace(layers=self.layers, loss=Squares)
        self.parameters = {x.name: x.parameters for x in self.layers}

    @property
    def full_names(self):
        return {f"{x}.{key}": a for x, own in self.parameters.items() for key, a in own.items()}

    def outputs(self, parameters, inputs):
        caches = []
        for layer in self.layers:
            inputs, cache = layer.forward(parameters[layer.name], inputs)
            caches.append(cache)
        return inputs, caches

    def loss(self, parameters, inputs, targets):
        return Squares.value(self.outputs(parameters, inputs)[0], targets)

    def gradient(self, parameters, inputs, targets):
        outputs, caches = self.outputs(parameters, inputs)
        signal = 2 * (outputs - targets) / len(outputs)
        found = {}
        for layer, cache in reversed(list(zip(self.layers, caches, strict=True))):
            signal, found[layer.name] = layer.backward(cache, signal)
        return found

    def truth(self):
        extended = {
            name: {key: array.astype(np.longdouble) for key, array in own.items()}
            for name, own in self.parameters.items()
        }
        nested = self.gradient(extended, self.inputs.astype(np.longdouble), self.targets)
        return {f"{x}.{key}": a for x, own in nested.items() for key, a in own.items()}

    def measured(self, **options):
        loss = float(self.loss(self.parameters, self.inputs, self.targets))
        given = self.full_names, self.inputs, self.targets
        return layered_gradient(self.network, *given, loss, **options)


def example(seed, activations, offset, spread):
    """Return a network; the first rows that are mixed have an offset, relative to a spread."""
    rng = np.random.default_rng(seed)
    layers = []
    first = next((x for x, one in enumerate(activations) if one is not np.tanh), None)
    for place, activate in enumerate(activations):
        fan_in, fan_out = WIDTHS[min(place, 1)], WIDTHS[2 if place == len(activations) - 1 else 1]
        weight, bias = rng.standard_normal((fan_in, fan_out)), rng.standard_normal(fan_out)
        if place == first:
            weight, bias = spread * weight / 2, spread * (bias / 2 + offset)
        layers.append(Layer(f"layer{place + 1}", {"weight": weight, "bias": bias}, activate))
    inputs, targets = rng.standard_normal((SAMPLES, 4)), rng.standard_normal((SAMPLES, 3))
    return Example(layers, inputs, targets)


def worst(found, truth):
    return max(
        float(np.max(np.abs(values - truth[name]) / found.error_bars[name]))
        for name, values in found.values.items()
    )


NETWORKS = {
    "normalised, then tanh": (normalised, np.tanh),
    "softmax, then tanh": (softmax, np.tanh),
    "normalised twice": (normalised, normalised, np.tanh),
    "tanh, then softmax": (np.tanh, softmax),
    "softmax last": (normalised, softmax),
    "normalised last": (softmax, normalised),
}


@dataclass
class Opaque:
    """A layer without parameters that tells its outputs only."""

    name: str
    function: object
    parameters: dict = field(default_factory=dict)

    def forward(self, parameters, inputs):
        return self.function(inputs), inputs

    def backward(self, cache, upstream):
        return BACKWARDS[self.function](cache, upstream), {}


def apart(made):
    """Return the network with the activations that mix rows as layers of their own."""
    layers = []
    for layer in made.layers:
        layers.append(layer)
        if layer.activate is not np.tanh:
            layers.append(Opaque(f"{layer.name}_mixed", layer.activate))
            layer.activate = identity
    return Example(layers, made.inputs, made.targets)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("is_large", [True, False], ids=["large offset", "small spread"])
def test_the_truth_is_inside_every_error_bar_whatever_the_offset_of_a_row(name, is_large):
    for offset in OFFSETS:
        for seed in SEEDS:
            made = example(seed, NETWORKS[name], offset, 1.0 if is_large else 1 / offset)
            found = made.measured()
            assert set(found.values) == set(made.full_names)
            assert worst(found, made.truth()) <= 1.0, (offset, seed)


@pytest.mark.parametrize("name", NETWORKS)
def test_the_truth_is_inside_the_sharper_bars_of_complex_steps(name):
    measured = 0
    for offset in OFFSETS:
        for seed in SEEDS:
            made = example(seed, NETWORKS[name], offset, 1 / offset)
            found = made.measured(method="complex")
            if found is not None:
                measured += 1
                assert worst(found, made.truth()) <= 1.0, (offset, seed)
    # Some have no numbers, where what is summed cancels; how many depends on rounding.
    assert measured >= 0.8 * len(OFFSETS) * len(SEEDS)


def test_error_bars_stay_sharp_where_rows_have_no_offset():
    for activations in NETWORKS.values():
        for seed in SEEDS:
            made = example(seed, activations, 1.0, 1.0)
            found, truth = made.measured(), made.truth()
            for name, bars in found.error_bars.items():
                assert np.linalg.norm(bars) <= 1e-8 * np.linalg.norm(truth[name].astype(float))


@pytest.mark.parametrize("name", ["normalised, then tanh", "normalised twice", "softmax last"])
def test_layers_that_tell_their_outputs_only_have_bars_that_hold_around_them(name):
    measured = 0
    for offset in OFFSETS:
        for seed in SEEDS:
            made = apart(example(seed, NETWORKS[name], offset, 1 / offset))
            found = made.measured()
            if found is not None:
                measured += 1
                assert worst(found, made.truth()) <= 1.0, (offset, seed)
    assert measured == len(OFFSETS) * len(SEEDS)


@pytest.mark.parametrize("offset", [1.0, 1e4, 1e6])
def test_right_networks_that_normalise_rows_are_not_accused(offset):
    verdicts = []
    for name in ("normalised, then tanh", "normalised twice"):
        for seed in SEEDS:
            made = example(seed, NETWORKS[name], offset, 1 / offset)
            problem = gradcheck.Problem(
                loss=made.loss,
                gradient=made.gradient,
                parameters=made.parameters,
                network=made.network,
                args=(made.inputs, made.targets),
            )
            verdicts.append(gradcheck.check(problem).verdict)
    assert verdicts.count("fail") == 0
    assert offset > 1.0 or verdicts.count("pass") == len(verdicts)


def test_numbers_above_an_activation_that_fails_beside_its_point_are_not_given():
    made = example(0, NETWORKS["normalised, then tanh"], 1.0, 1.0)
    at = made.layers[0].preactivation(made.layers[0].parameters, made.inputs)

    def only_here(z):
        if z.shape == at.shape and not np.array_equal(z, at):
            raise FloatingPointError
        return normalised(z)

    made.layers[0].activate = only_here
    found = made.measured()
    assert found is None or not any(np.isfinite(a).any() for a in found.error_bars.values())


def test_entry_by_entry_networks_are_asked_for_nothing_more():
    asked = []

    def counted(z):
        asked.append(len(z))
        return np.tanh(z)

    made = example(0, (np.tanh, np.tanh), 1.0, 1.0)
    few = made.measured().partial_evaluations
    made.layers[0].activate = counted
    assert made.measured().partial_evaluations == few
    # The forward pass of the example, and that of the layer; the rest is stacked.
    assert len([rows for rows in asked if rows == SAMPLES]) <= 3
