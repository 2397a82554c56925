"""What goes wrong in pooling: who gets a share of the gradient, and how large a share."""

import numpy as np

from mlp.arrays import Array, LayerParameters
from mlp.faults.catalogue import replaces_gradient
from mlp.functions.pooling import (
    OFFSETS,
    SIDE,
    average_pooling,
    average_pooling_gradient,
    averages,
    blocks,
    from_blocks,
    max_pooling,
)
from mlp.functions.squared_error import squared_error_delta


@replaces_gradient(max_pooling, wrong={"inputs"}, causes={"unexplained"})
def max_pooling_to_all(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """Every entry of a window gets the gradient of its maximum."""
    windows = blocks(parameters["inputs"])
    delta = squared_error_delta(windows.max(axis=-1), targets)[..., np.newaxis]
    return {"inputs": from_blocks(np.broadcast_to(delta, windows.shape))}


@replaces_gradient(max_pooling, wrong={"inputs"}, causes={"permutation", "unexplained"})
def max_pooling_transposed_window(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """Places in a window are counted row by row, and read column by column."""
    windows = blocks(parameters["inputs"])
    delta = squared_error_delta(windows.max(axis=-1), targets)
    gradient = np.zeros_like(windows)
    for index in np.ndindex(delta.shape):
        column, row = divmod(int(windows[index].argmax()), SIDE)
        gradient[(*index, SIDE * row + column)] = delta[index]
    return {"inputs": from_blocks(gradient)}


@replaces_gradient(average_pooling, wrong={"inputs"}, causes={"constant_factor"})
def average_pooling_without_average(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """Every entry of a window gets all of the gradient, not a quarter: sum for average."""
    gradient = average_pooling_gradient(parameters, targets)
    return {"inputs": gradient["inputs"] * SIDE**2}


@replaces_gradient(
    average_pooling, wrong={"inputs"}, causes={"overwritten_accumulation", "unexplained"}
)
def average_pooling_overwritten(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """Where windows overlap the last one wins: = where += belongs."""
    inputs = parameters["inputs"]
    delta = squared_error_delta(averages(inputs), targets)
    _, height, width = delta.shape
    gradient = np.zeros_like(inputs)
    for i, j in OFFSETS:
        gradient[:, i : i + height, j : j + width] = delta / SIDE**2
    return {"inputs": gradient}
