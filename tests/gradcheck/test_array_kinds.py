"""Arrays of every kind: layouts, byte orders, precisions, subclasses, read-only and empty ones."""

import numpy as np
import pytest

from gradcheck import GradientReport, Problem, check, check_gradients
from gradcheck.execution import Evaluator

pytestmark = pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")

VALUES = np.array([[0.3, -1.2, 0.7], [2.0, 0.25, -0.6]])
EXTENDED = np.finfo(np.longdouble).eps < np.finfo(np.float64).eps
needs_long_double = pytest.mark.skipif(not EXTENDED, reason="long double is double here")


class Tagged(np.ndarray):
    """An array that comes with a tag, and of which products are no arrays."""

    def __new__(cls, values, tag="metres"):
        made = np.asarray(values).view(cls)
        made.tag = tag
        return made

    def __array_finalize__(self, source):
        self.tag = getattr(source, "tag", None)

    def __mul__(self, other):
        raise TypeError("products of tagged arrays are forbidden")


def cubes(x):
    return float(np.sum(np.asarray(x, np.float64) ** 3))


def cubes_gradient(x):
    return 3 * np.asarray(x, np.float64) ** 2


def frozen(array):
    array.flags.writeable = False
    return array


KINDS = {
    "C": VALUES.copy,
    "fortran": lambda: np.asfortranarray(VALUES),
    "transposed": lambda: VALUES.copy().T,
    "every other": lambda: np.repeat(VALUES, 2, axis=1)[:, ::2],
    "backwards": lambda: VALUES.copy()[::-1, ::-1],
    "diagonal": lambda: np.lib.stride_tricks.as_strided(np.eye(3).ravel() + 0.5, (3,), (32,)),
    "0-d": lambda: np.array(0.7),
    "one": lambda: np.array([[0.7]]),
    "big-endian": lambda: VALUES.astype(">f8"),
    "big-endian float32": lambda: VALUES.astype(">f4"),
    "float32": lambda: VALUES.astype(np.float32),
    "float16": lambda: VALUES.astype(np.float16),
    "long double": lambda: VALUES.astype(np.longdouble),
    "subclass": lambda: Tagged(VALUES.copy()),
    "matrix": lambda: np.asmatrix(VALUES.copy()),
}


@pytest.fixture(params=KINDS.values(), ids=KINDS.keys())
def array(request):
    return request.param()


def state(array):
    plain = np.asarray(array)
    return plain.dtype.str, plain.shape, plain.tolist(), np.signbit(plain).tolist()


def test_a_right_gradient_of_any_kind_of_array_passes(array):
    before = state(array)
    report = check_gradients(cubes, cubes_gradient, array)
    assert report.verdict == "pass"
    assert (report["x"].shape, report["x"].dtype) == (array.shape, str(array.dtype))
    assert state(array) == before


def test_a_wrong_gradient_of_any_kind_of_array_fails(array):
    report = check_gradients(cubes, lambda x: 1.05 * cubes_gradient(x), array)
    assert report.verdict == "fail"


def test_live_arrays_of_any_kind_are_moved_and_restored(array):
    before = state(array)
    wrong = Problem(lambda: cubes(array), lambda: 1.2 * cubes_gradient(array), array, in_place=True)
    right = Problem(lambda: cubes(array), lambda: cubes_gradient(array), array, in_place=True)
    if array.dtype.itemsize > 2:
        assert check(wrong).verdict == "fail"
    # Steps of float16 are so long that less can be told.
    assert check(right).verdict in ("pass", "inconclusive" if array.dtype.itemsize < 8 else "pass")
    assert state(array) == before


def test_the_user_gets_an_array_of_the_same_kind(array):
    seen = []

    def loss(x):
        seen.append((type(x), x.dtype.str, x.shape, x.flags.writeable))
        return cubes(x)

    Evaluator(Problem(loss, array, array)).loss()
    assert seen == [(type(array), array.dtype.str, array.shape, True)]


def test_a_subclass_keeps_what_it_carries_when_moved_and_in_double_precision():
    seen = set()
    array = Tagged(VALUES.astype(np.float32), tag="seconds")

    def loss(x):
        seen.add((type(x), x.tag, x.dtype))
        return cubes(x)

    assert check_gradients(loss, cubes_gradient, array).ok
    assert {(Tagged, "seconds", np.dtype(t)) for t in (np.float32, np.float64)} == seen


def test_a_gradient_may_come_as_any_kind_of_array(array):
    plain = np.array(array, np.float64)

    def gradient(x):
        result = array.copy(order="K")
        np.asarray(result)[...] = 0.5
        return result

    report = check_gradients(lambda x: 0.5 * float(np.sum(x)), gradient, plain)
    assert report.verdict == ("pass" if array.dtype.itemsize > 2 else "inconclusive")
    noted = "GC103" in [finding.code for finding in report.findings]
    assert noted == (array.dtype.itemsize < 8)


def test_read_only_arrays_are_handed_out_as_copies_that_can_be_written():
    report = check_gradients(cubes, cubes_gradient, frozen(VALUES.copy()))
    assert report.verdict == "pass"

    def loss(x):
        x += 1.0
        return cubes(x - 1.0)

    report = check_gradients(loss, cubes_gradient, frozen(VALUES.copy()))
    assert [finding.slug for finding in report.findings] == ["mutates_parameters"]


def test_a_read_only_live_array_is_refused_by_name():
    net = {"W": VALUES.copy(), "b": frozen(np.ones(2))}
    with pytest.raises(
        TypeError, match=r"parameter 'b' of an in-place problem must be a writeable"
    ):
        check(Problem(lambda: 0.0, dict, net, in_place=True))


def test_a_gradient_that_is_read_only_is_fine():
    report = check_gradients(
        lambda x: float(np.sum(x)), lambda x: np.broadcast_to(1.0, (2, 3)), VALUES
    )
    assert report.verdict == "pass"


@pytest.mark.parametrize("in_place", [False, True])
def test_empty_arrays_are_handed_on_and_not_checked(in_place):
    net = {"W": VALUES.copy(), "none": np.zeros((0, 3)), "z": np.zeros(0, complex)}

    def loss(p=net):
        assert p["none"].shape == (0, 3)
        return cubes(p["W"]) + float(np.sum(p["none"]))

    def gradient(p=net):
        return {"W": cubes_gradient(p["W"]), "none": p["none"], "z": p["z"]}

    report = check(Problem(loss, gradient, net, in_place=in_place))
    assert [(part.name, part.verdict) for part in report.parameters] == [("W", "pass")]
    assert report.notes == ("not checked, as they are empty: none, z",)


@needs_long_double
def test_the_digits_of_a_long_double_loss_are_kept():
    tiny = np.longdouble(1) + np.finfo(np.longdouble).eps
    evaluator = Evaluator(Problem(lambda x: tiny, VALUES, VALUES))
    for value in (evaluator.loss(), evaluator.loss_at({}), evaluator.loss_at_entry("x", (0, 0), 1)):
        assert type(value) is np.longdouble
        assert value != 1


@needs_long_double
@pytest.mark.parametrize("wrap", [np.array, lambda v: np.array([[v]]), lambda v: [v]])
def test_a_long_double_is_one_however_it_is_wrapped(wrap):
    tiny = np.longdouble(1) + np.finfo(np.longdouble).eps
    value = Evaluator(Problem(lambda x: wrap(tiny), VALUES, VALUES)).loss()
    assert (type(value), value) == (np.longdouble, tiny)


@needs_long_double
def test_long_double_parameters_are_moved_by_less_than_float64_can_tell():
    x = np.ones(2, np.longdouble)
    evaluator = Evaluator(Problem(np.sum, x, x))
    step = np.finfo(np.longdouble).eps
    assert evaluator.loss_at({"x": x + step}) - evaluator.loss() == 2 * step
    assert evaluator.loss_at_entry("x", (0,), 1 + 2 * step) - evaluator.loss() == 2 * step


@pytest.mark.parametrize("value", [5, 5.0, True, np.float64(5), np.float32(5), np.float16(5)])
def test_any_other_loss_is_a_float(value):
    evaluator = Evaluator(Problem(lambda x: value, VALUES, VALUES))
    assert type(evaluator.loss()) is float


def test_a_long_double_loss_is_checked():
    x = VALUES.astype(np.longdouble)
    assert check_gradients(lambda x: np.sum(x**3), lambda x: 3 * x**2, x).verdict == "pass"
    assert check_gradients(lambda x: np.sum(x**3), lambda x: 3.001 * x**2, x).verdict == "fail"


def test_a_report_about_long_doubles_is_plain_data():
    x = VALUES.astype(np.longdouble)
    report = check_gradients(lambda x: np.sum(x**3), lambda x: 3 * x**2, x)
    assert GradientReport.from_json(report.to_json()) == report


def test_a_float16_at_the_end_of_its_range_is_moved_without_a_warning():
    x = np.array([65504.0, 1.0], np.float16)
    report = check_gradients(lambda x: float(np.sum(x, dtype=float)), np.ones_like, x)
    assert report.verdict != "fail"


def test_a_nan_of_a_long_double_loss_leaves_all_undecided():
    report = check_gradients(lambda x: np.longdouble("nan"), cubes_gradient, VALUES)
    assert report["x"].reason == "not compared: the loss is nan"
