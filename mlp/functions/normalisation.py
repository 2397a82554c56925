"""Batch and layer normalisation: entries with mean 0 and variance 1, then scaled and shifted.

    m    = mean x                        over the normalised axis
    v    = mean (x - m)**2
    s    = sqrt(v + EPSILON)
    u    = (x - m) / s                   the normalised inputs
    y    = gamma u + beta                the outputs, (samples, features)

Batch normalisation takes mean and variance of each feature over the samples (axis 0), in training
mode; layer normalisation those of each sample over its features (axis 1).

References
----------
Ioffe & Szegedy (2015), Batch Normalization, section 3, the equations below algorithm 1.
Ba, Kiros & Hinton (2016), Layer Normalization, section 3.
"""

from dataclasses import dataclass

import numpy as np

from mlp.arrays import Array, LayerParameters, Scalar
from mlp.functions.squared_error import half_squared_error, squared_error_delta
from mlp.problem import Problem

# Keeps the division defined where a feature is constant; the value usual in the literature.
EPSILON = 1e-5
BATCH_AXIS, FEATURE_AXIS = 0, 1


@dataclass(frozen=True, eq=False)
class NormalisationCache:
    """What the backward pass needs to remember of the forward pass."""

    normalised: Array  # u, (samples, features)
    scale: Array  # s, (1, features) or (samples, 1)
    outputs: Array  # y, (samples, features)


def forward(parameters: LayerParameters, axis: int) -> NormalisationCache:
    """Return the outputs, normalised over an axis, and what led to them."""
    inputs = parameters["inputs"]  # (samples, features)
    centred = inputs - inputs.mean(axis=axis, keepdims=True)
    variance = (centred**2).mean(axis=axis, keepdims=True)
    scale = np.sqrt(variance + EPSILON)
    normalised = centred / scale
    outputs = parameters["gamma"] * normalised + parameters["beta"]
    return NormalisationCache(normalised, scale, outputs)


def input_gradient(cache: NormalisationCache, upstream: Array, axis: int) -> Array:
    """Return dL/dx from the upstream dL/du.

    An input moves its own u, and all others along the axis through the mean and the variance:
    du_i/dx_j = ([i = j] - 1/M - u_i u_j / M) / s for M entries along the axis. Summed over i,

        dL/dx = (dL/du - mean dL/du - u mean(dL/du u)) / s
    """
    through_mean = upstream.mean(axis=axis, keepdims=True)
    through_variance = cache.normalised * (upstream * cache.normalised).mean(
        axis=axis, keepdims=True
    )
    gradient: Array = (upstream - through_mean - through_variance) / cache.scale
    return gradient  # (samples, features)


def backward(
    parameters: LayerParameters, cache: NormalisationCache, delta: Array, axis: int
) -> LayerParameters:
    """Return the gradients from delta = dL/dy, (samples, features).

    From y = gamma u + beta, with gamma and beta shared by the samples:

        dL/dgamma = sum_n delta u,    dL/dbeta = sum_n delta,    dL/du = delta gamma
    """
    return {
        "inputs": input_gradient(cache, delta * parameters["gamma"], axis),
        "gamma": (delta * cache.normalised).sum(axis=0),  # (features,)
        "beta": delta.sum(axis=0),  # (features,)
    }


def batch_norm_loss(parameters: LayerParameters, targets: Array) -> Scalar:
    """Return the squared error of the batch-normalised inputs."""
    return half_squared_error(forward(parameters, BATCH_AXIS).outputs, targets)


def batch_norm_gradient(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """Return the gradient of the loss."""
    cache = forward(parameters, BATCH_AXIS)
    delta = squared_error_delta(cache.outputs, targets)  # (samples, features)
    return backward(parameters, cache, delta, BATCH_AXIS)


def batch_norm(seed: int = 0) -> Problem:
    """Return batch normalisation of 7 samples with 4 features, inputs included."""
    parameters, targets = _point(seed, (7, 4))
    return Problem(
        name="batch_norm",
        loss=batch_norm_loss,
        gradient=batch_norm_gradient,
        parameters=parameters,
        args=(targets,),
        sizes={"batch": 7, "features": 4},
    )


def layer_norm_loss(parameters: LayerParameters, targets: Array) -> Scalar:
    """Return the squared error of the layer-normalised inputs."""
    return half_squared_error(forward(parameters, FEATURE_AXIS).outputs, targets)


def layer_norm_gradient(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """Return the gradient of the loss."""
    cache = forward(parameters, FEATURE_AXIS)
    delta = squared_error_delta(cache.outputs, targets)  # (samples, features)
    return backward(parameters, cache, delta, FEATURE_AXIS)


def layer_norm(seed: int = 0) -> Problem:
    """Return layer normalisation of 5 samples with 6 features, inputs included."""
    parameters, targets = _point(seed, (5, 6))
    return Problem(
        name="layer_norm",
        loss=layer_norm_loss,
        gradient=layer_norm_gradient,
        parameters=parameters,
        args=(targets,),
        sizes={"batch": 5, "features": 6},
    )


def _point(seed: int, shape: tuple[int, int]) -> tuple[LayerParameters, Array]:
    rng = np.random.default_rng(seed)
    features = shape[1]
    parameters = {
        "inputs": 1 + 2 * rng.standard_normal(shape),
        "gamma": rng.uniform(0.5, 1.5, features),
        "beta": rng.standard_normal(features),
    }
    return parameters, rng.standard_normal(shape)
