"""budget= and GC125: what is measured until the time is over counts, and the report says so."""

import itertools

import numpy as np
import pytest

from gradcheck import GradientInconclusive, assert_gradients, check_gradients
from gradcheck.assembly import Measured, measurement_findings
from gradcheck.budget import OUT_OF_TIME, Budget
from gradcheck.entry_table import Entries
from gradcheck.noise import Noise
from gradcheck.probes import Claim
from gradcheck.verdict import REASONS, Judgement

PARAMETERS = {"a": np.arange(1.0, 5.0), "b": np.arange(4.0), "c": np.ones(3)}
# Looks at the clock: at the start, after preflight, before every direction, before every entry.
BEFORE_PROBES = 2
PROBES = 2
# A direction through all parameters that disagrees is one more, before those of each.
ALONE = 1 + 2 * len(PARAMETERS)


def loss(p):
    return np.sum(p["a"] ** 3) + np.sum(np.sin(p["b"])) + np.sum(p["c"] ** 2)


def gradient(p):
    return {"a": 3 * p["a"] ** 2, "b": np.cos(p["b"]), "c": 2 * p["c"]}


def wrong_in_c(p):
    return gradient(p) | {"c": 2.02 * p["c"]}


@pytest.fixture
def ticking(monkeypatch):
    """Let a second pass with every look at the clock."""
    seconds = itertools.count()
    monkeypatch.setattr("gradcheck.budget.time.monotonic", lambda: float(next(seconds)))


def checked_within(looks, gradient=gradient, **options):
    """Return the report of a check whose time is over at this many looks at the clock."""
    return check_gradients(loss, gradient, PARAMETERS, budget=looks, **options)


def the_finding(report):
    (finding,) = [finding for finding in report.findings if finding.code == "GC125"]
    assert (finding.slug, finding.severity) == ("budget_exhausted", "note")
    assert "budget=" in finding.suggestion
    return finding


def verdicts(report):
    return "".join(part.verdict[0] for part in report.parameters)


def test_a_budget_is_over_after_its_seconds():
    now = 100.0
    budget = Budget(5.0, clock=lambda: now)
    for now, spent in [(100.0, False), (104.9, False), (105.0, True), (200.0, True)]:  # noqa: B007
        assert budget.is_spent() is spent


def test_without_a_budget_the_time_is_never_over():
    assert not Budget(clock=lambda: np.inf).is_spent()


def test_more_time_than_it_takes_changes_nothing():
    plain, limited = check_gradients(loss, gradient, PARAMETERS), checked_within(3600)
    assert plain.parameters == limited.parameters
    assert plain.findings == limited.findings == ()
    assert plain.evaluations == limited.evaluations


def test_a_time_that_is_over_at_once_leaves_all_undecided():
    report = checked_within(1e-9)
    assert verdicts(report) == "iii"
    assert the_finding(report).parameters == ("a", "b", "c")
    assert the_finding(report).evidence == "nothing could be measured"
    for part in report.parameters:
        assert part.reason == f"not compared: {OUT_OF_TIME}"
        assert part.findings == (the_finding(report),)
    assert report.evaluations < 10


@pytest.mark.usefixtures("ticking")
def test_no_probe_is_no_verdict():
    report = checked_within(BEFORE_PROBES)
    assert verdicts(report) == "iii"
    assert {part.reason for part in report.parameters} == {OUT_OF_TIME}
    assert the_finding(report).evidence == (
        "measured were 0 of 2 probes of a, 0 of 2 probes of b, 0 of 2 probes of c"
    )


@pytest.mark.usefixtures("ticking")
@pytest.mark.parametrize(
    ("probes", "expected"),
    [(1, "iii"), (2, "ppp")],
)
def test_both_probes_are_a_verdict_and_one_is_none(probes, expected):
    report = checked_within(BEFORE_PROBES + probes)
    assert verdicts(report) == expected
    # Each direction leads through all parameters.
    assert [len(part.probes) for part in report.parameters] == [probes] * 3
    # The entries of all of them were planned, and not compared.
    assert the_finding(report).parameters == ("a", "b", "c")


@pytest.mark.usefixtures("ticking")
def test_a_pass_without_its_sweep_is_that_of_a_quick_check():
    report = checked_within(BEFORE_PROBES + PROBES)
    quick = check_gradients(loss, gradient, PARAMETERS, effort="quick")
    for cut, part in zip(report.parameters, quick.parameters, strict=True):
        assert (cut.verdict, cut.checked_count, len(cut.probes)) == ("pass", 0, 2)
        assert cut.resolution == pytest.approx(part.resolution, rel=0.5)
    assert quick.findings == ()


@pytest.mark.usefixtures("ticking")
@pytest.mark.parametrize("entries", range(11))
def test_entries_count_as_far_as_they_were_compared(entries):
    report = checked_within(BEFORE_PROBES + PROBES + entries)
    assert report.ok
    assert sum(part.checked_count for part in report.parameters) == entries
    finding = the_finding(report)
    unfinished = [part for part in report.parameters if part.checked_count < part.size]
    assert finding.parameters == tuple(part.name for part in unfinished)
    for part in unfinished:
        assert f"{part.checked_count} of {part.size} entries of {part.name}" in finding.evidence
        assert part.findings == (finding,)


@pytest.mark.usefixtures("ticking")
def test_the_last_entry_is_the_end():
    report = checked_within(BEFORE_PROBES + PROBES + 11)
    assert report.ok
    assert report.findings == ()


@pytest.mark.usefixtures("ticking")
@pytest.mark.parametrize("looks", range(BEFORE_PROBES + 6, BEFORE_PROBES + ALONE + 11))
def test_what_one_probe_shows_to_be_wrong_stays_wrong(looks):
    report = checked_within(looks, wrong_in_c)
    assert verdicts(report) == "ppf"
    assert "c" in the_finding(report).parameters


@pytest.mark.usefixtures("ticking")
@pytest.mark.parametrize("looks", range(1, BEFORE_PROBES + PROBES + 12))
@pytest.mark.parametrize("options", [{}, {"effort": "quick"}, {"method": "complex"}])
def test_a_right_gradient_never_fails_and_the_undecided_have_a_finding(looks, options):
    report = checked_within(looks, **options)
    for part in report.parameters:
        assert part.verdict != "fail"
        if part.verdict == "inconclusive":
            assert OUT_OF_TIME in part.reason
            assert [finding.code for finding in part.findings] == ["GC125"]


@pytest.mark.usefixtures("ticking")
@pytest.mark.parametrize("eigen", range(2))
def test_eigenvectors_are_probed_as_long_as_there_is_time(eigen):
    # The largest curvatures are those of a, whose two parts are the only ones worth a probe.
    looks = BEFORE_PROBES + 1 + PROBES + eigen
    report = checked_within(looks, directions="eigen", effort="quick")
    assert [len(part.probes) for part in report.parameters] == [2 + eigen, 2, 2]
    assert report.verdict == "pass"
    assert f"{2 + eigen} of 4 probes of a" in the_finding(report).evidence


@pytest.mark.usefixtures("ticking")
@pytest.mark.parametrize("looks", range(BEFORE_PROBES, 40))
def test_rounding_of_float32_is_not_called_wrong_for_lack_of_time(looks):
    """Where all is measured, the same code in float64 excuses the rounding."""
    point = {"w": np.linspace(0.1, 1.0, 5, dtype=np.float32)}

    def mean_square(p):
        return np.mean((p["w"] * 1000 - 333) ** 2)

    def its_gradient(p):
        return {"w": 2000 * (p["w"] * 1000 - 333) / 5 * (1 + 3 * np.finfo(p["w"].dtype).eps)}

    options = {"required_resolution": 1e-9}
    report = check_gradients(mean_square, its_gradient, point, budget=looks, **options)
    assert report.verdict != "fail"


@pytest.mark.usefixtures("ticking")
def test_many_parameters_are_counted_not_listed():
    many = {f"p{number}": np.ones(2) for number in range(9)}
    report = check_gradients(
        lambda p: sum(np.sum(array**2) for array in p.values()),
        lambda p: {name: 2 * array for name, array in p.items()},
        many,
        budget=BEFORE_PROBES,
    )
    finding = the_finding(report)
    assert len(finding.parameters) == 9
    assert finding.evidence.endswith("0 of 2 probes of p2 and less of 6 more")


@pytest.mark.usefixtures("ticking")
def test_an_assertion_says_that_the_time_ran_out():
    with pytest.raises(GradientInconclusive, match=OUT_OF_TIME):
        assert_gradients(loss, gradient, PARAMETERS, budget=BEFORE_PROBES)


def test_a_slow_loss_is_left_in_time():
    import time

    def slow(x):
        time.sleep(0.01)
        return np.sum(x**2)

    started = time.monotonic()
    report = check_gradients(slow, lambda x: 2 * x, np.ones(1000), budget=0.8)
    assert time.monotonic() - started < 10.0  # 1,000 entries would take 40 seconds
    assert the_finding(report).parameters == ("x",)


@pytest.mark.parametrize(
    ("limit", "code", "words"),
    [
        ("precision", "GC122", "jitters by"),
        ("budget", "GC122", "no step of 14 that were tried suits x"),
        ("noise", "GC123", "jitters by"),
        ("kink", "GC121", "the slope jumps closer by"),
        ("domain_edge", "GC124", "on one side or both in x"),
    ],
)
def test_whatever_limits_a_check_there_is_a_finding(limit, code, words):
    assert limit in REASONS
    nothing = np.ones(2)
    judgement = Judgement("inconclusive", REASONS[limit], limit, 1.0, all_zero=False, kinks=0)
    claim = Claim("x", nothing, nothing, 0.0, nothing, nothing, 1e-6)
    measured = {"x": Measured(claim, (), Entries.of((2,), ()), judgement)}
    (finding,) = measurement_findings(measured, Noise(1.0, 1e-16))
    assert (finding.code, finding.parameters, finding.severity) == (code, ("x",), "note")
    assert words in finding.evidence
    assert "nothing is wrong" not in finding.suggestion
    assert "the gradient is one of its slopes" not in finding.title


def test_a_budget_tells_what_is_left_of_it():
    now = [1.0]
    budget = Budget(5.0, lambda: now[0])
    assert budget.left() == 5.0
    now[0] = 4.0
    assert budget.left() == 2.0
    now[0] = 9.0
    assert budget.left() == 0.0
    assert Budget().left() is None
