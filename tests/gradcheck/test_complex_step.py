"""method="complex": exact where it may be used, refused with the reason where not, accusing nobody
on its word alone."""

import math
import time
from dataclasses import replace

import numpy as np
import pytest

from gradcheck import Problem, check, check_gradients
from gradcheck.complex_step import (
    Certificate,
    ComplexStepRefused,
    certify,
    is_complex_step,
    measure_entries_complex,
)
from gradcheck.directions import entry_scales, random_direction
from gradcheck.execution import Evaluator
from gradcheck.ladder import Conditions
from gradcheck.noise import measure_noise
from gradcheck.probes import Claim, measure_probe
from gradcheck.problem import as_problem
from gradcheck.returned import LossNotScalar
from gradcheck.verdict import outcome
from mlp import faults, problems

POINT = np.array([0.3, -1.2, 2.0])
EPS = float(np.finfo(np.float64).eps)
# The penalty of the others is an absolute value.
ANALYTIC = sorted(n for n, fault in faults.FAULTS.items() if fault.twin is not faults.correct_lasso)


def measuring(loss, analytic, point=POINT):
    """Return what the functions under test take: evaluator, conditions, claim."""
    evaluator = Evaluator(Problem(loss, point, point))
    noise = measure_noise(evaluator, [])
    scale = entry_scales(evaluator.original)["x"]
    nothing = np.zeros(point.shape)
    claim = Claim("x", np.asarray(analytic), scale, EPS, nothing, nothing, 1e-6)
    return evaluator, Conditions(noise.value, noise.deviation, 1.0), claim


def certified(evaluator, conditions, claim):
    directions = [random_direction(claim.scale, 0, "x", number) for number in range(2)]
    probes = [measure_probe(evaluator, conditions, claim, along) for along in directions]
    return certify(evaluator, conditions, claim, directions, probes)


def entries(evaluator, conditions, claim, certificate=None):
    certificate = certificate or certified(evaluator, conditions, claim)
    return measure_entries_complex(
        evaluator, conditions, claim, np.arange(claim.analytic.size), certificate
    )


def test_entries_of_an_analytic_loss_are_exact_within_the_bar():
    measured = entries(*measuring(lambda x: np.sum(np.sin(x)), np.cos(POINT)))
    for entry, true in zip(measured, np.cos(POINT), strict=True):
        assert entry.derivative.value == pytest.approx(true, rel=1e-15)
        assert outcome(entry.derivative) == "agrees"
    assert not measured.special


def test_a_wrong_entry_is_accused_with_the_value_of_the_complex_step():
    analytic = np.cos(POINT)
    analytic[1] *= 1 + 1e-6
    measured = entries(*measuring(lambda x: np.sum(np.sin(x)), analytic))
    assert [outcome(entry.derivative) for entry in measured] == ["agrees", "disagrees", "agrees"]
    assert not measured.special
    assert measured[1].derivative.value == pytest.approx(math.cos(-1.2), rel=1e-15)


def test_an_entry_is_not_accused_where_differences_say_that_the_gradient_is_right():
    # The certificate is of another loss: as if the directions had missed the entry's abs.
    right = np.array([2 * 0.3, -2.4 - 1e-3, 4.0])
    measured = entries(
        *measuring(lambda x: np.sum(x**2) + 1e-3 * np.abs(x[1]), right),
        Certificate((), 1e-12, 1e-12),
    )
    assert [outcome(entry.derivative) for entry in measured] == ["agrees"] * 3
    assert list(measured.special) == [1]
    assert not is_complex_step(measured[1].derivative)


def test_what_is_too_small_for_differences_and_certificate_is_not_accused():
    # Beside 1e6, differences see 1e-12 |x| as little as the complex step does.
    right = np.array([2 * 0.3, -2.4, 4.0])
    right[1] += 1e-8
    found = measuring(lambda x: 1e6 + np.sum(x**2), right)
    visible = entries(*found, Certificate((), 1e-12, 1e-12))
    hidden = entries(*found, Certificate((), 1e-6, 1e-6))
    assert outcome(visible[1].derivative) == "disagrees"
    assert outcome(hidden[1].derivative) == "agrees"
    assert not is_complex_step(hidden[1].derivative)


def weighted(kink):
    return lambda x: np.sum(x**3) + 1e-3 * kink(x)


NOT_ANALYTIC = {
    "abs": lambda x: np.sum(np.abs(x)),
    "conj": lambda x: np.sum(x * np.conj(x)),
    "real": lambda x: np.sum(x.real),
    "norm": np.linalg.norm,
    "angle": lambda x: np.sum(np.sqrt(x.real**2 + x**2)),
    "detached": lambda x: np.sum(np.where(x.real > 0, x.real, -x)),
}


@pytest.mark.parametrize("part", NOT_ANALYTIC)
def test_a_loss_that_is_not_analytic_is_refused_though_the_gradient_is_right(part):
    loss = weighted(NOT_ANALYTIC[part])
    given = measuring(loss, np.zeros(3))
    with pytest.raises(ComplexStepRefused, match=r"^method='complex'.*not analytic.*through x"):
        certified(*given)


def test_the_slope_of_abs_is_refused_whatever_the_gradient_says():
    def loss(x):
        return np.sum(x**2) + 0.01 * np.sum(np.abs(x))

    for gradient in (lambda x: 2 * x + 0.01 * np.sign(x), lambda x: 2 * x):
        with pytest.raises(ValueError, match="not analytic"):
            check_gradients(loss, gradient, POINT, method="complex")


def test_a_kink_at_the_parameters_is_refused():
    with pytest.raises(ComplexStepRefused, match="kink at these parameters, seen along x"):
        certified(*measuring(lambda x: np.sum(np.maximum(x, 0)), np.ones(2), np.zeros(2)))


def raising(x):
    if np.iscomplexobj(x):
        raise TypeError("only real numbers here")
    return np.sum(x**2)


def storing(x):
    stored = np.zeros(3)
    stored[:] = x**2
    return stored.sum() + 0j * x[0] if np.iscomplexobj(x) else stored.sum()


def infinite(x):
    return np.sum(x**2) + (complex(0, math.inf) if np.iscomplexobj(x) else 0.0)


@pytest.mark.parametrize(
    ("loss", "told"),
    [
        (raising, r"raised TypeError at complex parameters \(only real numbers here\)"),
        (lambda x: float(np.sum(x**2)), "drops the imaginary part"),
        (storing, "drops the imaginary part"),
        (lambda x: np.sum(x.real**2), "must be one complex number, got float64"),
        (lambda x: np.linalg.norm(x) ** 2, "must be one complex number, got float64"),
        (infinite, "not finite at complex values of x"),
    ],
)
def test_a_loss_that_takes_no_complex_numbers_is_refused_with_the_reason(loss, told):
    with pytest.raises(ValueError, match=f"^method='complex'.*{told}.*use method='auto'$"):
        check_gradients(loss, lambda x: 2 * x, POINT, method="complex")


def test_a_complex_parameter_is_refused():
    z = np.array([1.0 + 2.0j, -0.5j])
    with pytest.raises(ComplexStepRefused, match="parameter z is complex itself"):
        check_gradients(
            lambda p: np.sum(np.abs(p["z"]) ** 2),
            lambda p: {"z": 2 * p["z"]},
            {"z": z},
            method="complex",
        )


def test_a_loss_that_hangs_at_complex_parameters_is_stopped():
    def loss(x):
        if np.iscomplexobj(x):
            time.sleep(30)
        return np.sum(x**3)

    report = check_gradients(loss, lambda x: 3 * x**2, POINT, method="complex", timeout=0.3)
    assert (report.verdict, [f.code for f in report.findings]) == ("inconclusive", ["GC114"])


def test_an_in_place_problem_is_refused():
    live = POINT.copy()
    problem = Problem(lambda: np.sum(live**2), lambda: {"x": 2 * live}, {"x": live}, in_place=True)
    with pytest.raises(ComplexStepRefused, match="arrays of an in-place problem"):
        check(problem, method="complex")
    assert np.array_equal(live, POINT)


def test_the_evaluator_hands_out_complex_copies_of_all_parameters():
    seen = {}

    def loss(p):
        seen.update(p)
        return p["w"][0] ** 2 * p["s"] + p["n"]

    given = {"w": np.ones(2, dtype=np.float32), "s": 2.0, "n": 3}
    evaluator = Evaluator(Problem(loss, given, given))
    value = evaluator.complex_loss_at({"w": np.array([1 + 1e-20j, 0])})
    assert value == pytest.approx(5.0)
    assert value.imag == pytest.approx(4e-20)
    assert seen["w"].dtype == np.complex128
    assert isinstance(seen["s"], complex)
    assert seen["n"] == 3
    assert evaluator.evaluations == 1
    seen["w"][:] = 7  # a copy: what the loss does to it changes nothing
    assert evaluator.changed_parameters() == ()
    assert np.array_equal(given["w"], [1, 1])


def test_the_evaluator_takes_no_real_number_for_a_complex_loss():
    evaluator = Evaluator(Problem(lambda x: 1.0, POINT, POINT))
    with pytest.raises(LossNotScalar, match=r"one complex number, got float 1\.0"):
        evaluator.complex_loss_at({})


def test_value_and_gradient_in_one_function_is_taken_too():
    report = check_gradients(None, lambda x: (np.sum(x**3), 3 * x**2), POINT, method="complex")
    assert report.verdict == "pass"


CORRECT = [
    problems.reference,
    problems.relu,
    problems.leaky_relu,
    faults.correct,
    faults.correct_square,
]


@pytest.mark.parametrize("problem", CORRECT, ids=lambda factory: factory.__name__)
def test_correct_networks_pass_and_the_report_says_how(problem):
    for seed in range(2):
        # As a black box: layers have complex steps of their own.
        report = check(replace(as_problem(problem(seed)), network=None), method="complex")
        assert report.verdict == "pass"
        (note,) = (note for note in report.notes if note.startswith("method"))
        count = sum(part.size for part in report.parameters) + 2 * len(report.parameters)
        assert note.startswith(f"method complex: {count} slopes by the complex step; certified")
        assert f"along {2 * len(report.parameters)} directions, to" in note
        assert "differences, which contradict" not in note


@pytest.mark.parametrize(
    "name",
    [pytest.param(n, marks=[pytest.mark.slow] if i % 8 else []) for i, n in enumerate(ANALYTIC)],
)
def test_every_analytic_fault_of_the_gallery_is_placed_as_differences_place_it(name):
    expected = check(faults.FAULTS[name]())
    report = check(faults.FAULTS[name](), method="complex")
    assert report.verdict == "fail"
    for one, other in zip(report.parameters, expected.parameters, strict=True):
        assert (one.name, one.verdict) == (other.name, other.verdict)
        if other.wrong is not None:
            assert np.array_equal(one.wrong, other.wrong)


def test_a_saturated_network_is_seen_more_sharply_than_by_differences():
    def loss(x):
        return 1e6 + np.sum(1 / (1 + np.exp(-x)))

    def gradient(x):
        return np.exp(-x) / (1 + np.exp(-x)) ** 2

    point = np.array([12.0, -15.0, 18.0])
    sharp = check_gradients(loss, gradient, point, method="complex")
    blunt = check_gradients(loss, gradient, point)
    assert sharp["x"].worst.error_bar < 1e-2 * blunt["x"].worst.error_bar


def test_no_note_and_no_complex_number_without_the_option():
    def loss(x):
        assert not np.iscomplexobj(x)
        return np.sum(x**2)

    assert check_gradients(loss, lambda x: 2 * x, POINT).notes == ()
