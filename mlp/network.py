"""A network: layers in a chain, and a loss at the end of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from mlp.activations import Activation
from mlp.arrays import Array, LayerParameters, NetworkParameters, Scalar, check_array
from mlp.layers import Dense, Layer
from mlp.losses import Loss
from mlp.verification import Verifier, check_verifier, layer_problem, loss_problem

Initialiser = Callable[[np.random.Generator, int, int], Array]


@dataclass(frozen=True, eq=False)
class Network:
    """Layers in a chain, the outputs of one being the inputs of the next, and a loss.

    The passes take the parameters as {layer name: {parameter name: array}} and change nothing.
    """

    layers: tuple[Layer, ...]
    loss: Loss

    def __post_init__(self) -> None:
        """Check that every layer fits the one before it and that names are unique."""
        names = [layer.name for layer in self.layers]
        if not names or len(set(names)) < len(names):
            raise ValueError(f"layers must be one or more with unique names, got {names}")
        check_widths(self.layers)

    @property
    def parameters(self) -> NetworkParameters:
        """The initial parameters of every layer."""
        return {layer.name: layer.parameters for layer in self.layers}

    def predict(self, parameters: NetworkParameters, inputs: Array) -> Array:
        """Return the outputs for the inputs."""
        outputs, _ = self.forward(parameters, inputs)
        return outputs

    def loss_value(self, parameters: NetworkParameters, inputs: Array, targets: Array) -> Scalar:
        """Return the loss of the outputs for the inputs."""
        outputs = self.predict(parameters, inputs)
        check_targets(targets, outputs)
        return self.loss.value(outputs, targets)

    def forward(
        self, parameters: NetworkParameters, inputs: Array
    ) -> tuple[Array, tuple[Any, ...]]:
        """Return the outputs, and the cache of each layer, first layer first."""
        outputs, passes = self._passes(parameters, inputs)
        return outputs, tuple(cache for _, _, cache in passes)

    def backward(
        self,
        parameters: NetworkParameters,
        inputs: Array,
        targets: Array,
        verify: Verifier | None = None,
    ) -> NetworkParameters:
        """Return the gradient of the loss, in the structure of the parameters.

        The loss starts the chain with dL/dy. From there every layer turns the upstream at its
        outputs into the gradients of its parameters and into dL/dx at its inputs, and these
        inputs are the outputs of the layer below.

        Parameters
        ----------
        parameters: {layer name: {parameter name: array}}.
        inputs, targets: a batch; (batch, inputs) and (batch, outputs).
        verify: is asked about every result as it is computed, dL/dy first, as a problem of its own
            (`mlp.verification`), and raises where one is wrong: nothing below is computed then.
            `gradcheck.layer_verifier()` makes one.
        """
        answers = self._answers(parameters, inputs, targets, verify)
        return dict(reversed(list(answers)))

    def _answers(
        self,
        parameters: NetworkParameters,
        inputs: Array,
        targets: Array,
        verify: Verifier | None = None,
    ) -> Iterator[tuple[str, LayerParameters]]:
        """Yield every layer's name with the gradients of its parameters, the last layer first."""
        check_verifier(verify)
        outputs, passes = self._passes(parameters, inputs)
        check_targets(targets, outputs)
        upstream = self.loss.gradient(outputs, targets)  # (batch, outputs)
        if verify is not None:
            verify(loss_problem(self.loss, outputs, targets, upstream))
        for layer, layer_inputs, cache in reversed(passes):
            # Verified is what was handed down, should the layer write to it.
            handed = upstream if verify is None else upstream.copy()
            input_gradient, gradients = layer.backward(cache, upstream)
            if verify is not None:
                asked = (layer, parameters[layer.name], layer_inputs, handed)
                verify(layer_problem(*asked, (input_gradient, gradients)))
            yield layer.name, gradients
            upstream = input_gradient  # (batch, fan_in): the outputs of the layer below

    def _passes(
        self, parameters: NetworkParameters, inputs: Array
    ) -> tuple[Array, list[tuple[Layer, Array, Any]]]:
        """Return the outputs, and every layer with its inputs and its cache."""
        check_parameters(parameters, self.layers)
        check_inputs(inputs, self.layers[0].fan_in)
        outputs, passes = inputs, []
        for layer in self.layers:
            layer_inputs = outputs  # (batch, fan_in)
            outputs, cache = layer.forward(parameters[layer.name], layer_inputs)
            passes.append((layer, layer_inputs, cache))
        return outputs, passes


def check_widths(layers: Sequence[Layer]) -> None:
    """Raise ValueError unless every layer takes as many inputs as the one before it gives."""
    for lower, upper in pairwise(layers):
        if lower.fan_out != upper.fan_in:
            raise ValueError(
                f"layers must fit, got {lower.fan_out} outputs of layer {lower.name!r} "
                f"for {upper.fan_in} inputs of layer {upper.name!r}"
            )


def check_parameters(parameters: Any, layers: Sequence[Layer]) -> None:
    """Raise ValueError unless names and shapes are the layers' own: broadcasting would hide it."""
    names = [layer.name for layer in layers]
    if not isinstance(parameters, dict) or parameters.keys() != set(names):
        given = list(parameters) if isinstance(parameters, dict) else parameters
        raise ValueError(f"parameters must be a dict of the layers {names}, got {given!r:.60}")
    for layer in layers:
        expected, shapes = _shapes(layer.parameters), _shapes(parameters[layer.name])
        if shapes != expected:
            raise ValueError(
                f"parameters of layer {layer.name!r} must have the shapes {expected}, got {shapes}"
            )


def _shapes(parameters: LayerParameters) -> dict[str, Any]:
    """Return the shape of every parameter; of what is no array, its type."""
    return {key: getattr(value, "shape", type(value)) for key, value in parameters.items()}


def check_inputs(inputs: Array, fan_in: int) -> None:
    """Raise ValueError unless the inputs are rows of the width that the first layer takes."""
    check_array("inputs", inputs)
    if inputs.ndim != 2 or inputs.shape[1] != fan_in:
        raise ValueError(f"inputs must have shape (batch, {fan_in}), got {inputs.shape}")


def check_targets(targets: Array, outputs: Array) -> None:
    """Raise ValueError unless there is a target per output: broadcasting would hide it."""
    check_array("targets", targets)
    if targets.shape != outputs.shape:
        raise ValueError(
            f"targets must have the outputs' shape {outputs.shape}, got {targets.shape}"
        )


def dense_network(
    rng: np.random.Generator,
    sizes: Sequence[int],
    hidden_activation: Activation,
    output_activation: Activation,
    loss: Loss,
    *,
    initialiser: Initialiser,
    bias: bool = True,
    bias_scale: float = 0.0,
    names: Sequence[str] | None = None,
) -> Network:
    """Return a network of dense layers with random weights.

    Parameters
    ----------
    rng: draws the weights and biases, layer by layer.
    sizes: inputs, hidden widths, outputs; one more than there are layers.
    hidden_activation, output_activation: for all layers but the last, and for the last.
    loss: at the end of the chain.
    initialiser: makes the weight of a layer from (rng, fan_in, fan_out).
    bias: whether the layers have biases.
    bias_scale: standard deviation of the biases; 0 makes them all zero.
    names: of the layers; "layer1", "layer2", ... by default.
    """
    depth = len(sizes) - 1
    names = names or [f"layer{position}" for position in range(1, depth + 1)]
    activations = [hidden_activation] * (depth - 1) + [output_activation]
    layers = []
    for name, activation, fans in zip(names, activations, pairwise(sizes), strict=True):
        parameters = {"weight": initialiser(rng, *fans)}  # (fan_in, fan_out)
        if bias:
            parameters["bias"] = rng.normal(scale=bias_scale, size=fans[1])  # (fan_out,)
        layers.append(Dense(name, activation, parameters))
    return Network(tuple(layers), loss)
