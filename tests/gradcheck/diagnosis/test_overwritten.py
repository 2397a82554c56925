"""GC412: rows that are used more than once and keep one contribution."""

import numpy as np
import pytest

from gradcheck import Problem, check
from gradcheck.diagnosis.overwritten import overwritten_accumulation

SEEDS = range(10)
TOKENS = np.array([0, 2, 2, 5, 1, 5, 5])
ONCE, REPEATED, UNUSED = [0, 1], [2, 5], [3, 4]


def embedding(tokens, seed, add, dtype=float):
    """Return sum of sin(E[tokens] * C), its gradient added up as `add` does."""
    generator = np.random.default_rng([seed, 11])
    table = generator.normal(size=(6, 3)).astype(dtype)
    slopes = generator.uniform(0.5, 1.5, (len(tokens), 3))

    def loss(parameters, indices):
        return float(np.sum(np.sin(parameters["E"][indices] * slopes)))

    def gradient(parameters, indices):
        found = np.zeros_like(parameters["E"])
        add(found, indices, slopes * np.cos(parameters["E"][indices] * slopes))
        return {"E": found}

    return Problem(loss, gradient, {"E": table}, args=(tokens,))


def overwriting(found, indices, contributions):
    found[indices] = contributions


def adding_wrongly(found, indices, contributions):
    # What numpy does with +=: of several contributions to a row, the last one counts.
    found[indices] += contributions


def adding(found, indices, contributions):
    np.add.at(found, indices, contributions)


def facts_of_rows(facts_of_array, waves, rows, seed=0, shape=(6, 3), **fields):
    true = waves({"E": shape}, seed).true["E"]
    claimed = true.copy()
    claimed[rows] *= 0.4
    return facts_of_array(true, claimed, seed=seed, **({"args": (TOKENS,)} | fields))


@pytest.mark.parametrize("shape", [(6,), (6, 3), (6, 2, 2)])
def test_repeated_rows_are_proposed_as_wrong(shape, waves, facts_of_array):
    for seed in SEEDS:
        facts = facts_of_rows(facts_of_array, waves, REPEATED, seed, shape)
        (found,) = overwritten_accumulation(facts)
        assert found.details == {"rows": REPEATED}
        assert found.unknown["W"][REPEATED].all()
        assert not found.unknown["W"][ONCE + UNUSED].any()


@pytest.mark.parametrize("rows", [[2], [5], [2, 5, 0], [0, 1], [2, 5, 3]])
def test_other_rows_are_not(rows, waves, facts_of_array):
    for seed in SEEDS:
        facts = facts_of_rows(facts_of_array, waves, rows, seed)
        assert list(overwritten_accumulation(facts)) == []


@pytest.mark.parametrize(
    "data",
    [
        TOKENS.astype(float),
        np.array([0, 1, 2]),  # none repeated
        np.array([2, 2, 5, 5]),  # all repeated
        np.array([2, 2, 5, 5, -1]),
        np.array([2, 2, 5, 5, 6]),
        np.array([], dtype=int),
        [2, 2, 5, 5, 0],
        TOKENS > 1,
        3,
    ],
)
def test_other_data_do_not_tell(data, waves, facts_of_array):
    facts = facts_of_rows(facts_of_array, waves, REPEATED, args=(data,))
    assert list(overwritten_accumulation(facts)) == []


def test_indices_may_come_in_any_argument_and_shape(waves, facts_of_array):
    grid = np.array([[0, 2, 2], [5, 5, 1]], dtype=np.uint8)
    facts = facts_of_rows(facts_of_array, waves, REPEATED, args=(np.ones(3), grid))
    (found,) = overwritten_accumulation(facts)
    assert "args[1] names more than once" in found.evidence


def test_a_padding_index_that_is_never_used_is_left_apart(only_error):
    # Row 5 is looked up more than once, but the loss leaves it out, and so does the gradient.
    problem = embedding(TOKENS, 0, overwriting)
    slopes = np.random.default_rng(0).uniform(0.5, 1.5, (4, 3))

    def loss(parameters, indices):
        return float(np.sum(np.sin(parameters["E"][indices[indices != 5]] * slopes)))

    def gradient(parameters, indices):
        found, kept = np.zeros_like(parameters["E"]), indices[indices != 5]
        overwriting(found, kept, slopes * np.cos(parameters["E"][kept] * slopes))
        return {"E": found}

    found = only_error(check(Problem(loss, gradient, problem.parameters, args=(TOKENS,))))
    assert found.slug == "overwritten_accumulation"
    assert found.details == {"rows": [2]}
    assert "names more than once, but for 5, zero in both; right" in found.told


def test_a_scalar_has_no_rows(waves, facts_of_array):
    true = waves({"s": ()}).true["s"]
    assert list(overwritten_accumulation(facts_of_array(true, 2.0 * true, args=(TOKENS,)))) == []


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("add", [overwriting, adding_wrongly])
def test_an_embedding_that_keeps_one_contribution_is_named(add, dtype, only_error):
    for seed in range(3):
        report = check(embedding(TOKENS, seed, add, dtype))
        found = only_error(report)
        assert found.slug == "overwritten_accumulation"
        assert found.parameters == ("E",)
        assert found.told.startswith(
            "wrong in rows 2, 5, the very ones that args[0] names more than once; right in all "
            "others"
        )
        assert found.details == {"rows": REPEATED}
        assert np.flatnonzero(report["E"].wrong.any(axis=1)).tolist() == REPEATED


def test_an_embedding_that_adds_up_passes():
    assert check(embedding(TOKENS, 0, adding)).verdict == "pass"


def test_where_all_rows_are_repeated_the_cause_is_not_told(only_error):
    tokens = np.array([2, 5, 2, 5])
    found = only_error(check(embedding(tokens, 0, overwriting)))
    assert found.slug == "wrong_row"


def test_wrong_rows_beside_the_repeated_ones_are_wrong_rows(only_error):
    def add(found, indices, contributions):
        overwriting(found, indices, contributions)
        found[0] *= 1.5

    assert only_error(check(embedding(TOKENS, 0, add))).slug == "wrong_row"
