"""Parameters at the edge of the loss's domain, where one side has to do and the report says so."""

import numpy as np
import pytest

from gradcheck import check_gradients

SEEDS = range(20)


def within(loss, lower=-np.inf, upper=np.inf):
    """Return the loss, which raises for any entry outside."""

    def guarded(x):
        if np.any(x < lower) or np.any(x > upper):
            raise ValueError("outside the domain")
        return loss(x)

    return guarded


def nan_below_zero(power):
    def loss(x):
        with np.errstate(invalid="ignore"):
            return np.sum(x**power)

    return loss


# loss, its gradient by hand, parameters, and what the note has to say of them
EDGES = {
    "NaN to the left": (
        nan_below_zero(2.5),
        lambda x: 2.5 * x**1.5,
        [0.0, 1.0, 2.0],
        "to the right in 1 of 3 entries of x",
    ),
    "raises to the left": (
        within(lambda x: np.sum(x * x + x), lower=0.0),
        lambda x: 2 * x + 1,
        [0.0, 0.0, 0.0],
        "to the right in 3 of 3 entries of x",
    ),
    "raises to the left of some": (
        within(lambda x: np.sum(x * x + x), lower=0.0),
        lambda x: 2 * x + 1,
        [0.0, 3.0, 0.0, 1.0],
        "to the right in 2 of 4 entries of x",
    ),
    "a number": (
        within(lambda x: float(x * x + x), lower=0.0),
        lambda x: 2 * x + 1,
        0.0,
        "to the right in 1 of 1 entries of x",
    ),
    "infinite below": (
        lambda x: np.sum(np.log1p(x)) if np.all(x >= 0) else np.inf,
        lambda x: 1 / (1 + x),
        [0.0, 1.0, 2.0],
        "to the right in 1 of 3 entries of x",
    ),
    "raises to the right": (
        within(lambda x: np.sum((1 - x) ** 2.5 + 3 * x), upper=1.0),
        lambda x: 3 - 2.5 * np.abs(1 - x) ** 1.5,
        [1.0, 0.5, 0.25],
        "to the left in 1 of 3 entries of x",
    ),
    "both": (
        within(lambda x: np.sum(np.exp(x)), lower=0.0, upper=1.0),
        np.exp,
        [1.0, 0.5, 0.0, 1.0],
        "to the right in 1 of 4 entries of x, to the left in 2 of 4 entries of x",
    ),
}
edges = pytest.mark.parametrize(("loss", "gradient", "x", "seen"), EDGES.values(), ids=EDGES.keys())


def edge_notes(report):
    return [finding for finding in report.findings if finding.code == "GC124"]


@edges
def test_right_gradient_at_the_edge_passes_with_a_note(loss, gradient, x, seen):
    for seed in SEEDS:
        report = check_gradients(loss, gradient, np.array(x), seed=seed)
        (note,) = edge_notes(report)
        assert report.verdict == "pass"
        assert (note.severity, note.parameters) == ("note", ("x",))
        assert note.evidence == f"one-sided derivative {seen}"
        assert note.suggestion.startswith("nothing is wrong")
        assert report["x"].findings == (note,)


@edges
def test_gradient_wrong_by_a_percent_at_the_edge_fails_with_the_note(loss, gradient, x, seen):
    for seed in SEEDS:
        report = check_gradients(loss, lambda x: 1.01 * gradient(x), np.array(x), seed=seed)
        (note,) = edge_notes(report)
        assert report.verdict == "fail"
        assert np.array_equal(report["x"].wrong, gradient(np.array(x)) != 0.0)
        assert note.evidence == f"one-sided derivative {seen}"
        assert "nothing is wrong" not in note.suggestion
        assert "one side is enough" in note.suggestion


@pytest.mark.parametrize("power", [1.25, 1.5, 1.75])
@pytest.mark.parametrize("slope", [0.0, 1.0])
def test_a_slope_with_a_root_at_the_edge_is_never_accused(power, slope):
    """One-sided differences err in a root of the step there, which more of them do not remove."""
    for seed in range(20):
        x = np.random.default_rng(seed).random(6)
        x[:3] = 0.0
        report = check_gradients(
            within(lambda x: np.sum(x**power + slope * x), lower=0.0),
            lambda x: power * x ** (power - 1) + slope,
            x,
            seed=seed,
        )
        assert report.verdict != "fail", seed


def test_a_slope_from_the_missing_side_is_wrong():
    # abs(x) continued to the left would have -1; the domain ends at 0 and leaves +1.
    loss = within(lambda x: float(np.sum(np.abs(x))), lower=0.0)
    assert check_gradients(loss, lambda x: np.ones(2), np.zeros(2)).verdict == "pass"
    report = check_gradients(loss, lambda x: np.array([1.0, -1.0]), np.zeros(2))
    assert report["x"].wrong.tolist() == [False, True]


def test_a_loss_defined_on_both_sides_has_no_such_note():
    report = check_gradients(lambda x: np.sum(x**4), lambda x: 4 * x**3, np.array([0.0, 1.0]))
    assert (report.verdict, edge_notes(report)) == ("pass", [])


def test_a_domain_that_ends_further_out_has_no_such_note():
    loss = within(lambda x: np.sum(np.exp(x)), lower=0.0, upper=1.0)
    report = check_gradients(loss, np.exp, np.array([0.3, 0.5]))
    assert (report.verdict, edge_notes(report)) == ("pass", [])


def loss_of_three(p):
    if np.any(p["low"] < 0) or np.any(p["high"] > 1):
        raise ValueError("outside the domain")
    return np.sum(np.exp(p["low"])) + np.sum(np.exp(p["high"])) + np.sum(np.sin(p["free"]))


def gradient_of_three(p):
    return {"low": np.exp(p["low"]), "high": np.exp(p["high"]), "free": np.cos(p["free"])}


THREE = {"low": np.array([0.0, 1.0]), "free": np.array([0.0, 1.0]), "high": np.array([1.0, 0.0])}


def test_the_note_names_the_parameters_at_the_edge_and_no_other():
    report = check_gradients(loss_of_three, gradient_of_three, THREE)
    (note,) = edge_notes(report)
    assert note.parameters == ("low", "high")
    assert note.evidence == (
        "one-sided derivative to the right in 1 of 2 entries of low, "
        "to the left in 1 of 2 entries of high"
    )
    assert report["free"].findings == ()
    assert report["low"].findings == report["high"].findings == (note,)


def test_one_wrong_parameter_among_those_at_the_edge_is_not_said_to_be_right():
    def wrong(p):
        return gradient_of_three(p) | {"high": 1.01 * np.exp(p["high"])}

    report = check_gradients(loss_of_three, wrong, THREE)
    (note,) = edge_notes(report)
    assert [part.verdict for part in report.parameters] == ["pass", "pass", "fail"]
    assert note.parameters == ("low", "high")
    assert "one side is enough" in note.suggestion


def test_probes_that_decide_are_named_without_a_side():
    loss = within(lambda x: np.sum(np.exp(x)), upper=1.0)
    for seed in SEEDS:
        report = check_gradients(loss, np.exp, np.array([1.0, 0.5]), effort="quick", seed=seed)
        (note,) = edge_notes(report)
        assert report.verdict == "pass"
        assert note.evidence == "one-sided derivative along 2 of 2 directions through x"


def test_an_edge_that_leaves_a_parameter_open_is_its_reason_and_no_second_note():
    with np.errstate(invalid="ignore", divide="ignore"):
        report = check_gradients(lambda x: np.sum(np.sqrt(x)), np.ones_like, np.zeros(2))
    (note,) = edge_notes(report)
    assert report.verdict == "inconclusive"
    assert "not finite on one side or both" in note.evidence


def test_the_text_of_a_passing_report_has_the_note():
    loss = within(lambda x: np.sum(x * x + x), lower=0.0)
    text = " ".join(str(check_gradients(loss, lambda x: 2 * x + 1, np.zeros(3))).split())
    assert "note GC124 domain_edge" in text
    assert "one-sided derivative to the right in 3 of 3 entries of x" in text
    assert text.index("GC124") < text.index("PASS 1 of 1 gradient agrees")
