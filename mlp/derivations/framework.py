"""The 2-2-2 network derived by a framework, PyTorch, where it is installed."""

from typing import Any

from mlp.arrays import Array
from mlp.derivations.quantities import Quantities, derived_problem
from mlp.problem import Problem


def derive(W: Array, V: Array, X: Array, T: Array) -> Quantities:
    """Return all quantities, in the precision of W and V.

    From arrays torch takes their float64; of plain numbers it would make float32.

    Raises
    ------
    ModuleNotFoundError
        when torch is not installed
    """
    torch = load_torch()
    w, v = (torch.tensor(weights, requires_grad=True) for weights in (W, V))
    x, t = (torch.tensor(data, dtype=w.dtype) for data in (X, T))
    h_in = x @ w  # (n, 2) @ (2, 2)
    h = torch.sigmoid(h_in)
    y_in = h @ v  # (n, 2) @ (2, 2)
    y = torch.sigmoid(y_in)
    e = y - t
    loss = torch.sum(e**2)

    slopes = torch.autograd.grad(loss, (y, y_in, v, h, h_in, w))
    H_in, H, Y_in, Y, E, L = (found.detach().numpy() for found in (h_in, h, y_in, y, e, loss))
    dL_dY, dL_dY_in, dL_dV, dL_dH, dL_dH_in, dL_dW = (slope.numpy() for slope in slopes)
    return Quantities(
        *(H_in, H, Y_in, Y, E, L[()]),
        *(dL_dY, dL_dY_in, dL_dV, dL_dH, dL_dH_in, dL_dW),
    )


def load_torch() -> Any:
    """Return the module torch.

    Raises
    ------
    ModuleNotFoundError
        when it is not installed
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ModuleNotFoundError(
            "torch is needed to derive by a framework, and not installed: pip install torch",
            name="torch",
        ) from None
    return torch


def by_framework() -> Problem:
    """Return the 2-2-2 network, its gradient by PyTorch."""
    load_torch()  # says at once what is missing
    return derived_problem("by_framework", derive)
