from contextlib import suppress
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from gradcheck import Problem, check, check_gradients
from gradcheck.execution import Evaluator
from gradcheck.returned import LossNotScalar

# Adding h and subtracting it again does not give these back, and -0.0 is not 0.0.
AWKWARD = np.array([0.1, -0.0, 1e-300, -1e17, 1 / 3, 5e-324])


def square_sum(x):
    return float(np.sum(np.asarray(x, dtype=float) ** 2))


def bits(array):
    """Return all of an array that can differ, but for the padding of a long double."""
    return array.dtype, array.shape, array.tolist(), np.signbit(array).tolist()


def live(array, loss=None):
    """Return the evaluator of an in-place problem about `array`."""
    loss = loss or (lambda: square_sum(array))
    return Evaluator(Problem(loss, lambda: 2 * array, array, in_place=True))


def refuse():
    raise ArithmeticError("refused")


VIEWS = {
    "float64": AWKWARD.copy,
    "float32": lambda: AWKWARD.astype(np.float32),
    "longdouble": lambda: AWKWARD.astype(np.longdouble),
    "fortran": lambda: np.asfortranarray(AWKWARD.reshape(2, 3)),
    "transposed": lambda: AWKWARD.reshape(2, 3).T,
    "every other": lambda: np.repeat(AWKWARD, 2)[::2],
    "backwards": lambda: AWKWARD.copy()[::-1],
    "column": lambda: np.tile(AWKWARD, (3, 1))[:, 1:3],
    "0-d": lambda: np.array(0.1),
    "big-endian": lambda: AWKWARD.astype(">f8"),
}


@pytest.fixture(params=VIEWS.values(), ids=VIEWS.keys())
def array(request):
    return request.param()


def test_calls_are_counted():
    evaluator = Evaluator(Problem(square_sum, lambda x: 2 * x, AWKWARD))
    evaluator.loss()
    evaluator.loss_at({"x": AWKWARD + 1})
    evaluator.loss_at_entry("x", (0,), 2.0)
    evaluator.gradient()
    assert (evaluator.evaluations, evaluator.gradient_calls) == (3, 1)


@pytest.mark.parametrize("effort", ["quick", "auto", "exhaustive"])
def test_a_report_counts_every_call_of_the_users_code(effort):
    calls = {"loss": 0, "gradient": 0}

    def loss(p):
        calls["loss"] += 1
        return square_sum(p["W"]) + np.sum(np.sin(p["b"]))

    def gradient(p):
        calls["gradient"] += 1
        return {"W": 2 * p["W"], "b": 1.1 * np.cos(p["b"])}

    report = check_gradients(loss, gradient, {"W": np.ones((2, 3)), "b": np.ones(2)}, effort=effort)
    assert (report.evaluations, report.gradient_calls) == (calls["loss"], calls["gradient"])
    assert calls["gradient"] >= 2


def test_a_loss_that_comes_with_the_gradient_counts_as_an_evaluation():
    calls = []

    def both(x):
        calls.append(1)
        return square_sum(x), 2 * x

    report = check(Problem(None, both, np.ones(3)))
    assert report.evaluations + report.gradient_calls == len(calls)


def test_a_loss_that_raises_away_from_the_point_is_counted_too():
    evaluator = Evaluator(Problem(lambda x: refuse(), lambda x: x, AWKWARD))
    assert np.isnan(evaluator.loss_at({"x": AWKWARD + 1}))
    assert evaluator.evaluations == 1


@pytest.mark.parametrize("loss", [None, refuse], ids=["returns", "raises"])
def test_live_arrays_are_restored_bit_by_bit_after_every_evaluation(array, loss):
    before = bits(array)
    evaluator = live(array, loss)
    evaluator.loss_at({"x": array * 1.5 + 1})
    assert bits(array) == before
    for index in np.ndindex(array.shape):
        evaluator.loss_at_entry("x", index, array[index] + 1)
        assert bits(array) == before


def test_the_loss_sees_the_changed_values(array):
    evaluator = live(array)
    expected = np.array(array, dtype=float)
    index = tuple(0 for _ in array.shape)
    expected[index] = 3.0
    assert evaluator.loss_at_entry("x", index, 3.0) == square_sum(expected)
    assert evaluator.loss_at({"x": np.ones(array.shape)}) == array.size


def test_live_arrays_hold_their_bits_after_a_whole_check(array):
    before = bits(array)
    problem = Problem(
        lambda: square_sum(array), lambda: 2 * array.astype(float), array, in_place=True
    )
    assert check(problem).verdict in ("pass", "inconclusive")
    assert bits(array) == before


def test_memory_around_a_live_view_is_not_touched():
    whole = np.arange(12.0).reshape(3, 4) + 0.1
    before = whole.copy()
    view = whole[::2, 1:3]
    problem = Problem(lambda: square_sum(view), lambda: 2 * view, view, in_place=True)
    assert check(problem).ok
    assert np.array_equal(whole, before)


def test_two_live_views_of_one_array_are_checked_apart():
    whole = np.arange(1.0, 7.0).reshape(3, 2)
    parameters = {"left": whole[:, 0], "right": whole[:, 1]}
    problem = Problem(
        lambda: float(np.sum(whole[:, 0] ** 2 * whole[:, 1])),
        lambda: {"left": 2 * whole[:, 0] * whole[:, 1], "right": 2 * whole[:, 0] ** 2},
        parameters,
        in_place=True,
    )
    report = check(problem)
    assert (report["left"].verdict, report["right"].verdict) == ("pass", "fail")
    assert np.array_equal(whole, np.arange(1.0, 7.0).reshape(3, 2))


def stopping(array, error, at):
    """Return an in-place problem of which one call raises, and an iterator of how many came."""
    count = iter(range(1000))

    def called(result):
        if next(count) == at:
            raise error("by the user")
        return result

    loss, gradient = lambda: called(square_sum(array)), lambda: called(2 * array)
    return Problem(loss, gradient, array, in_place=True), count


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("timeout", [None, 60])
@pytest.mark.parametrize("at", [*range(20), 30, 50])
def test_live_arrays_are_restored_whenever_the_check_is_stopped(error, timeout, at):
    array = AWKWARD.copy()
    problem, count = stopping(array, error, at)
    with pytest.raises(error, match="by the user"):
        check(problem, timeout=timeout)
    assert bits(array) == bits(AWKWARD)
    assert next(count) == at + 1


@pytest.mark.parametrize("at", [*range(20), 30, 50])
def test_live_arrays_are_restored_whichever_call_raises(at):
    array = AWKWARD.copy()
    problem, _ = stopping(array, MemoryError, at)
    with suppress(MemoryError):  # away from the point it is no reason to stop
        check(problem)
    assert bits(array) == bits(AWKWARD)


def test_the_users_own_arrays_are_never_changed():
    given = {"W": AWKWARD.copy(), "b": [np.asfortranarray(np.ones((2, 3)))]}
    before = bits(given["W"]), bits(given["b"][0])

    def loss(p):
        value = square_sum(p["W"]) + square_sum(p["b"][0])
        p["W"] *= 2
        p["b"][0][...] = np.nan
        return value

    report = check_gradients(loss, lambda p: p, given)
    assert report.verdict == "fail"
    assert (bits(given["W"]), bits(given["b"][0])) == before


def test_what_the_user_does_to_the_containers_does_not_matter():
    def loss(p):
        return square_sum(p.pop("W")) + square_sum(p["b"].pop())

    def gradient(p):
        p["W"], p["b"][0] = 2 * p["W"], 2 * p["b"][0]
        return p

    given = {"W": np.ones(2), "b": [np.ones(3)]}
    assert check_gradients(loss, gradient, given).ok
    assert list(given) == ["W", "b"]
    assert len(given["b"]) == 1


def test_working_copies_keep_the_memory_order():
    seen = []

    def loss(p):
        seen.append((p["F"].flags.f_contiguous, p["C"].flags.c_contiguous))
        return square_sum(p["F"]) + square_sum(p["C"])

    parameters = {"F": np.asfortranarray(np.ones((2, 3))), "C": np.ones((2, 3))}
    assert check_gradients(loss, lambda p: {k: 2 * v for k, v in p.items()}, parameters).ok
    assert set(seen) == {(True, True)}


@pytest.mark.parametrize(
    ("leaf", "kind"),
    [
        (2.0, float),
        (np.float32(2.0), np.floating),
        (np.array(2.0), np.ndarray),
        (np.array([2.0]), np.ndarray),
    ],
)
def test_a_leaf_reaches_the_user_as_what_it_was(leaf, kind):
    seen = set()

    def loss(p):
        seen.add(type(p["x"]))
        return square_sum(p["x"])

    report = check_gradients(loss, lambda p: {"x": 2 * p["x"]}, {"x": leaf})
    assert report.ok
    assert report["x"].shape == np.shape(leaf)
    assert all(issubclass(each, kind) for each in seen)


def test_python_floats_are_moved_and_put_back():
    evaluator = Evaluator(Problem(lambda p: p["a"] + 10 * p["b"], {}, {"a": 1.0, "b": 2.0}))
    assert evaluator.loss_at_entry("a", (), 5.0) == 25.0
    assert evaluator.loss_at({"b": np.array(7.0)}) == 71.0
    assert evaluator.loss() == 21.0


@pytest.mark.parametrize("leaf", [3, True, np.arange(3), np.array([True, False]), np.uint8(7)])
def test_integers_and_booleans_are_handed_on_and_named(leaf):
    seen = []

    def loss(p):
        seen.append(p["steps"])
        return square_sum(p["W"])

    report = check_gradients(loss, lambda p: {"W": 2 * p["W"]}, {"W": np.ones(2), "steps": leaf})
    assert report.ok
    assert [part.name for part in report.parameters] == ["W"]
    assert report.notes == ("not checked, as only floats have a derivative: steps",)
    assert all(np.array_equal(each, leaf) for each in seen)


def test_a_gradient_may_hold_something_for_integer_leaves():
    parameters = {"W": np.ones(2), "steps": 3}
    gradient = {"W": 2 * np.ones(2), "steps": None}
    assert check_gradients(lambda p: square_sum(p["W"]), gradient, parameters).ok


def test_empty_arrays_are_named_in_a_note():
    parameters = {"W": np.ones(2), "b": np.zeros((0, 3))}
    report = check_gradients(
        lambda p: square_sum(p["W"]) + np.sum(p["b"]),
        lambda p: {"W": 2 * p["W"], "b": p["b"]},
        parameters,
    )
    assert report.ok
    assert report.notes == ("not checked, as they are empty: b",)


@pytest.mark.parametrize(
    ("leaf", "message"),
    [
        (np.array([1.0, 2.0], dtype=object), "'W' must be an array of floats, got object array of"),
        (np.ma.array([1.0, 2.0]), "'W' must not be a masked array"),
    ],
)
def test_a_parameter_that_cannot_be_moved_is_an_error(leaf, message):
    with pytest.raises(TypeError, match=message):
        check_gradients(lambda p: 0.0, lambda p: p, {"W": leaf})


def test_a_live_parameter_must_be_a_writeable_array():
    frozen = np.ones(2)
    frozen.flags.writeable = False
    for leaf, got in ((frozen, r"float64 array of shape \(2,\), read-only"), (1.0, "float 1.0")):
        with pytest.raises(TypeError, match=f"'W' of an in-place .* writeable array, got {got}"):
            check(Problem(lambda: 0.0, dict, {"W": leaf}, in_place=True))


def test_read_only_parameters_are_fine_where_copies_are_handed_out():
    frozen = np.broadcast_to(1.5, (2, 3))
    assert check_gradients(square_sum, lambda x: 2 * x, frozen).ok


@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_an_exception_of_the_user_propagates_with_a_note(what):
    functions = {"loss": square_sum, "gradient": lambda x: 2 * x} | {what: lambda x: refuse()}
    with pytest.raises(ArithmeticError, match="refused") as caught:
        check(Problem(**functions, parameters=np.ones(2), name="mine"))
    code = {"loss": "GC106 loss_raised", "gradient": "GC107 gradient_raised"}[what]
    note = f"{code}: the {what} of 'mine' raised at the given parameters"
    assert caught.value.__notes__ == [note]


@pytest.mark.parametrize(
    "value", [5, 5.0, np.float32(5), np.array(5.0), np.array([5.0]), np.array([[5]]), [5.0], True]
)
def test_one_real_number_is_a_loss_however_it_is_wrapped(value):
    loss = Evaluator(Problem(lambda x: value, {}, np.ones(2))).loss()
    assert type(loss) is float
    assert loss == float(np.asarray(value).ravel()[0])


@pytest.mark.parametrize(
    ("value", "got"),
    [
        (np.ones(3), r"float64 array of shape \(3,\)"),
        (np.ones(0), r"float64 array of shape \(0,\)"),
        (1 + 2j, r"complex \(1\+2j\)"),
        (None, "None"),
        ("5", "str '5'"),
        ((1.0, {}), "tuple"),
    ],
)
def test_anything_else_is_no_loss(value, got):
    with pytest.raises(LossNotScalar, match=f"loss must be one real number, got {got}"):
        Evaluator(Problem(lambda x: value, {}, np.ones(2))).loss()


def test_away_from_the_point_no_loss_is_nan():
    evaluator = Evaluator(Problem(lambda x: x, {}, np.ones(2)))
    assert np.isnan(evaluator.loss_at({"x": np.zeros(2)}))
    assert np.isnan(evaluator.loss_at_entry("x", (0,), 0.0))


def test_changed_parameters_are_named_and_restored():
    evaluator = Evaluator(Problem(lambda p: 0.0, {}, {"a": np.ones(2), "b": np.ones(1)}))
    assert evaluator.changed_parameters() == ()
    evaluator.working["a"][1] = 2.0
    assert evaluator.changed_parameters() == ("a",)
    evaluator.restore()
    assert evaluator.changed_parameters() == ()
    assert np.array_equal(evaluator.working["a"], np.ones(2))


def test_a_float32_loss_is_evaluated_in_float64_where_its_code_allows():
    seen = set()

    def loss(p):
        seen.add(p["W"].dtype)
        return np.sum(p["W"] * p["W"])

    evaluator = Evaluator(Problem(loss, {}, {"W": np.array([0.1], np.float32), "b": np.ones(1)}))
    assert evaluator.use_double_precision()
    assert seen == {np.dtype(np.float64)}
    # The float32 number that was given, squared in float64: nothing is rounded on the way.
    assert evaluator.loss() == float(np.float32(0.1)) ** 2


@pytest.mark.parametrize("outcome", [refuse, lambda: np.nan, lambda: None])
def test_a_loss_that_wants_float32_keeps_it(outcome):
    def loss(x):
        return np.sum(x) if x.dtype == np.float32 else outcome()

    evaluator = Evaluator(Problem(loss, {}, np.ones(3, np.float32)))
    assert not evaluator.use_double_precision()
    assert evaluator.working["x"].dtype == np.float32
    assert evaluator.loss() == 3.0


def test_float64_and_live_arrays_stay_as_they_are():
    assert not Evaluator(Problem(square_sum, {}, np.ones(2))).use_double_precision()
    array = np.ones(2, np.float32)
    assert not live(array).use_double_precision()
    assert array.dtype == np.float32


def test_a_dataclass_of_the_user_arrives_as_one_with_its_methods():
    @dataclass(frozen=True)
    class Line:
        slope: np.ndarray
        offset: float
        name: int = 3

        def at(self, x):
            return self.slope @ x + self.offset

    x = np.array([1.0, 2.0])
    report = check_gradients(
        lambda line: line.at(x) ** 2,
        lambda line: Line(2 * line.at(x) * x, 2 * line.at(x)),
        Line(np.array([0.5, -1.0]), 0.3),
    )
    assert report.ok
    assert [part.name for part in report.parameters] == ["slope", "offset"]


def test_a_live_network_object_is_checked_without_copying_it():
    net = SimpleNamespace(W=np.array([[1.0, 2.0], [3.0, 4.0]]))
    kept = net.W
    x = np.array([1.0, -1.0])
    problem = Problem(
        lambda: 0.5 * square_sum(net.W @ x),
        lambda: {"W": np.outer(net.W @ x, x)},
        {"W": net.W},
        in_place=True,
    )
    assert check(problem).ok
    assert net.W is kept
