"""Steps along directions: moved, evaluated and put back without copies of the parameters."""

from fractions import Fraction

import numpy as np
import pytest

from gradcheck import Problem
from gradcheck.execution import Evaluator
from gradcheck.pieces import PIECE, step_along

STEP = 2.0**-9
SHAPES = {
    "one entry": (),
    "few": (3, 4),
    "blocks": (3, PIECE // 2 + 5),
    "a long row": (1, 2 * PIECE + 1),
}
LAYOUTS = {
    "C": np.array,
    "Fortran": np.asfortranarray,
    "backwards": lambda array: np.array(array[..., ::-1])[..., ::-1] if array.ndim else array,
    "every other": lambda array: np.repeat(array, 2, -1)[..., ::2] if array.ndim else array,
}


def exactly(analytic, moved, origin):
    """Return the sum of gradient times step taken, and that of the terms' sizes, as fractions."""
    terms = [
        Fraction(float(g)) * (Fraction(float(m)) - Fraction(float(o)))
        for g, m, o in zip(analytic.flat, moved.flat, origin.flat, strict=True)
    ]
    return sum(terms), sum(map(abs, terms))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, ">f8"])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS.keys())
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_the_step_taken_is_what_rounding_leaves_of_it(shape, layout, dtype):
    rng = np.random.default_rng(0)
    origin = layout(rng.standard_normal(shape).astype(dtype))
    direction, analytic = rng.standard_normal(shape), layout(rng.standard_normal(shape))
    moved = layout(np.zeros(shape, dtype))
    slope = step_along(moved, origin, direction, STEP, analytic)
    expected = (origin.astype(np.float64) + STEP * direction).astype(dtype)
    np.testing.assert_array_equal(moved, expected)
    claimed, size = exactly(analytic, moved, origin)
    assert abs(float(Fraction(slope) - claimed)) <= 1e-14 * float(size)
    # In float32 that is not the step asked for.
    asked = STEP * float(np.vdot(analytic, direction))
    off = abs(asked - float(claimed)) / float(size)
    assert off > 1e-10 if dtype is np.float32 else off < 1e-12


def test_directions_may_be_narrower_than_the_parameter():
    origin, direction = np.array([1.0, 2.0]), np.array([1 / 3, 0.1], np.float32)
    moved = origin.copy()
    step_along(moved, origin, direction, 0.7)
    np.testing.assert_array_equal(moved, origin + 0.7 * direction.astype(np.float64))


def test_the_loss_along_a_direction_comes_with_what_is_claimed_of_it():
    x = {"a": np.array([1.0, -0.0]), "b": np.array([[3.0]])}
    evaluator = Evaluator(Problem(lambda p: p["a"].sum() + p["b"].sum() ** 2, None, x))
    directions = {"a": np.array([1.0, 2.0]), "b": np.array([[4.0]])}
    gradient = {"a": np.array([1.0, 1.0]), "b": np.array([[6.0]])}
    loss, claimed = evaluator.loss_along(directions, 0.5, gradient)
    assert (loss, claimed) == (1.0 + 1.5 + 25.0, 1.5 + 12.0)
    assert evaluator.loss_along({"b": directions["b"]}, 0.5) == (1.0 + 25.0, 0.0)
    assert (evaluator.evaluations, evaluator.changed_parameters()) == (2, ())
    assert np.signbit(evaluator.working["a"]).tolist() == [False, True]


def test_of_several_steps_each_starts_from_the_given_point_whatever_the_loss_left():
    def spoil(x):
        value = float(x.sum())
        x += 100.0
        return value

    evaluator = Evaluator(Problem(spoil, None, np.array([1.0, 2.0])))
    found = evaluator.losses_along({"x": np.array([1.0, 0.5])}, [1.0, -2.0], {"x": np.ones(2)})
    assert found == [(4.5, 1.5), (0.0, -3.0)]
    assert evaluator.working["x"].tolist() == [1.0, 2.0]


def test_out_of_bounds_the_loss_is_not_called_along_a_direction():
    def loss(x):
        pytest.fail(f"called at {x}")

    evaluator = Evaluator(Problem(loss, None, np.array([1.0])), bounds=(0, 2))
    loss_there, claimed = evaluator.loss_along({"x": np.ones(1)}, 1.5, {"x": np.ones(1)})
    assert np.isnan(loss_there)
    assert claimed == 1.5
    assert evaluator.working["x"][0] == 1.0


@pytest.mark.parametrize("error", [ArithmeticError, KeyboardInterrupt])
def test_live_arrays_are_put_back_bit_by_bit_after_an_exception(error):
    kept = np.array([0.1, -0.0, 1e-300, -1e17, 1 / 3, 5e-324])
    live = kept.copy()

    def refuse():
        assert not np.array_equal(live, kept)
        raise error("refused")

    evaluator = Evaluator(Problem(refuse, lambda: live, live, in_place=True))
    direction = {"x": np.ones(6)}
    if error is KeyboardInterrupt:
        with pytest.raises(KeyboardInterrupt, match="refused"):
            evaluator.loss_along(direction, STEP)
    else:
        assert np.isnan(evaluator.loss_along(direction, STEP)[0])
    assert live.tobytes() == kept.tobytes()


def test_complex_parameters_move_as_pairs():
    evaluator = Evaluator(Problem(lambda z: abs(z[0]) ** 2, None, np.array([1 + 2j])))
    loss, claimed = evaluator.loss_along(
        {"x": np.array([[1.0, 2.0]])}, 0.5, {"x": np.array([[2.0, 4.0]])}
    )
    assert loss == pytest.approx(1.5**2 + 3.0**2)
    assert claimed == 5.0
