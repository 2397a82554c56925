"""The functions beyond the network: their gradients numerically, their losses in closed form."""

import math
import pickle
from itertools import product
from statistics import NormalDist

import numpy as np
import pytest

from mlp import functions
from mlp.functions import pooling, regression
from mlp.losses import softmax_cross_entropy

SEEDS = range(5)
# The absolute value takes no complex step.
NOT_ANALYTIC = {"huber", "logistic_l1"}
TWINS = functions.TWINS


def nested(problem):
    """Return loss, parameters and gradient in the structure of a network's, of one layer."""
    gradient = {"f": problem.gradient(problem.parameters, *problem.args)}
    return lambda p, *args: problem.loss(p["f"], *args), {"f": problem.parameters}, gradient


def value(problem):
    return problem.loss(problem.parameters, *problem.args)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", sorted(set(TWINS) - NOT_ANALYTIC))
def test_gradient_agrees_with_the_complex_step(name, seed, complex_step, assert_same_gradient):
    problem = TWINS[name](seed)
    loss, parameters, analytic = nested(problem)
    numerical = complex_step(loss, parameters, *problem.args)
    assert_same_gradient(analytic, numerical, rtol=1e-10, floor=1e-13)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", sorted(NOT_ANALYTIC))
def test_gradient_agrees_with_central_differences(
    name, seed, central_differences, assert_same_gradient
):
    problem = TWINS[name](seed)
    loss, parameters, analytic = nested(problem)
    numerical = central_differences(loss, parameters, *problem.args)
    assert_same_gradient(analytic, numerical, rtol=1e-7, floor=1e-8)


@pytest.mark.parametrize("name", TWINS)
def test_seed_decides_parameters_and_data(name):
    first, again, other = (TWINS[name](seed) for seed in (3, 3, 4))
    np.testing.assert_equal(first.parameters, again.parameters)
    np.testing.assert_equal(first.args, again.args)
    assert value(first) == value(again) != value(other)


@pytest.mark.parametrize("name", TWINS)
def test_problem_goes_by_its_own_name_has_a_docstring_and_no_network(name):
    problem = TWINS[name]()
    assert getattr(functions, name) is TWINS[name]
    assert problem.name == name
    assert TWINS[name].__doc__
    assert problem.network is None


@pytest.mark.parametrize("name", TWINS)
def test_sizes_are_different_and_nowhere_the_same_by_chance(name):
    problem = TWINS[name]()
    assert len(set(problem.sizes.values())) == len(problem.sizes)
    assert set(problem.sizes.values()) <= {
        size for array in [*problem.args, *problem.parameters.values()] for size in array.shape
    }
    assert 1 not in problem.sizes.values()


@pytest.mark.parametrize("name", TWINS)
def test_problem_survives_pickling(name):
    problem = TWINS[name](2)
    copy = pickle.loads(pickle.dumps(problem))
    assert value(copy) == value(problem)
    np.testing.assert_equal(
        copy.gradient(copy.parameters, *copy.args),
        problem.gradient(problem.parameters, *problem.args),
    )


@pytest.mark.parametrize("seed", range(20))
def test_no_step_reaches_a_kink(seed):
    windows = np.sort(pooling.blocks(functions.max_pooling(seed).parameters["inputs"]), axis=-1)
    assert np.diff(windows, axis=-1).min() > 0.04
    huber = functions.huber(seed)
    inputs, targets = huber.args
    residuals = np.abs(inputs @ huber.parameters["coefficients"] - targets)
    assert np.abs(residuals - regression.THRESHOLD).min() > 0.2
    assert sum(residuals > regression.THRESHOLD) == 4
    assert np.abs(functions.logistic_l1(seed).parameters["weight"]).min() >= 0.2


@pytest.mark.parametrize("seed", range(20))
def test_nothing_is_saturated(seed):
    attention = functions.attention(seed)
    inputs, query, key = (attention.parameters[name] for name in ("inputs", "query", "key"))
    scores = (inputs @ query) @ (inputs @ key).T / math.sqrt(3)
    assert np.ptp(scores, axis=1).max() < 16  # a softmax has slopes of 1e-7 there
    assert np.abs(functions.logistic_boosting(seed).parameters["scores"]).max() < 8


def test_tokens_are_repeated_and_padded_and_one_never_occurs():
    for seed in range(20):
        counts = np.bincount(functions.embedding(seed).args[0].ravel(), minlength=10)
        assert counts.tolist() == [3, 1, 1, 1, 2, 2, 3, 1, 1, 0]


def test_convolution_is_the_sum_it_is_said_to_be():
    problem = functions.convolution(1)
    inputs, kernel, bias = (problem.parameters[name] for name in ("inputs", "kernel", "bias"))
    (targets,) = problem.args
    total = 0.0
    for n, f, h, w in np.ndindex(targets.shape):
        output = bias[f]
        for c, i, j in product(range(3), range(3), range(2)):
            row, column = 2 * h + i - 1, 2 * w + j - 1
            if 0 <= row < 5 and 0 <= column < 4:
                output += kernel[f, c, i, j] * inputs[n, c, row, column]
        total += (output - targets[n, f, h, w]) ** 2
    assert value(problem) == pytest.approx(total / 4, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "reduce", "stride"), [("max_pooling", np.max, 2), ("average_pooling", np.mean, 1)]
)
def test_pooling_reduces_its_windows(name, reduce, stride):
    problem = TWINS[name](1)
    inputs, (targets,) = problem.parameters["inputs"], problem.args
    total = 0.0
    for n, h, w in np.ndindex(targets.shape):
        window = inputs[n, stride * h : stride * h + 2, stride * w : stride * w + 2]
        total += (reduce(window) - targets[n, h, w]) ** 2
    assert value(problem) == pytest.approx(total / 4, rel=1e-12)


@pytest.mark.parametrize(("name", "axis"), [("batch_norm", 0), ("layer_norm", 1)])
def test_normalised_inputs_are_what_a_library_would_standardise(name, axis):
    problem = TWINS[name](1)
    x, gamma, beta = problem.parameters.values()
    u = (x - x.mean(axis, keepdims=True)) / np.sqrt(x.var(axis, keepdims=True) + 1e-5)
    expected = np.mean(np.sum((gamma * u + beta - problem.args[0]) ** 2, axis=1)) / 2
    assert value(problem) == pytest.approx(expected, rel=1e-12)


def test_embedding_averages_the_rows_of_each_sentence():
    problem = functions.embedding(1)
    table, weight = problem.parameters.values()
    tokens, targets = problem.args
    means = [np.mean([table[t] for t in row if t != 0], axis=0) for row in tokens]
    expected = np.sum((np.array(means) @ weight - targets) ** 2) / 6
    assert value(problem) == pytest.approx(expected, rel=1e-12)


def test_log_sum_exp_is_the_cross_entropy_of_one_hot_rows():
    problem = functions.log_sum_exp(1)
    expected = softmax_cross_entropy.value(problem.parameters["scores"], np.eye(4)[problem.args[0]])
    assert value(problem) == pytest.approx(expected, rel=1e-12)


def test_softmax_problem_is_the_brier_score():
    problem = functions.softmax(1)
    odds = np.exp(problem.parameters["scores"])
    p = odds / odds.sum(axis=1, keepdims=True)
    assert value(problem) == pytest.approx(np.sum((p - problem.args[0]) ** 2) / 14, rel=1e-12)


def test_gaussian_loss_is_the_negative_logarithm_of_the_density():
    problem = functions.gaussian(1)
    (samples,) = problem.args
    normals = [
        NormalDist(mu, math.exp(s)) for mu, s in zip(*problem.parameters.values(), strict=True)
    ]
    density = [normal.pdf(x) for row in samples for normal, x in zip(normals, row, strict=True)]
    assert value(problem) == pytest.approx(-sum(map(math.log, density)) / 8, rel=1e-12)


def test_poisson_loss_is_the_negative_logarithm_of_the_probability_without_its_constant():
    problem = functions.poisson(1)
    inputs, exposures, counts = problem.args
    rates = exposures * np.exp(inputs @ problem.parameters["coefficients"])
    probabilities = [
        math.exp(-m) * m**y / math.factorial(y)
        for m, y in zip(rates.tolist(), counts.tolist(), strict=True)
    ]
    constant = np.mean([math.lgamma(y + 1) for y in counts])
    expected = -np.mean(np.log(probabilities)) - constant
    assert value(problem) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("name", "penalty"),
    [
        ("logistic_l2", lambda w: 0.05 * np.sum(w**2)),
        ("logistic_l1", lambda w: 0.1 * np.sum(abs(w))),
    ],
)
def test_logistic_loss_is_a_likelihood_and_a_penalty(name, penalty):
    problem = TWINS[name](1)
    weight, bias = problem.parameters.values()
    inputs, labels = problem.args
    p = 1 / (1 + np.exp(-(inputs @ weight + bias)))
    likelihood = np.sum(np.log(np.where(labels == 1, p, 1 - p)))
    assert value(problem) == pytest.approx(-likelihood / 15 + penalty(weight), rel=1e-12)


def test_huber_loss_is_a_parabola_with_straight_arms():
    problem = functions.huber(1)
    inputs, targets = problem.args
    residuals = np.abs(inputs @ problem.parameters["coefficients"] - targets)
    terms = [r**2 / 2 if r < 1.5 else 1.5 * (r - 0.75) for r in residuals]
    assert value(problem) == pytest.approx(np.mean(terms), rel=1e-12)


def test_smooth_quantile_loss_lies_just_above_the_pinball_loss():
    problem = functions.quantile_boosting(1)
    r = problem.args[0] - problem.parameters["scores"]
    pinball = np.sum(np.maximum(0.8 * r, -0.2 * r))
    assert pinball < value(problem) < pinball + 13 * 0.4 * math.log(2)


def attended(parameters):
    """Return the outputs of attention, one query at a time."""
    x, wq, wk, wv = (parameters[name] for name in ("inputs", "query", "key", "value"))
    rows = []
    for query in x @ wq:
        odds = np.array([math.exp(query @ key / math.sqrt(3)) for key in x @ wk])
        rows.append(odds @ (x @ wv) / odds.sum())
    return np.array(rows)


def test_attention_is_a_weighted_mean_of_values_for_each_query():
    problem = functions.attention(1)
    expected = np.sum((attended(problem.parameters) - problem.args[0]) ** 2) / 12
    assert value(problem) == pytest.approx(expected, rel=1e-12)


def last_hidden(parameters, inputs, n):
    """Return the hidden state of one sample after all steps, unit by unit."""
    u, r, b = (parameters[name] for name in ("input_weight", "recurrent_weight", "bias"))
    h, c = [0.0, 0.0], [0.0, 0.0]
    for x in inputs[:, n]:
        z = x @ u + np.array(h) @ r + b
        i, f, o = (1 / (1 + np.exp(-z[k : k + 2])) for k in (0, 2, 4))
        c = [f[k] * c[k] + i[k] * math.tanh(z[6 + k]) for k in range(2)]
        h = [o[k] * math.tanh(c[k]) for k in range(2)]
    return h


def test_lstm_forgets_adds_and_lets_out_what_its_gates_say():
    problem = functions.lstm(1)
    inputs, targets = problem.args
    states = np.array([last_hidden(problem.parameters, inputs, n) for n in range(5)])
    assert value(problem) == pytest.approx(np.sum((states - targets) ** 2) / 10, rel=1e-12)
