"""One loss written with the tape serves for values and gradients; gradcheck compares them."""

import numpy as np
import pytest

import gradcheck
from mlp import tape

SEEDS = range(5)


def loss(parameters, x, labels):
    """Return the cross-entropy of a small network, every function of the tape in it."""
    hidden = tape.tanh(x @ parameters["W1"] + parameters["b1"])  # (8, 3) @ (3, 4) + (4,)
    gate = tape.sigmoid(x @ parameters["V"])  # (8, 3) @ (3, 4)
    y = (gate * hidden + 0.1 * tape.maximum(hidden, 0)) @ parameters["W2"]  # (8, 4) @ (4, 2)
    log_p = y - tape.log(tape.exp(y).sum(axis=1, keepdims=True))  # (8, 2) - (8, 1)
    return -log_p[np.arange(len(y)), labels].mean()


def made(seed):
    """Return parameters and data."""
    rng = np.random.default_rng(seed)
    shapes = {"W1": (3, 4), "b1": (4,), "V": (3, 4), "W2": (4, 2)}
    parameters = {name: rng.standard_normal(shape) for name, shape in shapes.items()}
    return parameters, (rng.standard_normal((8, 3)), rng.integers(2, size=8))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_gradient_of_a_taped_loss_passes_against_the_loss_itself(seed):
    parameters, data = made(seed)
    report = gradcheck.check_gradients(loss, tape.gradient(loss), parameters, args=data)
    assert report.verdict == "pass", report
    assert [part.checked_count for part in report.parameters] == [12, 4, 12, 8]


def test_value_and_gradient_in_one_pass_too():
    parameters, data = made(0)
    both = tape.value_and_gradient(loss)
    assert gradcheck.check_gradients(None, both, parameters, args=data).verdict == "pass"


def test_a_taped_gradient_that_is_spoilt_fails():
    parameters, data = made(0)
    slope = tape.gradient(loss)

    def spoilt(parameters, *args):
        found = slope(parameters, *args)
        return found | {"V": 2 * found["V"]}

    report = gradcheck.check_gradients(loss, spoilt, parameters, args=data)
    assert [part.verdict for part in report.parameters] == ["pass", "pass", "fail", "pass"]
