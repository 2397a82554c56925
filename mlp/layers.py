"""The dense layer: forward and backward, side by side.

Samples are rows. With inputs x (batch, fan_in), weight W (fan_in, fan_out) and bias b (fan_out,)

    z_nj = sum_i x_ni W_ij + b_j        the pre-activations, (batch, fan_out)
    a_nj = f(z_nj)                      the outputs, (batch, fan_out)

Going back, the layer is told the upstream dL/da and owes three answers: dL/dW and dL/db, which
training wants, and dL/dx, which is the upstream of the layer below.

References
----------
Goodfellow, Bengio & Courville (2016), Deep Learning, section 6.5, algorithm 6.4.
Nielsen (2015), Neural Networks and Deep Learning, chapter 2, equations BP1 to BP4.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from mlp.activations import Activation
from mlp.arrays import Array, LayerParameters


class Layer(Protocol):
    """What a network needs of a layer: rows in, rows out, and the way back.

    The cache is whatever the layer's forward pass wants its backward pass to know.
    """

    @property
    def name(self) -> str:
        """Unique in its network."""

    @property
    def parameters(self) -> LayerParameters:
        """The starting point, by name."""

    @property
    def fan_in(self) -> int:
        """Number of inputs per sample."""

    @property
    def fan_out(self) -> int:
        """Number of outputs per sample."""

    def forward(self, parameters: LayerParameters, inputs: Array) -> tuple[Array, Any]:
        """Return the outputs and a cache."""

    def backward(self, cache: Any, upstream: Array) -> tuple[Array, LayerParameters]:
        """Return dL/dx and the gradients of the parameters, from the upstream dL/da."""


@dataclass(frozen=True, eq=False)
class DenseCache:
    """What the backward pass of a dense layer needs to remember of its forward pass."""

    inputs: Array  # (batch, fan_in)
    weight: Array  # (fan_in, fan_out)
    preactivation: Array  # (batch, fan_out)


@dataclass(frozen=True, eq=False)
class Dense:
    """A fully connected layer, a = f(x W + b).

    Parameters
    ----------
    name: unique in its network.
    activation: f and f'.
    parameters: "weight" (fan_in, fan_out) and, unless the layer has none, "bias" (fan_out,).
        The starting point: the passes are given the parameters to use.
    """

    name: str
    activation: Activation
    parameters: LayerParameters

    def __post_init__(self) -> None:
        """Check the names and shapes of the parameters."""
        if set(self.parameters) not in ({"weight"}, {"weight", "bias"}):
            raise ValueError(
                f"parameters of layer {self.name!r} must be 'weight' and optionally 'bias', "
                f"got {sorted(self.parameters)}"
            )
        shapes = {key: value.shape for key, value in self.parameters.items()}
        weight, bias = shapes["weight"], shapes.get("bias", shapes["weight"][1:])
        if len(weight) != 2 or bias != weight[1:]:
            raise ValueError(
                f"parameters of layer {self.name!r} must have shapes (fan_in, fan_out) and "
                f"(fan_out,), got {shapes}"
            )

    @property
    def fan_in(self) -> int:
        """Number of inputs per sample."""
        return int(self.parameters["weight"].shape[0])

    @property
    def fan_out(self) -> int:
        """Number of outputs per sample."""
        return int(self.parameters["weight"].shape[1])

    @property
    def linear_in(self) -> tuple[str, ...]:
        """Names of the parameters in which the pre-activations are linear: all of them."""
        return tuple(self.parameters)

    def preactivation(self, parameters: LayerParameters, inputs: Array) -> Array:
        """Return z = x W + b."""
        z: Array = inputs @ parameters["weight"]  # (batch, fan_in) @ (fan_in, fan_out)
        if "bias" in self.parameters:
            z = z + parameters["bias"]  # (batch, fan_out) + (fan_out,)
        return z

    def activate(self, preactivation: Array) -> Array:
        """Return the outputs a = f(z), entry by entry."""
        return self.activation.function(preactivation)  # (batch, fan_out)

    def forward(self, parameters: LayerParameters, inputs: Array) -> tuple[Array, DenseCache]:
        """Return the outputs f(z), and what the backward pass will need."""
        z = self.preactivation(parameters, inputs)  # (batch, fan_out)
        cache = DenseCache(inputs, parameters["weight"], z)
        return self.activate(z), cache

    def delta(self, cache: DenseCache, upstream: Array) -> Array:
        """Return delta = dL/dz from the upstream dL/da.

        Unit j of sample n reaches the loss through a_nj = f(z_nj) alone, hence

            delta_nj = dL/da_nj f'(z_nj)
        """
        return upstream * self.activation.derivative(cache.preactivation)  # (batch, fan_out)

    def backward(self, cache: DenseCache, upstream: Array) -> tuple[Array, LayerParameters]:
        """Return dL/dx and the gradients of the parameters, from the upstream dL/da.

        In z_nj = sum_i x_ni W_ij + b_j, the entry W_ij acts on column j of every sample, b_j
        likewise with 1 in place of x_ni, and x_ni acts on every unit j of its own sample n:

            dL/dW_ij = sum_n x_ni delta_nj       so  dL/dW = x^T delta
            dL/db_j  = sum_n delta_nj            so  dL/db = the column sums of delta
            dL/dx_ni = sum_j delta_nj W_ij       so  dL/dx = delta W^T
        """
        delta = self.delta(cache, upstream)  # (batch, fan_out)
        gradients = {"weight": cache.inputs.T @ delta}  # (fan_in, batch) @ (batch, fan_out)
        if "bias" in self.parameters:
            gradients["bias"] = delta.sum(axis=0)  # (fan_out,)
        input_gradient = delta @ cache.weight.T  # (batch, fan_out) @ (fan_out, fan_in)
        return input_gradient, gradients
