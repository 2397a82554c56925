"""Batch normalisation: on two samples, where it leaves nothing to learn, and where it helps.

Of two samples, the inputs x of a unit lie at their mean plus and minus h, hence

    u = +-h / s,   s = sqrt(h**2 + EPSILON)      +1 and -1, whatever h is
    du/dh = EPSILON / s**3                       next to nothing

The weights below decide h alone. So they have next to no gradient, and what is left to learn is
gamma, beta and the layers above.
"""

from dataclasses import replace

import numpy as np

from mlp.activations import identity, sigmoid
from mlp.arrays import NetworkParameters
from mlp.curves import Curve
from mlp.demos.catalogue import Demo, Outcome, Settings, titled, training_lines
from mlp.demos.classifying import trained_on_labels
from mlp.demos.measures import accuracy
from mlp.initialisers import lecun_normal
from mlp.layers import Dense
from mlp.losses import softmax_cross_entropy, sum_of_squares
from mlp.network import Network, dense_network
from mlp.normalisation import EPSILON, BatchNorm, batch_norm_network
from mlp.problems import load_digits, two_two_two
from mlp.training import train

PLAIN, NORMALISED = "plain", "normalised"
# Of the two samples.
PAIR_RATE, PAIR_STEPS = 0.5, 200
# Of the digits: 28 full batches of them, as the last few would be a batch with poor statistics.
SIZES, SAMPLES, BATCH = (64, 32, 32, 32, 32, 10), 1792, 64
LEARNING_RATE, EPOCHS = 0.5, 10


def run(settings: Settings) -> Outcome:
    """Train networks with and without batch normalisation, on two samples and on digits."""
    pair_lines, pair_figures = _on_a_pair()
    lines, curves, figures = _on_digits(settings)
    return Outcome((*pair_lines, "", *lines), curves, pair_figures | figures)


def pair_networks(parameters: NetworkParameters) -> dict[str, Network]:
    """Return the 2-2-2 network as it is, and with its hidden layer normalised."""
    hidden = Dense("hidden", sigmoid, parameters["hidden"])
    norm = BatchNorm("norm", sigmoid, {"gamma": np.ones(2), "beta": np.zeros(2)})
    output = Dense("output", sigmoid, parameters["output"])
    normalised = (replace(hidden, activation=identity), norm, output)
    return {
        PLAIN: Network((hidden, output), sum_of_squares),
        NORMALISED: Network(normalised, sum_of_squares),
    }


def _on_a_pair() -> tuple[list[str], dict[str, float]]:
    """Train the 2-2-2 network on its two samples, as it is and normalised.

    Not verified: the normalised dL/dW is no larger than the round-off of what it is the rest of.
    """
    problem = two_two_two()
    inputs, targets = problem.args
    figures: dict[str, float] = {}
    for name, network in pair_networks(problem.parameters).items():
        start = network.parameters
        slopes = network.backward(start, inputs, targets)["hidden"]["weight"]
        training = train(
            network, start, inputs, targets, learning_rate=PAIR_RATE, epochs=PAIR_STEPS
        )
        moved = training.parameters["hidden"]["weight"] - start["hidden"]["weight"]
        figures |= {
            f"{name}: size of dL/dW": float(np.linalg.norm(slopes)),
            f"{name}: way of W": float(np.linalg.norm(moved)),
            f"{name}: loss before": training.losses[0],
            f"{name}: loss after": float(network.loss_value(training.parameters, inputs, targets)),
        }
    half = np.ptp((inputs @ problem.parameters["hidden"]["weight"])[:, 0]) / 2
    return _pair_lines(figures, half), figures


def _pair_lines(figures: dict[str, float], half: float) -> list[str]:
    labels = ("size of dL/dW", "way of W", "loss before", "loss after")
    return [
        "Two samples: the 2-2-2 network as it is, and with its hidden layer normalised.",
        "",
        f"{'':24}{PLAIN:>12}{NORMALISED:>12}",
        *(_pair_row(label, figures) for label in labels),
        "",
        f"W: the hidden weights; {PAIR_STEPS} steps of learning rate {PAIR_RATE}.",
        "Two samples at mean + h and mean - h become +-h / sqrt(h**2 + epsilon): +1 and",
        "-1, whatever W is. The slope of that, epsilon / (h**2 + epsilon)**1.5, is "
        f"{EPSILON / (half**2 + EPSILON) ** 1.5:.0e}",
        f"in the first unit, where h = {half:g}. No unit is saturated any more, but W stays",
        "where it is: gamma, beta and the output layer learn. It is no help here.",
    ]


def _pair_row(label: str, figures: dict[str, float]) -> str:
    columns = (figures[f"{name}: {label}"] for name in (PLAIN, NORMALISED))
    return f"  {label:22}" + "".join(f"{value:12.3g}" for value in columns)


def _on_digits(settings: Settings) -> tuple[list[str], tuple[Curve, ...], dict[str, float]]:
    """Train a deep sigmoid network on digits, plain and normalised, from the same weights."""
    images, labels = load_digits()
    lines = [
        f"{SAMPLES:,} digits: a {'-'.join(map(str, SIZES))} network of sigmoids, LeCun's weights,",
        f"batches of {BATCH}, {EPOCHS} epochs of learning rate {LEARNING_RATE}.",
        "",
        f"{'':24}{'loss before':>12}{'after':>12}{'read rightly':>15}",
    ]
    told: list[str] = []
    curves: list[Curve] = []
    figures: dict[str, float] = {}
    for name, make in ((PLAIN, dense_network), (NORMALISED, batch_norm_network)):
        rng = np.random.default_rng(settings.seed)  # the same weights and batches for both
        network = make(
            rng, SIZES, sigmoid, identity, softmax_cross_entropy, initialiser=lecun_normal
        )
        rows = rng.permutation(len(images))[:SAMPLES]
        options = settings.training_options()
        training = trained_on_labels(
            *(network, images[rows], labels[rows]),
            learning_rate=LEARNING_RATE,
            batch_size=BATCH,
            epochs=EPOCHS,
            rng=rng,
            **options,
        )
        after = float(np.mean(training.losses[-(SAMPLES // BATCH) :]))
        right = accuracy(network, training.parameters, images[rows], labels[rows])
        lines.append(f"  {name:22}{training.losses[0]:12.3g}{after:12.3g}{right:15.1%}")
        told += titled(name, training_lines(training, options))
        curves.append(Curve(f"cross-entropy of the batch, {name}", training.losses))
        figures |= {f"{name}: digits read rightly": right}
    return [*lines, *told], tuple(curves), figures


DEMO = Demo("batch_norm", "batch normalisation, where it helps and where not", run, trains=True)
