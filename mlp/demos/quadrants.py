"""Layer objects learn in which quadrants a point lies, one point at a time."""

import numpy as np

from mlp.activations import leaky_relu
from mlp.arrays import Array
from mlp.curves import STEP, Curve
from mlp.demos.catalogue import Demo, Outcome, Settings
from mlp.losses import mean_squared_error
from mlp.styles.stacking import Layer, NeuralNetwork

# Points lie in [-EDGE, EDGE]^2.
EDGE = 2.0
LEARNING_RATE = 0.05
# Enough, as the tests hold ten networks to: none is right about less than 65 %, and half of them
# about 85 % or more.
STEPS, TESTED = 99_000, 1_000
RECORDED_EVERY = 1_000
# Of a picture of the plane, in characters, which are twice as high as wide.
COLUMNS, ROWS = 36, 18
SAME, OPPOSITE = "#", "."


def run(settings: Settings) -> Outcome:
    """Train a 2-3-2 network to tell points whose coordinates have one sign from the others."""
    rng = np.random.default_rng(settings.seed)
    layers = [Layer(2, 3, leaky_relu, rng), Layer(3, 2, leaky_relu, rng)]
    network = NeuralNetwork(layers, mean_squared_error, LEARNING_RATE)
    tested, points = _points(rng, TESTED), _points(rng, STEPS)
    before, accuracies = _picture(network), [_accuracy(network, tested)]
    for step, (x, t) in enumerate(zip(_columns(points), _columns(_targets(points)), strict=True)):
        network.train(x, t)
        if (step + 1) % RECORDED_EVERY == 0:
            accuracies.append(_accuracy(network, tested))
    first, last = accuracies[0], accuracies[-1]
    return Outcome(
        lines=(
            f"{first:.1%} of {TESTED:,} points are guessed right before, {last:.1%} after",
            f"{STEPS:,} steps, each on one other point.",
            "",
            f"What it guesses, {SAME} for x y > 0 and {OPPOSITE} for the rest, before and after:",
            "",
            *map("   ".join, zip(before, _picture(network), strict=True)),
        ),
        curves=(Curve("accuracy", tuple(accuracies)),),
        figures={"before": first, "after": last},
        across=f"{STEP} / {RECORDED_EVERY:,}",
    )


def _points(rng: np.random.Generator, count: int) -> Array:
    return rng.uniform(-EDGE, EDGE, size=(2, count))


def _targets(points: Array) -> Array:
    """Return the columns (1, 0) for points with x y > 0 and (0, 1) for the others."""
    same = points[0] * points[1] > 0  # (count,)
    return np.array([same, ~same], dtype=float)  # (2, count)


def _columns(array: Array) -> list[Array]:
    """Return the columns of an array, each (2, 1)."""
    return np.split(array, array.shape[1], axis=1)


def _guesses(network: NeuralNetwork, points: Array) -> Array:
    """Return 0 for every point that is guessed to have x y > 0, and 1 for the others."""
    guesses: Array = network.predict(points).argmax(axis=0)
    return guesses


def _accuracy(network: NeuralNetwork, points: Array) -> float:
    right = _guesses(network, points) == _targets(points).argmax(axis=0)
    return float(right.mean())


def _picture(network: NeuralNetwork) -> list[str]:
    """Return the guesses for the middles of the cells of a grid, row by row from the top."""
    across, up = (EDGE * (np.arange(1, 2 * n, 2) / n - 1) for n in (COLUMNS, ROWS))
    x, y = np.meshgrid(across, up[::-1])  # (ROWS, COLUMNS)
    guesses = _guesses(network, np.array([x.ravel(), y.ravel()])).reshape(x.shape)
    return ["".join((SAME, OPPOSITE)[guess] for guess in row) for row in guesses]


DEMO = Demo("quadrants", "layer objects that learn the quadrants of the plane", run)
