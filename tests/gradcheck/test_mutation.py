"""GC110 and GC111: calls that change the parameters or the data they are given."""

import numpy as np
import pytest

from gradcheck import Problem, check, check_gradients
from gradcheck.diagnosis import codes

W = np.array([[1.0, -2.0], [3.0, 0.5]])
VISIBLE = 1e-3


def square_sum(x, *args):
    return float(np.sum(x**2))


def twice(x, *args):
    return 2 * x


def only_finding(report, code):
    (finding,) = report.findings
    assert (finding.code, finding.slug, finding.title) == (code.code, code.slug, code.title)
    assert finding.severity == "error"
    assert "copy" in finding.suggestion
    return finding


def is_away(x):
    return bool(np.max(np.abs(x - W)) > VISIBLE)


def guilty(function, what, spoil):
    """Return the pair of functions, one of which also calls `spoil`."""

    def spoiling(x, *args):
        result = function[what](x, *args)
        spoil(x, *args)
        return result

    return [spoiling if name == what else call for name, call in function.items()]


FUNCTIONS = {"loss": square_sum, "gradient": twice}


@pytest.mark.parametrize("what", FUNCTIONS)
@pytest.mark.parametrize("only_away", [False, True])
def test_changing_the_parameters_is_blamed_on_who_does_it(what, only_away):
    def spoil(x):
        if is_away(x) or not only_away:
            x[0, 0] += 1.0

    report = check_gradients(*guilty(FUNCTIONS, what, spoil), W.copy())
    finding = only_finding(report, codes.MUTATES_PARAMETERS)
    assert finding.evidence == f"the {what} changed x"
    assert finding.parameters == ("x",)
    assert report["x"].verdict == "fail"
    assert report["x"].reason == f"the {what} changes x"


@pytest.mark.parametrize("what", FUNCTIONS)
def test_live_parameters_changed_only_away_are_put_back(what):
    x = W.copy()

    def spoil(x):
        if is_away(x):
            x[1] = 0.0

    loss, gradient = guilty(FUNCTIONS, what, spoil)
    report = check(Problem(lambda: loss(x), lambda: gradient(x), x, in_place=True))
    assert only_finding(report, codes.MUTATES_PARAMETERS).evidence == f"the {what} changed x"
    assert np.array_equal(x, W)


@pytest.mark.parametrize("what", FUNCTIONS)
@pytest.mark.parametrize("only_away", [False, True])
def test_changing_the_data_is_blamed_on_who_does_it_and_where(what, only_away):
    args = ({"batches": [np.ones(2), (np.ones(3), np.arange(4))]}, np.ones(1))

    def spoil(x, data, other):
        if is_away(x) or not only_away:
            data["batches"][1][1][2] += 1

    report = check_gradients(*guilty(FUNCTIONS, what, spoil), W, args=args)
    finding = only_finding(report, codes.MUTATES_DATA)
    assert finding.evidence == f"the {what} changed args.0.batches.1.1"
    assert report["x"].verdict == "fail"
    assert report["x"].reason == "a call changes args"


def test_data_changed_while_the_loss_is_measured_is_noticed_too():
    data, count = np.ones(3), iter(range(10_000))

    def loss(x, data):
        if next(count) == 30:
            data[0] = 7.0
        return square_sum(x)

    report = check_gradients(loss, twice, W, args=(data,))
    assert next(count) > 31
    assert only_finding(report, codes.MUTATES_DATA).evidence == "the loss changed args.0"
    assert report["x"].verdict == "fail"


def test_writing_the_same_values_changes_nothing():
    data = np.array([[1.0, np.nan], [2.0, 3.0]])

    def loss(x, data):
        data *= 1.0
        x[...] = x.copy()
        return square_sum(x)

    report = check_gradients(loss, twice, W, args=(data,))
    assert (report.verdict, report.findings) == ("pass", ())


STRANGE = {
    "long double": np.arange(6).astype(np.longdouble)[::2] / 3,
    "complex long double": np.arange(6).astype(np.clongdouble)[::-2] / 3,
    "overflowing": np.array([np.finfo(np.longdouble).max, np.inf, np.nan], np.longdouble),
    "dates": np.array(["2024-01-01", "NaT"], dtype="datetime64[D]"),
    "records": np.array([(1, 2.0)], dtype=[("a", np.int8), ("b", np.float64)]),
    "text": np.array(["a", "bc"]),
    "objects": np.array([1, "a", None], dtype=object),
    "empty": np.zeros((0, 3)),
    "0-d": np.array(2.0),
    "strided": np.ones((4, 4))[::2, ::-1],
    "read-only": np.broadcast_to(1.0, (3, 3)),
}


@pytest.mark.parametrize("data", STRANGE.values(), ids=STRANGE.keys())
def test_data_of_any_kind_that_stays_the_same_is_not_accused(data):
    report = check_gradients(square_sum, twice, W, args=({1: data, "1": [data, "text", None]},))
    assert (report.verdict, report.findings) == ("pass", ())


@pytest.mark.parametrize("kind", ["long double", "dates", "records", "text", "0-d", "strided"])
def test_data_of_any_kind_that_changes_is_noticed(kind):
    data = STRANGE[kind].copy()

    def gradient(x, data):
        data[...] = np.zeros_like(data)
        return twice(x)

    report = check_gradients(square_sum, gradient, W, args=(data,))
    assert only_finding(report, codes.MUTATES_DATA).evidence == "the gradient changed args.0"


def test_a_long_double_that_changes_by_less_than_float64_can_tell_is_noticed():
    data = np.ones(2, np.longdouble)
    step = np.finfo(np.longdouble).eps
    if step == np.finfo(np.float64).eps:
        pytest.skip("long double is double here")

    def gradient(x, data):
        data += step
        return twice(x)

    report = check_gradients(square_sum, gradient, W, args=(data,))
    assert [finding.code for finding in report.findings] == ["GC111"]
