"""A convolution over images of several channels, with a stride and padding.

As everywhere in deep learning it is a cross-correlation: the kernel is not turned around. With
inputs x (samples, channels, height, width), padded with zeros to X, and the kernel K (filters,
channels, kernel height, kernel width),

    y_nfhw = b_f + sum_cij K_fcij X_nc,(Sh+i),(Sw+j)        S: the stride

For every offset (i, j) within the kernel, the entries of X that it meets form a window: every S-th
row and column from there. A loop over these few offsets is all there is, forward and backward.

References
----------
Dumoulin & Visin (2016), A guide to convolution arithmetic for deep learning, sections 2 and 4.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mlp.arrays import Array, LayerParameters, Scalar
from mlp.functions.squared_error import half_squared_error, squared_error_delta
from mlp.problem import Problem

STRIDE = 2
PADDING = 1
Window = tuple[slice, slice, slice, slice]


@dataclass(frozen=True, eq=False)
class ConvolutionCache:
    """What the backward pass needs to remember of the forward pass."""

    padded: Array  # X, (samples, channels, height + 2 PADDING, width + 2 PADDING)
    kernel: Array  # K, (filters, channels, kernel height, kernel width)
    outputs: Array  # y, (samples, filters, output height, output width)


def windows(kernel: Array, padded: Array) -> Iterator[tuple[int, int, Window]]:
    """Yield the offsets (i, j) within a kernel, and where in the padded inputs each is used."""
    height, width = kernel.shape[2:]
    last_row, last_column = padded.shape[2] - height, padded.shape[3] - width
    for i in range(height):
        for j in range(width):
            rows = slice(i, i + last_row + 1, STRIDE)
            columns = slice(j, j + last_column + 1, STRIDE)
            yield i, j, (slice(None), slice(None), rows, columns)


def forward(parameters: LayerParameters) -> ConvolutionCache:
    """Return the outputs, and what led to them."""
    kernel, border = parameters["kernel"], (PADDING, PADDING)
    padded = np.pad(parameters["inputs"], ((0, 0), (0, 0), border, border))
    outputs = sum(
        np.einsum("nchw,fc->nfhw", padded[window], kernel[:, :, i, j])
        for i, j, window in windows(kernel, padded)
    )
    bias = parameters["bias"][:, np.newaxis, np.newaxis]  # (filters, 1, 1)
    return ConvolutionCache(padded, kernel, outputs + bias)


def kernel_gradient(cache: ConvolutionCache, delta: Array) -> Array:
    """Return dL/dK_fcij = sum_nhw delta_nfhw X_nc,(Sh+i),(Sw+j), from delta = dL/dy."""
    gradient = np.zeros_like(cache.kernel)
    for i, j, window in windows(cache.kernel, cache.padded):
        gradient[:, :, i, j] = np.einsum("nfhw,nchw->fc", delta, cache.padded[window])
    return gradient  # (filters, channels, kernel height, kernel width)


def padded_gradient(cache: ConvolutionCache, delta: Array) -> Array:
    """Return dL/dX: every window gets back what it gave.

    Windows of different offsets overlap, so their shares K_fcij delta_nfhw add up.
    """
    gradient = np.zeros_like(cache.padded)
    for i, j, window in windows(cache.kernel, cache.padded):
        gradient[window] += np.einsum("nfhw,fc->nchw", delta, cache.kernel[:, :, i, j])
    return gradient  # (samples, channels, height + 2 PADDING, width + 2 PADDING)


def without_padding(padded: Array) -> Array:
    """Return what lies inside of the padding."""
    return padded[:, :, PADDING:-PADDING, PADDING:-PADDING]


def convolution_loss(parameters: LayerParameters, targets: Array) -> Scalar:
    """Return the squared error of the filtered images."""
    return half_squared_error(forward(parameters).outputs, targets)


def convolution_gradient(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """Return the gradient of the loss; the bias of a filter acts on all samples and places."""
    cache = forward(parameters)
    delta = squared_error_delta(cache.outputs, targets)
    return {
        "inputs": without_padding(padded_gradient(cache, delta)),
        "kernel": kernel_gradient(cache, delta),
        "bias": delta.sum(axis=(0, 2, 3)),  # (filters,)
    }


def convolution(seed: int = 0) -> Problem:
    """Return 4 filters of 3 x 2 over two 5 x 4 images of 3 channels, inputs included."""
    rng = np.random.default_rng(seed)
    parameters = {
        "inputs": rng.standard_normal((2, 3, 5, 4)),
        "kernel": rng.standard_normal((4, 3, 3, 2)),
        "bias": rng.standard_normal(4),
    }
    return Problem(
        name="convolution",
        loss=convolution_loss,
        gradient=convolution_gradient,
        parameters=parameters,
        args=(rng.standard_normal((2, 4, 3, 3)),),  # (5 + 2 - 3) / 2 + 1 rows of outputs
        sizes={"batch": 2, "channels": 3, "filters": 4},
    )
