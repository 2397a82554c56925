"""Problem: a loss, its hand-written gradient, and the point at which to compare them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mlp.arrays import Array, Scalar


@dataclass(frozen=True, eq=False, kw_only=True)
class Problem:
    """A loss, its hand-written gradient, and the point at which to compare them.

    Parameters
    ----------
    name: what reports call it.
    loss: loss(parameters, *args), a scalar.
    gradient: gradient(parameters, *args), in the structure of the parameters.
    parameters: arrays in any nesting, such as {layer name: {parameter name: array}} of a network.
    args: the data, such as (inputs, targets).
    sizes: numbers that a wrong factor may turn out to be, such as {"batch": 5}.
    layers: names of the parameters by layer, where their own names do not say it.
    network: what is behind loss and gradient, layer by layer: an object with a list of `layers`
        and the `loss` on their outputs; None where it is not shown.
    in_place: whether loss() and gradient() take nothing, as they read the live arrays that
        `parameters` holds.
    """

    name: str
    loss: Callable[..., Scalar]
    gradient: Callable[..., Any]
    parameters: Any
    args: tuple[Array, ...] = ()
    sizes: dict[str, int] = field(default_factory=dict)
    layers: dict[str, list[str]] | None = None
    network: Any = None
    in_place: bool = False
