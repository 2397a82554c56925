"""Normalisation: entries with mean 0 and variance 1, then scaled and shifted.

Of inputs x (samples, features), along an axis with M entries,

    m    = mean x                        along the axis
    v    = mean (x - m)**2
    s    = sqrt(v + EPSILON)
    u    = (x - m) / s                   the normalised inputs
    y    = gamma u + beta                the outputs, (samples, features)

Batch normalisation takes mean and variance of each feature over the samples (axis 0); layer
normalisation those of each sample over its features (axis 1).

References
----------
Ioffe & Szegedy (2015), Batch Normalization, section 3, the equations below algorithm 1.
Ba, Kiros & Hinton (2016), Layer Normalization, section 3.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from mlp.activations import Activation, identity
from mlp.arrays import Array, LayerParameters
from mlp.layers import Dense, Layer
from mlp.losses import Loss
from mlp.network import Initialiser, Network

# Keeps the division defined where a feature is constant; the value usual in the literature.
EPSILON = 1e-5
BATCH_AXIS, FEATURE_AXIS = 0, 1


@dataclass(frozen=True, eq=False)
class NormalisationCache:
    """What the backward pass needs to remember of the forward pass."""

    normalised: Array  # u, (samples, features)
    scale: Array  # s, (1, features) or (samples, 1)
    gamma: Array  # (features,)
    outputs: Array  # y, (samples, features)


def normalise(parameters: LayerParameters, inputs: Array, axis: int) -> NormalisationCache:
    """Return the outputs, normalised along an axis, and what led to them.

    Parameters
    ----------
    parameters: "gamma" and "beta"; (features,) each.
    inputs: x; (samples, features).
    axis: BATCH_AXIS or FEATURE_AXIS.
    """
    centred = inputs - inputs.mean(axis=axis, keepdims=True)  # (samples, features)
    variance = (centred**2).mean(axis=axis, keepdims=True)  # (1, features) or (samples, 1)
    scale = np.sqrt(variance + EPSILON)  # (1, features) or (samples, 1)
    normalised = centred / scale  # (samples, features)
    outputs = parameters["gamma"] * normalised + parameters["beta"]  # (samples, features)
    return NormalisationCache(normalised, scale, parameters["gamma"], outputs)


def input_gradient(cache: NormalisationCache, upstream: Array, axis: int) -> Array:
    """Return dL/dx from the upstream dL/du.

    An input moves its own u, and all others along the axis through the mean and the variance:
    du_i/dx_j = ([i = j] - 1/M - u_i u_j / M) / s for M entries along the axis. Summed over i,

        dL/dx = (dL/du - mean dL/du - u mean(dL/du u)) / s
    """
    through_mean = upstream.mean(axis=axis, keepdims=True)  # (1, features) or (samples, 1)
    along_u = (upstream * cache.normalised).mean(axis=axis, keepdims=True)  # likewise
    through_variance = cache.normalised * along_u  # (samples, features)
    gradient: Array = (upstream - through_mean - through_variance) / cache.scale
    return gradient  # (samples, features)


def backward(cache: NormalisationCache, delta: Array, axis: int) -> tuple[Array, LayerParameters]:
    """Return dL/dx and the gradients of the parameters from delta = dL/dy, (samples, features).

    From y = gamma u + beta, with gamma and beta shared by the samples:

        dL/dgamma = sum_n delta u,    dL/dbeta = sum_n delta,    dL/du = delta gamma
    """
    gradients = {
        "gamma": (delta * cache.normalised).sum(axis=0),  # (features,)
        "beta": delta.sum(axis=0),  # (features,)
    }
    return input_gradient(cache, delta * cache.gamma, axis), gradients


@dataclass(frozen=True, eq=False)
class BatchNorm:
    """A layer that normalises each of its inputs over the batch, a = f(gamma u + beta).

    It stands between a dense layer, without an activation and without a bias, which the mean would
    take away again, and the activation f of that layer.

    These are the passes of training, with the statistics of the batch at hand: what comes out for a
    sample depends on the samples beside it. To predict for single samples, mean and variance of the
    training data have to take their place, such as running averages over the batches.

    Parameters
    ----------
    name: unique in its network.
    activation: f and f'.
    parameters: "gamma" and "beta"; (features,) each. The starting point: the passes are given the
        parameters to use.
    """

    name: str
    activation: Activation
    parameters: LayerParameters

    def __post_init__(self) -> None:
        """Check the names and shapes of the parameters."""
        if set(self.parameters) != {"gamma", "beta"}:
            raise ValueError(
                f"parameters of layer {self.name!r} must be 'gamma' and 'beta', "
                f"got {sorted(self.parameters)}"
            )
        shapes = {key: value.shape for key, value in self.parameters.items()}
        if len(shapes["gamma"]) != 1 or shapes["beta"] != shapes["gamma"]:
            raise ValueError(
                f"parameters of layer {self.name!r} must have shapes (features,), got {shapes}"
            )

    @property
    def fan_in(self) -> int:
        """Number of inputs per sample."""
        return len(self.parameters["gamma"])

    @property
    def fan_out(self) -> int:
        """Number of outputs per sample, as many as inputs."""
        return self.fan_in

    @property
    def linear_in(self) -> tuple[str, ...]:
        """Names of the parameters in which the pre-activations are linear: all of them."""
        return tuple(self.parameters)

    def preactivation(self, parameters: LayerParameters, inputs: Array) -> Array:
        """Return y = gamma u + beta, (batch, features)."""
        return normalise(parameters, inputs, BATCH_AXIS).outputs

    def activate(self, preactivation: Array) -> Array:
        """Return the outputs f(y), entry by entry."""
        return self.activation.function(preactivation)  # (batch, features)

    def forward(
        self, parameters: LayerParameters, inputs: Array
    ) -> tuple[Array, NormalisationCache]:
        """Return the outputs f(y), and what the backward pass will need."""
        cache = normalise(parameters, inputs, BATCH_AXIS)
        return self.activate(cache.outputs), cache  # (batch, features)

    def backward(self, cache: NormalisationCache, upstream: Array) -> tuple[Array, LayerParameters]:
        """Return dL/dx and the gradients of the parameters, from the upstream dL/da.

        Through the activation as in a dense layer, delta = dL/dy = dL/da f'(y), and then back
        through the normalisation.
        """
        delta = upstream * self.activation.derivative(cache.outputs)  # (batch, features)
        return backward(cache, delta, BATCH_AXIS)


def batch_norm_network(
    rng: np.random.Generator,
    sizes: Sequence[int],
    hidden_activation: Activation,
    output_activation: Activation,
    loss: Loss,
    *,
    initialiser: Initialiser,
    spread: float = 0.0,
) -> Network:
    """Return a network of dense layers with batch normalisation before every hidden activation.

    Parameters
    ----------
    rng, sizes, hidden_activation, output_activation, loss, initialiser: see `dense_network`. The
        dense layers are called "layer1", "layer2", ..., the normalisations "norm1", "norm2", ...
    spread: standard deviation of gamma around 1, and of beta around 0.
    """
    layers: list[Layer] = []
    for position, (fan_in, fan_out) in enumerate(pairwise(sizes[:-1]), start=1):
        weight = {"weight": initialiser(rng, fan_in, fan_out)}
        scaling = {
            "gamma": rng.normal(loc=1, scale=spread, size=fan_out),
            "beta": rng.normal(scale=spread, size=fan_out),
        }
        layers.append(Dense(f"layer{position}", identity, weight))
        layers.append(BatchNorm(f"norm{position}", hidden_activation, scaling))
    last = {"weight": initialiser(rng, *sizes[-2:]), "bias": np.zeros(sizes[-1])}
    layers.append(Dense(f"layer{len(sizes) - 1}", output_activation, last))
    return Network(tuple(layers), loss)
