"""Correct layers and networks beyond the plain chain, for mistakes that a plain chain cannot have.

A softmax inside the network, a gain stored as its logarithm, a penalty on the weights, and a layer
that is passed through twice.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlp.activations import Activation
from mlp.arrays import Array, LayerParameters, NetworkParameters, Scalar
from mlp.layers import Dense, DenseCache
from mlp.losses import log_softmax
from mlp.network import Network, check_widths
from mlp.verification import Verifier

# Large enough for a missing penalty to be seen in every entry of every weight.
STRENGTH = 0.1


def softmax_function(z: Array) -> Array:
    """Return a_nk = exp(z_nk) / sum_j exp(z_nj), row by row."""
    outputs: Array = np.exp(log_softmax(z))
    return outputs


def softmax_diagonal(z: Array) -> Array:
    """Return da_nk/dz_nk = a_nk (1 - a_nk), the diagonal of the Jacobian of each row."""
    outputs = softmax_function(z)
    slopes: Array = outputs * (1 - outputs)
    return slopes


softmax = Activation("softmax", softmax_function, softmax_diagonal)


class SoftmaxDense(Dense):
    """A dense layer with softmax outputs: each output of a row depends on all its z."""

    def delta(self, cache: DenseCache, upstream: Array) -> Array:
        """Return delta = dL/dz from the upstream u = dL/da.

        With da_nk/dz_nj = a_nk ([j = k] - a_nj),

            delta_nj = sum_k u_nk da_nk/dz_nj = a_nj (u_nj - sum_k u_nk a_nk)
        """
        outputs = softmax_function(cache.preactivation)  # (batch, fan_out)
        weighted = np.sum(upstream * outputs, axis=1, keepdims=True)  # (batch, 1)
        signal: Array = outputs * (upstream - weighted)  # (batch, fan_out)
        return signal


@dataclass(frozen=True, eq=False)
class GainCache(DenseCache):
    """The cache of a layer with gains; its weight is the one that the inputs met, W g."""

    gain: Array  # (fan_out,)


class GainDense(Dense):
    """A dense layer with a positive gain per unit, stored as its logarithm s.

    With g = exp(s), a = f(x V + b) for V_ij = W_ij g_j.
    """

    def __post_init__(self) -> None:
        """Check the names and shapes of weight and bias."""
        Dense(self.name, self.activation, {key: self.parameters[key] for key in self.linear_in})

    @property
    def linear_in(self) -> tuple[str, ...]:
        """Names of the parameters in which the pre-activations are linear."""
        return ("weight", "bias")

    def preactivation(self, parameters: LayerParameters, inputs: Array) -> Array:
        """Return z = x V + b."""
        effective = parameters["weight"] * np.exp(parameters["log_gain"])  # (fan_in, fan_out)
        z: Array = inputs @ effective + parameters["bias"]  # (batch, fan_out)
        return z

    def forward(self, parameters: LayerParameters, inputs: Array) -> tuple[Array, GainCache]:
        """Return the outputs f(z), and what the backward pass will need."""
        gain = np.exp(parameters["log_gain"])  # (fan_out,)
        z = self.preactivation(parameters, inputs)  # (batch, fan_out)
        cache = GainCache(inputs, parameters["weight"] * gain, z, gain)
        return self.activation.function(z), cache

    def backward(self, cache: Any, upstream: Array) -> tuple[Array, LayerParameters]:
        """Return dL/dx and the gradients of the parameters, from the upstream dL/da.

        A dense layer's backward pass gives dL/dV. From V_ij = W_ij g_j and g_j = exp(s_j)

            dL/dW_ij = dL/dV_ij g_j
            dL/ds_j  = sum_i dL/dV_ij W_ij g_j = sum_i dL/dV_ij V_ij
        """
        input_gradient, gradients = super().backward(cache, upstream)
        effective = gradients["weight"]  # dL/dV, (fan_in, fan_out)
        return input_gradient, {
            "weight": effective * cache.gain,  # (fan_in, fan_out) * (fan_out,)
            "bias": gradients["bias"],
            "log_gain": np.sum(effective * cache.weight, axis=0),  # (fan_out,)
        }


@dataclass(frozen=True)
class Penalty:
    """What the loss adds for a weight, and its gradient with respect to that weight."""

    value: Callable[[Array], Scalar]
    gradient: Callable[[Array], Array]


def squares(weight: Array) -> Scalar:
    """Return STRENGTH sum_ij W_ij**2."""
    penalty: Scalar = STRENGTH * np.sum(weight**2)
    return penalty


def squares_gradient(weight: Array) -> Array:
    """Return 2 STRENGTH W_ij."""
    gradient: Array = 2 * STRENGTH * weight
    return gradient


def magnitudes(weight: Array) -> Scalar:
    """Return STRENGTH sum_ij abs(W_ij)."""
    penalty: Scalar = STRENGTH * np.sum(np.abs(weight))
    return penalty


def magnitudes_gradient(weight: Array) -> Array:
    """Return STRENGTH sign(W_ij)."""
    gradient: Array = STRENGTH * np.sign(weight)
    return gradient


class ReworkedNetwork(Network):
    """A network whose loop does something to the gradients that its layers have returned."""

    def backward(
        self,
        parameters: NetworkParameters,
        inputs: Array,
        targets: Array,
        verify: Verifier | None = None,
    ) -> NetworkParameters:
        """Return the gradients of the layers, which are verified, as the loop reworks them."""
        gradient = super().backward(parameters, inputs, targets, verify)
        self.rework(gradient, parameters, inputs, targets)
        return gradient

    def plain_backward(
        self, parameters: NetworkParameters, inputs: Array, targets: Array
    ) -> NetworkParameters:
        """Return the gradients of the layers as they are."""
        return super().backward(parameters, inputs, targets)

    def rework(
        self, gradient: NetworkParameters, parameters: NetworkParameters, *batch: Array
    ) -> None:
        """Change the gradient in place; the batch is (inputs, targets)."""
        raise NotImplementedError


@dataclass(frozen=True, eq=False)
class PenalisedNetwork(ReworkedNetwork):
    """A network whose loss has a penalty on every weight, and none on biases."""

    penalty: Penalty

    def loss_value(self, parameters: NetworkParameters, inputs: Array, targets: Array) -> Scalar:
        """Return the loss of the outputs plus the penalties."""
        loss = super().loss_value(parameters, inputs, targets)
        for layer in self.layers:
            loss = loss + self.penalty.value(parameters[layer.name]["weight"])
        return loss

    def rework(
        self, gradient: NetworkParameters, parameters: NetworkParameters, *batch: Array
    ) -> None:
        """Add the gradients of the penalties."""
        for layer, values in parameters.items():
            gradient[layer]["weight"] += self.penalty.gradient(values["weight"])


class TiedNetwork(Network):
    """A network that may pass through a layer more than once: `layers` names it every time."""

    def __post_init__(self) -> None:
        """Check that every layer fits the one before it; names may come again."""
        check_widths(self.layers)

    def backward(
        self,
        parameters: NetworkParameters,
        inputs: Array,
        targets: Array,
        verify: Verifier | None = None,
    ) -> NetworkParameters:
        """Return the gradient of the loss: every pass through a layer adds its contribution."""
        gradient = {
            layer: {key: np.zeros_like(value) for key, value in values.items()}
            for layer, values in self.parameters.items()
        }
        for name, contribution in self._answers(parameters, inputs, targets, verify):
            for key, value in contribution.items():
                gradient[name][key] += value
        return gradient
