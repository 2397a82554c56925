"""Slight discrepancies: no mistake where they are spread over all entries, one where not."""

import numpy as np
import pytest

from gradcheck import check_gradients
from gradcheck.conclusion import LineDerivative
from gradcheck.entry_table import Entries, EntryMeasurement
from gradcheck.probes import Claim, ProbeMeasurement
from gradcheck.verdict import judge

SEEDS = range(10)
SIZE, SAMPLED = 10_000, 200
TYPICAL = 100.0  # norm of a gradient of ones in so many entries
REQUIRED = 1e-6


def derivative(off, bar, value=1.0):
    return LineDerivative(value, bar, off, "smooth", 0.0, 4, "precision", 1e-3)


def judged(probe_off, entries_off, *, probe_bar=1e-8, entry_bar=1e-10, scale=1.0):
    """Judge a parameter whose probes are off by a part of their typical slope, and its entries."""
    zero = np.zeros(SIZE)
    claim = Claim("W", zero + 1.0 / scale, zero + scale, 2e-16, zero, zero, REQUIRED)
    bad = derivative(probe_off * TYPICAL, probe_bar * TYPICAL)
    good = derivative(0.0, probe_bar * TYPICAL)
    probes = [ProbeMeasurement(each, TYPICAL, TYPICAL) for each in (good, bad)]
    entries = [
        EntryMeasurement((i,), 1.0 / scale, derivative(off / scale, entry_bar / scale))
        for i, off in enumerate(entries_off)
    ]
    return judge(probes, Entries.of((SIZE,), entries), claim, largest_effect=TYPICAL)


EVERYWHERE = np.full(SAMPLED, 5e-8)
NOWHERE = np.zeros(SAMPLED)
SPREAD = 5e-8 * np.random.default_rng(0).standard_normal(SAMPLED)


# Bars of the entries are as wide as their discrepancies, so that only the probes accuse.
@pytest.mark.parametrize("off", [EVERYWHERE, -EVERYWHERE, SPREAD])
@pytest.mark.parametrize("scale", [1.0, 1e6, 1e-6])
def test_slight_error_in_every_entry_is_no_mistake(off, scale):
    bar = float(np.max(np.abs(off)))
    found = judged(5e-8, off, entry_bar=bar, scale=scale)
    assert found.verdict == "pass"
    assert found.resolution >= 5e-8  # what was seen is not ruled out


def test_slight_error_that_sampled_entries_do_not_show_lies_in_others():
    assert judged(5e-8, NOWHERE).verdict == "fail"
    assert judged(-5e-8, NOWHERE).verdict == "fail"
    faint = 0.2 * EVERYWHERE  # less than the part of it that spreading it out would show
    assert judged(5e-8, faint, entry_bar=1e-8).verdict == "fail"
    assert judged(5e-8, 0.4 * EVERYWHERE, entry_bar=2e-8).verdict == "pass"


def test_larger_error_is_a_mistake_even_in_every_entry():
    off = np.full(SAMPLED, 2e-7)
    assert judged(2e-7, off, entry_bar=2e-7).verdict == "fail"
    assert judged(0.9e-7, 0.45 * off, entry_bar=2e-7).verdict == "pass"


def test_entries_that_cannot_show_so_little_accuse_nobody():
    assert judged(5e-8, NOWHERE, entry_bar=1e-6).verdict == "pass"
    assert judged(5e-8, NOWHERE, entry_bar=5e-8).verdict == "fail"


def test_without_entries_a_probe_that_disagrees_fails():
    assert judged(5e-8, []).verdict == "fail"


def test_an_entry_that_is_off_by_itself_fails_whatever_the_others_do():
    off = EVERYWHERE.copy()
    off[7] = 1e-3
    assert judged(5e-8, off, entry_bar=5e-8).verdict == "fail"


# Through the front door, a gradient in closed form being off by a known factor.


def point(size, seed):
    return np.random.default_rng(seed).uniform(-1.5, 1.5, size)


def loss(x):
    return float(np.sum(np.exp(x))) / x.size


def off_by(relative):
    return lambda x: np.exp(x) / x.size * (1 + relative)


LARGE = 6_000  # too many entries to compare each


@pytest.mark.parametrize("off", [3e-8, -3e-8])
@pytest.mark.parametrize("size", [1, 12, LARGE])
def test_gradient_off_by_a_few_parts_in_1e8_passes_and_the_report_owns_up_to_it(size, off):
    for seed in SEEDS:
        report = check_gradients(loss, off_by(off), point(size, seed), seed=seed)
        assert report.verdict == "pass", seed
        # A probe may say less: its slope is not all of the gradient.
        assert report["x"].resolution >= (0.999 if size <= 12 else 0.03) * abs(off), seed


@pytest.mark.parametrize("off", [1e-5, -1e-5])
@pytest.mark.parametrize("size", [1, 12, LARGE])
def test_gradient_off_by_a_part_in_1e5_fails(size, off):
    for seed in SEEDS:
        report = check_gradients(loss, off_by(off), point(size, seed), seed=seed)
        assert report.verdict == "fail", seed


def test_one_entry_off_by_a_part_in_1e5_fails():
    def wrong(x):
        gradient = off_by(0.0)(x)
        gradient[3] *= 1 + 1e-5
        return gradient

    for seed in SEEDS:
        report = check_gradients(loss, wrong, point(12, seed), seed=seed)
        assert np.flatnonzero(report["x"].wrong).tolist() == [3], seed


@pytest.mark.parametrize(
    ("off", "required", "verdict"),
    [(1e-8, 1e-8, "fail"), (3e-8, 1e-8, "fail"), (3e-8, 1e-3, "pass"), (1e-6, 1e-3, "fail")],
)
def test_what_counts_as_slight_follows_a_sharp_requirement_but_no_lax_one(off, required, verdict):
    for seed in SEEDS:
        report = check_gradients(
            loss, off_by(off), point(12, seed), required_resolution=required, seed=seed
        )
        assert report.verdict == verdict, seed


def tridiagonal(size, seed):
    """Return a matrix for which a simple iteration converges."""
    rng = np.random.default_rng(seed)
    matrix = np.diag(rng.uniform(2.5, 4.0, size))
    matrix += np.diag(rng.uniform(-1, 1, size - 1), 1) + np.diag(rng.uniform(-1, 1, size - 1), -1)
    return matrix


def iterated(matrix, right, tolerance):
    """Solve by Jacobi's iteration until every entry's residual is small beside that entry."""
    diagonal = np.diag(matrix)
    solution = right / diagonal
    residual = right - matrix @ solution
    while np.any(np.abs(residual) > tolerance * np.abs(solution)):
        solution = solution + residual / diagonal
        residual = right - matrix @ solution
    return solution


@pytest.mark.parametrize(
    ("tolerance", "verdict"), [(1e-12, "pass"), (1e-8, "pass"), (1e-3, "fail")]
)
def test_an_implicit_gradient_is_right_as_far_as_its_solver_converged(tolerance, verdict):
    """The loss solves A z = x exactly; the gradient solves the transposed system by iteration."""
    for seed in SEEDS:
        matrix = tridiagonal(30, seed)

        def implicit(x, matrix=matrix):
            return 0.5 * float(np.sum(np.linalg.solve(matrix, x) ** 2))

        def gradient(x, matrix=matrix):
            return iterated(matrix.T, np.linalg.solve(matrix, x), tolerance)

        report = check_gradients(implicit, gradient, point(30, seed), seed=seed)
        assert report.verdict == verdict, f"seed {seed}\n{report}"
