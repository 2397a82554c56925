"""The same networks as chains of layers, and one with a layer that does not tell what it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from speed_networks import Arrays, Network, sigmoid

from gradcheck import Problem

Tree = dict[str, Arrays]


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
