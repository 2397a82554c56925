"""Training on labels, as the demos do that tell classes apart."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlp.arrays import Array
from mlp.network import Network
from mlp.training import Training, train


def trained_on_labels(
    network: Network, inputs: Array, labels: NDArray[np.int_], **options: Any
) -> Training:
    """Return a training of a network with an output per class; options are those of `train`."""
    targets = np.eye(network.layers[-1].fan_out)[labels]  # one-hot rows, (samples, classes)
    return train(network, network.parameters, inputs, targets, **options)
