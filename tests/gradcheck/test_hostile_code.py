"""User code that is hostile by accident: noticed, undone, or answered by one clear error."""

import contextlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pytest

from gradcheck import (
    GradientMismatch,
    GradientReport,
    Problem,
    assert_gradients,
    check,
    check_gradients,
)
from gradcheck.parameters import unknown_name
from gradcheck.report import Finding, ParameterReport

X = np.array([1.0, 2.0])


def sq(x):
    return float(np.sum(np.asarray(x) ** 2))


def twice(x):
    return 2 * x


@pytest.mark.parametrize("ends", [float("nan"), None, "raise"])
@pytest.mark.parametrize("what", ["loss", "gradient"])
def test_live_arrays_are_restored_where_a_call_that_changed_them_cannot_be_used(what, ends):
    W = X.copy()

    def bad():
        W[...] += 1
        if ends == "raise":
            raise RuntimeError("refused")
        return ends

    functions = {"loss": lambda: sq(W), "gradient": lambda: {"W": 2 * W}} | {what: bad}
    with contextlib.suppress(RuntimeError):
        check(Problem(**functions, parameters={"W": W}, in_place=True))
    assert np.array_equal(W, X)


def test_live_arrays_are_restored_where_only_perturbed_calls_change_them():
    V = np.array([1.0, 0.0])  # of norm exactly 1: nothing changes at the point itself

    def loss():
        V[...] = V / np.linalg.norm(V)
        return float(V[0] ** 3 + 2 * V[1] + V[0] * V[1])

    check(Problem(loss, lambda: {"V": np.array([0.0, 3.0])}, {"V": V}, in_place=True))
    assert V.tolist() == [1.0, 0.0]


def test_a_loss_that_renormalises_its_parameters_is_noticed_though_they_start_normalised():
    def loss(x):
        x /= x.sum()
        return sq(x)

    report = check_gradients(loss, twice, np.array([0.25, 0.75]))
    assert report.verdict == "fail"
    assert [f.slug for f in report.findings] == ["mutates_parameters"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_parameter_that_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match=rf"parameter 'x' must be finite, got {value}"):
        check_gradients(sq, twice, np.array([1.0, value]))


def test_assert_gradients_takes_a_problem_alone():
    assert assert_gradients(Problem(sq, twice, X)).ok
    with pytest.raises(TypeError, match="a Problem must be given alone"):
        assert_gradients(Problem(sq, twice, X), twice, X)


class AttrDict(dict):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.__dict__ = self


def test_a_dict_with_attribute_access_gets_the_working_arrays():
    report = check_gradients(lambda p: sq(p.W), lambda p: {"W": 2 * p.W}, AttrDict(W=X.copy()))
    assert report.verdict == "pass"


def test_the_users_own_array_is_not_handed_out_by_attribute():
    own = X.copy()

    def loss(p):
        p.W += 1
        return sq(p.W)

    check_gradients(loss, lambda p: {"W": 2 * p.W}, AttrDict(W=own))
    assert np.array_equal(own, X)


@dataclass
class Cached:
    W: np.ndarray

    @cached_property
    def square(self):
        return self.W**2


def test_a_cached_property_of_a_dataclass_is_not_carried_over():
    d = Cached(X.copy())
    assert d.square.sum() == 5.0
    report = check_gradients(lambda p: float(p.square.sum()), lambda p: Cached(2 * p.W), d)
    assert report.verdict == "pass"


def test_a_loss_that_returns_loss_and_predictions_is_no_scalar():
    report = check_gradients(lambda x: (sq(x), x), twice, X)
    assert [f.code for f in report.findings] == ["GC105"]


def test_a_ragged_gradient_is_of_wrong_structure():
    report = check_gradients(sq, lambda x: [[1.0], [2.0, 3.0]], X)
    assert report.verdict == "fail"


def test_a_numpy_scalar_stays_one():
    report = check_gradients(
        lambda p: (p["a"].item()) ** 2, lambda p: {"a": 2 * p["a"]}, {"a": np.float64(2.0)}
    )
    assert report.ok


def test_the_users_integer_arrays_are_not_changed():
    steps = np.array(0)

    def loss(p):
        p["steps"] += 1
        return sq(p["W"])

    check_gradients(loss, lambda p: {"W": 2 * p["W"]}, {"W": X, "steps": steps})
    assert steps == 0


def test_mutating_a_parameter_that_was_left_out_fails():
    def loss(p):
        p["W"] += 1
        return sq(p["b"])

    report = check_gradients(
        loss, lambda p: {k: 2 * v for k, v in p.items()}, {"W": X, "b": X}, only="b"
    )
    assert report.verdict == "fail"


def test_a_gradient_that_changes_the_parameters_on_its_second_call_is_noticed():
    calls = []

    def gradient(x):
        calls.append(1)
        result = 2 * x
        if len(calls) > 1:
            x *= 0.5
        return result

    report = check_gradients(sq, gradient, X)
    assert [f.slug for f in report.findings] == ["mutates_parameters"]


def test_accumulation_is_named_where_the_buffer_was_not_empty_before():
    buffer = np.ones(2)

    def gradient(x):
        buffer.__iadd__(2 * x)
        return buffer

    report = check_gradients(sq, gradient, X)
    assert [f.slug for f in report.findings] == ["stateful_gradient"]
    assert report.verdict == "fail"


def test_changing_args_fails():
    data = np.ones((2, 2))

    def gradient(w, data):
        data -= 0.5
        return 2 * data.T @ (data @ w)

    report = check_gradients(lambda w, data: sq(data @ w), gradient, X, args=(data,))
    assert report.verdict == "fail"
    assert [f.slug for f in report.findings] == ["mutates_data"]


def test_a_gradient_that_is_not_finite_at_the_second_call_is_not_precision():
    calls = []

    def gradient(x):
        calls.append(1)
        return 2 * x if len(calls) == 1 else x * np.nan

    report = check_gradients(sq, gradient, X)
    assert "precision" not in report["x"].reason


def test_a_random_gradient_is_not_blamed_on_the_precision_of_the_loss():
    rng = np.random.default_rng(0)
    report = check_gradients(sq, lambda x: 2 * x + 1e-3 * rng.standard_normal(2), X)
    assert report.verdict == "inconclusive"
    assert "precision of the loss" not in report["x"].reason


def test_a_gradient_of_the_selected_parameters_is_enough():
    report = check_gradients(
        lambda p: sq(p["W1"]) + sq(p["W2"]),
        lambda p: {"W1": 2 * p["W1"]},
        {"W1": X, "W2": X},
        only="W1",
    )
    assert report.verdict == "pass"


@pytest.mark.parametrize("args", [3, np.ones((3, 2)), {"X": 3}, "ab"])
def test_args_must_be_a_tuple_or_list(args):
    with pytest.raises(TypeError, match=r"^args must be"):
        check_gradients(lambda w, *a: sq(w), lambda w, *a: 2 * w, X, args=args)


def test_layers_must_hold_lists_of_names():
    with pytest.raises(TypeError, match=r"layers\['h'\] must be"):
        check_gradients(
            lambda p: sq(p["W1"]), lambda p: {"W1": 2 * p["W1"]}, {"W1": X}, layers={"h": "W1"}
        )


def test_layers_must_be_a_mapping():
    with pytest.raises(TypeError, match="layers must map"):
        check_gradients(
            lambda p: sq(p["W1"]), lambda p: {"W1": 2 * p["W1"]}, {"W1": X}, layers=[["W1"]]
        )


def test_only_must_be_names():
    with pytest.raises(TypeError, match="only must be names"):
        check_gradients(sq, twice, X, only=5)


def test_required_resolution_must_be_a_number():
    with pytest.raises((TypeError, ValueError), match="required_resolution must be"):
        check_gradients(sq, twice, X, required_resolution="1e-3")


def test_assert_gradients_without_parameters_says_so():
    with pytest.raises(TypeError, match="parameters must be given"):
        assert_gradients(sq, twice)


def test_integer_parameters_are_told_to_become_floats():
    with pytest.raises(ValueError, match="integer"):
        check_gradients(sq, twice, np.array([1, 2]))


def test_a_name_in_the_wrong_case_is_recognised():
    assert "did you mean 'W1'" in unknown_name("w1", ["W1", "b1"])


def test_a_message_has_at_most_twelve_lines():
    def part(number, verdict):
        reason = f"reason {number}"
        return ParameterReport(
            f"W{number}",
            "1",
            (2,),
            "float64",
            verdict,
            reason,
            None,
            None,
            None,
            None,
            0,
            0,
            (),
            (),
        )

    parts = [part(i, "fail") for i in range(5)] + [part(i, "inconclusive") for i in range(5, 10)]
    findings = tuple(Finding("GC102", "wrong_shape", "t", "e", "s", (f"W{i}",)) for i in range(5))
    report = GradientReport("net", tuple(parts), findings, 1, 1, 0.0, 7, {})
    assert len(str(GradientMismatch(report)).splitlines()) <= 12


def test_masked_arrays_are_refused():
    with pytest.raises(TypeError, match="'x' must not be a masked array"):
        check_gradients(sq, twice, np.ma.array(X, mask=[0, 1]))


@pytest.mark.parametrize("setting", ["relu", None])
def test_leaves_that_are_no_arrays_are_skipped_like_integers(setting):
    report = check_gradients(
        lambda p: sq(p["W"]), lambda p: {"W": 2 * p["W"]}, {"W": X, "activation": setting}
    )
    assert report.ok
    assert "activation" in report.notes[0]
