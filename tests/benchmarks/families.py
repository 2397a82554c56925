"""Eleven families of gradients that are right but hard to confirm, each with its true slopes.

A family makes a case from a random generator: a loss, its analytic gradient, a point, and the
entries to compare there with slopes from an oracle that shares no derivative with the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from perceptron import COMPLEX_STEP, Parameters, random_perceptron

ENTRIES = 5
SMOOTH_ACTIVATIONS = ("tanh", "sigmoid")
LOSSES = ("mse", "ce")
# Slopes to the left and right that differ by less than this part are one slope, rounded.
SAME_SLOPE = 1e-15


@dataclass(frozen=True)
class Entry:
    """One entry to compare, with its true slopes, which differ at a kink only."""

    name: str
    position: int
    left: float
    right: float

    @property
    def at_kink(self) -> bool:
        """Whether the loss has no derivative along this entry."""
        size = max(abs(self.left), abs(self.right))
        return abs(self.left - self.right) > SAME_SLOPE * size

    def holds(self, slope: float, allowed: float = 0.0) -> bool:
        """Return whether a slope is the derivative, or a subgradient, give or take `allowed`."""
        low, high = min(self.left, self.right), max(self.left, self.right)
        return low - allowed <= slope <= high + allowed


@dataclass(frozen=True)
class Case:
    """A loss with a right gradient, and where to compare the two.

    Attributes
    ----------
    loss, gradient: the code under test; the gradient is right up to the rounding of its precision
    parameters: the point, by parameter name
    entries: what to compare, with the true slopes
    """

    loss: Callable[[Parameters], Any]
    gradient: Callable[[Parameters], dict[str, np.ndarray]]
    parameters: dict[str, np.ndarray]
    entries: tuple[Entry, ...]


Family = Callable[[np.random.Generator], Case]
Slope = Callable[[str, int], float]


def smooth_scales(rng: np.random.Generator) -> Case:
    """Parameters and losses of size 1e-8 to 1e8, weights of 1e-6 beside weights of 1."""
    size, count = 10 ** rng.uniform(-8, 8), 12
    height, weights = 10 ** rng.uniform(-8, 8), 10 ** rng.uniform(-6, 0, count)
    kind = rng.integers(0, 4, count)
    point = size * rng.standard_normal(count)

    def loss(parameters):
        z = parameters["x"] / size
        terms = (np.sin(z), np.exp(-z * z / 2), z**3 / 3 + z, np.log1p(z * z))
        return height * np.sum(weights * np.choose(kind, terms))

    def gradient(parameters):
        z = parameters["x"] / size
        slopes = (np.cos(z), -z * np.exp(-z * z / 2), z * z + 1, 2 * z / (1 + z * z))
        return {"x": height * weights * np.choose(kind, slopes) / size}

    return _vector_case(rng, loss, gradient, point)


def narrow_features(rng: np.random.Generator) -> Case:
    """Waves much shorter, 1e-4 to 1, than the size 1 of the parameters suggests."""
    length, height, count = 10 ** rng.uniform(-4, 0), 10 ** rng.uniform(-3, 3), 8
    phase, point = rng.uniform(0, 2 * np.pi, count), 1 + 0.5 * rng.standard_normal(count)

    def loss(parameters):
        return height * length * np.sum(np.sin(parameters["x"] / length + phase))

    def gradient(parameters):
        return {"x": height * np.cos(parameters["x"] / length + phase)}

    return _vector_case(rng, loss, gradient, point)


def smooth_network(rng: np.random.Generator) -> Case:
    """A tanh or sigmoid network in float64."""
    network, parameters = random_perceptron(rng, _any(rng, SMOOTH_ACTIVATIONS), _any(rng, LOSSES))
    return _case(rng, network.loss, network.gradient, parameters, _smooth(network, parameters))


def saturated_sigmoids(rng: np.random.Generator) -> Case:
    """Sigmoids with weights 10 to 100 times too large, hardly any of which has a slope left."""
    network, parameters = _saturated(rng)
    return _case(rng, network.loss, network.gradient, parameters, _smooth(network, parameters))


def saturated_extended(rng: np.random.Generator) -> Case:
    """The same with a loss in extended precision, 80 bits where the machine has them."""
    network, parameters = _saturated(rng)
    extended = network.in_precision(np.longdouble)
    wide = {name: array.astype(np.longdouble) for name, array in parameters.items()}

    def gradient(given):
        return network.gradient({name: array.astype(float) for name, array in given.items()})

    return _case(rng, extended.loss, gradient, wide, _smooth(network, parameters))


def pure_float32(rng: np.random.Generator) -> Case:
    """A network whose code stays in float32, whatever it is given."""
    network, narrow = _in_float32(rng)

    def loss(given):
        return network.loss(_narrowed(given))

    def gradient(given):
        return network.gradient(_narrowed(given))

    return _case(rng, loss, gradient, narrow, _smooth(network, narrow))


def float32_gradient(rng: np.random.Generator) -> Case:
    """A network in float32 whose code takes the precision of the parameters it is given."""
    network, narrow = _in_float32(rng)
    return _case(rng, network.loss, network.gradient, narrow, _smooth(network, narrow))


def hidden_float32(rng: np.random.Generator) -> Case:
    """Float64 parameters and gradient, but the loss computes in float32 inside."""
    network, parameters = random_perceptron(rng, "tanh", "mse")
    inner = network.in_precision(np.float32)

    def loss(given):
        return float(inner.loss(_narrowed(given)))

    return _case(rng, loss, network.gradient, parameters, _smooth(network, parameters))


def near_kink(rng: np.random.Generator) -> Case:
    """A ReLU network with one unit 1e-9 to 1e-2 from its kink, for one sample."""
    network, parameters = random_perceptron(rng, "relu", _any(rng, LOSSES))
    unit, sample = rng.integers(len(parameters["b1"])), rng.integers(len(network.inputs))
    distance = rng.choice([-1.0, 1.0]) * 10 ** rng.uniform(-9, -2)
    z = network.inputs[sample] @ parameters["W1"][:, unit] + parameters["b1"][unit]
    parameters["b1"][unit] -= z - distance
    slope = _smooth(network, parameters)
    case = _case(rng, network.loss, network.gradient, parameters, slope, count=ENTRIES - 1)
    others = [entry for entry in case.entries if (entry.name, entry.position) != ("b1", unit)]
    entries = (_smooth_entry(slope, "b1", int(unit)), *others)
    return Case(network.loss, network.gradient, parameters, entries)


def at_kink(rng: np.random.Generator) -> Case:
    """A ReLU network with zero biases and a sample of zeros: its units are at their kinks."""
    network, parameters = random_perceptron(rng, "relu", "mse")
    network.inputs[0] = 0.0
    parameters["b1"][:] = 0.0
    chosen = rng.choice(parameters["b1"].size, ENTRIES, replace=False)
    entries = tuple(
        Entry("b1", int(i), *(network.slope(parameters, "b1", int(i), side) for side in (-1, 1)))
        for i in chosen
    )
    return Case(network.loss, network.gradient, parameters, entries)


def noisy_loss(rng: np.random.Generator) -> Case:
    """A loss with fresh noise in every call, 1e-10 to 1e-6 of itself."""
    network, parameters = random_perceptron(rng, "tanh", "mse")
    level, source = 10 ** rng.uniform(-10, -6), np.random.default_rng(rng.integers(2**32))

    def loss(given):
        return network.loss(given) * (1 + level * source.standard_normal())

    return _case(rng, loss, network.gradient, parameters, _smooth(network, parameters))


FAMILIES: dict[str, Family] = {
    "smooth, scales 1e-8..1e8": smooth_scales,
    "narrow features": narrow_features,
    "smooth network": smooth_network,
    "saturated sigmoids": saturated_sigmoids,
    "saturated, extended loss": saturated_extended,
    "pure float32": pure_float32,
    "float32 gradient": float32_gradient,
    "hidden float32": hidden_float32,
    "near a kink": near_kink,
    "exactly at a kink": at_kink,
    "noisy loss": noisy_loss,
}


def make_case(family: str, seed: int, number: int) -> Case:
    """Return one case of a family; the same seed and number always give the same case."""
    place = list(FAMILIES).index(family)
    return FAMILIES[family](np.random.default_rng([seed, place, number]))


def _any(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    return choices[rng.integers(len(choices))]


def _saturated(rng):
    return random_perceptron(rng, "sigmoid", _any(rng, LOSSES), gain=10 ** rng.uniform(1, 2))


def _in_float32(rng):
    network, parameters = random_perceptron(rng, _any(rng, SMOOTH_ACTIVATIONS), _any(rng, LOSSES))
    return network.in_precision(np.float32), _narrowed(parameters)


def _narrowed(parameters: Parameters) -> dict[str, np.ndarray]:
    return {name: array.astype(np.float32) for name, array in parameters.items()}


def _smooth(network, parameters) -> Slope:
    return lambda name, position: network.slope(parameters, name, position)


def _smooth_entry(slope: Slope, name: str, position: int) -> Entry:
    true = slope(name, position)
    return Entry(name, position, true, true)


def _vector_case(rng, loss, gradient, point) -> Case:
    def slope(name: str, position: int) -> float:
        moved = point.astype(np.clongdouble)
        moved[position] += COMPLEX_STEP * 1j
        return float(np.imag(loss({name: moved})) / np.longdouble(COMPLEX_STEP))

    return _case(rng, loss, gradient, {"x": point}, slope)


def _case(rng, loss, gradient, parameters, slope: Slope, *, count: int = ENTRIES) -> Case:
    """Return a case with entries drawn from those whose gradient is not zero."""
    found = gradient(parameters)
    places = [(name, int(i)) for name in found for i in np.flatnonzero(found[name])]
    chosen = rng.choice(len(places), min(count, len(places)), replace=False)
    entries = tuple(_smooth_entry(slope, *places[i]) for i in sorted(chosen))
    return Case(loss, gradient, parameters, entries)


def chosen_families(names: Iterable[str]) -> list[str]:
    """Return the families that one of these words occurs in; all where there are none."""
    words = list(names)
    return [name for name in FAMILIES if not words or any(word in name for word in words)]
