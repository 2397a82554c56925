"""The networks whose checks are timed: sigmoid hidden layers, linear outputs, float64.

The loss is the mean over the batch of half the squared distance to the targets. It and its
gradient are written for speed: every millisecond they take is one that no check can save. They
follow the dtype of the parameters, so that complex and extended precision go through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from gradcheck import Problem

SIZES: dict[str, tuple[tuple[int, ...], int]] = {
    "S": ((3, 4, 4, 2), 5),
    "M": ((64, 64, 32, 10), 32),
    "L": ((784, 128, 64, 10), 32),
    "XL": ((784, 512, 256, 10), 64),
    "V": ((*(16,) * 9, 4), 8),  # eight sigmoid layers, through which gradients all but vanish
}
# Ways for a backward pass to be wrong below the second layer, and one at the outputs.
NO_MEAN, TRANSPOSED = "no mean over the batch", "second weight transposed"
NO_DERIVATIVE, VALUE_FOR_DERIVATIVE = "no f'", "f for f'"

Arrays = dict[str, np.ndarray]
Pairs = Sequence[tuple[np.ndarray, np.ndarray]]


def sigmoid(preactivations: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-z)) as a new array."""
    values: np.ndarray = np.negative(preactivations)
    np.exp(values, out=values)
    values += 1.0
    return np.reciprocal(values, out=values)


@dataclass(frozen=True, eq=False)
class Network:
    """Weights (fan_in, fan_out) and biases W1, b1, W2, ... with a batch in rows.

    Attributes
    ----------
    allocate: makes the arrays that the gradient is returned in
    """

    inputs: np.ndarray
    targets: np.ndarray
    parameters: Arrays
    allocate: Callable[..., np.ndarray] = np.empty
    names: tuple[tuple[str, str], ...] = field(init=False)

    def __post_init__(self) -> None:
        depth = len(self.parameters) // 2
        names = tuple((f"W{level}", f"b{level}") for level in range(1, depth + 1))
        object.__setattr__(self, "names", names)

    @property
    def count(self) -> int:
        """Number of entries of all parameters."""
        return sum(array.size for array in self.parameters.values())

    def loss(self, parameters: Mapping[str, np.ndarray]) -> Any:
        """Return the loss."""
        return self.loss_of([(parameters[weight], parameters[bias]) for weight, bias in self.names])

    def loss_of(self, pairs: Pairs) -> Any:
        """Return the loss at weights and biases, layer by layer."""
        signal, last = self.inputs, len(pairs) - 1
        for level, (weight, bias) in enumerate(pairs):
            signal = signal @ weight
            signal += bias
            if level < last:
                np.negative(signal, out=signal)
                np.exp(signal, out=signal)
                signal += 1.0
                np.reciprocal(signal, out=signal)
        signal -= self.targets
        distances = signal.ravel()
        return 0.5 * (distances @ distances) / len(self.inputs)

    def losses(self, parameters: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return the losses at several sets of parameters stacked along a first axis, or at one."""
        signal: Any = self.inputs
        for level, (weight, bias) in enumerate(self.names):
            signal = signal @ parameters[weight]
            signal += parameters[bias][..., np.newaxis, :]
            if level < len(self.names) - 1:
                signal = sigmoid(signal)
        signal -= self.targets
        return 0.5 * np.einsum("...no,...no->...", signal, signal) / len(self.inputs)

    def gradient(self, parameters: Mapping[str, np.ndarray], slip: str = "") -> Arrays:
        """Return the gradient by backpropagation, with a slip if one is named."""
        pairs = [(parameters[weight], parameters[bias]) for weight, bias in self.names]
        found = self.gradient_of(pairs, slip)
        return {
            name: array
            for names, arrays in zip(self.names, found, strict=True)
            for name, array in zip(names, arrays, strict=True)
        }

    def gradient_of(self, pairs: Pairs, slip: str = "") -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the gradients of weights and biases, layer by layer."""
        signals = [self.inputs]
        for weight, bias in pairs:
            signal = signals[-1] @ weight
            signal += bias
            signals.append(sigmoid(signal) if len(signals) < len(pairs) else signal)
        delta = signals.pop() - self.targets
        if slip != NO_MEAN:
            delta /= len(self.inputs)
        found = []
        for level in range(len(pairs) - 1, -1, -1):
            below, (weight, bias) = signals[level], pairs[level]
            of_weight = self.allocate(weight.shape, delta.dtype)
            of_bias = self.allocate(bias.shape, delta.dtype)
            np.matmul(below.T, delta, out=of_weight)
            found.append((of_weight, np.sum(delta, axis=0, out=of_bias)))
            if level:
                delta = _handed_down(delta, weight, below, slip if level == 1 else "")
        return found[::-1]


def _handed_down(delta: np.ndarray, weight: np.ndarray, below: np.ndarray, slip: str) -> np.ndarray:
    """Return the delta of the layer below, whose outputs are sigmoids."""
    delta = delta @ (weight if slip == TRANSPOSED else weight.T)
    if slip != NO_DERIVATIVE:
        delta *= below
        if slip != VALUE_FOR_DERIVATIVE:
            delta *= 1.0 - below
    return delta


def make_network(size: str, seed: int = 0) -> Network:
    """Return a network of one of SIZES with random weights and data."""
    widths, batch = SIZES[size]
    rng = np.random.default_rng(seed)
    parameters: Arrays = {}
    for level, (fan_in, fan_out) in enumerate(pairwise(widths), start=1):
        parameters[f"W{level}"] = rng.standard_normal((fan_in, fan_out)) / np.sqrt(fan_in)
        parameters[f"b{level}"] = 0.1 * rng.standard_normal(fan_out)
    inputs = rng.standard_normal((batch, widths[0]))
    return Network(inputs, rng.standard_normal((batch, widths[-1])), parameters)


def plain_problem(network: Network, gradient: Callable[[Arrays], Arrays] | None = None) -> Problem:
    """Return the problem that shows nothing but its functions."""
    sizes = {"batch": len(network.inputs)}
    return Problem(
        network.loss, gradient or network.gradient, network.parameters, name="plain", sizes=sizes
    )
