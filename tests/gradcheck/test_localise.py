"""From failing probes to the wrong entries: which are found, at what cost, and none falsely."""

import math
from dataclasses import replace

import numpy as np
import pytest

from gradcheck import Problem
from gradcheck.budget import Budget
from gradcheck.directions import entry_scales, noise_directions, random_direction
from gradcheck.execution import Evaluator
from gradcheck.ladder import Conditions
from gradcheck.localise import localise
from gradcheck.noise import measure_noise
from gradcheck.probes import Claim, fitting, measure_probe
from gradcheck.regions import Region
from gradcheck.verdict import outcome

PROBES = 2
SUMS = 40


class Case:
    """A right gradient in closed form, and what localising says once some of it is made wrong."""

    def __init__(self, loss, gradient, x, *, bounds=None, required=1e-6, seed=0):
        self.seed = seed
        self.evaluator = Evaluator(Problem(loss, gradient, {"x": x}), bounds=bounds)
        right = np.array(gradient({"x": x})["x"], dtype=float)
        box, original = self.evaluator.bounds, self.evaluator.original
        scale = box.within_width("x", entry_scales(original, {"x": right})["x"])
        ahead = [
            {"x": box.inward("x", original["x"], along["x"], 0.5)}
            for along in noise_directions(original, {"x": scale}, seed)
        ]
        self.conditions = measure_noise(self.evaluator, ahead).conditions(PROBES)
        unit = float(np.finfo(x.dtype).eps)
        zero = np.zeros(x.shape)
        self.right = np.where(scale > 0.0, right, 0.0)
        self.claim = Claim("x", self.right, scale, unit, zero, zero, required)

    def localised(self, analytic, *, conditions=None, **settings):
        """Return the localisation of a wrong gradient, and what it cost."""
        claim = replace(self.claim, analytic=analytic)
        given = (self.evaluator, conditions or self.conditions, claim)
        probes = []
        for number in range(PROBES):
            drawn = random_direction(claim.scale, self.seed, "x", number)
            along = fitting(given[0], given[1], "x", drawn)
            probes.append((along, measure_probe(*given, along)))
        before = self.evaluator.evaluations
        found = localise(*given, probes, seed=self.seed, **settings)
        return found, self.evaluator.evaluations - before

    def with_errors(self, positions, relative):
        """Return the gradient with entries at flat positions off by a part of the typical one."""
        analytic = self.right.copy()
        analytic.flat[positions] += relative * np.sqrt(np.mean(self.right**2))
        return analytic


def sums(shape, *, dtype=float, seed=0, **settings):
    """Return log cosh of random sums of the entries: smooth, and all entries matter."""
    rng = np.random.default_rng(seed)
    size = math.prod(shape)
    matrix = (rng.standard_normal((SUMS, size)) / math.sqrt(size)).astype(dtype)
    x = np.array(rng.standard_normal(shape), dtype=dtype)

    def loss(p):
        return np.sum(np.log(np.cosh(matrix @ np.ravel(p["x"]))))

    def gradient(p):
        return {"x": (matrix.T @ np.tanh(matrix @ np.ravel(p["x"]))).reshape(shape)}

    return Case(loss, gradient, x, seed=seed, **settings)


def wrong(found):
    return {entry.index for entry in found.entries if outcome(entry.derivative) == "disagrees"}


def indices(positions, shape):
    return {tuple(int(i) for i in np.unravel_index(p, shape)) for p in positions}


SHAPES = [(), (1,), (7,), (5000,), (2, 2), (30, 40), (1, 200), (6, 7, 8), (3, 3, 8, 16)]


@pytest.mark.parametrize("shape", SHAPES)
def test_a_lone_wrong_entry_is_found_in_any_shape(shape):
    case = sums(shape)
    position = math.prod(shape) * 2 // 3
    found, evaluations = case.localised(case.with_errors([position], 0.1))
    assert wrong(found) == indices([position], shape)
    assert found.complete
    assert not found.dense
    assert evaluations <= 40


@pytest.mark.parametrize("shape", [(5000,), (30, 40), (6, 7, 8), (3, 3, 8, 16)])
@pytest.mark.parametrize("count", [2, 3, 8])
def test_several_wrong_entries_are_all_found(shape, count):
    case = sums(shape, seed=count)
    rng = np.random.default_rng(count)
    positions = rng.choice(math.prod(shape), count, replace=False)
    found, evaluations = case.localised(case.with_errors(positions, 0.1))
    assert wrong(found) == indices(positions, shape)
    assert found.complete
    assert evaluations <= 60 * count


def test_entries_come_once_each_in_ascending_order():
    case = sums((30, 40))
    found, _ = case.localised(case.with_errors([1100, 3, 700, 40], 0.1))
    listed = [entry.index for entry in found.entries]
    assert listed == sorted(set(listed))


def test_errors_of_very_different_sizes_are_all_found():
    case = sums((30, 40))
    analytic = case.right.copy()
    for position, error in ((10, 1.0), (500, 1e-3), (900, 1e-6)):
        analytic.flat[position] += error
    found, _ = case.localised(analytic)
    assert wrong(found) == indices([10, 500, 900], (30, 40))
    assert found.complete


def test_a_correct_claim_is_not_searched():
    case = sums((30, 40))
    found, evaluations = case.localised(case.right)
    assert (len(found.entries), found.regions) == (0, ())
    assert (found.complete, found.dense) == (True, False)
    assert evaluations == 0


@pytest.mark.parametrize(
    ("shape", "axis", "index"),
    [((30, 40), 0, 11), ((30, 40), 1, 39), ((6, 7, 8), 1, 3), ((3, 3, 8, 16), 3, 0)],
)
def test_a_wrong_slice_is_recognised_and_compared(shape, axis, index):
    case = sums(shape)
    inside = np.arange(math.prod(shape)).reshape(shape).take(index, axis).ravel()
    found, evaluations = case.localised(case.with_errors(inside, 0.1))
    assert found.regions == (Region(axis, (index,)),)
    assert wrong(found) == indices(inside, shape)
    assert found.complete
    assert evaluations <= 50 + 10 * inside.size


def test_a_wrong_slice_too_large_to_compare_is_sampled():
    case = sums((3, 1500))
    analytic = case.right.copy()
    analytic[1] += 0.1
    analytic[2, 77] += 0.1
    found, evaluations = case.localised(analytic)
    assert found.regions == (Region(0, (1,)),)
    assert (2, 77) in wrong(found)
    assert all(index[0] == 1 or index == (2, 77) for index in wrong(found))
    assert found.complete
    assert evaluations <= 400


def test_two_wrong_slices_are_both_recognised():
    case = sums((60, 50))
    analytic = case.right.copy()
    analytic[[7, 31]] += 0.1
    found, _ = case.localised(analytic)
    assert set(found.regions) == {Region(0, (7,)), Region(0, (31,))}
    assert wrong(found) == {(row, column) for row in (7, 31) for column in range(50)}
    assert found.complete


@pytest.mark.parametrize("part", [0.4, 1.0])
def test_dense_errors_are_sampled_and_left_alone(part):
    case = sums((60, 50))
    rng = np.random.default_rng(1)
    positions = rng.choice(3000, int(3000 * part), replace=False)
    found, evaluations = case.localised(case.with_errors(positions, 0.1))
    assert found.dense
    assert not found.complete
    assert set(found.sampled) <= {entry.index for entry in found.entries}
    assert len(found.sampled) == 16
    assert wrong(found) <= indices(positions, (60, 50))
    assert evaluations <= 250


def test_a_small_parameter_is_compared_whole_rather_than_called_dense():
    case = sums((3, 3))
    found, _ = case.localised(case.with_errors(np.arange(9), 0.1))
    assert wrong(found) == indices(range(9), (3, 3))
    assert found.complete
    assert not found.dense


def test_large_relu_network_with_kinks_close_by_is_searched():
    rng = np.random.default_rng(5)
    inputs, weights = rng.standard_normal((32, 300)), rng.standard_normal((300, 40)) / 17
    readout = rng.standard_normal(40)

    def loss(p):
        return float(np.mean((np.maximum(inputs @ p["x"], 0.0) @ readout) ** 2))

    def gradient(p):
        hidden = inputs @ p["x"]
        upstream = 2 * (np.maximum(hidden, 0.0) @ readout) / 32
        return {"x": inputs.T @ (np.outer(upstream, readout) * (hidden > 0.0))}

    case = Case(loss, gradient, weights)
    positions = [17, 5000, 11_000]
    found, evaluations = case.localised(case.with_errors(positions, 0.1))
    assert wrong(found) == indices(positions, (300, 40))
    assert found.complete
    assert evaluations <= 200


def test_entries_in_a_float32_loss_are_found():
    case = sums((30, 40), dtype=np.float32, required=1e-2)
    assert case.conditions.noise > 1e-8 * abs(case.conditions.value)
    found, evaluations = case.localised(case.with_errors([5, 500], 1.0))
    assert wrong(found) == indices([5, 500], (30, 40))
    assert evaluations <= 200


@pytest.mark.parametrize("noise", [1e-10, 1e-8, 1e-6])
def test_entries_in_a_noisy_loss_are_found(noise):
    clean, rng = sums((30, 40)), np.random.default_rng(0)
    exact = clean.evaluator.problem
    case = Case(
        lambda p: exact.loss(p) * (1 + noise * rng.standard_normal()),
        exact.gradient,
        exact.parameters["x"],
    )
    found, evaluations = case.localised(case.with_errors([5, 500], 1.0))
    assert wrong(found) == indices([5, 500], (30, 40))
    assert evaluations <= 200


def test_a_loss_of_1e_minus_7_is_searched_like_any_other():
    exact = sums((30, 40)).evaluator.problem
    case = Case(
        lambda p: 1e-7 * exact.loss(p),
        lambda p: {"x": 1e-7 * exact.gradient(p)["x"]},
        exact.parameters["x"],
    )
    found, evaluations = case.localised(case.with_errors([5, 500], 0.1))
    assert wrong(found) == indices([5, 500], (30, 40))
    assert found.complete
    assert evaluations <= 120


def test_the_point_at_its_lower_bounds_is_searched_from_one_side():
    exact = sums((30, 40)).evaluator.problem
    x = exact.parameters["x"]
    case = Case(exact.loss, exact.gradient, x, bounds=({"x": x}, {"x": np.inf}))
    found, _ = case.localised(case.with_errors([5, 500], 0.1))
    assert wrong(found) == indices([5, 500], (30, 40))
    assert found.complete


def test_entries_that_bounds_fix_are_neither_moved_nor_accused():
    exact = sums((30, 40)).evaluator.problem
    x = exact.parameters["x"]
    fixed = np.random.default_rng(0).random(x.shape) < 0.5
    fixed.flat[[5, 500]] = False
    seen = []

    def loss(p):
        seen.append(np.array_equal(p["x"][fixed], x[fixed]))
        return exact.loss(p)

    bounds = ({"x": np.where(fixed, x, -np.inf)}, {"x": np.where(fixed, x, np.inf)})
    case = Case(loss, exact.gradient, x, bounds=bounds)
    found, _ = case.localised(case.with_errors([5, 500], 0.1))
    assert all(seen)
    assert wrong(found) == indices([5, 500], (30, 40))
    assert not any(fixed[entry.index] for entry in found.entries)


def test_a_domain_that_ends_close_by_is_respected():
    x = np.abs(np.random.default_rng(3).standard_normal((40, 50))) + 1e-3

    def loss(p):
        return float(np.sum(np.log(p["x"]))) if np.all(p["x"] > 0.0) else math.nan

    case = Case(loss, lambda p: {"x": 1 / p["x"]}, x)
    found, _ = case.localised(case.right * np.where(np.arange(2000).reshape(40, 50) == 77, 1.1, 1))
    assert wrong(found) == {(1, 27)}


def test_no_time_left_ends_the_search_at_once():
    case = sums((30, 40))
    found, evaluations = case.localised(case.with_errors([5], 0.1), budget=Budget(0.0))
    assert (len(found.entries), found.regions, found.complete) == (0, (), False)
    assert evaluations == 0


@pytest.mark.parametrize("readings", [8, 30, 100])
def test_time_that_runs_out_leaves_what_was_found_by_then(readings):
    case = sums((60, 50))
    ticks = iter(range(10_000))
    budget = Budget(readings, clock=lambda: float(next(ticks)))
    rng = np.random.default_rng(2)
    positions = rng.choice(3000, 200, replace=False)
    found, _ = case.localised(case.with_errors(positions, 0.1), budget=budget)
    assert not found.complete
    assert wrong(found) <= indices(positions, (60, 50))


def test_a_loss_that_is_nowhere_finite_but_at_the_point_ends_the_search():
    case = sums((30, 40))
    analytic = case.with_errors([5], 0.1)
    probes = [
        (along, measure_probe(case.evaluator, case.conditions, claim, along))
        for claim in [replace(case.claim, analytic=analytic)]
        for along in [random_direction(claim.scale, 0, "x", 0)]
    ]
    nowhere = Case(lambda p: 1.0, lambda p: {"x": np.zeros((30, 40))}, case.evaluator.original["x"])
    nowhere.evaluator.loss_at = lambda changes: math.nan
    nowhere.evaluator.loss_at_entry = lambda *given: math.nan
    claim = replace(nowhere.claim, analytic=analytic)
    found = localise(nowhere.evaluator, Conditions(1.0, 0.0, 1.0), claim, probes, seed=0)
    assert not found.complete
    assert wrong(found) == set()


def test_hopelessly_many_small_errors_do_not_keep_it_busy_for_ever():
    case = sums((100, 100))
    rng = np.random.default_rng(0)
    positions = rng.choice(10_000, 1500, replace=False)
    found, evaluations = case.localised(case.with_errors(positions, 0.1))
    assert evaluations <= 6_200
    assert wrong(found) <= indices(positions, (100, 100))
    assert not found.complete


def test_the_same_seed_finds_the_same_at_the_same_cost():
    one, other = (sums((30, 40)) for _ in range(2))
    analytic = one.with_errors([5, 77, 500], 0.1)
    assert one.localised(analytic)[1] == other.localised(analytic)[1]


@pytest.mark.parametrize("seed", range(120))
def test_nothing_is_ever_accused_falsely(seed):
    rng = np.random.default_rng(seed)
    shape = SHAPES[seed % len(SHAPES)]
    size = math.prod(shape)
    case = sums(shape, seed=seed, required=10.0 ** rng.integers(-8, -2))
    count = min(size, int(rng.choice([1, 2, 5, 20])))
    positions = rng.choice(size, count, replace=False)
    analytic = case.right.copy()
    analytic.flat[positions] *= 1 + 10.0 ** rng.uniform(-9, 1, count)
    found, _ = case.localised(analytic)
    assert wrong(found) <= indices(positions, shape)
