"""Batch and layer normalisation as functions of their inputs, gamma and beta.

The formulas are in `mlp.normalisation`; here the inputs are a parameter like the others.
"""

import numpy as np

from mlp import normalisation
from mlp.arrays import Array, LayerParameters, Scalar
from mlp.functions.squared_error import half_squared_error, squared_error_delta
from mlp.normalisation import BATCH_AXIS, FEATURE_AXIS, NormalisationCache
from mlp.problem import Problem


def forward(parameters: LayerParameters, axis: int) -> NormalisationCache:
    """Return the outputs, normalised along an axis, and what led to them."""
    return normalisation.normalise(parameters, parameters["inputs"], axis)


def backward(cache: NormalisationCache, delta: Array, axis: int) -> LayerParameters:
    """Return the gradients from delta = dL/dy, (samples, features)."""
    input_gradient, gradients = normalisation.backward(cache, delta, axis)
    return {"inputs": input_gradient, **gradients}


def batch_norm_loss(parameters: LayerParameters, targets: Array) -> Scalar:
    """Return the squared error of the batch-normalised inputs."""
    return half_squared_error(forward(parameters, BATCH_AXIS).outputs, targets)


def batch_norm_gradient(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """Return the gradient of the loss."""
    cache = forward(parameters, BATCH_AXIS)
    delta = squared_error_delta(cache.outputs, targets)  # (samples, features)
    return backward(cache, delta, BATCH_AXIS)


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
    return backward(cache, delta, FEATURE_AXIS)


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
