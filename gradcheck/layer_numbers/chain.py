"""Local derivatives chained from the loss down to the first layer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gradcheck.directions import Floats
from gradcheck.ladder import EPSILON
from gradcheck.layer_numbers.evaluations import Array, EntryByEntry
from gradcheck.layer_numbers.going_down import through_function
from gradcheck.layer_numbers.linear_maps import (
    ROUNDED_DIFFERENCE,
    ByParameters,
    DenseMap,
    Signal,
    parameter_map,
    rows_matrix,
)
from gradcheck.layer_numbers.passes import Pass
from gradcheck.layer_numbers.rounding import off_by_arguments
from gradcheck.many_lines import Slopes

FORMS = {
    "auto": "differences at the pre-activations",
    "complex": "complex steps at the pre-activations",
}


@dataclass(frozen=True, eq=False)
class Local:
    """A layer with what was measured of it.

    Attributes
    ----------
    one: its forward pass
    slopes: of its activation, if that works entry by entry; None otherwise
    by_parameters: how its pre-activations depend on its parameters; None if not known
    """

    one: Pass
    slopes: Slopes | None
    by_parameters: ByParameters | None

    @property
    def is_identity(self) -> bool:
        """Whether the outputs are the pre-activations."""
        return self.one.preactivations is self.one.outputs

    def preactivations_off(self, inputs_off: Floats) -> Floats:
        """Return how far pre-activations may be off by rounding, for inputs that may be so."""
        if isinstance(self.by_parameters, DenseMap):
            return self.by_parameters.off(inputs_off)
        if (z := self.one.preactivations) is None:
            return self._off(self.one.forward, inputs_off, self.one.outputs)
        if not self.one.parameters and self.one.layer.preactivation is None:
            return inputs_off  # the inputs are the pre-activations
        return self._off(self.one.preactivation, inputs_off, z)

    def _off(self, function: Callable[..., Any], inputs_off: Floats, values: Floats) -> Floats:
        """Return how far what the layer makes of parameters and inputs may be off by rounding."""
        one = self.one

        def of_arrays(inputs: Array, *own: Array) -> Any:
            return function(dict(zip(one.parameters, own, strict=True)), inputs)

        arrays = [one.inputs, *one.parameters.values()]
        offs: list[Floats | float] = [inputs_off, *[0.0] * len(one.parameters)]
        return off_by_arguments(of_arrays, arrays, offs, values)

    def outputs_off(self, off: Floats, inputs_off: Floats) -> Floats:
        """Return how far outputs may be off by rounding.

        Parameters
        ----------
        off, inputs_off: how far pre-activations and inputs may be so
        """
        one = self.one
        if self.slopes is not None:
            steep = np.abs(self.slopes.values).reshape(off.shape)
            return self.slopes.noise.reshape(off.shape) + steep * off
        if self.is_identity or one.preactivations is None:
            return off
        if one.layer.activate is None:
            return self._off(one.forward, inputs_off, one.outputs)
        return off_by_arguments(one.layer.activate, [one.preactivations], [off], one.outputs)

    def delta(self, upstream: Signal, off: Floats, method: str) -> Signal | None:
        """Return the gradient at the pre-activations, None where it is not known.

        Parameters
        ----------
        upstream: the gradient at the outputs
        off: how far pre-activations may be off by rounding
        """
        if self.is_identity:
            return upstream
        if self.slopes is None:
            return self._by_samples(upstream, off, method)
        shape = upstream.values.shape
        slopes, bars = (a.reshape(shape) for a in (self.slopes.values, self.slopes.error_bars))
        bars = bars + np.abs(self.slopes.curvatures).reshape(shape) * off
        values = upstream.values * slopes
        size = np.abs(upstream.values) + upstream.bars
        off_by = np.abs(slopes) * upstream.bars + bars * size + EPSILON * np.abs(values)
        return Signal(values, off_by)

    def _by_samples(self, upstream: Signal, off: Floats, method: str) -> Signal | None:
        z, activate = self.one.preactivations, self.one.layer.activate
        if z is None or activate is None:
            return None
        return through_function(activate, z, off, self.one.outputs, upstream, method=method)

    def below(
        self, upstream: Signal, delta: Signal | None, off: Floats, method: str
    ) -> Signal | None:
        """Return the gradient at the inputs, None where it cannot be known.

        Parameters
        ----------
        upstream, delta: the gradients at the outputs and at the pre-activations
        off: how far inputs may be off by rounding
        """
        one = self.one
        if isinstance(self.by_parameters, DenseMap) and delta is not None:
            return self.by_parameters.below(delta)
        if one.inputs.dtype.kind != "f":
            return None
        if delta is None or one.preactivations is None:
            function = partial(_forward, one)
            return through_function(function, one.inputs, off, one.outputs, upstream, method=method)
        if not one.parameters and one.layer.preactivation is None:
            return delta  # the inputs are the pre-activations
        if (matrix := rows_matrix(one)) is not None:
            return _through_matrix(delta, matrix, one.inputs.shape)
        function = partial(_preactivation, one)
        return through_function(function, one.inputs, off, one.preactivations, delta, method=method)


def _forward(one: Pass, inputs: Any) -> Any:
    return one.forward(one.copies(), inputs)


def _preactivation(one: Pass, inputs: Any) -> Any:
    return one.preactivation(one.copies(), inputs)


def _through_matrix(delta: Signal, matrix: Floats, shape: tuple[int, ...]) -> Signal:
    rows, rough = delta.values.reshape(shape[0], -1), delta.rounded(ROUNDED_DIFFERENCE)
    bars = rough.reshape(shape[0], -1) @ np.abs(matrix).T
    return Signal((rows @ matrix.T).reshape(shape), bars.reshape(shape))


def activations(passes: Iterable[Pass]) -> dict[int, EntryByEntry]:
    """Return the activations of the layers that say what they are, by their places."""
    return {
        place: EntryByEntry(one.layer.activate, one.preactivations, one.outputs)
        for place, one in enumerate(passes)
        if one.layer.activate is not None and one.preactivations is not None
    }


class Chain:
    """The layers, with the gradient of the loss at the outputs.

    Parameters
    ----------
    layers: first to last
    method: how derivatives are taken
    """

    def __init__(self, layers: list[Local], *, method: str) -> None:
        self._layers, self._method = layers, method
        self._inputs_off, self._preactivations_off = [], []
        off = np.zeros(layers[0].one.inputs.shape)
        for local in layers:
            self._inputs_off.append(off)
            self._preactivations_off.append(local.preactivations_off(off))
            off = local.outputs_off(self._preactivations_off[-1], off)
        self.outputs_off: Floats = off

    def gradients(self, upstream: Signal, names: Collection[str] | None) -> dict[str, Signal]:
        """Return the gradients of the parameters of all layers that can be understood.

        Parameters
        ----------
        upstream: the gradient at the outputs
        names: of the parameters that are wanted; all if None
        """
        found: dict[str, Signal] = {}
        unknown: set[str] = set()
        signal: Signal | None = upstream
        for place in reversed(range(len(self._layers))):
            local = self._layers[place]
            delta = None
            if signal is not None:
                delta = local.delta(signal, self._preactivations_off[place], self._method)
            self._add(found, unknown, place, delta, names)
            if not self._wanted_below(place, names):
                break
            if signal is not None:
                signal = local.below(signal, delta, self._inputs_off[place], self._method)
        return {
            name: held
            for name, held in found.items()
            if name not in unknown and np.isfinite(held.bars).all()
        }

    def _add(
        self,
        found: dict[str, Signal],
        unknown: set[str],
        place: int,
        delta: Signal | None,
        names: Collection[str] | None,
    ) -> None:
        """Add one layer's gradients to those found, or its parameters to the unknown ones."""
        local = self._layers[place]
        own = local.one.names
        if delta is None or local.by_parameters is None:
            unknown.update(own.values())
            return
        if names is not None and not set(own.values()) & set(names):
            return
        off = self._inputs_off[place]
        for name, signal in local.by_parameters.gradients(delta, off).items():
            full = own[name]
            if names is None or full in names:
                # A layer that is passed through twice has two parts of one gradient.
                found[full] = _sum(found[full], signal) if full in found else signal

    def _wanted_below(self, place: int, names: Collection[str] | None) -> bool:
        below = {name for local in self._layers[:place] for name in local.one.names.values()}
        return bool(below if names is None else below & set(names))

    def forms(self, found: Mapping[str, Signal]) -> dict[str, str]:
        """Return how the numbers of layers were found, by layer."""
        return {
            local.one.layer.name: FORMS[self._method]
            for local in self._layers
            if any(name in found for name in local.one.names.values())
        }


def _sum(one: Signal, other: Signal) -> Signal:
    values = one.values + other.values
    return Signal(values, one.bars + other.bars + EPSILON * np.abs(values))


def local_layers(
    passes: list[Pass], slopes: Mapping[int, Slopes], generator: np.random.Generator
) -> list[Local]:
    """Return the layers with what is known of them.

    Parameters
    ----------
    slopes: of the activations that work entry by entry, by the layer's place
    """
    return [
        Local(one, slopes.get(place), parameter_map(one, generator))
        for place, one in enumerate(passes)
    ]
