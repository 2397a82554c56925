"""Plain gradient descent, just enough to see a network learn."""

from mlp.arrays import Array, NetworkParameters
from mlp.network import Network


def descend(
    parameters: NetworkParameters, gradient: NetworkParameters, learning_rate: float
) -> NetworkParameters:
    """Return new parameters, one step of learning_rate * gradient downhill."""
    return {
        layer: {key: value - learning_rate * gradient[layer][key] for key, value in values.items()}
        for layer, values in parameters.items()
    }


def gradient_descent(
    network: Network,
    parameters: NetworkParameters,
    inputs: Array,
    targets: Array,
    *,
    learning_rate: float,
    steps: int,
) -> NetworkParameters:
    """Return new parameters after so many steps, each on the gradient of the whole batch."""
    for _ in range(steps):
        gradient = network.backward(parameters, inputs, targets)
        parameters = descend(parameters, gradient, learning_rate)
    return parameters
