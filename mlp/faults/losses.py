"""Wrong gradients of the loss: of its data term, which all layers inherit, and of its penalty."""

import numpy as np

from mlp.arrays import Array, NetworkParameters
from mlp.faults.catalogue import rebuilds_network
from mlp.faults.networks import (
    STRENGTH,
    PenalisedNetwork,
    Penalty,
    ReworkedNetwork,
    magnitudes,
    squares,
)
from mlp.faults.rebuilding import with_loss_gradient
from mlp.faults.twins import (
    correct,
    correct_classifier,
    correct_lasso,
    correct_ridge,
    parameters_of,
)
from mlp.losses import half_mean_squared_norm_gradient, log_softmax
from mlp.network import Network

EVERY = parameters_of("layer1", "layer2", "layer3")
WEIGHTS = {"layer1.weight", "layer2.weight", "layer3.weight"}
# Weight decay that the gradient has and the loss lacks, large enough to be seen everywhere.
DECAY = 0.1


def _halved(outputs: Array, targets: Array) -> Array:
    return half_mean_squared_norm_gradient(outputs, targets) / 2


def _from_targets(outputs: Array, targets: Array) -> Array:
    return (targets - outputs) / len(outputs)


def _summed_from_targets(outputs: Array, targets: Array) -> Array:
    return targets - outputs


def _summed_cross_entropy(outputs: Array, targets: Array) -> Array:
    gradient: Array = np.exp(log_softmax(outputs)) - targets
    return gradient


@rebuilds_network(correct, wrong=EVERY, causes={"constant_factor"})
def half_kept(network: Network) -> Network:
    """Every gradient is halved: the 1/2 of the loss is kept although the square's 2 cancels it."""
    return with_loss_gradient(network, _halved)


@rebuilds_network(correct, wrong=EVERY, causes={"sign_flip"})
def target_minus_output(network: Network) -> Network:
    """Every gradient is negated: target - output, with the minus of the chain rule forgotten."""
    return with_loss_gradient(network, _from_targets)


@rebuilds_network(
    correct, wrong=EVERY, causes={"sign_flip", "batch_size_factor", "batch_reduction"}
)
def summed_target_minus_output(network: Network) -> Network:
    """Every gradient is negated and a sum over the batch: two slips in the loss's derivative."""
    return with_loss_gradient(network, _summed_from_targets)


@rebuilds_network(correct_classifier, wrong=EVERY, causes={"batch_size_factor", "batch_reduction"})
def summed_cross_entropy(network: Network) -> Network:
    """Every gradient is a sum over the batch: p - t, as textbooks give it for one sample."""
    return with_loss_gradient(network, _summed_cross_entropy)


def _twice_squares_gradient(weight: Array) -> Array:
    return 4 * STRENGTH * weight


def _half_squares_gradient(weight: Array) -> Array:
    return STRENGTH * weight


def _signs(weight: Array) -> Array:
    gradient: Array = STRENGTH * np.sign(weight)
    return gradient


def _with_penalty(network: Network, penalty: Penalty) -> Network:
    return PenalisedNetwork(network.layers, network.loss, penalty)


class _DecayInBackward(ReworkedNetwork):
    def rework(
        self, gradient: NetworkParameters, parameters: NetworkParameters, *batch: Array
    ) -> None:
        for layer, values in parameters.items():
            gradient[layer]["weight"] += DECAY * values["weight"]


@rebuilds_network(correct_ridge, wrong=WEIGHTS, causes={"missing_regularisation"})
def missing_ridge(network: Network) -> Network:
    """Every weight's gradient lacks 2 STRENGTH * weight: only the loss knows of its penalty."""
    return _with_penalty(network, Penalty(squares, np.zeros_like))


@rebuilds_network(correct_lasso, wrong=WEIGHTS, causes={"missing_regularisation"})
def missing_lasso(network: Network) -> Network:
    """Every weight's gradient lacks STRENGTH * sign(weight): only the loss has its penalty."""
    return _with_penalty(network, Penalty(magnitudes, np.zeros_like))


@rebuilds_network(correct, wrong=WEIGHTS, causes={"wrong_regularisation"})
def decay_in_gradient_only(network: Network) -> Network:
    """Every weight's gradient has DECAY * weight added: regularisation that the loss lacks."""
    return _DecayInBackward(network.layers, network.loss)


@rebuilds_network(correct_ridge, wrong=WEIGHTS, causes={"wrong_regularisation"})
def ridge_twice(network: Network) -> Network:
    """Every weight's gradient has its penalty's twice: in the layer and again in the optimiser."""
    return _with_penalty(network, Penalty(squares, _twice_squares_gradient))


@rebuilds_network(
    correct_ridge, wrong=WEIGHTS, causes={"missing_regularisation", "wrong_regularisation"}
)
def ridge_halved(network: Network) -> Network:
    """Every weight's gradient has half of its penalty's: a factor 1/2 that the loss has not."""
    return _with_penalty(network, Penalty(squares, _half_squares_gradient))


@rebuilds_network(
    correct_ridge, wrong=WEIGHTS, causes={"missing_regularisation", "wrong_regularisation"}
)
def lasso_for_ridge(network: Network) -> Network:
    """Every weight's gradient has that of an absolute penalty: the loss has squares."""
    return _with_penalty(network, Penalty(squares, _signs))
