"""Problem: a loss, its analytic gradient and the parameters to check them at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

DEFAULT_NAME = "gradient"


@dataclass(frozen=True)
class Problem:
    """A loss and its analytic gradient at given parameters.

    It can be written in three ways. *Functions of parameters*: ``loss(parameters, *args)`` and
    ``gradient(parameters, *args)``, the gradient nested like the parameters. *Value and gradient*:
    ``loss=None`` and a ``gradient`` that returns the pair ``(value, gradient)``. *In place*:
    ``in_place=True`` with ``loss()`` and ``gradient()`` of no arguments, for objects that hold
    their own arrays; `parameters` are then those live arrays, which are perturbed and restored
    exactly.

    Attributes
    ----------
    loss: returns one real number
    gradient: returns arrays nested like `parameters`; or such arrays themselves
    parameters: an array, or any nesting of dicts, lists, tuples, namedtuples and dataclasses
    args: handed on to both functions after the parameters
    name: what reports call it
    sizes: known sizes by name, such as ``{"batch": 32}``
    layers: names of parameters by layer, ``{"hidden": ["W1", "b1"]}``; where it says nothing, a
        network's layers, and then the parameter's own name, decide
    network: an object whose ``layers`` have a ``name`` and a dict of ``parameters``
    in_place: see above

    Raises
    ------
    TypeError
        when a function is not callable

    Examples
    --------
    >>> import numpy as np
    >>> problem = Problem(lambda x: float(x @ x), lambda x: 2 * x, np.array([1.0, 2.0]))
    """

    loss: Callable[..., Any] | None
    gradient: Any
    parameters: Any
    args: Sequence[Any] = ()
    name: str | None = None
    sizes: Mapping[str, int] = field(default_factory=dict)
    layers: Mapping[str, Sequence[str]] | None = None
    network: Any = None
    in_place: bool = False

    def __post_init__(self) -> None:
        if self.loss is not None and not callable(self.loss):
            raise TypeError(f"loss must be callable or None, got {self.loss!r}")
        if self.loss is None and not callable(self.gradient):
            raise TypeError(
                "gradient must be a function returning (value, gradient) where loss is None, "
                f"got {type(self.gradient).__name__}"
            )
        if not isinstance(self.args, tuple | list):
            raise TypeError(f"args must be a tuple, got {type(self.args).__name__}")
        if self.in_place and self.args:
            raise ValueError("args must be empty for an in-place problem: its functions take none")

    @property
    def title(self) -> str:
        """The name reports use: `name`, else that of the loss function."""
        if self.name:
            return self.name
        given = getattr(self.loss or self.gradient, "__name__", DEFAULT_NAME)
        return DEFAULT_NAME if given == "<lambda>" else str(given)


_ATTRIBUTES = ("args", "name", "sizes", "layers", "network", "in_place")


def is_problem(candidate: Any) -> bool:
    """Return whether `candidate` can be checked: it has a loss, a gradient and parameters."""
    return not isinstance(candidate, type) and all(
        hasattr(candidate, name) for name in ("loss", "gradient", "parameters")
    )


def as_problem(candidate: Any, name: str | None = None) -> Problem:
    """Return `candidate` as a Problem, from any object with the attributes of one.

    Raises
    ------
    TypeError
        when it has no loss, gradient or parameters
    """
    if not is_problem(candidate):
        raise TypeError(
            "a problem must have loss, gradient and parameters, "
            f"got {type(candidate).__name__} {_short(candidate)}"
        )
    given = {key: getattr(candidate, key) for key in _ATTRIBUTES if hasattr(candidate, key)}
    if name is not None:
        given["name"] = name
    if given.get("sizes") is None:
        given.pop("sizes", None)
    return Problem(candidate.loss, candidate.gradient, candidate.parameters, **given)


def network_layers(network: Any) -> dict[str, list[str]]:
    """Return the parameter names of each layer of a network: ``layer.name`` dot parameter.

    Raises
    ------
    TypeError
        when it has no list of layers, or one of them no name or no dict of parameters
    """
    layers = getattr(network, "layers", None)
    if not isinstance(layers, list | tuple):
        got = f"layers={_short(layers)}" if hasattr(network, "layers") else _short(network)
        raise TypeError(f"network must have a list of layers, got {got}")
    for place, layer in enumerate(layers):
        name, held = (getattr(layer, key, None) for key in ("name", "parameters"))
        if not isinstance(name, str) or not isinstance(held, Mapping):
            raise TypeError(
                f"network.layers[{place}] must have a name and a dict of parameters, "
                f"got {_short(layer)}"
            )
    return {layer.name: [f"{layer.name}.{key}" for key in layer.parameters] for layer in layers}


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
