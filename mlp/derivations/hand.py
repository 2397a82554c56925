"""The 2-2-2 network derived by hand: one instance at a time, every partial derivative by name.

The weight w12 leads from input 1 to hidden unit 2, and v12 from hidden unit 1 to output 2.
Sigmoids have the derivative sigmoid'(z) = a (1 - a) where a = sigmoid(z).

References
----------
Nielsen (2015), Neural Networks and Deep Learning, chapter 2.
"""

from typing import Any, TypeAlias

import numpy as np

from mlp.activations import sigmoid_function as sigmoid
from mlp.arrays import Array
from mlp.derivations.quantities import Quantities, derived_problem
from mlp.problem import Problem

# Two numbers, such as y1 and y2.
Pair: TypeAlias = tuple[Any, Any]


def forward(W: Array, V: Array, x: Array) -> tuple[Pair, Pair, Pair, Pair]:
    """Return the hidden units before and after the sigmoid, and then the outputs."""
    (w11, w12), (w21, w22) = W
    (v11, v12), (v21, v22) = V
    x1, x2 = x

    h1_in = w11 * x1 + w21 * x2
    h2_in = w12 * x1 + w22 * x2
    h1, h2 = sigmoid(h1_in), sigmoid(h2_in)

    y1_in = v11 * h1 + v21 * h2
    y2_in = v12 * h1 + v22 * h2
    y1, y2 = sigmoid(y1_in), sigmoid(y2_in)
    return (h1_in, h2_in), (h1, h2), (y1_in, y2_in), (y1, y2)


def back_to_the_outputs(y: Pair, t: Array) -> tuple[Pair, Any, Pair, Pair]:
    """Return the errors, the loss, and its derivatives by the outputs, after and before sigmoid.

    The output y1 reaches L = e1**2 + e2**2 through its own error e1 = y1 - t1 alone, and y1_in
    reaches it through y1.
    """
    y1, y2 = y
    t1, t2 = t
    e1, e2 = y1 - t1, y2 - t2
    loss = e1**2 + e2**2

    dL_dy1 = 2 * e1  # dL/de1 de1/dy1, and de1/dy1 = 1
    dL_dy2 = 2 * e2

    dL_dy1_in = dL_dy1 * y1 * (1 - y1)  # dL/dy1 dy1/dy1_in
    dL_dy2_in = dL_dy2 * y2 * (1 - y2)
    return (e1, e2), loss, (dL_dy1, dL_dy2), (dL_dy1_in, dL_dy2_in)


def back_to_v(h: Pair, dL_dy_in: Pair) -> tuple[Pair, Pair]:
    """Return the derivatives by the weights V, row by row.

    In y1_in = v11 h1 + v21 h2 the weight v21 is multiplied by h2, and it occurs nowhere else.
    """
    h1, h2 = h
    dL_dy1_in, dL_dy2_in = dL_dy_in
    dL_dv11 = dL_dy1_in * h1  # dL/dy1_in dy1_in/dv11
    dL_dv12 = dL_dy2_in * h1
    dL_dv21 = dL_dy1_in * h2
    dL_dv22 = dL_dy2_in * h2
    return (dL_dv11, dL_dv12), (dL_dv21, dL_dv22)


def back_to_the_hidden_units(V: Array, h: Pair, dL_dy_in: Pair) -> tuple[Pair, Pair]:
    """Return the derivatives by the hidden units, after and before the sigmoid.

    The hidden unit h1 reaches the loss on two ways, through y1_in and through y2_in: what comes
    back on both is added.
    """
    (v11, v12), (v21, v22) = V
    h1, h2 = h
    dL_dy1_in, dL_dy2_in = dL_dy_in
    dL_dh1 = dL_dy1_in * v11 + dL_dy2_in * v12  # dL/dy1_in dy1_in/dh1 + dL/dy2_in dy2_in/dh1
    dL_dh2 = dL_dy1_in * v21 + dL_dy2_in * v22

    dL_dh1_in = dL_dh1 * h1 * (1 - h1)  # dL/dh1 dh1/dh1_in
    dL_dh2_in = dL_dh2 * h2 * (1 - h2)
    return (dL_dh1, dL_dh2), (dL_dh1_in, dL_dh2_in)


def back_to_w(x: Array, dL_dh_in: Pair) -> tuple[Pair, Pair]:
    """Return the derivatives by the weights W, row by row: as by V, with x in place of h."""
    x1, x2 = x
    dL_dh1_in, dL_dh2_in = dL_dh_in
    dL_dw11 = dL_dh1_in * x1  # dL/dh1_in dh1_in/dw11
    dL_dw12 = dL_dh2_in * x1
    dL_dw21 = dL_dh1_in * x2
    dL_dw22 = dL_dh2_in * x2
    return (dL_dw11, dL_dw12), (dL_dw21, dL_dw22)


def derive(W: Array, V: Array, X: Array, T: Array) -> Quantities:
    """Return all quantities: units of an instance as a row, losses and slopes by weights added."""
    each = [_instance(W, V, x, t) for x, t in zip(X, T, strict=True)]
    H_in, H, Y_in, Y, E, losses, dL_dY, dL_dY_in, dL_dV, dL_dH, dL_dH_in, dL_dW = (
        np.array(found) for found in zip(*each, strict=True)
    )
    return Quantities(
        *(H_in, H, Y_in, Y, E, losses.sum()),
        *(dL_dY, dL_dY_in, dL_dV.sum(axis=0), dL_dH, dL_dH_in, dL_dW.sum(axis=0)),
    )


def by_hand() -> Problem:
    """Return the 2-2-2 network, its gradient derived by hand."""
    return derived_problem("by_hand", derive)


def _instance(W: Array, V: Array, x: Array, t: Array) -> tuple[object, ...]:
    """Return the quantities of one instance, as numbers, in their order."""
    h_in, h, y_in, y = forward(W, V, x)
    e, loss, dL_dy, dL_dy_in = back_to_the_outputs(y, t)
    dL_dV = back_to_v(h, dL_dy_in)
    dL_dh, dL_dh_in = back_to_the_hidden_units(V, h, dL_dy_in)
    dL_dW = back_to_w(x, dL_dh_in)
    return h_in, h, y_in, y, e, loss, dL_dy, dL_dy_in, dL_dV, dL_dh, dL_dh_in, dL_dW
