"""What goes wrong in batch and layer normalisation: mostly the paths through the statistics."""

from dataclasses import replace

import numpy as np

from mlp.arrays import Array, LayerParameters
from mlp.faults.catalogue import replaces_gradient
from mlp.functions.normalisation import (
    backward,
    batch_norm,
    batch_norm_gradient,
    forward,
    layer_norm,
    layer_norm_gradient,
)
from mlp.functions.squared_error import squared_error_delta
from mlp.normalisation import BATCH_AXIS, EPSILON, FEATURE_AXIS, input_gradient


@replaces_gradient(batch_norm, wrong={"inputs"}, causes={"unexplained"})
def batch_norm_constant_statistics(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """dL/dx = gamma delta / s: mean and variance are taken for constants, as in evaluation mode."""
    cache = forward(parameters, BATCH_AXIS)
    delta = squared_error_delta(cache.outputs, targets)  # (samples, features)
    inputs = parameters["gamma"] * delta / cache.scale
    return batch_norm_gradient(parameters, targets) | {"inputs": inputs}


@replaces_gradient(batch_norm, wrong={"inputs"}, causes={"unexplained"})
def batch_norm_constant_variance(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """dL/dx has the path through the mean, but none through the variance."""
    cache = forward(parameters, BATCH_AXIS)
    upstream = parameters["gamma"] * squared_error_delta(cache.outputs, targets)
    inputs = (upstream - upstream.mean(axis=0)) / cache.scale
    return batch_norm_gradient(parameters, targets) | {"inputs": inputs}


# EPSILON keeps gamma's error from being the factor sqrt(6 / 7) exactly: it is to about five digits.
@replaces_gradient(batch_norm, wrong={"inputs", "gamma"}, causes={"constant_factor", "unexplained"})
def batch_norm_unbiased_variance(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """Backward, the variance is divided by N - 1, a library's default; forward, by N."""
    cache = forward(parameters, BATCH_AXIS)
    delta = squared_error_delta(cache.outputs, targets)
    inputs = parameters["inputs"]
    scale = np.sqrt(inputs.var(axis=0, ddof=1, keepdims=True) + EPSILON)  # (1, features)
    recomputed = replace(cache, normalised=(inputs - inputs.mean(axis=0)) / scale, scale=scale)
    return backward(recomputed, delta, BATCH_AXIS)


@replaces_gradient(batch_norm, wrong={"gamma"}, causes={"unexplained"})
def batch_norm_gamma_of_inputs(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """dL/dgamma = sum delta x, with the inputs as they came where the normalised ones belong."""
    delta = squared_error_delta(forward(parameters, BATCH_AXIS).outputs, targets)
    gamma = (delta * parameters["inputs"]).sum(axis=0)
    return batch_norm_gradient(parameters, targets) | {"gamma": gamma}


@replaces_gradient(layer_norm, wrong={"inputs"}, causes={"unexplained"})
def layer_norm_batch_axis(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """dL/dx takes its means over the samples, as batch normalisation does."""
    cache = forward(parameters, FEATURE_AXIS)
    upstream = parameters["gamma"] * squared_error_delta(cache.outputs, targets)
    inputs = input_gradient(cache, upstream, BATCH_AXIS)
    return layer_norm_gradient(parameters, targets) | {"inputs": inputs}


@replaces_gradient(layer_norm, wrong={"inputs"}, causes={"unexplained"})
def layer_norm_without_gamma(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """dL/dx starts from dL/dy where dL/du = gamma dL/dy belongs."""
    cache = forward(parameters, FEATURE_AXIS)
    delta = squared_error_delta(cache.outputs, targets)
    inputs = input_gradient(cache, delta, FEATURE_AXIS)
    return layer_norm_gradient(parameters, targets) | {"inputs": inputs}


@replaces_gradient(layer_norm, wrong={"beta"}, causes={"batch_size_factor", "batch_reduction"})
def layer_norm_mean_of_beta(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """dL/dbeta is the mean of delta, which has been divided by the batch size already."""
    delta = squared_error_delta(forward(parameters, FEATURE_AXIS).outputs, targets)
    return layer_norm_gradient(parameters, targets) | {"beta": delta.mean(axis=0)}
