"""A network of any depth, from its sizes, an activation and a loss, that holds its own arrays.

Samples are rows. With a_0 the inputs, (batch, sizes[0]), and f the activation, layer c computes

    z_c = a_(c-1) W_c + b_c             (batch, sizes[c]), b_c being a row (1, sizes[c])
    a_c = f(z_c)                        the last of them are the outputs

References
----------
Nielsen (2015), Neural Networks and Deep Learning, chapter 2, the section on the code.
"""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise

import numpy as np

from mlp.activations import Activation, sigmoid
from mlp.arrays import Array, Scalar
from mlp.losses import Loss, sum_of_squares
from mlp.network import check_inputs, check_targets
from mlp.problem import Problem


class Perceptron:
    """A multilayer perceptron that holds its arrays and changes them when it learns.

    A single sample may come without its batch: inputs (sizes[0],) and targets (sizes[-1],).

    Parameters
    ----------
    sizes: inputs, hidden widths, outputs; one more than there are layers.
    activation: of every layer, the last one included.
    loss: of outputs and targets, both (batch, sizes[-1]).
    rng: draws the weights and biases.

    Attributes
    ----------
    weights: per layer, (fan_in, fan_out).
    biases: per layer, (1, fan_out).
    """

    def __init__(
        self, sizes: Sequence[int], activation: Activation, loss: Loss, rng: np.random.Generator
    ) -> None:
        if len(sizes) < 2 or min(sizes) < 1:
            raise ValueError(f"sizes must be two or more, each at least 1, got {list(sizes)}")
        self.activation, self.loss = activation, loss
        self.weights: list[Array] = [rng.standard_normal(fans) for fans in pairwise(sizes)]
        self.biases: list[Array] = [rng.standard_normal((1, fan_out)) for fan_out in sizes[1:]]

    def predict(self, inputs: Array) -> Array:
        """Return the outputs for the inputs, (batch, sizes[-1])."""
        activations, _ = self._passes(np.atleast_2d(inputs))
        return activations[-1]

    def loss_value(self, inputs: Array, targets: Array) -> Scalar:
        """Return the loss of the outputs for the inputs."""
        outputs, targets = self.predict(inputs), np.atleast_2d(targets)
        check_targets(targets, outputs)
        return self.loss.value(outputs, targets)

    def backward(self, inputs: Array, targets: Array) -> dict[str, list[Array]]:
        """Return the gradient of the loss, as lists in the order of the layers.

        With delta_c = dL/dz_c, which is all that the layers below c need to know of those above,

            delta_c     = dL/da_c f'(z_c)       for the last layer, the loss gives dL/da_c
            dL/dW_c     = a_(c-1)^T delta_c
            dL/db_c     = sum_n delta_cn        every sample n of the batch has met this b_c
            dL/da_(c-1) = delta_c W_c^T         and so on below

        In the lists, layers are counted from 0, so that activations[c] goes into layer c.
        """
        inputs, targets = np.atleast_2d(inputs, targets)  # (batch, inputs), (batch, outputs)
        activations, preactivations = self._passes(inputs)
        check_targets(targets, activations[-1])
        upstream = self.loss.gradient(activations[-1], targets)  # (batch, outputs)
        weights, biases = [], []
        for c in reversed(range(len(self.weights))):
            delta = upstream * self.activation.derivative(preactivations[c])  # (batch, fan_out)
            weights.append(activations[c].T @ delta)  # (fan_in, batch) @ (batch, fan_out)
            biases.append(delta.sum(axis=0, keepdims=True))  # (1, fan_out)
            upstream = delta @ self.weights[c].T  # (batch, fan_out) @ (fan_out, fan_in)
        return {"weights": weights[::-1], "biases": biases[::-1]}

    def step(self, inputs: Array, targets: Array, learning_rate: float) -> None:
        """Move every array of its own a step down the gradient of a batch."""
        gradient = self.backward(inputs, targets)
        for c in range(len(self.weights)):
            self.weights[c] -= learning_rate * gradient["weights"][c]  # (fan_in, fan_out)
            self.biases[c] -= learning_rate * gradient["biases"][c]  # (1, fan_out)

    def _passes(self, inputs: Array) -> tuple[list[Array], list[Array]]:
        """Return a_0, a_1, ... and z_1, z_2, ..., one more of the former; inputs are rows."""
        check_inputs(inputs, len(self.weights[0]))
        activations, preactivations = [inputs], []
        for weight, bias in zip(self.weights, self.biases, strict=True):
            z = activations[-1] @ weight + bias  # (batch, fan_out) + (1, fan_out)
            preactivations.append(z)
            activations.append(self.activation.function(z))
        return activations, preactivations


def held_problem(name: str, network: Perceptron, inputs: Array, targets: Array) -> Problem:
    """Return the problem of a network on a batch, at the arrays that it holds."""
    depth = len(network.weights)
    return Problem(
        name=name,
        loss=partial(network.loss_value, inputs, targets),
        gradient=partial(network.backward, inputs, targets),
        parameters={"weights": network.weights, "biases": network.biases},
        sizes={"batch": len(np.atleast_2d(inputs))},
        layers={f"layer{c + 1}": [f"weights.{c}", f"biases.{c}"] for c in range(depth)},
        in_place=True,
    )


def any_depth(seed: int = 0) -> Problem:
    """Return a 5-6-4-3 network of sigmoids that holds its own arrays, checked in place."""
    rng = np.random.default_rng(seed)
    network = Perceptron((5, 6, 4, 3), sigmoid, sum_of_squares, rng)
    inputs, targets = rng.standard_normal((7, 5)), rng.random((7, 3))
    return held_problem("any_depth", network, inputs, targets)
