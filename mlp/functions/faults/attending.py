"""What goes wrong in attention: the softmax, the scale, and inputs that are used three times."""

from dataclasses import replace

import numpy as np

from mlp.arrays import Array, LayerParameters
from mlp.faults.catalogue import replaces_gradient
from mlp.functions.attending import (
    attention,
    attention_gradient,
    forward,
    into_parameters,
    upstreams,
)
from mlp.functions.squared_error import squared_error_delta

THROUGH_SCORES = {"inputs", "query", "key"}


def _diagonal(weights: Array, upstream: Array) -> Array:
    scores: Array = upstream * weights * (1 - weights)
    return scores


@replaces_gradient(attention, wrong=THROUGH_SCORES, causes={"softmax_diagonal", "unexplained"})
def attention_softmax_diagonal(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """dL/dS = dL/dA A (1 - A): the softmax is taken for a sigmoid of each score."""
    cache = forward(parameters)
    delta = squared_error_delta(cache.outputs, targets)
    return into_parameters(parameters, upstreams(cache, delta, _diagonal))


# Queries and keys are off by a factor; the inputs, whose share through the values is right, not.
@replaces_gradient(attention, wrong=THROUGH_SCORES, causes={"constant_factor", "unexplained"})
def attention_without_scale(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """dL/dQ and dL/dK lack the 1 / sqrt(width) that the scores have."""
    cache = forward(parameters)
    right = upstreams(cache, squared_error_delta(cache.outputs, targets))
    scale = np.sqrt(cache.keys.shape[1])
    wrong = replace(right, queries=right.queries * scale, keys=right.keys * scale)
    return into_parameters(parameters, wrong)


@replaces_gradient(attention, wrong={"query", "key"}, causes={"swapped_parameters"})
def attention_swapped(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """dL/dWq and dL/dWk are exchanged; their shapes are the same."""
    gradient = attention_gradient(parameters, targets)
    return gradient | {"query": gradient["key"], "key": gradient["query"]}


@replaces_gradient(attention, wrong={"inputs"}, causes={"overwritten_accumulation", "unexplained"})
def attention_inputs_overwritten(parameters: LayerParameters, targets: Array) -> LayerParameters:
    """dL/dX keeps its share through the values, computed last: = where += belongs."""
    cache = forward(parameters)
    upstream = upstreams(cache, squared_error_delta(cache.outputs, targets))
    inputs = upstream.values @ parameters["value"].T
    return attention_gradient(parameters, targets) | {"inputs": inputs}
