"""vectorized=True: a loss with a leading axis of parameter sets, and losses that only say so."""

import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from gradcheck import check_gradients, check_layers, layer_verifier

RNG = np.random.default_rng(5)
X, Y = RNG.standard_normal((6, 5)), RNG.standard_normal((6, 3))


def parameters():
    rng = np.random.default_rng(1)
    return {
        "W1": rng.standard_normal((5, 4)),
        "b1": rng.standard_normal(4),
        "W2": rng.standard_normal((4, 3)),
        "b2": 0.25,
    }


def forward(p):
    # Sets first: (sets, fan_in, fan_out), biases (sets, fan_out).
    hidden = np.tanh(X @ p["W1"] + p["b1"][:, None, :])
    return hidden, hidden @ p["W2"] + np.reshape(p["b2"], (-1, 1, 1))


def losses(p):
    outputs = forward(p)[1]
    return 0.5 * np.sum((outputs - Y) ** 2, axis=(1, 2)) / len(X)


def one(p):
    return {name: np.asarray(leaf)[None] for name, leaf in p.items()}


def loss(p):
    return losses(one(p))[0]


def gradient(p):
    hidden, outputs = (array[0] for array in forward(one(p)))
    upstream = (outputs - Y) / len(X)
    delta = (upstream @ p["W2"].T) * (1 - hidden**2)
    return {
        "W1": X.T @ delta,
        "b1": delta.sum(axis=0),
        "W2": hidden.T @ upstream,
        "b2": float(upstream.sum()),
    }


def test_many_sets_at_once_give_the_numbers_of_one_by_one():
    plain = check_gradients(loss, gradient, parameters(), effort="exhaustive")
    sets = check_gradients(losses, gradient, parameters(), effort="exhaustive", vectorized=True)
    assert plain.verdict == sets.verdict == "pass"
    for one_by_one, together in zip(plain.parameters, sets.parameters, strict=True):
        assert together.checked_count == one_by_one.checked_count
        assert together.resolution == pytest.approx(one_by_one.resolution, rel=0.5)
    assert abs(sets.evaluations - plain.evaluations) <= 0.1 * plain.evaluations


def test_every_set_is_an_evaluation_and_most_share_a_call():
    calls, rows = 0, 0

    def counted(p):
        nonlocal calls, rows
        result = losses(p)
        calls, rows = calls + 1, rows + result.size
        return result

    report = check_gradients(counted, gradient, parameters(), vectorized=True)
    assert report.ok
    assert report.evaluations == rows
    assert calls < rows / 2


@pytest.mark.parametrize("name", ["W1", "b1", "W2", "b2"])
def test_a_wrong_entry_is_found(name):
    def wrong(p):
        found = gradient(p)
        if name == "b2":
            return found | {"b2": found["b2"] * 1.01}
        found[name].flat[1] *= 1.01
        return found

    report = check_gradients(losses, wrong, parameters(), vectorized=True)
    assert {part.name for part in report.parameters if part.verdict == "fail"} == {name}
    assert report[name].wrong.sum() == 1


def test_complex_parameters_have_the_axis_too():
    z = np.array([1.0 + 2.0j, 0.5 - 1.0j])

    def sizes(z):
        return np.sum(np.abs(z) ** 2, axis=-1)

    assert check_gradients(sizes, lambda z: 2 * z, z, vectorized=True).ok


def test_a_domain_that_ends_for_some_sets_does_not_hide_the_others():
    def logs(x):
        if np.any(x <= 0):
            raise ValueError("the logarithm of nothing")
        return np.sum(np.log(x), axis=-1)

    x = np.array([1e-9, 0.5, 1.0, 2.0])
    assert check_gradients(logs, lambda x: 1 / x, x, vectorized=True).ok


def test_other_leaves_are_handed_on_as_they_are():
    def powers(p):
        assert p["power"].tolist() == [2, 3]
        return np.sum(p["x"] ** p["power"], axis=-1)

    given = {"x": np.array([0.5, 2.0]), "power": np.array([2, 3])}
    report = check_gradients(
        powers,
        lambda p: {"x": p["power"] * p["x"] ** (p["power"] - 1), "power": None},
        given,
        vectorized=True,
    )
    assert report["x"].verdict == "pass"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda p: np.sum(p**2), r"shape \(1,\) for 1 parameter set, .* got float64"),
        (lambda p: np.sum(p**2, axis=-1, keepdims=True), r"\(1,\) .* array of shape \(1, 1\)"),
        (
            lambda p: np.sum(p[0] ** 2, keepdims=True),
            r"\(2,\) for 2 parameter sets, .*shape \(1,\)",
        ),
        (lambda p: np.full(len(p), np.sum(p[0] ** 2)), "for that set alone, .* two together"),
        (lambda p: np.full(len(p), np.sum(p**2)), "for that set alone, .* two together"),
        (lambda p: np.sum(p**2, axis=-1)[::-1], "for that set alone, .* two together"),
    ],
    ids=["number", "column", "first alone", "first for all", "summed over sets", "reversed"],
)
def test_a_loss_that_ignores_or_mixes_the_axis_is_an_error(bad, message):
    with pytest.raises(ValueError, match=message):
        check_gradients(bad, lambda p: 2 * p, np.array([1.0, 2.0, 3.0]), vectorized=True)


def test_value_and_gradient_have_no_sets():
    with pytest.raises(ValueError, match=r"a loss of parameters, got loss=None"):
        check_gradients(None, lambda x: (np.sum(x), x), np.ones(2), vectorized=True)


def test_the_option_is_true_or_false():
    with pytest.raises(TypeError, match=r"vectorized must be True or False, got 1"):
        check_gradients(losses, gradient, parameters(), vectorized=1)


def squares(x):
    return np.sum(x**2, axis=-1)


def twice(x):
    return 2 * x


POINT = np.array([1.0, 2.0, 3.0])


def test_with_a_timeout_no_call_gets_more_sets_than_it_has_time_for():
    counts = []

    def slow_with_sets(x):
        counts.append(len(x))
        time.sleep(3.0 * (len(x) - 1))
        return squares(x)

    report = check_gradients(slow_with_sets, twice, POINT, vectorized=True, timeout=0.2)
    assert report.verdict == "pass"
    assert set(counts) == {1}


def test_a_loss_of_some_time_per_set_is_in_time_as_it_is_set_by_set():
    def patient(x):
        time.sleep(0.004 * len(x))
        return squares(x)

    x = np.linspace(1.0, 2.0, 40)
    report = check_gradients(patient, twice, x, vectorized=True, timeout=0.1)
    assert report.verdict == "pass"
    assert report["x"].checked_count == 40


def test_a_loss_that_hangs_is_told_of_as_without_sets():
    released = threading.Event()
    report = check_gradients(
        lambda x: released.wait() and squares(x), twice, POINT, vectorized=True, timeout=0.1
    )
    released.set()
    assert [finding.slug for finding in report.findings] == ["timed_out"]
    assert report["x"].reason == "not compared: the loss took longer than 0.1 seconds"


def test_all_calls_with_a_timeout_are_made_in_one_thread():
    seen = set()

    def watched(x):
        seen.add(threading.get_ident())
        return squares(x)

    assert check_gradients(watched, twice, np.ones(200), vectorized=True, timeout=60.0).ok
    assert len(seen) == 1


def test_a_seeded_random_loss_is_asked_about_sets_from_the_same_state():
    sizes = set()

    def dropout(x):
        sizes.add(len(x))
        return np.sum(np.random.random(3) * x**2, axis=-1)  # noqa: NPY002

    def gradient(x):
        return 2 * np.random.random(3) * x  # noqa: NPY002

    report = check_gradients(dropout, gradient, POINT, vectorized=True, reseed=7)
    assert report.verdict == "pass"
    assert max(sizes) > 1


def test_a_random_loss_is_judged_by_its_noise_as_without_sets():
    rng = np.random.default_rng(3)

    def noisy(x):
        return squares(x) + 1e-3 * rng.standard_normal()

    report = check_gradients(noisy, twice, POINT, vectorized=True)
    assert report.verdict == "inconclusive"
    assert "nondeterministic_loss" in [finding.slug for finding in report.findings]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_not_finite_at_the_point_is_a_finding_as_without_sets(value):
    sets = check_gradients(lambda x: np.full(len(x), value), twice, POINT, vectorized=True)
    plain = check_gradients(lambda x: value, twice, POINT)
    assert [finding.slug for finding in sets.findings] == ["not_finite"]
    assert sets.findings == plain.findings
    assert sets["x"].reason == plain["x"].reason


def test_complex_losses_at_the_point_are_a_finding_as_without_sets():
    sets = check_gradients(lambda x: squares(x) + 0j, twice, POINT, vectorized=True)
    plain = check_gradients(lambda x: np.sum(x**2) + 0j, twice, POINT)
    assert [finding.slug for finding in sets.findings] == ["loss_not_scalar"]
    assert sets.findings == plain.findings


def test_what_the_loss_raises_at_the_point_propagates_with_the_usual_note():
    def broken(x):
        raise ZeroDivisionError("no luck")

    with pytest.raises(ZeroDivisionError, match="no luck") as raised:
        check_gradients(broken, twice, POINT, vectorized=True, name="unlucky")
    (note,) = raised.value.__notes__
    assert note == "GC106 loss_raised: the loss of 'unlucky' raised at the given parameters"


def test_what_the_loss_raises_for_two_sets_only_says_so():
    with pytest.raises(ValueError, match="reshape") as raised:
        check_gradients(lambda x: squares(x.reshape(1, 3)), twice, POINT, vectorized=True)
    (note,) = raised.value.__notes__
    assert "raised for 2 parameter sets together" in note


def test_a_loss_that_changes_its_parameters_is_told_of_as_without_sets():
    def normalising(x):
        x /= np.linalg.norm(x, axis=-1, keepdims=True)
        return np.sum(x**3, axis=-1)

    report = check_gradients(normalising, twice, POINT, vectorized=True)
    assert [finding.slug for finding in report.findings] == ["mutates_parameters"]


def test_layers_by_themselves_have_no_sets():
    network = SimpleNamespace(layers=[])
    with pytest.raises(ValueError, match=r"vectorized must be False for check_layers.*got True"):
        check_layers(network, POINT, vectorized=True)
    with pytest.raises(ValueError, match=r"vectorized must be False for layer_verifier.*got True"):
        layer_verifier(vectorized=True)
