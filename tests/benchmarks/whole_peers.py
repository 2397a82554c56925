"""What other tools say about whole networks, with their defaults."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np

from gradcheck import Problem

Accepts = Callable[[Problem], bool]


def torch_fast(problem: Problem) -> bool:
    """torch.autograd.gradcheck(fast_mode=True): two random projections."""
    import torch

    places = [(layer, key) for layer, arrays in problem.parameters.items() for key in arrays]

    def nested(tensors: Any) -> dict[str, dict[str, np.ndarray]]:
        parameters: dict[str, dict[str, np.ndarray]] = {}
        for (layer, key), tensor in zip(places, tensors, strict=True):
            parameters.setdefault(layer, {})[key] = tensor.detach().numpy()
        return parameters

    class Loss(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *tensors):
            ctx.save_for_backward(*tensors)
            return torch.tensor(problem.loss(nested(tensors), *problem.args))

        @staticmethod
        def backward(ctx, upstream):
            found = problem.gradient(nested(ctx.saved_tensors), *problem.args)
            return tuple(upstream * torch.tensor(found[layer][key]) for layer, key in places)

    tensors = tuple(
        torch.tensor(problem.parameters[layer][key], requires_grad=True) for layer, key in places
    )
    torch.manual_seed(0)
    return bool(
        torch.autograd.gradcheck(Loss.apply, tensors, fast_mode=True, raise_exception=False)
    )


def jax_check_vjp(problem: Problem) -> bool:
    """jax.test_util.check_vjp: one random direction."""
    import jax
    from jax.test_util import check_vjp

    jax.config.update("jax_enable_x64", True)

    def loss(parameters):
        return np.asarray(problem.loss(parameters, *problem.args))

    def with_pullback(parameters):
        found = problem.gradient(parameters, *problem.args)
        return loss(parameters), lambda up: (jax.tree_util.tree_map(lambda g: up * g, found),)

    try:
        check_vjp(loss, with_pullback, (problem.parameters,))
    except AssertionError:
        return False
    return True


_PEERS: dict[str, tuple[str, Accepts]] = {
    "torch gradcheck, fast mode": ("torch", torch_fast),
    "jax check_vjp": ("jax", jax_check_vjp),
}


def installed() -> dict[str, Accepts]:
    """Return the tools that can be run here, by name."""
    return {name: accepts for name, (package, accepts) in _PEERS.items() if find_spec(package)}
