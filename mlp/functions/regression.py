"""Regressions of different targets on the same kind of inputs x (samples, features).

Each has a linear predictor and a loss of its own, averaged over the samples. If the loss of a
sample depends on x_n w alone, with the derivative d_n, then dL/dw = x^T d / N.

References
----------
Huber (1964), Robust Estimation of a Location Parameter.
Hastie, Tibshirani & Friedman (2009), The Elements of Statistical Learning, sections 4.4 and 10.6.
McCullagh & Nelder (1989), Generalized Linear Models, chapter 6.
"""

import numpy as np

from mlp.activations import sigmoid_function
from mlp.arrays import Array, LayerParameters, Scalar
from mlp.problem import Problem

# Residuals are squared up to here and count linearly beyond.
THRESHOLD = 1.5
# Strength of the penalties, large enough that each can be told from none.
STRENGTH = 0.1


def huber_loss(parameters: LayerParameters, inputs: Array, targets: Array) -> Scalar:
    """Return the mean of r**2 / 2 where abs(r) <= THRESHOLD, else of T abs(r) - T**2 / 2.

    r = x w - y are the residuals, (samples,).
    """
    residuals = inputs @ parameters["coefficients"] - targets
    linear = THRESHOLD * np.abs(residuals) - THRESHOLD**2 / 2
    loss: Scalar = np.mean(np.where(np.abs(residuals) <= THRESHOLD, residuals**2 / 2, linear))
    return loss


def huber_gradient(parameters: LayerParameters, inputs: Array, targets: Array) -> LayerParameters:
    """Return x^T d / N with d = r, but never beyond -THRESHOLD and THRESHOLD."""
    residuals = inputs @ parameters["coefficients"] - targets
    slopes = np.clip(residuals, -THRESHOLD, THRESHOLD)
    return {"coefficients": inputs.T @ slopes / len(targets)}


def huber(seed: int = 0) -> Problem:
    """Return Huber regression with 5 coefficients on 12 samples, a third of them outliers."""
    rng = np.random.default_rng(seed)
    inputs, coefficients = rng.standard_normal((12, 5)), rng.standard_normal(5)
    # No residual is so close to the threshold that a step might take it across.
    sizes = np.concatenate([rng.uniform(0.1, 1.2, 8), rng.uniform(1.8, 3, 4)])
    residuals = sizes * rng.choice([-1, 1], 12)
    return Problem(
        name="huber",
        loss=huber_loss,
        gradient=huber_gradient,
        parameters={"coefficients": coefficients},
        args=(inputs, inputs @ coefficients - residuals),
        sizes={"batch": 12, "features": 5},
    )


def logistic_loss(parameters: LayerParameters, inputs: Array, labels: Array) -> Scalar:
    """Return the mean over the samples of sum_k log(1 + exp(z_k)) - y_k z_k, for labels 0 and 1.

    z = x W + b are the log-odds, (samples, labels). They are moderate here: for large ones
    np.logaddexp(0, z) would be needed.
    """
    log_odds = inputs @ parameters["weight"] + parameters["bias"]
    loss: Scalar = np.sum(np.log1p(np.exp(log_odds)) - labels * log_odds) / len(labels)
    return loss


def logistic_gradient(parameters: LayerParameters, inputs: Array, labels: Array) -> LayerParameters:
    """Return the gradient without a penalty: dL/dz = (sigmoid(z) - y) / N."""
    log_odds = inputs @ parameters["weight"] + parameters["bias"]
    delta = (sigmoid_function(log_odds) - labels) / len(labels)
    return {"weight": inputs.T @ delta, "bias": delta.sum(axis=0)}


def logistic_l2_loss(parameters: LayerParameters, inputs: Array, labels: Array) -> Scalar:
    """Return the logistic loss and STRENGTH / 2 sum W**2; the bias goes free."""
    penalty: Scalar = STRENGTH / 2 * np.sum(parameters["weight"] ** 2)
    loss: Scalar = logistic_loss(parameters, inputs, labels) + penalty
    return loss


def logistic_l2_gradient(
    parameters: LayerParameters, inputs: Array, labels: Array
) -> LayerParameters:
    """Return the gradient of the logistic loss, with STRENGTH W for the penalty."""
    gradient = logistic_gradient(parameters, inputs, labels)
    return gradient | {"weight": gradient["weight"] + STRENGTH * parameters["weight"]}


def logistic_l2(seed: int = 0) -> Problem:
    """Return ridge-penalised logistic regression of 4 labels on 6 features of 15 samples."""
    parameters, args = _labelled(seed)
    return Problem(
        name="logistic_l2",
        loss=logistic_l2_loss,
        gradient=logistic_l2_gradient,
        parameters=parameters,
        args=args,
        sizes={"batch": 15, "features": 6, "labels": 4},
    )


def logistic_l1_loss(parameters: LayerParameters, inputs: Array, labels: Array) -> Scalar:
    """Return the logistic loss and STRENGTH sum abs(W); the bias goes free."""
    penalty: Scalar = STRENGTH * np.sum(np.abs(parameters["weight"]))
    loss: Scalar = logistic_loss(parameters, inputs, labels) + penalty
    return loss


def logistic_l1_gradient(
    parameters: LayerParameters, inputs: Array, labels: Array
) -> LayerParameters:
    """Return the gradient of the logistic loss, with STRENGTH sign(W) for the penalty."""
    gradient = logistic_gradient(parameters, inputs, labels)
    return gradient | {"weight": gradient["weight"] + STRENGTH * np.sign(parameters["weight"])}


def logistic_l1(seed: int = 0) -> Problem:
    """Return lasso-penalised logistic regression of 4 labels on 6 features of 15 samples."""
    parameters, args = _labelled(seed)
    return Problem(
        name="logistic_l1",
        loss=logistic_l1_loss,
        gradient=logistic_l1_gradient,
        parameters=parameters,
        args=args,
        sizes={"batch": 15, "features": 6, "labels": 4},
    )


def _labelled(seed: int) -> tuple[LayerParameters, tuple[Array, Array]]:
    """Return parameters, and inputs with labels; no weight is close to the kink of abs at 0."""
    rng = np.random.default_rng(seed)
    weight = rng.uniform(0.2, 1.2, (6, 4)) * rng.choice([-1, 1], (6, 4))
    parameters = {"weight": weight, "bias": rng.standard_normal(4)}
    return parameters, (rng.standard_normal((15, 6)), rng.integers(0, 2, (15, 4)))


def poisson_loss(
    parameters: LayerParameters, inputs: Array, exposures: Array, counts: Array
) -> Scalar:
    """Return the mean of m - y log m, with the expected counts m = exposure exp(x w).

    That is the negative log-likelihood without log y!, which does not depend on w.
    """
    predictor = inputs @ parameters["coefficients"]  # (samples,)
    expected = exposures * np.exp(predictor)
    loss: Scalar = np.mean(expected - counts * (predictor + np.log(exposures)))
    return loss


def poisson_gradient(
    parameters: LayerParameters, inputs: Array, exposures: Array, counts: Array
) -> LayerParameters:
    """Return x^T (m - y) / N: with the log link, residuals are all there is."""
    expected = exposures * np.exp(inputs @ parameters["coefficients"])
    return {"coefficients": inputs.T @ (expected - counts) / len(counts)}


def poisson(seed: int = 0) -> Problem:
    """Return Poisson regression with 5 coefficients on 14 samples with different exposures."""
    rng = np.random.default_rng(seed)
    inputs, coefficients = rng.standard_normal((14, 5)), rng.standard_normal(5) / 2
    exposures = rng.uniform(0.5, 3, 14)
    counts = rng.poisson(2 * exposures)
    return Problem(
        name="poisson",
        loss=poisson_loss,
        gradient=poisson_gradient,
        parameters={"coefficients": coefficients},
        args=(inputs, exposures, counts),
        sizes={"batch": 14, "features": 5},
    )
