"""A small perceptron in whatever precision its parameters have, and an oracle for its slopes.

The loss and the gradient are the code under test. The oracle shares the forward pass with them but
no derivative: it takes the complex step in extended precision.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

Parameters = Mapping[str, np.ndarray]

WIDTHS = (6, 9, 7, 4)
BATCH = 16
BIAS_SCALE = 0.1
# Nothing is subtracted in a complex step, so that it may be as small as this.
COMPLEX_STEP = 1e-30


@dataclass(frozen=True)
class Perceptron:
    """Dense layers with a linear output, and a loss over one batch.

    Attributes
    ----------
    activation: "tanh", "sigmoid" or "relu", of the hidden layers
    loss_name: "mse", half the mean square, or "ce", softmax cross-entropy
    inputs: (batch, inputs)
    targets: (batch, outputs); one-hot rows for "ce"
    """

    activation: str
    loss_name: str
    inputs: np.ndarray
    targets: np.ndarray

    def loss(self, parameters: Parameters) -> Any:
        """Return the loss, in the precision of the parameters and the data."""
        outputs = self._forward(parameters)[-1]
        if self.loss_name == "mse":
            return np.mean((outputs - self.targets) ** 2) / 2
        return -np.mean(np.sum(self.targets * _log_softmax(outputs), axis=1))

    def gradient(self, parameters: Parameters) -> dict[str, np.ndarray]:
        """Return the gradient of the loss by backpropagation."""
        outputs = self._forward(parameters)
        if self.loss_name == "mse":
            delta = (outputs[-1] - self.targets) / outputs[-1].size
        else:
            delta = (np.exp(_log_softmax(outputs[-1])) - self.targets) / len(self.targets)
        gradient = {}
        for layer in range(len(outputs) - 1, 0, -1):
            gradient[f"W{layer}"] = outputs[layer - 1].T @ delta
            gradient[f"b{layer}"] = delta.sum(axis=0)
            upstream = delta @ parameters[f"W{layer}"].T
            if layer > 1:
                delta = upstream * self._slope_from_output(outputs[layer - 1])
        return {name: gradient[name] for name in parameters}

    def in_precision(self, kind: type) -> Perceptron:
        """Return the same network with its data in another precision."""
        inputs, targets = self.inputs.astype(kind), self.targets.astype(kind)
        return Perceptron(self.activation, self.loss_name, inputs, targets)

    def slope(self, parameters: Parameters, name: str, position: int, side: int = 1) -> float:
        """Return the true slope along one entry: to its right, or to its left for side = -1."""
        moved = {key: array.astype(np.clongdouble) for key, array in parameters.items()}
        moved[name].flat[position] += side * COMPLEX_STEP * 1j
        value = self.in_precision(np.longdouble).loss(moved)
        return float(side * np.imag(value) / np.longdouble(COMPLEX_STEP))

    def _forward(self, parameters: Parameters) -> list[np.ndarray]:
        """Return the inputs, the hidden layers' outputs and the network's."""
        outputs = [self.inputs]
        depth = len(parameters) // 2
        for layer in range(1, depth + 1):
            z = outputs[-1] @ parameters[f"W{layer}"] + parameters[f"b{layer}"]
            outputs.append(z if layer == depth else self._activated(z))
        return outputs

    def _activated(self, z: np.ndarray) -> np.ndarray:
        if self.activation == "tanh":
            return np.tanh(z)
        if self.activation == "sigmoid":
            return 1 / (1 + np.exp(-z))
        # Exactly at the kink an infinitesimal step decides, which is the imaginary part.
        active = (z.real > 0) | ((z.real == 0) & (z.imag > 0))
        return np.where(active, z, np.zeros_like(z))

    def _slope_from_output(self, output: np.ndarray) -> np.ndarray:
        if self.activation == "tanh":
            return 1 - output**2
        if self.activation == "sigmoid":
            return output * (1 - output)
        return (output > 0).astype(output.dtype)


def random_perceptron(
    rng: np.random.Generator, activation: str, loss_name: str, gain: float = 1.0
) -> tuple[Perceptron, dict[str, np.ndarray]]:
    """Return a network on random data and random parameters, weights larger by `gain`."""
    parameters = {}
    for layer, (fan_in, fan_out) in enumerate(pairwise(WIDTHS), start=1):
        weight = rng.standard_normal((fan_in, fan_out))
        parameters[f"W{layer}"] = gain / math.sqrt(fan_in) * weight
        parameters[f"b{layer}"] = BIAS_SCALE * rng.standard_normal(fan_out)
    inputs = rng.standard_normal((BATCH, WIDTHS[0]))
    targets = rng.standard_normal((BATCH, WIDTHS[-1]))
    if loss_name == "ce":
        targets = np.eye(WIDTHS[-1])[rng.integers(WIDTHS[-1], size=BATCH)]
    return Perceptron(activation, loss_name, inputs, targets), parameters


def _log_softmax(outputs: np.ndarray) -> np.ndarray:
    shifted = outputs - outputs.real.max(axis=1, keepdims=True)
    return shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
