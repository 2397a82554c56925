"""Whole gradients that are a simple transform of the true one."""

import math

import numpy as np

from mlp.arrays import NetworkParameters
from mlp.faults.catalogue import spoils_gradient
from mlp.faults.twins import (
    BATCH,
    INPUTS,
    OUTPUTS,
    correct,
    correct_classifier,
    correct_deep,
    correct_leaky,
    correct_square,
    parameters_of,
)

EVERY = parameters_of("layer1", "layer2", "layer3")
# The gain of a tanh that keeps its outputs' variance near 1; LeCun et al. (1998), section 4.4.
TANH_GAIN = 1.7159
# What entries are cut to, and what all of them together are scaled to.
CLIP, NORM = 0.1, 1.0


@spoils_gradient(correct_square, wrong={"layer2.weight"}, causes={"transposed"})
def transposed_weight(gradient: NetworkParameters) -> None:
    """layer2.weight's gradient is transposed: delta^T x, the formula for samples in columns."""
    gradient["layer2"]["weight"] = gradient["layer2"]["weight"].T.copy()


@spoils_gradient(correct_square, wrong={"layer2.weight"}, causes={"transposed", "constant_factor"})
def transposed_and_doubled(gradient: NetworkParameters) -> None:
    """layer2.weight's gradient is transposed and doubled: two slips in one line."""
    gradient["layer2"]["weight"] = 2 * gradient["layer2"]["weight"].T


@spoils_gradient(correct_deep, wrong={"layer3.weight"}, causes={"transposed"})
def transposed_deep(gradient: NetworkParameters) -> None:
    """One of three square gradients is transposed: the layer that was written by hand."""
    gradient["layer3"]["weight"] = gradient["layer3"]["weight"].T.copy()


@spoils_gradient(correct, wrong={"layer2.weight"}, causes={"constant_factor", "accumulated_twice"})
def factor_two(gradient: NetworkParameters) -> None:
    """layer2.weight's gradient is doubled: a square was differentiated, its 1/2 overlooked."""
    gradient["layer2"]["weight"] *= 2


@spoils_gradient(correct_leaky, wrong={"layer1.weight"}, causes={"constant_factor"})
def gain_in_backward_only(gradient: NetworkParameters) -> None:
    """layer1.weight's gradient is 1.7159 times too large: a gain that the forward pass lost."""
    gradient["layer1"]["weight"] *= TANH_GAIN


@spoils_gradient(correct, wrong={"layer3.bias"}, causes={"constant_factor"})
def normaliser_lost(gradient: NetworkParameters) -> None:
    """layer3.bias's gradient is sqrt(2 pi) times too large: the constant of a normal density."""
    gradient["layer3"]["bias"] *= math.sqrt(2 * math.pi)


@spoils_gradient(correct, wrong=EVERY, causes={"batch_size_factor", "batch_reduction"})
def missing_batch_mean(gradient: NetworkParameters) -> None:
    """Every gradient is a sum over the batch: the loss divides by its size, its gradient forgot."""
    for parameters in gradient.values():
        for name in parameters:
            parameters[name] *= BATCH


@spoils_gradient(
    correct_classifier, wrong={"layer2.weight"}, causes={"batch_size_factor", "batch_reduction"}
)
def batch_mean_twice(gradient: NetworkParameters) -> None:
    """layer2.weight's gradient is divided by the batch size again: a mean of means."""
    gradient["layer2"]["weight"] /= BATCH


@spoils_gradient(correct, wrong={"layer1.weight"}, causes={"batch_size_factor"})
def summed_over_inputs(gradient: NetworkParameters) -> None:
    """layer1.weight's gradient is multiplied by the number of inputs: a mean taken for a sum."""
    gradient["layer1"]["weight"] *= INPUTS


@spoils_gradient(correct, wrong=EVERY, causes={"batch_size_factor"})
def summed_over_outputs(gradient: NetworkParameters) -> None:
    """Every gradient is multiplied by the number of outputs: a mean of squares taken for a sum."""
    for parameters in gradient.values():
        for name in parameters:
            parameters[name] *= OUTPUTS


@spoils_gradient(correct, wrong={"layer2.bias"}, causes={"sign_flip"})
def bias_sign(gradient: NetworkParameters) -> None:
    """layer2.bias's gradient is negated: a threshold, subtracted, became a bias, added."""
    gradient["layer2"]["bias"] *= -1


@spoils_gradient(correct, wrong=parameters_of("layer1"), causes={"detached"})
def detached_layer(gradient: NetworkParameters) -> None:
    """layer1's gradients are zero: the backward loop stops before it reaches the first layer."""
    for array in gradient["layer1"].values():
        array[...] = 0


@spoils_gradient(correct_classifier, wrong={"layer3.bias"}, causes={"detached"})
def detached_bias(gradient: NetworkParameters) -> None:
    """layer3.bias's gradient is zero: its array was made and never filled."""
    gradient["layer3"]["bias"] = np.zeros_like(gradient["layer3"]["bias"])


@spoils_gradient(correct, wrong={"layer2.weight"}, causes={"permutation"})
def rolled_rows(gradient: NetworkParameters) -> None:
    """layer2.weight's gradient is one row too far down: indices from 1 met indices from 0."""
    gradient["layer2"]["weight"] = np.roll(gradient["layer2"]["weight"], 1, axis=0)


@spoils_gradient(correct_classifier, wrong={"layer3.weight"}, causes={"permutation"})
def reversed_columns(gradient: NetworkParameters) -> None:
    """layer3.weight's gradient has its columns in reverse: a list filled from its end."""
    gradient["layer3"]["weight"] = gradient["layer3"]["weight"][:, ::-1].copy()


@spoils_gradient(correct, wrong={"layer1.weight"}, causes={"permutation"})
def swapped_rows(gradient: NetworkParameters) -> None:
    """Two rows of layer1.weight's gradient are exchanged: two features in another order."""
    gradient["layer1"]["weight"][[1, 4]] = gradient["layer1"]["weight"][[4, 1]]


@spoils_gradient(correct, wrong={"layer2.weight"}, causes={"wrong_memory_order"})
def read_by_columns(gradient: NetworkParameters) -> None:
    """layer2.weight's gradient was laid out by rows and read by columns: an order="F" too many."""
    weight = gradient["layer2"]["weight"]
    gradient["layer2"]["weight"] = weight.ravel().reshape(weight.shape, order="F")


@spoils_gradient(correct_deep, wrong={"layer1.weight"}, causes={"wrong_memory_order"})
def reshaped_without_transposing(gradient: NetworkParameters) -> None:
    """layer1.weight's gradient has its numbers in disorder: a reshape where a .T is meant."""
    weight = gradient["layer1"]["weight"]
    gradient["layer1"]["weight"] = weight.T.reshape(weight.shape)


@spoils_gradient(
    correct_square, wrong={"layer1.bias", "layer2.bias"}, causes={"swapped_parameters"}
)
def swapped_parameters(gradient: NetworkParameters) -> None:
    """layer1.bias and layer2.bias exchange their gradients: a list returned out of order."""
    first, second = gradient["layer1"], gradient["layer2"]
    first["bias"], second["bias"] = second["bias"], first["bias"]


@spoils_gradient(
    correct_deep, wrong={"layer2.weight", "layer4.weight"}, causes={"swapped_parameters"}
)
def swapped_weights(gradient: NetworkParameters) -> None:
    """layer2.weight and layer4.weight exchange their gradients: two lists, one of them reversed."""
    lower, upper = gradient["layer2"], gradient["layer4"]
    lower["weight"], upper["weight"] = upper["weight"], lower["weight"]


@spoils_gradient(correct, wrong={"layer2.weight", "layer3.weight"}, causes={"clipped"})
def clipped_entries(gradient: NetworkParameters) -> None:
    """Weights' gradients are cut off at 0.1: clipping that is the optimiser's, done too early."""
    for layer in ("layer2", "layer3"):
        gradient[layer]["weight"] = np.clip(gradient[layer]["weight"], -CLIP, CLIP)


@spoils_gradient(correct, wrong=EVERY, causes={"clipped", "constant_factor"})
def clipped_norm(gradient: NetworkParameters) -> None:
    """Every gradient is scaled, all of them to a norm of 1: clipping that is the optimiser's."""
    arrays = [array for values in gradient.values() for array in values.values()]
    norm = math.sqrt(sum(np.sum(array**2) for array in arrays))
    for array in arrays:
        np.multiply(array, min(1, NORM / norm), out=array)
