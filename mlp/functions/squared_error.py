"""The loss that the functions with an output end in: half the squared error, averaged over samples.

Write y for the outputs, t for the targets and N for the number of samples, the first axis of both.
"""

import numpy as np

from mlp.arrays import Array, Scalar


def half_squared_error(outputs: Array, targets: Array) -> Scalar:
    """Return L = 1/(2N) sum (y - t)**2."""
    loss: Scalar = np.sum((outputs - targets) ** 2) / (2 * len(outputs))
    return loss


def squared_error_delta(outputs: Array, targets: Array) -> Array:
    """Return dL/dy = (y - t) / N; the 1/2 cancels the 2 of the square."""
    delta: Array = (outputs - targets) / len(outputs)
    return delta
