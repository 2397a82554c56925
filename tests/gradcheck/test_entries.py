"""Entry by entry finite differences against closed forms."""

import numpy as np
import pytest

from gradcheck import numerical_gradient


def test_every_truth_lies_within_its_error_bar():
    x = np.linspace(-2.0, 2.0, 12).reshape(3, 4)
    found = numerical_gradient(lambda p: np.sum(np.sin(p) * np.exp(p)), x)
    truth = (np.sin(x) + np.cos(x)) * np.exp(x)
    assert np.all(np.abs(found.value - truth) <= found.error_bar)
    assert np.all(found.error_bar < 1e-6)


def test_result_is_nested_like_the_parameters():
    parameters = {"a": 2.0, "b": [np.array([1.0, 3.0])], "steps": 3}
    found = numerical_gradient(lambda p: p["a"] ** 2 + np.sum(p["b"][0] ** 2), parameters)
    assert found.value["a"] == pytest.approx(4.0)
    assert found.value["b"][0] == pytest.approx([2.0, 6.0])
    assert found.value["steps"] == 3


def test_two_variable_example_of_a_textbook():
    # f(x, y) = 3 x^2 + 2 x y + 5 at (2, 3): df/dx = 6x + 2y = 18, df/dy = 2x = 4.
    found = numerical_gradient(lambda p: 3 * p[0] ** 2 + 2 * p[0] * p[1] + 5, np.array([2.0, 3.0]))
    assert found.value == pytest.approx([18.0, 4.0], rel=1e-9)


def test_loss_that_is_not_finite_is_refused():
    with pytest.raises(ValueError, match="loss must be finite at the parameters, got nan"):
        numerical_gradient(lambda x: float("nan"), np.ones(2))


def test_parameters_are_left_alone():
    x = np.array([0.1, 0.2])
    numerical_gradient(lambda p: np.sum(p**3), x)
    assert x.tolist() == [0.1, 0.2]
