"""Every fault is wrong in the parameters it claims and right in all others."""

import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest

from mlp import faults
from mlp.faults import catalogue
from mlp.faults.twins import correct
from mlp.layers import Dense

SEEDS = range(20)
NAMES = list(faults.FAULTS)
CAUSES = {
    "transposed",
    "constant_factor",
    "batch_size_factor",
    "sign_flip",
    "accumulated_twice",
    "detached",
    "permutation",
    "wrong_memory_order",
    "swapped_parameters",
    "missing_regularisation",
    "wrong_regularisation",
    "clipped",
    "log_reparam",
    "sparse_entry",
    "wrong_row",
    "wrong_column",
    "wrong_block",
    "partial_zero",
    "wrong_upstream",
    "missing_activation_derivative",
    "activation_for_derivative",
    "wrong_activation_derivative",
    "wrong_layer",
    "bias_not_summed",
    "batch_reduction",
    "softmax_diagonal",
    "updated_weights",
    "stale_cache",
    "upstream_ignored",
    "overwritten_accumulation",
}
# Faults that change what was computed, not how: the layers that they show are right.
SPOILT = {name for name in NAMES if isinstance(faults.FAULTS[name], catalogue.SpoiltGradientFault)}
# Where the bug sits in a layer whose own parameters are all right, or not in one layer alone.
ELSEWHERE = {
    "signal_untransposed": "layer2",
    "signal_averaged": "layer3",
    "signal_masked": "layer3",
}


def relative_errors(array, expected):
    return np.abs(array - expected) / np.maximum(np.abs(array), np.abs(expected))


def layers_of(names):
    return {name.split(".")[0] for name in names}


def test_gallery_has_the_size_it_says():
    assert len(faults.FAULTS) == 70


def test_every_fault_goes_by_its_own_name_and_says_what_it_is():
    for name, fault in faults.FAULTS.items():
        assert getattr(faults, name) is fault
        assert fault.name == fault.__name__ == fault().name == name
        assert fault.__module__.startswith("mlp.faults.")
        what, why = fault.__doc__.rstrip(".").split(": ", 1)
        assert "\n" not in fault.__doc__
        assert what
        assert why


@pytest.mark.parametrize("cause", sorted(CAUSES))
def test_every_cause_has_a_fault_that_shows_it_with_layers_and_without(cause):
    assert any(cause in fault.exposed for fault in faults.FAULTS.values())
    assert any(cause in fault.black_box for fault in faults.FAULTS.values())


def test_every_accepted_cause_is_one_of_the_catalogue():
    for fault in faults.FAULTS.values():
        assert fault.exposed <= CAUSES
        assert fault.exposed <= fault.black_box <= {*CAUSES, "unexplained"}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", NAMES)
def test_fault_is_wrong_in_the_parameters_it_claims_and_in_no_others(name, seed, flat_gradient):
    fault = faults.FAULTS[name]
    wrong, right = flat_gradient(fault(seed)), flat_gradient(fault.twin(seed))
    assert list(wrong) == list(right)
    for parameter, expected in right.items():
        assert wrong[parameter].shape == expected.shape
        worst = relative_errors(wrong[parameter], expected).max()
        assert worst > 9e-6 if parameter in fault.wrong else worst < 1e-14
    assert fault.wrong <= set(right)


@pytest.mark.parametrize("name", NAMES)
def test_fault_has_the_loss_and_the_point_of_its_twin(name):
    fault, right = faults.FAULTS[name](1), faults.FAULTS[name].twin(1)
    np.testing.assert_equal(fault.parameters, right.parameters)
    np.testing.assert_equal(fault.args, right.args)
    assert fault.sizes == right.sizes
    assert fault.loss(fault.parameters, *fault.args) == right.loss(right.parameters, *right.args)


@pytest.mark.parametrize("name", NAMES)
def test_fault_changes_neither_parameters_nor_data_and_returns_the_same_again(name):
    problem = faults.FAULTS[name](1)
    before = copy.deepcopy((problem.parameters, problem.args))
    first = copy.deepcopy(problem.gradient(problem.parameters, *problem.args))
    np.testing.assert_equal(problem.gradient(problem.parameters, *problem.args), first)
    np.testing.assert_equal((problem.parameters, problem.args), before)


@pytest.mark.parametrize("name", NAMES)
def test_layer_of_a_fault_is_that_of_its_wrong_parameters_or_stands_above_them(name):
    fault = faults.FAULTS[name]
    layers = layers_of(fault.wrong)
    if name in ELSEWHERE:
        assert fault.layer == ELSEWHERE[name] > max(layers)
    elif len(layers) == 1:
        assert {fault.layer} == layers
    else:
        assert fault.layer in (None, max(layers))


@pytest.mark.parametrize("name", sorted(set(NAMES) - SPOILT))
def test_rebuilt_network_is_the_one_that_makes_the_wrong_gradient(name):
    problem = faults.FAULTS[name]()
    np.testing.assert_equal(
        problem.network.backward(problem.parameters, *problem.args),
        problem.gradient(problem.parameters, *problem.args),
    )


@pytest.mark.parametrize("name", sorted(SPOILT))
def test_spoilt_gradient_leaves_the_network_as_it_was(name):
    problem, right = faults.FAULTS[name](), faults.FAULTS[name].twin(0)
    np.testing.assert_equal(
        problem.network.backward(problem.parameters, *problem.args),
        right.gradient(right.parameters, *right.args),
    )


@pytest.mark.parametrize("name", NAMES)
def test_exactly_the_layer_named_has_another_backward_pass_than_its_twins(name):
    fault = faults.FAULTS[name]
    problem, twin = fault(), fault.twin(0)
    _, caches = twin.network.forward(twin.parameters, twin.args[0])
    changed = set()
    for layer, right, cache in zip(
        problem.network.layers, twin.network.layers, caches, strict=True
    ):
        upstream = np.sin(np.arange(cache.preactivation.size)).reshape(cache.preactivation.shape)
        try:
            np.testing.assert_equal(
                layer.backward(cache, upstream), right.backward(cache, upstream)
            )
        except AssertionError:
            changed.add(layer.name)
    in_a_layer = fault.__module__ in ("mlp.faults.layers", "mlp.faults.derivatives")
    assert changed == ({fault.layer} if in_a_layer else set())


@pytest.mark.parametrize("name", NAMES)
def test_faulty_problem_survives_pickling(name):
    problem = faults.FAULTS[name](2)
    again = pickle.loads(pickle.dumps(problem))
    np.testing.assert_equal(
        again.gradient(again.parameters, *again.args),
        problem.gradient(problem.parameters, *problem.args),
    )
    assert again.loss(again.parameters, *again.args) == problem.loss(
        problem.parameters, *problem.args
    )


def test_fault_is_pickled_and_copied_by_name():
    fault = faults.transposed_weight
    assert pickle.loads(pickle.dumps(fault)) is fault
    assert copy.deepcopy(fault) is fault


def test_layer_is_the_one_of_the_wrong_parameters_unless_it_is_named():
    def bug(gradient):
        """Do nothing: at all."""

    def made(**options):
        return catalogue.spoils_gradient(correct, causes={"transposed"}, **options)(bug)

    assert made(wrong={"layer2.weight", "layer2.bias"}).layer == "layer2"
    assert made(wrong={"layer1.bias", "layer2.bias"}).layer is None
    assert made(wrong={"layer1.bias"}, layer="layer2").layer == "layer2"
    assert made(wrong={"gamma"}).layer is None


def test_causes_of_a_black_box_are_those_of_the_layers_unless_they_are_named():
    def bug(gradient):
        """Do nothing: at all."""

    def made(**options):
        return catalogue.spoils_gradient(correct, wrong={"x"}, causes={"detached"}, **options)(bug)

    assert made().black_box == {"detached"}
    assert made(black_box={"unexplained"}).black_box == {"unexplained"}


def wrong_gradient(parameters, inputs, targets):
    """Return the parameters: for no reason."""
    return parameters


wrong_gradient = catalogue.replaces_gradient(correct, wrong={"layer1.bias"}, causes={"detached"})(
    wrong_gradient
)


def test_wrong_gradient_itself_can_be_a_fault():
    problem = wrong_gradient(3)
    assert problem.gradient(problem.parameters, *problem.args) is problem.parameters
    assert problem.name == wrong_gradient.name == "wrong_gradient"
    assert problem.loss(problem.parameters, *problem.args) > 0


def test_fault_that_rebuilds_needs_a_network():
    @catalogue.rebuilds_network(lambda seed: wrong_twin, wrong={"x"}, causes={"detached"})
    def rebuilt(network):
        """Return the network: as it is."""
        return network

    wrong_twin = replace(correct(0), network=None)
    with pytest.raises(ValueError, match=r"'rebuilt' must have a network, got None"):
        rebuilt()


def test_faults_of_a_module_are_those_it_defines():
    assert set(catalogue.faults_of(faults.parts)) == {
        "entry_off_by_percent",
        "entry_off_by_1e_5",
        "three_entries",
        "row_of_neighbour",
        "class_weight_in_gradient_only",
        "block_negated",
        "zeroed_column",
        "upper_triangle_zero",
    }
    assert catalogue.faults_of(faults) == {}


def test_layers_of_the_first_structural_fault_are_plain_but_one():
    layers = faults.missing_activation_derivative().network.layers
    assert [type(layer) is Dense for layer in layers] == [True, False, True]
