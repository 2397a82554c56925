"""The facts about every layer of a network, or none where it cannot be known that they hold."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from gradcheck.diagnosis.activations import Activation, read_activation
from gradcheck.diagnosis.asking import AskedLayer, AskedLoss, Asker, quiet
from gradcheck.diagnosis.layer_facts import LayerFacts, OwnBackward, below
from gradcheck.diagnosis.linear_parts import (
    Given,
    Identity,
    LinearPart,
    Preactivation,
    linear_part,
)
from gradcheck.diagnosis.loss_gradient import loss_gradient
from gradcheck.diagnosis.slopes import Differentiator, Line
from gradcheck.directions import Floats, norm, root_mean_square
from gradcheck.layer_parts import INPUTS, forward, known_loss, own_parameters

# The network's loss is the user's where both agree to this, relative to it.
SAME_LOSS = 1e-6
# The facts are believed where the slope of the loss that follows from them is right to this.
BELIEVED = 1e-6


@dataclass(frozen=True)
class _Seen:
    """One layer in the forward pass."""

    layer: Any
    names: Mapping[str, str]
    parameters: Mapping[str, Floats]
    inputs: Any
    outputs: Floats

    @property
    def preactivation(self) -> Preactivation:
        """What z is a function of: what the layer says, else its outputs, else its inputs."""
        own = getattr(self.layer, "preactivation", None)
        if callable(own):
            return own  # type: ignore[no-any-return]
        if self.is_identity:
            return lambda parameters, inputs: inputs
        return self.forward

    @property
    def tells_preactivations(self) -> bool:
        """Whether these are more than the outputs."""
        return callable(getattr(self.layer, "preactivation", None)) or self.is_identity

    @property
    def is_identity(self) -> bool:
        """Whether the inputs are the pre-activations."""
        own = getattr(self.layer, "preactivation", None)
        return not callable(own) and not self.parameters and self.inputs.shape == self.outputs.shape

    def forward(self, parameters: Mapping[str, Any], inputs: Any) -> Any:
        """Return the outputs."""
        return forward(self.layer, parameters, inputs)[0]

    def line(self, function: Preactivation, directions: Mapping[str, Floats]) -> Line:
        """Return a function along a line through parameters and inputs."""

        def along(t: Any) -> Any:
            moved = {key: array + t * directions[key] for key, array in self.parameters.items()}
            inputs = self.inputs
            if "" in directions:
                inputs = inputs + t * directions[""]
            return np.asarray(function(moved, inputs))

        return along

    def random_directions(self, generator: np.random.Generator) -> dict[str, Floats]:
        """Return directions for all parameters and, as "", the inputs if these are floats."""
        arrays = dict(self.parameters)
        if self.inputs.dtype.kind == "f":
            arrays[""] = self.inputs
        return {
            key: generator.standard_normal(array.shape) * (root_mean_square(array) or 1.0)
            for key, array in arrays.items()
        }

    def random_lines(self, generator: np.random.Generator) -> tuple[Line, Line]:
        """Return outputs and pre-activations along the same random line."""
        directions = self.random_directions(generator)
        return self.line(self.forward, directions), self.line(self.preactivation, directions)


class _Source:
    """What stands before a network whose inputs are a parameter: it hands that on.

    It is no layer, and has a name that none can have.
    """

    name = ""

    def forward(self, parameters: Mapping[str, Any], inputs: Any) -> tuple[Any, None]:
        """Return the parameter."""
        return parameters[INPUTS], None

    def backward(self, cache: None, upstream: Floats) -> tuple[Floats, dict[str, Floats]]:
        """Return the upstream, for the parameter."""
        return np.zeros(0), {INPUTS: upstream}


def network_facts(
    network: Any,
    parameters: Mapping[str, Floats],
    inputs: Any,
    targets: Any,
    loss: float,
    *,
    source: str = "",
    seed: int = 0,
    asker: Asker | None = None,
) -> tuple[LayerFacts, ...]:
    """Return what is true of every layer, first to last, at the point of a check.

    Parameters
    ----------
    network: its layers, and its loss on the outputs
    parameters: by full name, "layer2.weight"
    inputs, targets: the data
    loss: the user's loss, which the network's has to be
    source: full name of the parameter that is the network's inputs; "" where these are data
    seed: of random directions
    asker: calls the layers, now and when more is asked of the facts

    Returns
    -------
    tuple
        () where the network does not follow the protocol, where a layer cannot be understood, or
        where the loss does not have the slope that follows from all this
    """
    try:
        with quiet():
            asker = asker or Asker()
            seen = _forward(network, parameters, inputs, asker)
            if source:
                seen.insert(0, _fed(source, seen[0].inputs))
            return _facts(network, seen, targets, loss, seed=seed, asker=asker)
    except Exception:
        # What the user's code makes of these calls is its own affair.
        return ()


def _facts(
    network: Any,
    seen: list[_Seen],
    targets: Any,
    loss: float,
    *,
    seed: int,
    asker: Asker,
) -> tuple[LayerFacts, ...]:
    known = known_loss(network)
    if known is None:
        return ()
    at_outputs = AskedLoss(known, asker)
    outputs = seen[-1].outputs
    if not abs(float(at_outputs.value(outputs.copy(), targets)) - loss) <= SAME_LOSS * abs(loss):
        return ()
    value = partial(_value, at_outputs, targets)
    generator = np.random.default_rng([seed, *b"layers"])
    gradient = partial(at_outputs.gradient, targets=targets)
    upstream = loss_gradient(value, gradient, outputs, generator)
    found: list[LayerFacts] = []
    for one in reversed(seen):
        facts = _layer_facts(one, upstream, generator) if upstream is not None else None
        if facts is None:
            return ()
        found.insert(0, facts)
        if one is not seen[0]:
            upstream = facts.input_gradient(facts.delta)
    if not _is_right(seen, found, value, generator):
        return ()
    own = np.array(at_outputs.gradient(outputs.copy(), targets), float)
    hidden = [
        _with_loss_upstream(facts, (value, gradient), outputs, generator) for facts in found[:-1]
    ]
    return (*hidden, replace(found[-1], loss_gradient=own, loss_upstream=found[-1].upstream))


def _with_loss_upstream(
    facts: LayerFacts,
    loss: tuple[Callable[[Any], Any], Callable[[Any], Any]],
    outputs: Floats,
    generator: np.random.Generator,
) -> LayerFacts:
    """Return a hidden layer with the gradient that the loss would have at its outputs."""
    if facts.outputs.shape != outputs.shape or facts.is_given:
        return facts
    return replace(facts, loss_upstream=loss_gradient(*loss, facts.outputs, generator))


def _value(at_outputs: Any, targets: Any, outputs: Any) -> Any:
    return np.asarray(at_outputs.value(outputs, targets)).reshape(())


def _forward(
    network: Any, parameters: Mapping[str, Floats], inputs: Any, asker: Asker
) -> list[_Seen]:
    signal = np.array(inputs)
    if signal.dtype.kind == "f":
        signal = signal.astype(np.float64)
    seen = []
    for one, held in own_parameters(network, None):
        layer = AskedLayer(one, asker)
        names = {key: f"{layer.name}.{key}" for key in held}
        own = {key: np.array(parameters[name], np.float64) for key, name in names.items()}
        outputs = forward(layer, {key: a.copy() for key, a in own.items()}, signal.copy())[0]
        outputs = np.array(outputs, np.float64)
        seen.append(_Seen(layer, names, own, signal, outputs))
        signal = outputs
    return seen


def _fed(source: str, inputs: Floats) -> _Seen:
    """Return what stands before a network whose inputs are a parameter."""
    return _Seen(_Source(), {INPUTS: source}, {INPUTS: inputs}, np.zeros(0), inputs)


def _layer_facts(
    seen: _Seen, upstream: Floats, generator: np.random.Generator
) -> LayerFacts | None:
    outputs_line, preactivations_line = seen.random_lines(generator)
    by_outputs, by_preactivations = (
        Differentiator(outputs_line),
        Differentiator(preactivations_line),
    )
    preactivations = np.array(seen.preactivation(seen.parameters, seen.inputs), np.float64)
    if preactivations.shape != seen.outputs.shape:
        return None
    linear = _linear_part(seen, by_preactivations, generator)
    if linear is None:
        return None
    axis = getattr(linear, "sample_axis", 0)
    if not seen.tells_preactivations:
        activation: Activation | None = Activation(np.ones_like(preactivations))
    else:
        activation = read_activation(
            seen.random_lines,
            (by_outputs, by_preactivations),
            preactivations.shape,
            axis,
            generator,
        )
    if activation is None:
        return None
    return LayerFacts(
        name=seen.layer.name,
        names=seen.names,
        parameters=seen.parameters,
        inputs=seen.inputs,
        preactivations=preactivations,
        outputs=seen.outputs,
        upstream=upstream,
        delta=activation.delta(upstream),
        activation=activation,
        linear=linear,
        own=OwnBackward(seen.layer, seen.parameters, seen.inputs),
        tells_preactivations=seen.tells_preactivations,
    )


def _linear_part(
    seen: _Seen, differentiator: Differentiator, generator: np.random.Generator
) -> LinearPart | None:
    if isinstance(seen.layer, _Source):
        return Given(INPUTS)
    if seen.is_identity:
        return Identity()
    return linear_part(seen.preactivation, seen.parameters, seen.inputs, differentiator, generator)


def _is_right(
    seen: list[_Seen],
    found: list[LayerFacts],
    value: Callable[[Any], Any],
    generator: np.random.Generator,
) -> bool:
    """Return whether the loss has the slope that the facts say, along one random direction."""
    # A layer that is passed through twice has one set of parameters.
    by_layer = {one.layer.name: one.random_directions(generator) for one in seen}
    directions = [by_layer[one.layer.name] for one in seen]

    def loss(t: Any) -> Any:
        signal: Any = seen[0].inputs
        for one, along in zip(seen, directions, strict=True):
            moved = {key: array + t * along[key] for key, array in one.parameters.items()}
            signal = one.forward(moved, signal)
        return value(signal)

    gradients = below(found, len(found) - 1, found[-1].delta)
    weights = {
        name: along[key]
        for one, along in zip(seen, directions, strict=True)
        for key, name in one.names.items()
    }
    terms = [np.sum(gradients[name] * along) for name, along in weights.items()]
    slope = float(Differentiator(loss).slope(loss))
    return abs(slope - float(np.sum(terms))) <= BELIEVED * norm(terms)
