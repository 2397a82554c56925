"""The arms of a spiral, which no straight line tells apart but one hidden layer does.

References
----------
Karpathy, Stanford CS231n, "Putting it together: minimal neural network case study".
"""

import numpy as np

from mlp.activations import identity, relu
from mlp.arrays import NetworkParameters
from mlp.curves import Curve
from mlp.demos.catalogue import Demo, Outcome, Settings, training_lines
from mlp.demos.classifying import trained_on_labels
from mlp.demos.measures import accuracy
from mlp.initialisers import he_normal
from mlp.losses import softmax_cross_entropy
from mlp.network import Network, dense_network
from mlp.problems import spiral_points

ARMS, POINTS, HIDDEN = 3, 100, 64
LEARNING_RATE, MOMENTUM, EPOCHS = 0.5, 0.9, 500
# A character per arm; columns and rows of the picture, whose characters are twice as high as wide.
SIGNS, COLUMNS, ROWS = ".o#", 60, 28


def run(settings: Settings) -> Outcome:
    """Train a 2-64-3 network on 300 points; draw what it takes every place for."""
    rng = np.random.default_rng(settings.seed)
    points, labels = spiral_points(rng, ARMS, POINTS)
    unseen, unseen_labels = spiral_points(rng, ARMS, POINTS)
    network = dense_network(
        rng, (2, HIDDEN, ARMS), relu, identity, softmax_cross_entropy, initialiser=he_normal
    )
    options = settings.training_options()
    training = trained_on_labels(
        network,
        points,
        labels,
        learning_rate=LEARNING_RATE,
        momentum=MOMENTUM,
        epochs=EPOCHS,
        **options,
    )
    figures = {
        "accuracy_before": accuracy(network, network.parameters, points, labels),
        "accuracy_after": accuracy(network, training.parameters, points, labels),
        "unseen_accuracy_after": accuracy(network, training.parameters, unseen, unseen_labels),
    }
    lines = (
        f"2-{HIDDEN}-{ARMS}, ReLU, softmax and cross-entropy, He initialisation",
        f"all {len(points)} points in each step, learning rate {LEARNING_RATE}, "
        f"momentum {MOMENTUM}: {EPOCHS} steps in {training.seconds:.1f} s",
        *training_lines(training, options),
        "",
        f"on the right arm: {figures['accuracy_before']:.1%} before training, "
        f"{figures['accuracy_after']:.1%} after,",
        f"and {figures['unseen_accuracy_after']:.1%} of as many points that it has not seen",
        "",
        *_regions(network, training.parameters),
    )
    return Outcome(lines, (Curve("cross-entropy", training.losses),), figures)


def _regions(network: Network, parameters: NetworkParameters) -> list[str]:
    """Return a picture of the arm that the network says at every place from -1 to 1."""
    across, down = np.meshgrid(np.linspace(-1, 1, COLUMNS), np.linspace(1, -1, ROWS))
    places = np.column_stack([across.ravel(), down.ravel()])  # (ROWS * COLUMNS, 2)
    arms = network.predict(parameters, places).argmax(axis=1).reshape(ROWS, COLUMNS)
    return ["".join(SIGNS[arm] for arm in row) for row in arms]


DEMO = Demo("spiral", "three spiral arms told apart by one hidden layer", run, trains=True)
