"""The gradient of any chain of dense layers by the tape: a second opinion on its backward pass.

A network's way forward is written once more, in operations of the tape: its dense layers here, its
activations and its loss looked up by their names. None of its own functions is called, and so no
derivative of theirs is trusted.

Examples
--------
>>> import numpy as np
>>> from mlp.problems import reference
>>> problem = reference()
>>> by_tape = taped_gradient(problem.network)(problem.parameters, *problem.args)
>>> by_hand = problem.gradient(problem.parameters, *problem.args)
>>> np.allclose(by_tape["layer1"]["weight"], by_hand["layer1"]["weight"], rtol=1e-12, atol=0)
True
"""

from collections.abc import Callable
from typing import Any

from mlp.activations import LEAKY_SLOPE
from mlp.arrays import Array, NetworkParameters
from mlp.layers import Dense, Layer
from mlp.network import Network, check_inputs, check_targets
from mlp.tape import Variable, exp, gradient, log, maximum, sigmoid, tanh


def taped_gradient(network: Network) -> Callable[..., NetworkParameters]:
    """Return the gradient of a network's loss, as a function of (parameters, inputs, targets).

    Raises
    ------
    ValueError
        when the network is made of something else than is known here
    """
    return gradient(taped_loss(network))


def taped_loss(network: Network) -> Callable[..., Variable]:
    """Return a network's loss as a function of (parameters, inputs, targets), for variables.

    Raises
    ------
    ValueError
        when the network is made of something else than is known here
    """
    if type(network) is not Network:  # another class may have another loss
        raise ValueError(f"network must be a plain chain, got a {type(network).__name__}")
    activations = {layer.name: _activation(layer) for layer in network.layers}
    measure = _known("loss", network.loss.name, LOSSES)

    def loss(parameters: Any, inputs: Array, targets: Array) -> Variable:
        check_inputs(inputs, network.layers[0].fan_in)
        outputs: Any = inputs  # (batch, inputs)
        for name, activation in activations.items():
            z = outputs @ parameters[name]["weight"]  # (batch, fan_in) @ (fan_in, fan_out)
            if "bias" in parameters[name]:
                z = z + parameters[name]["bias"]  # (batch, fan_out) + (fan_out,)
            outputs = activation(z)
        check_targets(targets, outputs)
        return measure(outputs, targets)

    return loss


def leaky_relu(z: Variable) -> Variable:
    """Return z where that is the larger one, and LEAKY_SLOPE z elsewhere."""
    y: Variable = maximum(z, LEAKY_SLOPE * z)
    return y


def half_mean_squared_norm(y: Variable, t: Array) -> Variable:
    """Return 1/N sum_n 1/2 |y_n - t_n|**2."""
    return ((y - t) ** 2).sum() / (2 * len(t))


def sum_of_squares(y: Variable, t: Array) -> Variable:
    """Return sum_nk (y_nk - t_nk)**2."""
    return ((y - t) ** 2).sum()


def mean_squared_error(y: Variable, t: Array) -> Variable:
    """Return 1/(N K) sum_nk (y_nk - t_nk)**2."""
    return ((y - t) ** 2).mean()


def softmax_cross_entropy(y: Variable, t: Array) -> Variable:
    """Return -1/N sum_nk t_nk log p_nk, with log p_nk = y_nk - log sum_j exp(y_nj)."""
    # A constant in every row of y changes no p; this one lets no exponential overflow.
    y = y - y.value.max(axis=1, keepdims=True)
    log_p: Variable = y - log(exp(y).sum(axis=1, keepdims=True))  # (batch, outputs) - (batch, 1)
    return -(log_p * t).sum() / len(t)


# Names of the parameters that take part in the way forward of a dense layer.
DENSE = {"weight", "bias"}
ACTIVATIONS: dict[str, Callable[..., Variable]] = {
    "sigmoid": sigmoid,
    "tanh": tanh,
    "relu": lambda z: maximum(z, 0),
    "leaky_relu": leaky_relu,
    "identity": lambda z: z,
}
LOSSES: dict[str, Callable[..., Variable]] = {
    "half_mean_squared_norm": half_mean_squared_norm,
    "sum_of_squares": sum_of_squares,
    "mean_squared_error": mean_squared_error,
    "softmax_cross_entropy": softmax_cross_entropy,
}


def _activation(layer: Layer) -> Callable[..., Variable]:
    """Return the activation of a dense layer, for variables."""
    is_plain = all(
        getattr(type(layer), method, None) is getattr(Dense, method)
        for method in ("preactivation", "forward")
    )
    # A parameter besides these would take part in z in a way that is not written here.
    if not isinstance(layer, Dense) or not is_plain or not set(layer.parameters) <= DENSE:
        raise ValueError(
            "layers must be dense, with weight, bias and the plain forward pass, "
            f"got {layer.name!r}, a {type(layer).__name__}"
        )
    return _known("activation", layer.activation.name, ACTIVATIONS)


def _known(
    kind: str, name: str, known: dict[str, Callable[..., Variable]]
) -> Callable[..., Variable]:
    if name not in known:
        raise ValueError(f"{kind} must be one of {', '.join(known)}, got {name!r}")
    return known[name]
