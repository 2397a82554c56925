"""Several units at their kinks at once: right code is not accused, mistakes there are found."""

from dataclasses import replace

import numpy as np
import pytest

from gradcheck import Problem, check, check_gradients, layer_verifier
from gradcheck.budget import Budget
from gradcheck.conclusion import LineDerivative
from gradcheck.conventions import conventional
from gradcheck.execution import Evaluator
from gradcheck.verdict import is_at_kink, outcome
from mlp import problems
from mlp.activations import identity, leaky_relu, relu
from mlp.initialisers import he_normal
from mlp.losses import half_mean_squared_norm, softmax_cross_entropy
from mlp.network import dense_network
from mlp.training import train

SEEDS = range(3)
MORE_SEEDS = range(3, 23)
EFFORTS = ["auto", "quick"]


def relu_units(seed, at_kink=0.0, dtype=np.float64):
    """Nine ReLU units of four inputs, all of them 0, and the slope that is taken there."""
    rng = np.random.default_rng(seed)
    weight, out = rng.standard_normal((4, 9)), rng.standard_normal(9)

    def loss(x):
        return float(out @ np.maximum(x @ weight, 0.0) + np.sum(np.sin(x)))

    def gradient(x):
        return (weight @ (out * np.heaviside(x @ weight, at_kink)) + np.cos(x)).astype(x.dtype)

    return Problem(loss, gradient, np.zeros(4, dtype))


def network(seed, activation, loss, *, zero="", empty_rows=0):
    """A 4-8-6-3 network without biases to speak of, a layer or some of its samples all zero."""
    rng = np.random.default_rng(seed)
    made = dense_network(rng, (4, 8, 6, 3), activation, identity, loss, initialiser=he_normal)
    inputs = rng.standard_normal((10, 4))
    inputs[:empty_rows] = 0.0
    targets = np.eye(3)[rng.integers(3, size=10)]
    problem = problems.network_problem("network", made, inputs, targets)
    parameters = {
        layer: {key: array * (layer != zero) for key, array in held.items()}
        for layer, held in problem.parameters.items()
    }
    return replace(problem, parameters=parameters)


def ties(seed):
    """The largest of each row, many of which have two or more, and distances that are zero."""
    rng = np.random.default_rng(seed)
    mixing, out = rng.integers(-1, 2, (4, 4)).astype(float), rng.standard_normal(8)

    def loss(x):
        return float(out @ np.max(x @ mixing, axis=1) + np.abs(np.diff(x, axis=0)).sum())

    def gradient(x):
        chosen = np.zeros_like(x)
        chosen[np.arange(len(x)), np.argmax(x @ mixing, axis=1)] = out
        signs = np.sign(np.diff(x, axis=0, prepend=x[:1], append=x[-1:]))
        return chosen @ mixing.T + signs[:-1] - signs[1:]

    return Problem(loss, gradient, rng.integers(0, 2, (8, 4)).astype(float))


def hinges(seed):
    """Margins of exactly 1, clipped and penalised weights of exactly 0."""
    rng = np.random.default_rng(seed)
    samples = rng.integers(-1, 2, (12, 4)).astype(float)

    def loss(w):
        margins = 1.0 - (samples @ w + 1.0)
        return float(np.maximum(margins, 0.0).sum() + np.clip(w, 0, 6).sum() + np.abs(w).sum())

    def gradient(w):
        active = (1.0 - (samples @ w + 1.0) > 0.0) * 1.0
        return -active @ samples + ((w > 0) & (w < 6)) + np.sign(w)

    return Problem(loss, gradient, rng.integers(0, 2, 4).astype(float))


def spiral(seed):
    """Points on spiral arms, three of them at the origin, and a network without biases as yet."""
    problem = problems.spiral(seed)
    parameters = {
        layer: {key: array * (key != "bias") for key, array in held.items()}
        for layer, held in problem.parameters.items()
    }
    return replace(problem, parameters=parameters)


RIGHT = {
    "units at zero": relu_units,
    "half a slope each": lambda seed: relu_units(seed, at_kink=0.5),
    "a whole slope each": lambda seed: relu_units(seed, at_kink=1.0),
    "units at zero in float32": lambda seed: relu_units(seed, dtype=np.float32),
    "ties": ties,
    "hinges": hinges,
}
NETWORKS = {
    "zero first layer": lambda seed: network(seed, relu, softmax_cross_entropy, zero="layer1"),
    "zero second layer": lambda seed: network(
        seed, leaky_relu, half_mean_squared_norm, zero="layer2", empty_rows=2
    ),
    "empty samples": lambda seed: network(seed, leaky_relu, half_mean_squared_norm, empty_rows=3),
}


def accused(make, seeds, effort):
    return [s for s in seeds if check(make(s), seed=s, effort=effort).verdict == "fail"]


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("make", RIGHT.values(), ids=RIGHT.keys())
def test_right_code_is_not_accused_at_several_kinks_at_once(make, effort):
    assert accused(make, SEEDS, effort) == []


@pytest.mark.slow
@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("make", [*RIGHT.values(), *NETWORKS.values()])
def test_right_code_is_not_accused_with_other_seeds(make, effort):
    assert accused(make, MORE_SEEDS, effort) == []


@pytest.mark.parametrize("make", NETWORKS.values(), ids=NETWORKS.keys())
def test_network_whose_units_are_at_zero_is_not_accused(make):
    assert accused(make, range(2), "quick") == []


def test_spiral_with_samples_at_its_origin_verifies_layer_by_layer():
    verify = layer_verifier()
    for seed in range(5):
        problem = spiral(seed)
        problem.network.backward(problem.parameters, *problem.args, verify=verify)
    assert verify.checked == 15
    assert verify.inconclusive == {}


@pytest.mark.slow
def test_spiral_verifies_while_it_is_trained():
    for seed in range(20):
        problem, verify = spiral(seed), layer_verifier(seed=seed)
        settings = {"learning_rate": 0.5, "epochs": 300, "verify": verify, "verify_every": 100}
        train(problem.network, problem.parameters, *problem.args, **settings)
        assert verify.checked == 12


def changed(problem, change):
    def gradient(x):
        return change(problem.gradient(x), x)

    return replace(problem, gradient=gradient)


def with_entry(factor):
    def change(gradient, _):
        gradient[2] *= factor
        return gradient

    return change


FAULTS = {
    "sign": lambda gradient, _: -gradient,
    "half": lambda gradient, _: gradient / 2,
    "one entry is zero": with_entry(0.0),
    "one entry by a hundredth": with_entry(1.01),
    "one entry by 1e-5": with_entry(1 + 1e-5),
    "away from the kink only": lambda gradient, x: gradient * (1 + np.any(x != 0)),
}


def missed(make, fault, seeds):
    wrong = [changed(make(seed), fault) for seed in seeds]
    return [s for s, problem in zip(seeds, wrong, strict=True) if check(problem).verdict != "fail"]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_fault_in_entries_at_kinks_is_found(fault):
    assert missed(relu_units, fault, SEEDS[:2]) == []


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_fault_in_entries_at_kinks_is_found_with_other_seeds(fault):
    assert missed(relu_units, fault, MORE_SEEDS) == []


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("slope", [-6.0, 6.0])
def test_slope_that_no_convention_gives_is_a_mistake(slope, effort):
    failing = accused(lambda seed: relu_units(seed, at_kink=slope), SEEDS[:2], effort)
    assert failing == [0, 1]


def test_only_the_entry_that_is_wrong_beside_the_kink_is_called_wrong():
    report = check(changed(relu_units(0), with_entry(2.0)))
    assert report["x"].wrong.tolist() == [False, False, True, False]
    assert report["x"].worst.relative_error == pytest.approx(0.5, rel=1e-6)


def test_note_says_that_the_gradient_is_right_beside_the_kink():
    report = check(relu_units(0))
    assert report.verdict == "pass"
    (finding,) = report.findings
    assert (finding.code, finding.severity) == ("GC121", "note")
    assert finding.title == "the loss has kinks here, and right beside them the gradient is right"
    assert finding.evidence == "right at points right beside the kink: x"


def test_gradient_that_cannot_be_asked_elsewhere_is_judged_at_the_kink():
    problem = relu_units(0)
    ready = replace(problem, gradient=problem.gradient(problem.parameters))
    assert check(ready).verdict == "fail"


def test_gradient_that_raises_elsewhere_is_judged_at_the_kink():
    problem = relu_units(0)

    def gradient(x):
        if np.any(x):
            raise ValueError("elsewhere")
        return problem.gradient(x)

    assert check(replace(problem, gradient=gradient)).verdict == "fail"


def test_live_arrays_are_put_back_after_a_look_beside_them():
    problem = relu_units(0)
    live = {"x": np.array([0.0, -0.0, 0.0, 0.0])}
    given = live["x"].tobytes()
    held = Problem(
        lambda: problem.loss(live["x"]),
        lambda: {"x": problem.gradient(live["x"])},
        live,
        in_place=True,
    )
    assert check(held).verdict == "pass"
    assert live["x"].tobytes() == given


def test_looks_stay_inside_the_bounds_and_are_counted():
    problem, points, gradients = relu_units(1), [], []

    def loss(x):
        points.append(x.copy())
        return problem.loss(x)

    def gradient(x):
        gradients.append(x.copy())
        return problem.gradient(x)

    report = check_gradients(loss, gradient, np.zeros(4), bounds=(-1.0, 1e-4))
    assert report.verdict != "fail"
    assert max(np.max(points), np.max(gradients)) <= 1e-4
    assert (report.evaluations, report.gradient_calls) == (len(points), len(gradients))


def test_an_evaluator_comes_back_though_what_it_calls_raises():
    evaluator, seen = Evaluator(relu_units(0)), []

    def look():
        with evaluator.moved_to({"x": np.ones(4)}):
            seen.append(evaluator.working["x"].tolist())
            raise KeyError("stop")

    with pytest.raises(KeyError, match="stop"):
        look()
    assert seen == [[1.0] * 4]
    assert evaluator.original["x"].tolist() == evaluator.working["x"].tolist() == [0.0] * 4


KINK = LineDerivative(1.0, 1e-12, 2.0, "kink", 1.0, 4, "kink", 1e-3)
SMOOTH = LineDerivative(1.0, 1e-9, 0.0, "smooth", 0.0, 4, "precision", 1e-3)


@pytest.mark.parametrize(
    ("beside", "says", "at_kink"),
    [
        (None, "disagrees", False),
        (SMOOTH, "agrees", True),
        (replace(SMOOTH, smoothness="unresolved"), "undecided", False),
    ],
)
def test_look_beside_the_kink_is_what_counts(beside, says, at_kink):
    derivative = replace(KINK, beside=beside)
    assert outcome(derivative) == says
    assert is_at_kink(derivative) is at_kink


def crossed(jumps, places, start=1.0):
    """Slopes along a half circle that jump at these places, one column per claimed slope."""

    def slopes(turn):
        return np.atleast_1d(start + np.array(jumps) @ (np.array(places) < turn))

    return slopes


def judged(claimed, *paths, bar=0.0):
    inside, perhaps = conventional(paths, np.array([claimed]), np.array([bar]), Budget())
    return bool(inside[0]), bool(perhaps[0])


UP_AND_DOWN = [2.0, -1.0]


@pytest.mark.parametrize("claimed", [0.0, 1.0, 2.5, 3.0])
def test_every_part_of_every_jump_is_a_convention(claimed):
    paths = crossed(UP_AND_DOWN, [0.2, 0.7]), crossed(UP_AND_DOWN, [0.6, 0.3])
    assert judged(claimed, *paths) == (True, False)


@pytest.mark.parametrize("claimed", [-0.1, 3.1, 40.0])
def test_what_all_jumps_do_not_reach_is_none(claimed):
    paths = crossed(UP_AND_DOWN, [0.2, 0.7]), crossed(UP_AND_DOWN, [0.6, 0.3])
    assert judged(claimed, *paths) == (False, False)


def test_jumps_that_cancel_on_one_half_circle_are_seen_on_the_other():
    paths = crossed(UP_AND_DOWN, [0.2, 0.2001]), crossed(UP_AND_DOWN, [0.6, 0.3])
    assert judged(0.0, *paths) == (True, False)


def test_where_half_circles_differ_nobody_is_accused():
    paths = crossed(UP_AND_DOWN, [0.2, 0.2001]), crossed(UP_AND_DOWN, [0.6, 0.3])
    assert judged(-0.1, *paths) == (False, True)


def test_half_circle_without_any_gradient_tells_nothing():
    assert judged(1.0, lambda turn: None) == (False, True)


def test_time_that_is_over_leaves_a_perhaps():
    paths = crossed(UP_AND_DOWN, [0.2, 0.2001]), crossed(UP_AND_DOWN, [0.6, 0.3])
    spent = Budget(1e-9)
    inside, perhaps = conventional(paths, np.array([-0.1]), np.array([0.0]), spent)
    assert (inside.tolist(), perhaps.tolist()) == ([False], [True])


@pytest.mark.parametrize("effort", ["auto", "quick"])
def test_a_cause_is_found_though_an_entry_at_a_kink_is_only_wrong_beside_it(effort):
    weights, point = np.arange(1.0, 5.0), {"x": np.array([0.0, 1.0, -2.0, 3.0])}
    report = check_gradients(
        lambda p: float(np.sum(np.abs(p["x"]) * weights)),
        lambda p: {"x": 2.0 * np.sign(p["x"]) * weights},
        point,
        effort=effort,
    )
    (found,) = [finding for finding in report.findings if finding.severity == "error"]
    assert (found.slug, found.details["factor"]) == ("constant_factor", 2.0)
