"""Entries measured in blocks say what ladders say one by one, and leave no trace."""

import numpy as np
import pytest

from gradcheck.budget import Budget
from gradcheck.directions import entry_scales, noise_directions
from gradcheck.entries import measure_entries
from gradcheck.entry_losses import EntryLosses
from gradcheck.execution import Evaluator
from gradcheck.line import differentiate
from gradcheck.noise import measure_noise
from gradcheck.probes import Claim
from gradcheck.problem import Problem
from gradcheck.sweep import entry_lines

UNIT = float(np.finfo(float).eps)
EXTENDED = np.finfo(np.longdouble).eps < np.finfo(np.float64).eps


def smooth(rng, size=40):
    """Return a loss of many scales with its gradient, and the point."""
    x, a, w = rng.standard_normal(size), rng.standard_normal(size), 10.0 ** rng.uniform(-4, 1, size)

    def loss(p):
        return float(np.sum(a * np.sin(w * p["x"]))) + float(p["x"] @ p["x"]) + 3.0

    return loss, lambda p: {"x": a * w * np.cos(w * p["x"]) + 2 * p["x"]}, {"x": x}


def prepared(loss, gradient, parameters, error=0.0):
    """Return an evaluator, its conditions and the claim about x, wrong by a relative `error`."""
    evaluator = Evaluator(Problem(loss, gradient, parameters))
    analytic = np.array(gradient(parameters)["x"]) * (1.0 + error)
    noise = measure_noise(evaluator, [])
    zeros = np.zeros(analytic.shape)
    scale = entry_scales(evaluator.original)["x"]
    claim = Claim("x", analytic, scale, UNIT, zeros, zeros, 1e-6)
    return evaluator, noise.conditions(analytic.size), claim


def one_by_one(evaluator, conditions, claim):
    """Return what ladders say from the same first steps."""
    losses = evaluator
    every = np.arange(claim.analytic.size)
    lines = entry_lines(claim, conditions, every, bias=1.0)
    for place in every:
        origin, slope = float(losses.original["x"][place]), float(lines.slope[place])

        def evaluate(step, place=place, origin=origin, slope=slope):
            value = losses.loss_at_entry("x", (int(place),), origin + step)
            return value, slope * (origin + step - origin)

        yield differentiate(evaluate, conditions, lines.settings(int(place)))


@pytest.mark.parametrize("error", [0.0, 1e-4, 1e-2])
@pytest.mark.parametrize("seed", range(8))
def test_blocks_say_what_ladders_say_one_by_one(seed, error):
    evaluator, conditions, claim = prepared(*smooth(np.random.default_rng(seed)), error)
    found = measure_entries(evaluator, conditions, claim, range(claim.size))
    for entry, alone in zip(found, one_by_one(evaluator, conditions, claim), strict=True):
        assert entry.derivative.value == pytest.approx(alone.value, rel=1e-13)
        assert entry.derivative.error_bar == pytest.approx(alone.error_bar, rel=1e-9)
        assert entry.derivative.smoothness == alone.smoothness


@pytest.mark.parametrize("seed", range(8))
def test_blocks_take_no_more_evaluations_than_ladders(seed):
    evaluator, conditions, claim = prepared(*smooth(np.random.default_rng(seed)))
    before = evaluator.evaluations
    measure_entries(evaluator, conditions, claim, range(claim.size))
    taken = evaluator.evaluations - before
    assert taken <= sum(alone.evaluations for alone in one_by_one(evaluator, conditions, claim))
    assert taken < 5 * claim.size


def test_a_loss_that_keeps_and_empties_its_containers_is_measured_all_the_same():
    x = np.linspace(0.5, 2.0, 20)
    kept = []

    def loss(p):
        kept.append(p)
        return float(np.sum(p.pop("inner").pop() ** 3))

    evaluator = Evaluator(Problem(loss, lambda p: p, {"inner": [x]}))
    name = "inner.0"
    losses = EntryLosses(evaluator, name, np.float64)
    every = np.arange(20)
    moves = losses.moves(every, np.full((20, 2), [0.25, -0.25]))
    total = np.sum(x**3)
    for place, (up, down) in enumerate(losses.at(every, moves)):
        assert up == pytest.approx(total - x[place] ** 3 + (x[place] + 0.25) ** 3)
        assert down == pytest.approx(total - x[place] ** 3 + (x[place] - 0.25) ** 3)
    assert len({id(p) for p in kept}) == len(kept) == evaluator.evaluations == 40


def test_an_interrupted_sweep_puts_the_entry_back():
    calls = 0

    def loss(p):
        nonlocal calls
        calls += 1
        if calls == 7:
            raise KeyboardInterrupt("at the seventh call")
        return float(np.sum(p["x"] ** 2))

    x = np.linspace(0.1, 0.7, 5)
    evaluator = Evaluator(Problem(loss, lambda p: {"x": 2 * p["x"]}, {"x": x}))
    losses, every = EntryLosses(evaluator, "x", np.float64), np.arange(5)
    with pytest.raises(KeyboardInterrupt, match="seventh call"):
        losses.at(every, losses.moves(every, np.full((5, 2), [0.5, -0.5])))
    assert evaluator.working["x"].tolist() == x.tolist()
    assert evaluator.evaluations == 7


def test_moves_that_rounding_swallows_are_not_evaluated():
    x = np.array([1.0, 2.0**60])
    evaluator = Evaluator(Problem(lambda p: float(p["x"][0]), lambda p: p, {"x": x}))
    losses, every = EntryLosses(evaluator, "x", np.float64), np.arange(2)
    found = losses.at(every, losses.moves(every, np.full((2, 2), [0.5, -0.5])))
    assert found[0].tolist() == [1.5, 0.5]
    assert np.isnan(found[1]).all()
    assert evaluator.evaluations == 2


def test_zero_entries_of_a_loss_that_ignores_them_take_eight_evaluations():
    x = np.linspace(1.0, 2.0, 300)

    def gradient(p):
        return {"x": np.where(np.arange(300) < 10, 2 * p["x"], 0.0)}

    evaluator, conditions, claim = prepared(
        lambda p: float(p["x"][:10] @ p["x"][:10]), gradient, {"x": x}
    )
    before = evaluator.evaluations
    found = measure_entries(evaluator, conditions, claim, range(300))
    assert evaluator.evaluations - before <= 4 * 10 + 8 * 290
    assert np.all(np.abs(found.discrepancy) <= found.error_bar)
    assert not found.special


def closed_forms(rng):
    """Yield losses of x with what their derivatives are by the textbook, and the point."""
    size = 30
    x, a, b = rng.standard_normal((3, size))
    w = 10.0 ** rng.uniform(-2, 1, size)
    matrix = rng.standard_normal((size, size))
    matrix += matrix.T
    yield (
        "sines",
        lambda p: float(a @ np.sin(w * p["x"])) + 2.0,
        lambda x: a * w * np.cos(w * x),
        x,
    )
    yield (
        "softplus",
        lambda p: float(np.sum(np.logaddexp(0.0, w * p["x"]))),
        lambda x: w / (1.0 + np.exp(-w * x)),
        x,
    )
    yield (
        "log-sum-exp",
        lambda p: float(np.log(np.sum(np.exp(p["x"])))),
        lambda x: np.exp(x) / np.sum(np.exp(x)),
        3.0 * x,
    )
    yield (
        "quadratic form",
        lambda p: float(p["x"] @ matrix @ p["x"]) / 2 + float(b @ p["x"]),
        lambda x: matrix @ x + b,
        x,
    )
    yield (
        "logarithms",
        lambda p: float(np.sum(np.log(p["x"]) * a)),
        lambda x: a / x,
        10.0 ** (x / 2),
    )
    yield (
        "rational",
        lambda p: float(np.sum(1.0 / (1.0 + (w * p["x"]) ** 2))),
        lambda x: -2 * w**2 * x / (1.0 + (w * x) ** 2) ** 2,
        x,
    )


@pytest.mark.parametrize("error", [0.0, 1e-3])
@pytest.mark.parametrize("seed", range(10))
def test_error_bars_hold_the_derivatives_of_the_textbook(seed, error):
    for name, loss, derivative, x in closed_forms(np.random.default_rng(seed)):
        truth = derivative(x)
        evaluator, _, claim = prepared(loss, lambda p, truth=truth: {"x": truth}, {"x": x}, error)
        directions = noise_directions(evaluator.original, {"x": claim.scale}, seed)
        conditions = measure_noise(evaluator, directions).conditions(x.size)
        found = measure_entries(evaluator, conditions, claim, range(x.size))
        # The textbook is rounded too: its terms are of the size of the largest entries.
        off = np.abs(found.value - truth) - 8 * UNIT * np.max(np.abs(truth))
        assert np.all(off <= found.error_bar), (name, np.max(off / found.error_bar))
        # They say something: where a thousandth is wrong, as much of the gradient is told.
        sharp = np.linalg.norm(found.error_bar) / np.linalg.norm(truth)
        assert sharp <= 1e-6, (name, sharp)
        wrong = np.abs(found.discrepancy) > found.error_bar
        assert wrong.mean() >= 0.9 if error else not wrong.any(), (name, wrong.mean())


@pytest.mark.skipif(not EXTENDED, reason="long double is float64 here")
@pytest.mark.parametrize("budget", [None, 60.0], ids=["together", "one by one"])
def test_a_long_double_entry_is_moved_from_where_it_is(budget):
    # In float64 it would be 1 less, where the slope is 5.
    x = np.longdouble(2.0**54) + np.ones(4, np.longdouble)

    def loss(p):
        moved = p["x"] - x
        return np.sum(moved**3 + 2 * moved)

    evaluator = Evaluator(Problem(loss, lambda p: p, {"x": x}))
    conditions, nothing = measure_noise(evaluator, []).conditions(4), np.zeros(4)
    claim = Claim("x", np.full(4, 2.0), np.full(4, 64.0), UNIT, nothing, nothing, 1e-6)
    found = measure_entries(evaluator, conditions, claim, range(4), budget=Budget(budget))
    assert np.all(np.abs(found.value - 2.0) <= found.error_bar)
    assert np.all(found.error_bar <= 0.02)


def test_a_long_double_entry_is_moved_by_what_is_said():
    x = np.longdouble(1) + np.full(1, np.finfo(np.longdouble).eps)
    evaluator = Evaluator(Problem(lambda p: p["x"][0], lambda p: p, {"x": x}))
    losses = EntryLosses(evaluator, "x", np.longdouble)
    moves = losses.moves(np.arange(1), np.array([[0.25, -0.25]]))
    assert moves.moved[0].tolist() == [x[0] + 0.25, x[0] - 0.25]
    assert moves.taken[0].tolist() == [float(moved - x[0]) for moved in moves.moved[0]]
    assert losses.at(np.arange(1), moves)[0].tolist() == [x[0] + 0.25, x[0] - 0.25]


def test_entries_that_bounds_fix_do_not_make_the_others_look_small():
    analytic, scale = np.array([-3.0, 4.0, 0.0, 0.0]), np.array([1.0, 1.0, 0.0, 0.0])
    zeros = np.zeros(4)
    claim = Claim("x", analytic, scale, UNIT, zeros, zeros, 1e-6)
    evaluator = Evaluator(Problem(lambda p: 1.0, lambda p: p, {"x": zeros}))
    conditions = measure_noise(evaluator, []).conditions(2)
    lines = entry_lines(claim, conditions, np.arange(2), bias=1.0)
    assert lines.enough == pytest.approx(1e-6 * np.sqrt((3.0**2 + 4.0**2) / 2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("budget", [None, 60.0], ids=["together", "one by one"])
def test_moves_that_overflow_give_no_warning(dtype, budget):
    x = np.array([np.finfo(dtype).max, 1.0], dtype)

    def loss(p):
        return float(p["x"][1])

    evaluator = Evaluator(Problem(loss, lambda p: p, {"x": x}))
    zeros, scale = np.zeros(2), np.array([float(x[0]), 1.0])
    claim = Claim("x", np.array([0.0, 1.0]), scale, UNIT, zeros, zeros, 1e-2)
    conditions = measure_noise(evaluator, []).conditions(2)
    found = measure_entries(evaluator, conditions, claim, range(2), budget=Budget(budget))
    assert abs(found.value[1] - 1.0) <= found.error_bar[1] <= 0.01
