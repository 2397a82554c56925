"""reseed=: a random loss or gradient that draws the same numbers at every call."""

import random

import numpy as np
import pytest

from gradcheck import check_gradients
from gradcheck.calling import seeding
from gradcheck.execution import Evaluator
from gradcheck.problem import Problem

X = np.array([0.5, -1.5, 2.0])


class Dropout:
    """Half of the terms of a sum of cubes, drawn anew at every call."""

    def __init__(self, draw):
        self.draw = draw

    def loss(self, x):
        return float(np.sum(self.draw(x.size) * x**3))

    def gradient(self, x):
        return self.draw(x.size) * 3 * x**2


def python_mask(size):
    return np.array([random.choice([0.0, 1.0]) for _ in range(size)])


def numpy_mask(size):
    return np.random.randint(0, 2, size).astype(float)  # noqa: NPY002


def global_states():
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002
    return random.getstate(), kind, keys.tolist(), rest


@pytest.mark.parametrize("draw", [python_mask, numpy_mask])
@pytest.mark.parametrize("timeout", [None, 60])
def test_a_whole_number_makes_a_random_loss_and_gradient_repeatable(draw, timeout):
    net = Dropout(draw)
    report = check_gradients(net.loss, net.gradient, X, reseed=3, timeout=timeout)
    assert report.verdict == "pass"
    assert not {"GC108", "GC109"} & {finding.code for finding in report.findings}


@pytest.mark.parametrize("draw", [python_mask, numpy_mask])
def test_without_it_the_finding_says_how_to_ask_for_it(draw):
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002
    net = Dropout(draw)
    report = check_gradients(net.loss, net.gradient, X)
    suggestions = {finding.code: finding.suggestion for finding in report.findings}
    assert "reseed=" in suggestions["GC108"]
    assert "reseed=" in suggestions["GC109"]
    assert not report.ok


def test_a_wrong_gradient_of_a_random_loss_fails_where_it_is_repeatable():
    net = Dropout(numpy_mask)
    report = check_gradients(net.loss, lambda x: 1.01 * net.gradient(x), X, reseed=np.int64(5))
    assert report.verdict == "fail"


def test_the_global_states_are_where_they_were_even_where_the_code_seeds_or_raises():
    random.seed(11)
    np.random.seed(12)  # noqa: NPY002
    np.random.standard_normal()  # noqa: NPY002  half of a pair: the other half is state too
    before = global_states()

    def loss(x):
        random.seed(99)
        np.random.standard_normal(7)  # noqa: NPY002
        if x[0] != X[0]:
            raise ArithmeticError("elsewhere")
        return float(np.sum(x))

    check_gradients(loss, np.ones_like, X, reseed=1)
    assert global_states() == before

    def refuses(x):
        np.random.random()  # noqa: NPY002
        raise ArithmeticError("here too")

    with pytest.raises(ArithmeticError, match="here too"):
        check_gradients(refuses, np.ones_like, X, reseed=1)
    assert global_states() == before


def test_the_global_states_are_not_touched_without_reseed():
    before = global_states()
    check_gradients(lambda x: float(np.sum(x**2)), lambda x: 2 * x, X)
    assert global_states() == before


@pytest.mark.parametrize("make", [np.random.PCG64, np.random.MT19937, np.random.Philox])
def test_a_generator_is_put_back_before_every_call_and_at_the_end(make):
    generator = np.random.Generator(make(4))
    generator.standard_normal(3)
    twin = np.random.Generator(make(4))
    twin.standard_normal(3)
    net = Dropout(lambda size: generator.integers(0, 2, size).astype(float))
    report = check_gradients(net.loss, net.gradient, X, reseed=generator)
    assert report.verdict == "pass"
    assert generator.integers(0, 2**62) == twin.integers(0, 2**62)


def test_a_generator_in_args_may_be_the_one():
    generator = np.random.default_rng(0)

    def loss(x, generator):
        return float(np.sum(generator.random(3) * x**2))

    def gradient(x, generator):
        return 2 * generator.random(3) * x

    assert check_gradients(loss, gradient, X, args=(generator,), reseed=generator).ok
    assert not check_gradients(loss, gradient, X, args=(generator,)).ok


def test_a_function_is_called_before_every_call():
    order = []
    generator = np.random.default_rng(0)
    start = generator.bit_generator.state

    def rewind():
        order.append("reseed")
        generator.bit_generator.state = start

    def loss(x):
        order.append("loss")
        return float(np.sum(generator.random(3) * x**2))

    def gradient(x):
        order.append("gradient")
        return 2 * generator.random(3) * x

    assert check_gradients(loss, gradient, X, reseed=rewind).ok
    assert order[::2] == ["reseed"] * (len(order) // 2)
    assert set(order[1::2]) == {"loss", "gradient"}


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ("7", TypeError, "reseed must be a whole number, a numpy.random.Generator or a function, "),
        ("7", TypeError, "got str '7'"),
        (1.5, TypeError, "got float 1.5"),
        (True, TypeError, "got bool True"),
        (np.random.RandomState(0), TypeError, "got RandomState"),
        (-1, ValueError, "reseed must be between 0 and 4294967295, got -1"),
        (2**32, ValueError, "reseed must be between 0 and 4294967295, got 4294967296"),
    ],
)
def test_anything_else_is_refused_before_the_first_call(given, error, message):
    called = []
    with pytest.raises(error, match=message):
        check_gradients(lambda x: called.append(1), np.ones_like, X, reseed=given)
    assert not called


def test_nothing_is_seeded_without_it():
    with seeding(None)():
        pass
    evaluator = Evaluator(Problem(lambda x: random.random(), np.ones_like, X))
    assert evaluator.loss() != evaluator.loss()
