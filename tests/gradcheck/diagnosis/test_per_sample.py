"""GC406, GC407 as a black box: batches that are right sample by sample."""

from dataclasses import replace

import numpy as np
import pytest

from gradcheck import Problem, check
from gradcheck.diagnosis.per_sample import batch_as_black_box

SEEDS = range(10)


def regression(reduce, claim, seed=0, dtype=float, columns=False):
    """Return sum or mean over samples of sin(w x + b) y, whose gradient `claim` makes of parts.

    `claim` gets the gradient of each sample, samples on the first axis.
    """
    generator = np.random.default_rng([seed, 13])
    inputs, targets = generator.normal(size=(6, 3)), generator.uniform(0.5, 1.5, (6, 2))
    weight, bias = generator.normal(size=(3, 2)).astype(dtype), generator.normal(size=2)
    data = (inputs.T.copy(), targets.T.copy()) if columns else (inputs, targets)

    def rows(x, y):
        return (x.T, y.T) if columns else (x, y)

    def loss(parameters, x, y):
        x, y = rows(x, y)
        values = np.sin(x @ parameters["W"] + parameters["b"]) * y
        return float(reduce(values.sum(axis=1)))

    def gradient(parameters, x, y):
        x, y = rows(x, y)
        delta = np.cos(x @ parameters["W"] + parameters["b"]) * y
        parts = {"W": x[:, :, None] * delta[:, None, :], "b": delta}
        return {n: claim(n, part).astype(parameters[n].dtype) for n, part in parts.items()}

    return Problem(loss, gradient, {"W": weight, "b": bias.astype(dtype)}, args=data)


def only(names, claim, otherwise):
    """Return the claim for some parameters, and another for the rest."""
    return lambda name, part: claim(part) if name in names else otherwise(part)


def summed(part):
    return part.sum(axis=0)


def averaged(part):
    return part.mean(axis=0)


def first(part):
    return part[0]


def last(part):
    return part[-1]


def with_samples(facts_of_array, alone, claimed, reduction, **fields):
    return facts_of_array(reduction(alone), claimed, per_sample=lambda: {"W": alone}, **fields)


@pytest.mark.parametrize("shape", [(), (4,), (3, 4), (2, 3, 2)])
@pytest.mark.parametrize(("reduction", "word"), [(summed, "sum"), (averaged, "mean")])
def test_the_sum_or_mean_of_the_samples_is_proposed(shape, reduction, word, waves, facts_of_array):
    for seed in SEEDS:
        alone = waves({"W": (7, *shape)}, seed).true["W"]
        claimed = reduction(alone) - 0.3 * alone[0]
        facts = with_samples(facts_of_array, alone, claimed, reduction, seed=seed)
        (found,) = batch_as_black_box(facts)
        # That much is proved, but not what the claimed one is made of.
        assert found.code.slug == "unexplained"
        assert found.evidence.endswith("what is returned for all together does not")
        assert found.details == {"samples": 7, "reduction": word}
        np.testing.assert_allclose(found.repaired["W"], reduction(alone), rtol=1e-9)


@pytest.mark.parametrize(
    ("shape", "slug"), [((4,), "bias_not_summed"), ((3, 4), "batch_reduction")]
)
@pytest.mark.parametrize("divisor", [1.0, 7.0])
def test_the_gradient_of_one_sample_is_told(shape, slug, divisor, waves, facts_of_array):
    for number in range(7):
        alone = waves({"W": (7, *shape)}, number).true["W"]
        facts = with_samples(facts_of_array, alone, alone[number] / divisor, summed)
        (found,) = batch_as_black_box(facts)
        assert found.code.slug == slug
        over = ", over 7" if divisor == 7.0 else ""
        assert found.evidence.endswith(f"that of sample {number} alone{over}")


@pytest.mark.parametrize("count", [2, 5, 6])
@pytest.mark.parametrize("word", ["first", "last"])
def test_the_gradient_of_some_samples_is_told(count, word, waves, facts_of_array):
    for seed in SEEDS:
        alone = waves({"W": (7, 3)}, seed).true["W"]
        chosen = alone[:count] if word == "first" else alone[-count:]
        for divisor, over in ((1, ""), (count, f", over {count}"), (7, ", over 7")):
            claimed = chosen.sum(axis=0) / divisor
            (found,) = batch_as_black_box(with_samples(facts_of_array, alone, claimed, summed))
            assert found.code.slug == "batch_reduction"
            assert found.evidence.endswith(f"that of the {word} {count} samples alone{over}")


def test_samples_that_do_not_add_up_are_not_proposed(waves, facts_of_array):
    for seed in SEEDS:
        alone = waves({"W": (7, 3)}, seed).true["W"]
        wrong = alone.copy()
        wrong[2, :] *= 1.01
        facts = facts_of_array(
            alone.sum(axis=0), alone[0], per_sample=lambda wrong=wrong: {"W": wrong}
        )
        assert list(batch_as_black_box(facts)) == []


def test_other_shapes_for_one_sample_are_not_proposed(waves, facts_of_array):
    alone = waves({"W": (7, 3)}).true["W"]
    facts = facts_of_array(alone.sum(axis=0), alone[0], per_sample=lambda: {"W": alone[:, :2]})
    assert list(batch_as_black_box(facts)) == []


def test_without_samples_nothing_is_proposed(waves, facts_of_array):
    true = waves({"W": (3,)}).true["W"]
    assert list(batch_as_black_box(facts_of_array(true, 2.0 * true))) == []


def test_samples_without_any_gradient_are_coped_with(facts_of_array):
    alone = np.zeros((7, 3))
    facts = facts_of_array(np.zeros(3), np.ones(3), per_sample=lambda: {"W": alone})
    found = [one.details["reduction"] for one in batch_as_black_box(facts)]
    assert found == ["sum", "mean"]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("columns", [False, True])
def test_a_bias_of_the_first_sample_is_named(dtype, columns, only_error):
    problem = regression(np.sum, only("b", first, summed), dtype=dtype, columns=columns)
    report = check(problem)
    found = only_error(report)
    assert found.slug == "bias_not_summed"
    assert found.parameters == ("b",)
    assert found.told.startswith(
        "the sum of what is returned for each of the 6 samples alone agrees with the numerical "
        "gradient; what is returned for all is that of sample 0 alone"
    )
    assert report["W"].verdict == "pass"


def test_a_mean_of_the_last_sample_is_named(only_error):
    for seed in SEEDS:
        problem = regression(np.mean, only("b", lambda part: part[-1] / len(part), averaged), seed)
        found = only_error(check(problem))
        assert found.slug == "bias_not_summed"
        assert "that of sample 5 alone, over 6" in found.told


def test_a_batch_cut_off_is_named(only_error):
    for seed in SEEDS:
        problem = regression(
            np.sum, lambda _, part: part[: max(len(part) - 2, 1)].sum(axis=0), seed
        )
        found = only_error(check(problem))
        assert found.slug == "batch_reduction"
        assert found.parameters == ("W", "b")
        assert found.details == {"samples": 6, "reduction": "sum"}


def test_a_mean_for_a_sum_is_a_factor_first(only_error):
    problem = regression(np.sum, lambda _, part: averaged(part))
    found = only_error(check(replace(problem, sizes={"batch": 6})))
    assert found.slug == "batch_size_factor"
    assert "batch_reduction" in found.alternatives


def test_samples_that_are_mixed_up_are_told_to_be(errors):
    # A product of sums where a sum of products belongs.
    problem = regression(np.sum, lambda _, part: part.sum(axis=0) * (1 + part.std(axis=0)))
    found = errors(check(problem))
    assert {one.slug for one in found} == {"unexplained"}
    assert all("each of the 6 samples alone agrees" in one.told for one in found)
    assert found[0].suggestion.startswith("look for what mixes samples up")


def test_a_gradient_that_is_wrong_for_each_sample_too_is_unexplained(errors):
    problem = regression(np.sum, lambda _, part: np.sum(part * np.abs(part), axis=0))
    assert {found.slug for found in errors(check(problem))} <= {"unexplained", "wrong_upstream"}
