"""What a monitor takes: nested parameters, objects with their own arrays, and what is wrong."""

from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import pytest

from gradcheck import DescentMonitor

CURVATURES = np.array([1.0, 3.0, 10.0])
START = np.array([1.0, -2.0, 0.5])


def loss(x):
    return 0.5 * float(np.sum(CURVATURES * x**2))


def gradient(x):
    return CURVATURES * x


def descend(loss, gradient, start, rate, steps=5):
    monitor, x = DescentMonitor(), start
    for _ in range(steps):
        slope = gradient(x)
        monitor(loss, x, slope)
        x = x - rate * slope
    monitor.end(x)
    return monitor


def words(monitor):
    return {step.progress for step in monitor.steps}


@dataclass
class Weights:
    matrix: np.ndarray
    bias: list
    layers: int = 1


def test_any_nesting_is_taken_and_left_untouched():
    weights = Weights(np.ones((2, 2)), [np.zeros(2), np.float64(0.5)])
    slope = Weights(np.full((2, 2), 2.0), [np.full(2, 0.0), np.float64(3.0)])

    def nested(p):
        return float(np.sum(p.matrix**2) + np.sum(p.bias[0] ** 2) + 3 * p.bias[1] ** 2)

    kept, monitor = deepcopy((weights, slope)), DescentMonitor()
    monitor(nested, weights, slope)
    moved = Weights(0.9 * weights.matrix, [np.zeros(2), np.float64(0.4)])
    monitor(nested, moved, slope)
    for given, copy in zip((weights, slope), kept, strict=True):
        np.testing.assert_array_equal(given.matrix, copy.matrix)
        np.testing.assert_array_equal(given.bias[0], copy.bias[0])
        assert given.bias[1] == copy.bias[1]
    assert monitor.verdict == "pass"


class Machine:
    """An object that holds its own array."""

    def __init__(self):
        self.w = np.array(START)

    def loss(self):
        return loss(self.w)

    def write(self, step):
        self.w += step

    def replace(self, step):
        self.w = self.w + step


@pytest.mark.parametrize("update", [Machine.write, Machine.replace])
def test_an_object_with_its_own_arrays_is_judged_in_place_and_put_back_bit_by_bit(update):
    machine, alone = Machine(), Machine()
    monitor = DescentMonitor(in_place=True)
    for _ in range(5):
        slope = gradient(machine.w)
        monitor(machine.loss, {"w": machine.w}, {"w": slope})
        update(machine, -0.05 * slope)
        update(alone, -0.05 * gradient(alone.w))
        assert np.array_equal(machine.w, alone.w)
    monitor.end({"w": machine.w})
    assert np.array_equal(machine.w, alone.w)
    assert [step.verdict for step in monitor.steps] == ["pass"] * 5


def test_live_arrays_are_put_back_when_a_call_is_interrupted():
    machine, monitor, calls = Machine(), DescentMonitor(in_place=True), []

    def interrupted():
        calls.append(1)
        if len(calls) > 10:
            raise KeyboardInterrupt
        return machine.loss()

    monitor(interrupted, {"w": machine.w}, {"w": gradient(machine.w)})
    machine.write(-0.1 * machine.w)
    now = machine.w.copy()
    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        monitor.end()
    np.testing.assert_array_equal(machine.w, now)


def test_arrays_that_the_loss_does_not_read_accuse_nobody():
    machine, monitor = Machine(), DescentMonitor(in_place=True)
    for _ in range(3):
        slope = gradient(machine.w)
        monitor(machine.loss, {"w": machine.w.copy()}, {"w": slope})
        machine.write(-0.05 * slope)
    assert words(monitor) == {"not comparable"}
    assert all("hand over the arrays that it reads" in step.reason for step in monitor.steps)
    assert monitor.verdict == "inconclusive"


@pytest.mark.parametrize("update", [Machine.write, Machine.replace])
def test_a_loss_that_reads_live_arrays_instead_of_its_argument_is_told_of_in_place(update):
    machine, monitor = Machine(), DescentMonitor()
    for _ in range(3):
        slope = gradient(machine.w)
        monitor(lambda w: machine.loss(), machine.w, slope)
        update(machine, -0.05 * slope)
    monitor.end(machine.w)
    assert words(monitor) == {"not comparable"}
    assert all("use DescentMonitor(in_place=True)" in step.reason for step in monitor.steps)


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (np.ones(2), "x: gradient of shape (2,), parameter of shape (3,)"),
        (np.array([1.0, np.nan, np.inf]), "x: 2 of 3 entries of the gradient not finite"),
        ({"w": np.ones(3)}, "x must be an array of real numbers"),
    ],
)
def test_a_gradient_that_cannot_be_compared_fails_with_the_reason(bad, told):
    monitor = DescentMonitor()
    monitor(loss, START, bad)
    monitor.end(0.9 * START)
    (step,) = monitor.steps
    assert (step.verdict, step.progress) == ("fail", "wrong gradient")
    assert told in step.reason


def test_a_loss_that_changes_its_parameters_fails():
    def shrinking(x):
        x *= 0.5
        return loss(x)

    start, monitor = START.copy(), DescentMonitor()
    monitor(shrinking, start, gradient(start))
    monitor.end(0.9 * start)
    np.testing.assert_array_equal(start, START)
    assert (monitor.steps[0].verdict, monitor.steps[0].reason) == ("fail", "the loss changes x")


def test_a_training_that_blows_up_is_recorded_not_raised():
    with np.errstate(all="ignore"):
        monitor = descend(loss, gradient, START, 0.9, steps=500)
    assert words(monitor) == {"overshoots", "not finite"}
    assert monitor.report.is_diverging
    assert monitor.verdict == "inconclusive"
    reasons = " ".join(step.reason for step in monitor.steps)
    assert "the loss is inf before it" in reasons
    assert "before it, parameter 'x' must be finite, got" in reasons


def test_a_step_out_of_the_domain_is_not_finite_and_the_gradient_is_still_judged():
    def barrier(x):
        if np.any(x <= 0):
            raise ValueError("outside")
        return float(np.sum(x - np.log(x)))

    monitor = DescentMonitor()
    monitor(barrier, np.array([0.1, 2.0]), np.array([1 - 10.0, 0.5]))
    monitor.end(np.array([-0.1, 2.0]))
    (step,) = monitor.steps
    assert (step.verdict, step.progress) == ("pass", "not finite")


def test_where_nothing_moves_nothing_is_judged():
    monitor = descend(loss, gradient, START, 0.0)
    assert words(monitor) == {"no step"}
    assert {step.reason for step in monitor.steps} == {"no parameter moved"}
    assert monitor.verdict == "inconclusive"


def test_before_any_step_the_verdict_is_inconclusive():
    monitor = DescentMonitor()
    monitor.end()
    assert (monitor.steps, monitor.verdict, monitor.evaluations) == ((), "inconclusive", 0)
    with pytest.raises(TypeError, match=r"use report\.verdict"):
        bool(monitor.report)


def test_what_the_loss_raises_at_the_parameters_propagates():
    def raising(x):
        raise ZeroDivisionError("my own")

    with pytest.raises(ZeroDivisionError, match="my own"):
        DescentMonitor()(raising, START, START)


@pytest.mark.parametrize("every", [0, -1, 1.5, True, "2"])
def test_every_must_be_a_whole_number(every):
    with pytest.raises(ValueError, match=rf"every must be a whole number from 1 on, got {every!r}"):
        DescentMonitor(every=every)


def test_arguments_that_cannot_be_used_are_told():
    monitor = DescentMonitor()
    with pytest.raises(TypeError, match="gradient must be arrays nested like the parameters"):
        monitor(loss, START, gradient)
    integers = r"array of floats, got only integers .* in x; convert with \.astype\(float\)"
    with pytest.raises(ValueError, match=integers):
        monitor(loss, np.array([1, 2]), START)
    with pytest.raises(ValueError, match="array of floats, got only empty ones"):
        monitor(loss, np.zeros(0), np.zeros(0))
    with pytest.raises(ValueError, match="array of floats, got nothing"):
        monitor(loss, {}, {})
    with pytest.raises(ValueError, match="loss must be one real number, got float64 array"):
        monitor(lambda x: x, START, START)
    with pytest.raises(ValueError, match="args must be empty for an in-place problem"):
        DescentMonitor(in_place=True)(loss, START.copy(), START, (1,))
    with pytest.raises(TypeError, match="must be a writeable array"):
        DescentMonitor(in_place=True)(lambda: 0.0, {"w": 1.0}, {"w": 1.0})


def test_parameters_must_stay_the_same_from_call_to_call():
    monitor = DescentMonitor()
    monitor(loss, START, START)
    with pytest.raises(ValueError, match=r"'x' must keep its shape .* got \(2,\) after \(3,\)"):
        monitor(loss, START[:2], START[:2])
    monitor(lambda p: loss(p["a"]), {"a": START}, {"a": START})
    with pytest.raises(ValueError, match=r"must keep their names .* got b after a"):
        monitor(lambda p: loss(p["b"]), {"b": START}, {"b": START})


@pytest.mark.parametrize("turned", [np.array([1, 2]), None], ids=["integers", "None"])
def test_a_parameter_that_turns_into_no_floats_or_back_is_told(turned):
    def first(p):
        return loss(p["a"])

    floats, others = {"a": START, "b": np.ones(2)}, {"a": START, "b": turned}
    kind, monitor = np.asarray(turned).dtype, DescentMonitor()
    monitor(first, floats, floats)
    with pytest.raises(ValueError, match=rf"'b' must keep its type .* got {kind} after float64"):
        monitor(first, others, floats)
    monitor(first, others, {"a": START})
    with pytest.raises(ValueError, match=rf"'b' must keep its type .* got float64 after {kind}"):
        monitor(first, floats, floats)


def test_complex_parameters_are_judged_as_pairs_of_real_numbers():
    def quartic(z):
        return float(np.sum(np.abs(z - 1) ** 4))

    start = np.array([1 + 2j, 0.5 - 1j])
    right = descend(quartic, lambda z: 4 * np.abs(z - 1) ** 2 * (z - 1), start, 0.02)
    wrong = descend(quartic, lambda z: 4 * np.abs(z - 1) ** 2 * np.conj(z - 1), start, 0.02)
    assert (right.verdict, wrong.verdict) == ("pass", "fail")


@pytest.mark.parametrize("seed", range(5))
def test_nothing_raises_and_nobody_is_accused_whatever_the_units_of_entries_and_steps(seed):
    rng = np.random.default_rng(seed)
    functions = [
        (lambda x: np.sum(x**4), lambda x: 4 * x**3),
        (lambda x: np.sum(np.exp(x)), np.exp),
        (lambda x: np.sum(np.log(np.abs(x))), lambda x: 1 / x),
        (lambda x: np.sum(np.abs(x)), np.sign),
        (lambda x: -np.sum(np.cos(x)), np.sin),
        (np.sum, np.ones_like),
    ]
    for loss_of, gradient_of in functions:
        for _ in range(5):
            sizes = 10.0 ** rng.integers(-6, 7, 3)
            start, rate = rng.standard_normal(3) * sizes, 10.0 ** rng.integers(-6, 7)
            with np.errstate(all="ignore"):
                monitor = descend(loss_of, gradient_of, start, rate, steps=2)
            assert len(str(monitor)) > 0
            assert monitor.verdict != "fail", monitor.steps


@pytest.mark.parametrize("size", [1e-310, 1e-200, 1e-160, 1e160, 1e200, 1e300])
def test_steps_that_floats_can_hardly_hold_do_not_raise(size):
    for powers in (1, 2):
        with np.errstate(all="ignore"):
            start = np.array([size, 1.0])
            monitor = descend(lambda x, p=powers: np.sum(x**p), np.ones_like, start, size, steps=2)
        assert len(monitor.steps) == 2
        assert len(str(monitor)) > 0


@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_a_line_too_short_to_move_any_entry_passes_no_gradient(factor):
    # Neighbouring floats are 0.125 apart there: what the ladder divides the step into is nothing.
    start, monitor = np.array([8e14, -7e14, 3.0]), DescentMonitor()
    monitor(lambda x: -float(np.sum(np.cos(x))), start, factor * np.sin(start))
    monitor.end(start + np.array([-0.625, 0.25, 0.0]))
    assert monitor.verdict == "inconclusive"


def test_a_wrong_gradient_is_not_excused_where_the_step_is_nothing_at_the_parameters_before():
    monitor = DescentMonitor()
    for x, claimed in (
        (START * 1e20, 0 * START),
        (START, 2 * gradient(START)),
        (1.001 * START, START),
    ):
        monitor(loss, x, claimed)
    assert [step.verdict for step in monitor.steps] == ["fail", "fail"]
