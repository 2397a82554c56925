"""What a verifier is asked about: a layer by itself, and the gradient that it owes.

Going back, a layer is handed the upstream u = dL/da. To the layer u is a constant, and what it
owes is the gradient of

    L_layer(parameters, x) = sum_nk u_nk a_nk(parameters, x)

since dL/dtheta = sum_nk dL/da_nk da_nk/dtheta for everything that the loss depends on through a
alone. So every layer is a small problem of its own, and one that is checked without trusting any
other layer: move its inputs a little, and the outputs have to answer by

    sum u * (change of the outputs) = sum dL/dx * (change of the inputs)

up to what curvature adds. A verifier is any function that takes such a problem and raises unless
the gradient is right.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlp.arrays import Array, LayerParameters, NetworkParameters, Scalar
from mlp.layers import Layer
from mlp.losses import Loss
from mlp.problem import Problem

Verifier = Callable[[Problem], object]

# What the inputs of a layer, and the outputs that the loss takes, are called beside parameters.
INPUTS, LOSS, OUTPUTS = "inputs", "loss", "outputs"


def check_verifier(verify: Any) -> None:
    """Raise TypeError unless what is to verify is a function, or None."""
    if verify is not None and not callable(verify):
        raise TypeError(
            "verify must be a function of a problem, such as gradcheck.layer_verifier(), "
            f"got {verify!r}"
        )


@dataclass(frozen=True, eq=False)
class Claim:
    """A gradient function that at one point is what was computed there, so that this is checked.

    The same numbers in another precision are another point: what is computed there tells how much
    of the answer is rounding.

    Parameters
    ----------
    point: the parameters, {name: {key: array}}.
    answer: the gradient that was computed at the point, in the same nesting.
    compute: compute(parameters, *args) is the gradient anywhere else.
    """

    point: NetworkParameters
    answer: NetworkParameters
    compute: Callable[..., NetworkParameters]

    def __call__(self, parameters: NetworkParameters, *args: Array) -> NetworkParameters:
        """Return the gradient, in arrays of its own."""
        same = all(
            value.dtype == parameters[name][key].dtype
            and np.array_equal(value, parameters[name][key], equal_nan=True)
            for name, values in self.point.items()
            for key, value in values.items()
        )
        return deepcopy(self.answer) if same else self.compute(parameters, *args)


@dataclass(frozen=True, eq=False)
class OneLayer:
    """A layer as a chain of one, and L_layer as the loss on its outputs."""

    layers: tuple[Layer]
    loss: Loss


def layer_problem(
    layer: Layer,
    parameters: LayerParameters,
    inputs: Array,
    upstream: Array,
    answer: tuple[Array, LayerParameters],
) -> Problem:
    """Return the problem of one layer on the way back; its inputs are one of its parameters.

    Parameters
    ----------
    layer, parameters: the layer, and the parameters that its forward pass was given.
    inputs: of that forward pass; (batch, fan_in).
    upstream: dL/da; (batch, fan_out).
    answer: what the layer's backward returned.
    """
    weighted = weighted_sum(upstream)

    def loss(point: NetworkParameters) -> Scalar:
        outputs, _ = layer.forward(*_split(point[layer.name]))
        return weighted.value(outputs, upstream)

    def gradient(point: NetworkParameters) -> NetworkParameters:
        _, cache = layer.forward(*_split(point[layer.name]))
        return _joined(layer, layer.backward(cache, upstream.copy()))

    point = {layer.name: {**parameters, INPUTS: inputs}}
    return Problem(
        name=layer.name,
        loss=loss,
        gradient=Claim(point, _joined(layer, answer), gradient),
        parameters=point,
        sizes={"batch": len(inputs), "fan_in": layer.fan_in, "fan_out": layer.fan_out},
        network=OneLayer((layer,), weighted),
    )


def weighted_sum(upstream: Array) -> Loss:
    """Return L_layer = sum_nk u_nk a_nk, whose gradient at the outputs is u; without targets."""

    def value(outputs: Array, _: Array) -> Scalar:
        total: Scalar = np.sum(upstream * outputs)  # over (batch, fan_out)
        return total

    return Loss("weighted_sum", value, lambda outputs, _: upstream)


def loss_problem(loss: Loss, outputs: Array, targets: Array, upstream: Array) -> Problem:
    """Return the problem of the loss, which starts the chain with upstream = dL/dy."""

    def value(parameters: NetworkParameters, targets: Array) -> Scalar:
        return loss.value(parameters[LOSS][OUTPUTS], targets)

    def gradient(parameters: NetworkParameters, targets: Array) -> NetworkParameters:
        return {LOSS: {OUTPUTS: loss.gradient(parameters[LOSS][OUTPUTS], targets)}}

    point = {LOSS: {OUTPUTS: outputs}}
    return Problem(
        name=LOSS,
        loss=value,
        gradient=Claim(point, {LOSS: {OUTPUTS: upstream}}, gradient),
        parameters=point,
        args=(targets,),
        sizes={"batch": len(outputs), "outputs": outputs.shape[1]},
    )


def _joined(layer: Layer, answer: tuple[Array, LayerParameters]) -> NetworkParameters:
    """Return what a layer's backward returned, nested like the point it was asked at."""
    input_gradient, gradients = answer
    return {layer.name: {**gradients, INPUTS: input_gradient}}


def _split(point: LayerParameters) -> tuple[LayerParameters, Array]:
    """Return the parameters of a layer, and its inputs."""
    own = dict(point)
    inputs = own.pop(INPUTS)
    return own, inputs
