"""What hypotheses are given, and what is kept back from them."""

import numpy as np

from gradcheck import Problem


def doubled(true, _):
    return {**true, "W": 2.0 * true["W"]}


def test_failing_and_passing_parameters_are_told_apart(waves, proof_of):
    problem = waves({"b": (4,), "W": (3, 4)}).problem(doubled, sizes={"batch": 8}, args=(7,))
    facts = proof_of(problem).facts
    assert facts.failing == ("W",)
    assert facts.passing == ("b",)
    assert list(facts.analytic) == ["b", "W"]
    assert facts.sizes == {"batch": 8}
    assert facts.args == (7,)


def test_a_half_is_kept_back_from_every_fit(waves, proof_of):
    for shape in ((), (1,), (2,), (5,), (3, 4)):
        case = proof_of(waves({"W": shape}).problem(doubled))
        fit, rest = case.facts.samples["W"], case.rest["W"]
        size = case.facts.known["W"].size
        assert len(fit.positions) == (size + 1) // 2
        assert sorted([*fit.positions, *rest.positions]) == list(range(size))
        assert np.all(np.diff(fit.positions) > 0)


def test_what_is_kept_back_depends_on_seed_and_name_only(waves, proof_of):
    one = waves({"W": (3, 4)}).problem(doubled)
    two = waves({"V": (7,), "W": (3, 4)}).problem(doubled)
    halves = [
        proof_of(problem, seed).rest["W"].positions.tolist()
        for problem, seed in ((one, 0), (two, 0), (one, 1))
    ]
    assert halves[0] == halves[1] != halves[2]


def test_values_are_the_true_ones_within_their_bars(waves, proof_of):
    problem = waves({"W": (3, 4)})
    sample = proof_of(problem.problem(doubled)).facts.known["W"]
    assert sample.is_complete
    true = sample.of(problem.true["W"])
    assert np.all(np.abs(sample.values - true) <= sample.error_bars)
    assert np.all(sample.error_bars <= 1e-7)


def test_wrong_entries_are_known_where_all_were_compared(waves, proof_of):
    problem = waves({"W": (3, 4)})
    mask = np.arange(12).reshape(3, 4) % 5 == 1

    def fault(true, _):
        return {"W": np.where(mask, 2.0 * true["W"], true["W"])}

    assert np.array_equal(proof_of(problem.problem(fault)).facts.wrong["W"], mask)


def test_of_a_large_parameter_a_sample_is_known(waves, proof_of):
    case = proof_of(waves({"W": (60, 100)}).problem(doubled), effort="quick")
    assert 0 < len(case.facts.known["W"].positions) < 600
    assert case.facts.wrong == {}


def test_subgradients_at_kinks_are_no_true_values(proof_of):
    # At 0 every number between the slopes of abs is right: it tells nothing about the others.
    x = np.array([0.0, 1.0, -2.0, 3.0])
    problem = Problem(
        lambda p: float(np.sum(np.abs(p["x"]) * np.arange(1.0, 5.0))),
        lambda p: {"x": 2.0 * np.sign(p["x"]) * np.arange(1.0, 5.0)},
        {"x": x},
    )
    sample = proof_of(problem).facts.known["x"]
    assert sample.positions.tolist() == [1, 2, 3]
    np.testing.assert_allclose(sample.values, [2.0, -3.0, 4.0], rtol=1e-9)
