"""How a layer's pre-activations depend on its parameters and inputs, as a linear map at the point.

The transposes of these maps turn any signal at the pre-activations into the gradients that a right
backward would make of it. They come from the forward pass alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np

from gradcheck.diagnosis.slopes import Differentiator, entry_lines
from gradcheck.directions import Floats, norm

Preactivation = Callable[[Mapping[str, Any], Any], Any]

# A formula is a layer's own where both give the same numbers up to this.
SAME = 1e-12
# Calls that the derivatives by all parameters and inputs of a layer without a known formula may
# take, and numbers in the matrix of them: beyond, it would take too long to be worth it.
MOST_CALLS = 4_000
MOST_DERIVATIVES = 8_000_000


class LinearPart(Protocol):
    """The linear map from changes of parameters and inputs to changes of pre-activations."""

    def gradients(self, delta: Floats) -> dict[str, Floats]:
        """Return what the gradients of the parameters are for this delta."""

    def input_gradient(self, delta: Floats) -> Floats:
        """Return what the gradient at the inputs is for this delta."""


@dataclass(frozen=True)
class Identity:
    """No parameters: the inputs are the pre-activations."""

    def gradients(self, delta: Floats) -> dict[str, Floats]:
        """Return nothing."""
        return {}

    def input_gradient(self, delta: Floats) -> Floats:
        """Return delta."""
        return delta


@dataclass(frozen=True)
class Given:
    """The one parameter is what the next layer gets.

    Attributes
    ----------
    name: of the parameter
    """

    name: str

    def gradients(self, delta: Floats) -> dict[str, Floats]:
        """Return delta."""
        return {self.name: delta}

    def input_gradient(self, delta: Floats) -> Floats:
        """Return nothing, as there are no inputs."""
        return np.zeros(0)


@dataclass(frozen=True, eq=False)
class Dense:
    """z = x W + b, or with W transposed, or with samples in columns.

    Attributes
    ----------
    inputs: x, as the layer gets it
    weight: W, as the layer holds it
    weight_name, bias_name: what the layer calls them; "" for no bias
    bias_shape: of b, as the layer holds it
    transposed: W has a row per output
    columns: samples are columns of x and z
    """

    inputs: Floats
    weight: Floats
    weight_name: str
    bias_name: str
    bias_shape: tuple[int, ...]
    transposed: bool
    columns: bool

    @property
    def sample_axis(self) -> int:
        """Which axis of inputs, pre-activations and delta counts the samples."""
        return 1 if self.columns else 0

    def rows(self, array: Floats) -> Floats:
        """Return inputs or a delta with samples in rows, or such rows as the layer has them."""
        return array.T if self.columns else array

    def as_held(self, matrix: Floats) -> Floats:
        """Return a matrix (fan_in, fan_out) as the layer holds its weight, or the reverse."""
        return matrix.T if self.transposed else matrix

    def weight_gradient(self, inputs: Floats, delta: Floats) -> Floats:
        """Return the gradient of the weight for other inputs."""
        return self.as_held(self.rows(inputs).T @ self.rows(delta))

    def gradients(self, delta: Floats) -> dict[str, Floats]:
        """Return x^T delta and the sum of delta over the samples."""
        found = {self.weight_name: self.weight_gradient(self.inputs, delta)}
        if self.bias_name:
            found[self.bias_name] = self.rows(delta).sum(axis=0).reshape(self.bias_shape)
        return found

    def input_gradient(self, delta: Floats) -> Floats:
        """Return delta W^T."""
        return self.through(delta, self.weight)

    def through(self, delta: Floats, weight: Floats) -> Floats:
        """Return delta W^T for another weight of the layer's shape."""
        return self.rows(self.rows(delta) @ self.as_held(weight).T)

    def preactivations(self, parameters: Mapping[str, Any], inputs: Floats) -> Floats:
        """Return z by the formula."""
        z = self.rows(inputs) @ self.as_held(parameters[self.weight_name])
        if self.bias_name:
            z = z + np.reshape(parameters[self.bias_name], -1)
        return self.rows(z)


class Jacobians:
    """A layer of any kind, small enough to take every derivative of."""

    def __init__(
        self,
        preactivation: Preactivation,
        parameters: Mapping[str, Floats],
        inputs: Floats,
        differentiator: Differentiator,
    ) -> None:
        self._preactivation = preactivation
        self._parameters = parameters
        self._inputs = inputs
        self._differentiator = differentiator

    def gradients(self, delta: Floats) -> dict[str, Floats]:
        """Return the gradients as products with every derivative."""
        return {
            name: (self._of_parameters[name] @ delta.reshape(-1)).reshape(array.shape)
            for name, array in self._parameters.items()
        }

    def input_gradient(self, delta: Floats) -> Floats:
        """Return the gradient as a product with every derivative."""
        return (self._of_inputs @ delta.reshape(-1)).reshape(self._inputs.shape)

    @cached_property
    def _of_parameters(self) -> dict[str, Floats]:
        return {
            name: self._rows(array, partial(self._with, name))
            for name, array in self._parameters.items()
        }

    @cached_property
    def _of_inputs(self) -> Floats:
        return self._rows(self._inputs, lambda moved: self._preactivation(self._parameters, moved))

    def _with(self, name: str, moved: Any) -> Any:
        return self._preactivation({**self._parameters, name: moved}, self._inputs)

    def _rows(self, array: Floats, function: Callable[[Any], Any]) -> Floats:
        return np.stack(
            [self._differentiator.slope(line).reshape(-1) for line in entry_lines(array, function)]
        )


def linear_part(
    preactivation: Preactivation,
    parameters: Mapping[str, Floats],
    inputs: Floats,
    differentiator: Differentiator,
    generator: np.random.Generator,
) -> LinearPart | None:
    """Return the map of a layer: by its formula if it is dense, else from all derivatives.

    None where it is neither dense nor small.
    """
    z = np.asarray(preactivation(parameters, inputs))
    for form in dense_forms(parameters, inputs, z):
        if _is_formula(form, preactivation, parameters, inputs, generator):
            return form
    entries = inputs.size + sum(array.size for array in parameters.values())
    if entries * differentiator.calls > MOST_CALLS or entries * z.size > MOST_DERIVATIVES:
        return None
    return Jacobians(preactivation, parameters, inputs, differentiator)


def dense_forms(parameters: Mapping[str, Floats], inputs: Floats, z: Floats) -> Iterator[Dense]:
    """Yield every way in which a layer may hold x W + b, by the shapes of its arrays."""
    weights = [name for name, array in parameters.items() if array.ndim == 2]
    if not (inputs.ndim == z.ndim == 2 and len(parameters) <= 2):
        return
    for name in weights:
        (bias,) = [other for other in parameters if other != name] or [""]
        shape = parameters[bias].shape if bias else ()
        for columns in (False, True):
            fan_in, fan_out = inputs.shape[1 - columns], z.shape[1 - columns]
            if inputs.shape[columns] != z.shape[columns]:
                continue
            if bias and (parameters[bias].size != fan_out or len(shape) > 2):
                continue
            for transposed in (False, True):
                wanted = (fan_out, fan_in) if transposed else (fan_in, fan_out)
                if parameters[name].shape == wanted:
                    yield Dense(inputs, parameters[name], name, bias, shape, transposed, columns)


def _is_formula(
    form: Dense,
    preactivation: Preactivation,
    parameters: Mapping[str, Floats],
    inputs: Floats,
    generator: np.random.Generator,
) -> bool:
    """Return whether a formula gives what the layer does, here and elsewhere."""
    elsewhere = {
        name: array + generator.standard_normal(array.shape) for name, array in parameters.items()
    }
    moved = inputs + generator.standard_normal(inputs.shape)
    for given in ((parameters, inputs), (elsewhere, inputs), (elsewhere, moved)):
        z, formula = np.asarray(preactivation(*given)), form.preactivations(*given)
        if z.shape != formula.shape or not norm(z - formula) <= SAME * norm(z):
            return False
    return True
