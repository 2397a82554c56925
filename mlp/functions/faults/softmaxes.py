"""What goes wrong in softmax and log-sum-exp: entries of a row that depend on each other."""

import numpy as np

from mlp.arrays import Array, LayerParameters
from mlp.faults.catalogue import replaces_gradient
from mlp.functions.softmaxes import log_sum_exp, softmax, softmax_of
from mlp.functions.squared_error import squared_error_delta


@replaces_gradient(softmax, wrong={"scores"}, causes={"softmax_diagonal"})
def softmax_jacobian_diagonal(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """dL/dz = dL/dp p (1 - p), the sigmoid's derivative: only the diagonal of the Jacobian."""
    probabilities = softmax_of(parameters["scores"])
    upstream = squared_error_delta(probabilities, targets)
    return {"scores": upstream * probabilities * (1 - probabilities)}


@replaces_gradient(softmax, wrong={"scores"}, causes={"unexplained"})
def softmax_summed_over_samples(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """dL/dz = p (dL/dp - sum dL/dp p) sums over the samples where it should over the classes."""
    probabilities = softmax_of(parameters["scores"])
    upstream = squared_error_delta(probabilities, targets)
    total = (upstream * probabilities).sum(axis=0)
    return {"scores": probabilities * (upstream - total)}


@replaces_gradient(log_sum_exp, wrong={"scores"}, causes={"unexplained"})
def log_sum_exp_unnormalised(parameters: LayerParameters, labels: Array) -> LayerParameters:
    """Exponentials of the shifted scores stand for p: never divided by their sum."""
    scores = parameters["scores"]
    gradient = np.exp(scores - scores.max(axis=1, keepdims=True))
    gradient[np.arange(len(labels)), labels] -= 1
    return {"scores": gradient / len(labels)}


@replaces_gradient(log_sum_exp, wrong={"scores"}, causes={"unexplained"})
def log_sum_exp_label_columns(parameters: LayerParameters, labels: Array) -> LayerParameters:
    """p[:, labels] -= 1 takes 1 from whole columns, where one entry per row is meant."""
    gradient = softmax_of(parameters["scores"])
    gradient[:, labels] -= 1
    return {"scores": gradient / len(labels)}
