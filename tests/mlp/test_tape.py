"""The tape against closed forms and numerical derivatives."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays, mutually_broadcastable_shapes

from mlp.tape import (
    Tape,
    exp,
    gradient,
    log,
    maximum,
    sigmoid,
    tanh,
    value_and_gradient,
)


@pytest.mark.parametrize(
    ("function", "x", "slope"),
    [
        (lambda x: x + 3, 2.0, 1.0),
        (lambda x: 3 + x, 2.0, 1.0),
        (lambda x: x - 3, 2.0, 1.0),
        (lambda x: 3 - x, 2.0, -1.0),
        (lambda x: -x, 2.0, -1.0),
        (lambda x: x * 3, 2.0, 3.0),
        (lambda x: 3 * x, 2.0, 3.0),
        (lambda x: x / 4, 2.0, 0.25),
        (lambda x: 3 / x, 2.0, -0.75),
        (lambda x: x**3, 2.0, 12.0),
        (lambda x: x**-1, 2.0, -0.25),
        (lambda x: x**0.5, 4.0, 0.25),
        (lambda x: x**0, 0.0, 0.0),
        (lambda x: x**1, 0.0, 1.0),
        (lambda x: x**2, 0.0, 0.0),
        (lambda x: x**2, -3.0, -6.0),
        (exp, 1.0, math.e),
        (log, 4.0, 0.25),
        (sigmoid, math.log(3), 3 / 16),  # a = 3/4
        (tanh, math.log(2), 1 - 0.36),  # a = 3/5
        (lambda x: maximum(x, 0), 2.0, 1.0),
        (lambda x: maximum(x, 0), -2.0, 0.0),
        (lambda x: maximum(x, 0), 0.0, 0.0),
        (lambda x: maximum(1, x), 2.0, 1.0),
        (lambda x: x + x, 2.0, 2.0),
        (lambda x: x - x, 2.0, 0.0),
        (lambda x: x * x, 2.0, 4.0),
        (lambda x: x / x, 2.0, 0.0),
        (lambda x: maximum(x, x), 2.0, 1.0),
        (lambda x: x * (x * x) + x, 2.0, 13.0),
    ],
)
def test_slope_of_one_operation_has_its_closed_form(function, x, slope):
    value, found = value_and_gradient(function)(x)
    assert np.shape(value) == np.shape(found) == ()
    assert found == pytest.approx(slope, rel=1e-15, abs=1e-16)


@pytest.mark.parametrize("x", [-800.0, -40.0, 16.0, 40.0, 800.0])
def test_saturated_functions_stay_finite(x):
    for function in (sigmoid, tanh):
        value, slope = value_and_gradient(function)(x)
        assert np.isfinite(value)
        assert 0 <= slope < 1e-6


def test_value_and_slope_of_the_square_of_a_line():
    # L(w) = (4 w - 8)**2
    both = value_and_gradient(lambda w: (w * 4 - 8) ** 2)
    assert [both(w) for w in (3.0, 1.5)] == [(16.0, 32.0), (4.0, -16.0)]


def composite(p):
    """Return a loss that has every smooth operation in it, each with its reflection."""
    row, matrix, column = p["row"], p["matrix"], p["more"][0]
    z = matrix @ np.array([[0.5, -1.0], [2.0, 0.3], [0.1, 1.0]]) + row  # (4, 3) @ (3, 2) + (2,)
    a = sigmoid(z) - 2 * tanh(z.T).T / (3 + exp(-z))
    b = 1.5 / (2 + a**2) + np.arange(8.0).reshape(4, 2) * a - column  # (4, 2) - (4, 1)
    c = np.ones((3, 4)) @ b  # (3, 2)
    return log(5 + (c**2).mean(axis=0)).sum() + (b.sum(axis=1, keepdims=True) * column).mean()


def composite_of_arrays(p):
    row, matrix, column = (p["f"][name] for name in ("row", "matrix", "column"))
    z = matrix @ np.array([[0.5, -1.0], [2.0, 0.3], [0.1, 1.0]]) + row
    a = 1 / (1 + np.exp(-z)) - 2 * np.tanh(z) / (3 + np.exp(-z))
    b = 1.5 / (2 + a**2) + np.arange(8.0).reshape(4, 2) * a - column
    c = np.ones((3, 4)) @ b
    total = np.log(5 + np.mean(c**2, axis=0)).sum()
    return total + np.mean(b.sum(axis=1, keepdims=True) * column)


@pytest.mark.parametrize("seed", range(20))
def test_composite_agrees_with_the_complex_step(seed, complex_step, assert_same_gradient):
    rng = np.random.default_rng(seed)
    row, matrix, column = (rng.standard_normal(shape) for shape in (2, (4, 3), (4, 1)))
    nested = {"row": row, "matrix": matrix, "more": [column]}
    value, found = value_and_gradient(composite)(nested)
    flat = {"f": {"row": row, "matrix": matrix, "column": column}}
    assert value == pytest.approx(composite_of_arrays(flat), rel=1e-14)
    numerical = complex_step(composite_of_arrays, flat)
    analytic = {"row": found["row"], "matrix": found["matrix"], "column": found["more"][0]}
    assert_same_gradient({"f": analytic}, numerical, rtol=1e-12, floor=1e-13)


@st.composite
def pairs(draw):
    """Draw two arrays that broadcast, without zeros, and an upstream of their common shape."""
    shapes = draw(mutually_broadcastable_shapes(num_shapes=2, max_dims=3, max_side=3))
    sizes = st.floats(0.5, 2) | st.floats(-2, -0.5)
    made = [draw(arrays(float, shape, elements=sizes)) for shape in shapes.input_shapes]
    return *made, draw(arrays(float, shapes.result_shape, elements=sizes))


def summed_by_index(shape, slopes):
    """Return the slopes at every index of the result added up at the index they come from."""
    total = np.zeros(shape)
    for index in np.ndindex(slopes.shape):
        kept = index[len(index) - len(shape) :]
        place = tuple(0 if size == 1 else i for i, size in zip(kept, shape, strict=True))
        total[place] += slopes[index]
    return total


@settings(max_examples=100, deadline=None)
@given(pairs())
def test_broadcasting_is_undone_by_adding_what_each_copy_contributes(made):
    x, y, u = made
    one = np.ones_like(u)
    slopes = {
        "sum": (lambda x, y: x + y, u * one, u * one),
        "difference": (lambda x, y: x - y, u * one, -u * one),
        "product": (lambda x, y: x * y, u * y, u * x),
        "ratio": (lambda x, y: x / y, u / y, -u * x / y**2),
        "maximum": (maximum, u * (x > y), u * (x <= y)),
    }
    for name, (operation, by_x, by_y) in slopes.items():
        found = gradient(lambda p, f=operation: (f(p[0], p[1]) * u).sum())((x, y))
        for slope, array, expected in zip(found, (x, y), (by_x, by_y), strict=True):
            assert slope.shape == array.shape
            by_index = summed_by_index(array.shape, np.broadcast_to(expected, u.shape))
            np.testing.assert_allclose(slope, by_index, rtol=1e-13, atol=1e-13, err_msg=name)


@settings(max_examples=100, deadline=None)
@given(pairs())
def test_constants_on_either_side_take_part_like_variables(made):
    x, y, u = made
    for operation in (lambda x, y: x - y, lambda x, y: x * y, lambda x, y: x / y, maximum):
        both = gradient(lambda p, f=operation: (f(p[0], p[1]) * u).sum())((x, y))
        by_x = gradient(lambda p, f=operation: (f(p, y) * u).sum())(x)
        by_y = gradient(lambda p, f=operation: (f(x, p) * u).sum())(y)
        np.testing.assert_array_equal(by_x, both[0])
        np.testing.assert_array_equal(by_y, both[1])


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("axis", [None, 0, 1, -1])
def test_sums_and_means_hand_the_slope_to_each_entry(axis, keepdims):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 4))
    u = rng.standard_normal(x.sum(axis=axis, keepdims=keepdims).shape)
    spread = u if keepdims or axis is None else np.expand_dims(u, axis)
    expected = np.broadcast_to(spread, x.shape)
    count = {None: 12, 0: 3, 1: 4, -1: 4}[axis]
    total = gradient(lambda x: (x.sum(axis, keepdims=keepdims) * u).sum())(x)
    mean = gradient(lambda x: (x.mean(axis, keepdims=keepdims) * u).sum())(x)
    np.testing.assert_array_equal(total, expected)
    np.testing.assert_allclose(mean, expected / count, rtol=1e-15)


def test_gradient_has_the_nesting_of_the_parameters_and_arrays_of_its_own():
    x = np.arange(3.0)
    point = {"a": [x, {"b": (x, x)}], "unused": np.ones((2, 2))}
    found = gradient(lambda p: (p["a"][0] + p["a"][1]["b"][0] + p["a"][1]["b"][1]).sum())(point)
    one = np.ones(3)
    np.testing.assert_equal(found, {"a": [one, {"b": (one, one)}], "unused": np.zeros((2, 2))})
    assert isinstance(found["a"][1]["b"], tuple)
    slopes = [found["a"][0], *found["a"][1]["b"]]
    for number, slope in enumerate(slopes):
        slope[:] = number
    np.testing.assert_array_equal(slopes, [[0] * 3, [1] * 3, [2] * 3])
    np.testing.assert_array_equal(x, [0, 1, 2])


def test_float32_stays_float32():
    x = np.ones((2, 2), np.float32)
    value, found = value_and_gradient(lambda x: (sigmoid(2 * (x @ x) - 1) / 3).mean())(x)
    assert value.dtype == found.dtype == np.float32


def test_whole_numbers_are_taken_as_real_ones():
    found = gradient(lambda p: (p["n"] / 2).sum())({"n": np.array([1, 2])})
    np.testing.assert_array_equal(found["n"], [0.5, 0.5])


def test_variables_in_between_have_slopes_too():
    tape = Tape()
    x = tape.variable(3.0)
    y = x * 2
    z = y**2
    slopes = tape.gradients(z)
    assert (slopes[z], slopes[y], slopes[x]) == (1, 12, 24)


def test_a_tape_may_be_played_back_more_than_once():
    tape = Tape()
    x = tape.variable(3.0)
    square, cube = x**2, x**3
    assert [tape.gradients(y)[x] for y in (square, cube, square)] == [6, 27, 6]


def test_a_loss_that_is_no_scalar_is_refused():
    with pytest.raises(ValueError, match=r"loss must be a scalar .* shape \(3,\)"):
        gradient(lambda x: x * 2)(np.ones(3))


def test_a_loss_of_another_tape_is_refused():
    with pytest.raises(ValueError, match="loss must be a scalar on this tape"):
        Tape().gradients(Tape().variable(1.0))


def test_a_loss_that_is_made_of_no_parameter_is_refused():
    with pytest.raises(TypeError, match=r"made of its parameters, got 7\.0"):
        gradient(lambda x: 7.0)(np.ones(3))


def test_variables_of_two_tapes_are_refused():
    with pytest.raises(ValueError, match="same tape, got variables of two"):
        _ = Tape().variable(1.0) * Tape().variable(2.0)


@pytest.mark.parametrize("power", [np.ones(2), Tape().variable(2.0), "2"])
def test_a_power_that_is_no_number_is_refused(power):
    with pytest.raises(TypeError, match="power must be a number"):
        _ = Tape().variable(3.0) ** power


@pytest.mark.parametrize(("left", "right"), [((3,), (3, 2)), ((2, 3), (3,)), ((2, 2, 3), (3, 2))])
def test_a_matrix_product_of_something_else_is_refused(left, right):
    tape = Tape()
    with pytest.raises(ValueError, match="operands of @ must be matrices") as caught:
        _ = tape.variable(np.ones(left)) @ np.ones(right)
    assert f"got {left} and {right}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("exp", np.exp),
        ("exp", lambda x: np.exp(x, out=np.ones(3))),
        ("maximum", lambda x: np.maximum(x, 0)),
        ("add", lambda x: np.add(np.ones(3), x, out=np.ones(3))),
        ("add", np.add.reduce),
        ("subtract", lambda x: np.subtract(x, np.ones(3))),
        ("power", lambda x: np.full(3, 2.0) ** x),
        ("less", lambda x: np.ones(3) < x),
        ("sum", np.sum),
        ("mean", np.mean),
        ("dot", lambda x: np.dot(np.ones(3), x)),
        ("concatenate", lambda x: np.concatenate([x, np.ones(3)])),
    ],
)
def test_functions_of_numpy_refuse_variables_and_name_those_of_the_tape(name, use):
    with pytest.raises(TypeError, match=rf"^numpy\.{name} takes no Variable; use tape\.exp,"):
        use(Tape().variable(np.ones(3)))


@pytest.mark.parametrize("operand", [np.array([3.0, 4.0]), np.float64(3), 3.0, 3])
def test_an_array_or_a_number_may_be_left_of_an_operator(operand):
    point = np.array([2.0, 5.0])
    for use in (
        lambda a, x: a + x,
        lambda a, x: a - x,
        lambda a, x: a * x,
        lambda a, x: a / x,
    ):
        x = Tape().variable(point)
        np.testing.assert_array_equal(use(operand, x).value, use(operand, point))
    x = Tape().variable(np.ones((2, 1)))
    np.testing.assert_array_equal((np.array([[3.0, 4.0]]) @ x).value, [[7]])


@pytest.mark.parametrize("x", [0.3, 2, np.float32(0.3), np.array([0.3, 2.0]), np.array(0.3)])
@pytest.mark.parametrize(
    "function", [exp, log, sigmoid, tanh, lambda x: maximum(x, 1), lambda x: maximum(1, x)]
)
def test_of_plain_arrays_and_numbers_functions_are_plain(function, x):
    plain, of_variable = function(x), function(Tape().variable(x)).value
    assert isinstance(plain, np.ndarray | np.generic)
    np.testing.assert_array_equal(plain, of_variable)
    assert np.shape(plain) == np.shape(x)


def test_a_variable_has_the_shape_and_the_length_of_its_array():
    x = Tape().variable(np.ones((4, 3)))
    assert (x.shape, len(x)) == ((4, 3), 4)
    assert [row.shape for row in x] == [(3,)] * 4
    with pytest.raises(TypeError, match="unsized"):
        len(Tape().variable(1.0))
    with pytest.raises(TypeError, match="unsized"):
        iter(Tape().variable(1.0))


@pytest.mark.parametrize(
    "index",
    [1, -1, (2, 0), slice(None, 2), (slice(None), 1), [0, 2, 0], ([0, 1, 0], [2, 2, 2]), None, ...],
)
def test_slopes_of_entries_go_to_where_they_were_taken_as_often(index):
    x = np.arange(9.0).reshape(3, 3)
    value, found = value_and_gradient(lambda x: (x[index] ** 2).sum())(x)
    assert value == np.sum(x[index] ** 2)
    taken = np.arange(9).reshape(3, 3)[index].ravel().tolist()
    times = [taken.count(place) for place in range(9)]
    np.testing.assert_array_equal(found, 2 * x * np.reshape(times, (3, 3)))


def test_entries_chosen_by_a_mask_have_the_slopes():
    x = np.array([3.0, -1.0, 2.0])
    found = gradient(lambda v: (v[x > 0] * np.array([5.0, 7.0])).sum())(x)
    np.testing.assert_array_equal(found, [5, 0, 7])


def test_rows_of_a_variable_have_slopes_of_their_own():
    found = gradient(lambda x: sum(n * row.sum() for n, row in enumerate(x)))(np.ones((3, 2)))
    np.testing.assert_array_equal(found, [[0, 0], [1, 1], [2, 2]])
