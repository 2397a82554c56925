"""A verifier in the backward pass and the training of mlp's networks, right and faulty ones."""

import numpy as np
import pytest

import gradcheck
from mlp import activations, losses, problems
from mlp.faults import FAULTS
from mlp.faults.catalogue import RebuiltNetworkFault
from mlp.initialisers import xavier_normal
from mlp.network import dense_network
from mlp.training import train

few_and_many_seeds = pytest.mark.parametrize(
    "seeds", [range(2), pytest.param(range(2, 22), marks=pytest.mark.slow)], ids=["few", "many"]
)
PROBLEMS = {
    "reference": problems.reference,
    "two_two_two": lambda seed: problems.two_two_two(),
    "digits": problems.digits,
    "deep_sigmoid": problems.deep_sigmoid,
    "relu": problems.relu,
    "leaky_relu": problems.leaky_relu,
}
INSIDE = {name: fault for name, fault in FAULTS.items() if isinstance(fault, RebuiltNetworkFault)}
# Every layer is right, and so is the loss: what is wrong is what the network makes of them, or a
# penalty that it adds.
BETWEEN_LAYERS = {
    *["missing_ridge", "missing_lasso", "ridge_twice", "ridge_halved", "lasso_for_ridge"],
    *["decay_in_gradient_only", "added_up_twice", "wrong_layer", "delta_of_neighbour"],
    *["inputs_of_neighbour", "preactivations_for_inputs", "loss_derivative_in_hidden_layers"],
    *["updated_weights", "last_mini_batch", "tied_weights_overwritten"],
    "loss_and_activation_in_hidden_layers",
}
IN_A_LAYER = sorted(set(INSIDE) - BETWEEN_LAYERS)


def cast(value, dtype):
    if isinstance(value, dict):
        return {key: cast(inner, dtype) for key, inner in value.items()}
    return value.astype(dtype)


def backward(problem, verify, dtype=np.float64):
    """Return the gradient of a network's problem, verified on the way."""
    data = [cast(array, dtype) for array in problem.args]
    return problem.network.backward(cast(problem.parameters, dtype), *data, verify=verify)


def trained(problem, verify, **options):
    given = {"learning_rate": 0.01, "epochs": 1} | options
    return train(problem.network, problem.parameters, *problem.args, verify=verify, **given)


@few_and_many_seeds
@pytest.mark.parametrize("name", PROBLEMS)
def test_a_right_network_passes_layer_by_layer(name, seeds):
    for seed in seeds:
        problem, verify = PROBLEMS[name](seed), gradcheck.layer_verifier(seed=seed)
        gradient = backward(problem, verify)
        asked = ["loss", *(layer.name for layer in reversed(problem.network.layers))]
        assert {layer: dict(counts) for layer, counts in verify.verdicts.items()} == {
            layer: {"pass": 1} for layer in asked
        }
        assert list(verify.reports) == asked
        np.testing.assert_equal(gradient, problem.gradient(problem.parameters, *problem.args))


@few_and_many_seeds
@pytest.mark.parametrize("name", PROBLEMS)
def test_a_right_network_is_never_accused_in_float32(name, seeds):
    for seed in seeds:
        problem, verify = PROBLEMS[name](seed), gradcheck.layer_verifier(seed=seed)
        backward(problem, verify, np.float32)
        assert verify.checked == len(problem.network.layers) + 1


@few_and_many_seeds
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_network_on_its_way_is_never_accused_even_where_it_saturates(dtype, scale, seeds):
    for seed in seeds:
        rng = np.random.default_rng(seed)
        network = dense_network(
            rng,
            (12, 10, 5),
            activations.tanh,
            activations.identity,
            losses.softmax_cross_entropy,
            initialiser=xavier_normal,
            bias_scale=0.1,
        )
        inputs = (scale * rng.standard_normal((16, 12))).astype(dtype)
        targets = np.eye(5, dtype=dtype)[rng.integers(0, 5, 16)]
        verify = gradcheck.layer_verifier(seed=seed)
        done = train(
            *(network, cast(network.parameters, dtype), inputs, targets),
            learning_rate=0.01,
            epochs=3,
            verify=verify,
        )
        assert (done.verified, verify.checked) == (3, 3 * 4)


def test_the_faults_are_sorted_into_those_that_a_layer_has_and_those_between_layers():
    assert not BETWEEN_LAYERS - set(INSIDE)
    assert len(IN_A_LAYER) >= 24


@few_and_many_seeds
@pytest.mark.parametrize("name", IN_A_LAYER)
def test_a_fault_in_a_layer_stops_the_pass_there_and_nothing_below_is_computed(name, seeds):
    fault = FAULTS[name]
    guilty = fault.layer or "loss"
    for seed in seeds:
        problem, verify = fault(seed), gradcheck.layer_verifier(seed=seed)
        called = []

        def counting(problem, verify=verify, called=called):
            called.append(problem.name)
            verify(problem)

        with pytest.raises(gradcheck.GradientMismatch, match=rf"\({guilty}\)") as caught:
            backward(problem, counting)
        report = caught.value.report
        assert (report.name, report.verdict) == (guilty, "fail")
        assert {part.layer for part in report.parameters} == {guilty}
        assert verify.reports[guilty] == report
        # All above was looked at and is right; what is below was never reached.
        names = ["loss", *(layer.name for layer in reversed(problem.network.layers))]
        assert called == names[: names.index(guilty) + 1]
        assert all(verify.verdicts[layer]["pass"] == 1 for layer in called[:-1])


def test_no_backward_of_a_lower_layer_is_called_once_one_is_wrong():
    problem = FAULTS["tanh_derivative_without_square"](0)
    called = []

    class Watched:
        def __init__(self, layer):
            self._layer = layer

        def __getattr__(self, name):
            return getattr(self._layer, name)

        def backward(self, cache, upstream):
            called.append(self._layer.name)
            return self._layer.backward(cache, upstream)

    network = type(problem.network)(
        tuple(Watched(layer) for layer in problem.network.layers), problem.network.loss
    )
    with pytest.raises(gradcheck.GradientMismatch, match=r"\(layer3\)"):
        network.backward(problem.parameters, *problem.args, verify=gradcheck.layer_verifier())
    assert set(called) == {"layer5", "layer4", "layer3"}


@few_and_many_seeds
@pytest.mark.parametrize("name", sorted(BETWEEN_LAYERS))
def test_a_fault_between_layers_is_seen_in_training_which_asks_about_the_whole_too(name, seeds):
    for seed in seeds[:5]:
        problem, verify = FAULTS[name](seed), gradcheck.layer_verifier(seed=seed)
        backward(problem, verify)
        assert all(counts["fail"] == 0 for counts in verify.verdicts.values())
        with pytest.raises(gradcheck.GradientMismatch, match=r"\(network\)") as caught:
            trained(problem, verify)
        failing = {part.name for part in caught.value.report.parameters if part.verdict == "fail"}
        assert failing == FAULTS[name].wrong


def test_training_tells_what_verifying_took_and_learns_the_same():
    problem, verify = problems.reference(), gradcheck.layer_verifier()
    plain = trained(problem, None, epochs=10)
    done = trained(problem, verify, epochs=10, verify_every=4)
    np.testing.assert_equal(done.parameters, plain.parameters)
    assert done.verified == 3
    assert {name: counts.total() for name, counts in verify.verdicts.items()} == dict.fromkeys(
        ["loss", "layer3", "layer2", "layer1", "network"], 3
    )
    assert verify.seconds <= done.verifying_seconds <= done.seconds


def test_the_top_eigenvectors_of_every_layer_are_probed_where_asked_for():
    problem, verify = problems.reference(), gradcheck.layer_verifier(directions="eigen")
    backward(problem, verify)
    for name in ["layer1", "layer2"]:
        probes = [probe for part in verify.reports[name].parameters for probe in part.probes]
        assert {probe.kind for probe in probes} == {"random", "eigen"}
    assert all(report.ok for report in verify.reports.values())


def test_the_inputs_of_a_layer_keep_their_promise_recomputed_from_the_layer():
    problem = problems.digits()
    asked = []
    problem.network.backward(problem.parameters, *problem.args, verify=asked.append)
    verify = gradcheck.layer_verifier(perturbations=5)
    for layer in asked[1:]:
        probes = verify(layer)[f"{layer.name}.inputs"].probes
        assert len(probes) == 5
        point = layer.parameters[layer.name]
        owed = layer.gradient(layer.parameters)[layer.name]["inputs"]
        for probe in probes:
            # No direction of ours here: whatever it was, the two sides of its promise agree.
            assert abs(probe.analytic - probe.numerical) <= probe.error_bar
        rng = np.random.default_rng(3)
        for step_size in (1e-4, 1e-5):
            change = step_size * rng.standard_normal(point["inputs"].shape)
            ahead, behind = (
                layer.loss({layer.name: point | {"inputs": point["inputs"] + sign * change}})
                for sign in (1, -1)
            )
            assert (ahead - behind) / 2 == pytest.approx(np.sum(owed * change), rel=1e-4)


def test_what_was_computed_in_float32_is_computed_anew_in_float64():
    """So that the rounding of an answer can be told from a mistake."""
    asked = []
    backward(problems.digits(), asked.append, np.float32)
    for problem in asked:
        here = problem.gradient(problem.parameters, *problem.args)
        again = problem.gradient(cast(problem.parameters, np.float64), *problem.args)
        for name, values in here.items():
            for key, array in values.items():
                assert (array.dtype, again[name][key].dtype) == (np.float32, np.float64)
                np.testing.assert_allclose(array, again[name][key], rtol=1e-3, atol=1e-6)
