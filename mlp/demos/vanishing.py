"""Gradients that vanish on their way back through nine layers, and networks where they do not.

A layer multiplies the signal by f'(z), and by its weights. A sigmoid's slope is 1/4 at best, at
z = 0, and next to nothing where it is saturated; tanh and ReLU have slope 1 to offer.

References
----------
Glorot & Bengio (2010), Understanding the difficulty of training deep feedforward neural networks.
"""

from dataclasses import dataclass

import numpy as np

from mlp.activations import Activation, identity, relu, sigmoid, tanh
from mlp.arrays import Array
from mlp.curves import Curve
from mlp.demos.catalogue import Demo, Outcome, Settings, titled, training_lines
from mlp.demos.measures import flat_share
from mlp.initialisers import he_normal, lecun_normal, xavier_normal
from mlp.losses import half_mean_squared_norm
from mlp.network import Initialiser, Network, dense_network
from mlp.training import train

SIZES, SAMPLES = (16,) * 9 + (4,), 8
LEARNING_RATE, STEPS = 0.02, 500


@dataclass(frozen=True)
class Kind:
    """A kind of network to compare.

    Parameters
    ----------
    name: what the table calls it.
    activation: of its hidden layers.
    initialiser: of its weights.
    bias_scale: standard deviation of its biases.
    """

    name: str
    activation: Activation
    initialiser: Initialiser
    bias_scale: float = 0.1

    def network(self, rng: np.random.Generator) -> Network:
        """Return a network of the kind, at its random start."""
        return dense_network(
            rng,
            SIZES,
            self.activation,
            identity,
            half_mean_squared_norm,
            initialiser=self.initialiser,
            bias_scale=self.bias_scale,
        )


# Of the biases: far to the left and right of where a sigmoid has its slope.
SATURATING = 5.0
KINDS = (
    Kind("sigmoid, LeCun", sigmoid, lecun_normal),
    Kind("saturated", sigmoid, lecun_normal, bias_scale=SATURATING),
    Kind("tanh, Xavier", tanh, xavier_normal),
    Kind("ReLU, He", relu, he_normal),
)


def run(settings: Settings) -> Outcome:
    """Measure the gradient of every layer in a network of each kind, and train it."""
    rng = np.random.default_rng(settings.seed)
    inputs, targets = rng.standard_normal((SAMPLES, SIZES[0])), rng.standard_normal((SAMPLES, 4))
    networks = {kind: kind.network(rng) for kind in KINDS}
    sizes = [gradient_sizes(network, inputs, targets) for network in networks.values()]
    flat = [flat_shares(kind.activation, network, inputs) for kind, network in networks.items()]
    losses, told = _trained(networks, inputs, targets, settings)
    # Outputs that do not depend on the inputs are best at the mean of the targets.
    constant = float(half_mean_squared_norm.value(targets.mean(axis=0), targets))
    lines = (
        f"Nine layers, {SIZES[0]} units in a hidden one, and {SAMPLES} random samples.",
        "size: of dL/dW, the root of its sum of squares;",
        "flat: units with less than a tenth of the activation's steepest slope;",
        f"saturated: the first network with biases of standard deviation {SATURATING:g}.",
        "",
        *_table(sizes, flat),
        "",
        "gradcheck mlp.problems:deep_sigmoid, or :saturated, checks such gradients.",
        "",
        f"loss after {STEPS:,} steps of learning rate {LEARNING_RATE}; "
        f"{constant:.3g} is the least of a network",
        "that gives the same outputs for all samples, as the inputs do not get through:",
        *(f"  {curve.name:14} {curve.values[-1]:10.3g}" for curve in losses),
        *told,
    )
    figures = {f"{curve.name}: loss": curve.values[-1] for curve in losses} | {
        f"{kind.name}: first / last layer": of_layers[0] / of_layers[-1]
        for kind, of_layers in zip(KINDS, sizes, strict=True)
    }
    return Outcome(lines, losses, figures | {"constant": constant})


def _trained(
    networks: dict[Kind, Network], inputs: Array, targets: Array, settings: Settings
) -> tuple[tuple[Curve, ...], list[str]]:
    """Return the losses of every network in training, and what was told of it."""
    curves: list[Curve] = []
    told: list[str] = []
    for kind, network in networks.items():
        options = settings.training_options()
        training = train(
            *(network, network.parameters, inputs, targets),
            learning_rate=LEARNING_RATE,
            epochs=STEPS,
            **options,
        )
        curves.append(Curve(kind.name, training.losses))
        told += titled(kind.name, training_lines(training, options))
    return tuple(curves), told


def gradient_sizes(network: Network, inputs: Array, targets: Array) -> list[float]:
    """Return the size of dL/dW in every layer, the first layer first."""
    gradient = network.backward(network.parameters, inputs, targets)
    return [float(np.linalg.norm(slopes["weight"])) for slopes in gradient.values()]


def flat_shares(activation: Activation, network: Network, inputs: Array) -> list[float]:
    """Return the share of flat units in every hidden layer, the first layer first."""
    _, caches = network.forward(network.parameters, inputs)
    return [flat_share(activation, cache.preactivation) for cache in caches[:-1]]


def _table(sizes: list[list[float]], flat: list[list[float]]) -> list[str]:
    """Return a row per layer, from the loss back to the inputs, and columns per kind."""
    shares = [[*(f"{share:.0%}" for share in of_kind), ""] for of_kind in flat]
    rows = [
        f"{number + 1:5}  "
        + "".join(
            f"{size[number]:10.1e}{share[number]:>7}"
            for size, share in zip(sizes, shares, strict=True)
        )
        for number in reversed(range(len(SIZES) - 1))
    ]
    return [
        f"{'':7}" + "".join(f"{kind.name:>17}" for kind in KINDS),
        "layer  " + f"{'size   flat':>17}" * len(KINDS),
        *(row.rstrip() for row in rows),
    ]


DEMO = Demo(
    "vanishing", "gradients that vanish in sigmoids, and where they do not", run, trains=True
)
