"""Whole networks to check, right and wrong, and what a check has to say about each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gradcheck import GradientReport, Problem
from mlp import activations, initialisers, losses, problems
from mlp.network import Network, dense_network

SIZES = (20, 64, 64, 10)
SMALL_SIZES = (6, 16, 12, 4)
BATCH = 32
LARGE_BATCH = 512
BIAS_SCALE = 0.1
OFFSET = 1e6
TINY = 1e-7
SLIGHTLY = 1.001


@dataclass(frozen=True)
class Trial:
    """A problem, and the layer whose gradient is wrong; "" where all are right."""

    problem: Problem
    wrong_layer: str = ""


@dataclass(frozen=True)
class Criterion:
    """What a check has to say about a kind of network.

    Attributes
    ----------
    title: the kind of network and, after the colon, what is required
    make: the trial of one network seed
    holds: whether a report says what is required
    effort: of the check
    seeds: how many networks there are, where not as many as are asked for
    """

    title: str
    make: Callable[[int], Trial]
    holds: Callable[[GradientReport, Trial], bool]
    effort: str = "auto"
    seeds: int | None = None


def network_problem(
    seed: int,
    activation: activations.Activation,
    *,
    sizes: tuple[int, ...] = SIZES,
    batch: int = BATCH,
) -> Problem:
    """Return a softmax network on random data, with its gradient by backpropagation."""
    rng = np.random.default_rng(seed)
    relu = activation is activations.relu
    network = dense_network(
        rng,
        sizes,
        activation,
        activations.identity,
        losses.softmax_cross_entropy,
        initialiser=initialisers.he_normal if relu else initialisers.xavier_normal,
        bias_scale=BIAS_SCALE,
    )
    inputs = rng.standard_normal((batch, sizes[0]))
    targets = np.eye(sizes[-1])[rng.integers(sizes[-1], size=batch)]
    return of_network(network, inputs, targets)


def of_network(network: Network, inputs: Any, targets: Any) -> Problem:
    """Return the problem of a network on a batch."""
    return Problem(
        network.loss_value,
        network.backward,
        network.parameters,
        args=(inputs, targets),
        network=network,
    )


def mapped(nested: dict[str, dict[str, Any]], change: Callable[..., Any]) -> dict[str, Any]:
    """Return {layer: {key: array}} with change(layer, key, array) for every array."""
    return {
        layer: {key: change(layer, key, array) for key, array in arrays.items()}
        for layer, arrays in nested.items()
    }


def relu(seed: int, **settings: Any) -> Trial:
    """A right ReLU network."""
    return Trial(network_problem(seed, activations.relu, **settings))


def with_offset(seed: int) -> Trial:
    """A right network whose loss has a large constant added."""
    problem = network_problem(seed, activations.tanh)
    return Trial(replace(problem, loss=lambda *given: OFFSET + problem.loss(*given)))


def _single(_layer: str, _key: str, array: Any) -> Any:
    return array.astype(np.float32)


def in_float32(seed: int) -> Trial:
    """A right network whose code stays in float32, whatever it is given."""
    problem = network_problem(seed, activations.tanh)
    data = tuple(array.astype(np.float32) for array in problem.args)
    return Trial(
        replace(
            problem,
            loss=lambda given, *args: problem.loss(mapped(given, _single), *args),
            gradient=lambda given, *args: problem.gradient(mapped(given, _single), *args),
            parameters=mapped(problem.parameters, _single),
            args=data,
        )
    )


def in_float32_in_place(seed: int) -> Trial:
    """The same as an object that holds its own float32 arrays."""
    problem = in_float32(seed).problem
    held, data = problem.parameters, problem.args
    return Trial(
        Problem(
            lambda: problem.loss(held, *data),
            lambda: problem.gradient(held, *data),
            held,
            in_place=True,
        )
    )


def textbook_in_float32(_seed: int) -> Trial:
    """The 2-2-2 network in float32, where a saturated unit leaves 6 % of rounding."""
    problem = problems.two_two_two()
    parameters = mapped(problem.parameters, _single)
    data = tuple(array.astype(np.float32) for array in problem.args)
    return Trial(Problem(problem.loss, problem.gradient, parameters, args=data))


def tiny_with_flipped_layer(seed: int) -> Trial:
    """A loss scaled by 1e-7 with the gradient of one layer negated."""
    problem = network_problem(seed, activations.tanh)
    wrong = f"layer{1 + seed % (len(SIZES) - 1)}"

    def gradient(*given):
        return mapped(
            problem.gradient(*given),
            lambda layer, _, array: (-TINY if layer == wrong else TINY) * array,
        )

    tiny = replace(problem, loss=lambda *given: TINY * problem.loss(*given), gradient=gradient)
    return Trial(tiny, wrong)


def doubled_entry(seed: int) -> Trial:
    """The entry whose slope is of median size, doubled."""
    problem = network_problem(seed, activations.tanh)
    slopes = problem.gradient(problem.parameters, *problem.args)
    sizes = {
        (layer, key, index): abs(slope)
        for layer, arrays in slopes.items()
        for key, array in arrays.items()
        for index, slope in np.ndenumerate(array)
    }
    layer, key, index = sorted(sizes, key=sizes.__getitem__)[len(sizes) // 2]

    def gradient(*given):
        found = problem.gradient(*given)
        found[layer][key][index] *= 2
        return found

    return Trial(replace(problem, gradient=gradient), layer)


def slightly_off(seed: int, key: str, layer: str = "") -> Trial:
    """One parameter off by 0.1 %."""
    problem = network_problem(seed, activations.tanh)
    wrong = layer or f"layer{1 + seed % (len(SIZES) - 1)}"

    def gradient(*given):
        found = problem.gradient(*given)
        found[wrong][key] *= SLIGHTLY
        return found

    return Trial(replace(problem, gradient=gradient), wrong)


def _passes(report: GradientReport, _trial: Trial) -> bool:
    return report.ok


def _passes_with_note(report: GradientReport, _trial: Trial) -> bool:
    return report.ok and _limited(report)


def _not_accused(report: GradientReport, _trial: Trial) -> bool:
    return report.ok or (report.verdict == "inconclusive" and _limited(report))


def _limited(report: GradientReport) -> bool:
    return any(finding.slug == "limited_by_precision" for finding in report.findings)


def _blamed(report: GradientReport, trial: Trial) -> bool:
    return [layer.name for layer in report.layers if layer.verdict == "fail"] == [trial.wrong_layer]


def _caught(report: GradientReport, _trial: Trial) -> bool:
    return report.verdict == "fail"


NETWORK = "-".join(map(str, SIZES))
SMALL = "-".join(map(str, SMALL_SIZES))
CRITERIA = (
    Criterion(f"right ReLU {NETWORK}, batch {BATCH}: passes", relu, _passes),
    Criterion(
        f"right ReLU {NETWORK}, batch {LARGE_BATCH}: passes",
        lambda seed: relu(seed, batch=LARGE_BATCH),
        _passes,
    ),
    Criterion(
        f"right ReLU {SMALL}, batch {BATCH}: passes",
        lambda seed: relu(seed, sizes=SMALL_SIZES),
        _passes,
        "exhaustive",
    ),
    Criterion(
        f"right ReLU {SMALL}, batch {LARGE_BATCH}: passes",
        lambda seed: relu(seed, sizes=SMALL_SIZES, batch=LARGE_BATCH),
        _passes,
        "exhaustive",
    ),
    Criterion(
        f"right {NETWORK}, loss + 1e6: passes, or is limited by precision",
        with_offset,
        _not_accused,
    ),
    Criterion(f"right {NETWORK}, code stays in float32: passes", in_float32, _passes),
    Criterion(
        f"right {NETWORK}, code stays in float32, in place: passes", in_float32_in_place, _passes
    ),
    Criterion(
        "right 2-2-2 in float32: passes, limited by precision",
        textbook_in_float32,
        _passes_with_note,
        seeds=1,
    ),
    Criterion(
        f"{NETWORK}, loss times 1e-7, one layer negated: exactly that layer fails",
        tiny_with_flipped_layer,
        _blamed,
    ),
    Criterion(
        f"{NETWORK}, the entry of median slope doubled: fails", doubled_entry, _caught, "quick"
    ),
    Criterion(
        f"{NETWORK}, W2 off by 0.1 %: fails",
        lambda seed: slightly_off(seed, "weight", "layer2"),
        _caught,
        "quick",
    ),
    Criterion(
        f"{NETWORK}, one bias off by 0.1 %: fails",
        lambda seed: slightly_off(seed, "bias"),
        _caught,
        "quick",
    ),
)
