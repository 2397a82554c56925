"""GC201, GC207, GC208: the right numbers at the wrong places."""

import numpy as np
import pytest

from gradcheck.diagnosis.rearranged import rearranged

SEEDS = range(10)


def reordered(change):
    return lambda true, _: {name: change(array) for name, array in true.items()}


def proposed(facts, true):
    """Return the slugs proposed, of what equals the true gradient."""
    return {
        found.code.slug
        for found in rearranged(facts)
        if np.allclose(found.repaired["W"], true, rtol=1e-9, atol=0.0)
    }


@pytest.mark.parametrize(
    ("shape", "axes"),
    [((4, 4), (1, 0)), ((3, 3, 2), (1, 0, 2)), ((2, 3, 3), (0, 2, 1)), ((3, 2, 3), (2, 1, 0))],
)
@pytest.mark.parametrize("factor", [1.0, -1.0, 2.0, 1.7])
def test_two_exchanged_axes_are_a_transpose(shape, axes, factor, waves, facts_of_array):
    for seed in SEEDS:
        true = waves({"W": shape}, seed).true["W"]
        facts = facts_of_array(true, factor * true.transpose(axes), seed=seed)
        first = next(rearranged(facts))
        assert first.code.slug == "transposed"
        np.testing.assert_allclose(first.repaired["W"], true, rtol=1e-9)


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (2, 3, 4), (4, 2), (2, 2, 3, 2), (3, 1, 4)])
def test_every_memory_order_is_undone(shape, waves, facts_of_array):
    for seed in SEEDS:
        true = waves({"W": shape}, seed).true["W"]
        axes = tuple(reversed(range(len(shape))))
        for claimed in (
            true.transpose(axes).reshape(shape),
            true.reshape([shape[axis] for axis in axes]).transpose(axes),
            true.ravel("F").reshape(shape),
        ):
            facts = facts_of_array(true, np.ascontiguousarray(claimed), seed=seed)
            assert "wrong_memory_order" in proposed(facts, true)


@pytest.mark.parametrize("shape", [(2,), (5,), (70,), (3, 4), (4, 4), (2, 3, 2)])
@pytest.mark.parametrize("shift", [1, -1, 2])
def test_shifts_along_any_axis_are_undone(shape, shift, waves, facts_of_array):
    for axis in range(len(shape)):
        if shift % shape[axis] == 0:
            continue
        for seed in SEEDS:
            true = waves({"W": shape}, seed).true["W"]
            facts = facts_of_array(true, np.roll(true, shift, axis), seed=seed)
            assert "permutation" in proposed(facts, true)


@pytest.mark.parametrize(
    ("shape", "axes"), [((5,), (0,)), ((3, 4), (0,)), ((3, 4), (0, 1)), ((2, 3, 2), (1, 2))]
)
def test_reversals_are_undone(shape, axes, waves, facts_of_array):
    for seed in SEEDS:
        true = waves({"W": shape}, seed).true["W"]
        facts = facts_of_array(true, np.flip(true, axes), seed=seed)
        assert "permutation" in proposed(facts, true)


@pytest.mark.parametrize(("shape", "axis"), [((7,), 0), ((6, 4), 0), ((4, 6), 1), ((2, 5, 3), 1)])
def test_slices_in_any_order_are_undone(shape, axis, waves, facts_of_array):
    for seed in SEEDS:
        true = waves({"W": shape}, seed).true["W"]
        order = np.random.default_rng(seed).permutation(shape[axis])
        while np.array_equal(order, np.arange(shape[axis])):
            order = np.random.default_rng(seed + 100).permutation(shape[axis])
        facts = facts_of_array(true, np.take(true, order, axis), seed=seed)
        assert "permutation" in proposed(facts, true)


def test_an_order_that_was_read_off_counts_as_one_of_many(waves, facts_of_array):
    true = waves({"W": (9,)}).true["W"]
    claimed = true[[3, 0, 4, 1, 2, 5, 6, 7, 8]]
    (found,) = rearranged(facts_of_array(true, claimed))
    # Five of nine places were filled from the nine entries there are.
    assert found.tries >= 9 * 8 * 7 * 6 * 5


def test_slices_of_a_sample_are_enough(waves, facts_of_array):
    for seed in SEEDS:
        true = waves({"W": (6, 40)}, seed).true["W"]
        claimed = true[[1, 0, 2, 3, 5, 4]]
        facts = facts_of_array(true, claimed, measured=0.2, seed=seed)
        assert "permutation" in proposed(facts, true)


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_a_lone_entry_has_no_order(shape, waves, facts_of_array):
    true = waves({"W": shape}).true["W"]
    assert list(rearranged(facts_of_array(true, 2.0 * true))) == []


def test_a_zero_gradient_has_no_order(waves, facts_of_array):
    true = waves({"W": (4, 4)}).true["W"]
    assert list(rearranged(facts_of_array(true, 0.0 * true))) == []


@pytest.mark.parametrize("size", [1e150, 1e-200])
def test_the_size_of_a_gradient_does_not_matter(size, waves, facts_of_array):
    true = size * waves({"W": (4, 4)}).true["W"]
    facts = facts_of_array(true, -1.7 * true.T)
    assert "transposed" in proposed(facts, true)


def test_a_transpose_with_one_more_wrong_entry_is_not_proposed(waves, facts_of_array):
    for seed in SEEDS:
        true = waves({"W": (4, 4)}, seed).true["W"]
        claimed = true.T.copy()
        facts = facts_of_array(true, claimed, seed=seed)
        row, column = divmod(int(facts.samples["W"].positions[0]), 4)
        claimed[column, row] *= 1.001
        assert proposed(facts, true) == set()


def test_unrelated_numbers_have_no_order(waves, facts_of_array):
    for seed in SEEDS:
        true = waves({"W": (4, 4)}, seed).true["W"]
        other = waves({"W": (4, 4)}, seed + 1000).true["W"]
        assert list(rearranged(facts_of_array(true, other, seed=seed))) == []


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_transpose_is_named(dtype, waves, only_error):
    report = waves({"W": (4, 4), "b": (4,)}, dtype=dtype).checked(
        lambda true, _: {**true, "W": true["W"].T}
    )
    found = only_error(report)
    assert found.slug == "transposed"
    assert found.parameters == ("W",)
    assert found.told == "its transpose agrees with the numerical gradient"
    assert found.details == {}
    # Of a square matrix, the other memory order is the transpose.
    assert found.alternatives == ("wrong_memory_order",)
    assert report["b"].verdict == "pass"


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("factor", "expected"),
    [
        (2.0, ("constant_factor", "2")),
        (-1.0, ("sign_flip", "-1")),
        (1 / 8, ("batch_size_factor", "1/batch")),
    ],
)
def test_a_factor_of_a_transpose_is_named_beside_it(factor, expected, dtype, waves, errors):
    report = waves({"W": (4, 4), "V": (3, 3)}, dtype=dtype).checked(
        reordered(lambda array: factor * array.T), sizes={"batch": 8}
    )
    first, second = errors(report)
    slug, matches = expected
    assert (first.slug, second.slug) == ("transposed", slug)
    assert first.parameters == second.parameters == ("W", "V")
    assert first.told == (f"its transpose agrees with the numerical gradient, times {matches}")
    assert second.told == f"together with transposed: {first.told}"
    assert second.details == {"factor": factor, "matches": matches}


def test_sign_and_size_of_a_transpose_are_three_findings(waves, errors):
    report = waves({"W": (4, 4)}).checked(
        reordered(lambda array: -8.0 * array.T), sizes={"batch": 8}
    )
    assert [found.slug for found in errors(report)] == [
        "transposed",
        "batch_size_factor",
        "sign_flip",
    ]


def test_exchanged_axes_of_a_tensor_are_named(waves, only_error):
    found = only_error(
        waves({"W": (3, 3, 2)}).checked(reordered(lambda array: array.transpose(1, 0, 2)))
    )
    assert found.slug == "transposed"
    assert found.told == "it with axes 0, 1 exchanged agrees with the numerical gradient"


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_memory_order_is_named(dtype, waves, only_error):
    found = only_error(
        waves({"W": (3, 5)}, dtype=dtype).checked(reordered(lambda array: array.T.reshape(3, 5)))
    )
    assert found.slug == "wrong_memory_order"
    assert found.parameters == ("W",)
    assert found.told == ("it reshaped to (5, 3) and transposed agrees with the numerical gradient")
    assert found.alternatives == ()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda array: np.roll(array, 1, 0), "it rolled by -1 along axis 0"),
        (lambda array: np.roll(array, -2, 1), "it rolled by 2 along axis 1"),
        (lambda array: array[:, ::-1], "it reversed along axis 1"),
        (lambda array: array[::-1, ::-1], "it reversed along axes 0, 1"),
        (
            lambda array: array[:, [3, 0, 4, 1, 2]],
            "it with its slices along axis 1 in another order "
            "(0 holds 1, 1 holds 3, 2 holds 4 and 2 more)",
        ),
        (
            lambda array: array[:, [0, 2, 1, 3, 4]],
            "it with its slices along axis 1 in another order (1 holds 2, 2 holds 1)",
        ),
    ],
)
def test_a_permutation_is_named(change, words, dtype, waves, only_error):
    found = only_error(waves({"W": (4, 5)}, dtype=dtype).checked(reordered(change)))
    assert found.slug == "permutation"
    assert found.parameters == ("W",)
    assert found.told == f"{words} agrees with the numerical gradient"


def test_a_symmetric_gradient_is_its_own_transpose(waves, only_error):
    problem = waves({"W": (4, 4)})
    problem.heights["W"][...] = np.abs(problem.heights["W"] + problem.heights["W"].T)
    problem.phases["W"][...] = -problem.parameters["W"] + 0.3
    found = only_error(problem.checked(reordered(lambda array: 2.0 * array.T)))
    assert found.slug == "constant_factor"
    # Here the transpose would be repaired in the same way.
    assert {"transposed", "wrong_memory_order", "accumulated_twice"} <= set(found.alternatives)


def test_rolled_pairs_are_reversed_pairs(waves, only_error):
    found = only_error(waves({"b": (2,)}).checked(reordered(lambda array: array[::-1])))
    assert found.slug == "permutation"


def test_a_transpose_with_one_more_wrong_entry_is_unexplained(waves, only_error):
    def fault(true, _):
        claimed = true["W"].T.copy()
        claimed[1, 2] *= 1.01
        return {"W": claimed}

    for seed in SEEDS:
        assert only_error(waves({"W": (4, 4)}, seed).checked(fault)).slug == "unexplained"


def test_unrelated_numbers_are_unexplained(waves, only_error):
    for seed in SEEDS:
        other = waves({"W": (4, 4)}, seed + 1000).true["W"]
        report = waves({"W": (4, 4)}, seed).checked(lambda _true, _, other=other: {"W": other})
        assert only_error(report).slug == "unexplained"
