"""What goes wrong in a boosting objective: signs, sums for means, the wrong one of two outputs."""

import numpy as np

from mlp.activations import sigmoid_derivative, sigmoid_function
from mlp.arrays import Array, LayerParameters
from mlp.faults.catalogue import replaces_gradient
from mlp.functions.boosting import (
    QUANTILE,
    SMOOTHING,
    logistic_boosting,
    logistic_boosting_gradient,
    quantile_boosting,
    squared_log_boosting,
)


@replaces_gradient(logistic_boosting, wrong={"scores"}, causes={"sign_flip"})
def boosting_pseudo_residuals(parameters: LayerParameters, labels: Array) -> LayerParameters:
    """Trees are fitted to the pseudo-residuals y - sigmoid(s): minus the gradient."""
    return {"scores": labels - sigmoid_function(parameters["scores"])}


@replaces_gradient(
    logistic_boosting, wrong={"scores"}, causes={"batch_size_factor", "batch_reduction"}
)
def boosting_mean_for_sum(parameters: LayerParameters, labels: Array) -> LayerParameters:
    """Every derivative is divided by the number of samples, where the loss is a sum."""
    gradient = logistic_boosting_gradient(parameters, labels)
    return {"scores": gradient["scores"] / len(labels)}


@replaces_gradient(logistic_boosting, wrong={"scores"}, causes={"unexplained"})
def boosting_hessian(parameters: LayerParameters, labels: Array) -> LayerParameters:
    """Gradient and second derivative come in a pair, and this is the second: p (1 - p)."""
    del labels  # the second derivative does not depend on them
    return {"scores": sigmoid_derivative(parameters["scores"])}


# With respect to log(1 + s) it would be right: another form of the parameter.
@replaces_gradient(squared_log_boosting, wrong={"scores"}, causes={"log_reparam", "unexplained"})
def squared_log_without_chain(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """log(1 + s) - log(1 + y), without the 1 / (1 + s) of the chain rule."""
    return {"scores": np.log1p(parameters["scores"]) - np.log1p(targets)}


@replaces_gradient(quantile_boosting, wrong={"scores"}, causes={"unexplained"})
def quantile_complement(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """dL/ds is that of the quantile 1 - QUANTILE: residuals taken for prediction - target."""
    residuals = targets - parameters["scores"]
    return {"scores": sigmoid_function(-residuals / SMOOTHING) - (1 - QUANTILE)}


@replaces_gradient(quantile_boosting, wrong={"scores"}, causes={"unexplained"})
def quantile_without_smoothing(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """dL/ds is that of the pinball loss, whose corner the loss here rounds."""
    below = targets < parameters["scores"]
    return {"scores": below - QUANTILE}
