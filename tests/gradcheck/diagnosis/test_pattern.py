"""GC301 to GC305: which part is wrong."""

import numpy as np
import pytest

from gradcheck.diagnosis.pattern import wrong_part

SEEDS = range(10)


def part(facts_of_array, true, mask, change=lambda array: 1.7 * array + 0.1, seed=0):
    """Return the explanations of a gradient that is changed where a mask says."""
    claimed = np.where(mask, change(true), true)
    return list(wrong_part(facts_of_array(true, claimed, seed=seed)))


def mask_of(shape, *indices):
    mask = np.zeros(shape, dtype=bool)
    for index in indices:
        mask[index] = True
    return mask


ALL = slice(None)


@pytest.mark.parametrize(
    ("shape", "indices", "expected"),
    [
        ((5, 6), [(2,)], ("wrong_row", "wrong in row 2")),
        ((5, 6), [(0,), (3,)], ("wrong_row", "wrong in rows 0, 3")),
        ((5, 6), [(slice(1, 4),)], ("wrong_row", "wrong in rows 1 to 3")),
        ((5, 6), [(ALL, 5)], ("wrong_column", "wrong in column 5")),
        ((5, 6), [(ALL, 0), (ALL, 4)], ("wrong_column", "wrong in columns 0, 4")),
        ((4, 5, 6), [(1,)], ("wrong_row", "wrong in row 1")),
        ((4, 5, 6), [(ALL, 2)], ("wrong_block", "wrong in index 2 of axis 1")),
        ((4, 5, 6), [(ALL, ALL, 3)], ("wrong_column", "wrong in column 3")),
        ((5, 6), [(slice(0, 2), slice(3, 6))], ("wrong_block", "wrong in the block [0:2, 3:6]")),
        ((4, 5, 6), [(0, 1)], ("wrong_block", "wrong in the block [0, 1, 0:6]")),
        ((10,), [(slice(4, 8),)], ("wrong_block", "wrong in the block [4:8]")),
        ((10, 1), [(slice(4, 8),)], ("wrong_block", "wrong in the block [4:8, 0]")),
        ((5, 6), [(2, 3)], ("sparse_entry", "wrong in entry [2, 3]")),
        ((5, 6), [(0, 0), (4, 1)], ("sparse_entry", "wrong in entries [0, 0], [4, 1]")),
        ((9,), [(3,)], ("sparse_entry", "wrong in entry [3]")),
        ((3, 3, 3), [(0, 1, 2)], ("sparse_entry", "wrong in entry [0, 1, 2]")),
    ],
)
def test_the_part_that_is_wrong_is_told(shape, indices, expected, waves, facts_of_array):
    mask = mask_of(shape, *indices)
    for seed in SEEDS:
        (found,) = part(facts_of_array, waves({"W": shape}, seed).true["W"], mask, seed=seed)
        slug, words = expected
        assert found.code.slug == slug
        assert found.evidence == f"{words}; all other entries agree"
        assert np.array_equal(found.unknown["W"], mask)
        assert found.details == {"count": np.count_nonzero(mask)}


def test_single_rows_of_more_than_five_are_counted(waves, facts_of_array):
    mask = mask_of((20, 2), *((row,) for row in range(0, 14, 2)))
    (found,) = part(facts_of_array, waves({"W": (20, 2)}).true["W"], mask)
    assert found.evidence.startswith("wrong in rows 0, 2, 4, 6, 8 and 2 more")


def test_scattered_entries_of_more_than_three_are_counted(waves, facts_of_array):
    mask = mask_of((10, 10), (0, 3), (2, 9), (5, 5), (7, 0), (9, 9))
    (found,) = part(facts_of_array, waves({"W": (10, 10)}).true["W"], mask)
    assert found.code.slug == "sparse_entry"
    assert found.evidence.startswith("wrong in entries [0, 3], [2, 9], [5, 5] and 2 more")


def test_a_row_may_be_right_where_both_gradients_are_zero(waves, facts_of_array):
    for columns in ([1], [0, 5], [1, 3]):
        true, mask = waves({"W": (5, 6)}).true["W"], mask_of((5, 6), (2,))
        true[:, columns] = 0.0
        mask[:, columns] = False
        (found,) = part(facts_of_array, true, mask)
        assert (found.code.slug, found.evidence.partition(";")[0]) == (
            "wrong_row",
            "wrong in row 2",
        )


def test_a_block_between_zeros_is_neither_rows_nor_columns(waves, facts_of_array):
    true, mask = waves({"W": (5, 6)}).true["W"], mask_of((5, 6), (slice(1, 3), slice(2, 5)))
    true = np.where(mask, true, 0.0)
    (found,) = part(facts_of_array, true, mask)
    assert found.code.slug == "wrong_block"


def test_several_rows_may_be_right_in_an_entry(waves, facts_of_array):
    mask = mask_of((5, 6), (1,), (3,))
    mask[3, 1] = False
    (found,) = part(facts_of_array, waves({"W": (5, 6)}).true["W"], mask)
    assert found.code.slug == "wrong_row"


def test_parts_of_a_row_are_a_block(waves, facts_of_array):
    mask = mask_of((5, 6), (2, slice(0, 4)))
    (found,) = part(facts_of_array, waves({"W": (5, 6)}).true["W"], mask)
    assert (found.code.slug, found.evidence.partition(";")[0]) == (
        "wrong_block",
        "wrong in the block [2, 0:4]",
    )


@pytest.mark.parametrize(
    "mask",
    [
        np.ones((5, 6), dtype=bool),
        np.add.outer(np.arange(5), np.arange(6)) % 2 == 0,
        np.arange(30).reshape(5, 6) != 7,
        np.arange(30).reshape(5, 6) >= 6,
        np.add.outer(np.arange(5), np.arange(6)) % 3 == 0,
    ],
)
def test_what_is_wrong_all_over_has_no_part(mask, waves, facts_of_array):
    assert part(facts_of_array, waves({"W": (5, 6)}).true["W"], mask) == []


@pytest.mark.parametrize("shape", [(), (1,)])
def test_a_lone_entry_has_no_part(shape, waves, facts_of_array):
    assert part(facts_of_array, waves({"W": shape}).true["W"], np.ones(shape, dtype=bool)) == []


def test_without_all_entries_nothing_is_told(waves, facts_of_array):
    true = waves({"W": (5, 6)}).true["W"]
    claimed = np.where(mask_of((5, 6), (2,)), 2.0 * true, true)
    assert list(wrong_part(facts_of_array(true, claimed, measured=0.9))) == []


@pytest.mark.parametrize("factor", [2.0, -1.0, 0.3])
def test_a_common_factor_of_the_part_is_told(factor, waves, facts_of_array):
    for seed in SEEDS:
        true, mask = waves({"W": (5, 6)}, seed).true["W"], mask_of((5, 6), (2,))
        (found,) = part(facts_of_array, true, mask, lambda array: factor * array, seed)
        assert found.evidence == (
            f"wrong in row 2, analytic / numerical being {factor:.5g} there; all other entries "
            "agree"
        )


def test_a_factor_of_a_single_entry_is_not_told(waves, facts_of_array):
    true, mask = waves({"W": (5, 6)}).true["W"], mask_of((5, 6), (2, 3))
    (found,) = part(facts_of_array, true, mask, lambda array: 2.0 * array)
    assert found.evidence == "wrong in entry [2, 3]; all other entries agree"


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (mask_of((5, 6), (slice(3, 5),)), "rows 3, 4"),
        (mask_of((5, 6), (2, 3)), "entry [2, 3]"),
        (np.tri(5, 6, -1, dtype=bool), "10 entries"),
    ],
)
def test_zeros_are_told_whatever_part_they_fill(mask, words, waves, facts_of_array):
    for seed in SEEDS:
        true = waves({"W": (5, 6)}, seed).true["W"]
        (found,) = part(facts_of_array, true, mask, np.zeros_like, seed)
        assert found.code.slug == "partial_zero"
        assert found.evidence == (
            f"analytic 0 in {words}, where the numerical gradient is not; all other entries agree"
        )


@pytest.mark.parametrize("size", [1e150, 1e-200])
def test_the_size_of_a_gradient_does_not_matter(size, waves, facts_of_array):
    true, mask = size * waves({"W": (5, 6)}).true["W"], mask_of((5, 6), (2,))
    (found,) = part(facts_of_array, true, mask, lambda array: 2.0 * array)
    assert found.evidence.startswith("wrong in row 2, analytic / numerical being 2 there")


def test_huge_numbers_for_tiny_ones_are_coped_with(waves, facts_of_array):
    true, mask = 1e-200 * waves({"W": (5, 6)}).true["W"], mask_of((5, 6), (2,))
    (found,) = part(facts_of_array, true, mask, lambda array: array * 1e300 * 1e100)
    assert found.code.slug == "wrong_row"


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ((1,), ("wrong_row", "wrong in row 1, analytic / numerical being 2 there")),
        ((ALL, 3), ("wrong_column", "wrong in column 3, analytic / numerical being 2 there")),
        (
            (slice(0, 2), slice(1, 3)),
            ("wrong_block", "wrong in the block [0:2, 1:3], analytic / numerical being 2 there"),
        ),
        ((2, 0), ("sparse_entry", "wrong in entry [2, 0]")),
    ],
)
def test_a_wrong_part_is_named(index, expected, dtype, waves, only_error):
    mask = mask_of((3, 4), index)
    report = waves({"W": (3, 4), "b": (4,)}, dtype=dtype).checked(
        lambda true, _: {**true, "W": np.where(mask, 2.0 * true["W"], true["W"])}
    )
    found = only_error(report)
    slug, words = expected
    assert (found.slug, found.parameters) == (slug, ("W",))
    assert found.told.startswith(f"{words}; all other entries agree")
    assert np.array_equal(report["W"].wrong, mask)
    assert report["b"].verdict == "pass"


def test_zeros_in_a_part_are_named(waves, only_error):
    mask = mask_of((3, 4), (2,))
    report = waves({"W": (3, 4)}).checked(lambda true, _: {"W": np.where(mask, 0.0, true["W"])})
    found = only_error(report)
    assert found.slug == "partial_zero"
    assert np.array_equal(report["W"].wrong, mask)


def test_the_same_part_of_two_parameters_is_one_finding_with_both_counts(waves, only_error):
    def fault(true, _):
        changed = {name: array.copy() for name, array in true.items()}
        changed["a"][1] *= 2.0
        changed["b"][0] *= 2.0
        return changed

    found = only_error(waves({"a": (3, 4), "b": (3, 5)}).checked(fault))
    assert (found.slug, found.parameters) == ("wrong_row", ("a", "b"))
    assert found.details == {"a": {"count": 4}, "b": {"count": 5}}
    assert "a: wrong in row 1" in found.told
    assert "b: wrong in row 0" in found.told


def test_parts_of_different_kinds_are_findings_of_their_own(waves, errors):
    def fault(true, _):
        changed = {name: array.copy() for name, array in true.items()}
        changed["a"][1] *= 2.0
        changed["b"][:, 2] *= -1.0
        return changed

    found = errors(waves({"a": (3, 4), "b": (3, 5)}).checked(fault))
    assert [(one.slug, one.parameters) for one in found] == [
        ("wrong_row", ("a",)),
        ("wrong_column", ("b",)),
    ]
