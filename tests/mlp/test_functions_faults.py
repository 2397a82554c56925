"""Every bug of the functions is wrong in what it claims, right elsewhere, and what it is called."""

import pickle

import numpy as np
import pytest

from mlp import functions
from mlp.functions import softmaxes

FAULTS = functions.FAULTS
SEEDS = range(20)


def gradient(problem):
    return problem.gradient(problem.parameters, *problem.args)


def test_every_function_has_a_bug_and_there_are_many():
    assert len(FAULTS) >= 25
    assert {fault.twin for fault in FAULTS.values()} == set(functions.TWINS.values())


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_found_under_its_own_name_and_says_what_is_wrong(name):
    fault = FAULTS[name]
    assert getattr(functions, name) is fault
    assert fault().name == fault.name == name
    assert fault.__doc__
    assert fault.exposed == fault.black_box
    assert fault.layer is None


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_wrong_in_the_parameters_it_claims_and_in_no_others(name):
    for seed in SEEDS:
        wrong, right = gradient(FAULTS[name](seed)), gradient(FAULTS[name].twin(seed))
        assert list(wrong) == list(right)
        for parameter, expected in right.items():
            assert wrong[parameter].shape == expected.shape
            error = np.abs(wrong[parameter] - expected).max() / np.abs(expected).max()
            if parameter in FAULTS[name].wrong:
                assert error > 1e-3, (seed, parameter)
            else:
                assert error < 1e-14, (seed, parameter)


@pytest.mark.parametrize("name", FAULTS)
def test_fault_has_the_loss_and_the_point_of_its_correct_twin(name):
    fault, right = FAULTS[name](1), FAULTS[name].twin(1)
    np.testing.assert_equal(fault.parameters, right.parameters)
    np.testing.assert_equal(fault.args, right.args)
    assert fault.sizes == right.sizes
    assert fault.loss is right.loss


@pytest.mark.parametrize("name", FAULTS)
def test_faulty_problem_survives_pickling(name):
    problem = FAULTS[name](2)
    np.testing.assert_equal(gradient(pickle.loads(pickle.dumps(problem))), gradient(problem))


def penalised(strength, penalty, parameter="weight"):
    return lambda right, problem: (
        right[parameter] + strength * penalty(problem.parameters[parameter])
    )


RELATIONS = [
    ("attention_swapped", "query", lambda right, problem: right["key"]),
    ("attention_swapped", "key", lambda right, problem: right["query"]),
    ("attention_without_scale", "query", lambda right, problem: 3**0.5 * right["query"]),
    ("attention_without_scale", "key", lambda right, problem: 3**0.5 * right["key"]),
    ("boosting_pseudo_residuals", "scores", lambda right, problem: -right["scores"]),
    ("boosting_mean_for_sum", "scores", lambda right, problem: right["scores"] / 13),
    (
        "boosting_hessian",
        "scores",
        lambda right, problem: np.abs(right["scores"]) * (1 - np.abs(right["scores"])),
    ),
    (
        "squared_log_without_chain",
        "scores",
        lambda right, problem: right["scores"] * (1 + problem.parameters["scores"]),
    ),
    ("quantile_complement", "scores", lambda right, problem: right["scores"] + 0.6),
    (
        "convolution_flipped_gradient",
        "kernel",
        lambda right, problem: np.flip(right["kernel"], (2, 3)),
    ),
    ("embedding_counted_from_one", "table", lambda right, problem: np.roll(right["table"], -1, 0)),
    (
        "gaussian_wrt_sigma",
        "log_sigma",
        lambda right, problem: right["log_sigma"] / np.exp(problem.parameters["log_sigma"]),
    ),
    ("gaussian_without_normaliser", "log_sigma", lambda right, problem: right["log_sigma"] - 1),
    ("gaussian_sum_for_mean", "mu", lambda right, problem: 8 * right["mu"]),
    (
        "batch_norm_gamma_of_inputs",
        "gamma",
        lambda right, problem: (
            np.sqrt(problem.parameters["inputs"].var(0) + 1e-5) * right["gamma"]
            + problem.parameters["inputs"].mean(0) * right["beta"]
        ),
    ),
    ("layer_norm_mean_of_beta", "beta", lambda right, problem: right["beta"] / 5),
    ("average_pooling_without_average", "inputs", lambda right, problem: 4 * right["inputs"]),
    ("huber_sum_for_mean", "coefficients", lambda right, problem: 12 * right["coefficients"]),
    ("logistic_l2_forgotten", "weight", penalised(-0.1, np.positive)),
    ("logistic_l2_doubled", "weight", penalised(0.1, np.positive)),
    ("logistic_l2_on_bias", "bias", penalised(0.1, np.positive, "bias")),
    ("logistic_l1_forgotten", "weight", penalised(-0.1, np.sign)),
    ("logistic_l1_as_l2", "weight", penalised(0.1, lambda w: w - np.sign(w))),
    ("poisson_sign", "coefficients", lambda right, problem: -right["coefficients"]),
]


@pytest.mark.parametrize(("name", "parameter", "relation"), RELATIONS)
def test_fault_is_the_mistake_it_is_named_after(name, parameter, relation):
    for seed in SEEDS:
        problem, twin = FAULTS[name](seed), FAULTS[name].twin(seed)
        expected = relation(gradient(twin), twin)
        np.testing.assert_allclose(gradient(problem)[parameter], expected, rtol=1e-11, atol=1e-14)


def test_unbiased_variance_is_a_factor_to_four_digits_in_gamma():
    for seed in SEEDS:
        wrong = gradient(functions.batch_norm_unbiased_variance(seed))["gamma"]
        right = gradient(functions.batch_norm(seed))["gamma"]
        np.testing.assert_allclose(wrong / right, (6 / 7) ** 0.5, rtol=1e-4)
        assert np.ptp(wrong / right) > 1e-9


@pytest.mark.parametrize(
    ("name", "statistic"),
    [
        ("batch_norm_constant_statistics", lambda upstream: upstream),
        ("batch_norm_constant_variance", lambda upstream: upstream - upstream.mean(0)),
    ],
)
def test_constant_statistics_leave_the_rest_of_the_chain(name, statistic):
    problem = FAULTS[name](0)
    x, gamma, beta = problem.parameters.values()
    scale = np.sqrt(x.var(0) + 1e-5)
    delta = (gamma * (x - x.mean(0)) / scale + beta - problem.args[0]) / 7
    expected = statistic(gamma * delta) / scale
    np.testing.assert_allclose(gradient(problem)["inputs"], expected, rtol=1e-11, atol=1e-14)


def test_diagonal_of_the_softmax_is_the_derivative_of_a_sigmoid():
    for seed in SEEDS:
        problem = functions.softmax_jacobian_diagonal(seed)
        p = softmaxes.softmax_of(problem.parameters["scores"])
        upstream = gradient(problem)["scores"] / (p * (1 - p))
        whole = [
            (np.diag(row) - np.outer(row, row)) @ u for row, u in zip(p, upstream, strict=True)
        ]
        right = gradient(functions.softmax(seed))["scores"]
        np.testing.assert_allclose(whole, right, rtol=1e-9, atol=1e-13)


def test_pooling_to_all_gives_each_window_its_gradient_four_times():
    wrong = gradient(functions.max_pooling_to_all())["inputs"]
    right = gradient(functions.max_pooling())["inputs"]
    totals = right.reshape(2, 3, 2, 4, 2).sum(axis=(2, 4))
    np.testing.assert_array_equal(wrong, totals.repeat(2, axis=1).repeat(2, axis=2))


@pytest.mark.parametrize("seed", SEEDS)
def test_transposed_windows_have_the_right_numbers_in_another_order(seed):
    wrong = gradient(functions.max_pooling_transposed_window(seed))["inputs"]
    right = gradient(functions.max_pooling(seed))["inputs"]
    np.testing.assert_array_equal(
        wrong.reshape(2, 3, 2, 4, 2), right.reshape(2, 3, 2, 4, 2).swapaxes(2, 4)
    )


def test_lost_border_is_zero_and_the_interior_right():
    wrong = gradient(functions.convolution_lost_border())["inputs"]
    right = gradient(functions.convolution())["inputs"]
    border = np.ones(right.shape, bool)
    border[:, :, 1:-1, 1:-1] = False
    np.testing.assert_array_equal(wrong, np.where(border, 0, right))
    assert np.all(right[border])


def test_bias_of_one_image_and_of_the_other_make_the_sum():
    problem, twin = functions.convolution_bias_of_one_image(), functions.convolution()
    inputs, (targets,) = twin.parameters["inputs"], twin.args
    other = twin.gradient(twin.parameters | {"inputs": inputs[1:]}, targets[1:])["bias"] / 2
    np.testing.assert_allclose(
        gradient(problem)["bias"] + other, gradient(twin)["bias"], rtol=1e-11
    )


@pytest.mark.parametrize(
    ("name", "rows"), [("embedding_overwritten", {4, 5, 6}), ("embedding_padding_row", {0})]
)
def test_embedding_is_wrong_in_rows_of_repeated_or_padding_tokens(name, rows):
    for seed in SEEDS:
        wrong = gradient(FAULTS[name](seed))["table"]
        right = gradient(functions.embedding(seed))["table"]
        assert set(np.flatnonzero((wrong != right).any(axis=1))) == rows


def test_cut_cell_leaves_the_output_gate_of_the_recurrent_weight_alone():
    for seed in SEEDS:
        wrong = gradient(functions.lstm_cut_cell(seed))["recurrent_weight"]
        right = gradient(functions.lstm(seed))["recurrent_weight"]
        same = np.isclose(wrong, right, rtol=1e-12, atol=0)
        np.testing.assert_array_equal(same, np.isin(np.arange(8), [4, 5]) & np.ones((2, 1), bool))
