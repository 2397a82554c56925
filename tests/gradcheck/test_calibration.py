"""A reduced calibration: single comparisons over eleven families, against what they have to reach.

The benchmark itself, with other tools on the same cases, is tests/benchmarks/calibration.py.
"""

import importlib
import json
import sys
from pathlib import Path

import pytest

from gradcheck import check

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SEED = 7
PROBLEMS = 16
MORE_PROBLEMS = 160
MEDIAN_EVALUATIONS = 8
MANY_EVALUATIONS = 16

# Least rates per family: right gradients that pass, and bugs of 1e-2, 1e-4 and 1e-6 that are
# found. The rates measured must not lie below by more than their sampling error.
LEAST = {
    "smooth, scales 1e-8..1e8": (0.99, 0.99, 0.99, 0.98),
    "narrow features": (0.99, 0.99, 0.99, 0.99),
    "smooth network": (0.99, 0.99, 0.99, 0.99),
    "saturated sigmoids": (0.90, 0.98, 0.96, 0.90),
    "saturated, extended loss": (0.95, 0.98, 0.97, 0.95),
    "pure float32": (0.74, 0.74, 0.0, 0.0),
    "float32 gradient": (0.97, 0.99, 0.95, 0.0),
    "hidden float32": (0.0, 0.92, 0.02, 0.0),
    "near a kink": (0.90, 0.97, 0.95, 0.90),
    "exactly at a kink": (0.99, 0.99, 0.99, 0.92),
    "noisy loss": (0.01, 0.90, 0.36, 0.0),
}


def benchmark(name):
    """Return a module of the benchmarks, which are scripts beside the tests and no package."""
    if str(BENCHMARKS) not in sys.path:
        sys.path.insert(0, str(BENCHMARKS))
    return importlib.import_module(name)


calibration, rates = benchmark("calibration"), benchmark("rates")


@pytest.fixture(scope="module")
def few():
    return calibration.run(list(LEAST), SEED, range(PROBLEMS))


@pytest.fixture(scope="module")
def many():
    return calibration.run(list(LEAST), SEED + 1, range(MORE_PROBLEMS))


@pytest.fixture(params=["few", pytest.param("many", marks=pytest.mark.slow)])
def records(request):
    return request.getfixturevalue(request.param)


def test_every_family_is_measured():
    assert set(LEAST) == set(benchmark("families").FAMILIES)


def test_right_gradient_never_fails_and_the_truth_is_inside_every_bar(records):
    assert calibration.worst_cases(records) == calibration.NOTHING_WRONG


@pytest.mark.parametrize("family", LEAST)
def test_rates_are_not_below_what_was_reached_before(family, records):
    of_family = [record for record in records if record.family == family]
    found = rates.figures(of_family)
    accepted = rates.Rate(found.passes.count + found.kinks.count, found.passes.total)
    measured = [accepted, *found.detection.values()]
    problems = len({record.number for record in of_family})
    pairs = zip(measured, LEAST[family], strict=True)
    assert not [str(rate) for rate, least in pairs if rate.is_below(least, problems)]


def test_a_passing_comparison_is_cheap(records):
    median, high = rates.figures(records).evaluations
    assert median <= MEDIAN_EVALUATIONS
    assert high <= MANY_EVALUATIONS


@pytest.mark.slow
@pytest.mark.parametrize("criterion", benchmark("whole_checks").CRITERIA, ids=lambda c: c.title)
def test_whole_network_is_judged_as_required(criterion):
    trial = criterion.make(SEED)
    report = check(trial.problem, effort=criterion.effort, seed=SEED)
    assert criterion.holds(report, trial), str(report)


def test_every_entry_of_a_network_is_compared_with_its_true_slope():
    records = benchmark("networks").swept_records(SEED, sizes=(8, 6, 4))
    assert len(records) == 8 * 6 + 6 + 6 * 4 + 4
    assert calibration.worst_cases(records) == calibration.NOTHING_WRONG
    assert all(record.said.verdict == "pass" for record in records)


def test_truth_does_not_depend_on_the_gradient_under_test():
    """Complex step against backpropagation, where both are exact to rounding."""
    families = benchmark("families")
    for number in range(5):
        case = families.make_case("smooth network", SEED, number)
        gradient = case.gradient(case.parameters)
        for entry in case.entries:
            analytic = gradient[entry.name].flat[entry.position]
            assert entry.left == entry.right == pytest.approx(analytic, rel=1e-10)


def test_slopes_at_a_kink_differ_and_hold_the_gradient():
    families = benchmark("families")
    case = families.make_case("exactly at a kink", SEED, 0)
    gradient = case.gradient(case.parameters)
    assert any(entry.at_kink for entry in case.entries)
    for entry in case.entries:
        assert entry.left == pytest.approx(gradient[entry.name].flat[entry.position], rel=1e-10)


@pytest.mark.parametrize(("count", "total"), [(0, 10), (5, 10), (10, 10), (998, 1000)])
def test_confidence_limits_hold_the_rate(count, total):
    low, high = rates.Rate(count, total).limits
    assert 0 <= low <= count / total <= high <= 1
    assert high - low > 0


def test_confidence_limits_are_wilsons():
    # Brown, Cai & DasGupta 2001: 0 of 10 and 8 of 10.
    assert rates.Rate(0, 10).limits == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert rates.Rate(8, 10).limits == pytest.approx((0.4902, 0.9433), abs=1e-4)


def test_sections_of_the_report_are_replaced_one_by_one(tmp_path):
    report_file, path = benchmark("report_file"), tmp_path / "calibration.md"
    report_file.write_sections({"Whole networks": "old", "Every family": "kept"}, path)
    report_file.write_sections({"Whole networks": "new"}, path)
    text = path.read_text(encoding="utf-8")
    assert text.index("kept") < text.index("new")
    assert "old" not in text


def test_wrong_records_would_be_noticed():
    outcomes, families = benchmark("outcomes"), benchmark("families")
    entry = families.Entry("x", 0, 1.0, 1.0)
    said = outcomes.Measurement("fail", value=1.1, bar=0.01)
    record = outcomes.Record("gradcheck", "made up", 3, entry, 0.0, True, said)
    told = calibration.worst_cases([record])
    assert "false fail" in told
    assert "truth outside" in told
    assert "--problem 3" in told


def test_prototype_was_measured_on_the_cases_that_are_the_default():
    kept = json.loads(calibration.PROTOTYPE.read_text(encoding="utf-8"))
    assert (kept["seed"], kept["problems"]) == (calibration.SEED, calibration.PROBLEMS)
    assert [row[0] for row in kept["rows"]] == [*LEAST, "all"]
