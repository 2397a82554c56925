"""What a verifier is asked: problems whose right gradient is what backward returns."""

from copy import deepcopy

import numpy as np
import pytest

from mlp import problems
from mlp.verification import INPUTS, LOSS, OUTPUTS, Claim, layer_problem, loss_problem

SMOOTH = {
    "reference": problems.reference,
    "batch_norm": problems.batch_norm,
    "digits": problems.digits,
}


def questions(problem):
    """Return what a verifier is asked on the way back through a network, in order."""
    asked = []
    problem.network.backward(problem.parameters, *problem.args, verify=asked.append)
    return asked


def wrong_layer_problem(factor):
    """Return the question about a layer whose backward returned so many times the gradient."""
    layer = problems.reference().network.layers[0]
    inputs, upstream = np.ones((5, 3)), np.ones((5, 4))
    _, cache = layer.forward(layer.parameters, inputs)
    input_gradient, gradients = layer.backward(cache, upstream)
    answer = factor * input_gradient, {key: factor * value for key, value in gradients.items()}
    return layer_problem(layer, layer.parameters, inputs, upstream, answer)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", ["reference", "batch_norm"])
def test_every_answer_is_the_gradient_of_the_loss_that_comes_with_it(
    name, seed, complex_step, assert_same_gradient
):
    asked = questions(SMOOTH[name](seed))
    for question in asked:
        answer = question.gradient(question.parameters, *question.args)
        numerical = complex_step(question.loss, question.parameters, *question.args)
        assert_same_gradient(answer, numerical, rtol=1e-9, floor=1e-12)


@pytest.mark.parametrize("name", SMOOTH)
def test_the_loss_is_asked_about_first_and_then_the_layers_from_the_top(name):
    problem = SMOOTH[name](0)
    layers = problem.network.layers
    asked = questions(problem)
    assert [question.name for question in asked] == [LOSS, *(x.name for x in reversed(layers))]
    for layer, question in zip(reversed(layers), asked[1:], strict=True):
        assert list(question.parameters) == [layer.name]
        assert list(question.parameters[layer.name]) == [*layer.parameters, INPUTS]
    assert list(asked[0].parameters[LOSS]) == [OUTPUTS]


def test_a_question_is_at_the_point_of_the_network(in_dtype):
    problem = problems.reference()
    given = in_dtype(problem.parameters, np.float64)
    given["layer2"]["weight"] += 1  # elsewhere than the network's initial parameters
    asked = []
    problem.network.backward(given, *problem.args, verify=asked.append)
    by_name = {question.name: question.parameters for question in asked}
    np.testing.assert_array_equal(by_name["layer2"]["layer2"]["weight"], given["layer2"]["weight"])
    np.testing.assert_array_equal(by_name["layer1"]["layer1"][INPUTS], problem.args[0])
    outputs = problem.network.predict(given, problem.args[0])
    np.testing.assert_array_equal(by_name[LOSS][LOSS][OUTPUTS], outputs)


def test_the_upstream_of_a_layer_is_the_input_gradient_of_the_one_above():
    loss, *layers = questions(problems.reference())
    expected = loss.gradient(loss.parameters, *loss.args)[LOSS][OUTPUTS]
    for question in layers:
        upstream = question.network.loss.gradient(None, None)  # of the loss on the layer's outputs
        np.testing.assert_array_equal(upstream, expected)
        expected = question.gradient(question.parameters)[question.name][INPUTS]


def test_sizes_tell_what_a_wrong_factor_may_turn_out_to_be():
    loss, *layers = questions(problems.reference())
    assert loss.sizes == {"batch": 5, "outputs": 2}
    assert [question.sizes for question in layers] == [
        {"batch": 5, "fan_in": 4, "fan_out": 2},
        {"batch": 5, "fan_in": 4, "fan_out": 4},
        {"batch": 5, "fan_in": 3, "fan_out": 4},
    ]


def test_verifying_leaves_the_gradient_as_it_is():
    problem = problems.batch_norm()
    plain = problem.gradient(problem.parameters, *problem.args)
    verified = problem.network.backward(problem.parameters, *problem.args, verify=lambda _: None)
    np.testing.assert_equal(verified, plain)


def test_a_verifier_that_raises_ends_the_way_back():
    problem, asked = problems.reference(), []

    def refuse(question):
        asked.append(question.name)
        if question.name == "layer2":
            raise AssertionError("not this one")

    with pytest.raises(AssertionError, match="not this one"):
        problem.network.backward(problem.parameters, *problem.args, verify=refuse)
    assert asked == [LOSS, "layer3", "layer2"]


def test_what_was_returned_is_what_is_asked_about_even_where_it_is_wrong():
    right, wrong = wrong_layer_problem(1), wrong_layer_problem(3)
    returned = wrong.gradient(wrong.parameters, *wrong.args)["layer1"]
    expected = right.gradient(right.parameters, *right.args)["layer1"]
    for key, value in expected.items():
        np.testing.assert_array_equal(returned[key], 3 * value)


def test_elsewhere_the_gradient_is_computed_anew(complex_step, assert_same_gradient):
    question = wrong_layer_problem(3)
    elsewhere = deepcopy(question.parameters)
    elsewhere["layer1"]["bias"][0] += 0.5
    numerical = complex_step(question.loss, elsewhere, *question.args)
    computed = question.gradient(elsewhere, *question.args)
    assert_same_gradient(computed, numerical, rtol=1e-9, floor=1e-12)


def test_a_claim_gives_copies_that_can_be_spoilt():
    question = wrong_layer_problem(1)
    first = question.gradient(question.parameters, *question.args)
    kept = deepcopy(first)
    first["layer1"]["weight"][:] = 7
    again = question.gradient(question.parameters, *question.args)
    np.testing.assert_equal(again, kept)


def test_a_claim_is_kept_where_the_point_is_not_a_number():
    point = {"layer": {"weight": np.array([1.0, np.nan])}}
    answer = {"layer": {"weight": np.array([2.0, np.nan])}}

    def compute(parameters):
        raise AssertionError("computed anew")

    np.testing.assert_equal(Claim(point, answer, compute)(deepcopy(point)), answer)


def test_the_loss_alone_is_a_problem_too(complex_step, assert_same_gradient):
    loss = problems.digits().network.loss
    rng = np.random.default_rng(0)
    outputs, targets = rng.standard_normal((6, 10)), np.eye(10)[rng.integers(10, size=6)]
    question = loss_problem(loss, outputs, targets, loss.gradient(outputs, targets))
    numerical = complex_step(question.loss, question.parameters, *question.args)
    answer = question.gradient(question.parameters, *question.args)
    assert_same_gradient(answer, numerical, rtol=1e-9, floor=1e-12)
    assert question.loss(question.parameters, targets) == loss.value(outputs, targets)
