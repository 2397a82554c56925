"""Networks with one piece exchanged: how a bug gets inside."""

from collections.abc import Callable
from dataclasses import replace

from mlp.arrays import Array
from mlp.layers import Dense
from mlp.network import Network


def dense_layers(network: Network) -> tuple[Dense, ...]:
    """Return the layers of a network that has dense ones only.

    Raises
    ------
    TypeError
        when it has others
    """
    layers = tuple(layer for layer in network.layers if isinstance(layer, Dense))
    if len(layers) < len(network.layers):
        raise TypeError(f"layers must be dense, got {[type(layer) for layer in network.layers]}")
    return layers


def with_layer(network: Network, name: str, kind: type[Dense]) -> Network:
    """Return the network, its layer of that name made a layer of another kind."""
    layers = tuple(
        kind(layer.name, layer.activation, layer.parameters) if layer.name == name else layer
        for layer in dense_layers(network)
    )
    return replace(network, layers=layers)


def with_derivative(network: Network, name: str, derivative: Callable[[Array], Array]) -> Network:
    """Return the network, the activation of a layer with another derivative."""
    layers = tuple(
        replace(layer, activation=replace(layer.activation, derivative=derivative))
        if layer.name == name
        else layer
        for layer in dense_layers(network)
    )
    return replace(network, layers=layers)


def with_loss_gradient(network: Network, gradient: Callable[[Array, Array], Array]) -> Network:
    """Return the network, its loss with another gradient."""
    return replace(network, loss=replace(network.loss, gradient=gradient))
