"""The twins of the faults are correct, and built so that no two mistakes look alike."""

import numpy as np
import pytest

from mlp import faults
from mlp.faults import twins
from mlp.faults.networks import GainDense, TiedNetwork
from mlp.layers import Dense
from mlp.losses import half_mean_squared_norm

TWINS = {name: make for name, make in vars(twins).items() if name.startswith("correct")}
KINKED = {"correct_leaky", "correct_leaky_equal", "correct_lasso"}
SIGMOIDS = [
    "correct",
    "correct_square",
    "correct_one_sample",
    "correct_equal",
    "correct_softmax",
    "correct_gain",
    "correct_ridge",
    "correct_lasso",
    "correct_tied",
]


def preactivations(problem):
    _, caches = problem.network.forward(problem.parameters, problem.args[0])
    return [cache.preactivation for cache in caches]


def test_every_twin_of_a_fault_is_offered_with_the_faults():
    assert {fault.twin for fault in faults.FAULTS.values()} == set(TWINS.values())
    for name, make in TWINS.items():
        assert getattr(faults, name) is make
        assert make().name == name


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", sorted(set(TWINS) - KINKED))
def test_twin_agrees_with_the_complex_step(name, seed, complex_step, assert_same_gradient):
    problem = TWINS[name](seed)
    analytic = problem.gradient(problem.parameters, *problem.args)
    numerical = complex_step(problem.loss, problem.parameters, *problem.args)
    assert_same_gradient(analytic, numerical, rtol=1e-9, floor=1e-12)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", sorted(KINKED))
def test_twin_with_kinks_agrees_with_central_differences(
    name, seed, central_differences, assert_same_gradient
):
    problem = TWINS[name](seed)
    analytic = problem.gradient(problem.parameters, *problem.args)
    numerical = central_differences(problem.loss, problem.parameters, *problem.args)
    assert_same_gradient(analytic, numerical, rtol=1e-6, floor=1e-7)


@pytest.mark.parametrize("seed", range(20))
def test_kinks_are_further_away_than_a_step(seed):
    for leaky in (twins.correct_leaky, twins.correct_leaky_equal):
        assert min(np.abs(z).min() for z in preactivations(leaky(seed))[:-1]) > 1e-5
    lasso = twins.correct_lasso(seed).parameters.values()
    assert min(np.abs(values["weight"]).min() for values in lasso) > 1e-5


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("name", SIGMOIDS)
def test_no_sigmoid_of_the_gallery_is_saturated(name, seed):
    largest = max(np.abs(z).max() for z in preactivations(TWINS[name](seed))[:-1])
    assert 1 < largest < 16  # a sigmoid has a slope of 1e-7 there


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("name", ["correct_deep", "correct_classifier"])
def test_no_tanh_of_the_gallery_is_saturated(name, seed):
    largest = max(np.abs(z).max() for z in preactivations(TWINS[name](seed))[:-1])
    assert 1 < largest < 8  # a tanh has a slope of 1e-7 at 8.4


@pytest.mark.parametrize(
    ("name", "batch", "hidden", "outputs"),
    [
        ("correct", 11, (8, 7), 5),
        ("correct_square", 11, (7, 7), 5),
        ("correct_one_sample", 1, (7, 7), 5),
        ("correct_equal", 11, (7, 7), 7),
        ("correct_deep", 11, (7, 7, 7, 7), 5),
        ("correct_leaky", 11, (8, 7), 5),
        ("correct_leaky_equal", 11, (7, 7, 7), 7),
        ("correct_classifier", 11, (8, 7), 5),
        ("correct_softmax", 11, (8, 7), 5),
        ("correct_gain", 11, (8, 7), 5),
        ("correct_ridge", 11, (8, 7), 5),
        ("correct_lasso", 11, (8, 7), 5),
        ("correct_tied", 11, (7, 7, 7), 5),
    ],
)
def test_twin_has_the_sizes_that_tell_mistakes_apart(name, batch, hidden, outputs):
    widths = {f"hidden{n}": width for n, width in enumerate(hidden, start=1)}
    assert TWINS[name]().sizes == {"batch": batch, "inputs": 6, **widths, "outputs": outputs}


def test_targets_of_the_classifier_are_one_hot():
    _, targets = twins.correct_classifier().args
    assert set(targets.ravel()) == {0.0, 1.0}
    assert np.all(targets.sum(axis=1) == 1)


def test_outputs_of_the_softmax_layer_sum_to_one():
    problem = twins.correct_softmax()
    _, caches = problem.network.forward(problem.parameters, problem.args[0])
    np.testing.assert_allclose(caches[2].inputs.sum(axis=1), 1, rtol=1e-14)


def test_gain_multiplies_the_products_and_not_the_bias():
    problem = twins.correct_gain()
    layer, values = problem.network.layers[1], problem.parameters["layer2"]
    inputs = np.eye(8)
    expected = values["weight"] * np.exp(values["log_gain"]) + values["bias"]
    np.testing.assert_allclose(layer.preactivation(values, inputs), expected, rtol=1e-14)
    assert layer.linear_in == ("weight", "bias")


def test_gain_layer_refuses_a_bias_of_another_width():
    parameters = {"weight": np.ones((2, 3)), "bias": np.ones(2), "log_gain": np.ones(3)}
    with pytest.raises(ValueError, match=r"'odd' must have shapes .*'bias': \(2,\)"):
        GainDense("odd", twins.sigmoid, parameters)


@pytest.mark.parametrize(
    ("name", "penalty"),
    [("correct_ridge", lambda w: 0.1 * w**2), ("correct_lasso", lambda w: 0.1 * np.abs(w))],
)
def test_penalty_is_added_for_every_weight_and_for_no_bias(name, penalty):
    problem, plain = TWINS[name](4), twins.correct(4)
    loss = plain.loss(plain.parameters, *plain.args)
    added = sum(penalty(values["weight"]).sum() for values in problem.parameters.values())
    np.testing.assert_allclose(
        problem.loss(problem.parameters, *problem.args), loss + added, rtol=1e-14
    )


def test_tied_network_passes_through_its_second_layer_twice():
    problem = twins.correct_tied()
    assert [layer.name for layer in problem.network.layers] == [
        "layer1",
        "layer2",
        "layer2",
        "layer3",
    ]
    assert list(problem.parameters) == ["layer1", "layer2", "layer3"]


def test_tied_network_refuses_layers_that_do_not_fit():
    wide = Dense("wide", twins.sigmoid, {"weight": np.ones((2, 3))})
    with pytest.raises(ValueError, match=r"3 outputs of layer 'wide' for 2 inputs"):
        TiedNetwork((wide, wide), half_mean_squared_norm)


def test_every_pass_through_a_tied_layer_is_verified():
    problem = faults.correct_tied()
    asked = []
    problem.network.backward(
        problem.parameters, *problem.args, verify=lambda one: asked.append(one.name)
    )
    assert asked == ["loss", "layer3", "layer2", "layer2", "layer1"]
