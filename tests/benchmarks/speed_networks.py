"""The networks whose checks are timed: sigmoid hidden layers, linear outputs, float64.

The loss is the mean over the batch of half the squared distance to the targets. It and its
gradient are written for speed: every millisecond they take is one that no check can save. They
follow the dtype of the parameters, so that complex and extended precision go through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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
Tree = dict[str, Arrays]
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


class SigmoidLayer:
    """A dense layer that says how its weights enter: linearly, in the pre-activations."""

    linear_in = ("weight", "bias")

    def __init__(self, name: str, weight: np.ndarray, bias: np.ndarray) -> None:
        self.name = name
        self.parameters = {"weight": weight, "bias": bias}

    def preactivation(self, parameters: Mapping[str, Any], inputs: Any) -> Any:
        """Return z = x W + b."""
        preactivations = inputs @ parameters["weight"]
        preactivations += parameters["bias"]
        return preactivations

    def activate(self, preactivations: Any) -> Any:
        """Return the outputs for pre-activations."""
        return sigmoid(preactivations)

    def slope(self, outputs: Any) -> Any:
        """Return the derivative of the outputs with respect to the pre-activations."""
        return outputs * (1.0 - outputs)

    def forward(self, parameters: Mapping[str, Any], inputs: Any) -> tuple[Any, Any]:
        """Return the outputs and what backward needs."""
        outputs = self.activate(self.preactivation(parameters, inputs))
        return outputs, (inputs, parameters["weight"], outputs)

    def backward(self, cache: Any, upstream: Any) -> tuple[Any, Arrays]:
        """Return the gradients of the inputs and of the parameters."""
        inputs, weight, outputs = cache
        delta = upstream * self.slope(outputs)
        return delta @ weight.T, {"weight": inputs.T @ delta, "bias": delta.sum(axis=0)}


class LinearLayer(SigmoidLayer):
    """A dense layer whose outputs are its pre-activations."""

    def activate(self, preactivations: Any) -> Any:
        """Return the pre-activations."""
        return preactivations

    def slope(self, outputs: Any) -> Any:
        """Return 1."""
        return 1.0


class ConvolutionLayer:
    """A sigmoid of one kernel slid along the inputs, that does not say how its weights enter."""

    def __init__(self, name: str, kernel: np.ndarray, bias: np.ndarray) -> None:
        self.name = name
        self.parameters = {"kernel": kernel, "bias": bias}

    def forward(self, parameters: Mapping[str, Any], inputs: Any) -> tuple[Any, Any]:
        """Return the outputs, one for every place of the kernel, and what backward needs."""
        kernel = parameters["kernel"]
        windows = np.lib.stride_tricks.sliding_window_view(inputs, len(kernel), axis=-1)
        outputs = sigmoid(windows @ kernel + parameters["bias"])
        return outputs, (inputs, kernel, windows, outputs)

    def backward(self, cache: Any, upstream: Any) -> tuple[Any, Arrays]:
        """Return the gradients of the inputs and of the parameters."""
        inputs, kernel, windows, outputs = cache
        delta = upstream * outputs * (1.0 - outputs)
        of_inputs = np.zeros_like(inputs, dtype=delta.dtype)
        for place, weight in enumerate(kernel):
            of_inputs[:, place : place + delta.shape[1]] += weight * delta
        of_kernel = np.einsum("np,npk->k", delta, windows)
        return of_inputs, {"kernel": of_kernel, "bias": np.sum(delta, keepdims=True).ravel()}


class HalfMeanSquare:
    """The mean over the batch of half the squared distance."""

    def per_sample(self, outputs: Any, targets: Any) -> Any:
        """Return half the squared distance of every sample."""
        distances = outputs - targets
        return 0.5 * np.einsum("...o,...o->...", distances, distances)

    def value(self, outputs: Any, targets: Any) -> Any:
        """Return the loss."""
        return np.mean(self.per_sample(outputs, targets))

    def gradient(self, outputs: Any, targets: Any) -> Any:
        """Return the gradient at the outputs."""
        return (outputs - targets) / len(outputs)


@dataclass(frozen=True, eq=False)
class Chain:
    """A network as a chain of layers and the loss at its end."""

    layers: tuple[Any, ...]
    loss: HalfMeanSquare = field(default_factory=HalfMeanSquare)

    @property
    def parameters(self) -> Tree:
        """The starting point, by layer."""
        return {layer.name: layer.parameters for layer in self.layers}

    def value(self, parameters: Tree, inputs: Any, targets: Any) -> Any:
        """Return the loss at the end of the chain."""
        for layer in self.layers:
            inputs, _ = layer.forward(parameters[layer.name], inputs)
        return self.loss.value(inputs, targets)

    def gradient(self, parameters: Tree, inputs: Any, targets: Any) -> Tree:
        """Return the gradient by the layers' own backward passes."""
        caches = []
        for layer in self.layers:
            inputs, cache = layer.forward(parameters[layer.name], inputs)
            caches.append(cache)
        upstream, found = self.loss.gradient(inputs, targets), {}
        for layer, cache in zip(reversed(self.layers), reversed(caches), strict=True):
            upstream, found[layer.name] = layer.backward(cache, upstream)
        return dict(reversed(found.items()))


def chain_of(network: Network) -> Chain:
    """Return a network as layers that say how their weights enter; the arrays are shared."""
    return Chain(tuple(_layers(network)))


def _layers(network: Network) -> Iterator[SigmoidLayer]:
    for level, names in enumerate(network.names, start=1):
        kind = SigmoidLayer if level < len(network.names) else LinearLayer
        yield kind(f"layer{level}", *(network.parameters[name] for name in names))


def layered_problem(network: Network, gradient: Callable[[Arrays], Arrays] | None = None) -> Any:
    """Return the problem that shows its layers, with another gradient if one is given.

    Its loss and gradient are those of the network, as fast as they are.
    """
    chain, claimed = chain_of(network), gradient or network.gradient

    def loss(parameters: Tree, inputs: Any, targets: Any) -> Any:
        return network.loss_of([(own["weight"], own["bias"]) for own in parameters.values()])

    def nested(parameters: Tree, inputs: Any, targets: Any) -> Tree:
        named = {layered_name(name): name for name in network.parameters}
        flat = {
            named[f"{layer}.{key}"]: array
            for layer, own in parameters.items()
            for key, array in own.items()
        }
        found, result = claimed(flat), {layer: {} for layer in parameters}
        for name, array in found.items():
            layer, _, key = layered_name(name).partition(".")
            result[layer][key] = array
        return result

    return Problem(
        loss, nested, chain.parameters, args=(network.inputs, network.targets), network=chain,
        name="layered", sizes={"batch": len(network.inputs)},
    )  # fmt: skip


def plain_problem(network: Network, gradient: Callable[[Arrays], Arrays] | None = None) -> Problem:
    """Return the problem that shows nothing but its functions."""
    sizes = {"batch": len(network.inputs)}
    return Problem(
        network.loss, gradient or network.gradient, network.parameters, name="plain", sizes=sizes
    )


def layered_name(name: str) -> str:
    """Return what the layered problem calls a parameter: "layer1.weight" for "W1"."""
    return f"layer{name[1:]}.{'weight' if name[0] == 'W' else 'bias'}"


def undeclared_problem(seed: int = 0) -> Problem:
    """Return a problem of layers one of which does not say how its weights enter."""
    rng = np.random.default_rng(seed)
    inputs, targets = rng.standard_normal((32, 120)), rng.standard_normal((32, 10))
    chain = Chain((
        ConvolutionLayer("convolution", rng.standard_normal(9) / 3.0, np.zeros(1)),
        SigmoidLayer("hidden", rng.standard_normal((112, 32)) / np.sqrt(112), np.zeros(32)),
        LinearLayer("outputs", rng.standard_normal((32, 10)) / np.sqrt(32), np.zeros(10)),
    ))  # fmt: skip
    return Problem(
        chain.value, chain.gradient, chain.parameters, args=(inputs, targets), network=chain,
        name="undeclared",
    )  # fmt: skip
