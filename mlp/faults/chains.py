"""Bugs in the chain of layers, each of which is right by itself: mixed up, added up, stepped."""

from mlp.arrays import Array, NetworkParameters
from mlp.faults.catalogue import rebuilds_network
from mlp.faults.networks import ReworkedNetwork, TiedNetwork
from mlp.faults.rebuilding import dense_layers
from mlp.faults.twins import (
    correct,
    correct_deep,
    correct_equal,
    correct_leaky_equal,
    correct_square,
    correct_tied,
    parameters_of,
)
from mlp.layers import DenseCache
from mlp.network import Network
from mlp.verification import Verifier

# Size of the steps that are taken before the backward pass is over.
LEARNING_RATE = 0.5
# Samples per mini-batch, the last one being smaller.
MINI_BATCH = 4


def _caches_and_deltas(
    network: Network, parameters: NetworkParameters, inputs: Array, targets: Array
) -> tuple[dict[str, DenseCache], dict[str, Array]]:
    """Return what a correct backward pass has in its hands, by the names of the layers."""
    outputs, caches = network.forward(parameters, inputs)
    upstream = network.loss.gradient(outputs, targets)  # (batch, outputs)
    deltas = {}
    for layer, cache in zip(reversed(dense_layers(network)), reversed(caches), strict=True):
        deltas[layer.name] = layer.delta(cache, upstream)  # (batch, fan_out)
        upstream, _ = layer.backward(cache, upstream)  # (batch, fan_in)
    names = [layer.name for layer in network.layers]
    return dict(zip(names, caches, strict=True)), deltas


class _AddedUpTwice(ReworkedNetwork):
    def rework(
        self, gradient: NetworkParameters, parameters: NetworkParameters, *batch: Array
    ) -> None:
        again = self.plain_backward(parameters, *batch)
        for key, value in again["layer2"].items():
            gradient["layer2"][key] += value


class _BiasOfNeighbour(ReworkedNetwork):
    def rework(
        self, gradient: NetworkParameters, parameters: NetworkParameters, *batch: Array
    ) -> None:
        gradient["layer2"]["bias"] = gradient["layer1"]["bias"].copy()


class _DeltaOfNeighbour(ReworkedNetwork):
    def rework(
        self, gradient: NetworkParameters, parameters: NetworkParameters, *batch: Array
    ) -> None:
        caches, deltas = _caches_and_deltas(self, parameters, *batch)
        gradient["layer2"]["weight"] = caches["layer2"].inputs.T @ deltas["layer1"]


class _InputsOfNeighbour(ReworkedNetwork):
    def rework(
        self, gradient: NetworkParameters, parameters: NetworkParameters, *batch: Array
    ) -> None:
        caches, deltas = _caches_and_deltas(self, parameters, *batch)
        gradient["layer4"]["weight"] = caches["layer3"].inputs.T @ deltas["layer4"]


class _PreactivationsForInputs(ReworkedNetwork):
    def rework(
        self, gradient: NetworkParameters, parameters: NetworkParameters, *batch: Array
    ) -> None:
        caches, deltas = _caches_and_deltas(self, parameters, *batch)
        gradient["layer2"]["weight"] = caches["layer1"].preactivation.T @ deltas["layer2"]


class _LossDerivativeInHiddenLayers(ReworkedNetwork):
    def rework(
        self, gradient: NetworkParameters, parameters: NetworkParameters, *batch: Array
    ) -> None:
        outputs, targets = batch  # to begin with, the inputs
        for layer in self.layers:
            outputs, cache = layer.forward(parameters[layer.name], outputs)
            upstream = self.loss.gradient(outputs, targets)  # (batch, fan_out)
            _, gradient[layer.name] = layer.backward(cache, upstream)


class _LossAndActivationInHiddenLayers(ReworkedNetwork):
    def rework(
        self, gradient: NetworkParameters, parameters: NetworkParameters, *batch: Array
    ) -> None:
        outputs, targets = batch  # to begin with, the inputs
        for layer in dense_layers(self)[:-2]:
            outputs, cache = layer.forward(parameters[layer.name], outputs)  # (batch, fan_out)
            delta = outputs * self.loss.gradient(outputs, targets)  # f(z) for f'(z)
            gradient[layer.name] = {"weight": cache.inputs.T @ delta, "bias": delta.sum(axis=0)}


class _StepBeforeSignal(ReworkedNetwork):
    def rework(
        self, gradient: NetworkParameters, parameters: NetworkParameters, *batch: Array
    ) -> None:
        inputs, targets = batch
        outputs, caches = self.forward(parameters, inputs)
        upstream = self.loss.gradient(outputs, targets)  # (batch, outputs)
        for layer, cache in zip(reversed(dense_layers(self)), reversed(caches), strict=True):
            _, gradient[layer.name] = layer.backward(cache, upstream)
            stepped = cache.weight - LEARNING_RATE * gradient[layer.name]["weight"]
            upstream = layer.delta(cache, upstream) @ stepped.T  # (batch, fan_in)


class _LastMiniBatch(ReworkedNetwork):
    def rework(
        self, gradient: NetworkParameters, parameters: NetworkParameters, *batch: Array
    ) -> None:
        samples = len(batch[0])
        for start in range(0, samples, MINI_BATCH):
            part = [array[start : start + MINI_BATCH] for array in batch]
            share = len(part[0]) / samples
            for layer, values in self.plain_backward(parameters, *part).items():
                gradient[layer] = {key: share * value for key, value in values.items()}


class _EveryLayerOnce(TiedNetwork):
    def backward(
        self,
        parameters: NetworkParameters,
        inputs: Array,
        targets: Array,
        verify: Verifier | None = None,
    ) -> NetworkParameters:
        return Network.backward(self, parameters, inputs, targets, verify)


@rebuilds_network(
    correct, wrong=parameters_of("layer2"), causes={"accumulated_twice", "constant_factor"}
)
def added_up_twice(network: Network) -> Network:
    """layer2's gradients are added to its buffer twice: once by the layer, once by the loop."""
    return _AddedUpTwice(network.layers, network.loss)


@rebuilds_network(
    correct_square,
    wrong={"layer2.bias"},
    causes={"wrong_layer"},
    black_box={"wrong_layer", "unexplained"},
)
def wrong_layer(network: Network) -> Network:
    """layer2.bias gets layer1.bias's gradient: a slip of an index, found in print as well."""
    return _BiasOfNeighbour(network.layers, network.loss)


@rebuilds_network(
    correct_square,
    wrong={"layer2.weight"},
    causes={"wrong_layer"},
    black_box={"wrong_layer", "unexplained"},
)
def delta_of_neighbour(network: Network) -> Network:
    """layer2.weight's gradient is formed with the delta of layer1: an index is one too small."""
    return _DeltaOfNeighbour(network.layers, network.loss)


@rebuilds_network(
    correct_deep,
    wrong={"layer4.weight"},
    causes={"wrong_layer"},
    black_box={"wrong_layer", "unexplained"},
)
def inputs_of_neighbour(network: Network) -> Network:
    """layer4.weight's gradient is formed with the inputs of layer3: an index is one too small."""
    return _InputsOfNeighbour(network.layers, network.loss)


@rebuilds_network(
    correct,
    wrong={"layer2.weight"},
    causes={"stale_cache"},
    black_box={"stale_cache", "unexplained"},
)
def preactivations_for_inputs(network: Network) -> Network:
    """layer2.weight's gradient is formed with z of layer1: the cache holds z where a belongs."""
    return _PreactivationsForInputs(network.layers, network.loss)


@rebuilds_network(
    correct_equal,
    wrong=parameters_of("layer1", "layer2"),
    causes={"upstream_ignored", "wrong_upstream"},
    black_box={"upstream_ignored", "wrong_upstream", "unexplained"},
)
def loss_derivative_in_hidden_layers(network: Network) -> Network:
    """Hidden layers get the loss's derivative at their own outputs: found in a published loop."""
    return _LossDerivativeInHiddenLayers(network.layers, network.loss)


@rebuilds_network(
    correct_leaky_equal,
    wrong=parameters_of("layer1", "layer2"),
    causes={"wrong_upstream"},
    black_box={"wrong_upstream", "unexplained"},
)
def loss_and_activation_in_hidden_layers(network: Network) -> Network:
    """Layers below the top two have f(z) dL/da for delta: the general step of a published text."""
    return _LossAndActivationInHiddenLayers(network.layers, network.loss)


@rebuilds_network(
    correct,
    wrong=parameters_of("layer1", "layer2"),
    causes={"updated_weights"},
    black_box={"updated_weights", "wrong_upstream", "unexplained"},
)
def updated_weights(network: Network) -> Network:
    """Signals pass through weights that were stepped already: update and backward in one loop."""
    return _StepBeforeSignal(network.layers, network.loss)


@rebuilds_network(
    correct,
    wrong=parameters_of("layer1", "layer2", "layer3"),
    causes={"batch_reduction", "overwritten_accumulation"},
    black_box={"batch_reduction", "overwritten_accumulation", "unexplained"},
)
def last_mini_batch(network: Network) -> Network:
    """Every gradient is that of the last mini-batch: = where += is meant."""
    return _LastMiniBatch(network.layers, network.loss)


@rebuilds_network(
    correct_tied,
    wrong=parameters_of("layer2"),
    causes={"overwritten_accumulation"},
    black_box={"overwritten_accumulation", "unexplained"},
)
def tied_weights_overwritten(network: Network) -> Network:
    """layer2, passed through twice, keeps its last gradient: a dict where a sum is meant."""
    return _EveryLayerOnce(network.layers, network.loss)
