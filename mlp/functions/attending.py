"""Attention: a single head of scaled dot products over the tokens of one sequence.

With the inputs X (tokens, features) and three matrices,

    Q = X Wq,  K = X Wk     (tokens, width)         V = X Wv        (tokens, values)
    S = Q K^T / sqrt(width)                         (tokens, tokens)
    A = softmax(S), row by row
    Y = A V                                         (tokens, values)

References
----------
Vaswani et al. (2017), Attention Is All You Need, section 3.2.1.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlp.arrays import Array, LayerParameters, Scalar
from mlp.functions.softmaxes import softmax_backward, softmax_of
from mlp.functions.squared_error import half_squared_error, squared_error_delta
from mlp.problem import Problem

TOKENS, FEATURES, WIDTH, VALUES = 6, 5, 3, 2


@dataclass(frozen=True, eq=False)
class AttentionCache:
    """What the backward pass needs to remember of the forward pass."""

    queries: Array  # Q, (tokens, width)
    keys: Array  # K, (tokens, width)
    values: Array  # V, (tokens, values)
    weights: Array  # A, (tokens, tokens)
    outputs: Array  # Y, (tokens, values)


@dataclass(frozen=True, eq=False)
class Upstreams:
    """Gradients of the loss at queries, keys and values."""

    queries: Array
    keys: Array
    values: Array


def forward(parameters: LayerParameters) -> AttentionCache:
    """Return the outputs, and what led to them."""
    queries, keys, values = (
        parameters["inputs"] @ parameters[name] for name in ("query", "key", "value")
    )
    weights = softmax_of(queries @ keys.T / np.sqrt(keys.shape[1]))
    return AttentionCache(queries, keys, values, weights, weights @ values)


def upstreams(
    cache: AttentionCache,
    delta: Array,
    through_softmax: Callable[[Array, Array], Array] = softmax_backward,
) -> Upstreams:
    """Return the gradients at Q, K and V from delta = dL/dY.

    dL/dV = A^T delta,  dL/dA = delta V^T,  dL/dS from dL/dA through the softmax
    dL/dQ = dL/dS K / sqrt(width),  dL/dK = (dL/dS)^T Q / sqrt(width)
    """
    scores = through_softmax(cache.weights, delta @ cache.values.T)  # dL/dS, (tokens, tokens)
    scaled = scores / np.sqrt(cache.keys.shape[1])
    return Upstreams(scaled @ cache.keys, scaled.T @ cache.queries, cache.weights.T @ delta)


def into_parameters(parameters: LayerParameters, upstream: Upstreams) -> LayerParameters:
    """Return dL/dW = X^T dL/d(X W) of each matrix, and the inputs' three shares dL/d(X W) W^T."""
    inputs = parameters["inputs"]  # (tokens, features)
    return {
        "inputs": upstream.queries @ parameters["query"].T
        + upstream.keys @ parameters["key"].T
        + upstream.values @ parameters["value"].T,
        "query": inputs.T @ upstream.queries,
        "key": inputs.T @ upstream.keys,
        "value": inputs.T @ upstream.values,
    }


def attention_loss(parameters: LayerParameters, targets: Array) -> Scalar:
    """Return the squared error of the outputs, averaged over the tokens."""
    return half_squared_error(forward(parameters).outputs, targets)


def attention_gradient(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """Return the gradient of the loss."""
    cache = forward(parameters)
    delta = squared_error_delta(cache.outputs, targets)  # (tokens, values)
    return into_parameters(parameters, upstreams(cache, delta))


def attention(seed: int = 0) -> Problem:
    """Return attention over 6 tokens with 5 features, inputs included."""
    rng = np.random.default_rng(seed)
    # Of this size the scores are about 1, and no row of A is all but one entry.
    scale = FEATURES**-0.5
    parameters = {
        "inputs": rng.standard_normal((TOKENS, FEATURES)),
        "query": scale * rng.standard_normal((FEATURES, WIDTH)),
        "key": scale * rng.standard_normal((FEATURES, WIDTH)),
        "value": scale * rng.standard_normal((FEATURES, VALUES)),
    }
    return Problem(
        name="attention",
        loss=attention_loss,
        gradient=attention_gradient,
        parameters=parameters,
        args=(rng.standard_normal((TOKENS, VALUES)),),
        sizes={"tokens": TOKENS, "features": FEATURES, "width": WIDTH, "values": VALUES},
    )
