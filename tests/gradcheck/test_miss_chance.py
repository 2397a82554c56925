"""What random directions may miss, drawn many times, against the bound that a report states."""

import math

import numpy as np
import pytest

from gradcheck import check_gradients
from gradcheck.conclusion import LineDerivative
from gradcheck.directions import chance_of_hiding, random_direction
from gradcheck.entry_table import Entries, EntryMeasurement
from gradcheck.probes import Claim, ProbeMeasurement
from gradcheck.verdict import judge

DRAWS = 40_000
RANDOM = np.random.default_rng(7)
SHAPES = {
    "one entry": np.array([1.0]),
    "one of many": np.eye(1, 50)[0],
    "two that may cancel": np.array([1.0, 1.0]),
    "two of many": np.repeat([1.0, 0.0], [2, 48]),
    "two, one twice the other": np.array([1.0, 2.0]),
    "three": np.ones(3),
    "four": np.ones(4),
    "all equal": np.ones(200),
    "random": RANDOM.standard_normal(30),
    "heavy tails": RANDOM.standard_cauchy(30),
    "decaying": 0.5 ** np.arange(12),
    "slowly decaying": 1 / np.arange(1, 60),
    "one beside many small ones": np.concatenate([[1.0], np.full(100, 0.05)]),
}
BARS = (0.01, 0.1, 0.3, 0.5)  # relative to the norm of the error


def hidden(error, bar, number=0):
    """Return in which of many draws a direction shows the error by no more than `bar`."""
    directions = random_direction(np.ones((DRAWS, error.size)), 0, "W", number)
    return np.abs(directions @ error) <= bar


@pytest.mark.parametrize("bar", BARS)
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_no_error_hides_more_often_than_the_bound_says(shape, bar):
    size = float(np.linalg.norm(shape))
    bound = chance_of_hiding(size, bar * size)
    deviation = math.sqrt(bound * (1 - bound) / DRAWS)
    assert np.mean(hidden(shape, bar * size)) <= bound + 4 * deviation


@pytest.mark.parametrize("bar", [0.01, 0.05])
def test_two_equal_errors_reach_the_bound(bar):
    error = np.ones(2)
    bound = chance_of_hiding(math.sqrt(2), bar * math.sqrt(2))
    assert np.mean(hidden(error, bar * math.sqrt(2))) == pytest.approx(bound, rel=0.2)


def test_a_lone_error_cannot_hide_below_half_its_size():
    assert not np.any(hidden(SHAPES["one of many"], 0.499))
    assert np.any(hidden(SHAPES["one of many"], 0.52))


@pytest.mark.parametrize("bar", [0.1, 0.3])
def test_two_directions_miss_independently(bar):
    error = np.ones(2)
    both = hidden(error, bar * math.sqrt(2)) & hidden(error, bar * math.sqrt(2), number=1)
    bound = chance_of_hiding(math.sqrt(2), bar * math.sqrt(2)) ** 2
    deviation = math.sqrt(bound * (1 - bound) / DRAWS)
    assert np.mean(both) <= bound + 4 * deviation
    assert np.mean(both) >= bound / 2


@pytest.mark.parametrize("unit", [1e-200, 1.0, 1e200])
def test_bound_is_a_probability_in_any_unit(unit):
    chances = [chance_of_hiding(unit, bar * unit) for bar in (0.0, 1e-3, 0.5, 1.0, 1e3)]
    assert chances == pytest.approx([0.0, math.sqrt(2) * 1e-3, math.sqrt(0.5), 1.0, 1.0])
    assert chance_of_hiding(0.0, 0.0) == 1.0
    assert chance_of_hiding(1.0, math.inf) == 1.0


OFFSET = 4e7  # of a loss near 1: what round-off leaves of it is good to some digits only
REQUIRED = 3e-6


def quick(error, seed, n=6):
    """Return the report on a gradient that is off by `error`, relative to it in norm."""
    coefficients = np.random.default_rng(1).uniform(0.5, 2.0, n)
    error = np.asarray(error) / (np.linalg.norm(error) or 1.0) * np.linalg.norm(coefficients)
    gradient = coefficients + REQUIRED * error
    report = check_gradients(
        lambda x: OFFSET + np.sum(coefficients * np.sin(x)),
        lambda x: gradient * np.cos(x),
        np.zeros(n),
        effort="quick",
        seed=seed,
        required_resolution=REQUIRED,
    )
    return report.parameters[0]


def probes_miss(part):
    """Return whether all random directions agree: what else a check does is not in question."""
    return all(probe.outcome == "agrees" for probe in part.probes)


@pytest.mark.parametrize(
    "error", [[1, 1, 0, 0, 0, 0], [1, -1, 0, 0, 0, 0], [1, 0.5, 0.25, 0.1, 0, 0], np.ones(6)]
)
def test_a_check_misses_no_more_often_than_its_reports_say(error):
    seeds = range(150)
    stated = [quick(np.zeros(6), seed).miss_chance for seed in seeds]
    stated = [1.0 if chance is None else chance for chance in stated]
    missed = [probes_miss(quick(error, seed)) for seed in seeds]
    bound = float(np.mean(stated))
    assert 1e-2 < bound < 0.5  # else this would show nothing
    assert np.mean(missed) <= bound + 3 * math.sqrt(bound / len(seeds))


# By hand, so that every number is known.
SIZE = 4


def derivative(bar=1e-8, off=0.0, smoothness="smooth", jump=0.0):
    return LineDerivative(1.0, bar, off, smoothness, jump, 4, "precision", 1e-3)


def entries(count):
    measured = [EntryMeasurement((i,), 1.0, derivative()) for i in range(count)]
    return Entries.of((SIZE,), measured)


def judged(*derivatives, kind="random", compared=0, scale=1.0):
    zero = np.zeros(SIZE)
    claim = Claim("W", np.ones(SIZE), scale + zero, 2e-16, zero, zero, required=1e-6)
    found = [ProbeMeasurement(each, 1.0, 2.0) for each in derivatives[:1]]
    found += [ProbeMeasurement(each, 1.0, 2.0, kind) for each in derivatives[1:]]
    return judge(found, entries(compared), claim, largest_effect=1.0)


ONE = math.sqrt(2) * 1e-8 / 2e-6  # the norm of the gradient times the scales is 2


def test_chances_of_random_directions_multiply():
    assert judged(derivative()).miss_chance == pytest.approx(ONE)
    assert judged(derivative(), derivative()).miss_chance == pytest.approx(ONE**2)
    assert judged(derivative(), scale=3.0).miss_chance == pytest.approx(ONE / 3)


def test_what_a_probe_saw_may_hide_as_much_more():
    assert judged(derivative(off=-1e-8)).miss_chance == pytest.approx(2 * ONE)


def test_eigenvectors_are_no_random_directions():
    assert judged(derivative(), derivative(), kind="eigen").miss_chance == pytest.approx(ONE)
    eigen = ProbeMeasurement(derivative(), 1.0, 2.0, "eigen")
    zero = np.zeros(SIZE)
    claim = Claim("W", np.ones(SIZE), 1.0 + zero, 2e-16, zero, zero, required=1e-6)
    alone = judge([eigen], entries(0), claim, largest_effect=1.0)
    assert (alone.verdict, alone.miss_chance) == ("inconclusive", None)


def test_more_directions_are_looked_along_where_two_leave_a_chance():
    few, many = (
        quick(np.zeros(6), 0),
        check_gradients(lambda x: np.sum(np.sin(x)), np.cos, np.ones(6), effort="quick"),
    )
    assert len(few.probes) > len(many.parameters[0].probes) == 2


def test_a_direction_along_a_kink_rules_nothing_out():
    between = derivative(smoothness="kink", jump=1e-7, off=2e-8)
    assert judged(derivative(), between).miss_chance == pytest.approx(ONE)


def test_nothing_is_missed_where_every_entry_is_compared():
    assert judged(derivative(), compared=SIZE).miss_chance == 0.0
    assert judged(derivative(), compared=SIZE - 1).miss_chance == pytest.approx(ONE)


def test_only_a_pass_has_a_chance_of_a_miss():
    assert judged(derivative(off=1e-3)).miss_chance is None
    assert judged(derivative(bar=1e-3)).miss_chance is None


def loss(p):
    return np.sum(np.sin(p["W"])) + np.sum(p["b"] ** 2)


def gradient(p):
    return {"W": np.cos(p["W"]), "b": 2 * p["b"]}


PARAMETERS = {"W": np.linspace(-1.0, 1.0, 12).reshape(3, 4), "b": np.array([0.5, -2.0])}


def test_a_report_states_the_largest_chance_and_the_error_that_has_it():
    report = check_gradients(loss, gradient, PARAMETERS, effort="quick")
    chances = [part.miss_chance for part in report.parameters]
    assert report.miss_chance == max(chances)
    assert all(0.0 < chance < 1e-2 for chance in chances)
    assert [part.ruled_out for part in report.parameters] == [1e-6, 1e-6]
    assert [part.required for part in report.parameters] == [1e-6, 1e-6]


def test_what_has_to_be_ruled_out_moves_the_chance():
    report = check_gradients(loss, gradient, PARAMETERS, effort="quick", required_resolution=1e-3)
    sharp = check_gradients(loss, gradient, PARAMETERS, effort="exhaustive")
    assert report.miss_chance < 1e-3
    assert report["W"].ruled_out == 1e-3
    assert (sharp.miss_chance, sharp["W"].ruled_out) == (0.0, sharp["W"].resolution)


def test_a_failing_report_states_no_chance_for_what_failed():
    def wrong(p):
        return gradient(p) | {"b": 3 * p["b"]}

    report = check_gradients(loss, wrong, PARAMETERS, effort="quick")
    assert report["b"].miss_chance is None
    assert report.miss_chance == report["W"].miss_chance


def test_a_gradient_of_zero_has_no_relative_errors_to_miss():
    report = check_gradients(lambda x: 1.0, np.zeros_like, np.ones(3), effort="quick")
    assert (report.verdict, report.miss_chance) == ("pass", None)


def test_probes_say_what_they_are():
    report = check_gradients(loss, gradient, PARAMETERS, effort="quick", directions="eigen")
    kinds = [probe.kind for part in report.parameters for probe in part.probes]
    assert kinds.count("random") == 4
    assert kinds.count("eigen") == len(kinds) - 4 > 0
    random_only = check_gradients(loss, gradient, PARAMETERS, effort="quick")
    assert report.miss_chance == pytest.approx(random_only.miss_chance)
