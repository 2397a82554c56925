"""Pooling: each window of a map becomes one number, its largest entry or its average.

Maps are (samples, height, width). The windows of max pooling are 2 x 2 and lie side by side; those
of average pooling are 2 x 2 too and overlap, one starting at every entry.

References
----------
Goodfellow, Bengio & Courville (2016), Deep Learning, section 9.3.
"""

import numpy as np

from mlp.arrays import Array, LayerParameters, Scalar
from mlp.functions.squared_error import half_squared_error, squared_error_delta
from mlp.problem import Problem

SIDE = 2
# Distance between any two entries of the maps to be max-pooled: far more than a step.
SPACING = 0.05
OFFSETS = tuple((i, j) for i in range(SIDE) for j in range(SIDE))


def blocks(maps: Array) -> Array:
    """Return the windows of max pooling, (samples, height / SIDE, width / SIDE, SIDE**2).

    Their entries come row by row, in the order of OFFSETS.
    """
    return np.stack([maps[:, i::SIDE, j::SIDE] for i, j in OFFSETS], axis=-1)


def from_blocks(windows: Array) -> Array:
    """Return the maps that have these windows; undoes `blocks`."""
    samples, height, width, _ = windows.shape
    maps = np.zeros((samples, SIDE * height, SIDE * width), windows.dtype)
    for k, (i, j) in enumerate(OFFSETS):
        maps[:, i::SIDE, j::SIDE] = windows[..., k]
    return maps


def max_pooling_loss(parameters: LayerParameters, targets: Array) -> Scalar:
    """Return the squared error of the largest entries of the windows."""
    return half_squared_error(blocks(parameters["inputs"]).max(axis=-1), targets)


def max_pooling_gradient(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """Return the gradient: the largest entry of a window gets all of it, the others nothing."""
    windows = blocks(parameters["inputs"])
    delta = squared_error_delta(windows.max(axis=-1), targets)[..., np.newaxis]
    largest = windows.argmax(axis=-1)[..., np.newaxis]  # (samples, height / 2, width / 2, 1)
    gradient = np.zeros_like(windows)
    np.put_along_axis(gradient, largest, delta, axis=-1)
    return {"inputs": from_blocks(gradient)}


def max_pooling(seed: int = 0) -> Problem:
    """Return max pooling of two 6 x 8 maps, no two entries of which are close to each other."""
    rng = np.random.default_rng(seed)
    size = 2 * 6 * 8
    inputs = SPACING * (rng.permutation(size) - size / 2).reshape(2, 6, 8)
    return Problem(
        name="max_pooling",
        loss=max_pooling_loss,
        gradient=max_pooling_gradient,
        parameters={"inputs": inputs},
        args=(rng.standard_normal((2, 3, 4)),),
        sizes={"batch": 2},
    )


def averages(maps: Array) -> Array:
    """Return the averages of all windows, (samples, height - 1, width - 1)."""
    height, width = maps.shape[1] - SIDE + 1, maps.shape[2] - SIDE + 1
    windows = [maps[:, i : i + height, j : j + width] for i, j in OFFSETS]
    means: Array = np.mean(windows, axis=0)
    return means


def average_pooling_loss(parameters: LayerParameters, targets: Array) -> Scalar:
    """Return the squared error of the averages of the windows."""
    return half_squared_error(averages(parameters["inputs"]), targets)


def average_pooling_gradient(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """Return the gradient: of each window it is in, an entry gets 1 / SIDE**2 of the delta."""
    inputs = parameters["inputs"]
    delta = squared_error_delta(averages(inputs), targets)
    _, height, width = delta.shape
    gradient = np.zeros_like(inputs)
    for i, j in OFFSETS:
        gradient[:, i : i + height, j : j + width] += delta / SIDE**2
    return {"inputs": gradient}


def average_pooling(seed: int = 0) -> Problem:
    """Return average pooling of two 5 x 7 maps by overlapping windows."""
    rng = np.random.default_rng(seed)
    return Problem(
        name="average_pooling",
        loss=average_pooling_loss,
        gradient=average_pooling_gradient,
        parameters={"inputs": rng.standard_normal((2, 5, 7))},
        args=(rng.standard_normal((2, 4, 6)),),
        sizes={"batch": 2},
    )
