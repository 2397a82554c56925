"""Gradient descent on a problem whose minimum is known in closed form."""

from copy import deepcopy

import numpy as np
import pytest

from mlp.activations import identity
from mlp.layers import Dense
from mlp.losses import sum_of_squares
from mlp.network import Network
from mlp.training import train


@pytest.fixture
def line():
    """Return a 1-1 network w x with the loss (w x - t)**2, at w = 3, and x = 4, t = 8."""
    layer = Dense("line", identity, {"weight": np.array([[3.0]])})
    return Network((layer,), sum_of_squares), np.array([[4.0]]), np.array([[8.0]])


def test_one_step_moves_by_the_learning_rate_times_the_slope(line):
    network, inputs, targets = line
    # dL/dw = 2 x (w x - t) = 2 * 4 * (12 - 8) = 32.
    new = train(
        network, network.parameters, inputs, targets, learning_rate=0.01, epochs=1
    ).parameters
    assert new["line"]["weight"][0, 0] == pytest.approx(3 - 0.01 * 32, rel=1e-15)


def test_many_steps_reach_the_minimum(line):
    network, inputs, targets = line
    new = train(
        network, network.parameters, inputs, targets, learning_rate=0.01, epochs=100
    ).parameters
    # Each step shrinks the distance to t / x = 2 by 1 - 0.01 * 2 * x**2.
    assert new["line"]["weight"][0, 0] - 2 == pytest.approx(0.68**100, rel=1e-6, abs=1e-15)


def test_no_steps_change_nothing(line):
    network, inputs, targets = line
    new = train(
        network, network.parameters, inputs, targets, learning_rate=0.01, epochs=0
    ).parameters
    np.testing.assert_equal(new, network.parameters)


def test_descent_leaves_the_parameters_it_starts_from_untouched(line):
    network, inputs, targets = line
    before = deepcopy(network.parameters)
    new = train(
        network, network.parameters, inputs, targets, learning_rate=0.01, epochs=3
    ).parameters
    np.testing.assert_equal(network.parameters, before)
    assert new["line"]["weight"] != before["line"]["weight"]
