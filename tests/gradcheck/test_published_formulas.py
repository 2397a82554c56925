"""Wrong formulas that stand in published derivations of backpropagation, and what they are called.

Each is written here as it was printed, layer by layer over one column at a time, and is the
gradient of a fault in the gallery; the check finds it there, and in the style it was printed in.
"""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from gradcheck import check
from mlp import faults
from mlp.activations import leaky_relu, sigmoid
from mlp.initialisers import he_normal
from mlp.losses import mean_squared_error, sum_of_squares
from mlp.network import Network, dense_network
from mlp.problems import network_problem
from mlp.styles.holding import Perceptron, held_problem
from mlp.styles.stacking import Layer, NeuralNetwork, sample_problem

SEEDS = range(2, 5)


def right_pass(weights, biases, activations, slope_of_loss, x):
    """Return the lists of a right pass over one column: xs, ys, dxs and dbs, bottom layer first.

    y = W x + b and the next x = f(y); dx and db are the gradients with respect to x and b.
    """
    xs, ys = [x], []
    for weight, bias, activation in zip(weights, biases, activations, strict=True):
        ys.append(weight @ xs[-1] + bias)
        xs.append(activation.function(ys[-1]))
    dxs, dbs = [slope_of_loss(xs[-1])], []
    for weight, activation, y in reversed(list(zip(weights, activations, ys, strict=True))):
        dbs.insert(0, activation.derivative(y) * dxs[0])
        dxs.insert(0, weight.T @ dbs[0])
    return SimpleNamespace(
        weights=weights, activations=activations, dL=slope_of_loss, xs=xs, ys=ys, dxs=dxs, dbs=dbs
    )


def slopes(n, db, x):
    """Return dW = db x^T and db under the names of layer n, counted from 0."""
    return {f"layer{n + 1}.weight": db @ x.T, f"layer{n + 1}.bias": db}


def f_in_layer_2(book):
    """Return what follows from db = f(y) dx in the second layer."""
    db = book.activations[1].function(book.ys[1]) * book.dxs[2]
    below = book.activations[0].derivative(book.ys[0]) * (book.weights[1].T @ db)
    return slopes(1, db, book.xs[1]) | slopes(0, below, book.xs[0])


def loss_in_hidden_layers(book):
    """Return what follows from db = f'(y) dL(x, t) in all layers but the last, x their output."""
    return {
        name: slope
        for n, (activation, y) in enumerate(zip(book.activations[:-1], book.ys, strict=False))
        for name, slope in slopes(
            n, activation.derivative(y) * book.dL(book.xs[n + 1]), book.xs[n]
        ).items()
    }


def general_step(book):
    """Return what follows from db = f(y) dL(x, t) in all layers but the last two."""
    return {
        name: slope
        for n, (activation, y) in enumerate(zip(book.activations[:-2], book.ys, strict=False))
        for name, slope in slopes(
            n, activation.function(y) * book.dL(book.xs[n + 1]), book.xs[n]
        ).items()
    }


def weight_from_dx_in_layer_2(book):
    """Return dW = dx x^T where the dx of the loop has moved on to the layer's input."""
    return {"layer2.weight": book.dxs[1] @ book.xs[1].T}


def weight_2_from_bias_1(book):
    """Return dL/dW2 = dL/db1 f(z1), where dL/db2 belongs."""
    return {"layer2.weight": book.dbs[0] @ book.xs[1].T}


def bias_2_from_bias_1(book):
    """Return dL/db1 for dL/db2: the same slip of an index, in the bias itself."""
    return {"layer2.bias": book.dbs[0]}


PRINTED = {
    "activation_for_derivative": f_in_layer_2,
    "leaky_activation_for_derivative": f_in_layer_2,
    "loss_derivative_in_hidden_layers": loss_in_hidden_layers,
    "loss_and_activation_in_hidden_layers": general_step,
    "weight_from_input_gradient": weight_from_dx_in_layer_2,
    "delta_of_neighbour": weight_2_from_bias_1,
    "wrong_layer": bias_2_from_bias_1,
}


def column_by_column(problem, formula):
    """Return a formula's gradient of a gallery problem: over its samples, as columns, added up."""
    inputs, targets = problem.args
    values = list(problem.parameters.values())
    total = {}
    for x, t in zip(inputs, targets, strict=True):
        book = right_pass(
            [value["weight"].T for value in values],
            [value["bias"][:, np.newaxis] for value in values],
            [layer.activation for layer in problem.network.layers],
            # The gallery's loss is the mean over its samples of half the squared distance.
            lambda y, t=t: (y - t[:, np.newaxis]) / len(inputs),
            x[:, np.newaxis],
        )
        for name, slope in formula(book).items():
            total[name] = total.get(name, 0) + slope
    return total


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", PRINTED)
def test_printed_formula_is_the_gradient_of_its_fault(name, seed, flat):
    fault = faults.FAULTS[name]
    printed = column_by_column(fault.twin(seed), PRINTED[name])
    gradient = flat(fault(seed))
    assert set(printed) == fault.wrong
    for parameter, slope in printed.items():
        expected = slope.T if parameter.endswith("weight") else slope[:, 0]
        largest = np.abs(expected).max()
        np.testing.assert_allclose(
            gradient[parameter], expected, rtol=1e-10, atol=1e-12 * largest, err_msg=parameter
        )


@pytest.mark.parametrize("shown", [True, False], ids=["shown", "hidden"])
@pytest.mark.parametrize("name", PRINTED)
def test_printed_formula_is_caught_placed_and_named(name, shown):
    fault = faults.FAULTS[name]
    for seed in SEEDS:
        problem = fault(seed) if shown else replace(fault(seed), network=None)
        report = check(problem, seed=seed, effort="quick")
        errors = [finding for finding in report.findings if finding.severity == "error"]
        assert failing(report) == fault.wrong
        assert {finding.slug for finding in errors} <= (fault.exposed if shown else fault.black_box)
        assert {name for finding in errors for name in finding.parameters} == fault.wrong
        if shown and fault.layer is not None:
            assert {finding.layer for finding in errors} == {fault.layer}


@pytest.fixture
def flat():
    """Return the gradient of a problem by names such as "layer2.weight"."""

    def flatten(problem):
        gradient = problem.gradient(problem.parameters, *problem.args)
        return {f"{n}.{key}": a for n, values in gradient.items() for key, a in values.items()}

    return flatten


def failing(report):
    assert not any(part.verdict == "inconclusive" for part in report.parameters)
    return {part.name for part in report.parameters if part.verdict == "fail"}


class AsPrinted(NeuralNetwork):
    """Layer objects whose gradient follows a printed formula, where that says anything."""

    formula = None

    def backward(self, x, t):
        gradient = super().backward(x, t)
        book = right_pass(
            [layer.weight for layer in self.layers],
            [layer.bias for layer in self.layers],
            [layer.activation for layer in self.layers],
            lambda y: self.loss.gradient(y, t),
            x,
        )
        for name, slope in self.formula(book).items():
            layer, key = name.split(".")
            gradient[layer][key] = slope
        return gradient


def stacked(formula, sizes, seed):
    rng = np.random.default_rng(seed)
    layers = [Layer(ins, outs, leaky_relu, rng) for ins, outs in pairwise(sizes)]
    network = AsPrinted(layers, mean_squared_error, 0.05)
    network.formula = formula
    x, t = rng.standard_normal((sizes[0], 1)), rng.standard_normal((sizes[-1], 1))
    return sample_problem("printed", network, x, t)


@pytest.mark.parametrize(
    ("formula", "layers", "cause"),
    [
        (loss_in_hidden_layers, (1, 2, 3), "wrong_upstream"),
        (general_step, (1, 2), "wrong_upstream"),
        (f_in_layer_2, (1, 2), "wrong_upstream"),
    ],
)
def test_printed_formula_is_blamed_in_its_own_style_on_one_column(formula, layers, cause):
    for seed in SEEDS:
        report = check(stacked(formula, (4, 4, 4, 4, 4), seed), seed=seed)
        assert failing(report) == {f"layer{n}.{k}" for n in layers for k in ("weight", "bias")}
        assert {finding.slug for finding in report.findings} == {cause}


def test_weight_line_is_caught_in_its_own_style_on_one_column():
    for seed in SEEDS:
        report = check(stacked(weight_from_dx_in_layer_2, (4, 4, 4, 4), seed), seed=seed)
        assert failing(report) == {"layer2.weight"}
        assert {finding.slug for finding in report.findings} <= {"wrong_layer", "unexplained"}


def test_weight_identity_is_caught_in_its_own_style():
    class AsPrintedRows(Perceptron):
        def backward(self, inputs, targets):
            gradient = super().backward(inputs, targets)
            activations, preactivations = self._passes(inputs)
            z1, z2 = preactivations
            delta2 = self.loss.gradient(activations[-1], targets) * self.activation.derivative(z2)
            delta1 = delta2 @ self.weights[1].T * self.activation.derivative(z1)
            gradient["weights"][1] = activations[1].T @ delta1
            return gradient

    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        network = AsPrintedRows((5, 4, 4), sigmoid, sum_of_squares, rng)
        problem = held_problem("printed", network, rng.standard_normal((7, 5)), rng.random((7, 4)))
        report = check(problem, seed=seed)
        assert failing(report) == {"weights.1"}
        assert {finding.slug for finding in report.findings} <= {"wrong_layer", "unexplained"}


class _Loop(Network):
    """The generic loop as printed, over rows: both of its slips in every layer, or one repaired."""

    activation_repaired = False
    weight_repaired = False

    def backward(self, parameters, inputs, targets, verify=None):
        outputs, caches = self.forward(parameters, inputs)
        upstream, gradient = self.loss.gradient(outputs, targets), {}
        for layer, cache in zip(reversed(self.layers), reversed(caches), strict=True):
            f = layer.activation
            delta = (f.derivative if self.activation_repaired else f.function)(cache.preactivation)
            delta = delta * upstream
            upstream = delta @ cache.weight.T
            side = delta if self.weight_repaired else upstream
            gradient[layer.name] = {"weight": cache.inputs.T @ side, "bias": delta.sum(axis=0)}
        return dict(reversed(gradient.items()))


class _LoopWithDerivative(_Loop):
    activation_repaired = True


class _LoopRepaired(_LoopWithDerivative):
    weight_repaired = True


def looped(kind, seed):
    rng = np.random.default_rng(seed)
    drawn = dense_network(
        *(rng, (7, 7, 7, 7), leaky_relu, leaky_relu, mean_squared_error),
        initialiser=he_normal,
        bias_scale=0.5,
    )
    inputs, targets = rng.standard_normal((2, 11, 7))
    return network_problem("loop", kind(drawn.layers, drawn.loss), inputs, targets)


@pytest.mark.parametrize("seed", SEEDS)
def test_generic_loop_is_repaired_by_what_the_check_names_at_its_top(seed):
    report = check(looped(_Loop, seed), seed=seed)
    assert failing(report) == {part.name for part in report.parameters}
    first = report.findings[0]
    assert (first.slug, first.layer) == ("activation_for_derivative", "layer3")
    report = check(looped(_LoopWithDerivative, seed), seed=seed)
    assert failing(report) == {"layer1.weight", "layer2.weight", "layer3.weight"}
    named = {finding.layer for finding in report.findings if finding.slug == "wrong_layer"}
    assert {"layer2", "layer3"} <= named
    assert check(looped(_LoopRepaired, seed), seed=seed).verdict == "pass"


def test_weight_line_of_the_generic_loop_is_told_by_its_shape_where_layers_differ_in_width():
    def loop(book):
        dx, found = book.dL(book.xs[-1]), {}
        for n in (1, 0):
            db = book.activations[n].function(book.ys[n]) * dx
            dx = book.weights[n].T @ db
            found |= {f"layer{n + 1}.weight": dx @ book.xs[n].T, f"layer{n + 1}.bias": db}
        return found

    report = check(stacked(loop, (2, 3, 2), 0))
    assert failing(report) == {part.name for part in report.parameters}
    shapes = [finding for finding in report.findings if finding.slug == "wrong_shape"]
    assert {name for finding in shapes for name in finding.parameters} == {
        "layer1.weight",
        "layer2.weight",
    }
