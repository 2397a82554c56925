"""What goes wrong in a convolution: indices that run the wrong way, and borders."""

from dataclasses import replace

import numpy as np

from mlp.arrays import Array, LayerParameters
from mlp.faults.catalogue import replaces_gradient
from mlp.functions.convolutions import (
    PADDING,
    convolution,
    convolution_gradient,
    forward,
    kernel_gradient,
    padded_gradient,
    without_padding,
)
from mlp.functions.squared_error import squared_error_delta


@replaces_gradient(convolution, wrong={"kernel"}, causes={"permutation"})
def convolution_flipped_gradient(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """dL/dK is turned around, as it is for a convolution in the sense of signal processing."""
    cache = forward(parameters)
    kernel = kernel_gradient(cache, squared_error_delta(cache.outputs, targets))
    return convolution_gradient(parameters, targets) | {"kernel": kernel[:, :, ::-1, ::-1]}


@replaces_gradient(convolution, wrong={"inputs"}, causes={"unexplained"})
def convolution_flipped_kernel(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """dL/dx is formed with the kernel turned around once too often."""
    cache = forward(parameters)
    delta = squared_error_delta(cache.outputs, targets)
    flipped = replace(cache, kernel=cache.kernel[:, :, ::-1, ::-1])
    inputs = without_padding(padded_gradient(flipped, delta))
    return convolution_gradient(parameters, targets) | {"inputs": inputs}


@replaces_gradient(convolution, wrong={"inputs"}, causes={"unexplained"})
def convolution_shifted_crop(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """dL/dx is cut out of the padded gradient at its corner, one row and one column too early."""
    cache = forward(parameters)
    delta = squared_error_delta(cache.outputs, targets)
    height, width = parameters["inputs"].shape[2:]
    inputs = padded_gradient(cache, delta)[:, :, :height, :width]
    return convolution_gradient(parameters, targets) | {"inputs": inputs}


@replaces_gradient(convolution, wrong={"inputs"}, causes={"partial_zero"})
def convolution_lost_border(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """dL/dx is 0 at the border: the padding is cut off twice on the way back."""
    gradient = convolution_gradient(parameters, targets)
    inputs = np.zeros_like(gradient["inputs"])
    interior = (..., slice(PADDING, -PADDING), slice(PADDING, -PADDING))
    inputs[interior] = gradient["inputs"][interior]
    return gradient | {"inputs": inputs}


@replaces_gradient(convolution, wrong={"bias"}, causes={"bias_not_summed", "unexplained"})
def convolution_bias_of_one_image(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """dL/db is summed over the places of the first image only: written for a batch of one."""
    delta = squared_error_delta(forward(parameters).outputs, targets)
    return convolution_gradient(parameters, targets) | {"bias": delta[0].sum(axis=(1, 2))}
