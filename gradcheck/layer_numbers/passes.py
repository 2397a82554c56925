"""The forward pass of a network: every layer with what it was given and what it returned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.diagnosis.asking import AskedLayer, Asker
from gradcheck.directions import Floats
from gradcheck.layer_numbers.evaluations import Array
from gradcheck.layer_parts import forward, own_parameters


class NotUnderstood(Exception):
    """Numbers of a network, or of a layer, cannot be had."""


@dataclass(frozen=True, eq=False)
class Pass:
    """One layer in the forward pass; one that is passed through twice has two.

    Attributes
    ----------
    layer: calls the user's
    names: full names of its parameters, by its own
    parameters, inputs, outputs: the user's code gets copies
    preactivations: None where the layer does not tell them
    """

    layer: AskedLayer
    names: Mapping[str, str]
    parameters: Mapping[str, Floats]
    inputs: Array
    outputs: Floats
    preactivations: Floats | None

    @property
    def is_linear(self) -> bool:
        """Whether it says that its pre-activations are linear in all parameters it has."""
        said = self.layer.linear_in
        return isinstance(said, tuple | list) and set(self.parameters) <= set(said)

    def preactivation(self, parameters: Mapping[str, Any], inputs: Any) -> Array:
        """Return the pre-activations elsewhere: of a layer without an activation its outputs."""
        if self.layer.preactivation is not None:
            return np.asarray(self.layer.preactivation(parameters, inputs))
        if not self.parameters and self.layer.activate is not None:
            return np.asarray(inputs)
        return self.forward(parameters, inputs)

    def forward(self, parameters: Mapping[str, Any], inputs: Any) -> Array:
        """Return the outputs elsewhere."""
        return forward(self.layer, parameters, inputs)[0]

    def copies(self) -> dict[str, Floats]:
        """Return the parameters for the user's code to do with what it likes."""
        return {key: array.copy() for key, array in self.parameters.items()}


def forward_passes(
    network: Any, parameters: Mapping[str, Array], inputs: Any, asker: Asker
) -> list[Pass]:
    """Return every layer of a network in its forward pass, in float64.

    Parameters
    ----------
    parameters: by full name, "layer2.weight"

    Raises
    ------
    Exception
        what the user's code does, and what does not follow the layer protocol
    """
    held = {
        layer.name: {key: parameters[f"{layer.name}.{key}"] for key in layer.parameters}
        for layer in network.layers
    }
    signal = _real(np.array(inputs))
    passes = []
    for one, copies in own_parameters(network, held):
        own = {key: _real(np.asarray(array)) for key, array in held[one.name].items()}
        given = {key: _real(array) for key, array in copies.items()}
        passes.append(_passed(AskedLayer(one, asker), own, given, signal))
        signal = passes[-1].outputs
    return passes


def _passed(
    layer: AskedLayer, own: Mapping[str, Floats], given: Mapping[str, Floats], inputs: Array
) -> Pass:
    """Return a layer in its forward pass.

    Parameters
    ----------
    own, given: its parameters, ours and a copy for the user's code
    """
    names = {key: f"{layer.name}.{key}" for key in own}
    outputs = _floats(forward(layer, given, inputs.copy())[0])
    bare = Pass(layer, names, own, inputs, outputs, None)
    tells = layer.preactivation is not None or (not own and layer.activate is not None)
    if not tells:
        return Pass(layer, names, own, inputs, outputs, outputs if bare.is_linear and own else None)
    z = _floats(bare.preactivation(given, inputs.copy()))
    # What the activation may not have is no function of each of them.
    return Pass(layer, names, own, inputs, outputs, z if z.shape == outputs.shape else None)


def _real(array: Array) -> Array:
    """Return an array in float64; integers, such as those of an embedding, stay."""
    if array.dtype.kind == "c" or array.dtype.kind not in "fiub":
        raise NotUnderstood("only real numbers are")
    return array.astype(np.float64, copy=False) if array.dtype.kind == "f" else array


def _floats(array: Any) -> Floats:
    found = np.array(array)
    if found.dtype.kind not in "fiub":
        raise NotUnderstood("only real numbers are")
    return found.astype(np.float64, copy=False)
