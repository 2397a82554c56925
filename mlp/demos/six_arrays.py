"""The 3-4-4-2 network over a list of six arrays: its shapes, its gradient, some steps."""

import numpy as np

from mlp.arrays import Array
from mlp.curves import Curve
from mlp.demos.catalogue import Demo, Outcome, Settings
from mlp.styles import lists

NAMES = ("W1", "b1", "W2", "b2", "W3", "b3")
STEPS, SHOWN_EVERY = 20, 4
# At the start every hidden output is about 1/2, and the curvature along the output layer's own
# gradient 1 + 4 (1/2)**2 = 2: a step of 1/2 would jump to the minimum, longer ones than 1 diverge.
LEARNING_RATE = 0.2


def run(settings: Settings) -> Outcome:
    """Draw the network, run it forward and backward, and take steps down its gradient."""
    rng = np.random.default_rng(settings.seed)
    parameters, batch = lists.initialise(rng), lists.data(rng)
    lines = [*_passes(parameters, *batch), "", "step  loss"]
    losses = []
    for step in range(STEPS + 1):
        losses.append(float(lists.loss(parameters, *batch)))
        if step % SHOWN_EVERY == 0:
            lines.append(f"{step:4}  {losses[-1]:.6f}")
        gradient = lists.backward(parameters, *batch)
        parameters = [
            array - LEARNING_RATE * slope for array, slope in zip(parameters, gradient, strict=True)
        ]
    _, t = batch
    mean = float(np.mean(np.sum((t - t.mean(axis=1, keepdims=True)) ** 2, axis=0) / 2))
    return Outcome(
        lines=(
            *lines,
            "",
            f"Answering the mean target has a loss of {mean:.6f}: such steps teach the output",
            "layer that much, and the gradients of the others have yet to grow.",
        ),
        curves=(Curve("loss", tuple(losses)),),
        figures={"first loss": losses[0], "last loss": losses[-1], "loss of the mean": mean},
    )


def _passes(parameters: list[Array], x: Array, t: Array) -> list[str]:
    """Return what both passes make, in shapes and in sizes."""
    x, h1, h2, y = lists.forward(parameters, x)
    gradient = lists.backward(parameters, x, t)
    return [
        f"forward: x {x.shape} -> h1 {h1.shape} -> h2 {h2.shape} -> y {y.shape}",
        "",
        "backward: every gradient has the shape of its array",
        "",
        "array  shape   gradient  largest entry",
        *(
            f"{name:5}  {array.shape!s:6}  {slope.shape!s:8}  {np.abs(slope).max():.1e}"
            for name, array, slope in zip(NAMES, parameters, gradient, strict=True)
        ),
    ]


DEMO = Demo("six_arrays", "3-4-4-2: plain functions over a list of six arrays", run)
