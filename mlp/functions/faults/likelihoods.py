"""What goes wrong in a likelihood: the logarithm of sigma, its own term, and the mean."""

import numpy as np

from mlp.arrays import Array, LayerParameters
from mlp.faults.catalogue import replaces_gradient
from mlp.functions.likelihoods import gaussian, gaussian_gradient, standardised


@replaces_gradient(gaussian, wrong={"log_sigma"}, causes={"log_reparam"})
def gaussian_wrt_sigma(parameters: LayerParameters, samples: Array) -> LayerParameters:
    """dL/ds is taken with respect to sigma, as the textbook has it, not to s = log sigma."""
    gradient = gaussian_gradient(parameters, samples)
    sigma = np.exp(parameters["log_sigma"])
    return gradient | {"log_sigma": gradient["log_sigma"] / sigma}


@replaces_gradient(gaussian, wrong={"log_sigma"}, causes={"unexplained"})
def gaussian_without_normaliser(parameters: LayerParameters, samples: Array) -> LayerParameters:
    """dL/ds = mean(-u**2): the term s itself, from the density's 1 / sigma, is forgotten."""
    u = standardised(parameters, samples)
    return gaussian_gradient(parameters, samples) | {"log_sigma": (-(u**2)).mean(axis=0)}


@replaces_gradient(gaussian, wrong={"mu"}, causes={"batch_size_factor", "batch_reduction"})
def gaussian_sum_for_mean(parameters: LayerParameters, samples: Array) -> LayerParameters:
    """dL/dmu is a sum over the samples, where the loss is a mean."""
    u = standardised(parameters, samples)
    mu = -u.sum(axis=0) / np.exp(parameters["log_sigma"])
    return gaussian_gradient(parameters, samples) | {"mu": mu}
