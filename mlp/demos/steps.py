"""One step of gradient descent on two instances, looked at closely, and then 200 of them."""

from typing import Any

import numpy as np

from mlp.arrays import Array, NetworkParameters
from mlp.curves import Curve
from mlp.demos.catalogue import Demo, Outcome, Settings, training_lines
from mlp.problem import Problem
from mlp.problems import two_two_two
from mlp.training import Training, train

LEARNING_RATE, EPOCHS = 0.5, 200
# The output weights after one step as the source of this example prints them.
PRINTED = np.array([[1.06837185, -2.01725687], [0.07134767, 2.01595986]])


def trained(problem: Problem, epochs: int, **options: Any) -> Training:
    """Return a training on the whole batch, which are both instances."""
    return train(
        problem.network,
        problem.parameters,
        *problem.args,
        learning_rate=LEARNING_RATE,
        epochs=epochs,
        **options,
    )


def matrix_lines(matrix: Array, decimals: int = 8) -> list[str]:
    """Return a matrix as lines of text."""
    return ["  " + "".join(f"{entry:14.{decimals}f}" for entry in row) for row in matrix]


def instance_lines(problem: Problem, parameters: NetworkParameters) -> list[str]:
    """Return outputs and loss of each instance, as lines of text."""
    inputs, targets = problem.args
    outputs = problem.network.predict(parameters, inputs)  # (2, 2)
    losses = np.sum((outputs - targets) ** 2, axis=1)  # (2,)
    return [
        f"  instance {number}: outputs {one:.8f} {other:.8f}, loss {loss:.8f}"
        for number, ((one, other), loss) in enumerate(zip(outputs, losses, strict=True), start=1)
    ]


def printed_lines(problem: Problem, step: NetworkParameters) -> list[str]:
    """Return what is wrong with the printed matrix, and how that shows."""
    start = problem.parameters["output"]["weight"]
    ratio = (PRINTED - start) / (step["output"]["weight"] - start)  # (2, 2)
    return [
        "In print these weights are another matrix:",
        *matrix_lines(PRINTED),
        "Recomputed, that is not the step. Entry by entry, it moves further by the factor",
        *matrix_lines(ratio, decimals=4),
        f"as if by a learning rate of {ratio.mean() * LEARNING_RATE:.2f}. It would give",
        *instance_lines(problem, step | {"output": {"weight": PRINTED}}),
        "but the outputs and losses printed next to it are those above, of the true step.",
    ]


def run(settings: Settings) -> Outcome:
    """Take one step on both instances, and then 200 from the start."""
    problem = two_two_two()
    options = settings.training_options()
    step, training = trained(problem, 1).parameters, trained(problem, EPOCHS, **options)
    lines = (
        *("At the start", *instance_lines(problem, problem.parameters), ""),
        *(f"After one step, learning rate {LEARNING_RATE}", *instance_lines(problem, step)),
        *("  and the output weights are", *matrix_lines(step["output"]["weight"]), ""),
        *(*printed_lines(problem, step), ""),
        f"After {EPOCHS} steps from the start",
        *instance_lines(problem, training.parameters),
        *training_lines(training, options),
    )
    figures = {"first loss": training.losses[0], "last loss": training.losses[-1]}
    return Outcome(lines, (Curve("loss of both instances", training.losses),), figures)


DEMO = Demo("steps", "one step of a 2-2-2 network, then 200; a misprint found", run, trains=True)
