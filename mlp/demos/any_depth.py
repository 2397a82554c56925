"""Networks of several depths, each holding its own arrays, fitted to a sine."""

import math

import numpy as np

from mlp.activations import tanh
from mlp.curves import STEP, Curve
from mlp.demos.catalogue import Demo, Outcome, Settings
from mlp.losses import sum_of_squares
from mlp.styles.holding import Perceptron

DEPTHS = (1, 2, 3, 4)
HIDDEN, SAMPLES = 6, 20
# The outputs are a tanh as well: they reach the sine's height without being driven to the edge.
HEIGHT = 0.8
# The loss is a sum over the samples, and so is its gradient: steps are short.
STEPS, LEARNING_RATE = 2_000, 0.01
RECORDED_EVERY = 20


def run(settings: Settings) -> Outcome:
    """Fit a network of every depth to the same samples of a sine."""
    x = np.linspace(-1, 1, SAMPLES)[:, np.newaxis]  # (SAMPLES, 1)
    t = HEIGHT * np.sin(math.pi * x)
    lines = [
        f"{SAMPLES} samples of a sine; {STEPS:,} steps at {LEARNING_RATE} on all of them;",
        "loss: the squares of all errors, summed",
        "",
        "layers  sizes            loss before  after",
    ]
    curves, figures = [], {}
    for depth in DEPTHS:
        sizes = (1, *[HIDDEN] * (depth - 1), 1)
        network = Perceptron(sizes, tanh, sum_of_squares, np.random.default_rng(settings.seed))
        losses = _fitted(network, x, t)
        shown = "-".join(map(str, sizes))
        lines.append(f"{depth:6}  {shown:15}  {losses[0]:11.4f}  {losses[-1]:.4f}")
        curves.append(Curve(f"loss of {shown}", tuple(losses)))
        figures[f"loss of {depth} before"] = losses[0]
        figures[f"loss of {depth} after"] = losses[-1]
    return Outcome(tuple(lines), tuple(curves), figures, across=f"{STEP} / {RECORDED_EVERY}")


def _fitted(network: Perceptron, x: np.ndarray, t: np.ndarray) -> list[float]:
    """Train a network and return its losses on the way, the first and the last included."""
    losses = [float(network.loss_value(x, t))]
    for step in range(1, STEPS + 1):
        network.step(x, t, LEARNING_RATE)
        if step % RECORDED_EVERY == 0:
            losses.append(float(network.loss_value(x, t)))
    return losses


DEMO = Demo("any_depth", "networks of one to four layers that hold their own arrays", run)
