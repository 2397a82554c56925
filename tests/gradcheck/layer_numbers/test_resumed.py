"""The loss resumed at a layer: the numbers of the plain loop, for layers of any kind."""

from types import SimpleNamespace

import numpy as np
import pytest

from gradcheck.bounds import read_bounds
from gradcheck.diagnosis.asking import Asker, NotKnown
from gradcheck.directions import entry_scales, noise_directions
from gradcheck.entries import measure_entries
from gradcheck.execution import Evaluator
from gradcheck.layer_numbers.resumed import measure_entries_resumed, resumed_loss
from gradcheck.noise import measure_noise
from gradcheck.parameters import flatten
from gradcheck.probes import Claim
from gradcheck.problem import Problem
from mlp.problems import batch_norm, reference


class Lambda:
    """A layer that tells nothing but its forward pass."""

    def __init__(self, name, function, **parameters):
        self.name, self.function, self.parameters = name, function, parameters
        self.calls = 0

    def forward(self, parameters, inputs):
        self.calls += 1
        return self.function(inputs, **parameters), None

    def backward(self, cache, upstream):
        raise AssertionError("no backward pass is needed")


HALF_SQUARES = SimpleNamespace(
    value=lambda outputs, targets: float(np.sum((outputs - targets) ** 2)) / 2,
    gradient=lambda outputs, targets: outputs - targets,
)


def convolution(inputs, kernel, bias):
    """Return a convolution along the last axis, a tanh on top: a weight enters in many places."""
    width = kernel.shape[-1]
    windows = np.lib.stride_tricks.sliding_window_view(inputs, width, axis=2)
    return np.tanh(np.einsum("ncpw,ocw->nop", windows, kernel) + bias[:, None])


def normalised(inputs, gain, shift):
    """Return rows that are normalised over the batch: every row depends on every other."""
    return (inputs - inputs.mean(0)) / np.sqrt(inputs.var(0) + 1e-5) * gain + shift


def kinds(generator):
    """Return networks of layers by kind, with inputs and targets."""
    draw = generator.standard_normal
    flat = Lambda("flat", lambda inputs: inputs.reshape(len(inputs), -1))
    dense = Lambda("dense", lambda x, W: x @ W, W=draw((18, 2)) / 4)
    conv = Lambda("conv", convolution, kernel=draw((3, 2, 3)), bias=draw(3))
    yield "convolution", (conv, flat, dense), draw((4, 2, 8)), draw((4, 2))
    first = Lambda("first", lambda x, W: np.tanh(x @ W), W=draw((3, 4)))
    norm = Lambda("norm", normalised, gain=draw(4), shift=draw(4))
    skip = Lambda("skip", lambda x, W: x + np.sin(x @ W), W=draw((4, 4)))
    yield "rows coupled, and a skip", (first, norm, skip), draw((5, 3)), draw((5, 4))
    table = Lambda("table", lambda rows, E: E[rows].mean(1), E=draw((6, 3)))
    yield "embedding", (table, first), np.array([[0, 2], [2, 5], [1, 1]]), draw((3, 4))
    number = Lambda("number", lambda x, scale, kept: scale * x[:, kept], scale=1.5, kept=[0, 2, 1])
    yield "a number, and whole numbers", (number, first), draw((5, 3)), draw((5, 4))
    single = Lambda("single", lambda x, W: np.tanh(x @ W), W=draw((3, 4)).astype(np.float32))
    yield "float32", (single,), draw((5, 3)).astype(np.float32), draw((5, 4)).astype(np.float32)


def loss_of(layers, inputs, targets):
    def loss(parameters):
        signal = inputs
        for layer in layers:
            signal = layer.forward(parameters[layer.name], signal)[0]
        return HALF_SQUARES.value(signal, targets)

    return loss


def resumed_and_evaluator(layers, inputs, targets, **options):
    parameters = {layer.name: layer.parameters for layer in layers}
    evaluator = Evaluator(Problem(loss_of(layers, inputs, targets), parameters, parameters))
    network = SimpleNamespace(layers=layers, loss=HALF_SQUARES)
    options.setdefault("call", lambda function, what: function())
    resumed = resumed_loss(
        network, evaluator.original, inputs, targets, evaluator.loss(), **options
    )
    return resumed, evaluator


KINDS = [pytest.param(*rest, id=kind) for kind, *rest in kinds(np.random.default_rng(0))]


@pytest.mark.parametrize(("layers", "inputs", "targets"), KINDS)
def test_loss_at_every_entry_is_bit_for_bit_that_of_the_whole_network(layers, inputs, targets):
    resumed, evaluator = resumed_and_evaluator(layers, inputs, targets)
    assert resumed.value == evaluator.loss()
    for name, array in evaluator.original.items():
        places = list(np.ndindex(array.shape))
        values = [array.dtype.type(array[index] + 0.01) for index in places]
        moves = list(zip(places, values, strict=True))
        seen = [resumed.loss_at_entry(name, *move) for move in moves]
        assert seen == [evaluator.loss_at_entry(name, *move) for move in moves]
        assert len({resumed.value, *seen}) > array.size / 2


def test_the_entries_of_a_convolution_are_right_to_their_error_bars():
    (_, layers, inputs, targets), *_ = kinds(np.random.default_rng(1))
    resumed, evaluator = resumed_and_evaluator(layers, inputs, targets)
    scales = entry_scales(evaluator.original)
    noise = measure_noise(evaluator, noise_directions(evaluator.original, scales, seed=0))
    for name, array in evaluator.original.items():
        nothing = np.zeros(array.shape)
        claim = Claim(name, nothing, scales[name], 0.0, nothing, nothing, 1e-6, comparing=False)
        given = (noise.conditions(array.size), claim, range(array.size))
        found = measure_entries_resumed(resumed, *given)
        plain = measure_entries(evaluator, *given)
        assert [entry.derivative for entry in found] == [entry.derivative for entry in plain]
        true = complex_step(layers, inputs, targets, name)
        for entry in found:
            bar = entry.derivative.error_bar
            assert abs(entry.derivative.value - true[entry.index]) <= bar <= 1e-7


def complex_step(layers, inputs, targets, name):
    """Return the derivatives of a holomorphic loss by complex steps."""
    parameters = {layer.name: layer.parameters for layer in layers}
    array = flatten(parameters)[name]
    slopes = np.zeros(array.shape)
    for index in np.ndindex(array.shape):
        moved = array.astype(complex)
        moved[index] += 1e-30j
        layer, key = name.split(".")
        changed = {**parameters, layer: {**parameters[layer], key: moved}}
        signal = inputs
        for one in layers:
            signal = one.forward(changed[one.name], signal)[0]
        slopes[index] = np.sum((signal - targets) ** 2).imag / 2e-30
    return slopes


def test_only_the_layer_and_those_above_are_called():
    (_, layers, inputs, targets), *_ = kinds(np.random.default_rng(2))
    resumed, _ = resumed_and_evaluator(layers, inputs, targets)
    before = [layer.calls for layer in layers]
    assert resumed.partial_evaluations == 3
    resumed.loss_at_entry("dense.W", (0, 0), 1.0)
    assert [layer.calls for layer in layers] == [before[0], before[1], before[2] + 1]
    assert (resumed.evaluations, resumed.partial_evaluations) == (2, 4)


def test_nothing_of_the_users_is_written_to_and_points_do_not_leak_into_each_other():
    (_, layers, inputs, targets), *_ = kinds(np.random.default_rng(3))
    kept = [array.copy() for layer in layers for array in layer.parameters.values()]
    resumed, _ = resumed_and_evaluator(layers, inputs, targets)
    first = resumed.loss_at_entry("conv.kernel", (0, 0, 0), 2.0)
    resumed.loss_at_entry("conv.bias", (1,), -1.0)
    resumed.loss_at_entry("dense.W", (3, 1), 7.0)
    assert resumed.loss_at_entry("conv.kernel", (0, 0, 0), 2.0) == first
    held = [array for layer in layers for array in layer.parameters.values()]
    assert all(np.array_equal(a, b) for a, b in zip(held, kept, strict=True))


def test_a_layer_that_writes_to_its_inputs_or_returns_one_buffer_changes_nothing():
    buffer = np.zeros((3, 2))

    def squared_in_place(x, W):
        x *= x
        buffer[...] = x @ W
        return buffer

    generator = np.random.default_rng(4)
    layer = Lambda("layer", squared_in_place, W=generator.standard_normal((2, 2)))
    above = Lambda("above", lambda x, b: x.__iadd__(b), b=np.zeros(2))
    inputs = generator.standard_normal((3, 2))
    loss = HALF_SQUARES.value((inputs**2) @ layer.parameters["W"], 0.0)
    network = SimpleNamespace(layers=[layer, above], loss=HALF_SQUARES)
    parameters = {"layer.W": layer.parameters["W"], "above.b": np.zeros(2)}
    given = (network, parameters, inputs, np.zeros((3, 2)), loss)
    resumed = resumed_loss(*given, call=lambda function, what: function())
    W = layer.parameters["W"].copy()
    for _ in range(2):
        for index in np.ndindex(2, 2):
            moved = W.copy()
            moved[index] = 3.0
            expected = HALF_SQUARES.value((inputs**2) @ moved, 0.0)
            assert resumed.loss_at_entry("layer.W", index, 3.0) == pytest.approx(expected, 1e-14)
        assert resumed.loss_at_entry("above.b", (0,), 0.0) == pytest.approx(loss, 1e-14)


def test_where_the_loss_cannot_be_evaluated_it_is_nan_and_the_point_is_put_back():
    def fussy(x, w):
        if w[0] > 1.0:
            raise FloatingPointError
        return x * np.sqrt(w)

    layer = Lambda("layer", fussy, w=np.array([0.5, 0.5]))
    resumed, _ = resumed_and_evaluator([layer], np.ones((2, 2)), np.zeros((2, 2)))
    assert np.isnan(resumed.loss_at_entry("layer.w", (0,), 2.0))
    assert np.isnan(resumed.loss_at_entry("layer.w", (0,), -1.0))
    assert resumed.loss_at_entry("layer.w", (0,), 0.5) == resumed.value


def test_out_of_bounds_nothing_is_called():
    layer = Lambda("layer", lambda x, w: x * w, w=np.array([0.5, 0.5]))
    bounds = read_bounds((0.0, 1.0), ["layer.w"], {"layer.w": layer.parameters["w"]}, ())
    resumed, _ = resumed_and_evaluator([layer], np.ones((2, 2)), np.zeros((2, 2)), bounds=bounds)
    before = layer.calls
    assert np.isnan(resumed.loss_at_entry("layer.w", (0,), 1.5))
    assert layer.calls == before


def test_a_layer_that_is_passed_through_twice_is_refused():
    layer = Lambda("layer", lambda x, W: np.tanh(x @ W), W=np.eye(2))
    assert resumed_and_evaluator([layer, layer], np.ones((2, 2)), np.zeros((2, 2)))[0] is None


def test_a_loss_that_is_not_the_networks_is_refused():
    layer = Lambda("layer", lambda x, W: np.tanh(x @ W), W=np.eye(2))
    network = SimpleNamespace(layers=[layer], loss=HALF_SQUARES)
    inputs, targets, W = np.ones((2, 2)), np.zeros((2, 2)), {"layer.W": np.eye(2)}
    loss = HALF_SQUARES.value(np.tanh(inputs), targets)
    given = {"call": lambda function, what: function()}
    assert resumed_loss(network, W, inputs, targets, loss, **given) is not None
    assert resumed_loss(network, W, inputs, targets, loss * (1 + 1e-9), **given) is None
    assert resumed_loss(network, {"layer.W": np.eye(3)}, inputs, targets, loss, **given) is None
    network = SimpleNamespace(layers=[layer])
    assert resumed_loss(network, W, inputs, targets, loss, **given) is None


def test_that_there_is_no_time_is_no_loss_that_cannot_be_evaluated():
    class Late(Asker):
        is_late = False

        def ask(self, function, what):
            if self.is_late:
                raise NotKnown(what)
            return super().ask(function, what)

    layer = Lambda("layer", lambda x, W: np.tanh(x @ W), W=np.eye(2))
    asker = Late()
    resumed, _ = resumed_and_evaluator([layer], np.ones((2, 2)), np.zeros((2, 2)), call=asker.ask)
    asker.is_late = True
    with pytest.raises(NotKnown, match="'layer'"):
        resumed.loss_at_entry("layer.W", (0, 0), 2.0)


@pytest.mark.parametrize("problem", [reference(), batch_norm()], ids=lambda p: p.name)
def test_ready_networks_are_resumed_to_the_same_numbers(problem):
    evaluator = Evaluator(problem)
    given = (problem.network, evaluator.original, *problem.args, evaluator.loss())
    resumed = resumed_loss(*given, call=lambda function, what: function())
    for name, array in evaluator.original.items():
        for index in list(np.ndindex(array.shape))[::3]:
            seen = resumed.loss_at_entry(name, index, array[index] + 0.1)
            assert seen == evaluator.loss_at_entry(name, index, array[index] + 0.1)
