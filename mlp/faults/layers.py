"""Bugs in what a layer makes of its delta: gradients of its parameters, and the signal it sends."""

from dataclasses import replace
from typing import Any

import numpy as np

from mlp.arrays import Array, LayerParameters
from mlp.faults.catalogue import rebuilds_network
from mlp.faults.networks import GainDense
from mlp.faults.rebuilding import with_layer
from mlp.faults.twins import (
    correct,
    correct_classifier,
    correct_gain,
    correct_one_sample,
    correct_square,
    parameters_of,
)
from mlp.layers import Dense, DenseCache
from mlp.network import Network

BELOW_THIRD = parameters_of("layer1", "layer2")


class _BiasOfFirstSample(Dense):
    def backward(self, cache: DenseCache, upstream: Array) -> tuple[Array, LayerParameters]:
        input_gradient, gradients = super().backward(cache, upstream)
        return input_gradient, gradients | {"bias": self.delta(cache, upstream)[0]}


class _BiasOfLastSample(Dense):
    def backward(self, cache: DenseCache, upstream: Array) -> tuple[Array, LayerParameters]:
        input_gradient, gradients = super().backward(cache, upstream)
        for delta in self.delta(cache, upstream):
            gradients["bias"] = delta
        return input_gradient, gradients


class _BiasMean(Dense):
    def backward(self, cache: DenseCache, upstream: Array) -> tuple[Array, LayerParameters]:
        input_gradient, gradients = super().backward(cache, upstream)
        return input_gradient, gradients | {"bias": self.delta(cache, upstream).mean(axis=0)}


class _WeightOfHalfTheBatch(Dense):
    def backward(self, cache: DenseCache, upstream: Array) -> tuple[Array, LayerParameters]:
        input_gradient, gradients = super().backward(cache, upstream)
        half = slice(0, len(upstream) // 2)
        delta = self.delta(cache, upstream)[half]  # (batch // 2, fan_out)
        return input_gradient, gradients | {"weight": cache.inputs[half].T @ delta}


class _WeightOfPreviousInputs(Dense):
    def backward(self, cache: DenseCache, upstream: Array) -> tuple[Array, LayerParameters]:
        stale = replace(cache, inputs=np.roll(cache.inputs, 1, axis=0))
        return super().backward(stale, upstream)


class _WeightOfInputGradient(Dense):
    def backward(self, cache: DenseCache, upstream: Array) -> tuple[Array, LayerParameters]:
        input_gradient, gradients = super().backward(cache, upstream)
        return input_gradient, gradients | {"weight": cache.inputs.T @ input_gradient}


class _OperandsExchanged(Dense):
    def backward(self, cache: DenseCache, upstream: Array) -> tuple[Array, LayerParameters]:
        input_gradient, gradients = super().backward(cache, upstream)
        return input_gradient, gradients | {"weight": self.delta(cache, upstream).T @ cache.inputs}


class _SignalUntransposed(Dense):
    def backward(self, cache: DenseCache, upstream: Array) -> tuple[Array, LayerParameters]:
        _, gradients = super().backward(cache, upstream)
        return self.delta(cache, upstream) @ cache.weight, gradients


class _SignalAveraged(Dense):
    def backward(self, cache: DenseCache, upstream: Array) -> tuple[Array, LayerParameters]:
        input_gradient, gradients = super().backward(cache, upstream)
        return input_gradient / len(upstream), gradients


class _SignalMasked(Dense):
    def backward(self, cache: DenseCache, upstream: Array) -> tuple[Array, LayerParameters]:
        input_gradient, gradients = super().backward(cache, upstream)
        return input_gradient * (cache.inputs > 0.5), gradients


class _GainItself(GainDense):
    def backward(self, cache: Any, upstream: Array) -> tuple[Array, LayerParameters]:
        input_gradient, gradients = super().backward(cache, upstream)
        return input_gradient, gradients | {"log_gain": gradients["log_gain"] / cache.gain}


@rebuilds_network(
    correct,
    wrong={"layer2.bias"},
    causes={"bias_not_summed"},
    black_box={"bias_not_summed", "unexplained"},
)
def bias_first_sample(network: Network) -> Network:
    """layer2.bias's gradient is one sample's delta, not the sum: written for a batch of one."""
    return with_layer(network, "layer2", _BiasOfFirstSample)


@rebuilds_network(
    correct_classifier,
    wrong={"layer3.bias"},
    causes={"bias_not_summed"},
    black_box={"bias_not_summed", "unexplained"},
)
def bias_last_sample(network: Network) -> Network:
    """layer3.bias's gradient is the last sample's delta: a loop with = where += is meant."""
    return with_layer(network, "layer3", _BiasOfLastSample)


@rebuilds_network(
    correct,
    wrong={"layer1.bias"},
    causes={"bias_not_summed", "batch_size_factor", "batch_reduction"},
)
def bias_mean(network: Network) -> Network:
    """layer1.bias's gradient is the mean of the deltas: the loss has its 1/N already."""
    return with_layer(network, "layer1", _BiasMean)


@rebuilds_network(
    correct,
    wrong={"layer2.weight"},
    causes={"batch_reduction"},
    black_box={"batch_reduction", "unexplained"},
)
def half_the_batch(network: Network) -> Network:
    """layer2.weight's gradient is a sum over half of the batch: a size left from a test run."""
    return with_layer(network, "layer2", _WeightOfHalfTheBatch)


@rebuilds_network(
    correct,
    wrong={"layer2.weight"},
    causes={"stale_cache"},
    black_box={"stale_cache", "batch_reduction", "unexplained"},
)
def inputs_of_previous_sample(network: Network) -> Network:
    """layer2.weight's gradient has the inputs of the sample before: cached a step too early."""
    return with_layer(network, "layer2", _WeightOfPreviousInputs)


@rebuilds_network(
    correct_square,
    wrong={"layer2.weight"},
    causes={"wrong_layer"},
    black_box={"wrong_layer", "unexplained"},
)
def weight_from_input_gradient(network: Network) -> Network:
    """layer2.weight's gradient is x^T dL/dx: the last of two lists, found in a published loop."""
    return with_layer(network, "layer2", _WeightOfInputGradient)


@rebuilds_network(correct_one_sample, wrong={"layer2.weight"}, causes={"transposed"})
def operands_exchanged(network: Network) -> Network:
    """layer2.weight's gradient is delta^T x: one sample, taken for a column."""
    return with_layer(network, "layer2", _OperandsExchanged)


@rebuilds_network(correct_gain, wrong={"layer2.log_gain"}, causes={"log_reparam"})
def gain_for_its_logarithm(network: Network) -> Network:
    """layer2.log_gain's gradient is that of the gain: the parameter was made a logarithm later."""
    return with_layer(network, "layer2", _GainItself)


@rebuilds_network(
    correct_square,
    wrong=parameters_of("layer1"),
    layer="layer2",
    causes={"wrong_upstream"},
    black_box={"wrong_upstream", "unexplained"},
)
def signal_untransposed(network: Network) -> Network:
    """layer2 hands down delta W where delta W^T belongs: no shape complains, W is square."""
    return with_layer(network, "layer2", _SignalUntransposed)


@rebuilds_network(
    correct,
    wrong=BELOW_THIRD,
    layer="layer3",
    causes={"wrong_upstream", "batch_size_factor", "batch_reduction"},
)
def signal_averaged(network: Network) -> Network:
    """layer3 divides what it hands down by the batch size: the loss has done so already."""
    return with_layer(network, "layer3", _SignalAveraged)


@rebuilds_network(
    correct,
    wrong=BELOW_THIRD,
    layer="layer3",
    causes={"wrong_upstream"},
    black_box={"wrong_upstream", "unexplained"},
)
def signal_masked(network: Network) -> Network:
    """layer3 hands down nothing where its input is below 1/2: a mask that forward never applied."""
    return with_layer(network, "layer3", _SignalMasked)
