"""Objectives of gradient boosting: a loss of raw scores, with one derivative per sample.

Boosting libraries ask for dL/ds_n of every sample n, L being the *sum* over the samples; the scores
s (samples,) are the parameter here.

References
----------
Friedman (2001), Greedy Function Approximation: A Gradient Boosting Machine, section 4.
Chen & Guestrin (2016), XGBoost: A Scalable Tree Boosting System, section 2.2.
"""

import numpy as np

from mlp.activations import sigmoid_function
from mlp.arrays import Array, LayerParameters, Scalar
from mlp.problem import Problem

SAMPLES = 13
# The quantile that the smooth quantile objective estimates, and the width of its rounded corner.
QUANTILE, SMOOTHING = 0.8, 0.4


def logistic_boosting_loss(parameters: LayerParameters, labels: Array) -> Scalar:
    """Return sum log(1 + exp(s)) - y s, for labels 0 and 1."""
    scores = parameters["scores"]
    loss: Scalar = np.sum(np.log1p(np.exp(scores)) - labels * scores)
    return loss


def logistic_boosting_gradient(parameters: LayerParameters, labels: Array) -> LayerParameters:
    """Return sigmoid(s) - y."""
    return {"scores": sigmoid_function(parameters["scores"]) - labels}


def logistic_boosting(seed: int = 0) -> Problem:
    """Return the objective of binary classification, at 13 raw scores."""
    rng = np.random.default_rng(seed)
    return Problem(
        name="logistic_boosting",
        loss=logistic_boosting_loss,
        gradient=logistic_boosting_gradient,
        parameters={"scores": 1.5 * rng.standard_normal(SAMPLES)},
        args=(rng.permutation(np.arange(SAMPLES) % 2),),
        sizes={"batch": SAMPLES},
    )


def squared_log_boosting_loss(parameters: LayerParameters, targets: Array) -> Scalar:
    """Return sum (log(1 + s) - log(1 + y))**2 / 2, for scores and targets above -1."""
    differences = np.log1p(parameters["scores"]) - np.log1p(targets)
    loss: Scalar = np.sum(differences**2) / 2
    return loss


def squared_log_boosting_gradient(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """Return (log(1 + s) - log(1 + y)) / (1 + s), by the chain rule."""
    scores = parameters["scores"]
    return {"scores": (np.log1p(scores) - np.log1p(targets)) / (1 + scores)}


def squared_log_boosting(seed: int = 0) -> Problem:
    """Return the objective of the squared logarithmic error, at 13 raw scores."""
    rng = np.random.default_rng(seed)
    return Problem(
        name="squared_log_boosting",
        loss=squared_log_boosting_loss,
        gradient=squared_log_boosting_gradient,
        parameters={"scores": rng.uniform(0.2, 3, SAMPLES)},
        args=(rng.uniform(0.2, 3, SAMPLES),),
        sizes={"batch": SAMPLES},
    )


def quantile_boosting_loss(parameters: LayerParameters, targets: Array) -> Scalar:
    """Return sum QUANTILE r + SMOOTHING log(1 + exp(-r / SMOOTHING)), with r = y - s.

    Without smoothing this is the pinball loss: QUANTILE r above 0, (QUANTILE - 1) r below.
    """
    residuals = targets - parameters["scores"]
    rounded = SMOOTHING * np.log1p(np.exp(-residuals / SMOOTHING))
    loss: Scalar = np.sum(QUANTILE * residuals + rounded)
    return loss


def quantile_boosting_gradient(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """Return sigmoid(-r / SMOOTHING) - QUANTILE: dr/ds = -1 turns both signs."""
    residuals = targets - parameters["scores"]
    return {"scores": sigmoid_function(-residuals / SMOOTHING) - QUANTILE}


def quantile_boosting(seed: int = 0) -> Problem:
    """Return the objective of smoothed quantile regression, at 13 raw scores."""
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal(SAMPLES)
    return Problem(
        name="quantile_boosting",
        loss=quantile_boosting_loss,
        gradient=quantile_boosting_gradient,
        parameters={"scores": scores},
        args=(scores + rng.uniform(-1, 1, SAMPLES),),
        sizes={"batch": SAMPLES},
    )
