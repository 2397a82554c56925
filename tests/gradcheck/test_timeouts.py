"""timeout= and GC114: a call that hangs ends the check, not the process."""

import contextvars
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

from gradcheck import GradientInconclusive, Problem, assert_gradients, check, check_gradients
from gradcheck.calling import Caller, TimedOut
from gradcheck.cli import exits
from gradcheck.execution import Evaluator

X = np.array([1.0, 2.0])
SOON = 0.1


@pytest.fixture
def hang():
    """Return a function that does not return before the test is over."""
    released = threading.Event()
    yield released.wait
    released.set()


def square_sum(x):
    return float(np.sum(x**2))


def twice(x):
    return 2 * x


def only_finding(report):
    (finding,) = report.findings
    assert (finding.code, finding.slug, finding.severity) == ("GC114", "timed_out", "error")
    assert "timeout=" in finding.suggestion
    return finding


def test_a_loss_that_hangs_at_the_point_leaves_all_undecided(hang):
    report = check_gradients(lambda x: hang() and 0.0, twice, X, timeout=SOON)
    finding = only_finding(report)
    assert finding.evidence == "the loss took longer than 0.1 seconds"
    assert finding.parameters == ("x",)
    assert report["x"].verdict == "inconclusive"
    assert report["x"].reason == "not compared: the loss took longer than 0.1 seconds"
    assert report["x"].findings == (finding,)
    assert exits.of_report(report, allow_inconclusive=True) == exits.COULD_NOT_RUN


def test_a_gradient_that_hangs_is_named(hang):
    report = check_gradients(square_sum, lambda x: hang() and x, X, timeout=SOON)
    assert only_finding(report).evidence == "the gradient took longer than 0.1 seconds"
    assert report["x"].verdict == "inconclusive"


def test_a_loss_that_hangs_only_elsewhere_is_no_domain_edge(hang):
    calls = []

    def loss(x):
        calls.append(x.copy())
        if not np.array_equal(x, X):
            hang()
        return square_sum(x)

    report = check_gradients(loss, twice, X, timeout=SOON)
    assert only_finding(report).evidence == "the loss took longer than 0.1 seconds"
    assert report["x"].verdict == "inconclusive"
    assert sum(not np.array_equal(x, X) for x in calls) == 1  # the check stops there


def test_a_loss_that_hangs_late_does_not_undo_what_preflight_found(hang):
    count = iter(range(1000))

    def loss(p):
        if next(count) == 20:
            hang()
        return square_sum(p["a"]) + square_sum(p["b"])

    def gradient(p):
        return {"a": 2 * p["a"], "b": p["b"][:1]}

    report = check_gradients(loss, gradient, {"a": X, "b": X}, timeout=SOON)
    assert {part.name: part.verdict for part in report.parameters} == {
        "a": "inconclusive",
        "b": "fail",
    }
    late = next(finding for finding in report.findings if finding.code == "GC114")
    assert late.parameters == ("a",)
    assert next(count) == 21


@pytest.mark.parametrize("hangs_at", range(0, 30, 3))
def test_live_arrays_are_restored_whenever_a_call_hangs(hang, hangs_at):
    W = np.array([0.1, -0.0, 1e-300])
    count = iter(range(1000))

    def loss():
        if next(count) == hangs_at:
            hang()
        return square_sum(W)

    report = check(Problem(loss, lambda: {"W": 2 * W}, {"W": W}, in_place=True), timeout=SOON)
    assert [finding.code for finding in report.findings if finding.severity == "error"] == ["GC114"]
    assert (W.tolist(), np.signbit(W).tolist()) == ([0.1, 0.0, 1e-300], [False, True, False])


def test_an_assertion_raises_inconclusive(hang):
    with pytest.raises(GradientInconclusive, match=r"x timed_out: 1 of 1 gradient undecided"):
        assert_gradients(lambda x: hang() and 0.0, twice, X, timeout=SOON)


def test_calls_in_time_change_nothing():
    slow = check_gradients(square_sum, twice, X, timeout=1e12)
    plain = check_gradients(square_sum, twice, X)
    assert slow.verdict == "pass"
    assert slow.evaluations == plain.evaluations
    assert slow["x"] == plain["x"]


def test_exceptions_of_the_users_code_come_through_with_its_frames():
    def refuse(x):
        raise LookupError("no data")

    with pytest.raises(LookupError, match="no data") as caught:
        check_gradients(refuse, twice, X, timeout=60)
    assert caught.traceback[-1].name == "refuse"
    assert caught.value.__notes__[0].startswith("GC106 loss_raised: the loss of 'refuse' raised")


def test_an_exit_or_interrupt_in_the_users_code_comes_through():
    def leave(x):
        raise SystemExit("enough")

    with pytest.raises(SystemExit, match="enough"):
        check_gradients(leave, twice, X, timeout=60)


def test_all_calls_are_made_in_one_other_thread_that_ends_with_the_check():
    seen = []

    def loss(x):
        seen.append(threading.current_thread())
        return square_sum(x)

    check_gradients(loss, twice, X, timeout=60)
    assert len(set(seen)) == 1
    assert seen[0] is not threading.current_thread()
    seen[0].join(10)
    assert not seen[0].is_alive()


def test_calls_are_made_in_this_thread_without_a_timeout():
    seen = set()
    check_gradients(lambda x: seen.add(threading.get_ident()) or square_sum(x), twice, X)
    assert seen == {threading.get_ident()}


def test_the_context_of_the_caller_holds_in_the_other_thread():
    variable = contextvars.ContextVar("variable", default="unset")
    variable.set("set")
    caller = Caller(timeout=60)
    with np.errstate(over="raise", divide="ignore"):
        seen = caller.call(lambda: (variable.get(), np.geterr()["over"], np.geterr()["divide"]), "")
    caller.close()
    assert seen == ("set", "raise", "ignore")


def test_no_handler_of_exceptions_takes_a_hang_for_an_exception(hang):
    evaluator = Evaluator(Problem(lambda x: hang() and 0.0, twice, X), timeout=SOON)
    with pytest.raises(TimedOut, match=r"the loss took longer than 0\.1 seconds"):
        evaluator.loss_at({"x": X + 1})
    assert not issubclass(TimedOut, Exception)
    assert np.array_equal(evaluator.working["x"], X)


def test_the_process_ends_though_a_call_never_does():
    program = """
        import threading
        import numpy as np
        from gradcheck import check_gradients
        hang = threading.Event().wait
        report = check_gradients(lambda x: hang(), lambda x: x, np.ones(2), timeout=0.1)
        print(report.verdict)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "inconclusive"
