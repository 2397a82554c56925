"""Ready problems: a network with data, its loss, and its gradient by backpropagation."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlp import activations
from mlp.activations import identity, sigmoid, tanh
from mlp.arrays import Array
from mlp.initialisers import he_normal, lecun_normal, small_normal, unit_normal, xavier_normal
from mlp.layers import Dense
from mlp.losses import (
    half_mean_squared_norm,
    mean_squared_error,
    softmax_cross_entropy,
    sum_of_squares,
)
from mlp.network import Network, dense_network
from mlp.normalisation import batch_norm_network
from mlp.problem import Problem

# Angle over which an arm of the spiral winds, and the noise on it, in radians.
SPIRAL_TURN, SPIRAL_NOISE = 4.0, 0.2
# Number of grey levels of a digit's pixel above black.
DIGIT_LEVELS = 16


def network_problem(name: str, network: Network, inputs: Array, targets: Array) -> Problem:
    """Return the problem of a network on a batch, at the network's initial parameters."""
    hidden = {f"hidden{n}": layer.fan_out for n, layer in enumerate(network.layers[:-1], start=1)}
    return Problem(
        name=name,
        loss=network.loss_value,
        gradient=network.backward,
        parameters=network.parameters,
        args=(inputs, targets),
        sizes={
            "batch": len(inputs),
            "inputs": network.layers[0].fan_in,
            **hidden,
            "outputs": network.layers[-1].fan_out,
        },
        network=network,
    )


def reference(seed: int = 0) -> Problem:
    """Return the 3-4-4-2 network: sigmoid hidden layers, linear outputs, tiny weights."""
    rng = np.random.default_rng(seed)
    network = dense_network(
        rng, (3, 4, 4, 2), sigmoid, identity, half_mean_squared_norm, initialiser=small_normal
    )
    inputs, targets = rng.random((5, 3)), rng.standard_normal((5, 2))
    return network_problem("reference", network, inputs, targets)


def two_two_two() -> Problem:
    """Return the 2-2-2 network without biases, small enough to follow with a pencil.

    Its large hidden weights drive a sigmoid to 16.0, where it hardly has a slope left.
    """
    hidden = Dense("hidden", sigmoid, {"weight": np.array([[6.0, -3.0], [-2.0, 5.0]])})
    output = Dense("output", sigmoid, {"weight": np.array([[1.0, -2.0], [0.25, 2.0]])})
    inputs = np.array([[3.0, 1.0], [-1.0, 4.0]])
    targets = np.array([[1.0, 0.0], [0.0, 1.0]])
    network = Network((hidden, output), sum_of_squares)
    return network_problem("two_two_two", network, inputs, targets)


def digits(seed: int = 0) -> Problem:
    """Return a 64-32-10 softmax classifier on 50 handwritten digits, at its random start."""
    rng = np.random.default_rng(seed)
    images, labels = load_digits()
    chosen = rng.choice(len(images), size=50, replace=False)
    network = dense_network(
        rng, (64, 32, 10), tanh, identity, softmax_cross_entropy, initialiser=xavier_normal
    )
    one_hot = np.eye(10)[labels[chosen]]  # (50, 10)
    return network_problem("digits", network, images[chosen], one_hot)


def deep_sigmoid(seed: int = 0) -> Problem:
    """Return eight sigmoid layers of width 16, through which gradients all but vanish."""
    rng = np.random.default_rng(seed)
    sizes = (16,) * 9 + (4,)
    network = dense_network(
        rng,
        sizes,
        sigmoid,
        identity,
        half_mean_squared_norm,
        initialiser=lecun_normal,
        bias_scale=0.1,
    )
    inputs, targets = rng.standard_normal((8, 16)), rng.standard_normal((8, 4))
    return network_problem("deep_sigmoid", network, inputs, targets)


def saturated(seed: int = 0) -> Problem:
    """Return three sigmoid layers whose large biases hold most units where they are flat."""
    rng = np.random.default_rng(seed)
    network = dense_network(
        rng,
        (10, 10, 10, 10, 4),
        sigmoid,
        identity,
        half_mean_squared_norm,
        initialiser=lecun_normal,
        bias_scale=10.0,
    )
    inputs, targets = rng.standard_normal((8, 10)), rng.standard_normal((8, 4))
    return network_problem("saturated", network, inputs, targets)


def relu(seed: int = 0) -> Problem:
    """Return a 6-16-12-4 ReLU network: 896 kinks, none of them hit exactly."""
    rng = np.random.default_rng(seed)
    network = dense_network(
        rng,
        (6, 16, 12, 4),
        activations.relu,
        identity,
        half_mean_squared_norm,
        initialiser=he_normal,
        bias_scale=0.1,
    )
    inputs, targets = rng.standard_normal((32, 6)), rng.standard_normal((32, 4))
    return network_problem("relu", network, inputs, targets)


def leaky_relu(seed: int = 0) -> Problem:
    """Return a 2-3-2 leaky ReLU network with the mean squared error."""
    rng = np.random.default_rng(seed)
    network = dense_network(
        rng,
        (2, 3, 2),
        activations.leaky_relu,
        identity,
        mean_squared_error,
        initialiser=unit_normal,
        bias_scale=0.1,
    )
    inputs, targets = rng.uniform(-2, 2, (10, 2)), rng.standard_normal((10, 2))
    return network_problem("leaky_relu", network, inputs, targets)


def batch_norm(seed: int = 0) -> Problem:
    """Return a 6-8-8-3 tanh network with batch normalisation, on a batch of 12."""
    rng = np.random.default_rng(seed)
    network = batch_norm_network(
        rng,
        (6, 8, 8, 3),
        tanh,
        identity,
        half_mean_squared_norm,
        initialiser=xavier_normal,
        spread=0.3,
    )
    inputs, targets = rng.standard_normal((12, 6)), rng.standard_normal((12, 3))
    return network_problem("batch_norm", network, inputs, targets)


def spiral(seed: int = 0) -> Problem:
    """Return a 2-16-3 ReLU classifier of 45 points on three spiral arms, at its random start."""
    rng = np.random.default_rng(seed)
    points, labels = spiral_points(rng, arms=3, points_per_arm=15)
    network = dense_network(
        rng,
        (2, 16, 3),
        activations.relu,
        identity,
        softmax_cross_entropy,
        initialiser=he_normal,
        bias_scale=0.1,
    )
    return network_problem("spiral", network, points, np.eye(3)[labels])


def spiral_points(
    rng: np.random.Generator, arms: int, points_per_arm: int
) -> tuple[Array, NDArray[np.int_]]:
    """Return points on spiral arms that no straight line tells apart, and the arm of each.

    An arm winds outwards from the centre to radius 1, by SPIRAL_TURN radians; the arms start at
    equal angles to each other. The angles of the points have normal noise.

    Returns
    -------
    points, (arms * points_per_arm, 2), an arm after the other; labels, as many.
    """
    arm = np.repeat(np.arange(arms), points_per_arm)  # (arms * points_per_arm,)
    way = np.tile(np.linspace(0, 1, points_per_arm), arms)  # along its arm, from 0 to 1
    angle = 2 * np.pi * arm / arms + SPIRAL_TURN * way
    angle += rng.normal(scale=SPIRAL_NOISE, size=arm.size)
    points = way * np.stack([np.sin(angle), np.cos(angle)])  # (2, arms * points_per_arm)
    return points.T, arm


def load_digits() -> tuple[Array, Array]:
    """Return all 1,797 handwritten digits that data/README.md describes.

    Returns
    -------
    images, (1797, 64), 8 x 8 pixels row by row from 0 (paper) to 1 (ink); labels, (1797,).
    """
    # Not by the name of the package: the user may have an mlp of their own.
    with (Path(__file__).parent / "data" / "digits.npz").open("rb") as file:
        arrays = np.load(file)
        return arrays["images"] / DIGIT_LEVELS, arrays["labels"].astype(int)
