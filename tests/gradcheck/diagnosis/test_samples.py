"""The gradient of each sample, from calls with parts of the data."""

import threading
import time
import warnings

import numpy as np
import pytest

from gradcheck import Problem
from gradcheck.budget import Budget
from gradcheck.diagnosis.samples import MOST_SAMPLES, with_samples
from gradcheck.execution import Evaluator

W = np.array([0.5, -1.0, 2.0])


def loss(parameters, x, *_):
    return float(np.sum(np.sin(x @ parameters["W"])))


def gradient(parameters, x, *_):
    return {"W": np.cos(x @ parameters["W"]) @ x}


def alone(facts_of, problem):
    evaluator = Evaluator(problem)
    true = {"W": np.ones(3)}
    facts = with_samples(facts_of(true, {"W": 2.0 * true["W"]}), evaluator, Budget())
    return facts.per_sample(), evaluator


def data(count, seed=0):
    return np.random.default_rng(seed).normal(size=(count, 3))


def test_gradients_of_samples_in_rows_come_one_by_one(facts_of):
    x = data(5)
    found, _ = alone(facts_of, Problem(loss, gradient, {"W": W}, args=(x,)))
    np.testing.assert_allclose(found["W"], np.cos(x @ W)[:, None] * x, rtol=1e-12)


def test_gradients_of_samples_in_columns_come_one_by_one(facts_of):
    x = data(5)

    def of_columns(parameters, columns, targets):
        return gradient(parameters, columns.T * targets[:, None])

    problem = Problem(lambda p, c, t: loss(p, c.T), of_columns, {"W": W}, args=(x.T, np.ones(5)))
    found, _ = alone(facts_of, problem)
    np.testing.assert_allclose(found["W"], np.cos(x @ W)[:, None] * x, rtol=1e-12)


def test_what_is_no_array_is_handed_on_as_it_is(facts_of):
    seen = []

    def watching(parameters, x, *others):
        seen.append(others)
        return gradient(parameters, x)

    rest = ("mean", 3, None, np.float64(2.0), [1, 2, 3], np.array(7.0))
    alone(facts_of, Problem(loss, watching, {"W": W}, args=(data(4), *rest)))
    assert len(seen) == 4
    assert all(others[:5] == rest[:5] and others[5] == rest[5] for others in seen)


def test_calls_are_made_once_and_only_when_asked_for(facts_of):
    evaluator = Evaluator(Problem(loss, gradient, {"W": W}, args=(data(5),)))
    true = {"W": np.ones(3)}
    facts = with_samples(facts_of(true, {"W": 2.0 * true["W"]}), evaluator, Budget())
    assert evaluator.gradient_calls == 0
    assert facts.per_sample() is facts.per_sample()
    assert evaluator.gradient_calls == 5


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("mean", 3),
        (np.ones((1, 1)),),
        (np.ones(MOST_SAMPLES + 1),),
        (data(5), np.ones((4, 2))),
    ],
)
def test_data_without_a_batch_are_not_cut(args, facts_of):
    evaluator = Evaluator(Problem(lambda p, *_: 0.0, gradient, {"W": W}, args=args))
    true = {"W": np.ones(3)}
    facts = with_samples(facts_of(true, {"W": 2.0 * true["W"]}), evaluator, Budget())
    assert facts.per_sample() is None
    assert evaluator.gradient_calls == 0


def test_a_gradient_that_is_an_array_cannot_be_asked_for_samples(facts_of):
    found, _ = alone(facts_of, Problem(loss, {"W": np.ones(3)}, {"W": W}, args=(data(5),)))
    assert found is None


def test_without_time_no_more_calls_are_made(facts_of):
    evaluator = Evaluator(Problem(loss, gradient, {"W": W}, args=(data(5),)))
    true, spent = {"W": np.ones(3)}, Budget(1e-9)
    time.sleep(0.001)
    assert (
        with_samples(facts_of(true, {"W": 2.0 * true["W"]}), evaluator, spent).per_sample() is None
    )
    assert evaluator.gradient_calls == 0


def test_a_sample_that_takes_too_long_ends_it(facts_of):
    def slow(parameters, x):
        if len(x) < 2:
            time.sleep(0.5)
        return gradient(parameters, x)

    evaluator = Evaluator(Problem(loss, slow, {"W": W}, args=(data(5),)), timeout=0.05)
    true = {"W": np.ones(3)}
    facts = with_samples(facts_of(true, {"W": 2.0 * true["W"]}), evaluator, Budget())
    assert facts.per_sample() is None
    assert evaluator.gradient_calls == 1


def test_a_gradient_that_raises_for_a_lone_sample_ends_it(facts_of):
    def picky(parameters, x):
        if len(x) < 2:
            raise ValueError("needs two samples")
        return gradient(parameters, x)

    found, evaluator = alone(facts_of, Problem(loss, picky, {"W": W}, args=(data(5),)))
    assert found is None
    assert evaluator.gradient_calls == 1


def test_a_gradient_of_another_shape_for_some_samples_ends_it(facts_of):
    def ragged(parameters, x):
        return {"W": np.ones(3 if x[0, 0] > 0.0 else 2)}

    found, _ = alone(facts_of, Problem(loss, ragged, {"W": W}, args=(data(8),)))
    assert found is None


def test_a_variance_over_one_sample_warns_nobody(facts_of):
    def standardised(parameters, x):
        return {"W": gradient(parameters, x)["W"] / x.std(axis=0, ddof=1)}

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        found, _ = alone(facts_of, Problem(loss, standardised, {"W": W}, args=(data(5),)))
    assert seen == []
    assert np.all(np.isnan(found["W"]))


def test_no_thread_is_left_behind(facts_of):
    evaluator = Evaluator(Problem(loss, gradient, {"W": W}, args=(data(5),)), timeout=60.0)
    before = threading.active_count()
    true = {"W": np.ones(3)}
    assert with_samples(facts_of(true, {"W": 2.0 * true["W"]}), evaluator, Budget()).per_sample()
    deadline = time.monotonic() + 10.0
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() == before


def test_parameters_stay_as_they_are(facts_of):
    given = {"W": W.copy()}
    alone(facts_of, Problem(loss, gradient, given, args=(data(5),)))
    assert np.array_equal(given["W"], W)
