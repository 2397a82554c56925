"""Entries measured in blocks say what ladders say one by one, and leave no trace."""

import numpy as np
import pytest

from gradcheck.directions import entry_scales
from gradcheck.entries import measure_entries
from gradcheck.entry_losses import EntryLosses
from gradcheck.execution import Evaluator
from gradcheck.line import differentiate
from gradcheck.noise import measure_noise
from gradcheck.probes import Claim
from gradcheck.problem import Problem
from gradcheck.sweep import entry_lines

UNIT = float(np.finfo(float).eps)


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
            raise KeyboardInterrupt
        return float(np.sum(p["x"] ** 2))

    x = np.linspace(0.1, 0.7, 5)
    evaluator = Evaluator(Problem(loss, lambda p: {"x": 2 * p["x"]}, {"x": x}))
    losses, every = EntryLosses(evaluator, "x", np.float64), np.arange(5)
    with pytest.raises(KeyboardInterrupt):
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
