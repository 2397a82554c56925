"""Gradients in float32 that rounding makes large errors in, and mistakes that only float32 has."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from gradcheck import Problem, check, check_gradients
from mlp import faults
from mlp.activations import identity, relu, sigmoid, tanh
from mlp.derivations import in_float32
from mlp.initialisers import unit_normal
from mlp.losses import half_mean_squared_norm, softmax_cross_entropy, sum_of_squares
from mlp.network import dense_network
from mlp.problems import network_problem

SPREADS = [0.3, 10, 30, 100]
ENDS = [
    (identity, softmax_cross_entropy),
    (sigmoid, sum_of_squares),
    (identity, half_mean_squared_norm),
]
# A factor of 1 + 1e-5 or 1.01 in one small entry, and a sigmoid derivative that is missing, which
# is about a factor of 4: elsewhere, or beside the others, these are within float32's rounding.
NOT_TOLD = {"entry_off_by_1e_5", "entry_off_by_percent", "first_derivative_missing"}


def cast(tree, dtype):
    if isinstance(tree, dict):
        return {name: cast(value, dtype) for name, value in tree.items()}
    return tree.astype(dtype) if np.asarray(tree).dtype.kind == "f" else tree


def in_precision(problem, dtype):
    args = tuple(cast(array, dtype) for array in problem.args)
    return replace(problem, parameters=cast(problem.parameters, dtype), args=args)


def precision_of(tree):
    return precision_of(next(iter(tree.values()))) if isinstance(tree, dict) else tree.dtype


def saturated(seed, spread):
    """The 2-2-2 network with weights anywhere: units saturate, up to a slope of exactly 0."""
    problem, rng = in_float32(), np.random.default_rng(seed)
    moved = {
        name: (array + rng.uniform(-spread, spread, array.shape)).astype(np.float32)
        for name, array in problem.parameters.items()
    }
    return replace(problem, parameters=moved)


def random_network(seed, scale):
    """A network of one to four layers and a batch of up to 32, its weights drawn large."""
    rng = np.random.default_rng(seed)
    widths = tuple(rng.integers(2, 7, rng.integers(2, 6)).tolist())
    activation, (end, loss) = [sigmoid, tanh, relu][seed % 3], ENDS[seed // 3 % 3]
    network = dense_network(rng, widths, activation, end, loss, initialiser=unit_normal)
    batch = int(rng.integers(1, 33))
    inputs, classes = rng.standard_normal((batch, widths[0])), rng.integers(0, widths[-1], batch)
    problem = network_problem("random", network, inputs, np.eye(widths[-1])[classes])
    larger = {
        layer: {name: scale * array for name, array in values.items()}
        for layer, values in problem.parameters.items()
    }
    return in_precision(replace(problem, parameters=larger), np.float32)


def accused(make, seeds):
    """The seeds that fail in float32 and not in float64."""
    failing = [seed for seed in seeds if check(make(seed), seed=seed).verdict == "fail"]
    return [
        seed
        for seed in failing
        if check(in_precision(make(seed), np.float64), seed=seed).verdict != "fail"
    ]


@pytest.mark.parametrize("spread", SPREADS)
def test_saturated_float32_is_never_accused(spread):
    assert accused(lambda seed: saturated(seed, spread), range(8)) == []


@pytest.mark.slow
@pytest.mark.parametrize("spread", SPREADS)
def test_saturated_float32_is_never_accused_at_other_points(spread):
    assert accused(lambda seed: saturated(seed, spread), range(8, 160)) == []


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1, 10, 30, 100, 1000])
def test_networks_in_float32_are_never_accused_however_saturated(scale):
    assert accused(lambda seed: random_network(seed, scale), range(60)) == []


def float32_inside(problem):
    """The problem in float64, as is its loss, with a gradient that computes in float32."""

    def gradient(parameters, *args):
        return problem.gradient(cast(parameters, np.float32), *(cast(a, np.float32) for a in args))

    return replace(in_precision(problem, np.float64), gradient=gradient, network=None)


def in_place(problem):
    """The problem as an object that holds its own arrays in float32."""
    live = {name: array.copy() for name, array in problem.parameters.items()}
    return Problem(
        lambda: problem.loss(live, *problem.args),
        lambda: problem.gradient(live, *problem.args),
        live,
        in_place=True,
    )


@pytest.mark.parametrize("alone", [float32_inside, in_place])
@pytest.mark.parametrize("spread", SPREADS)
def test_saturated_code_that_cannot_run_in_float64_is_not_accused_either(alone, spread):
    verdicts = Counter(check(alone(saturated(seed, spread))).verdict for seed in range(8))
    assert verdicts["fail"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("alone", [float32_inside, in_place])
@pytest.mark.parametrize("spread", SPREADS)
def test_saturated_code_that_cannot_run_in_float64_is_hardly_ever_accused(alone, spread):
    verdicts = Counter(check(alone(saturated(seed, spread))).verdict for seed in range(80))
    assert verdicts["fail"] <= 1


@pytest.mark.slow
@pytest.mark.parametrize("scale", [1, 10, 100])
def test_networks_whose_gradient_computes_in_float32_are_rarely_accused(scale):
    problems = [float32_inside(random_network(seed, scale)) for seed in range(60)]
    verdicts = Counter(check(problem).verdict for problem in problems)
    assert verdicts["fail"] <= 6, verdicts


@pytest.mark.parametrize("alone", [float32_inside, in_place])
def test_a_layer_that_is_not_saturated_still_fails_beside_one_that_is(alone):
    problem = saturated(0, 0.0)

    def slipped(parameters, *args):
        found = problem.gradient(parameters, *args)
        return found | {"V": found["V"] * np.float32(1.1)}

    found = check(alone(replace(problem, gradient=slipped)))
    assert failing(found) == {"V"}


def test_what_saturated_units_may_make_is_said_to_be_that():
    # A seed whose two moves by rounding show less of it than most.
    report = check(float32_inside(saturated(0, 0.0)), seed=2)
    (finding,) = [f for f in report.findings if "saturated units" in f.evidence]
    assert (finding.slug, finding.parameters) == ("limited_by_precision", ("W",))


def test_rounding_that_is_all_there_is_of_a_gradient_is_a_note():
    problem = saturated(7, 10)
    report = check(problem)
    assert report["V"].verdict == "pass"
    (finding,) = report["V"].findings
    assert (finding.slug, finding.severity) == ("limited_by_precision", "note")


def wrong_in_float32_only(name, seed):
    """A fault in float32 whose code is right in float64: two paths through the code."""
    wrong, right = (
        replace(in_precision(make(seed), np.float32), network=None)
        for make in (faults.FAULTS[name], faults.FAULTS[name].twin)
    )

    def gradient(parameters, *args):
        path = wrong if precision_of(parameters) == np.float32 else right
        return path.gradient(parameters, *args)

    return replace(wrong, gradient=gradient)


def failing(report):
    return {part.name for part in report.parameters if part.verdict == "fail"}


@pytest.mark.parametrize("name", ["bias_sign", "transposed_weight", "detached_bias"])
def test_a_mistake_that_only_float32_has_is_found(name):
    report = check(wrong_in_float32_only(name, 0), effort="quick")
    assert failing(report) == faults.FAULTS[name].wrong


@pytest.mark.slow
def test_nearly_all_mistakes_that_only_float32_has_are_found():
    verdicts = Counter()
    for name in faults.FAULTS:
        found = failing(check(wrong_in_float32_only(name, 0), effort="quick"))
        assert found <= faults.FAULTS[name].wrong, name
        verdicts[bool(found) or name in NOT_TOLD] += 1
    assert verdicts[False] == 0


def square_sum(x):
    return np.sum(x**2)


POINT = np.array([1.0, 2.5], dtype=np.float32)


@pytest.mark.parametrize(
    "gradient",
    [
        lambda x: np.float32([2.0, 5.1]),
        np.float32([2.0, 5.1]),
        lambda x: 2 * np.float32(1.02) * x,
    ],
    ids=["the same whatever it gets", "no function", "wrong in both"],
)
def test_what_is_no_better_in_float64_is_no_rounding(gradient):
    assert check_gradients(square_sum, gradient, POINT).verdict == "fail"


def test_what_cannot_be_compared_elsewhere_may_be_rounding():
    def gradient(x):
        if not np.allclose(x, POINT):
            raise ValueError("elsewhere")
        return (3 if x.dtype == np.float32 else 2) * x

    assert check_gradients(square_sum, gradient, POINT).verdict == "pass"


@pytest.mark.parametrize("elsewhere", [np.zeros(3), np.array([np.inf, np.nan])])
@pytest.mark.parametrize("is_narrow", [True, False])
def test_what_makes_no_sense_elsewhere_says_nothing(elsewhere, is_narrow):
    def gradient(x):
        if not np.allclose(x, POINT, rtol=0.1) and (x.dtype == np.float32) == is_narrow:
            return elsewhere
        return (3 if x.dtype == np.float32 else 2) * x

    assert check_gradients(square_sum, gradient, POINT).verdict == "pass"


def test_other_parameters_are_inside_the_bounds():
    seen = []

    def gradient(x):
        seen.append(np.array(x))
        return (3 if x.dtype == np.float32 else 2) * x

    report = check_gradients(square_sum, gradient, POINT, bounds=(0.5, 3.0))
    assert report.verdict == "fail"
    assert 0.5 <= np.min(seen) < np.max(seen) <= 3.0


def test_every_call_of_the_second_look_is_counted():
    calls = []

    def gradient(x):
        calls.append(x)
        return (3 if x.dtype == np.float32 else 2) * x

    report = check_gradients(square_sum, gradient, POINT)
    assert report.gradient_calls == len(calls)


def test_a_second_look_in_place_is_none():
    live = {"x": POINT.copy()}
    problem = Problem(
        lambda: square_sum(live["x"]), lambda: {"x": 3 * live["x"]}, live, in_place=True
    )
    assert check(problem).verdict == "fail"
    assert np.array_equal(live["x"], POINT)
