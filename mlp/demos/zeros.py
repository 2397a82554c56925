"""A network of layer objects learns to answer zeros, one sample at a time."""

import numpy as np

from mlp.activations import leaky_relu
from mlp.arrays import Array
from mlp.curves import STEP, Curve
from mlp.demos.catalogue import Demo, Outcome, Settings
from mlp.losses import mean_squared_error
from mlp.styles.stacking import Layer, NeuralNetwork

LEARNING_RATE = 0.001
STEPS, SAMPLES = 10_000, 100
RECORDED_EVERY = 100
TARGET = np.zeros((3, 1))


def run(settings: Settings) -> Outcome:
    """Train a 2-4-4-3 network whose target is zero for whatever comes in."""
    rng = np.random.default_rng(settings.seed)
    layers = [Layer(ins, outs, leaky_relu, rng) for ins, outs in ((2, 4), (4, 4), (4, 3))]
    network = NeuralNetwork(layers, mean_squared_error, LEARNING_RATE)
    samples = rng.normal(size=(SAMPLES, 2, 1))
    losses = [_accumulated(network, samples)]
    for step in range(1, STEPS + 1):
        network.train(rng.normal(size=(2, 1)), TARGET)
        if step % RECORDED_EVERY == 0:
            losses.append(_accumulated(network, samples))
    return Outcome(
        lines=(
            f"loss, accumulated over {SAMPLES} samples that it is not trained on:",
            "",
            f"  before                {losses[0]:.6f}",
            f"  after {STEPS:,} steps    {losses[-1]:.6f}",
        ),
        curves=(Curve("accumulated loss", tuple(losses)),),
        figures={"before": losses[0], "after": losses[-1]},
        across=f"{STEP} / {RECORDED_EVERY}",
    )


def _accumulated(network: NeuralNetwork, samples: Array) -> float:
    return sum(float(network.loss_value(x, TARGET)) for x in samples)


DEMO = Demo("zeros", "layer objects that learn to answer zeros", run)
