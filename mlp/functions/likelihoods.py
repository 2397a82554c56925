"""The Gaussian likelihood, with the logarithm of the standard deviation as a parameter.

For samples x (samples, features), s = log sigma and u = (x - mu) / sigma,

    L = mean over the samples of sum_k s_k + u_k**2 / 2 + log(2 pi) / 2

the negative log-likelihood. In s there are no bounds to respect, hence the logarithm.

References
----------
Bishop (2006), Pattern Recognition and Machine Learning, section 2.3.
"""

import numpy as np

from mlp.arrays import Array, LayerParameters, Scalar
from mlp.problem import Problem

SAMPLES, FEATURES = 8, 6


def standardised(parameters: LayerParameters, samples: Array) -> Array:
    """Return u = (x - mu) / sigma, (samples, features)."""
    u: Array = (samples - parameters["mu"]) / np.exp(parameters["log_sigma"])
    return u


def gaussian_loss(parameters: LayerParameters, samples: Array) -> Scalar:
    """Return the negative log-likelihood per sample."""
    u = standardised(parameters, samples)
    constant = np.log(2 * np.pi) / 2
    loss: Scalar = np.sum(parameters["log_sigma"] + u**2 / 2 + constant) / len(samples)
    return loss


def gaussian_gradient(parameters: LayerParameters, samples: Array) -> LayerParameters:
    """Return dL/dmu = mean(-u / sigma) and, as du/ds = -u, dL/ds = mean(1 - u**2)."""
    u = standardised(parameters, samples)
    return {
        "mu": -u.mean(axis=0) / np.exp(parameters["log_sigma"]),
        "log_sigma": (1 - u**2).mean(axis=0),
    }


def gaussian(seed: int = 0) -> Problem:
    """Return the likelihood of 8 samples of 6 independent Gaussian features."""
    rng = np.random.default_rng(seed)
    parameters = {
        "mu": rng.standard_normal(FEATURES),
        "log_sigma": rng.uniform(-1, 1, FEATURES),
    }
    return Problem(
        name="gaussian",
        loss=gaussian_loss,
        gradient=gaussian_gradient,
        parameters=parameters,
        args=(rng.standard_normal((SAMPLES, FEATURES)),),
        sizes={"batch": SAMPLES, "features": FEATURES},
    )
