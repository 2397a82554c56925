"""torch.autograd.gradcheck on the benchmark's networks."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any
from unittest import mock

import torch
from speed_bugs import Gradient, Said
from speed_clock import Counted
from speed_networks import Arrays

Make = Callable[[Counted, Gradient], Callable[..., Any]]


def prepare(make: Make, counted: Counted, gradient: Gradient, *, fast: bool) -> Callable[[], Said]:
    """Return a whole check of a loss that `make` returns, in the slow or the fast mode."""
    errors = import_module("torch.autograd.gradcheck").GradcheckError
    torch.set_num_threads(1)
    loss = make(counted, gradient)
    names = list(counted.network.parameters)
    tensors = tuple(
        torch.tensor(array, requires_grad=True) for array in counted.network.parameters.values()
    )

    def check() -> Said:
        torch.manual_seed(0)
        try:
            with _without_second_look():
                torch.autograd.gradcheck(loss, tensors, fast_mode=fast)
        except errors as error:
            return Said(True, frozenset(_inputs_named(str(error), names)))
        return Said(False)

    return check


def numpy_function(counted: Counted, gradient: Gradient) -> Callable[..., Any]:
    """Return the loss with its gradient in numpy, as a torch.autograd.Function."""
    names = list(counted.network.parameters)

    def named(tensors: Any) -> Arrays:
        return {n: tensor.detach().numpy() for n, tensor in zip(names, tensors, strict=True)}

    class Loss(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Any) -> Any:
            ctx.save_for_backward(*tensors)
            return torch.tensor(counted.loss(named(tensors)))

        @staticmethod
        def backward(ctx: Any, upstream: Any) -> Any:
            found = gradient(named(ctx.saved_tensors))
            return tuple(upstream * torch.from_numpy(found[name]) for name in names)

    return Loss.apply


def own_network(counted: Counted, gradient: Gradient) -> Callable[..., Any]:
    """Return the loss written in torch, which differentiates it itself."""
    network = counted.network
    inputs, targets = torch.from_numpy(network.inputs), torch.from_numpy(network.targets)
    last = 2 * len(network.names) - 2

    def loss(*tensors: Any) -> Any:
        counted.tick()
        signal = inputs
        for place in range(0, last + 2, 2):
            signal = torch.addmm(tensors[place + 1], signal, tensors[place])
            if place < last:
                signal = torch.sigmoid(signal)
        return 0.5 * ((signal - targets) ** 2).sum() / len(inputs)

    return loss


def _without_second_look() -> Any:
    """Return a context in which the fast mode does not run the slow one to word its message."""
    module = import_module("torch.autograd.gradcheck")
    return mock.patch.object(module, "_run_slow_mode_and_get_error", return_value="")


def _inputs_named(message: str, names: list[str]) -> list[str]:
    _, mark, rest = message.partition("with respect to input ")
    return [names[int(rest.split(",")[0].split()[0])]] if mark else []
