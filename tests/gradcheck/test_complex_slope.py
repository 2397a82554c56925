"""Slopes by the complex step: the truth, from mpmath, lies in the bar, and the bar is sharp."""

import mpmath
import numpy as np
import pytest

from gradcheck.complex_slope import Move, complex_slopes
from gradcheck.execution import Evaluator
from gradcheck.problem import Problem

SEEDS = range(25)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def exact_sigmoid(z):
    return 1 / (1 + mpmath.exp(-z))


def any_scale(rng):
    scale = 10.0 ** rng.uniform(-8, 8)
    return (
        rng.standard_normal(3) * scale,
        lambda x: np.sum(np.sin(x / scale) * np.exp(x / scale)),
        lambda x: sum(mpmath.sin(v / scale) * mpmath.exp(v / scale) for v in x),
    )


def large_offset(rng):
    return (
        rng.standard_normal(3),
        lambda x: 1e6 + np.sum(np.sin(x)),
        lambda x: 10**6 + sum(map(mpmath.sin, x)),
    )


def saturated(rng):
    return (
        rng.uniform(-35, 35, 3),
        lambda x: np.sum(sigmoid(x)),
        lambda x: sum(map(exact_sigmoid, x)),
    )


def saturated_residual(rng):
    return (
        rng.uniform(-5, 25, 3),
        lambda x: np.sum((1 - sigmoid(x)) ** 2),
        lambda x: sum((1 - exact_sigmoid(v)) ** 2 for v in x),
    )


def tiny_beside_huge(rng):
    weights = np.array([1e8, 1.0, 1e-10])
    return (
        rng.standard_normal(3),
        lambda x: np.sum(weights * np.sin(x)),
        lambda x: sum(
            mpmath.mpf(float(w)) * mpmath.sin(v) for w, v in zip(weights, x, strict=True)
        ),
    )


def cancelling(rng):
    stretch = 1 + 1e-6
    return (
        rng.standard_normal(3),
        lambda x: np.sum(np.cos(x)) - np.sum(np.cos(x * stretch)),
        lambda x: sum(mpmath.cos(v) - mpmath.cos(v * mpmath.mpf(stretch)) for v in x),
    )


def almost_fitted(rng):
    point = rng.standard_normal(3)
    target = float(point @ point) * (1 + 1e-10)
    return (
        point,
        lambda x: (x @ x - target) ** 2,
        lambda x: (sum(v * v for v in x) - mpmath.mpf(target)) ** 2,
    )


def polynomial(rng):
    return (
        rng.standard_normal(3),
        lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2 + x[2] ** 3,
        lambda x: 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2 + x[2] ** 3,
    )


def narrow(rng):
    return (
        1 + 1e-4 * rng.standard_normal(3),
        lambda x: np.sum(np.sin((x - 1) * 1e4)),
        lambda x: sum(mpmath.sin((v - 1) * 10**4) for v in x),
    )


# Family, and how sharp the median bar is relative to the slope. Where the loss itself computes
# with cancelled numbers, its slopes are no better than those.
FAMILIES = [
    (any_scale, 1e-14),
    (large_offset, 1e-14),
    (saturated, 1e-13),
    (tiny_beside_huge, 1e-14),
    (polynomial, 1e-14),
    (narrow, 1e-10),
    (saturated_residual, 1e-8),
    (cancelling, 1e-8),
    (almost_fitted, 1e-4),
]


def evaluator(loss, point):
    return Evaluator(Problem(loss, point, point))


def entry_moves(point):
    return [Move((i,), abs(value)) for i, value in enumerate(point)]


def exact_slopes(function, point, moves):
    """Return the slopes by differences in 60 digits."""
    slopes, h = [], mpmath.mpf(10) ** -25
    for i, move in enumerate(moves):
        moved = [[mpmath.mpf(float(value)) for value in point] for _ in range(2)]
        moved[0][i] += h * move.values
        moved[1][i] -= h * move.values
        slopes.append((function(moved[0]) - function(moved[1])) / (2 * h))
    return slopes


@pytest.mark.parametrize(("family", "sharpness"), FAMILIES, ids=[f.__name__ for f, _ in FAMILIES])
def test_the_truth_lies_in_a_sharp_bar(family, sharpness):
    relative = []
    with mpmath.workdps(60):
        for seed in SEEDS:
            point, loss, exact = family(np.random.default_rng([11, seed]))
            moves = entry_moves(point)
            found = complex_slopes(evaluator(loss, point), "x", moves)
            for number, true in enumerate(exact_slopes(exact, point, moves)):
                bar = found.error_bars[number]
                assert abs(mpmath.mpf(float(found.values[number])) - true) <= bar, (seed, number)
                relative.append(bar / abs(float(true)))
    assert np.median(relative) <= sharpness


def test_rounded_results_that_line_up_at_equal_distances_do_not_look_exact():
    missed = 0
    for seed in range(600):
        point, loss, _ = almost_fitted(np.random.default_rng([12, seed]))
        found = complex_slopes(evaluator(loss, point), "x", entry_moves(point)[:1])
        # The residual is good to round-off of x @ x, which is 1e10 times larger.
        missed += found.error_bars[0] < 1e-8 * abs(found.values[0])
    assert missed == 0


def test_slopes_of_a_dead_unit_are_exactly_zero():
    point = np.array([-1.0, 2.0])
    found = complex_slopes(
        evaluator(lambda x: np.sum(np.maximum(x, 0) ** 2), point), "x", entry_moves(point)
    )
    assert (found.values[0], found.error_bars[0]) == (0.0, 0.0)
    assert found.values[1] == pytest.approx(8.0, rel=1e-14)


def test_single_precision_inside_the_loss_is_measured():
    point = np.array([0.3, -1.2, 2.0])

    def loss(x):
        return np.sum(np.sin(x.astype(np.complex64)) * np.complex64(1.1))

    found = complex_slopes(evaluator(loss, point), "x", entry_moves(point))
    error = np.abs(found.values - 1.1 * np.abs(point) * np.cos(point))
    assert np.all(error <= found.error_bars)
    assert np.all(found.error_bars <= 1e-4 * np.abs(found.values))
    assert np.all(found.error_bars >= 1e-8 * np.abs(found.values))


def test_a_direction_and_a_scalar_parameter_are_moves_too():
    given = {"a": 2.0, "b": np.array([0.0, 1.0])}
    evaluated = Evaluator(Problem(lambda p: p["a"] ** 3 * np.sum(np.exp(p["b"])), given, given))
    along_b = complex_slopes(evaluated, "b", [Move(..., np.array([1.0, -1.0]))])
    along_a = complex_slopes(evaluated, "a", [Move((), 1.0)])
    assert along_b.values[0] == pytest.approx(8 * (1 - np.e), rel=1e-14)
    assert along_a.values[0] == pytest.approx(12 * (1 + np.e), rel=1e-14)
    assert along_a.evaluations.sum() + along_b.evaluations.sum() == evaluated.evaluations


def test_a_domain_that_ends_right_beside_the_point_is_no_obstacle():
    point = np.array([1.0])

    def loss(x):
        if x[0].real < 1.0:
            raise ValueError("outside")
        return x[0] ** 2

    found = complex_slopes(evaluator(loss, point), "x", entry_moves(point))
    assert found.values[0] == 2.0
    assert found.error_bars[0] == np.inf  # nothing nearby says how it rounds
