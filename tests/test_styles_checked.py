"""Backpropagation as others write it, checked as its author would: right, and with their slips."""

from dataclasses import replace

import numpy as np
import pytest

import gradcheck
from gradcheck.cli import main
from gradcheck.targets import load_targets
from mlp import styles
from mlp.activations import leaky_relu, sigmoid, tanh
from mlp.losses import mean_squared_error, sum_of_squares
from mlp.styles.holding import Perceptron, held_problem
from mlp.styles.lists import backward, data, forward, initialise, loss, six_arrays
from mlp.styles.stacking import Layer, NeuralNetwork, sample_problem

NAMES = ["any_depth", "six_arrays", "one_sample"]
SEEDS = range(5)


def test_six_arrays_are_checked_in_five_lines():
    rng = np.random.default_rng(0)
    parameters = initialise(rng)
    x, t = data(rng)
    report = gradcheck.check_gradients(loss, backward, parameters, args=(x, t))
    assert report.verdict == "pass"


@pytest.mark.parametrize("name", NAMES)
def test_every_entry_of_a_style_is_right_at_every_seed(name):
    for seed in SEEDS:
        report = gradcheck.check(getattr(styles, name)(seed), seed=seed)
        assert report.verdict == "pass"
        assert all(
            part.checked_count == np.prod(part.shape, dtype=int) for part in report.parameters
        )
        assert report.findings == ()


@pytest.mark.usefixtures("away")
@pytest.mark.parametrize("name", NAMES)
def test_style_is_a_target_whose_report_groups_its_layers(name, capsys):
    assert main([f"mlp.styles:{name}"]) == 0
    shown = capsys.readouterr().out
    assert "PASS  6 of 6 gradients agree" in shown
    (target,) = load_targets(f"mlp.styles:{name}")
    report = gradcheck.check(target.problem)
    assert [layer.name for layer in report.layers] == {
        "six_arrays": ["hidden1", "hidden2", "output"]
    }.get(name, ["layer1", "layer2", "layer3"])
    assert {len(layer.parameters) for layer in report.layers} == {2}


@pytest.mark.usefixtures("away")
def test_styles_are_listed_with_what_they_are(capsys):
    assert main(["--list", "mlp.styles"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [f"mlp.styles:{name}" for name in NAMES]
    assert all("network" in line for line in lines)


@pytest.fixture
def away(tmp_path, monkeypatch):
    """Another current directory than that of the source, as a user has one."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("depth", range(1, 7))
def test_perceptron_of_any_depth_passes_in_place_and_is_left_as_it_was(depth):
    rng = np.random.default_rng(depth)
    network = Perceptron([5, *[4] * (depth - 1), 3], tanh, sum_of_squares, rng)
    before = [array.copy() for array in network.weights + network.biases]
    for rows in (rng.standard_normal((6, 5)), rng.standard_normal(5)):
        targets = rng.random((*rows.shape[:-1], 3))
        report = gradcheck.check(held_problem("held", network, rows, targets))
        assert report.verdict == "pass"
        assert len(report.parameters) == 2 * depth
    np.testing.assert_equal(network.weights + network.biases, before)


def test_network_that_has_learned_passes_where_it_has_arrived():
    rng = np.random.default_rng(0)
    layers = [Layer(2, 4, leaky_relu, rng), Layer(4, 3, leaky_relu, rng)]
    network = NeuralNetwork(layers, mean_squared_error, 0.05)
    for x in rng.standard_normal((200, 2, 1)):
        network.train(x, np.ones((3, 1)))
    x = rng.standard_normal((2, 1))
    assert (
        gradcheck.check(sample_problem("trained", network, x, np.zeros((3, 1)))).verdict == "pass"
    )


def slipped(*, batch=True, transposed=True, slope2=True, slope1=True, summed=True):
    """Return the backward pass of six arrays as its author may write it, slips included."""

    def wrong(parameters, x, t):
        _, _, W2, _, W3, _ = parameters
        x, h1, h2, y = forward(parameters, x)
        delta3 = (y - t) / (x.shape[1] if batch else 1)
        delta2 = (W3.T @ delta3) * h2 * ((1 - h2) if slope2 else 1)
        delta1 = ((W2.T if transposed else W2) @ delta2) * h1 * ((1 - h1) if slope1 else 1)
        biases = [delta.sum(axis=1) for delta in (delta1, delta2)]
        biases.append(delta3.sum(axis=1) if summed else delta3[:, 0])
        weights = [delta1 @ x.T, delta2 @ h1.T, delta3 @ h2.T]
        return [array for pair in zip(weights, biases, strict=True) for array in pair]

    return wrong


def at_unit_scale(problem, seed):
    rng = np.random.default_rng(seed)
    return replace(problem, parameters=[rng.normal(size=a.shape) for a in problem.parameters])


def told(report):
    """Return which arrays are wrong, and the cause of each as the report names it."""
    wrong = {part.name for part in report.parameters if part.verdict == "fail"}
    assert not any(part.verdict == "inconclusive" for part in report.parameters)
    return wrong, {finding.slug for finding in report.findings}


def test_backward_pass_without_a_slip_is_that_of_the_module():
    problem = six_arrays(1)
    expected = backward(problem.parameters, *problem.args)
    for array, right in zip(slipped()(problem.parameters, *problem.args), expected, strict=True):
        np.testing.assert_allclose(array, right, rtol=1e-12)


@pytest.mark.parametrize(
    ("slip", "wrong", "cause"),
    [
        ("batch", set("012345"), "batch_size_factor"),
        ("transposed", set("01"), "wrong_upstream"),
        ("slope1", set("01"), "wrong_upstream"),
        ("slope2", set("0123"), "wrong_upstream"),
        ("summed", set("5"), "bias_not_summed"),
    ],
)
def test_slip_in_six_arrays_is_caught_blamed_and_named(slip, wrong, cause):
    for seed in SEEDS:
        problem = at_unit_scale(replace(six_arrays(seed), gradient=slipped(**{slip: False})), seed)
        assert told(gradcheck.check(problem, seed=seed)) == (wrong, {cause})


@pytest.mark.parametrize(
    ("slip", "wrong", "causes"),
    [
        ("batch", set("012345"), {"batch_size_factor"}),
        ("transposed", set("01"), {"wrong_upstream"}),
        # Where all sigmoids are at 1/2, to five digits, 1 - h is 1/2 everywhere, and no entry of
        # these tiny gradients is measured well enough to tell.
        ("slope1", set("01"), {"wrong_upstream", "constant_factor"}),
        ("slope2", set("0123"), {"wrong_upstream", "constant_factor"}),
        ("summed", set("5"), {"bias_not_summed"}),
    ],
)
def test_slip_is_caught_and_blamed_at_the_tiny_weights_of_the_start_as_well(slip, wrong, causes):
    for seed in SEEDS:
        problem = replace(six_arrays(seed), gradient=slipped(**{slip: False}))
        found, named = told(gradcheck.check(problem, seed=seed))
        assert found == wrong
        assert named <= causes


def test_gradient_of_biases_that_lost_their_row_is_told_by_its_shape():
    class WithoutKeepdims(Perceptron):
        def backward(self, inputs, targets):
            gradient = super().backward(inputs, targets)
            return gradient | {"biases": [row[0] for row in gradient["biases"]]}

    rng = np.random.default_rng(0)
    network = WithoutKeepdims((5, 4, 3), sigmoid, sum_of_squares, rng)
    problem = held_problem("flat", network, rng.standard_normal((6, 5)), rng.random((6, 3)))
    assert told(gradcheck.check(problem)) == ({"biases.0", "biases.1"}, {"wrong_shape"})
