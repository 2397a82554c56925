"""Softmax and log-sum-exp, of scores z (samples, classes), a row per sample.

    p_nk  = exp(z_nk) / sum_j exp(z_nj)         softmax
    l_n   = log sum_j exp(z_nj)                 log-sum-exp, whose derivative dl_n/dz_nk is p_nk

References
----------
Bishop (2006), Pattern Recognition and Machine Learning, section 4.3.4.
Blanchard, Higham & Higham (2021), Accurately computing the log-sum-exp and softmax functions.
"""

import numpy as np

from mlp.arrays import Array, LayerParameters, Scalar
from mlp.functions.squared_error import half_squared_error, squared_error_delta
from mlp.losses import log_softmax
from mlp.problem import Problem

SAMPLES, CLASSES = 7, 4


def softmax_of(scores: Array) -> Array:
    """Return p, (samples, classes)."""
    probabilities: Array = np.exp(log_softmax(scores))
    return probabilities


def softmax_backward(probabilities: Array, upstream: Array) -> Array:
    """Return dL/dz from the upstream dL/dp, both (samples, classes).

    Every probability depends on every score of its row: dp_j/dz_k = p_j ([j = k] - p_k). Hence

        dL/dz_k = sum_j dL/dp_j p_j ([j = k] - p_k) = p_k (dL/dp_k - sum_j dL/dp_j p_j)
    """
    mean = (upstream * probabilities).sum(axis=-1, keepdims=True)  # (samples, 1)
    gradient: Array = probabilities * (upstream - mean)
    return gradient


def softmax_loss(parameters: LayerParameters, targets: Array) -> Scalar:
    """Return the squared error of the probabilities, known as the Brier score."""
    return half_squared_error(softmax_of(parameters["scores"]), targets)


def softmax_gradient(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """Return the gradient of the loss."""
    probabilities = softmax_of(parameters["scores"])
    upstream = squared_error_delta(probabilities, targets)
    return {"scores": softmax_backward(probabilities, upstream)}


def softmax(seed: int = 0) -> Problem:
    """Return the Brier score of 7 samples in 4 classes."""
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((SAMPLES, CLASSES))
    return Problem(
        name="softmax",
        loss=softmax_loss,
        gradient=softmax_gradient,
        parameters={"scores": scores},
        args=(np.eye(CLASSES)[_labels(rng)],),
        sizes={"batch": SAMPLES, "classes": CLASSES},
    )


def log_sum_exp_loss(parameters: LayerParameters, labels: Array) -> Scalar:
    """Return the cross-entropy 1/N sum_n (l_n - z_n,label), for integer labels.

    The largest score of a row is subtracted first, lest an exponential overflow; l_n and z_n change
    by the same number.
    """
    scores = parameters["scores"]
    shifted = scores - scores.real.max(axis=1, keepdims=True)
    log_sums = np.log(np.exp(shifted).sum(axis=1))  # (samples,)
    loss: Scalar = np.mean(log_sums - shifted[np.arange(len(labels)), labels])
    return loss


def log_sum_exp_gradient(parameters: LayerParameters, labels: Array) -> LayerParameters:
    """Return dL/dz_nk = (p_nk - [k = label_n]) / N."""
    gradient = softmax_of(parameters["scores"])
    gradient[np.arange(len(labels)), labels] -= 1
    return {"scores": gradient / len(labels)}


def log_sum_exp(seed: int = 0) -> Problem:
    """Return the cross-entropy of 7 samples in 4 classes, written with log-sum-exp."""
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((SAMPLES, CLASSES))
    return Problem(
        name="log_sum_exp",
        loss=log_sum_exp_loss,
        gradient=log_sum_exp_gradient,
        parameters={"scores": scores},
        args=(_labels(rng),),
        sizes={"batch": SAMPLES, "classes": CLASSES},
    )


def _labels(rng: np.random.Generator) -> Array:
    """Return labels in random order, of all classes."""
    return rng.permutation(np.arange(SAMPLES) % CLASSES)
