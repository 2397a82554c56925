"""What goes wrong in regressions: thresholds, means, links and, most of all, penalties."""

import numpy as np

from mlp.arrays import Array, LayerParameters
from mlp.faults.catalogue import replaces_gradient
from mlp.functions.regression import (
    STRENGTH,
    THRESHOLD,
    huber,
    huber_gradient,
    logistic_gradient,
    logistic_l1,
    logistic_l2,
    logistic_l2_gradient,
    poisson,
    poisson_gradient,
)


@replaces_gradient(huber, wrong={"coefficients"}, causes={"unexplained"})
def huber_other_threshold(
    parameters: LayerParameters, inputs: Array, targets: Array
) -> LayerParameters:
    """Residuals are clipped at 1, a common default, although the loss has another threshold."""
    residuals = inputs @ parameters["coefficients"] - targets
    return {"coefficients": inputs.T @ np.clip(residuals, -1, 1) / len(targets)}


@replaces_gradient(huber, wrong={"coefficients"}, causes={"unexplained"})
def huber_unit_slope(parameters: LayerParameters, inputs: Array, targets: Array) -> LayerParameters:
    """Outliers have the slope sign(r), not THRESHOLD sign(r): true for a threshold of 1 only."""
    residuals = inputs @ parameters["coefficients"] - targets
    slopes = np.where(np.abs(residuals) <= THRESHOLD, residuals, np.sign(residuals))
    return {"coefficients": inputs.T @ slopes / len(targets)}


@replaces_gradient(huber, wrong={"coefficients"}, causes={"batch_size_factor", "batch_reduction"})
def huber_sum_for_mean(
    parameters: LayerParameters, inputs: Array, targets: Array
) -> LayerParameters:
    """dL/dw is a sum over the samples, where the loss is a mean."""
    gradient = huber_gradient(parameters, inputs, targets)
    return {"coefficients": gradient["coefficients"] * len(targets)}


@replaces_gradient(logistic_l2, wrong={"weight"}, causes={"missing_regularisation"})
def logistic_l2_forgotten(
    parameters: LayerParameters, inputs: Array, labels: Array
) -> LayerParameters:
    """dL/dW lacks STRENGTH W: the penalty was added to the loss later."""
    return logistic_gradient(parameters, inputs, labels)


@replaces_gradient(logistic_l2, wrong={"weight"}, causes={"wrong_regularisation"})
def logistic_l2_doubled(
    parameters: LayerParameters, inputs: Array, labels: Array
) -> LayerParameters:
    """dL/dW has 2 STRENGTH W: the 1/2 of the penalty is overlooked."""
    gradient = logistic_gradient(parameters, inputs, labels)
    return gradient | {"weight": gradient["weight"] + 2 * STRENGTH * parameters["weight"]}


@replaces_gradient(logistic_l2, wrong={"bias"}, causes={"wrong_regularisation"})
def logistic_l2_on_bias(
    parameters: LayerParameters, inputs: Array, labels: Array
) -> LayerParameters:
    """dL/db has STRENGTH b: the gradient penalises the bias, which the loss lets go free."""
    gradient = logistic_l2_gradient(parameters, inputs, labels)
    return gradient | {"bias": gradient["bias"] + STRENGTH * parameters["bias"]}


@replaces_gradient(logistic_l1, wrong={"weight"}, causes={"missing_regularisation"})
def logistic_l1_forgotten(
    parameters: LayerParameters, inputs: Array, labels: Array
) -> LayerParameters:
    """dL/dW lacks STRENGTH sign(W): the penalty was added to the loss later."""
    return logistic_gradient(parameters, inputs, labels)


@replaces_gradient(
    logistic_l1,
    wrong={"weight"},
    causes={"missing_regularisation", "wrong_regularisation", "unexplained"},
)
def logistic_l1_as_l2(parameters: LayerParameters, inputs: Array, labels: Array) -> LayerParameters:
    """dL/dW has STRENGTH W, of the other penalty, where STRENGTH sign(W) belongs."""
    return logistic_l2_gradient(parameters, inputs, labels)


@replaces_gradient(poisson, wrong={"coefficients"}, causes={"unexplained"})
def poisson_without_exp(
    parameters: LayerParameters, inputs: Array, exposures: Array, counts: Array
) -> LayerParameters:
    """Residuals have the linear predictor x w for its exponential: the identity link."""
    expected = exposures * (inputs @ parameters["coefficients"])
    return {"coefficients": inputs.T @ (expected - counts) / len(counts)}


@replaces_gradient(poisson, wrong={"coefficients"}, causes={"unexplained"})
def poisson_without_exposure(
    parameters: LayerParameters, inputs: Array, exposures: Array, counts: Array
) -> LayerParameters:
    """dL/dw expects counts without the exposures, which joined the model later."""
    expected = np.exp(inputs @ parameters["coefficients"])
    return {"coefficients": inputs.T @ (expected - counts) / len(counts)}


@replaces_gradient(poisson, wrong={"coefficients"}, causes={"sign_flip"})
def poisson_sign(
    parameters: LayerParameters, inputs: Array, exposures: Array, counts: Array
) -> LayerParameters:
    """dL/dw is that of the log-likelihood, observed - expected: its minus is lost."""
    gradient = poisson_gradient(parameters, inputs, exposures, counts)
    return {"coefficients": -gradient["coefficients"]}
