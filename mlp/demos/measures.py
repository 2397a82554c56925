"""What demos measure of a network: how often it is right, and how many of its units are flat."""

import numpy as np
from numpy.typing import NDArray

from mlp.activations import Activation
from mlp.arrays import Array, NetworkParameters
from mlp.network import Network

# A unit is flat where its activation has less than this part of the steepest slope.
FLAT = 0.1


def accuracy(
    network: Network, parameters: NetworkParameters, inputs: Array, labels: NDArray[np.int_]
) -> float:
    """Return the share of samples whose largest output is at their label."""
    outputs = network.predict(parameters, inputs)  # (samples, classes)
    return float(np.mean(outputs.argmax(axis=1) == labels))


def flat_share(activation: Activation, preactivation: Array) -> float:
    """Return the share of units, over all samples, that have hardly a slope."""
    steepest = activation.derivative(np.linspace(-1, 1, 101)).max()
    return float(np.mean(activation.derivative(preactivation) < FLAT * steepest))
