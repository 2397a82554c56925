"""What a report calls wrong in parameters too large to sweep: only what was compared by itself."""

import numpy as np
import pytest

from gradcheck import check_gradients

SHAPE = (40, 45)


def squares(centre):
    return lambda x: 0.5 * float(np.sum((x - centre) ** 2))


def checked(mask, spoilt, seed=0, **options):
    """Check the gradient of a sum of squares that `spoilt` has changed within the mask."""
    generator = np.random.default_rng(seed)
    centre, start = generator.standard_normal((2, *mask.shape))
    options = {"effort": "quick", "seed": seed} | options

    def gradient(x):
        return np.where(mask, spoilt(x - centre), x - centre)

    return check_gradients(squares(centre), gradient, start, **options)


def masks():
    lone, few, row, part, block = (np.zeros(SHAPE, dtype=bool) for _ in range(5))
    lone[7, 9] = True
    few[[1, 8, 30], [3, 3, 44]] = True
    row[5] = True
    part[:25, 4] = True
    block[3:7, 10:14] = True
    return {"lone": lone, "few": few, "row": row, "part of a column": part, "block": block}


@pytest.mark.parametrize("name", masks())
@pytest.mark.parametrize("seed", range(3))
def test_the_wrong_entries_are_marked_and_no_others(name, seed):
    mask = masks()[name]
    part = checked(mask, lambda g: 2 * g, seed)["x"]
    assert np.array_equal(part.wrong, mask)
    assert part.wrong_count == mask.sum()
    assert part.checked_count < mask.size
    assert all(mask[entry.index] for entry in part.worst_entries)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("lone", "sparse_entry"),
        ("few", "sparse_entry"),
        ("row", "wrong_row"),
        ("part of a column", "wrong_block"),
        ("block", "wrong_block"),
    ],
)
def test_the_part_that_is_wrong_has_a_name(name, slug):
    (finding,) = checked(masks()[name], lambda g: 2 * g).findings
    assert finding.slug == slug


def test_zeros_are_named_as_such_whatever_part_they_fill():
    (finding,) = checked(masks()["part of a column"], lambda g: 0 * g).findings
    assert finding.slug == "partial_zero"


def test_a_cause_of_the_whole_marks_every_entry():
    report = checked(np.ones(SHAPE, dtype=bool), lambda g: 3 * g)
    assert report["x"].wrong.all()
    assert report.findings[0].slug == "constant_factor"
    assert report["x"].checked_count < 200


def test_a_cause_of_the_whole_leaves_out_what_it_does_not_change():
    start = np.arange(1.0, 401.0)
    start[::5] = 0.0
    report = check_gradients(lambda x: 0.5 * float(x @ x), lambda x: 3 * x, start, effort="quick")
    assert np.array_equal(report["x"].wrong, start != 0.0)


def test_without_a_cause_a_dense_error_has_no_mask():
    report = checked(np.ones(SHAPE, dtype=bool), lambda g: g + np.sin(40 * g))
    part = report["x"]
    assert (part.verdict, part.wrong, part.wrong_count) == ("fail", None, None)
    assert report.findings[0].slug == "unexplained"


def test_a_row_too_large_to_compare_is_named_and_not_marked():
    mask = np.zeros((4, 3000), dtype=bool)
    mask[2] = True
    report = checked(mask, lambda g: 2 * g)
    assert report["x"].verdict == "fail"
    assert report["x"].wrong is None
    (finding,) = report.findings
    assert finding.slug == "wrong_row"
    assert "row 2" in finding.evidence


def test_two_thirds_of_a_large_row_are_no_row():
    mask = np.zeros((30, 3000), dtype=bool)
    mask[7, :2000] = True
    report = checked(mask, lambda g: 2 * g)
    assert report["x"].wrong is None
    assert report.findings[0].slug == "unexplained"


def test_nothing_is_looked_for_when_the_time_is_over(monkeypatch):
    started = iter([0.0])
    monkeypatch.setattr("gradcheck.budget.time.monotonic", lambda: next(started, 1e9))
    report = checked(masks()["row"], lambda g: 2 * g, budget=1.0)
    assert report.verdict == "inconclusive"
    assert [finding.slug for finding in report.findings] == ["budget_exhausted"]


@pytest.mark.parametrize("factor", [100.0, 1e4, 1e6])
@pytest.mark.parametrize("size", [6, 6000])
def test_a_claim_that_is_far_too_large_fails_with_its_factor(factor, size):
    for seed in range(5):
        start = np.random.default_rng(seed).standard_normal(size)
        report = check_gradients(
            lambda x: float(np.sum(np.log1p(x * x))),
            lambda x: factor * 2 * x / (1 + x * x),
            start,
            effort="quick",
            seed=seed,
        )
        assert report.verdict == "fail", f"seed {seed}"
        assert report.findings[0].slug == "constant_factor"
