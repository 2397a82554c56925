"""Every fault is wrong in the parameters it claims and right in all others."""

import pickle

import numpy as np
import pytest

from mlp import faults
from mlp.activations import Activation, sigmoid
from mlp.layers import Dense
from mlp.network import Network

LAYER1 = {"layer1.weight", "layer1.bias"}
LAYER2 = {"layer2.weight", "layer2.bias"}
LAYER3 = {"layer3.weight", "layer3.bias"}
WRONG = {
    "transposed_weight": {"layer2.weight"},
    "missing_batch_mean": LAYER1 | LAYER2 | LAYER3,
    "factor_two": {"layer2.weight"},
    "bias_sign": {"layer2.bias"},
    "missing_activation_derivative": LAYER1 | LAYER2,
    "activation_for_derivative": LAYER1 | LAYER2,
    "bias_first_sample": {"layer2.bias"},
    "zeroed_column": {"layer2.weight"},
    "entry_off_by_percent": {"layer2.weight"},
    "entry_off_by_1e_5": {"layer2.weight"},
    "swapped_parameters": {"layer1.bias", "layer2.bias"},
    "rolled_rows": {"layer2.weight"},
    "detached_layer": LAYER1,
    "decay_in_gradient_only": {"layer1.weight", "layer2.weight", "layer3.weight"},
    "wrong_layer": {"layer2.bias"},
}
SQUARE = {"transposed_weight", "swapped_parameters", "wrong_layer"}


def twin(name, seed):
    return (faults.correct_square if name in SQUARE else faults.correct)(seed)


def flat_gradient(problem):
    gradient = problem.gradient(problem.parameters, *problem.args)
    return {
        f"{layer}.{key}": array
        for layer, values in gradient.items()
        for key, array in values.items()
    }


def relative_errors(array, expected):
    return np.abs(array - expected) / np.maximum(np.abs(array), np.abs(expected))


def with_second_activation(problem, activation):
    """Return the gradient of the network whose second layer has another activation."""
    first, second, third = problem.network.layers
    layer = Dense(second.name, activation, second.parameters)
    network = Network((first, layer, third), problem.network.loss)
    return network.backward(problem.parameters, *problem.args)


def test_catalogue_holds_the_faults_under_their_own_names():
    assert set(faults.FAULTS) == set(WRONG)
    for name, factory in faults.FAULTS.items():
        assert getattr(faults, name) is factory
        assert factory().name == factory.__name__ == name
        assert factory.__doc__


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", WRONG)
def test_fault_is_wrong_in_the_parameters_it_claims_and_in_no_others(name, seed):
    wrong, right = flat_gradient(faults.FAULTS[name](seed)), flat_gradient(twin(name, seed))
    assert list(wrong) == list(right)
    for parameter, expected in right.items():
        assert wrong[parameter].shape == expected.shape
        worst = relative_errors(wrong[parameter], expected).max()
        assert worst > 1e-6 if parameter in WRONG[name] else worst < 1e-14


@pytest.mark.parametrize("name", WRONG)
def test_fault_has_the_loss_and_the_point_of_its_correct_twin(name):
    fault, right = faults.FAULTS[name](1), twin(name, 1)
    np.testing.assert_equal(fault.parameters, right.parameters)
    np.testing.assert_equal(fault.args, right.args)
    assert fault.sizes == right.sizes
    assert fault.loss(fault.parameters, *fault.args) == right.loss(right.parameters, *right.args)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["correct", "correct_square"])
def test_correct_twin_agrees_with_the_complex_step(name, seed, complex_step, assert_same_gradient):
    problem = getattr(faults, name)(seed)
    analytic = problem.gradient(problem.parameters, *problem.args)
    numerical = complex_step(problem.loss, problem.parameters, *problem.args)
    assert_same_gradient(analytic, numerical, rtol=1e-10, floor=1e-13)


@pytest.mark.parametrize(("name", "hidden"), [("correct", (8, 7)), ("correct_square", (7, 7))])
def test_correct_twin_has_the_sizes_that_tell_mistakes_apart(name, hidden):
    sizes = {"batch": 11, "inputs": 6, "hidden1": hidden[0], "hidden2": hidden[1], "outputs": 5}
    assert getattr(faults, name)().sizes == sizes


@pytest.mark.parametrize("seed", range(5))
def test_no_sigmoid_of_the_gallery_is_saturated(seed):
    for problem in (faults.correct(seed), faults.correct_square(seed)):
        _, caches = problem.network.forward(problem.parameters, problem.args[0])
        largest = max(np.abs(cache.preactivation).max() for cache in caches[:-1])
        assert 1 < largest < 16  # a sigmoid has a slope of 1e-7 there


@pytest.mark.parametrize(
    "name", ["missing_activation_derivative", "activation_for_derivative", "bias_first_sample"]
)
def test_structural_fault_sits_in_the_second_layer_of_the_network_the_user_has(name):
    problem = faults.FAULTS[name]()
    assert [type(layer) is Dense for layer in problem.network.layers] == [True, False, True]
    np.testing.assert_equal(
        problem.network.backward(problem.parameters, *problem.args),
        problem.gradient(problem.parameters, *problem.args),
    )


@pytest.mark.parametrize("name", WRONG)
def test_faulty_problem_survives_pickling(name):
    problem = faults.FAULTS[name](2)
    copy = pickle.loads(pickle.dumps(problem))
    np.testing.assert_equal(
        copy.gradient(copy.parameters, *copy.args),
        problem.gradient(problem.parameters, *problem.args),
    )


def test_missing_derivative_is_a_derivative_of_one():
    expected = with_second_activation(
        faults.correct(), Activation("flat", sigmoid.function, np.ones_like)
    )
    problem = faults.missing_activation_derivative()
    np.testing.assert_equal(problem.gradient(problem.parameters, *problem.args), expected)


def test_activation_for_derivative_is_a_derivative_of_f():
    expected = with_second_activation(
        faults.correct(), Activation("confused", sigmoid.function, sigmoid.function)
    )
    problem = faults.activation_for_derivative()
    np.testing.assert_equal(problem.gradient(problem.parameters, *problem.args), expected)


def test_bias_of_the_first_sample_is_its_gradient_alone_over_the_batch():
    problem, right = faults.bias_first_sample(), faults.correct()
    inputs, targets = problem.args
    alone = right.gradient(right.parameters, inputs[:1], targets[:1])["layer2"]["bias"]
    np.testing.assert_allclose(flat_gradient(problem)["layer2.bias"], alone / 11, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "parameter", "relation"),
    [
        ("transposed_weight", "layer2.weight", lambda right: right["layer2.weight"].T),
        ("missing_batch_mean", "layer3.bias", lambda right: 11 * right["layer3.bias"]),
        ("factor_two", "layer2.weight", lambda right: 2 * right["layer2.weight"]),
        ("bias_sign", "layer2.bias", lambda right: -right["layer2.bias"]),
        ("swapped_parameters", "layer1.bias", lambda right: right["layer2.bias"]),
        ("swapped_parameters", "layer2.bias", lambda right: right["layer1.bias"]),
        ("rolled_rows", "layer2.weight", lambda right: right["layer2.weight"][[7, *range(7)]]),
        ("detached_layer", "layer1.weight", lambda right: 0 * right["layer1.weight"]),
        ("wrong_layer", "layer2.bias", lambda right: right["layer1.bias"]),
    ],
)
def test_fault_is_the_mistake_it_is_named_after(name, parameter, relation):
    wrong, right = flat_gradient(faults.FAULTS[name]()), flat_gradient(twin(name, 0))
    np.testing.assert_allclose(wrong[parameter], relation(right), rtol=1e-14)


def test_decay_adds_a_tenth_of_every_weight():
    problem = faults.decay_in_gradient_only()
    wrong, right = flat_gradient(problem), flat_gradient(faults.correct())
    for layer, values in problem.parameters.items():
        added = wrong[f"{layer}.weight"] - right[f"{layer}.weight"]
        np.testing.assert_allclose(added, 0.1 * values["weight"], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(
    ("name", "count", "size"),
    [
        ("zeroed_column", 8, 1.0),
        ("entry_off_by_percent", 1, 0.01 / 1.01),
        ("entry_off_by_1e_5", 1, 1e-5 / (1 + 1e-5)),
    ],
)
def test_partial_fault_spoils_so_many_entries_by_so_much(name, count, size):
    wrong, right = flat_gradient(faults.FAULTS[name]()), flat_gradient(faults.correct())
    errors = relative_errors(wrong["layer2.weight"], right["layer2.weight"])
    assert np.count_nonzero(errors) == count
    np.testing.assert_allclose(errors[errors > 0], size, rtol=1e-9)


@pytest.mark.parametrize("name", ["entry_off_by_percent", "entry_off_by_1e_5"])
def test_single_wrong_entry_is_of_middling_size(name):
    wrong, right = flat_gradient(faults.FAULTS[name]()), flat_gradient(faults.correct())
    magnitudes = np.abs(right["layer2.weight"])
    spoilt = magnitudes[wrong["layer2.weight"] != right["layer2.weight"]]
    assert np.count_nonzero(magnitudes < spoilt) == magnitudes.size // 2
