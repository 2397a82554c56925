"""Saturated and dead units: told of layers that show them, from what their own calls return."""

import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import mlp.problems
from gradcheck import Problem, check
from mlp.activations import identity, leaky_relu, relu, sigmoid
from mlp.initialisers import he_normal
from mlp.layers import Dense
from mlp.losses import half_mean_squared_norm
from mlp.network import Network, dense_network
from mlp.problems import network_problem

SATURATED = "slopes below 1 % of the mean from 0, at every sample"


def about_units(problem, **options):
    report = check(problem, effort="quick", **options)
    assert report.verdict == "pass"
    return [note for note in report.notes if "units" in note]


def hidden_of(activation, biases, samples=12, seed=0):
    """Return a network with one hidden layer, whose pre-activations are near its biases."""
    rng = np.random.default_rng(seed)
    biases = np.array(biases, float)
    weight = 0.1 * rng.standard_normal((3, len(biases)))
    hidden = Dense("hidden", activation, {"weight": weight, "bias": biases})
    output = Dense("output", identity, {"weight": rng.standard_normal((len(biases), 2))})
    inputs, targets = rng.standard_normal((samples, 3)), rng.standard_normal((samples, 2))
    network = Network((hidden, output), half_mean_squared_norm)
    return network_problem("hidden", network, inputs, targets)


def test_the_two_two_two_network_has_a_saturated_unit():
    problem = mlp.problems.two_two_two()
    report = check(problem)
    assert f"hidden: 1 of 2 units (50 %) is saturated ({SATURATED})" in report.notes
    assert report.partial_evaluations > 0


def test_units_are_saturated_where_the_formula_says_so():
    """In 20 of 20 seeds; f' / ((f(z) - f(0)) / z) of the sigmoid by its closed form."""
    told = 0
    for seed in range(20):
        biases = np.random.default_rng([seed, 1]).uniform(-20, 20, 8)
        problem = hidden_of(sigmoid, biases, seed=seed)
        inputs, _ = problem.args
        held = problem.parameters["hidden"]
        z = inputs @ held["weight"] + held["bias"]
        f = 1 / (1 + np.exp(-z))
        count = int(np.sum(np.all(f * (1 - f) <= 0.01 * np.abs((f - 0.5) / z), axis=0)))
        expected = f"hidden: {count} of 8 units ({100 * count / 8:.0f} %) are saturated"
        notes = about_units(problem)
        assert notes == ([f"{expected} ({SATURATED})"] if count >= 4 else []), seed
        told += count >= 4
    assert told >= 15


def test_dead_units_are_told_where_hardly_any_is_left():
    problem = hidden_of(relu, [-9.0] * 9 + [1.0])
    assert about_units(problem) == [
        "hidden: 9 of 10 units (90 %) are dead (slopes of 0, at every sample)"
    ]
    assert about_units(hidden_of(relu, [-9.0] * 8 + [1.0] * 2)) == []


def test_few_samples_do_not_show_that_a_unit_is_dead():
    assert about_units(hidden_of(relu, [-9.0] * 9 + [1.0], samples=7)) == []


@pytest.mark.parametrize("activation", [leaky_relu, identity])
def test_what_goes_on_with_the_same_slope_is_not_saturated(activation):
    assert about_units(hidden_of(activation, [-30.0] * 9 + [30.0])) == []


def test_sound_deep_networks_are_not_asked():
    """No call of a layer in 20 of 20 seeds each, and nothing loaded to make one with."""
    for seed in range(20):
        assert check(mlp.problems.digits(seed), effort="quick").partial_evaluations == 0
        assert check(mlp.problems.relu(seed), effort="quick").partial_evaluations == 0


def test_deep_narrow_relus_have_no_note():
    """In 40 of 40 seeds, though some of their layers are half dead."""
    for seed in range(40):
        rng = np.random.default_rng(seed)
        network = dense_network(
            *(rng, (16,) * 8 + (4,), relu, identity, half_mean_squared_norm),
            initialiser=he_normal,
            bias_scale=0.1,
        )
        inputs, targets = rng.standard_normal((16, 16)), rng.standard_normal((16, 4))
        assert about_units(network_problem("narrow", network, inputs, targets)) == []


class Shown:
    """A layer without a backward of its own use, in the convention of columns."""

    linear_in = ("W",)

    def __init__(self, name, parameters, function=None):
        self.name, self.parameters, self.function = name, parameters, function
        self.calls = 0
        if function is not None and parameters:
            self.preactivation = self.linear

    def linear(self, parameters, inputs):
        self.calls += 1
        return parameters["W"] @ inputs

    def forward(self, parameters, inputs):
        self.calls += 1
        z = parameters["W"] @ inputs if parameters else inputs
        return (z if self.function is None else self.function(z)), None

    def backward(self, cache, upstream):
        raise AssertionError("nobody needs it")


def logistic(z):
    return 1 / (1 + np.exp(-z))


def shown(layers):
    """Return the problem of 0.5 * sum of squares at the end of columns; its gradient is right."""

    def value(outputs, targets):
        return 0.5 * float(np.sum((outputs - targets) ** 2))

    loss = SimpleNamespace(value=value, gradient=lambda outputs, targets: outputs - targets)
    rng = np.random.default_rng(0)
    inputs, targets = 1 + rng.random((3, 10)), rng.standard_normal((2, 10))
    held = {layer.name: layer.parameters for layer in layers if layer.parameters}
    first, last = (held[name]["W"] for name in held)

    def outputs(p):
        hidden = logistic(p["first"]["W"] @ inputs)
        return hidden, p["last"]["W"] @ hidden

    def gradient(p, *_):
        hidden, at_end = outputs(p)
        delta = p["last"]["W"].T @ (at_end - targets) * hidden * (1 - hidden)
        return {
            "first": {"W": delta @ inputs.T},
            "last": {"W": (at_end - targets) @ hidden.T},
        }

    return Problem(
        lambda p, *_: value(outputs(p)[1], targets),
        gradient,
        {"first": {"W": first}, "last": {"W": last}},
        args=(inputs, targets),
        network=SimpleNamespace(layers=layers, loss=loss),
    )


def weights(size=3.0):
    first = np.array([[1.0, 2.0, 1.0], [-2.0, -1.0, -1.0], [0.1, -0.1, 0.2], [2.0, 2.0, 1.0]])
    return size * first, np.random.default_rng(1).standard_normal((2, 4))


def together():
    first, last = weights()
    return [Shown("first", {"W": first}, logistic), Shown("last", {"W": last})]


def test_samples_may_be_columns():
    assert about_units(shown(together())) == [
        f"first: 3 of 4 units (75 %) are saturated ({SATURATED})"
    ]


def test_an_activation_may_be_a_layer_of_its_own():
    first, last = weights()
    layers = [
        Shown("first", {"W": first}),
        Shown("squash", {}, logistic),
        Shown("last", {"W": last}),
    ]
    layers[1].linear_in = ()
    (note,) = about_units(shown(layers))
    assert note == f"squash: 3 of 4 units (75 %) are saturated ({SATURATED})"


def test_every_call_of_a_layer_is_counted():
    layers = together()
    report = check(shown(layers), effort="quick")
    # And one of the loss at the outputs.
    assert report.partial_evaluations == sum(layer.calls for layer in layers) + 1


def test_a_network_with_another_loss_is_not_believed():
    problem = shown(together())
    problem.network.loss.value = lambda outputs, targets: float(np.sum(outputs))
    assert about_units(problem) == []


def test_outputs_that_depend_on_other_units_are_not_judged():
    layers = together()
    problem = shown(layers)
    layers[0].function = lambda z: logistic(z) + 0.0 * z
    assert len(about_units(problem)) == 1
    layers[0].preactivation = lambda parameters, inputs: (parameters["W"] @ inputs)[::-1]
    assert about_units(problem) == []


def raising(*_):
    raise RuntimeError("not now")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda layer: setattr(layer, "forward", raising),
        lambda layer: setattr(layer, "preactivation", raising),
        lambda layer: setattr(layer, "forward", lambda *_: sys.exit(3)),
        lambda layer: setattr(layer, "forward", lambda *_: None),
        lambda layer: setattr(layer, "preactivation", lambda *_: np.ones((2, 2))),
        lambda layer: setattr(layer, "preactivation", lambda *_: np.full((4, 10), np.nan)),
        lambda layer: setattr(layer, "linear_in", 3),
        lambda layer: setattr(layer, "linear_in", ("V",)),
        lambda layer: layer.parameters.update(V=np.ones(2)),
        lambda layer: layer.parameters.clear(),
    ],
)
def test_layers_that_cannot_be_asked_change_nothing_in_a_check(spoil):
    layers = together()
    problem = shown(layers)
    expected = check(problem, effort="quick")
    layers[0].parameters = dict(layers[0].parameters)
    spoil(layers[0])
    report = check(problem, effort="quick")
    assert report.parameters == expected.parameters
    assert report.evaluations == expected.evaluations
    assert report.notes == ()


def test_layers_that_write_to_what_they_are_given_spoil_nothing():
    class Writing(Shown):
        def forward(self, parameters, inputs):
            outputs = super().forward(parameters, inputs)
            parameters["W"][:] = inputs[:] = 0.0
            return outputs

    problem = shown([Writing(one.name, one.parameters, one.function) for one in together()])
    before = [np.copy(array) for array in problem.args]
    (note,) = about_units(problem)
    assert note == f"first: 3 of 4 units (75 %) are saturated ({SATURATED})"
    assert all(map(np.array_equal, problem.args, before))


def test_layers_that_never_answer_are_left_alone():
    layers = together()
    problem = shown(layers)
    layers[0].forward = lambda *_: __import__("time").sleep(30)
    assert about_units(problem, timeout=0.2) == []


def test_single_precision_is_enough():
    problem = hidden_of(sigmoid, [12.0, -15.0, 0.5, -1.0])
    single = {
        layer: {name: array.astype(np.float32) for name, array in held.items()}
        for layer, held in problem.parameters.items()
    }
    layers = tuple(replace(one, parameters=single[one.name]) for one in problem.network.layers)
    network = replace(problem.network, layers=layers)
    args = tuple(array.astype(np.float32) for array in problem.args)
    (note,) = about_units(network_problem("single", network, *args))
    assert note == f"hidden: 2 of 4 units (50 %) are saturated ({SATURATED})"


def test_gradients_near_the_largest_float_are_no_reason_to_fail():
    problem = hidden_of(identity, [0.0, 1.0])
    factor = 1e160
    scaled = replace(
        problem,
        loss=lambda *given: factor * problem.loss(*given),
        gradient=lambda *given: {
            layer: {name: factor * array for name, array in held.items()}
            for layer, held in problem.gradient(*given).items()
        },
    )
    assert about_units(scaled) == []
