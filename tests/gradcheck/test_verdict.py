"""The one place that decides, on measurements made by hand."""

import numpy as np
import pytest

from gradcheck.conclusion import LineDerivative
from gradcheck.entry_table import Entries, EntryMeasurement
from gradcheck.probes import Claim, ProbeMeasurement
from gradcheck.verdict import judge, outcome, required_resolution_for

SIZE = 4


def derivative(value=1.0, bar=1e-9, off=0.0, smoothness="smooth", jump=0.0):
    return LineDerivative(value, bar, off, smoothness, jump, 4, "precision", 1e-3)


def claim(analytic=1.0, rounding=0.0):
    every = np.full(SIZE, float(analytic))
    zero = np.zeros(SIZE)
    return Claim("W", every, np.ones(SIZE), 2e-16, zero, zero + rounding, required=1e-6)


def entries(*derivatives, analytic=1.0):
    measured = [EntryMeasurement((i,), analytic, d) for i, d in enumerate(derivatives)]
    return Entries.of((SIZE,), measured)


NO_ENTRIES = entries()


def probes(*derivatives):
    return tuple(ProbeMeasurement(d, 1.0, 2.0) for d in derivatives)


GOOD, BAD = derivative(), derivative(off=1e-3)
UNDECIDED = derivative(smoothness="unresolved", off=1e-3)
BETWEEN = derivative(smoothness="kink", jump=1.0, off=0.2)


@pytest.mark.parametrize(
    ("measured", "says"),
    [
        (GOOD, "agrees"),
        (BAD, "disagrees"),
        (UNDECIDED, "undecided"),
        (derivative(value=np.nan, off=np.nan, bar=np.inf), "undecided"),
        (BETWEEN, "agrees"),
        (derivative(smoothness="kink", jump=1.0, off=-0.5), "agrees"),
        (derivative(smoothness="kink", jump=1.0, off=0.6), "disagrees"),
    ],
)
def test_error_is_held_against_its_bar(measured, says):
    assert outcome(measured) == says


def verdict(found_probes, found_entries=NO_ENTRIES, **given):
    return judge(found_probes, found_entries, claim(**given), largest_effect=1.0)


def test_one_wrong_entry_fails():
    assert verdict(probes(GOOD), entries(GOOD, BAD, GOOD, GOOD)).verdict == "fail"


def test_probe_fails_where_entries_were_not_all_compared():
    assert verdict(probes(GOOD, BAD)).verdict == "fail"
    assert verdict(probes(GOOD, BAD), entries(GOOD)).verdict == "fail"


def test_probe_accuses_nobody_where_every_entry_was_compared_and_agrees():
    assert verdict(probes(BAD), entries(*[GOOD] * SIZE)).verdict == "pass"


def test_probe_at_a_kink_accuses_nobody_but_lets_nothing_pass_either():
    outside = derivative(smoothness="kink", jump=1.0, off=0.6)
    assert verdict(probes(outside)).verdict == "inconclusive"
    assert verdict(probes(outside), entries(GOOD)).verdict == "inconclusive"


def test_undecided_line_is_no_pass():
    assert verdict(probes(GOOD, UNDECIDED)).verdict == "inconclusive"
    assert verdict(probes(GOOD), entries(GOOD, UNDECIDED, GOOD, GOOD)).verdict == "inconclusive"


def test_wide_bars_are_no_pass():
    wide = derivative(bar=1e-3)
    assert verdict(probes(wide, wide)).verdict == "inconclusive"
    assert verdict(probes(GOOD), entries(*[wide] * SIZE)).verdict == "inconclusive"


def test_subgradient_is_left_out_of_the_resolution_but_alone_is_no_pass():
    judged = verdict(probes(GOOD), entries(BETWEEN, GOOD, GOOD, GOOD))
    assert (judged.verdict, judged.kinks) == ("pass", 1)
    assert verdict(probes(BETWEEN), entries(*[BETWEEN] * SIZE)).verdict == "inconclusive"


def test_zero_passes_only_where_the_loss_was_seen_not_to_move():
    still = derivative(value=0.0, bar=1e-9)
    judged = verdict(probes(still), entries(*[still] * SIZE, analytic=0.0), analytic=0.0)
    assert (judged.verdict, judged.all_zero) == ("pass", True)
    rounded = derivative(value=3e-17, bar=1e-12)
    judged = verdict(probes(rounded), analytic=1e-17, rounding=1e-17)
    assert (judged.verdict, judged.all_zero) == ("pass", True)
    blurred = derivative(value=1e-3, bar=1e-2)
    assert verdict(probes(blurred), analytic=0.0).verdict == "inconclusive"
    edge = derivative(value=0.0, bar=1.0, smoothness="unresolved")
    assert verdict(probes(edge), analytic=0.0).verdict == "inconclusive"


def test_what_a_pass_has_to_rule_out_follows_the_precision():
    double, single = np.dtype(np.float64), np.dtype(np.float32)
    assert required_resolution_for(double, double, 1e-16) == 1e-6
    assert required_resolution_for(single, single, 1e-16) == 1e-4
    assert required_resolution_for(single, single, 1e-7) == 1e-2
