"""Every weight moved by itself: error bars that hold, and layers it keeps away from."""

from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from gradcheck.diagnosis.asking import Asker
from gradcheck.layer_numbers.strict import FORM, strict_gradient
from mlp import activations
from mlp.layers import Dense
from mlp.losses import half_mean_squared_norm, log_softmax, softmax_cross_entropy

SIZES = ((5, 6, 4, 3), (8, 7, 3), (20, 10, 10, 10, 4))
BATCHES = (1, 7, 32)


def network_loss(loss):
    """Return the methods of a loss, to be taken away."""
    return SimpleNamespace(value=loss.value, gradient=loss.gradient, per_sample=loss.per_sample)


class Case:
    """A network at a point, with its gradient in extended precision."""

    def __init__(self, layers, loss, inputs, targets):
        self.network = SimpleNamespace(layers=layers, loss=network_loss(loss))
        self.inputs, self.targets = inputs, targets
        self.parameters = {
            f"{layer.name}.{key}": array
            for layer in layers
            for key, array in layer.parameters.items()
        }

    def outputs(self, kind=float):
        signal, caches = self.inputs.astype(kind), []
        for layer in self.network.layers:
            own = {key: array.astype(kind) for key, array in layer.parameters.items()}
            signal, cache = layer.forward(own, signal)
            caches.append(cache)
        return signal, caches

    @property
    def value(self):
        return float(self.network.loss.value(self.outputs()[0], self.targets))

    def truth(self):
        outputs, caches = self.outputs(np.longdouble)
        signal = self.network.loss.gradient(outputs, self.targets.astype(np.longdouble))
        found = {}
        for layer, cache in zip(self.network.layers[::-1], caches[::-1], strict=True):
            signal, own = layer.backward(cache, signal)
            found |= {f"{layer.name}.{key}": array for key, array in own.items()}
        return found

    def strict(self, **options):
        data = (self.inputs, self.targets, self.value)
        return strict_gradient(self.network, self.parameters, *data, **options)


def drawn(seed, activation, loss, *, weights=1.0, size=1.0, sparse=False):
    rng = np.random.default_rng(seed)
    widths, batch = SIZES[seed % 3], BATCHES[seed % 3]
    layers = []
    for number, (fan_in, fan_out) in enumerate(pairwise(widths), start=1):
        weight = weights * rng.standard_normal((fan_in, fan_out)) / np.sqrt(fan_in)
        bias = 0.1 * rng.standard_normal(fan_out)
        kind = activation if number < len(widths) - 1 else activations.identity
        layers.append(Dense(f"layer{number}", kind, {"weight": weight, "bias": bias}))
    inputs = size * rng.standard_normal((batch, widths[0]))
    if sparse:
        inputs[rng.random(inputs.shape) < 0.5] = 0.0
    targets = rng.standard_normal((batch, widths[-1]))
    if loss is softmax_cross_entropy:
        targets = np.eye(widths[-1])[rng.integers(widths[-1], size=batch)]
    return Case(layers, loss, inputs, targets)


def off(case, found):
    """Return by parameter how far numbers are off, and their bars."""
    truth = case.truth()
    return [
        (np.abs(found.values[name] - truth[name]).astype(float), found.error_bars[name])
        for name in case.parameters
    ]


KINDS = ["sigmoid", "tanh", "relu", "leaky_relu"]
LOSSES = [half_mean_squared_norm, softmax_cross_entropy]


@pytest.mark.parametrize("loss", LOSSES, ids=lambda loss: loss.name)
@pytest.mark.parametrize("kind", KINDS)
def test_every_truth_lies_within_its_error_bar(kind, loss):
    entries = 0
    for seed in range(12):
        options = {"weights": (1.0, 3.0)[seed % 2], "size": (1.0, 10.0, 0.01)[seed // 4]}
        case = drawn(seed, getattr(activations, kind), loss, sparse=seed % 2 == 1, **options)
        found = case.strict()
        assert set(found.forms.values()) == {FORM}
        for error, bar in off(case, found):
            assert np.all(error <= bar)
            entries += error.size
    assert entries == 2560


@pytest.mark.parametrize("kind", ["sigmoid", "tanh"])
def test_the_bars_of_ordinary_networks_are_far_below_what_a_check_requires(kind):
    for seed in range(6):
        case = drawn(seed, getattr(activations, kind), half_mean_squared_norm)
        found, truth = case.strict(), case.truth()
        for name in case.parameters:
            size = np.linalg.norm(truth[name].astype(float))
            assert np.linalg.norm(found.error_bars[name]) <= 1e-7 * size


def test_saturated_units_do_not_make_bars_too_small():
    for seed in range(12):
        case = drawn(seed, activations.sigmoid, half_mean_squared_norm, weights=20.0, size=10.0)
        assert all(np.all(error <= bar) for error, bar in off(case, case.strict()))


def test_a_weight_that_moves_a_unit_across_a_kink_has_a_bar_that_holds():
    # Units whose pre-activations are zero but for round-off, or this far off.
    for away in (0.0, 1e-9, 1e-7, 1e-5, 1e-4, 1e-3):
        case = drawn(1, activations.relu, half_mean_squared_norm)
        first = case.network.layers[0]
        z = first.preactivation(first.parameters, case.inputs)
        first.parameters["bias"] -= z[2] - away
        slopes = []
        for side in (1e-13, -1e-13):
            first.parameters["bias"] += side
            slopes.append(case.truth())
            first.parameters["bias"] -= side
        found = case.strict()
        for name, bar in found.error_bars.items():
            errors = [np.abs(found.values[name] - side[name]).astype(float) for side in slopes]
            assert np.all(np.minimum(*errors) <= bar + 1e-12)
            if away >= 1e-5:
                assert np.all(bar <= 1e-6)


def test_a_sample_of_zeros_at_all_its_kinks_says_so_in_the_biases_bars_only():
    for seed in (1, 2, 4, 5):
        case = drawn(seed, activations.relu, half_mean_squared_norm)
        for layer in case.network.layers:
            layer.parameters["bias"][:] = 0.0
        case.inputs[0] = 0.0
        found = case.strict()
        for (error, bar), name in zip(off(case, found), case.parameters, strict=True):
            assert np.all(error <= bar)
            if name.endswith("weight"):
                assert np.all(bar <= 1e-6)
        assert np.max(found.error_bars["layer1.bias"]) > 1e-4


def test_a_loss_that_changes_in_steps_has_bars_that_hold():
    # The loss of a sure class, log(1 + e) of a small e, comes in steps of the round-off of 1.
    for seed in (0, 3, 6):
        case = drawn(seed, activations.leaky_relu, softmax_cross_entropy)
        top = case.network.layers[-1]
        winner = np.argmax(case.targets[0])
        top.parameters["bias"][winner] += 17.0
        assert 0.0 < case.value < 1e-5
        assert all(np.all(error <= bar) for error, bar in off(case, case.strict()))


def test_at_the_edge_of_a_domain_smaller_shifts_are_taken():
    class Root(Dense):
        """Outputs that there are none of to the left of zero."""

        def activate(self, z):
            return np.sqrt(z)

        def backward(self, cache, upstream):
            delta = upstream / (2 * np.sqrt(cache.preactivation))
            gradients = {"weight": cache.inputs.T @ delta, "bias": delta.sum(axis=0)}
            return delta @ cache.weight.T, gradients

    case = drawn(1, activations.tanh, half_mean_squared_norm)
    top = Root("layer2", activations.identity, case.network.layers[-1].parameters)
    top.parameters["weight"][:] = np.abs(top.parameters["weight"])
    bottom = Dense("layer1", activations.sigmoid, case.network.layers[0].parameters)
    top.parameters["bias"][:] = 1e-3
    case.network.layers = [bottom, top]
    found = case.strict()
    for error, bar in off(case, found):
        assert np.all(error <= bar)
        assert np.all(bar <= 1e-6)


def test_that_there_is_no_time_gives_nothing():
    case = drawn(2, activations.tanh, half_mean_squared_norm)
    assert case.strict(asker=Asker(most_seconds=0.0)) is None
    assert case.strict(asker=Asker(most_seconds=100.0)) is not None


def test_numbers_are_differences_of_the_networks_own_loss():
    case = drawn(2, activations.tanh, half_mean_squared_norm)
    found = case.strict(names=["layer2.weight"])
    assert set(found.values) == {"layer2.weight"}
    weight = case.parameters["layer2.weight"]
    for index in [(0, 0), (3, 4), (9, 9)]:
        kept, losses = weight[index], []
        for step in (1e-5, -1e-5):
            weight[index] = kept + step
            losses.append(case.value)
        weight[index] = kept
        slope = (losses[0] - losses[1]) / 2e-5
        assert found.values["layer2.weight"][index] == pytest.approx(slope, rel=1e-6, abs=1e-9)


def test_the_backward_pass_and_derivatives_of_activations_are_never_called():
    class Forward(Dense):
        def backward(self, cache, upstream):
            raise AssertionError

    def never(z):
        raise AssertionError

    case = drawn(0, activations.sigmoid, half_mean_squared_norm)
    expected = case.strict()
    case.network.layers = [
        Forward(
            layer.name,
            activations.Activation("", layer.activation.function, never),
            layer.parameters,
        )
        for layer in case.network.layers
    ]
    case.network.loss.gradient = never
    found = case.strict()
    for name, values in expected.values.items():
        assert np.array_equal(found.values[name], values)


def test_about_two_batches_are_passed_on_per_entry():
    case = drawn(2, activations.sigmoid, half_mean_squared_norm)
    entries = sum(array.size for array in case.parameters.values())
    units = 10 + 10 + 10 + 4
    assert case.strict().partial_evaluations <= 2 * entries + 40 * units


def test_an_input_that_is_zero_in_every_sample_has_a_derivative_of_zero():
    case = drawn(1, activations.tanh, half_mean_squared_norm)
    case.inputs[:, 3] = 0.0
    found = case.strict()
    assert not np.any(found.values["layer1.weight"][3])
    assert not np.any(found.error_bars["layer1.weight"][3])


@pytest.mark.parametrize("away", ["activation", "coupled"])
def test_layers_it_does_not_know_and_those_below_coupled_rows_are_left_out(away):
    class Silent(Dense):
        """Tells no activation."""

        activate = None

        def forward(self, parameters, inputs):
            return self.activation.function(self.preactivation(parameters, inputs)), None

    class Coupled(Dense):
        """Takes the mean of the batch off its inputs."""

        def forward(self, parameters, inputs):
            return super().forward(parameters, inputs - inputs.mean(axis=0))

    case = drawn(1, activations.tanh, half_mean_squared_norm)
    first, second = case.network.layers
    if away == "activation":
        case.network.layers = [Silent(first.name, first.activation, first.parameters), second]
        left = {"layer2.weight", "layer2.bias"}
    else:
        case.network.layers = [first, Coupled("layer2", second.activation, second.parameters)]
        left = set()
    found = case.strict()
    assert set(found.values if found else ()) == left


def test_an_activation_over_a_whole_row_and_transposed_weights_are_understood():
    class Softmax:
        """Outputs that share a row; a row of weights per unit."""

        name = "top"
        linear_in = ("W",)

        def __init__(self):
            self.parameters = {"W": np.random.default_rng(5).standard_normal((3, 4))}

        def preactivation(self, parameters, inputs):
            return inputs @ parameters["W"].T

        def activate(self, z):
            return np.exp(log_softmax(z))

        def forward(self, parameters, inputs):
            return self.activate(self.preactivation(parameters, inputs)), None

        def backward(self, cache, upstream):
            raise AssertionError

    rng = np.random.default_rng(6)
    bottom = Dense("bottom", activations.tanh, {"weight": rng.standard_normal((5, 4))})
    inputs, targets = rng.standard_normal((6, 5)), rng.standard_normal((6, 3))
    case = Case([bottom, Softmax()], half_mean_squared_norm, inputs, targets)
    found = case.strict()
    assert set(found.values) == {"bottom.weight", "top.W"}
    for name, array in case.parameters.items():
        for index in np.ndindex(array.shape):
            moved = {key: value.astype(complex) for key, value in case.parameters.items()}
            moved[name][index] += 1e-30j
            hidden = np.tanh(inputs @ moved["bottom.weight"])
            outputs = np.exp(log_softmax(hidden @ moved["top.W"].T))
            slope = half_mean_squared_norm.value(outputs, targets).imag / 1e-30
            assert abs(found.values[name][index] - slope) <= found.error_bars[name][index] <= 1e-8


def test_a_loss_that_is_not_the_networks_or_tells_no_samples_is_refused():
    case = drawn(1, activations.tanh, half_mean_squared_norm)
    data = (case.inputs, case.targets)
    assert strict_gradient(case.network, case.parameters, *data, case.value * 2) is None
    del case.network.loss.per_sample
    assert case.strict() is None
