"""Handwritten digits: learnt from four fifths of them, in batches, and read from the rest."""

import numpy as np
from numpy.typing import NDArray

from mlp.activations import identity, relu
from mlp.arrays import Array
from mlp.curves import Curve
from mlp.demos.catalogue import Demo, Outcome, Settings, training_lines
from mlp.demos.classifying import trained_on_labels
from mlp.demos.measures import accuracy
from mlp.initialisers import he_normal
from mlp.losses import softmax_cross_entropy
from mlp.network import dense_network
from mlp.problems import load_digits
from mlp.training import Training

HIDDEN, TESTED = 64, 360
LEARNING_RATE, MOMENTUM, BATCH, EPOCHS = 0.05, 0.9, 32, 30
# Characters from paper to ink, and how many misread digits are drawn.
GREYS, DRAWN = " .:-=+*#%@", 4


def run(settings: Settings) -> Outcome:
    """Train a 64-64-10 network and test it on digits that it has not seen."""
    rng = np.random.default_rng(settings.seed)
    images, labels = load_digits()
    order = rng.permutation(len(images))
    learnt, tested = order[TESTED:], order[:TESTED]
    network = dense_network(
        rng, (64, HIDDEN, 10), relu, identity, softmax_cross_entropy, initialiser=he_normal
    )
    options = {"rng": rng, **settings.training_options()}
    training = trained_on_labels(
        network,
        images[learnt],
        labels[learnt],
        learning_rate=LEARNING_RATE,
        momentum=MOMENTUM,
        batch_size=BATCH,
        epochs=EPOCHS,
        **options,
    )
    lines = (
        f"64-{HIDDEN}-10, ReLU, softmax and cross-entropy, He initialisation",
        f"batches of {BATCH}, learning rate {LEARNING_RATE}, momentum {MOMENTUM}, {EPOCHS} epochs",
        f"{len(training.losses):,} steps in {training.seconds:.1f} s",
        *training_lines(training, options),
        "",
        "                 read rightly before   after training",
    )
    figures = {"seconds": training.seconds}
    for part, rows in (("learnt", learnt), ("test", tested)):
        before, after = (
            accuracy(network, parameters, images[rows], labels[rows])
            for parameters in (network.parameters, training.parameters)
        )
        lines += (f"{len(rows):>5,} {part:6} digits {before:16.1%} {after:16.1%}",)
        figures |= {f"{part}_accuracy_before": before, f"{part}_accuracy_after": after}
    read = network.predict(training.parameters, images[tested]).argmax(axis=1)
    lines += ("", *_misread(images[tested], labels[tested], read))
    return Outcome(lines, (_curve(training),), figures, across="epoch")


def _curve(training: Training) -> Curve:
    epochs = np.reshape(training.losses, (EPOCHS, -1)).mean(axis=1)
    return Curve("cross-entropy, the mean of an epoch", tuple(epochs.tolist()))


def _misread(images: Array, labels: NDArray[np.int_], read: NDArray[np.int_]) -> list[str]:
    """Return how many digits were misread, and some of them as characters, side by side."""
    wrong = np.flatnonzero(read != labels)
    drawn = [_drawn(images[place]) for place in wrong[:DRAWN]]
    captions = [f"{labels[place]} read as {read[place]}" for place in wrong[:DRAWN]]
    return [
        f"{len(wrong)} of {len(labels)} test digits are misread"
        + (f"; {len(drawn)} of them:" if drawn else ""),
        "",
        *("   ".join(row).rstrip() for row in zip(*drawn, strict=True)),
        "   ".join(f"{caption:16}" for caption in captions).rstrip(),
    ]


def _drawn(image: Array) -> list[str]:
    """Return an image as 8 lines, each pixel two characters wide."""
    darkness = (image.reshape(8, 8) * (len(GREYS) - 1)).round().astype(int)
    return ["".join(2 * GREYS[level] for level in row) for row in darkness]


DEMO = Demo("digits", "handwritten digits, read after a second of training", run, trains=True)
