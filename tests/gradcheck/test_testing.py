import copy
import pickle

import numpy as np
import pytest

import mlp.faults
from gradcheck import (
    GradientInconclusive,
    GradientMismatch,
    GradientReport,
    assert_gradients,
    check,
)
from gradcheck.report import Finding, ParameterReport

START = np.array([1.0, -2.0, 3.0])
MOST_LINES = 12
FIRST = 30


def cubes(x):
    return float(np.sum(x**3))


def right(x):
    return 3 * x**2


def wrong(x):
    return 3 * x**2 + np.array([0.0, 0.0, 1.0])


def undefined(x):
    return float("nan")


def raised(*arguments, **options):
    with pytest.raises(GradientMismatch, match=r"\d of \d gradients? (wrong|undecided)") as caught:
        assert_gradients(*arguments, **options)
    return caught.value


def test_a_right_gradient_gives_its_report():
    report = assert_gradients(cubes, right, START)
    assert isinstance(report, GradientReport)
    assert report.ok


def test_a_wrong_gradient_raises_with_its_report():
    first = r"^x sparse_entry: 1 of 1 gradient wrong \(cubes\)"
    with pytest.raises(GradientMismatch, match=first) as caught:
        assert_gradients(cubes, wrong, START)
    assert type(caught.value) is GradientMismatch
    assert isinstance(caught.value, AssertionError)
    assert caught.value.report.verdict == "fail"
    assert caught.value.report["x"].wrong.tolist() == [False, False, True]


def test_an_undecided_gradient_raises_another_exception():
    with pytest.raises(
        GradientInconclusive, match=r"^not_finite: 1 of 1 gradient undecided"
    ) as caught:
        assert_gradients(undefined, right, START)
    assert isinstance(caught.value, GradientMismatch)
    assert caught.value.report.verdict == "inconclusive"


def test_what_is_undecided_can_be_let_through():
    report = assert_gradients(undefined, right, START, allow_inconclusive=True)
    assert report.verdict == "inconclusive"


def test_a_wrong_gradient_is_never_let_through():
    with pytest.raises(GradientMismatch, match="wrong") as caught:
        assert_gradients(cubes, wrong, START, allow_inconclusive=True)
    assert caught.value.report.verdict == "fail"


def test_a_failure_beside_a_doubt_is_a_mismatch():
    generator = np.random.default_rng(0)

    def gradient(p):
        return {"a": wrong(p["a"]), "b": 2 * p["b"] + 1e-3 * generator.standard_normal(2)}

    error = raised(
        lambda p: cubes(p["a"]) + np.sum(p["b"] ** 2), gradient, {"a": START, "b": np.ones(2)}
    )
    assert {part.verdict for part in error.report.parameters} == {"fail", "inconclusive"}
    assert type(error) is GradientMismatch


@pytest.mark.parametrize("loss", [cubes, undefined])
@pytest.mark.parametrize(
    "twin", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy]
)
def test_the_exceptions_can_be_pickled(loss, twin):
    error = raised(loss, wrong, START)
    other = twin(error)
    assert type(other) is type(error)
    assert str(other) == str(error)
    assert other.report == error.report


def test_options_reach_the_check():
    report = assert_gradients(
        lambda p, power: np.sum(p["W1"] ** power) + np.sum(p["W2"]),
        lambda p, power: {"W1": power * p["W1"] ** (power - 1), "W2": 7 * p["W2"]},
        {"W1": START, "W2": START},
        args=(3,),
        name="mine",
        sizes={"batch": 3},
        layers={"hidden": ["W1"]},
        seed=5,
        effort="quick",
        exclude="W2",
        required_resolution=1e-3,
    )
    assert (report.name, report.seed, report["W1"].layer) == ("mine", 5, "hidden")
    assert [part.name for part in report.parameters] == ["W1"]
    assert report.settings["effort"] == "quick"
    assert report.settings["required_resolution"] == 1e-3
    assert report["W1"].checked_count == 0


def test_only_reaches_the_check():
    report = assert_gradients(
        lambda p: cubes(p["a"]) + cubes(p["b"]),
        lambda p: {"a": right(p["a"]), "b": wrong(p["b"])},
        {"a": START, "b": START},
        only=["a"],
    )
    assert [part.name for part in report.parameters] == ["a"]


def test_an_exception_of_the_loss_is_not_an_assertion():
    def loss(x):
        raise LookupError("no data")

    with pytest.raises(LookupError, match="no data"):
        assert_gradients(loss, right, START)


@pytest.mark.parametrize("fault", sorted(mlp.faults.FAULTS))
def test_the_message_of_a_fault_starts_with_a_culprit_and_is_short(fault):
    report = check(mlp.faults.FAULTS[fault]())
    message = str(GradientMismatch(report))
    failing = [part.name for part in report.parameters if part.verdict == "fail"]
    assert failing
    assert any(name in message[:FIRST] for name in failing)
    assert len(message.splitlines()) <= MOST_LINES
    assert f"seed {report.seed}" in message


@pytest.mark.parametrize(
    ("gradient", "cause"),
    [
        (lambda p: {k: v[:1] for k, v in p.items()}, "wrong_shape"),
        (lambda p: {k: v * np.nan for k, v in p.items()}, "not_finite"),
        (lambda p: list(p.values()), "wrong_structure"),
        (lambda p: {k: np.multiply(v, 2, out=v) for k, v in p.items()}, "mutates_parameters"),
    ],
)
@pytest.mark.parametrize("count", [1, 2, 9])
def test_a_cause_follows_its_culprit_in_the_first_characters(gradient, cause, count):
    parameters = {f"W{number}": START.copy() for number in range(count)}
    error = raised(lambda p: float(sum(np.sum(v**2) for v in p.values())), gradient, parameters)
    assert str(error)[:FIRST].startswith(f"W0 {cause}")
    assert len(str(error).splitlines()) <= MOST_LINES


def test_the_message_shows_both_values_and_the_entry():
    message = str(raised(cubes, wrong, START))
    (line,) = [line for line in message.splitlines() if "analytic" in line]
    assert "x[2]" in line
    assert "28.0000" in line
    assert "27.0000" in line


@pytest.mark.parametrize("broken", ["first\nsecond", "\x1b[31mred"])
def test_a_hostile_name_stays_on_its_line(broken):
    error = raised(
        lambda p: cubes(p[broken]), lambda p: {broken: wrong(p[broken])}, {broken: START}
    )
    assert "\x1b" not in str(error)
    assert len(str(error).splitlines()) == len(str(raised(cubes, wrong, START)).splitlines())


def test_a_report_built_elsewhere_can_be_raised():
    part = ParameterReport(
        "W", "W", (2,), "float64", "fail", "why", None, None, None, None, 0, 0, (), ()
    )
    finding = Finding("GC900", "unexplained", "title", "evidence", "suggestion", ("W",))
    report = GradientReport("net", (part,), (finding,), 1, 1, 0.0, 7, {})
    with pytest.raises(GradientMismatch, match=r"^W: 1 of 1 gradient wrong"):
        raise GradientMismatch(report)
