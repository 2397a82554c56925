"""Initial weights: which keep the signals alive, on the way up and on the way back.

What a network can tell samples apart by is how its signals vary over them. Up, through n inputs x
with z_j = sum_i x_i W_ij, and weights drawn independently with mean 0,

    var z_j = sum_ik W_ij W_kj cov(x_i, x_k)    over the samples
            = n var(W) var(x)                   on average over the weights: only i = k is left

where var(x) is averaged over the inputs. What all samples share is no part of it. Of var z, the
activation hands on at most the part that is the square of its steepest slope: all in a tanh, a
sixteenth in a sigmoid. A ReLU hands on half of the mean of z**2, but some of that half is shared.
Back, from m units with dL/dx_i = sum_j delta_j W_ij and delta = dL/dz, on average

    mean (dL/dx_i)**2 = m var(W) mean(delta**2)

Small weights shrink the signals in every layer, large ones blow them up or drive the units to where
they are flat; through ten layers the factor is taken to the tenth power.

References
----------
Glorot & Bengio (2010), Understanding the difficulty of training deep feedforward neural networks,
section 4.2.1.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlp.activations import Activation, relu, sigmoid, tanh
from mlp.curves import Curve
from mlp.demos.catalogue import Demo, Outcome, Settings
from mlp.demos.measures import flat_share
from mlp.initialisers import he_normal, lecun_normal, small_normal, unit_normal, xavier_normal
from mlp.losses import sum_of_squares
from mlp.network import Initialiser, dense_network

# Ten layers that grow narrower, so that Xavier's weights, fair to both ways, are not LeCun's.
SIZES = (128, 122, 115, 109, 102, 96, 90, 83, 77, 70, 64)
SAMPLES = 256
ACTIVATIONS = (sigmoid, tanh, relu)
INITIALISERS = {
    "small": small_normal,
    "unit": unit_normal,
    "LeCun": lecun_normal,
    "Xavier": xavier_normal,
    "He": he_normal,
}
# A signal is alive that changes by no more than this factor from a layer to the next.
STEADY = 1.5


@dataclass(frozen=True)
class Signals:
    """What becomes of the signals in a network.

    Attributes
    ----------
    forward: variance over the samples, averaged over the units: of the inputs, and of every z.
    backward: mean square of dL/da, last layer first.
    flat: share of the units of all layers that are flat.
    """

    forward: tuple[float, ...]
    backward: tuple[float, ...]
    flat: float

    @property
    def factors(self) -> tuple[float, float]:
        """By how much a layer changes the one and the other, on average."""
        return _factor(self.forward[1:]), _factor(self.backward)

    @property
    def alive(self) -> bool:
        """Whether both get through."""
        return all(1 / STEADY <= factor <= STEADY for factor in self.factors)


def run(settings: Settings) -> Outcome:
    """Send signals up and back through networks of every kind."""
    rng = np.random.default_rng(settings.seed)
    found = {
        (activation.name, name): measured(rng, activation, initialiser)
        for activation in ACTIVATIONS
        for name, initialiser in INITIALISERS.items()
    }
    lines = [
        f"Ten layers, from {SIZES[0]} inputs to {SIZES[-1]} outputs.",
        "up: the variance of z over the samples;",
        "back: the mean square of dL/da, which starts as 1;",
        "factor: from a layer to the next, on average.",
        "",
        "                  up: z of                  back: dL/da of",
        "          layer 1  layer 10  factor        layer 1  factor     flat  alive",
    ]
    for activation in ACTIVATIONS:
        rows = (_row(name, found[activation.name, name]) for name in INITIALISERS)
        lines += ["", activation.name, *rows]
    lines += [
        "",
        f"alive: neither signal changes by more than {STEADY} times from a layer to the next.",
        "flat: units with less than a tenth of the activation's steepest slope.",
    ]
    curves = [Curve(f"ReLU, {name}", found[relu.name, name].forward) for name in INITIALISERS]
    figures = {" ".join(key): float(signals.alive) for key, signals in found.items()}
    return Outcome(tuple(lines), tuple(curves), figures, across="layer")


def measured(rng: np.random.Generator, activation: Activation, initialiser: Initialiser) -> Signals:
    """Return what becomes of normal inputs, and of a normal upstream, in a network."""
    network = dense_network(
        rng, SIZES, activation, activation, sum_of_squares, initialiser=initialiser
    )
    inputs = rng.standard_normal((SAMPLES, SIZES[0]))
    _, caches = network.forward(network.parameters, inputs)
    signals = [inputs, *(cache.preactivation for cache in caches)]  # (samples, units) each
    upstream = rng.standard_normal((SAMPLES, SIZES[-1]))
    upstreams = [upstream]
    for layer, cache in zip(network.layers[:0:-1], caches[:0:-1], strict=True):
        upstream, _ = layer.backward(cache, upstream)  # (samples, fan_in)
        upstreams.append(upstream)
    return Signals(
        forward=tuple(float(signal.var(axis=0).mean()) for signal in signals),
        backward=tuple(float(np.mean(upstream**2)) for upstream in upstreams),
        flat=float(np.mean([flat_share(activation, cache.preactivation) for cache in caches])),
    )


def _factor(sizes: Sequence[float]) -> float:
    """Return the mean factor from one size to the next, the geometric one."""
    return float((sizes[-1] / sizes[0]) ** (1 / (len(sizes) - 1)))


def _row(name: str, signals: Signals) -> str:
    up, back = signals.factors
    return (
        f"  {name:6}  {signals.forward[1]:7.1e}  {signals.forward[-1]:8.1e}  {up:6.2g}"
        f"        {signals.backward[-1]:7.1e}  {back:6.2g}    {signals.flat:4.0%}"
        f"  {'yes' if signals.alive else 'no':>5}"
    )


DEMO = Demo("initialisation", "which initial weights keep the signals alive", run)
