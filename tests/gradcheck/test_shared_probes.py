"""Directions through all parameters at once: what they say of each, and when they say nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import gradcheck
from gradcheck.probing import MOST_PROBES
from mlp import activations, initialisers, losses
from mlp.network import dense_network

SIZES = (12, 10, 8, 4)
SEEDS = range(20)


def network_problem(seed, activation=activations.sigmoid, sizes=SIZES, loss=None):
    rng = np.random.default_rng([seed, 77])
    network = dense_network(
        rng,
        sizes,
        activation,
        activations.identity,
        loss or losses.half_mean_squared_norm,
        initialiser=initialisers.xavier_normal,
        bias_scale=0.1,
    )
    inputs = rng.standard_normal((9, sizes[0]))
    targets = rng.standard_normal((9, sizes[-1]))
    # Black boxes: what layers are worth is tested elsewhere.
    return gradcheck.Problem(
        network.loss_value, network.backward, network.parameters, args=(inputs, targets)
    )


def spoilt(problem, layer, key, change):
    def gradient(*given):
        found = problem.gradient(*given)
        found[layer][key] = change(found[layer][key])
        return found

    return replace(problem, gradient=gradient)


def failing(report):
    return [part.name for part in report.parameters if part.verdict == "fail"]


def test_right_networks_take_directions_through_all_parameters_only():
    shared = 0
    for seed in SEEDS:
        report = gradcheck.check(network_problem(seed), effort="quick")
        assert report.ok
        assert all(part.miss_chance <= 1e-3 for part in report.parameters)
        shared += all(probe.shared for part in report.parameters for probe in part.probes)
    assert shared == len(SEEDS)


def test_the_whole_network_takes_no_more_than_two_or_three_parameters_did():
    report = gradcheck.check(network_problem(0), effort="quick")
    measured = {id(probe): probe for part in report.parameters for probe in part.probes}
    along = [probe.evaluations for probe in report.parameters[0].probes]
    assert len(measured) == len(report.parameters) * len(along)
    assert sum(along) <= 8 * 3
    assert report.evaluations <= sum(along) + 30


@pytest.mark.parametrize("key", ["weight", "bias"])
@pytest.mark.parametrize("layer", ["layer1", "layer2", "layer3"])
def test_a_wrong_parameter_is_blamed_alone(layer, key):
    for seed in SEEDS:
        problem = spoilt(network_problem(seed), layer, key, lambda array: array * (1 + 1e-4))
        report = gradcheck.check(problem, effort="quick")
        assert failing(report) == [f"{layer}.{key}"]


def test_a_direction_that_disagrees_accuses_nobody_by_itself():
    problem = spoilt(network_problem(3), "layer2", "weight", lambda array: 2 * array)
    report = gradcheck.check(problem, effort="quick")
    assert not any(probe.shared for part in report.parameters for probe in part.probes)


def test_errors_that_nearly_cancel_between_two_parameters_are_seen():
    # Along equal signs the two changes of slope would cancel to the last digit.
    point = {"a": np.array([0.7, -0.4]), "b": np.array([0.7, -0.4])}

    def loss(given):
        return float(np.sum(np.sin(given["a"])) + np.sum(np.sin(given["b"])))

    def gradient(given):
        return {"a": np.cos(given["a"]) + 1e-3, "b": np.cos(given["b"]) - 1e-3}

    for seed in SEEDS:
        report = gradcheck.check_gradients(loss, gradient, point, effort="quick", seed=seed)
        assert failing(report) == ["a", "b"]


def test_a_parameter_that_contributes_next_to_nothing_is_looked_at_by_itself():
    point = {"loud": np.array([0.3, 1.1, -0.8]), "quiet": np.array([0.5, -0.9])}

    def loss(given):
        return float(np.sum(np.exp(given["loud"])) + 1e-9 * np.sum(np.sin(given["quiet"])))

    def gradient(given):
        return {"loud": np.exp(given["loud"]), "quiet": 1e-9 * np.cos(given["quiet"])}

    report = gradcheck.check_gradients(loss, gradient, point, effort="quick")
    assert all(probe.shared for probe in report["loud"].probes)
    assert not any(probe.shared for probe in report["quiet"].probes)
    wrong = gradcheck.check_gradients(
        loss, lambda given: gradient(given) | {"quiet": -gradient(given)["quiet"]}, point,
        effort="quick",
    )  # fmt: skip
    assert failing(wrong) in ([], ["quiet"])
    assert wrong["quiet"].verdict != "pass"


def test_a_kink_on_the_way_leaves_each_parameter_to_itself():
    point = {"a": np.array([0.0, 0.5]), "b": np.array([1.5, -0.3])}

    def loss(given):
        return float(np.sum(np.abs(given["a"])) + np.sum(given["b"] ** 2))

    def gradient(given):
        return {"a": np.sign(given["a"]), "b": 2 * given["b"]}

    report = gradcheck.check_gradients(loss, gradient, point, effort="quick")
    assert report["b"].verdict == "pass"
    assert report["a"].verdict != "fail"
    assert not any(probe.shared for part in report.parameters for probe in part.probes)


def test_directions_of_a_parameter_do_not_depend_on_the_others():
    first = network_problem(5)
    both = gradcheck.check(first, effort="quick")
    alone = gradcheck.check(first, effort="quick", only=["layer1.*"])
    for name in ("layer1.weight", "layer1.bias"):
        pairs = zip(both[name].probes, alone[name].probes, strict=False)
        assert all(one.analytic == other.analytic for one, other in pairs)


def test_relu_networks_pass_and_their_faults_are_blamed():
    for seed in SEEDS:
        problem = network_problem(seed, activations.relu)
        assert not failing(gradcheck.check(problem, effort="quick"))
        wrong = spoilt(problem, "layer2", "weight", lambda array: -array)
        assert failing(gradcheck.check(wrong, effort="quick")) == ["layer2.weight"]


def test_noise_that_hides_all_costs_no_more_than_one_direction():
    rng = np.random.default_rng(0)
    point = {"a": np.array([0.7, -0.4]), "b": np.array([0.2, 1.0])}

    def loss(given):
        return float(np.sum(given["a"] ** 2) + np.sum(given["b"] ** 2) + rng.normal(scale=1e-3))

    def gradient(given):
        return {name: 2 * array for name, array in given.items()}

    report = gradcheck.check_gradients(loss, gradient, point, effort="quick")
    assert all(part.verdict != "fail" for part in report.parameters)
    assert all(len(part.probes) <= MOST_PROBES for part in report.parameters)
    assert not any(probe.shared for part in report.parameters for probe in part.probes)
