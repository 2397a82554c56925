"""Layers as objects, stacked to a network that learns from one sample at a time, a column.

With an input x (ins, 1), a layer of weight W (outs, ins) and bias b (outs, 1) computes

    z = W x + b                         (outs, 1)
    a = f(z)                            the input of the layer above, or the output

References
----------
Goodfellow, Bengio & Courville (2016), Deep Learning, sections 6.5.4 and 8.3.1.
"""

from collections.abc import Sequence
from functools import partial
from itertools import accumulate, pairwise

import numpy as np

from mlp.activations import Activation, leaky_relu
from mlp.arrays import Array, LayerParameters, NetworkParameters, Scalar
from mlp.initialisers import he_normal
from mlp.losses import Loss, mean_squared_error
from mlp.problem import Problem


class Layer:
    """A layer that holds its arrays.

    The weight starts normal with variance 2 / ins, as suits rectifiers, and the bias at zero.

    Parameters
    ----------
    ins, outs: how many numbers go in and come out.
    activation: f and f'.
    rng: draws the weight.

    Attributes
    ----------
    weight: (outs, ins).
    bias: (outs, 1).
    """

    def __init__(
        self, ins: int, outs: int, activation: Activation, rng: np.random.Generator
    ) -> None:
        if min(ins, outs) < 1:
            raise ValueError(f"ins and outs must be at least 1, got {ins} and {outs}")
        self.ins, self.outs, self.activation = ins, outs, activation
        self.weight: Array = he_normal(rng, ins, outs).T.copy()
        self.bias: Array = np.zeros((outs, 1))

    def preactivation(self, x: Array) -> Array:
        """Return z = W x + b, for one column or for several."""
        z: Array = self.weight @ x + self.bias  # (outs, ins) @ (ins, 1) + (outs, 1)
        return z

    def forward(self, x: Array) -> Array:
        """Return f(z)."""
        return self.activation.function(self.preactivation(x))  # (outs, 1)

    def backward(self, x: Array, upstream: Array) -> tuple[Array, LayerParameters]:
        """Return dL/dx and the gradients of weight and bias, from the upstream dL/da.

        With delta = dL/dz: a unit reaches the loss through its a_j = f(z_j) alone. In
        z_j = sum_i W_ji x_i + b_j, the entry W_ji and b_j act on unit j alone, x_i acts on all.

            delta_j  = dL/da_j f'(z_j)
            dL/dW_ji = delta_j x_i              so  dL/dW = delta x^T
            dL/db_j  = delta_j                  so  dL/db = delta
            dL/dx_i  = sum_j W_ji delta_j       so  dL/dx = W^T delta
        """
        delta = upstream * self.activation.derivative(self.preactivation(x))  # (outs, 1)
        gradients = {
            "weight": delta @ x.T,  # (outs, 1) @ (1, ins)
            "bias": delta,  # (outs, 1)
        }
        input_gradient = self.weight.T @ delta  # (ins, outs) @ (outs, 1)
        return input_gradient, gradients


class NeuralNetwork:
    """Layers that fit each other, a loss on top, and a learning rate.

    Parameters
    ----------
    layers: first layer first.
    loss: of an output and its target, both (outs, 1), such as `mlp.losses.mean_squared_error`,
        which treats rows and columns alike.
    learning_rate: length of a step per unit of gradient.
    """

    def __init__(self, layers: Sequence[Layer], loss: Loss, learning_rate: float) -> None:
        if not layers:
            raise ValueError("layers must be one at least, got none")
        for position, (lower, upper) in enumerate(pairwise(layers), start=1):
            if lower.outs != upper.ins:
                raise ValueError(
                    f"layers must fit, got {lower.outs} outs of layer {position} "
                    f"for {upper.ins} ins of layer {position + 1}"
                )
        if not learning_rate > 0:
            raise ValueError(f"learning_rate must be above 0, got {learning_rate!r}")
        self.layers, self.loss, self.learning_rate = tuple(layers), loss, learning_rate

    @property
    def parameters(self) -> NetworkParameters:
        """The arrays themselves, not copies, by layer."""
        return {
            f"layer{position}": {"weight": layer.weight, "bias": layer.bias}
            for position, layer in enumerate(self.layers, start=1)
        }

    def predict(self, x: Array) -> Array:
        """Return the outputs for inputs in columns, (ins, samples)."""
        ins = self.layers[0].ins
        if x.ndim != 2 or len(x) != ins:
            raise ValueError(f"x must have shape ({ins}, samples), got {x.shape}")
        return self._signals(x)[-1]

    def loss_value(self, x: Array, t: Array) -> Scalar:
        """Return the loss of one sample x (ins, 1) with the target t (outs, 1)."""
        self._check_sample(x, t)
        return self.loss.value(self.predict(x), t)

    def backward(self, x: Array, t: Array) -> NetworkParameters:
        """Return the gradient of the loss of one sample, in the structure of the parameters.

        The chain starts with the loss's dL/dy. From there every layer turns dL/da at its output
        into dL/dx at its input, which is the output of the layer below.
        """
        self._check_sample(x, t)
        *inputs, outputs = self._signals(x)  # (ins, 1) of every layer, (outs, 1) of the last
        upstream = self.loss.gradient(outputs, t)  # (outs, 1)
        gradients = []
        for position in reversed(range(len(self.layers))):
            upstream, own = self.layers[position].backward(inputs[position], upstream)
            gradients.append(own)
        return dict(zip(self.parameters, reversed(gradients), strict=True))

    def train(self, x: Array, t: Array) -> None:
        """Take a step down the gradient of one sample's loss.

        No layer moves before all gradients are there: signals pass through the weights that the
        loss has seen.
        """
        gradient = self.backward(x, t)
        for layer, slopes in zip(self.layers, gradient.values(), strict=True):
            layer.weight -= self.learning_rate * slopes["weight"]
            layer.bias -= self.learning_rate * slopes["bias"]

    def _signals(self, x: Array) -> list[Array]:
        """Return x and what every layer makes of it, the outputs last."""
        return list(accumulate(self.layers, lambda signal, layer: layer.forward(signal), initial=x))

    def _check_sample(self, x: Array, t: Array) -> None:
        """Raise ValueError unless x and t are columns of the right heights."""
        shapes = (self.layers[0].ins, 1), (self.layers[-1].outs, 1)
        if (x.shape, t.shape) != shapes:
            raise ValueError(
                f"x and t must have shapes {shapes[0]} and {shapes[1]}, got {x.shape} and {t.shape}"
            )


def sample_problem(name: str, network: NeuralNetwork, x: Array, t: Array) -> Problem:
    """Return the problem of a network on one sample, at the arrays that its layers hold."""
    return Problem(
        name=name,
        loss=partial(network.loss_value, x, t),
        gradient=partial(network.backward, x, t),
        parameters=network.parameters,
        sizes={"inputs": len(x), "outputs": len(t)},
        in_place=True,
    )


def one_sample(seed: int = 0) -> Problem:
    """Return a 2-4-4-3 leaky ReLU network of layer objects on one sample, checked in place."""
    rng = np.random.default_rng(seed)
    sizes = pairwise((2, 4, 4, 3))
    layers = [Layer(ins, outs, leaky_relu, rng) for ins, outs in sizes]
    network = NeuralNetwork(layers, mean_squared_error, learning_rate=0.001)
    x, t = rng.standard_normal((2, 1)), rng.standard_normal((3, 1))
    return sample_problem("one_sample", network, x, t)
