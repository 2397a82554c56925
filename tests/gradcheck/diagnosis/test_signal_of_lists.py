"""A wrong signal in backprop code that keeps its arrays in a list or under names of its own."""

from itertools import pairwise

import numpy as np
import pytest

from gradcheck import check_gradients

WIDTHS = (3, 4, 4, 1)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


class Net:
    """Samples in columns, [W1, b1, W2, b2, W3, b3], the biases columns too."""

    def __init__(self, seed, widths=WIDTHS):
        rng = np.random.default_rng(seed)
        self.inputs, self.targets = rng.standard_normal((2, widths[0], 5))[0], rng.random((1, 5))
        self.start = []
        for fan_in, fan_out in pairwise(widths):
            self.start += [
                rng.standard_normal((fan_out, fan_in)),
                rng.standard_normal((fan_out, 1)),
            ]

    def outputs(self, arrays):
        found = [self.inputs]
        for weight, bias in zip(arrays[::2], arrays[1::2], strict=True):
            found.append(sigmoid(weight @ found[-1] + bias))
        return found

    def loss(self, arrays):
        return 0.5 * float(np.sum((self.outputs(arrays)[-1] - self.targets) ** 2)) / 5

    def gradient(self, arrays, signal=lambda layer, weight, delta: weight.T @ delta):
        outputs = self.outputs(arrays)
        upstream, found = (outputs[-1] - self.targets) / 5, []
        for layer in reversed(range(len(arrays) // 2)):
            after = outputs[layer + 1]
            delta = upstream * after * (1 - after)
            found = [delta @ outputs[layer].T, delta.sum(axis=1, keepdims=True), *found]
            upstream = signal(layer, arrays[2 * layer], delta)
        return found


def untransposed(layer, weight, delta):
    return (weight if layer == 1 else weight.T) @ delta


def errors(report):
    return [finding for finding in report.findings if finding.severity == "error"]


@pytest.mark.parametrize("seed", range(10))
def test_the_signal_is_named_by_positions(seed):
    net = Net(seed)
    report = check_gradients(net.loss, lambda p: net.gradient(p, untransposed), net.start)
    (finding,) = errors(report)
    assert finding.slug == "wrong_upstream"
    assert finding.parameters == ("0", "1")
    assert "between the layer of 2, 3 and the layer of 0, 1" in finding.evidence


@pytest.mark.parametrize("seed", range(10))
def test_a_right_gradient_has_no_finding(seed):
    net = Net(seed)
    assert check_gradients(net.loss, net.gradient, net.start).findings == ()


def test_a_bias_that_is_right_speaks_for_the_signal():
    net = Net(0)

    def transposed(arrays):
        found = net.gradient(arrays)
        return [*found[:2], found[2].T.copy(), *found[3:]]

    (finding,) = errors(check_gradients(net.loss, transposed, net.start))
    assert finding.slug == "transposed"
    assert "3 is right, so the signal is: look at the line that forms 2" in finding.evidence


def test_square_matrices_with_names_of_their_own_are_no_chain():
    net = Net(0, (4, 4, 4, 1))
    names = ("Wq", "bq", "Wk", "bk", "Wv", "bv")

    def listed(arrays):
        return [arrays[name] for name in names]

    report = check_gradients(
        lambda p: net.loss(listed(p)),
        lambda p: dict(zip(names, net.gradient(listed(p), untransposed), strict=True)),
        dict(zip(names, net.start, strict=True)),
    )
    assert {finding.slug for finding in errors(report)} == {"unexplained"}
