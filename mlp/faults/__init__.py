"""A gallery of deliberate gradient bugs, by name: what a gradient check must find.

Each fault is a `mlp.problems.Problem` whose loss is right and whose gradient is wrong, in one
place and for one reason. `correct` and `correct_square` are the same problems without a fault.
Widths and batch are pairwise different and at least 5, so that no shape hides a mistake and no
wrong factor can be mistaken for another; only faults that need two equal shapes use the square
twin, where both hidden layers are 7 wide.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from mlp.activations import identity, sigmoid
from mlp.arrays import Array, LayerParameters, NetworkParameters
from mlp.initialisers import unit_normal
from mlp.layers import Dense, DenseCache
from mlp.losses import half_mean_squared_norm
from mlp.network import Network, dense_network
from mlp.problems import Problem, network_problem

Spoil = Callable[[NetworkParameters], None]
Rebuild = Callable[[Network], Network]

INPUTS, HIDDEN, SQUARE_HIDDEN, OUTPUTS, BATCH = 6, (8, 7), (7, 7), 5, 11
# Weight decay that the gradient has and the loss lacks, large enough to be seen everywhere.
DECAY = 0.1


class Factory(Protocol):
    """Makes the problem of a fault; the seed draws the network and its data."""

    __name__: str
    __qualname__: str

    def __call__(self, seed: int = 0) -> Problem:
        """Return the problem."""
        ...


# Filled by the decorators below: name of the fault -> its problem for a seed.
FAULTS: dict[str, Factory] = {}
SPOILS: dict[str, Spoil] = {}


def correct(seed: int = 0) -> Problem:
    """Return the 6-8-7-5 network without a fault: sigmoids, and all weights of unit scale."""
    return _twin("correct", HIDDEN, seed)


def correct_square(seed: int = 0) -> Problem:
    """Return the 6-7-7-5 network without a fault: the second weight is square."""
    return _twin("correct_square", SQUARE_HIDDEN, seed)


def _twin(name: str, hidden: tuple[int, int], seed: int) -> Problem:
    rng = np.random.default_rng(seed)
    sizes = (INPUTS, *hidden, OUTPUTS)
    network = dense_network(
        rng,
        sizes,
        sigmoid,
        identity,
        half_mean_squared_norm,
        initialiser=unit_normal,
        bias_scale=0.5,
    )
    inputs = rng.standard_normal((BATCH, INPUTS))
    targets = rng.standard_normal((BATCH, OUTPUTS))
    return network_problem(name, network, inputs, targets)


@dataclass(frozen=True)
class SpoiltGradient:
    """The correct gradient with a fault applied to it, found by name so that it can be pickled."""

    fault: str
    correct: Callable[..., NetworkParameters]

    def __call__(self, parameters: NetworkParameters, *args: Array) -> NetworkParameters:
        """Return the wrong gradient."""
        gradient = self.correct(parameters, *args)
        SPOILS[self.fault](gradient)
        return gradient


def _spoils_gradient_of(twin: Factory) -> Callable[[Spoil], Factory]:
    """Turn a function that spoils a gradient in place into the factory of a fault."""

    def decorate(spoil: Spoil) -> Factory:
        name = spoil.__name__
        SPOILS[name] = spoil

        def factory(seed: int = 0) -> Problem:
            problem = twin(seed)
            return replace(problem, name=name, gradient=SpoiltGradient(name, problem.gradient))

        return _catalogued(factory, spoil)

    return decorate


def _rebuilds_network_of(twin: Factory) -> Callable[[Rebuild], Factory]:
    """Turn a function that builds the bug into a network into the factory of a fault."""

    def decorate(rebuild: Rebuild) -> Factory:
        def factory(seed: int = 0) -> Problem:
            problem = twin(seed)
            assert problem.network is not None
            return network_problem(rebuild.__name__, rebuild(problem.network), *problem.args)

        return _catalogued(factory, rebuild)

    return decorate


def _catalogued(factory: Factory, described: Callable[..., object]) -> Factory:
    factory.__name__ = factory.__qualname__ = described.__name__
    factory.__doc__ = described.__doc__
    FAULTS[described.__name__] = factory
    return factory


def _with_second_layer(network: Network, faulty: type[Dense]) -> Network:
    first, second, third = network.layers
    layer = faulty(second.name, second.activation, second.parameters)
    return replace(network, layers=(first, layer, third))


def _median_entry(array: Array) -> tuple[np.intp, ...]:
    return np.unravel_index(np.argsort(np.abs(array), axis=None)[array.size // 2], array.shape)


class _NoActivationDerivative(Dense):
    def delta(self, cache: DenseCache, upstream: Array) -> Array:
        return upstream


class _ActivationForDerivative(Dense):
    def delta(self, cache: DenseCache, upstream: Array) -> Array:
        return upstream * self.activation.function(cache.preactivation)


class _BiasOfFirstSample(Dense):
    def backward(self, cache: DenseCache, upstream: Array) -> tuple[Array, LayerParameters]:
        input_gradient, gradients = super().backward(cache, upstream)
        return input_gradient, gradients | {"bias": self.delta(cache, upstream)[0]}


class _BiasOfNeighbour(Network):
    def backward(
        self, parameters: NetworkParameters, inputs: Array, targets: Array
    ) -> NetworkParameters:
        gradient = super().backward(parameters, inputs, targets)
        gradient["layer2"]["bias"] = gradient["layer1"]["bias"].copy()
        return gradient


class _DecayInBackward(Network):
    def backward(
        self, parameters: NetworkParameters, inputs: Array, targets: Array
    ) -> NetworkParameters:
        gradient = super().backward(parameters, inputs, targets)
        for layer in self.layers:
            gradient[layer.name]["weight"] += DECAY * parameters[layer.name]["weight"]
        return gradient


@_spoils_gradient_of(correct_square)
def transposed_weight(gradient: NetworkParameters) -> None:
    """layer2.weight's gradient is transposed: delta^T x, the formula for samples in columns."""
    gradient["layer2"]["weight"] = gradient["layer2"]["weight"].T.copy()


@_spoils_gradient_of(correct)
def missing_batch_mean(gradient: NetworkParameters) -> None:
    """Every gradient is a sum over the batch: the loss divides by its size, its gradient forgot."""
    for parameters in gradient.values():
        for name in parameters:
            parameters[name] *= BATCH


@_spoils_gradient_of(correct)
def factor_two(gradient: NetworkParameters) -> None:
    """layer2.weight's gradient is doubled: a square was differentiated, its 1/2 overlooked."""
    gradient["layer2"]["weight"] *= 2


@_spoils_gradient_of(correct)
def bias_sign(gradient: NetworkParameters) -> None:
    """layer2.bias's gradient is negated: a threshold, subtracted, became a bias, added."""
    gradient["layer2"]["bias"] *= -1


@_rebuilds_network_of(correct)
def missing_activation_derivative(network: Network) -> Network:
    """layer2 takes its upstream for its delta: f' was forgotten on the way back."""
    return _with_second_layer(network, _NoActivationDerivative)


@_rebuilds_network_of(correct)
def activation_for_derivative(network: Network) -> Network:
    """layer2 multiplies its upstream by f where f' belongs: the wrong one of two similar names."""
    return _with_second_layer(network, _ActivationForDerivative)


@_rebuilds_network_of(correct)
def bias_first_sample(network: Network) -> Network:
    """layer2.bias's gradient is one sample's delta, not the sum: written for a batch of one."""
    return _with_second_layer(network, _BiasOfFirstSample)


@_spoils_gradient_of(correct)
def zeroed_column(gradient: NetworkParameters) -> None:
    """One column of layer2.weight's gradient is zero: a loop over units that ends too early."""
    gradient["layer2"]["weight"][:, -1] = 0


@_spoils_gradient_of(correct)
def entry_off_by_percent(gradient: NetworkParameters) -> None:
    """One entry of layer2.weight's gradient is 1 % too large: an index that is hit too often."""
    gradient["layer2"]["weight"][_median_entry(gradient["layer2"]["weight"])] *= 1.01


@_spoils_gradient_of(correct)
def entry_off_by_1e_5(gradient: NetworkParameters) -> None:
    """One entry of layer2.weight's gradient is off by 1e-5 of itself: a rounded constant."""
    gradient["layer2"]["weight"][_median_entry(gradient["layer2"]["weight"])] *= 1 + 1e-5


@_spoils_gradient_of(correct_square)
def swapped_parameters(gradient: NetworkParameters) -> None:
    """layer1.bias and layer2.bias exchange their gradients: a list returned out of order."""
    first, second = gradient["layer1"], gradient["layer2"]
    first["bias"], second["bias"] = second["bias"], first["bias"]


@_spoils_gradient_of(correct)
def rolled_rows(gradient: NetworkParameters) -> None:
    """layer2.weight's gradient is one row too far down: indices from 1 met indices from 0."""
    gradient["layer2"]["weight"] = np.roll(gradient["layer2"]["weight"], 1, axis=0)


@_spoils_gradient_of(correct)
def detached_layer(gradient: NetworkParameters) -> None:
    """layer1's gradients are zero: the backward loop stops before it reaches the first layer."""
    for array in gradient["layer1"].values():
        array[...] = 0


@_rebuilds_network_of(correct)
def decay_in_gradient_only(network: Network) -> Network:
    """Every weight's gradient has DECAY * weight added: regularisation that the loss lacks."""
    return _DecayInBackward(network.layers, network.loss)


@_rebuilds_network_of(correct_square)
def wrong_layer(network: Network) -> Network:
    """layer2.bias gets layer1.bias's gradient: a slip of an index, found in print as well."""
    return _BiasOfNeighbour(network.layers, network.loss)
