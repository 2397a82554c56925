"""The layers of a network, and the loss at its end, as problems of their own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from gradcheck.calling import Caller, TimedOut
from gradcheck.leaves import Array, described, usable_array
from gradcheck.parameters import flatten
from gradcheck.problem import Problem

# What the inputs of a layer, and the outputs that the loss takes, are called beside parameters.
INPUTS, LOSS, OUTPUTS = "inputs", "loss", "outputs"


@dataclass(frozen=True, eq=False)
class UpstreamLoss:
    """The loss sum(upstream * outputs) of a layer as one on its outputs, for want of targets."""

    upstream: Array

    def value(self, outputs: Any, targets: None) -> Any:
        """Return the loss of the outputs, summed in float64 also where they are in float32."""
        dtype = np.result_type(outputs, np.float64)
        return np.sum(np.multiply(self.upstream, outputs, dtype=dtype))

    def gradient(self, outputs: Any, targets: None) -> Array:
        """Return its gradient, the upstream."""
        return self.upstream


@dataclass(frozen=True, eq=False)
class LayerAlone:
    """The loss sum(upstream * outputs) of a layer, and its gradient by the layer's backward."""

    layer: Any
    upstream: Array

    def loss(self, parameters: Mapping[str, Mapping[str, Any]]) -> Any:
        """Return the loss."""
        outputs, _ = self._forward(parameters)
        return UpstreamLoss(self.upstream).value(outputs, None)

    def gradient(self, parameters: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
        """Return the gradient, nested like the parameters."""
        _, cache = self._forward(parameters)
        # A copy: in a chain nobody minds a backward that writes to its upstream.
        input_gradient, gradients = backward(self.layer, cache, self.upstream.copy())
        return {self.layer.name: {**gradients, INPUTS: input_gradient}}

    def look(self, parameters: Mapping[str, Mapping[str, Any]]) -> Look:
        """Return what its backward shows besides the numbers."""
        _, cache = self._forward(copy.deepcopy(parameters))
        handed = self.upstream.copy()
        input_gradient, _ = backward(self.layer, cache, handed)
        changed = not np.array_equal(handed, self.upstream, equal_nan=True)
        return Look(input_gradient is not None, changed)

    def _forward(self, parameters: Mapping[str, Mapping[str, Any]]) -> tuple[Array, Any]:
        own = dict(parameters[self.layer.name])
        inputs = own.pop(INPUTS)
        return forward(self.layer, own, inputs)


@dataclass(frozen=True)
class OneLayer:
    """A layer as a network of one, whose inputs are a parameter of the problem."""

    layers: tuple[Any]
    loss: UpstreamLoss


@dataclass(frozen=True)
class LossAlone:
    """The loss as a function of the outputs of the last layer, and its own gradient."""

    given: Any

    def loss(self, parameters: Mapping[str, Mapping[str, Any]], targets: Any) -> Any:
        """Return the loss of the outputs."""
        return self.given.value(parameters[LOSS][OUTPUTS], targets)

    def gradient(self, parameters: Mapping[str, Mapping[str, Any]], targets: Any) -> Any:
        """Return its gradient, nested like the parameters."""
        return {LOSS: {OUTPUTS: self.given.gradient(parameters[LOSS][OUTPUTS], targets)}}


@dataclass(frozen=True)
class Part:
    """One layer, or the loss, and what there is to check about it.

    Attributes
    ----------
    name: of the layer
    problem: its parameters and inputs, named after the layer
    names: of those that have a gradient to check
    note: why there is none; "" where there is
    alone: the layer, with the upstream that it is given; None for the loss
    """

    name: str
    problem: Problem
    names: tuple[str, ...]
    note: str = ""
    alone: LayerAlone | None = None


@dataclass(frozen=True)
class Look:
    """What one call of a layer's backward showed.

    Attributes
    ----------
    has_input_gradient: it returned one
    changes_upstream: it wrote to the upstream it was given
    """

    has_input_gradient: bool = True
    changes_upstream: bool = False


def forward(layer: Any, parameters: Mapping[str, Any], inputs: Array) -> tuple[Array, Any]:
    """Return the outputs of a layer as an array, and its cache."""
    outputs, cache = _pair(layer.forward(parameters, inputs), layer, "forward(outputs, cache)")
    return np.asarray(outputs), cache


def backward(layer: Any, cache: Any, upstream: Array) -> tuple[Any, Mapping[str, Any]]:
    """Return the gradient at the inputs of a layer, and those of its parameters by name."""
    said = "backward(input_gradient, parameter_gradients)"
    input_gradient, gradients = _pair(layer.backward(cache, upstream), layer, said)
    gradients = {} if gradients is None else gradients
    if not isinstance(gradients, Mapping):
        raise TypeError(
            f"parameter_gradients of layer {layer.name!r} must be a dict like its parameters, "
            f"got {described(gradients)}"
        )
    return input_gradient, gradients


def _pair(returned: Any, layer: Any, said: str) -> tuple[Any, Any]:
    if not (isinstance(returned, tuple | list) and len(returned) == 2):
        method, _, pair = said.partition("(")
        raise TypeError(
            f"{method} of layer {layer.name!r} must return ({pair}, got {described(returned)}"
        )
    return returned[0], returned[1]


def own_parameters(
    network: Any, parameters: Mapping[str, Any] | None
) -> list[tuple[Any, dict[str, Any]]]:
    """Return every layer of a network with copies of its parameters.

    Raises
    ------
    TypeError, ValueError
        when the network does not follow the layer protocol
    """
    layers = getattr(network, "layers", None)
    if not isinstance(layers, list | tuple):
        raise TypeError(f"network must have a list of layers, got {described(network)}")
    if not layers:
        raise ValueError("network must have at least one layer, got none")
    for place, layer in enumerate(layers):
        _check_layer(place, layer)
    names = list(dict.fromkeys(layer.name for layer in layers))
    for name in names:
        # One layer may be passed through twice, two may not share a name.
        if len({id(layer) for layer in layers if layer.name == name}) > 1:
            raise ValueError(f"names of layers must be unique, got {name!r} twice")
    held = {layer.name: layer.parameters for layer in layers} if parameters is None else parameters
    if not isinstance(held, Mapping) or set(held) != set(names):
        got = sorted(map(str, held)) if isinstance(held, Mapping) else described(held)
        raise ValueError(f"parameters must be by layer, {', '.join(names)}, got {got}")
    for name in names:
        _check_parameters(name, held[name])
    return [(layer, copy.deepcopy(dict(held[layer.name]))) for layer in layers]


def _check_layer(place: int, layer: Any) -> None:
    name = getattr(layer, "name", None)
    if not isinstance(name, str) or not name:
        raise TypeError(f"layers[{place}] must have a name, got {name!r} of {described(layer)}")
    for method in ("forward", "backward"):
        if not callable(getattr(layer, method, None)):
            raise TypeError(f"layer {name!r} must have a method {method}, got {described(layer)}")
    if not hasattr(layer, "parameters"):
        raise TypeError(f"layer {name!r} must have a dict of parameters, got {described(layer)}")


def _check_parameters(name: str, parameters: Any) -> None:
    if not isinstance(parameters, Mapping):
        raise TypeError(f"parameters of layer {name!r} must be a dict, got {described(parameters)}")
    if INPUTS in parameters:
        raise ValueError(
            f"no parameter of layer {name!r} must be called {INPUTS!r}: so are its inputs"
        )


def layer_parts(
    network: Any,
    inputs: Any,
    given: Any,
    parameters: Mapping[str, Any] | None,
    *,
    seed: int,
    caller: Caller,
) -> Iterator[Part]:
    """Yield every layer, at the inputs it gets in the network, then the loss if that is known.

    Parameters
    ----------
    given: the targets, where the network has a loss; else the last upstream; None for neither
    parameters: by layer name, in place of the layers' own
    seed: of the upstream of every layer, with the name of the layer
    caller: makes the calls
    """
    loss = known_loss(network) if given is not None else None
    layers = own_parameters(network, parameters)
    names = [layer.name for layer, _ in layers]
    if len(set(names)) < len(names):
        repeated = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"layers must be passed through once each, got {repeated!r} twice")
    if loss is not None and any(layer.name == LOSS for layer, _ in layers):
        raise ValueError(f"no layer must be called {LOSS!r}: so is the loss at the outputs")
    signal: Array = np.array(inputs)
    for layer, own in layers:
        with told(what := f"forward of layer {layer.name!r}"):
            call = partial(forward, layer, copy.deepcopy(own), signal.copy())
            outputs = _in_time(caller, call, what)[0].copy()
        upstream = _random_upstream(outputs, seed, layer.name)
        if layer is layers[-1][0] and loss is None and given is not None:
            upstream = _upstream_like(given, outputs)
        yield _layer_part(LayerAlone(layer, upstream), {**own, INPUTS: signal}, outputs)
        signal = outputs
    if loss is not None:
        alone = LossAlone(loss)
        tree = {LOSS: {OUTPUTS: signal}}
        problem = Problem(alone.loss, alone.gradient, tree, args=(given,), name=LOSS)
        yield _part(LOSS, problem, is_complex=signal.dtype.kind == "c")


def known_loss(network: Any) -> Any:
    """Return the loss of a network on its outputs, None where it has none with a gradient."""
    loss = getattr(network, "loss", None)
    methods = (getattr(loss, method, None) for method in ("value", "gradient"))
    return loss if all(map(callable, methods)) else None


def _layer_part(alone: LayerAlone, own: dict[str, Any], outputs: Array) -> Part:
    name = alone.layer.name
    network = OneLayer((alone.layer,), UpstreamLoss(alone.upstream))
    problem = Problem(alone.loss, alone.gradient, {name: own}, name=name, network=network)
    return _part(name, problem, is_complex=outputs.dtype.kind == "c", alone=alone)


def _part(
    name: str, problem: Problem, *, is_complex: bool, alone: LayerAlone | None = None
) -> Part:
    leaves = flatten(problem.parameters)
    usable = {key: usable_array(key, leaf, live=False) for key, leaf in leaves.items()}
    arrays = {key: array for key, array in usable.items() if array is not None}
    problem = replace(problem, layers={name: list(arrays)})
    if is_complex or any(array.dtype.kind == "c" for array in arrays.values()):
        return Part(name, problem, (), f"not checked, as it computes with complex numbers: {name}")
    return Part(name, problem, tuple(key for key, array in arrays.items() if array.size), "", alone)


def _in_time(caller: Caller, call: Callable[[], Any], what: str) -> Any:
    try:
        return caller.call(call, what)
    except TimedOut as late:
        raise TimeoutError(str(late)) from None


@contextmanager
def told(what: str) -> Iterator[None]:
    """Say with an exception of the user's code what raised it."""
    try:
        yield
    except Exception as error:
        error.add_note(f"raised in the {what}")
        raise


def _random_upstream(outputs: Array, seed: int, name: str) -> Array:
    """Return an upstream that no error of a backward is orthogonal to, but by chance."""
    drawn = np.random.default_rng([seed, *name.encode()]).standard_normal(outputs.shape)
    return drawn.astype(outputs.dtype if outputs.dtype.kind == "f" else np.float64)


def _upstream_like(given: Any, outputs: Array) -> Array:
    upstream: Array = np.array(given)
    if upstream.shape != outputs.shape:
        raise ValueError(
            f"upstream must have the shape {outputs.shape} of the outputs, got {upstream.shape}"
        )
    if upstream.dtype.kind not in "fiu" or not np.all(np.isfinite(upstream)):
        raise ValueError(f"upstream must hold finite real numbers, got {described(given)}")
    return upstream.astype(np.result_type(upstream, np.float32))
