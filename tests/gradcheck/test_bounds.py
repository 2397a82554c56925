"""bounds=: neither function is called outside, and what lies on a bound is checked all the same."""

from types import SimpleNamespace

import numpy as np
import pytest

from gradcheck import NothingToCheck, Problem, assert_gradients, check, check_gradients
from gradcheck.bounds import Bounds, read_bounds

INF = np.inf
SLIGHTLY_WRONG = 1.01


class Watched:
    """A separable loss and its gradient, that raise and take note where called outside a box."""

    def __init__(self, value, slope, low, high):
        self.value, self.slope, self.low, self.high = value, slope, low, high
        self.calls = 0
        self.outside = []

    def _look(self, x):
        self.calls += 1
        real = np.real(x)
        if np.any(real < self.low) or np.any(real > self.high):
            self.outside.append(np.array(x))
            raise FloatingPointError("outside")

    def loss(self, x):
        self._look(x)
        return np.sum(self.value(x))

    def gradient(self, x):
        self._look(x)
        return self.slope(x)

    def wrong(self, x):
        return SLIGHTLY_WRONG * self.gradient(x)


# Values and slopes by hand.
FUNCTIONS = {
    "root": (lambda x: np.sqrt(x + 1e-3), lambda x: 0.5 / np.sqrt(x + 1e-3)),
    "entropy": (lambda x: x * np.log(x + 1e-6), lambda x: np.log(x + 1e-6) + x / (x + 1e-6)),
    "exp": (np.exp, np.exp),
    "parabola": (lambda x: (x - 3.0) ** 2, lambda x: 2.0 * (x - 3.0)),
}
POINTS = {
    "on the bound": np.zeros(5),
    "one entry": np.zeros(1),
    "some on it": np.array([0.0, 0.3, 0.0, 1.2, 2.0]),
    "a matrix": np.array([[0.0, 0.7], [1.0, 0.0]]),
}


@pytest.mark.parametrize("effort", ["auto", "quick"])
@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_right_gradient_passes_on_its_bounds(function, point, effort):
    watched = Watched(*function, 0.0, INF)
    report = check_gradients(watched.loss, watched.gradient, point, bounds=(0, None), effort=effort)
    assert report.verdict == "pass"
    assert report["x"].checked_count == (0 if effort == "quick" else point.size)
    assert watched.outside == []
    assert watched.calls == report.evaluations + report.gradient_calls


@pytest.mark.parametrize("effort", ["auto", "quick"])
@pytest.mark.parametrize("point", POINTS.values(), ids=POINTS)
@pytest.mark.parametrize("name", ["root", "exp", "parabola"])
def test_a_gradient_off_by_a_hundredth_fails_on_its_bounds(name, point, effort):
    watched = Watched(*FUNCTIONS[name], 0.0, INF)
    report = check_gradients(watched.loss, watched.wrong, point, bounds=(0, None), effort=effort)
    assert report.verdict == "fail"
    assert watched.outside == []


@pytest.mark.parametrize("seed", range(5))
def test_one_wrong_entry_on_its_bound_is_found(seed):
    watched = Watched(*FUNCTIONS["exp"], 0.0, INF)
    error = np.array([0.0, 0.0, 0.01, 0.0, 0.0])
    report = check_gradients(
        watched.loss,
        lambda x: watched.gradient(x) + error,
        POINTS["some on it"],
        bounds=(0, INF),
        seed=seed,
    )
    assert np.array_equal(report["x"].wrong, error > 0)
    assert watched.outside == []


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_a_box_as_wide_as_one_step_is_enough(function, right):
    point = np.array([0.5, 0.5 + 1e-4, 0.5 + 5e-5])
    watched = Watched(*function, 0.5, 0.5 + 1e-4)
    gradient = watched.gradient if right else watched.wrong
    report = check_gradients(watched.loss, gradient, point, bounds=(0.5, 0.5 + 1e-4))
    assert report.verdict == ("pass" if right else "fail")
    assert watched.outside == []


@pytest.mark.parametrize("function", ["root", "parabola", "exp"])
@pytest.mark.parametrize("distance", [1e-3, 1e-5, 1e-7, 1e-9])
def test_close_to_a_bound_nobody_is_accused_and_the_guilty_are(function, distance):
    point = np.array([1.0, 2.0, 3.0 - distance])
    watched = Watched(*FUNCTIONS[function], -INF, np.array([INF, 2.0 + distance, 3.0]))
    bounds = (None, [None, 2.0 + distance, 3.0])
    assert check_gradients(watched.loss, watched.gradient, point, bounds=bounds).ok
    assert check_gradients(watched.loss, watched.wrong, point, bounds=bounds).verdict == "fail"
    assert watched.outside == []


@pytest.mark.parametrize("power", [2, 3])
@pytest.mark.parametrize("effort", ["auto", "quick"])
def test_a_loss_that_is_flat_on_its_bound_passes_with_a_note(power, effort):
    watched = Watched(lambda x: x**power, lambda x: power * x ** (power - 1), 0.0, INF)
    options = {"bounds": (0, None), "effort": effort}
    report = check_gradients(watched.loss, watched.gradient, np.zeros(5), **options)
    assert report.ok
    assert [finding.code for finding in report.findings] == ["GC126", "GC124"]
    wrong = check_gradients(watched.loss, lambda x: x + 1e-6, np.zeros(5), **options)
    assert wrong.verdict == "fail"
    detached = check_gradients(np.sum, np.zeros_like, np.zeros(5), **options)
    assert detached.verdict == "fail"
    assert watched.outside == []


@pytest.mark.parametrize("effort", ["auto", "quick"])
def test_a_bend_far_shorter_than_the_entries_hides_no_wrong_gradient(effort):
    watched = Watched(*FUNCTIONS["entropy"], 0.0, INF)
    for point in POINTS.values():
        report = check_gradients(
            watched.loss, watched.wrong, point, bounds=(0, None), effort=effort
        )
        assert report.verdict != "pass"
    assert watched.outside == []


def test_opposite_bounds_are_left_together():
    """Entries on lower and on upper bounds: one direction leads inside from all of them."""
    point = np.array([0.0, 1.0, 0.0, 1.0])
    watched = Watched(*FUNCTIONS["exp"], 0.0, 1.0)
    for seed in range(10):
        report = check_gradients(
            watched.loss, watched.gradient, point, bounds=(0, 1), effort="quick", seed=seed
        )
        assert report.ok
    assert watched.outside == []


@pytest.mark.parametrize("options", [{"directions": "eigen"}, {"method": "complex"}])
@pytest.mark.parametrize("point", [[0.0, 1.0, 0.5], [1.0, 1.0, 1.0], [1.0, 1.0 - 1e-9, 1e-9]])
def test_other_methods_stay_inside_too(point, options):
    watched = Watched(lambda x: np.exp(x) * (x + 1.0), lambda x: np.exp(x) * (x + 2.0), 0.0, 1.0)
    point = np.array(point)
    assert check_gradients(
        watched.loss, watched.gradient, point, bounds=(0, 1), effort="quick", **options
    ).ok
    wrong = check_gradients(watched.loss, watched.wrong, point, bounds=(0, 1), **options)
    assert wrong.verdict == "fail"
    assert watched.outside == []


def test_eigenvectors_are_found_on_a_bound():
    watched = Watched(lambda x: (x - 3.0) ** 2, lambda x: 2.0 * (x - 3.0), 0.0, INF)
    report = check_gradients(
        watched.loss, watched.gradient, np.zeros(4), bounds=(0, None), directions="eigen"
    )
    assert len(report["x"].probes) > 2
    assert watched.outside == []


def test_a_float32_parameter_may_lie_on_a_bound_that_float32_rounds():
    point = np.full(3, 0.1, np.float32)  # above 0.1 in float64
    watched = Watched(np.exp, np.exp, -INF, np.float32(0.1))
    assert check_gradients(watched.loss, watched.gradient, point, bounds=(None, 0.1)).ok
    assert watched.outside == []


def test_an_in_place_problem_stays_inside():
    array = np.array([0.0, 2.0])
    watched = Watched(*FUNCTIONS["exp"], 0.0, 2.0)
    problem = Problem(
        lambda: watched.loss(array),
        lambda: {"w": watched.gradient(array)},
        {"w": array},
        in_place=True,
    )
    assert check(problem, bounds=(0, 2)).ok
    assert watched.outside == []
    assert np.array_equal(array, [0.0, 2.0])


def test_a_stale_gradient_is_found_on_a_bound():
    """Preflight moves the other way where its usual way leads outside."""
    kept = {}

    def loss(x):
        assert np.all(x <= 1.0)
        kept["x"] = x.copy()
        return np.sum(x**3)

    report = check_gradients(loss, lambda x: 3.0 * kept["x"] ** 2, np.ones(3), bounds=(None, 1))
    assert [finding.code for finding in report.findings] == ["GC112"]


def test_a_loss_that_changes_its_parameters_nearby_is_found_on_a_bound():
    def loss(x):
        if np.any(x != 1.0):
            x[...] = 1.0
        return np.sum(x)

    report = check_gradients(loss, np.ones_like, np.ones(3), bounds=(0, 1))
    assert [finding.code for finding in report.findings] == ["GC110"]


def test_entries_that_cannot_move_are_left_out_and_named():
    point = np.array([1.0, 2.0, 3.0])
    report = check_gradients(
        lambda x: np.sum(x**3),
        lambda x: np.array([3.0, -5.0, 27.0]),  # wrong where it does not matter
        point,
        bounds=([0, 2, 0], [9, 2, 9]),
    )
    part = report["x"]
    assert (part.verdict, part.checked_count, part.wrong_count) == ("pass", 2, 0)
    assert part.wrong.shape == (3,)
    assert report.notes == ("not checked, as bounds fix them: 1 of 3 entries of x",)


def test_a_wrong_entry_beside_a_fixed_one_is_found():
    def gradient(x):
        return np.array([3.1, 12.0, 27.0])

    bounds = ([0, 2, 0], [9, 2, 9])
    point = np.array([1.0, 2.0, 3.0])
    report = check_gradients(lambda x: np.sum(x**3), gradient, point, bounds=bounds)
    assert report["x"].wrong.tolist() == [True, False, False]


@pytest.mark.parametrize(
    "options", [{}, {"effort": "quick"}, {"directions": "eigen"}, {"method": "complex"}]
)
def test_a_fixed_entry_never_moves(options):
    seen = set()

    def loss(x):
        seen.add(x[1])
        return np.sum(x**3)

    bounds = ([0, 2, 0], [9, 2, 9])
    point = np.array([1.0, 2.0, 3.0])
    assert check_gradients(loss, lambda x: 3 * x**2, point, bounds=bounds, **options).ok
    assert seen == {2.0}


def test_a_parameter_that_cannot_move_is_left_out_and_named():
    parameters = {"a": np.ones(2), "b": np.ones(3)}
    report = check_gradients(
        lambda p: np.sum(p["a"] ** 3 * p["b"][:2]),
        lambda p: {"a": 3 * p["a"] ** 2 * p["b"][:2], "b": np.zeros(3)},
        parameters,
        bounds=({"b": 1.0}, {"b": 1.0}),
    )
    assert report.ok
    assert [part.name for part in report.parameters] == ["a"]
    assert report.notes == ("not checked, as bounds fix them: b",)


def test_nothing_to_check_where_nothing_can_move():
    with pytest.raises(NothingToCheck, match="bounds must leave room to move, got none for x"):
        check_gradients(np.sum, np.ones_like, np.ones(2), bounds=(1, 1))


def test_without_effect_nothing_changes():
    def run(**options):
        report = check_gradients(
            lambda x: np.sum(np.exp(x)), np.exp, np.array([0.0, 1.0, -1.0]), **options
        )
        return report.parameters, report.evaluations, report.gradient_calls, report.notes

    assert run() == run(bounds=(None, INF)) == run(bounds=(-INF, [INF, None, INF]))


def test_bounds_far_away_change_nothing():
    def run(**options):
        report = check_gradients(lambda x: np.sum(np.exp(x)), np.exp, np.ones(3), **options)
        return report.parameters, report.evaluations

    assert run() == run(bounds=(-1e3, 1e3))


def test_bounds_are_named_in_the_settings_and_reach_assertions():
    watched = Watched(*FUNCTIONS["root"], 0.0, INF)
    assert_gradients(watched.loss, watched.gradient, np.zeros(2), bounds=(0, None))
    report = check_gradients(watched.loss, watched.gradient, np.zeros(2), bounds=(0, None))
    assert report.settings["bounds"] == "tuple"
    assert watched.outside == []


def reading(bounds, parameters, complex_names=()):
    arrays = {name: np.asarray(leaf) for name, leaf in parameters.items()}
    return read_bounds(bounds, list(arrays), arrays, complex_names)


@pytest.mark.parametrize(
    ("bounds", "low", "high"),
    [
        ((0, None), [0, 0, 0], [INF, INF, INF]),
        ((None, 9), [-INF, -INF, -INF], [9, 9, 9]),
        (([0, None, -1], 9), [0, -INF, -1], [9, 9, 9]),
        (([0, 0, 0], [9, 8, 7]), [0, 0, 0], [9, 8, 7]),
        (np.array([[0, 0, 0], [9, 8, 7]]), [0, 0, 0], [9, 8, 7]),
        ([(0, 9), (None, 8), (1, INF)], [0, -INF, 1], [9, 8, INF]),
        (np.array([[0, 9], [0, 8], [1, 7]]), [0, 0, 1], [9, 8, 7]),
        (SimpleNamespace(lb=0.0, ub=np.array([9, 8, 7])), [0, 0, 0], [9, 8, 7]),
        (SimpleNamespace(lb=-INF, ub=9), [-INF, -INF, -INF], [9, 9, 9]),
        (({"x": 0}, {}), [0, 0, 0], [INF, INF, INF]),
    ],
)
def test_bounds_of_an_array_are_read_in_every_form(bounds, low, high):
    found = reading(bounds, {"x": [1.0, 2.0, 3.0]})
    assert np.array_equal(found.lower["x"], low)
    assert np.array_equal(found.upper["x"], high)


@pytest.mark.parametrize(
    ("lower", "low"),
    [
        (0, {"enc.W": [[0, 0], [0, 0]], "enc.b": [0, 0], "k": 0}),
        ({"k": 0}, {"k": 0}),
        ({"enc": 0}, {"enc.W": [[0, 0], [0, 0]], "enc.b": [0, 0]}),
        ({"enc": {"W": [0, -1]}}, {"enc.W": [[0, -1], [0, -1]]}),
        ({"enc.W": [0, None], "k": None}, {"enc.W": [[0, -INF], [0, -INF]]}),
        ({"enc": {"W": np.zeros((2, 2)), "b": [0, 1]}, "k": -2.5},
         {"enc.W": [[0, 0], [0, 0]], "enc.b": [0, 1], "k": -2.5}),
    ],
)  # fmt: skip
def test_bounds_of_containers_are_read_by_place_and_by_name(lower, low):
    parameters = {"enc.W": np.ones((2, 2)), "enc.b": np.ones(2), "k": 1.0}
    found = reading((lower, None), parameters)
    assert found.lower.keys() == low.keys()
    for name, values in low.items():
        assert np.array_equal(found.lower[name], values)
        assert np.all(np.isposinf(found.upper[name]))


def test_a_list_of_parameters_has_a_list_of_bounds():
    found = reading(([0, None], [None, [5, 6]]), {"0": np.ones(3), "1": np.ones(2)})
    assert np.array_equal(found.lower["0"], np.zeros(3))
    assert np.array_equal(found.upper["1"], [5, 6])


def test_pairs_of_a_matrix_are_in_the_order_of_its_entries():
    found = reading([(0, 9), (1, 9), (2, 9), (3, 9)], {"x": np.full((2, 2), 5.0)})
    assert np.array_equal(found.lower["x"], [[0, 1], [2, 3]])


def test_two_items_are_lower_and_upper_also_where_there_are_two_entries():
    found = reading([(0, 1), (5, 6)], {"x": np.array([2.0, 3.0])})
    assert np.array_equal(found.lower["x"], [0, 1])
    assert np.array_equal(found.upper["x"], [5, 6])
    with pytest.raises(ValueError, match=r"two items are \(lower, upper\), not a pair per entry"):
        reading([(0, 1), (0, 1)], {"x": np.array([0.5, 0.5])})


@pytest.mark.parametrize(
    ("bounds", "error", "message"),
    [
        (3.0, TypeError, r"bounds must be \(lower, upper\) or have lb and ub, got float 3.0"),
        ({"x": (0, 1)}, TypeError, "bounds must be .* got dict"),
        ("ab", TypeError, "bounds must be .* got str 'ab'"),
        ((0, 1, 2), ValueError, "bounds must be two items"),
        ([(0, 1), (0, 1), (0,)], ValueError, "bounds must be two items"),
        (([0, 0], None), ValueError, r"lower bounds of 'x' must be of its shape \(3,\), got .*2,"),
        ((None, np.nan), ValueError, "upper bounds of 'x' must be numbers, got nan"),
        (("low", 1), TypeError, "lower bounds of 'x' must be numbers, got str 'low'"),
        (([[0], [1, 2]], 1), TypeError, "lower bounds of 'x' must be numbers, got list"),
        ((True, 9), TypeError, "lower bounds of 'x' must be numbers, got bool True"),
        (([0, 5, 0], 4), ValueError, r"must not be above the upper ones, got 5.0 and 4.0 at \[1\]"),
        (({"y": 0}, None), ValueError, "bounds name an unknown parameter 'y'"),
        ((0, 2), ValueError, r"'x' must lie within its bounds 0.0 and 2.0, got 3.0 at \[2\]"),
        ((1.5, None), ValueError, r"'x' must lie within its bounds 1.5 and inf, got 1.0 at \[0\]"),
        ((INF, None), ValueError, "must lie within its bounds inf and inf"),
    ],
)
def test_bad_bounds_are_refused_with_what_is_wrong(bounds, error, message):
    with pytest.raises(error, match=message):
        check_gradients(np.sum, np.ones_like, np.array([1.0, 2.0, 3.0]), bounds=bounds)


def test_a_misspelt_name_is_told_which_was_meant():
    with pytest.raises(ValueError, match="unknown parameter 'weigth'; did you mean 'weight'"):
        reading(({"weigth": 0}, None), {"weight": np.ones(2), "b": np.ones(2)})


def test_an_array_for_several_parameters_is_refused():
    with pytest.raises(ValueError, match="bounds must be nested like the parameters, got float64"):
        reading((np.zeros(4), None), {"weight": np.ones(2), "b": np.ones(2)})


def test_complex_parameters_have_no_bounds():
    parameters = {"z": np.ones(2, complex), "r": np.ones(2)}

    def loss(p):
        return float(np.sum(np.abs(p["z"]) ** 2) + np.sum(p["r"] ** 3))

    def gradient(p):
        return {"z": 2 * p["z"], "r": 3 * p["r"] ** 2}

    with pytest.raises(ValueError, match="bounds must not be given for 'z', whose numbers are com"):
        check_gradients(loss, gradient, parameters, bounds=(0, None))
    assert check_gradients(loss, gradient, parameters, bounds=({"r": 1.0}, None)).ok


def box(low, high):
    return Bounds({"x": np.array(low)}, {"x": np.array(high)})


@pytest.mark.parametrize(
    ("origin", "moved", "expected"),
    [
        (0.0, 0.1, 0.1),  # inside already
        (1.0, 1.25, 0.75),  # the other way
        (0.1, -0.2, 0.4),
        (0.25, 5.0, 0.625),  # half the way to the further bound
        (0.75, 5.0, 0.375),
    ],
)
def test_a_move_that_leads_outside_goes_elsewhere(origin, moved, expected):
    bounds = box([0.0], [1.0])
    found = bounds.turned_back({"x": np.array([origin])}, {"x": np.array([moved])})
    assert found["x"] == pytest.approx([expected])


def test_directions_turn_only_where_they_have_to():
    bounds = box([0.0, 0.0, 0.0, -INF], [1.0, 1.0, 1.0, 1.0])
    origin = np.array([0.0, 0.0, 0.5, 1.0])
    direction = np.array([-1.0, 1.0, -1.0, 0.5])
    found = bounds.inward("x", origin, direction, reach=0.1)
    assert np.array_equal(found, [1.0, 1.0, -1.0, -0.5])
    assert bounds.inward("y", origin, direction, reach=0.1) is direction
