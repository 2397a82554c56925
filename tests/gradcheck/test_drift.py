"""A loss that changes by itself while it is measured, though two calls in a row agree."""

import numpy as np
import pytest

from gradcheck import Problem, check, check_gradients

# Calls after which the loss changes: from before to long after a check is over.
CALLS = range(3, 66, 9)


def value(x):
    return 3.0 + np.sum(np.sin(x) ** 2)


def slope(x):
    return np.sin(2 * x)


class Drifting:
    """A loss that is another one after some calls.

    Parameters
    ----------
    calls: after which it is
    changed: from its value, the calls since, and x
    """

    def __init__(self, calls, changed):
        self.left, self.changed = calls, changed

    def __call__(self, x):
        self.left -= 1
        return value(x) if self.left >= 0 else self.changed(value(x), -self.left, x)


CHANGES = {
    "moved": lambda size: lambda loss, calls, x: loss + size,
    "scaled": lambda size: lambda loss, calls, x: loss * (1 + size),
    "growing": lambda size: lambda loss, calls, x: loss + size * calls,
    "tilted": lambda size: lambda loss, calls, x: loss + size * np.sum(x),
    "settling": lambda size: lambda loss, calls, x: loss + size * (1 - 0.9**calls) * np.sum(x),
}


def point(seed):
    return np.random.default_rng(seed).standard_normal(7)


def said(report):
    return [finding for finding in report.findings if finding.slug == "nondeterministic_loss"]


@pytest.mark.parametrize("effort", ["quick", "auto"])
@pytest.mark.parametrize("change", CHANGES)
def test_a_right_gradient_is_never_accused_of_what_the_loss_does_by_itself(change, effort):
    reports = [
        check_gradients(Drifting(calls, CHANGES[change](size)), slope, point(1), effort=effort)
        for size in (1e-1, 1e-6)
        for calls in CALLS
    ]
    assert len(reports) == 14
    assert "fail" not in {report.verdict for report in reports}


def test_a_loss_that_does_not_come_back_is_told_with_how_far_it_is_off():
    report = check_gradients(Drifting(20, lambda loss, calls, x: loss + 0.25), slope, point(0))
    (finding,) = said(report)
    assert (finding.code, finding.severity) == ("GC108", "note")
    assert finding.evidence.endswith("after all calls, it is off by 2.5e-01")
    assert "running averages" in finding.suggestion


def test_the_last_bit_is_told_too_and_changes_no_verdict():
    report = check_gradients(
        Drifting(10, lambda loss, calls, x: np.nextafter(loss, 9.0)), slope, point(0)
    )
    assert len(said(report)) == 1
    assert report.verdict == "pass"


def test_a_gradient_that_is_wrong_by_far_more_than_the_drift_still_fails():
    loss = Drifting(20, lambda loss, calls, x: loss * (1 + 1e-9))
    report = check_gradients(loss, lambda x: 2 * slope(x), point(0))
    assert len(said(report)) == 1
    assert report.verdict == "fail"


def test_a_gradient_that_may_only_look_wrong_by_the_drift_is_undecided():
    loss = Drifting(40, lambda loss, calls, x: loss + 0.5)
    report = check_gradients(loss, lambda x: 1.01 * slope(x), point(0), effort="quick")
    assert report.verdict == "inconclusive"
    assert len(said(report)) == 1


def test_a_loss_that_ends_up_without_a_value_is_told():
    report = check_gradients(Drifting(20, lambda loss, calls, x: np.nan), slope, point(0))
    (finding,) = said(report)
    assert finding.evidence.endswith("off by nan")
    assert report.verdict == "inconclusive"


def test_a_loss_that_comes_back_is_not_told_of():
    for seed in range(20):
        assert not said(check_gradients(value, slope, point(seed)))


def test_what_the_first_two_calls_show_is_told_once():
    report = check_gradients(Drifting(1, lambda loss, calls, x: loss + calls), slope, point(0))
    (finding,) = said(report)
    assert finding.evidence.startswith("two calls")


def test_an_object_that_keeps_a_running_average_is_seen():
    class Averaging:
        def __init__(self):
            self.x, self.average, self.calls = point(0), 0.0, 0

        def loss(self):
            self.calls += 1
            if self.calls > 30:  # the average is used once it has settled
                self.average = 0.9 * self.average + 0.1 * float(self.x.mean())
            return value(self.x - self.average)

    held = Averaging()
    problem = Problem(held.loss, lambda: {"x": slope(held.x)}, {"x": held.x}, in_place=True)
    report = check(problem)
    assert len(said(report)) == 1
    assert report.verdict == "inconclusive"


def test_looking_costs_one_evaluation():
    calls = []
    report = check_gradients(
        lambda x: calls.append(x.copy()) or value(x), slope, point(0), effort="quick"
    )
    assert report.evaluations == len(calls)
    np.testing.assert_array_equal(calls[-1], point(0))
    assert not np.array_equal(calls[-2], point(0))
