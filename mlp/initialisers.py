"""Random initial weights of shape (fan_in, fan_out), drawn from an explicit generator."""

import math

import numpy as np

from mlp.arrays import Array

# Small enough to keep sigmoids in their linear part, large enough to tell units apart.
SMALL_SCALE = 0.01


def small_normal(rng: np.random.Generator, fan_in: int, fan_out: int) -> Array:
    """Return normal weights with standard deviation SMALL_SCALE."""
    return rng.normal(scale=SMALL_SCALE, size=(fan_in, fan_out))


def unit_normal(rng: np.random.Generator, fan_in: int, fan_out: int) -> Array:
    """Return normal weights with standard deviation 1."""
    return rng.normal(size=(fan_in, fan_out))


def lecun_normal(rng: np.random.Generator, fan_in: int, fan_out: int) -> Array:
    """Return normal weights with variance 1 / fan_in: z keeps the variance of the inputs.

    References
    ----------
    LeCun, Bottou, Orr & Müller (1998), Efficient BackProp, section 4.6.
    """
    return rng.normal(scale=math.sqrt(1 / fan_in), size=(fan_in, fan_out))


def xavier_normal(rng: np.random.Generator, fan_in: int, fan_out: int) -> Array:
    """Return normal weights with variance 2 / (fan_in + fan_out), fair to both passes.

    References
    ----------
    Glorot & Bengio (2010), Understanding the difficulty of training deep feedforward neural
    networks, equation 12.
    """
    return rng.normal(scale=math.sqrt(2 / (fan_in + fan_out)), size=(fan_in, fan_out))


def he_normal(rng: np.random.Generator, fan_in: int, fan_out: int) -> Array:
    """Return normal weights with variance 2 / fan_in: a ReLU loses half of the mean square.

    References
    ----------
    He, Zhang, Ren & Sun (2015), Delving deep into rectifiers, equation 10.
    """
    return rng.normal(scale=math.sqrt(2 / fan_in), size=(fan_in, fan_out))
