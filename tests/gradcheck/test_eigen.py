"""Eigenvector directions, against numpy.linalg.eigh of Hessians known in closed form or found by
the complex step."""

import numpy as np
import pytest

from gradcheck import Problem, check, check_gradients
from gradcheck.directions import entry_scales
from gradcheck.eigen import ITERATIONS, eigen_directions, top_eigenvectors
from gradcheck.execution import Evaluator
from gradcheck.parameters import flatten
from mlp import faults, problems

EPS = float(np.finfo(np.float64).eps)


def symmetric(eigenvalues, rng):
    vectors, _ = np.linalg.qr(rng.standard_normal((len(eigenvalues),) * 2))
    return vectors * eigenvalues @ vectors.T


def alignment(one, other):
    """Return the cosine of the angle between two lines."""
    return abs(np.vdot(one, other)) / (np.linalg.norm(one) * np.linalg.norm(other))


def decaying(size, rng):
    return rng.choice([-1.0, 1.0], size) * 2.0 ** -np.arange(size)


@pytest.mark.parametrize("size", [1, 2, 5, ITERATIONS, 60, 300])
def test_lanczos_finds_the_eigenvalues_of_largest_size(size):
    rng = np.random.default_rng(size)
    for seed in range(5):
        matrix = symmetric(decaying(size, rng), rng)
        values, vectors = np.linalg.eigh(matrix)
        found = top_eigenvectors(lambda v, a=matrix: a @ v, size, seed)
        expected = np.argsort(-np.abs(values))[:2]
        assert len(found) == min(size, 2)
        for pair, place in zip(found, expected, strict=True):
            assert pair.value == pytest.approx(values[place], rel=1e-9)
            assert alignment(pair.vector, vectors[:, place]) == pytest.approx(1.0, abs=1e-9)
            assert np.linalg.norm(pair.vector) == pytest.approx(1.0)


def test_lanczos_stops_where_the_matrix_has_no_more_directions():
    calls = []

    def product(vector):
        calls.append(vector)
        return 3 * vector[0] * np.eye(50)[0]

    found = top_eigenvectors(product, 50, 0)
    assert len(calls) == 2
    assert found[0].value == pytest.approx(3.0)
    assert alignment(found[0].vector, np.eye(50)[0]) == pytest.approx(1.0)
    assert len(found) == 1
    assert top_eigenvectors(lambda v: 0 * v, 9, 0) == []


def quadratic(matrix):
    return (lambda x: 0.5 * x @ matrix @ x), (lambda x: matrix @ x)


def directions_of(problem, seed=0):
    evaluator = Evaluator(problem)
    scales = entry_scales(evaluator.original)
    return eigen_directions(evaluator, scales, EPS, seed), scales


def test_directions_are_eigenvectors_in_units_of_the_scales_as_long_as_random_ones():
    rng = np.random.default_rng(1)
    # One entry in kilometres, one in millimetres: without scales either would drown the other.
    units = np.array([1e-3, 1e3, 1.0, 1.0, 1e-5])
    scaled = symmetric(np.array([5.0, -3.0, 0.1, 0.2, 0.0]), rng)
    matrix = scaled / np.outer(units, units)
    point = units * rng.choice([-1.0, 1.0], 5)
    loss, gradient = quadratic(matrix)
    named = {name: point[i : i + 1] for i, name in enumerate("abcde")}

    def joined(p):
        return np.concatenate([p[name] for name in "abcde"])

    problem = Problem(
        lambda p: loss(joined(p)),
        lambda p: dict(zip("abcde", gradient(joined(p)).reshape(5, 1), strict=True)),
        named,
    )
    found, scales = directions_of(problem)
    for name in "abcde":
        assert np.abs(found[name][0]) == pytest.approx(scales[name])  # all there is of one entry
    whole, whole_scales = directions_of(Problem(loss, gradient, point))
    values, vectors = np.linalg.eigh(matrix * np.outer(whole_scales["x"], whole_scales["x"]))
    for number, place in enumerate(np.argsort(-np.abs(values))[:2]):
        along = whole["x"][number] / whole_scales["x"]
        assert alignment(along, vectors[:, place]) == pytest.approx(1.0, abs=1e-6)
        assert np.linalg.norm(along) == pytest.approx(np.sqrt(5))


def complex_step_hessian(problem, scales):
    """Return the Hessian in units of the scales: imaginary parts of the network's own gradient."""
    names = list(scales)
    flat = flatten(problem.parameters)

    def gradient(moved, index):
        arrays = {name: array.astype(complex) for name, array in flat.items()}
        arrays[moved][index] += 1e-30j * scales[moved][index]
        nested = {}
        for name, array in arrays.items():
            layer, _, key = name.rpartition(".")
            nested.setdefault(layer, {})[key] = array
        found = flatten(problem.gradient(nested, *problem.args))
        return np.concatenate([(found[name].imag / 1e-30 * scales[name]).ravel() for name in names])

    return np.array(
        [gradient(name, index) for name in names for index in np.ndindex(scales[name].shape)]
    )


@pytest.mark.parametrize("factory", [problems.reference, faults.correct])
def test_directions_of_a_network_are_those_of_its_hessian(factory):
    problem = factory()
    found, scales = directions_of(Problem(problem.loss, problem.gradient, problem.parameters,
                                          args=problem.args))  # fmt: skip
    hessian = complex_step_hessian(problem, scales)
    assert np.allclose(hessian, hessian.T)
    values, vectors = np.linalg.eigh(hessian)
    top = vectors[:, np.argmax(np.abs(values))]
    start = 0
    for name, scale in scales.items():
        part = top[start : start + scale.size].reshape(scale.shape)
        start += scale.size
        if np.linalg.norm(part) >= 1e-2:
            assert alignment(found[name][0] / scale, part) > 0.999, name


def test_a_parameter_that_takes_no_part_gets_no_direction():
    parameters = {"a": np.ones(3), "b": np.ones(2)}
    problem = Problem(
        lambda p: np.sum(p["a"] ** 4) + np.sum(p["b"]),
        lambda p: {"a": 4 * p["a"] ** 3, "b": np.ones(2)},
        parameters,
    )
    found, _ = directions_of(problem)
    assert len(found["a"]) == 1  # all its curvatures are equal, so that one vector spans them
    assert found["b"] == ()


def test_a_gradient_that_cannot_be_evaluated_nearby_gives_none():
    def gradient(x):
        if not np.array_equal(x, np.ones(3)):
            raise RuntimeError("only here")
        return 2 * x

    for given in (gradient, 2 * np.ones(3), lambda x: 2 * x / (x == 1)):
        with np.errstate(all="ignore"):
            report = check_gradients(lambda x: np.sum(x**2), given, np.ones(3), directions="eigen")
        assert report.verdict == "pass"
        assert len(report["x"].probes) == 2
        assert report.notes == (
            "directions eigen: random ones only, as no Hessian could be had from the gradient",
        )


def test_the_report_says_how_many_directions_there_were():
    report = check(problems.reference(), directions="eigen")
    assert report.verdict == "pass"
    probes = sum(len(part.probes) for part in report.parameters)
    added = probes - 2 * len(report.parameters)
    assert 0 < added <= 2 * len(report.parameters)
    note = f"directions eigen: {added} probes along the Hessian's top 2 eigenvectors"
    others = check(problems.reference()).notes
    assert sorted(report.notes) == sorted([note, *others])
    assert not any("eigen" in other for other in others)


def along_the_top(error, size=6000):
    """Return a loss, a gradient wrong along the top eigenvector by `error` in all, and a point.

    The parameter is too large to be swept.
    """
    rng = np.random.default_rng(2)
    top = rng.standard_normal(size) / np.sqrt(size)
    slopes = rng.standard_normal(size)

    def loss(x):
        return 1e3 + 5 * (top @ x) ** 2 + slopes @ x

    return loss, lambda x: 10 * top * (top @ x) + slopes + error * top, np.ones(size)


def test_an_error_along_the_top_eigenvector_is_seen_though_random_directions_miss_it():
    wrong, right = along_the_top(6e-8), along_the_top(0.0)
    for seed in range(5):
        options = {"effort": "quick", "seed": seed}
        random = check_gradients(*wrong, **options)
        eigen = check_gradients(*wrong, directions="eigen", **options)
        assert random["x"].probes == eigen["x"].probes[:2]
        assert [probe.outcome for probe in eigen["x"].probes] == ["agrees", "agrees", "disagrees"]
        assert (random.verdict, eigen.verdict) == ("pass", "fail")
        assert check_gradients(*right, directions="eigen", **options).verdict == "pass"


def test_a_lone_wrong_entry_is_still_found_by_the_random_directions():
    for seed in range(5):
        problem = faults.FAULTS["entry_off_by_percent"](seed)
        report = check(problem, directions="eigen", effort="quick", seed=seed)
        assert [p.name for p in report.parameters if p.verdict == "fail"] == ["layer2.weight"]


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] if position % 8 else [])
        for position, name in enumerate(sorted(faults.FAULTS))
    ],
)
def test_a_wrong_gradient_makes_no_wrong_verdict(name):
    expected = check(faults.FAULTS[name]())
    report = check(faults.FAULTS[name](), directions="eigen")
    for one, other in zip(report.parameters, expected.parameters, strict=True):
        assert (one.name, one.verdict) == (other.name, other.verdict)


def test_an_eigenvector_orthogonal_to_the_gradient_leaves_a_quick_pass_a_pass():
    def loss(x):
        return 50 * (x[0] - 1) ** 2 + np.sum(x[1:])

    def gradient(x):
        return np.concatenate([[100 * (x[0] - 1)], np.ones(x.size - 1)])

    report = check_gradients(loss, gradient, np.ones(20), directions="eigen", effort="quick")
    assert report.verdict == "pass"
    assert len(report["x"].probes) >= 3
    assert report["x"].probes[2].analytic == pytest.approx(0.0, abs=1e-6)


def test_eigen_directions_work_for_an_in_place_problem_and_leave_it_as_it_was():
    live = np.arange(1.0, 5.0)
    problem = Problem(
        lambda: np.sum(live**3), lambda: {"w": 3 * live**2}, {"w": live}, in_place=True
    )
    report = check(problem, directions="eigen")
    assert report.verdict == "pass"
    assert len(report["w"].probes) == 4
    assert np.array_equal(live, np.arange(1.0, 5.0))
