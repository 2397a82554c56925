"""The 2-2-2 network derived in matrices: all instances and all units of a layer at once.

Written out in entries, every line is one of the chain rule's (`mlp.derivations.hand`); matrix
products take the sums:

    Y_in_nj = sum_i H_ni V_ij      dL/dV_ij = sum_n H_ni dL/dY_in_nj     so  dL/dV = H^T dL/dY_in
                                   dL/dH_ni = sum_j dL/dY_in_nj V_ij     so  dL/dH = dL/dY_in V^T

References
----------
Goodfellow, Bengio & Courville (2016), Deep Learning, section 6.5.6.
"""

from dataclasses import replace

import numpy as np

from mlp.activations import sigmoid_function
from mlp.arrays import Array
from mlp.derivations.quantities import Quantities, derived_problem
from mlp.problem import Problem


def derive(W: Array, V: Array, X: Array, T: Array) -> Quantities:
    """Return all quantities; sigmoid'(z) = a (1 - a) for a = sigmoid(z)."""
    H_in = X @ W  # (n, 2) @ (2, 2)
    H = sigmoid_function(H_in)  # (n, 2)
    Y_in = H @ V  # (n, 2) @ (2, 2)
    Y = sigmoid_function(Y_in)  # (n, 2)
    E = Y - T  # (n, 2)
    loss = np.sum(E**2)  # ()

    dL_dY = 2 * E  # (n, 2)
    dL_dY_in = dL_dY * Y * (1 - Y)  # (n, 2)
    dL_dV = H.T @ dL_dY_in  # (2, n) @ (n, 2)
    dL_dH = dL_dY_in @ V.T  # (n, 2) @ (2, 2)
    dL_dH_in = dL_dH * H * (1 - H)  # (n, 2)
    dL_dW = X.T @ dL_dH_in  # (2, n) @ (n, 2)
    return Quantities(
        *(H_in, H, Y_in, Y, E, loss),
        *(dL_dY, dL_dY_in, dL_dV, dL_dH, dL_dH_in, dL_dW),
    )


def by_matrices() -> Problem:
    """Return the 2-2-2 network, its gradient derived in matrices."""
    return derived_problem("by_matrices", derive)


def in_float32() -> Problem:
    """Return instance 1 in float32: two entries of the gradient are 6 % off, by no bug.

    At a = 0.9999998875 the factor 1 - a of the sigmoid's slope is a small multiple of 2**-24, the
    resolution of float32 below 1: it is 1.192e-7 where 1.125e-7 would be right.
    """
    exact = by_matrices()
    parameters = {name: array.astype(np.float32) for name, array in exact.parameters.items()}
    instance = tuple(array[:1].astype(np.float32) for array in exact.args)
    return replace(
        exact,
        name="in_float32",
        parameters=parameters,
        args=instance,
        sizes=exact.sizes | {"batch": 1},
    )
