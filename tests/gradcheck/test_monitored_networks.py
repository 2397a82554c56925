"""The monitor on real trainings: correct networks are never accused, the gallery's faults are."""

from contextlib import suppress
from copy import deepcopy
from functools import partial

import numpy as np
import pytest

from gradcheck import DescentMonitor
from mlp import activations, faults
from mlp.activations import identity
from mlp.initialisers import he_normal, xavier_normal
from mlp.losses import half_mean_squared_norm, softmax_cross_entropy
from mlp.network import dense_network
from mlp.training import train

SEEDS = range(20)
ACTIVATIONS = {
    "sigmoid": (activations.sigmoid, xavier_normal),
    "tanh": (activations.tanh, xavier_normal),
    "relu": (activations.relu, he_normal),
    "leaky_relu": (activations.leaky_relu, he_normal),
}
BATCHES = {
    "full batch": {"epochs": 5, "learning_rate": 0.05},
    "momentum": {"epochs": 1, "learning_rate": 0.05, "batch_size": 6, "momentum": 0.9},
}
# Their gradient is zero where it should not be, so that no step moves what they get wrong; and one
# that is off by too little along a step.
UNSEEN = {
    "detached_bias",
    "detached_layer",
    "entry_off_by_1e_5",
    "upper_triangle_zero",
    "zeroed_column",
}


def network_and_data(kind, loss, seed, dtype=np.float64):
    rng = np.random.default_rng(seed)
    activation, initialiser = ACTIVATIONS[kind]
    network = dense_network(
        rng, (5, 8, 6, 3), activation, identity, loss, initialiser=initialiser, bias_scale=0.1
    )
    inputs, targets = rng.standard_normal((30, 5)), np.eye(3)[rng.integers(3, size=30)]
    parameters = {
        layer: {key: array.astype(dtype) for key, array in held.items()}
        for layer, held in network.parameters.items()
    }
    return network, parameters, inputs.astype(dtype), targets.astype(dtype)


def watched(kind, loss, seed, dtype=np.float64, **options):
    network, parameters, inputs, targets = network_and_data(kind, loss, seed, dtype)
    monitor, rng = DescentMonitor(), np.random.default_rng(seed)
    # What diverges is watched until it does.
    with suppress(FloatingPointError):
        trained = train(network, parameters, inputs, targets, rng=rng, observe=monitor, **options)
        monitor.end(trained.parameters)
    return monitor


@pytest.mark.parametrize(
    ("dtype", "batch"),
    [
        (np.float64, "full batch"),
        (np.float64, "momentum"),
        (np.float32, "full batch"),
        pytest.param(np.float32, "momentum", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_no_step_of_a_correct_network_fails(kind, dtype, batch):
    steps = [
        step
        for seed in SEEDS
        for step in watched(kind, half_mean_squared_norm, seed, dtype, **BATCHES[batch]).steps
    ]
    assert len(steps) == 20 * 5
    assert [step for step in steps if step.verdict == "fail"] == []
    # A kink close by may leave one or the other undecided.
    assert sum(step.verdict == "inconclusive" for step in steps) <= 2


@pytest.mark.slow
@pytest.mark.parametrize("rate", [1e-3, 0.05, 0.5])
@pytest.mark.parametrize("loss", [half_mean_squared_norm, softmax_cross_entropy])
@pytest.mark.parametrize("kind", ACTIVATIONS)
@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_no_step_fails_at_any_learning_rate(kind, loss, rate):
    for seed in range(100, 120):
        for dtype in (np.float64, np.float32):
            options = {"epochs": 3, "batch_size": 10, "momentum": 0.9, "learning_rate": rate}
            monitor = watched(kind, loss, seed, dtype, **options)
            assert [step for step in monitor.steps if step.verdict == "fail"] == []


def in_float32(parameters):
    return {
        layer: {key: array.astype(np.float32) for key, array in held.items()}
        for layer, held in parameters.items()
    }


def pure_float32(kind, seed, factor):
    """Watch a network whose loss is computed in float32 whatever it is given."""
    network, parameters, inputs, targets = network_and_data(
        kind, half_mean_squared_norm, seed, np.float32
    )
    monitor = DescentMonitor()
    for _ in range(2):
        right = network.backward(parameters, inputs, targets)
        claimed = {
            layer: {key: np.float32(factor) * array for key, array in held.items()}
            for layer, held in right.items()
        }
        monitor(lambda p: network.loss_value(in_float32(p), inputs, targets), parameters, claimed)
        parameters = {
            layer: {
                key: array - np.float32(0.05) * right[layer][key] for key, array in held.items()
            }
            for layer, held in parameters.items()
        }
    monitor.end(parameters)
    return [step.verdict for step in monitor.steps]


@pytest.mark.parametrize("kind", ACTIVATIONS)
def test_a_loss_in_float32_only_accuses_nobody_but_for_a_gross_mistake(kind):
    right = [verdict for seed in SEEDS for verdict in pure_float32(kind, seed, 1)]
    twice = [verdict for seed in SEEDS for verdict in pure_float32(kind, seed, 2)]
    assert "fail" not in right
    assert twice.count("fail") >= 0.9 * len(twice)


@pytest.mark.parametrize("kind", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [np.float64, pytest.param(np.float32, marks=pytest.mark.slow)])
def test_a_correct_network_is_not_accused_where_the_monitor_is_called_after_the_update(kind, dtype):
    steps = []
    for seed in SEEDS:
        network, parameters, inputs, targets = network_and_data(
            kind, half_mean_squared_norm, seed, dtype
        )
        monitor, calls = DescentMonitor(), []
        trained = train(
            network,
            parameters,
            inputs,
            targets,
            observe=lambda *call, calls=calls: calls.append(deepcopy(call)),
            **BATCHES["momentum"],
        )
        after = [parameters for _, parameters, _ in calls[1:]] + [trained.parameters]
        for (loss, _, gradient), parameters in zip(calls, after, strict=True):
            monitor(loss, parameters, gradient)
        steps += monitor.steps
    assert len(steps) == 20 * 4
    assert {step.progress for step in steps} == {"not comparable"}
    assert all("is called after the update" in step.reason for step in steps)


def moved(parameters, gradient, rate):
    if isinstance(parameters, dict):
        return {key: moved(held, gradient[key], rate) for key, held in parameters.items()}
    return parameters - rate * gradient


def length(gradient):
    if isinstance(gradient, dict):
        return float(np.hypot.reduce([length(held) for held in gradient.values()]))
    return float(np.linalg.norm(gradient))


def descended(problem, steps=3):
    """Descend by what the problem claims to be its gradient, in steps of length 0.02."""
    monitor, parameters = DescentMonitor(), problem.parameters
    for _ in range(steps):
        gradient = problem.gradient(parameters, *problem.args)
        monitor(problem.loss, parameters, gradient, problem.args)
        parameters = moved(parameters, gradient, 0.02 / length(gradient))
    monitor.end(parameters)
    return monitor


def test_the_faults_of_the_gallery_show_along_the_first_step_but_for_those_it_cannot_move():
    verdicts = {name: descended(fault(0)).steps[0].verdict for name, fault in faults.FAULTS.items()}
    assert {name for name, verdict in verdicts.items() if verdict != "fail"} == UNSEEN


@pytest.mark.parametrize(
    "twin", sorted({fault.twin for fault in faults.FAULTS.values()}, key=lambda f: f.__name__)
)
def test_their_twins_pass(twin):
    for seed in range(3):
        assert descended(twin(seed)).verdict == "pass"


def test_a_monitored_training_is_the_same_bit_by_bit():
    network, parameters, inputs, targets = network_and_data("tanh", half_mean_squared_norm, 0)
    kept = deepcopy((parameters, inputs, targets))
    run = partial(train, network, parameters, inputs, targets, **BATCHES["momentum"])
    alone, watched = run(), run(observe=DescentMonitor())
    np.testing.assert_equal(alone.parameters, watched.parameters)
    assert alone.losses == watched.losses
    np.testing.assert_equal((parameters, inputs, targets), kept)


def test_the_losses_of_the_steps_are_those_of_the_training():
    network, parameters, inputs, targets = network_and_data("tanh", half_mean_squared_norm, 0)
    monitor = DescentMonitor()
    trained = train(
        network, parameters, inputs, targets, observe=monitor, epochs=6, learning_rate=0.05
    )
    assert [step.loss for step in monitor.steps] == pytest.approx(list(trained.losses[:-1]))
    assert [step.loss_after for step in monitor.steps] == pytest.approx(list(trained.losses[1:]))
