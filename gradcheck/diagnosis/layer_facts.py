"""What each layer of a network saw: inputs, pre-activations, outputs, and the true signals.

All is found from forward passes and the loss: nothing here is made from a backward under test,
but for `OwnBackward`, which says what that returns.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.diagnosis.activations import Activation
from gradcheck.diagnosis.asking import quiet
from gradcheck.diagnosis.linear_parts import Dense, Given, Identity, LinearPart
from gradcheck.diagnosis.slopes import Differentiator
from gradcheck.directions import Floats, norm

# An activation is known elsewhere if it is known where the network is, up to this.
SAME = 1e-12
# Samples that a backward may be called with one by one.
MOST_SAMPLES = 64


@dataclass(frozen=True)
class OwnBackward:
    """The backward under test of one layer, called by itself.

    Attributes
    ----------
    layer: whose it is
    parameters: of the layer, by its own names
    inputs: of the layer
    """

    layer: Any
    parameters: Mapping[str, Floats]
    inputs: Any

    def at(self, upstream: Floats, inputs: Any = None) -> tuple[Floats | None, dict[str, Floats]]:
        """Return the gradients at the inputs and of the parameters that it makes of an upstream.

        What it does not return, or not as numbers, is None or not there.
        """
        given = self.inputs if inputs is None else inputs
        try:
            with quiet():
                _, cache = self.layer.forward(copy.deepcopy(dict(self.parameters)), given.copy())
                input_gradient, gradients = self.layer.backward(cache, upstream.copy())
                found = {name: np.array(gradients[name], float) for name in self.parameters}
        except Exception:
            return None, {}
        try:
            return np.array(input_gradient, float), found
        except (TypeError, ValueError):
            return None, found


@dataclass(frozen=True)
class LayerFacts:
    """One layer at the point of the check.

    Attributes
    ----------
    name: of the layer
    names: full names of its parameters by its own: {"weight": "layer2.weight"}
    parameters: by its own names
    inputs, preactivations, outputs: x, z and a; z is a where a layer does not tell, and x where it
        has no parameters
    upstream, delta: true dL/da and dL/dz
    activation: the true derivative of a by z
    linear: how z depends on parameters and inputs
    own: the layer's backward, which may be wrong
    tells_preactivations: whether z is not just a for want of anything else
    loss_upstream: true gradient of the loss if these outputs were the last, where they fit
    loss_gradient: what the network's loss gives for dL/da, in the last layer
    """

    name: str
    names: Mapping[str, str]
    parameters: Mapping[str, Floats]
    inputs: Any
    preactivations: Floats
    outputs: Floats
    upstream: Floats
    delta: Floats
    activation: Activation
    linear: LinearPart
    own: OwnBackward
    tells_preactivations: bool
    loss_upstream: Floats | None = None
    loss_gradient: Floats | None = None

    @property
    def dense(self) -> Dense | None:
        """The formula of the layer, if it is dense."""
        return self.linear if isinstance(self.linear, Dense) else None

    @property
    def is_given(self) -> bool:
        """Whether it is no layer, but stands for inputs that are a parameter."""
        return isinstance(self.linear, Given)

    @property
    def bias(self) -> str | None:
        """Full name of the bias, if it is dense and has one."""
        dense = self.dense
        return self.names[dense.bias_name] if dense and dense.bias_name else None

    @property
    def sample_axis(self) -> int:
        """Which axis counts the samples."""
        return self.dense.sample_axis if self.dense else 0

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return self.delta.shape[self.sample_axis] if self.delta.ndim else 1

    def gradients(self, delta: Floats) -> dict[str, Floats]:
        """Return what the gradients of its parameters are for any delta, by full name."""
        return {self.names[key]: array for key, array in self.linear.gradients(delta).items()}

    def input_gradient(self, delta: Floats) -> Floats:
        """Return what dL/dx is for any delta."""
        return self.linear.input_gradient(delta)

    def chosen(self, delta: Floats, which: Sequence[int]) -> Floats:
        """Return a delta with the signal of some samples only, 0 in the others."""
        mask = np.zeros(self.samples)
        mask[list(which)] = 1.0
        shape = [1] * delta.ndim
        shape[self.sample_axis] = self.samples
        return delta * mask.reshape(shape)

    def delta_made_of(self, upstream: Floats) -> Floats | None:
        """Return the delta that the layer's own backward makes of an upstream.

        Of one sample alone, the gradient of a bias is its delta. None where there is no such way.
        """
        if isinstance(self.linear, Identity):
            return self.own.at(upstream)[0]
        dense = self.dense
        if dense is None or not dense.bias_name or self.samples > MOST_SAMPLES:
            return None
        inputs, signals = dense.rows(dense.inputs), dense.rows(upstream)
        rows = []
        for n in range(self.samples):
            alone = dense.rows(inputs[n : n + 1]), dense.rows(signals[n : n + 1])
            _, gradients = self.own.at(alone[1], alone[0])
            if dense.bias_name not in gradients:
                return None
            rows.append(gradients[dense.bias_name].reshape(-1))
        return dense.rows(np.stack(rows))

    def slopes_at(self, preactivations: Floats) -> Floats | None:
        """Return f' at other pre-activations; None where nobody can tell."""
        if self.activated(preactivations) is None:
            return None

        def line(t: Any) -> Any:
            return self._activated(preactivations + t)

        try:
            with quiet():
                return Differentiator(line).slope(line)
        except Exception:
            return None

    def activated(self, preactivations: Floats) -> Floats | None:
        """Return f at other pre-activations, entry by entry; None where nobody can tell."""
        try:
            with quiet():
                if self.activation.slopes is None or not self._is_known(self.preactivations):
                    return None
                return self._activated(preactivations)
        except Exception:
            return None

    def _is_known(self, at: Floats) -> bool:
        return norm(self._activated(at) - self.outputs) <= SAME * norm(self.outputs)

    def _activated(self, z: Floats) -> Floats:
        if isinstance(self.linear, Identity):
            return self._outputs({}, z)
        assert self.dense is not None
        rows = self.dense.rows(z)
        fan_in = self.dense.rows(self.dense.inputs).shape[1]
        parts = [
            self._of_some_units(self.dense, rows, range(start, min(start + fan_in, rows.shape[1])))
            for start in range(0, rows.shape[1], fan_in)
        ]
        return self.dense.rows(np.concatenate(parts, axis=1))

    def _of_some_units(self, dense: Dense, rows: Floats, units: range) -> Floats:
        """Return f of some units' pre-activations, which are handed in as the inputs."""
        # Complex where a complex step is taken.
        inputs = np.zeros((len(rows), dense.rows(dense.inputs).shape[1]), rows.dtype)
        inputs[:, : len(units)] = rows[:, units]
        weight = np.zeros((inputs.shape[1], rows.shape[1]))
        weight[np.arange(len(units)), units] = 1.0
        parameters = {name: np.zeros_like(array) for name, array in self.parameters.items()}
        parameters[dense.weight_name] = dense.as_held(weight)
        return dense.rows(self._outputs(parameters, dense.rows(inputs)))[:, units]

    def _outputs(self, parameters: Mapping[str, Floats], inputs: Floats) -> Floats:
        return np.asarray(self.own.layer.forward(parameters, inputs)[0])


def below(network: Sequence[LayerFacts], index: int, delta: Floats) -> dict[str, Floats]:
    """Return the gradients of a layer and of all below it, for any delta of that layer.

    A layer that is passed through more than once has the sum of what every pass contributes, of
    those above with their true deltas.
    """
    found = _passed_down(network, index, delta)
    for layer in network[index + 1 :]:
        if found.keys() & set(layer.names.values()):
            found = _added(found, layer.gradients(layer.delta))
    return found


def handed_down(
    network: Sequence[LayerFacts], index: int, input_gradient: Floats
) -> dict[str, Floats]:
    """Return the gradients of all below a layer, for any gradient at its inputs."""
    if index == 0:
        return {}
    lower = network[index - 1]
    return below(network, index - 1, lower.activation.delta(input_gradient))


def given_upstream(network: Sequence[LayerFacts]) -> Floats:
    """Return what the loss itself hands down to the last layer, else what is true."""
    last = network[-1]
    given = last.loss_gradient
    return last.upstream if given is None or given.shape != last.upstream.shape else given


def with_own(
    network: Sequence[LayerFacts], upstream: Floats, own: Collection[str]
) -> dict[str, Floats]:
    """Return the gradients that the own backwards of some layers make, those of others being right.

    {} where one of them does not return them all.

    Parameters
    ----------
    upstream: of the last layer
    own: names of the layers whose backward is asked
    """
    found: dict[str, Floats] = {}
    for index in reversed(range(len(network))):
        layer = network[index]
        if layer.name in own:
            signal, returned = layer.own.at(upstream)
            gradients = {layer.names[key]: array for key, array in returned.items()}
            if len(gradients) < len(layer.names) or (signal is None and index):
                return {}
        else:
            delta = layer.activation.delta(upstream)
            gradients = layer.gradients(delta)
            signal = layer.input_gradient(delta) if index else None
        found = _added(found, gradients)
        if signal is not None:
            upstream = signal
    return found


def _passed_down(network: Sequence[LayerFacts], index: int, delta: Floats) -> dict[str, Floats]:
    """Return what one pass down from a layer contributes to every gradient."""
    layer = network[index]
    found = layer.gradients(delta)
    if index:
        signal = layer.input_gradient(delta)
        lower = network[index - 1].activation.delta(signal)
        found = _added(found, _passed_down(network, index - 1, lower))
    return found


def _added(one: Mapping[str, Floats], other: Mapping[str, Floats]) -> dict[str, Floats]:
    return {**one, **{n: one[n] + array if n in one else array for n, array in other.items()}}
