"""Entries as arrays say what the same entries say one by one."""

import math
from collections import Counter

import numpy as np
import pytest

from gradcheck.assembly import measured_report
from gradcheck.conclusion import LineDerivative
from gradcheck.diagnosis.gathering import gather
from gradcheck.entry_table import Entries, EntryMeasurement
from gradcheck.measured import Measured
from gradcheck.probes import Claim, ProbeMeasurement
from gradcheck.problem import Problem
from gradcheck.verdict import Judgement, decisive, is_at_kink, judge, outcome, which, wrong_entries

SEEDS = range(300)
REQUIRED = 1e-6
SHAPES = [(), (1,), (2,), (7,), (3, 4), (2, 3, 4)]
OUTCOMES = ("agrees", "disagrees", "undecided")


def plain(value, error_bar, off):
    return LineDerivative(value, error_bar, off, "smooth", 0.0, 4, "precision", 1e-3)


def random_derivative(rng, special, wrong, *, is_look=False):
    value = rng.standard_normal() * rng.choice([1.0, 1e-4, 1e-9])
    bar = abs(rng.standard_normal()) * rng.choice([1e-10, 1e-9, 1e-5])
    off = bar * (rng.uniform(3, 1e5) if rng.random() < wrong else rng.uniform(-0.9, 0.9))
    if rng.random() >= special:
        return plain(value, bar, off)
    smoothness = str(rng.choice(["smooth", "kink", "kink", "noisy", "unresolved"]))
    jump = rng.standard_normal() if smoothness == "kink" else 0.0
    if smoothness == "kink":
        off = jump * rng.uniform(-0.6, 0.6)
    if smoothness == "unresolved" and rng.random() < 0.5:
        value, bar, off = math.nan, math.inf, math.nan
    beside = None
    if math.isfinite(off) and not is_look and rng.random() < 0.3:
        beside = random_derivative(rng, special, wrong, is_look=True)
    limit = str(rng.choice(["precision", "noise", "kink", "budget", "domain_edge"]))
    side = str(rng.choice(["", "left", "right"]))
    return LineDerivative(value, bar, off, smoothness, jump, 4, limit, 1e-3, side, beside)


def random_measurements(seed):
    """Return a claim and measurements of some of its entries, all kinds of them."""
    rng = np.random.default_rng(seed)
    shape = SHAPES[seed % len(SHAPES)]
    size = math.prod(shape)
    count = size if rng.random() < 0.5 else int(rng.integers(0, size + 1))
    special, wrong = rng.choice([0.0, 0.3, 1.0]), rng.choice([0.0, 0.0, 0.2, 1.0])
    analytic, measured = rng.standard_normal(shape), []
    for position in np.sort(rng.choice(size, count, replace=False)):
        index = tuple(int(i) for i in np.unravel_index(position, shape))
        found = random_derivative(rng, special, wrong)
        if math.isfinite(found.discrepancy):
            analytic[index] = found.value - found.discrepancy
        measured.append(EntryMeasurement(index, float(analytic[index]), found))
    zero = np.zeros(shape)
    scale = zero + rng.uniform(0.5, 2.0, shape)
    return Claim("W", np.asarray(analytic), scale, 2e-16, zero, zero, REQUIRED), measured


PROBES = (ProbeMeasurement(plain(1.0, 1e-10, 0.0), 1.0, 2.0),) * 2


def one_by_one(claim, measured):
    """Return verdict, limit, resolution and kinks, entry by entry: every line a rule of the page.

    The directions of PROBES agree, and are sharp enough for a pass.
    """
    said = [outcome(entry.derivative) for entry in measured]
    counted = [decisive(entry.derivative) for entry in measured]
    wide = Counter(d.limit for d in counted if not d.error_bar <= REQUIRED * abs(d.value))
    between = [
        says == "agrees"
        and one.smoothness == "kink"
        and abs(one.discrepancy) < abs(one.jump) / 2 - one.error_bar
        for says, one in zip(said, counted, strict=True)
    ]
    resolution = 1e-10 / (0.5 * 2.0)  # of the directions: they see half of 2 at least
    if len(measured) == claim.size:
        kept = [n for n, is_between in enumerate(between) if not is_between]
        bars = [math.inf if said[n] == "undecided" else counted[n].error_bar for n in kept]
        claimed = math.hypot(*(measured[n].analytic for n in kept))
        values = [counted[n].value for n in kept if math.isfinite(counted[n].value)]
        size = max(claimed, math.hypot(*values))
        resolution = math.hypot(*bars) / size if kept else None
    passes = resolution is not None and resolution <= REQUIRED
    verdict = "fail" if "disagrees" in said else "pass" if passes else "inconclusive"
    limit = "none" if verdict == "pass" else wide.most_common(1)[0][0] if wide else "precision"
    return verdict, limit, resolution, sum(is_at_kink(entry.derivative) for entry in measured)


def test_arrays_are_judged_as_entries_one_by_one_are():
    for seed in SEEDS:
        claim, measured = random_measurements(seed)
        judged = judge(PROBES, Entries.of(claim.analytic.shape, measured), claim, 1.0)
        verdict, limit, resolution, kinks = one_by_one(claim, measured)
        assert (judged.verdict, judged.limit, judged.kinks) == (verdict, limit, kinks), seed
        assert judged.resolution == (resolution and pytest.approx(resolution, rel=1e-12)), seed


def test_every_entry_has_the_outcome_that_it_has_by_itself():
    for seed in SEEDS:
        claim, measured = random_measurements(seed)
        entries = Entries.of(claim.analytic.shape, measured)
        expected = [outcome(entry.derivative) for entry in measured]
        for said in OUTCOMES:
            assert which(entries, said).tolist() == [one == said for one in expected]
        wrong = np.zeros(claim.analytic.shape, dtype=bool)
        for entry, says in zip(measured, expected, strict=True):
            wrong[entry.index] = says == "disagrees"
        assert np.array_equal(wrong_entries(entries), wrong)


def excess(entry):
    found = entry.derivative
    return outcome(found) == "disagrees", abs(found.discrepancy) / found.error_bar


def test_the_report_names_the_entries_that_are_worst_one_by_one():
    for seed in SEEDS:
        claim, measured = random_measurements(seed)
        entries = Entries.of(claim.analytic.shape, measured)
        judged = judge(PROBES, entries, claim, 1.0)
        found = Measured(claim, PROBES, entries, judged)
        report = measured_report(found, claim.analytic, "W", (), None)
        finite = [entry for entry in measured if math.isfinite(entry.derivative.error_bar)]
        assert (report.worst is None) == (not finite)
        if finite:
            assert report.worst.index == max(finite, key=excess).index
        wrong = sorted((e for e in measured if excess(e)[0]), key=excess, reverse=True)
        assert [worst.index for worst in report.worst_entries] == [
            entry.index for entry in wrong[:5]
        ]
        assert report.checked_count == len(measured)
        assert report.unresolved_count == sum(
            is_at_kink(entry.derivative)
            or not entry.derivative.error_bar
            <= max(abs(entry.analytic), np.nan_to_num(abs(entry.derivative.value)))
            for entry in measured
        )


def test_causes_are_looked_for_in_what_has_one_true_value():
    for seed in SEEDS:
        claim, measured = random_measurements(seed)
        entries = Entries.of(claim.analytic.shape, measured)
        failing = Judgement("fail", "", "none", 1e-9, all_zero=False, kinks=0)
        facts, _ = gather(
            Problem(np.sum, claim.analytic, claim.analytic),
            analytic={"W": claim.analytic},
            parameters={"W": claim.analytic},
            measured={"W": Measured(claim, PROBES, entries, failing)},
            layer_of={"W": "W"},
            seed=0,
        )
        kept = [
            entry
            for entry in measured
            if outcome(entry.derivative) != "undecided"
            and not is_at_kink(entry.derivative)
            # Beside a kink it is another one.
            and entry.derivative.beside is None
        ]
        assert facts.known["W"].values.tolist() == [entry.derivative.value for entry in kept]
        assert facts.known["W"].of(claim.analytic).tolist() == [entry.analytic for entry in kept]


def test_a_nan_among_plain_numbers_never_passes():
    claim, _ = random_measurements(3)
    value = claim.analytic.copy()
    for spoiled in ("value", "error_bar", "discrepancy"):
        arrays = {"value": value, "error_bar": 1e-12 * abs(value), "discrepancy": 0.0 * value}
        arrays = {name: array.copy() for name, array in arrays.items()}
        arrays[spoiled][2] = np.nan
        if spoiled == "value":
            arrays["discrepancy"][2] = np.nan
        entries = Entries((7,), np.arange(7), value, **arrays)
        verdict = judge(PROBES, entries, claim, 1.0).verdict
        # A bar that is no number holds nothing; a derivative that is none, no discrepancy.
        assert verdict == ("fail" if spoiled == "error_bar" else "inconclusive")


def test_entries_come_back_as_they_were_measured():
    for seed in SEEDS:
        claim, measured = random_measurements(seed)
        entries = Entries.of(claim.analytic.shape, measured)
        assert len(entries) == len(measured)
        for entry, back in zip(measured, entries, strict=True):
            assert (back.index, back.analytic) == (entry.index, entry.analytic)
            assert outcome(back.derivative) == outcome(entry.derivative)
            found, same = entry.derivative, back.derivative
            for name in ("value", "error_bar", "discrepancy", "jump"):
                assert getattr(same, name) == pytest.approx(getattr(found, name), nan_ok=True)
            assert (same.limit, same.side, same.beside) == (found.limit, found.side, found.beside)


def test_a_part_of_the_entries_keeps_what_is_special_about_each():
    for seed in SEEDS:
        claim, measured = random_measurements(seed)
        entries = Entries.of(claim.analytic.shape, measured)
        mask = np.random.default_rng(seed).random(len(measured)) < 0.5
        part = entries.chosen(mask)
        kept = [entry for entry, is_kept in zip(measured, mask, strict=True) if is_kept]
        assert [entry.index for entry in part] == [entry.index for entry in kept]
        expected = [is_at_kink(entry.derivative) for entry in kept]
        assert part.special_where(is_at_kink).tolist() == expected
        said = [outcome(entry.derivative) == "disagrees" for entry in kept]
        assert which(part, "disagrees").tolist() == said


def test_entries_measured_anew_replace_the_old_ones_and_leave_those_alone():
    places = [(row, column) for row in range(3) for column in range(4)]
    entries = Entries.of(
        (3, 4), [EntryMeasurement(index, 1.0, plain(1.0, 1e-9, 0.0)) for index in places]
    )
    kink = LineDerivative(2.0, 1e-9, 1.0, "kink", 1.0, 4, "kink", 1e-3)
    changed = entries.with_special({5: kink})
    assert changed[5].derivative == kink
    assert (changed[5].index, changed[5].analytic) == (entries[5].index, 1.0)
    assert (changed.value[5], changed.discrepancy[5]) == (2.0, 1.0)
    assert np.flatnonzero(which(changed, "disagrees")).tolist() == [5]
    assert not entries.special
    assert np.all(entries.value == 1.0)


def test_arrays_in_any_memory_order_are_read_by_index():
    array = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    listed = [EntryMeasurement(index, 0.0, plain(1.0, 0.1, 1.0)) for index in [(0, 1), (2, 3)]]
    entries = Entries.of((3, 4), listed)
    assert entries.taken_from(array).tolist() == [array[0, 1], array[2, 3]]
    assert np.argwhere(wrong_entries(entries)).tolist() == [[0, 1], [2, 3]]
    claim = Claim("W", array, array + 1.0, 0.0, array, array, REQUIRED)
    failing = Judgement("fail", "", "none", 1e-9, all_zero=False, kinks=0)
    found = Measured(claim, (), entries, failing, is_located=True)
    assert np.argwhere(found.wrong).tolist() == [[0, 1], [2, 3]]
