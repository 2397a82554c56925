import numpy as np
import pytest

from gradcheck import check_gradients
from gradcheck.failing import SAMPLED_ENTRIES
from gradcheck.plan import EVALUATIONS_PER_ENTRY, PROBES, SWEEP_EVALUATIONS, make_plan

MOST = SWEEP_EVALUATIONS // EVALUATIONS_PER_ENTRY


@pytest.mark.parametrize(
    ("effort", "entries", "sweep"),
    [
        ("quick", 1, False),
        ("auto", MOST, True),
        ("auto", MOST + 1, False),
        ("exhaustive", 10**9, True),
    ],
)
def test_the_effort_decides_whether_every_entry_is_compared(effort, entries, sweep):
    assert make_plan({"W": entries - 1, "b": 1}, effort).sweep is sweep


def test_every_comparison_is_counted():
    sizes = {"W": 6, "b": 2, "c": 1}
    assert make_plan(sizes, "quick").comparisons == 3 * PROBES
    assert make_plan(sizes, "exhaustive").comparisons == 3 * PROBES + 9


@pytest.mark.parametrize(("effort", "checked"), [("quick", 0), ("auto", 9), ("exhaustive", 9)])
def test_a_passing_check_compares_as_many_entries_as_planned(effort, checked):
    report = check_gradients(
        lambda x: np.sum(x**2), lambda x: 2 * x, np.ones((3, 3)), effort=effort
    )
    assert report.ok
    assert report["x"].checked_count == checked
    assert len(report["x"].probes) == PROBES
    assert report.settings["effort"] == effort


def test_a_quick_check_of_a_wrong_gradient_looks_at_its_entries_only():
    report = check_gradients(
        lambda p: np.sum(p["a"] ** 2) + np.sum(p["b"] ** 2),
        lambda p: {"a": 2 * p["a"], "b": 3 * p["b"]},
        {"a": np.ones(4), "b": np.ones(5)},
        effort="quick",
    )
    assert (report["a"].checked_count, report["b"].checked_count) == (0, 5)
    assert report["b"].wrong.tolist() == [True] * 5


@pytest.mark.parametrize("size", [SAMPLED_ENTRIES, MOST + 1])
def test_a_large_wrong_gradient_is_sampled_and_a_small_one_compared_in_full(size):
    x = np.linspace(1.0, 2.0, size)
    factors = 2 + np.cos(np.arange(size))  # no factor, and no part of the entries, explains it
    part = check_gradients(lambda x: np.sum(x**2), lambda x: factors * x, x, effort="quick")["x"]
    assert part.verdict == "fail"
    if size == SAMPLED_ENTRIES:
        assert part.checked_count == size
        assert part.wrong.all()
    else:
        assert SAMPLED_ENTRIES <= part.checked_count < 3 * SAMPLED_ENTRIES
        assert part.wrong is None
        assert part.wrong_count is None
