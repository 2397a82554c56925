"""The 3-4-4-2 network as plain functions over a list of six arrays, one sample per column.

With inputs x (fan_in, batch), weight W (fan_out, fan_in) and bias b (fan_out,), a layer computes

    z_jn = sum_i W_ji x_in + b_j        the pre-activations, (fan_out, batch)
    h_jn = s(z_jn)                      the outputs, (fan_out, batch); s is the sigmoid

and the outputs y of the last layer are its z. On the way back, write delta = dL/dz (fan_out,
batch). In the sum above, W_ji and b_j act on row j of every sample n, and x_in acts on every row j
of its own sample:

    dL/dW_ji = sum_n delta_jn x_in      so  dL/dW = delta x^T
    dL/db_j  = sum_n delta_jn           so  dL/db = the row sums of delta
    dL/dx_in = sum_j W_ji delta_jn      so  dL/dx = W^T delta

That is why products change sides and matrices are transposed: the index that is summed over has to
stand in the middle. Below a sigmoid, x is the h of another layer, and with s' = s (1 - s)

    delta of that layer = dL/dh s'(z) = (W^T delta) h (1 - h)

References
----------
Nielsen (2015), Neural Networks and Deep Learning, chapter 2, equations BP1 to BP4: the same
convention.
"""

from itertools import pairwise

import numpy as np

from mlp.activations import sigmoid_function
from mlp.arrays import Array, Scalar
from mlp.initialisers import small_normal
from mlp.problem import Problem

# Units per layer, inputs first, and samples in the batch of the ready problem.
SIZES = (3, 4, 4, 2)
BATCH = 5


def initialise(rng: np.random.Generator) -> list[Array]:
    """Return [W1, b1, W2, b2, W3, b3]: small normal weights and biases of zero."""
    parameters = []
    for fan_in, fan_out in pairwise(SIZES):
        parameters.append(small_normal(rng, fan_in, fan_out).T.copy())  # (fan_out, fan_in)
        parameters.append(np.zeros(fan_out))  # (fan_out,)
    return parameters


def forward(parameters: list[Array], x: Array) -> list[Array]:
    """Return [x, h1, h2, y]: the inputs and what each layer makes of them."""
    W1, b1, W2, b2, W3, b3 = parameters
    h1 = sigmoid_function(W1 @ x + b1[:, np.newaxis])  # (4, 3) @ (3, batch) + (4, 1)
    h2 = sigmoid_function(W2 @ h1 + b2[:, np.newaxis])  # (4, 4) @ (4, batch) + (4, 1)
    y = W3 @ h2 + b3[:, np.newaxis]  # (2, 4) @ (4, batch) + (2, 1)
    return [x, h1, h2, y]


def loss(parameters: list[Array], x: Array, t: Array) -> Scalar:
    """Return L = 1/N sum_n 1/2 |y_n - t_n|**2, the mean over the N columns."""
    *_, y = forward(parameters, x)
    mean: Scalar = np.mean(np.sum((y - t) ** 2, axis=0) / 2)
    return mean


def backward(parameters: list[Array], x: Array, t: Array) -> list[Array]:
    """Return [dL/dW1, dL/db1, dL/dW2, dL/db2, dL/dW3, dL/db3].

    From L = 1/N sum_jn 1/2 (y_jn - t_jn)**2 follows dL/dy = (y - t) / N, and that is the delta of
    the linear layer on top. The module says what follows from a delta.
    """
    _, _, W2, _, W3, _ = parameters
    x, h1, h2, y = forward(parameters, x)
    delta3 = (y - t) / x.shape[1]  # (2, batch)
    delta2 = W3.T @ delta3 * h2 * (1 - h2)  # (4, 2) @ (2, batch) * (4, batch)
    delta1 = W2.T @ delta2 * h1 * (1 - h1)  # (4, 4) @ (4, batch) * (4, batch)
    gradient = []
    for inputs, delta in ((x, delta1), (h1, delta2), (h2, delta3)):
        gradient.append(delta @ inputs.T)  # (fan_out, batch) @ (batch, fan_in)
        gradient.append(delta.sum(axis=1))  # (fan_out,)
    return gradient


def data(rng: np.random.Generator) -> tuple[Array, Array]:
    """Return inputs (3, BATCH) and targets (2, BATCH), drawn at random."""
    return rng.random((SIZES[0], BATCH)), rng.standard_normal((SIZES[-1], BATCH))


def six_arrays(seed: int = 0) -> Problem:
    """Return the 3-4-4-2 network in columns: plain functions over a list of six arrays."""
    rng = np.random.default_rng(seed)
    return Problem(
        name="six_arrays",
        loss=loss,
        gradient=backward,
        parameters=initialise(rng),
        args=data(rng),
        sizes={"batch": BATCH},
        layers={"hidden1": ["0", "1"], "hidden2": ["2", "3"], "output": ["4", "5"]},
    )
