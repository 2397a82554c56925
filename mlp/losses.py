"""Loss functions and their gradients, for outputs and targets of shape (batch, outputs).

Write y for the outputs, t for the targets, N for the batch size and K for the outputs per row.
Nothing here takes an absolute value or a norm: complex outputs flow through, so that the
gradients can be checked with the complex step.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlp.arrays import Array, Scalar


@dataclass(frozen=True)
class Loss:
    """A loss L with its gradient.

    Parameters
    ----------
    name: what messages call it.
    value: L(outputs, targets), a scalar.
    gradient: dL/dy as a function of (outputs, targets); (batch, outputs).
    per_sample: the loss l_n of every row by itself, of which L is the sum or the mean, as a
        function of (outputs, targets); (batch,). None where rows have no losses of their own.
    """

    name: str
    value: Callable[[Array, Array], Scalar]
    gradient: Callable[[Array, Array], Array]
    per_sample: Callable[[Array, Array], Array] | None = None


def half_squared_norms(outputs: Array, targets: Array) -> Array:
    """Return l_n = 1/2 |y_n - t_n|**2 of every row n; (batch,)."""
    norms: Array = np.sum((outputs - targets) ** 2, axis=1)  # (batch,)
    return norms / 2


def half_mean_squared_norm_value(outputs: Array, targets: Array) -> Scalar:
    """Return L = 1/N sum_n l_n, the mean of l_n = 1/2 |y_n - t_n|**2 over the rows n."""
    loss: Scalar = np.mean(half_squared_norms(outputs, targets))
    return loss


def half_mean_squared_norm_gradient(outputs: Array, targets: Array) -> Array:
    """Return dL/dy_nk = (y_nk - t_nk) / N; the 1/2 cancels the 2 of the square."""
    batch = len(outputs)
    return (outputs - targets) / batch


def sums_of_squares(outputs: Array, targets: Array) -> Array:
    """Return l_n = sum_k (y_nk - t_nk)**2 of every row n; (batch,)."""
    sums: Array = np.sum((outputs - targets) ** 2, axis=1)
    return sums


def sum_of_squares_value(outputs: Array, targets: Array) -> Scalar:
    """Return L = sum_nk (y_nk - t_nk)**2, summed over the batch as well."""
    loss: Scalar = np.sum((outputs - targets) ** 2)
    return loss


def sum_of_squares_gradient(outputs: Array, targets: Array) -> Array:
    """Return dL/dy_nk = 2 (y_nk - t_nk)."""
    return 2 * (outputs - targets)


def mean_squares(outputs: Array, targets: Array) -> Array:
    """Return l_n = 1/K sum_k (y_nk - t_nk)**2 of every row n; (batch,)."""
    means: Array = np.mean((outputs - targets) ** 2, axis=1)
    return means


def mean_squared_error_value(outputs: Array, targets: Array) -> Scalar:
    """Return L = 1/(N K) sum_nk (y_nk - t_nk)**2, the mean over batch and outputs."""
    loss: Scalar = np.mean((outputs - targets) ** 2)
    return loss


def mean_squared_error_gradient(outputs: Array, targets: Array) -> Array:
    """Return dL/dy_nk = 2 (y_nk - t_nk) / (N K)."""
    return 2 * (outputs - targets) / outputs.size


def log_softmax(outputs: Array) -> Array:
    """Return log p_nk = y_nk - log sum_j exp(y_nj), shifted so that no exponential overflows.

    Subtracting the same number from a whole row changes no p_nk; taking the largest y_nj leaves
    only exponents of 0 and below.
    """
    shifted = outputs - outputs.real.max(axis=1, keepdims=True)  # (batch, outputs) - (batch, 1)
    logarithms: Array = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    return logarithms


def cross_entropies(outputs: Array, targets: Array) -> Array:
    """Return l_n = -sum_k t_nk log p_nk of every row n, for logits y; (batch,)."""
    sums: Array = np.sum(targets * log_softmax(outputs), axis=1)  # (batch,)
    return -sums


def softmax_cross_entropy_value(outputs: Array, targets: Array) -> Scalar:
    """Return L = 1/N sum_n l_n, l_n = -sum_k t_nk log p_nk, for logits y and one-hot rows t."""
    loss: Scalar = np.mean(cross_entropies(outputs, targets))
    return loss


def softmax_cross_entropy_gradient(outputs: Array, targets: Array) -> Array:
    """Return dL/dy_nk = (p_nk - t_nk) / N.

    From d(log p_nj)/dy_nk = [j = k] - p_nk follows -sum_j t_nj ([j = k] - p_nk), which is
    p_nk sum_j t_nj - t_nk, and the targets of a row sum to 1.

    References
    ----------
    Bishop (2006), Pattern Recognition and Machine Learning, equation 4.109.
    """
    batch = len(outputs)
    gradient: Array = (np.exp(log_softmax(outputs)) - targets) / batch
    return gradient


half_mean_squared_norm = Loss(
    "half_mean_squared_norm",
    half_mean_squared_norm_value,
    half_mean_squared_norm_gradient,
    half_squared_norms,
)
sum_of_squares = Loss(
    "sum_of_squares", sum_of_squares_value, sum_of_squares_gradient, sums_of_squares
)
mean_squared_error = Loss(
    "mean_squared_error", mean_squared_error_value, mean_squared_error_gradient, mean_squares
)
softmax_cross_entropy = Loss(
    "softmax_cross_entropy",
    softmax_cross_entropy_value,
    softmax_cross_entropy_gradient,
    cross_entropies,
)
