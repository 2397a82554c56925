"""A verifier in a backward pass of one's own: what it lets through, keeps count of and refuses."""

import copy
import pickle
import re
from types import SimpleNamespace

import numpy as np
import pytest

import gradcheck
from gradcheck.directions import entry_scales, random_direction


def forward(layer):
    return np.tanh(layer["inputs"] @ layer["weight"])


def backward(layer, upstream):
    delta = upstream * (1 - forward(layer) ** 2)
    return {"inputs": delta @ layer["weight"].T, "weight": layer["inputs"].T @ delta}


def layer_of(rng, samples=5):
    return {
        "inputs": rng.standard_normal((samples, 3)),
        "weight": rng.standard_normal((3, 2)),
    }


def problem_of(layer, upstream, gradient=None, name="hidden"):
    return gradcheck.Problem(
        lambda layer: np.sum(upstream * forward(layer)),
        gradient or (lambda layer: backward(layer, upstream)),
        layer,
        name=name,
    )


@pytest.fixture
def layer():
    return layer_of(np.random.default_rng(0))


@pytest.fixture
def upstream():
    return np.random.default_rng(1).standard_normal((5, 2))


@pytest.fixture
def right(layer, upstream):
    return problem_of(layer, upstream)


@pytest.fixture
def wrong(layer, upstream):
    return problem_of(layer, upstream, lambda layer: backward(layer, 2 * upstream))


def test_what_is_right_is_let_through_and_reported(right):
    verify = gradcheck.layer_verifier()
    report = verify(right)
    assert (report.verdict, report.name) == ("pass", "hidden")
    assert verify.reports == {"hidden": report}
    assert verify.checked == 1
    assert not verify.inconclusive


def test_what_is_wrong_raises_with_its_report(wrong):
    verify = gradcheck.layer_verifier()
    with pytest.raises(
        gradcheck.GradientMismatch, match=r"^inputs x2 and 1 more: 2 of 2 .*\(hidden\)"
    ) as caught:
        verify(wrong)
    assert caught.value.report == verify.reports["hidden"]
    assert verify.reports["hidden"].verdict == "fail"


def test_a_gradient_that_is_there_already_is_checked_as_it_is(layer, upstream):
    verify = gradcheck.layer_verifier()
    verify(problem_of(layer, upstream, backward(layer, upstream)))
    with pytest.raises(gradcheck.GradientMismatch, match="weight"):
        verify(problem_of(layer, upstream, backward(layer, upstream) | {"weight": np.ones((3, 2))}))


def test_anything_with_loss_gradient_and_parameters_will_do(right):
    bare = SimpleNamespace(loss=right.loss, gradient=right.gradient, parameters=right.parameters)
    assert gradcheck.layer_verifier()(bare).verdict == "pass"
    with pytest.raises(
        TypeError, match="a problem must have loss, gradient and parameters, got int 3"
    ):
        gradcheck.layer_verifier()(3)


def test_every_parameter_gets_as_many_random_perturbations_as_asked_for(right):
    for asked in (2, 3, 7):
        report = gradcheck.layer_verifier(perturbations=asked)(right)
        for part in report.parameters:
            assert [probe.kind for probe in part.probes][:asked] == ["random"] * asked
        assert report.settings["perturbations"] == asked


def test_perturbations_keep_the_promise_recomputed_by_hand(layer, upstream):
    """<upstream, change of the outputs> = <input gradient, change of the inputs>."""
    asked = 6
    report = gradcheck.layer_verifier(perturbations=asked, seed=11)(problem_of(layer, upstream))
    gradient = backward(layer, upstream)
    # The directions are those of the check; the derivative along them is the complex step's.
    scales = entry_scales(layer, gradient)
    for name, part in zip(("inputs", "weight"), report.parameters, strict=True):
        for number, probe in enumerate(part.probes):
            along = random_direction(scales[name], 11, name, number)
            moved = layer | {name: layer[name] + 1e-30j * along}
            change_of_outputs = np.imag(forward(moved)) / 1e-30
            owed = np.sum(upstream * change_of_outputs)
            assert probe.analytic == pytest.approx(np.sum(gradient[name] * along), rel=1e-12)
            assert abs(probe.numerical - owed) <= probe.error_bar
            assert abs(probe.analytic - owed) <= probe.error_bar
            assert probe.outcome == "agrees"
            assert probe.error_bar < 1e-6 * np.linalg.norm(gradient[name] * along)


def test_the_promise_is_broken_by_a_slight_error_in_what_is_handed_down(layer, upstream):
    gradient = backward(layer, upstream)
    gradient["inputs"][3, 1] *= 1 + 1e-4
    with pytest.raises(gradcheck.GradientMismatch, match=r"^inputs sparse_entry") as caught:
        gradcheck.layer_verifier()(problem_of(layer, upstream, gradient))
    report = caught.value.report
    assert (report["inputs"].verdict, report["weight"].verdict) == ("fail", "pass")
    assert np.argwhere(report["inputs"].wrong).tolist() == [[3, 1]]


def test_the_top_eigenvectors_are_probed_too_when_asked_for(right, layer, upstream):
    report = gradcheck.layer_verifier(directions="eigen")(right)
    kinds = [probe.kind for part in report.parameters for probe in part.probes]
    assert kinds.count("random") == 2 * 3
    assert kinds.count("eigen") >= 2
    assert {probe.outcome for part in report.parameters for probe in part.probes} == {"agrees"}
    with pytest.raises(gradcheck.GradientMismatch, match="weight"):
        gradcheck.layer_verifier(directions="eigen")(
            problem_of(
                layer, upstream, lambda at: backward(at, upstream) | {"weight": at["weight"]}
            )
        )


def test_other_directions_are_taken_the_next_time(right):
    verify = gradcheck.layer_verifier(seed=5)
    first, second = verify(right), verify(right)
    assert (first.seed, second.seed) == (5, 6)
    slopes = [[probe.analytic for probe in r["weight"].probes] for r in (first, second)]
    assert not set(slopes[0]) & set(slopes[1])
    again = gradcheck.layer_verifier(seed=6)(right)
    assert [probe.analytic for probe in again["weight"].probes] == slopes[1]


def test_an_answer_that_does_not_come_back_is_told(layer, upstream):
    calls = []

    def loss(layer):
        calls.append(1)
        return np.sum(upstream * forward(layer)) + (len(calls) > 40) * 1e-3

    problem = gradcheck.Problem(loss, lambda at: backward(at, upstream), layer, name="counting")
    verify = gradcheck.layer_verifier(perturbations=8)
    report = verify(problem)
    (finding,) = [f for f in report.findings if f.slug == "nondeterministic_loss"]
    assert "it is off by 1.0e-03" in finding.evidence
    assert report.verdict != "fail"
    assert re.search(r"^changed: counting \(back at .* off by 1.0e-03\)$", str(verify), re.M)


def test_what_is_undecided_is_let_through_and_remembered(layer, upstream):
    rng = np.random.default_rng(0)
    noisy = gradcheck.Problem(
        lambda at: np.sum(upstream * forward(at)) + 1e-3 * rng.standard_normal(),
        lambda at: backward(at, upstream),
        layer,
        name="noisy",
    )
    verify = gradcheck.layer_verifier()
    report = verify(noisy)
    assert report.verdict == "inconclusive"
    assert verify.inconclusive == {"noisy": report}
    verify(problem_of(layer, upstream, name="noisy"))
    assert verify.reports["noisy"].verdict == "pass"
    assert verify.inconclusive == {"noisy": report}
    assert verify.verdicts["noisy"] == {"inconclusive": 1, "pass": 1}
    # Which of the two a loss that is noise looks like depends on the direction.
    assert re.search(r"inconclusive: noisy in 1 of 2 checks \((noise|kinks)", str(verify))


def test_all_it_took_is_counted(right, wrong):
    verify = gradcheck.layer_verifier()
    reports = [verify(right), verify(right)]
    with pytest.raises(gradcheck.GradientMismatch, match="hidden") as caught:
        verify(wrong)
    reports.append(caught.value.report)
    assert verify.checked == 3
    assert verify.verdicts == {"hidden": {"pass": 2, "fail": 1}}
    assert verify.evaluations == sum(report.evaluations for report in reports)
    assert verify.gradient_calls == sum(report.gradient_calls for report in reports)
    assert verify.seconds == pytest.approx(sum(report.seconds for report in reports))


def test_only_the_latest_report_of_a_layer_is_kept(layer, upstream):
    verify = gradcheck.layer_verifier()
    for _ in range(5):
        for name in ("low", "high"):
            verify(problem_of(layer, upstream, name=name))
    assert (len(verify.reports), verify.checked) == (2, 10)


def test_patterns_hold_for_the_layers_that_have_such_names(layer, upstream):
    def nested(name):
        return gradcheck.Problem(
            lambda at: np.sum(upstream * forward(at[name])),
            lambda at: {name: backward(at[name], upstream)},
            {name: layer},
            name=name,
        )

    verify = gradcheck.layer_verifier(only="high.*", exclude="*.inputs")
    assert verify(nested("low")) is None
    assert [part.name for part in verify(nested("high")).parameters] == ["high.weight"]
    assert (verify.checked, list(verify.unverified)) == (1, ["low"])
    assert "not verified: low (only names no parameter of low.inputs, low.weight)" in str(verify)


def test_a_layer_without_floats_is_let_through_and_told(right):
    verify = gradcheck.layer_verifier()
    indices = gradcheck.Problem(lambda x: 1.0, lambda x: x, np.array([1, 2]), name="lookup")
    assert verify(indices) is None
    assert str(verify).startswith(
        "nothing was verified\nnot verified: lookup (parameters must hold"
    )


def test_exceptions_of_the_layer_itself_come_through(layer):
    def loss(layer):
        raise ZeroDivisionError("in the layer")

    verify = gradcheck.layer_verifier()
    with pytest.raises(ZeroDivisionError, match="in the layer"):
        verify(gradcheck.Problem(loss, lambda at: at, layer))
    assert verify.checked == 0


@pytest.mark.parametrize("value", [1, 0, -3, 2.0, "3", True, None])
def test_perturbations_are_two_or_more(value):
    with pytest.raises(
        ValueError,
        match=rf"perturbations must be a whole number of at least 2, got {value!r}",
    ):
        gradcheck.layer_verifier(perturbations=value)


def test_whole_numbers_of_numpy_are_perturbations_too(right):
    report = gradcheck.layer_verifier(perturbations=np.int64(2))(right)
    assert '"perturbations": 2' in report.to_json()


def test_options_are_refused_before_the_first_layer():
    with pytest.raises(TypeError, match="unknown option 'perturbation'"):
        gradcheck.layer_verifier(perturbation=3)
    with pytest.raises(ValueError, match="effort must be one of 'quick'"):
        gradcheck.layer_verifier(effort="slow")
    with pytest.raises(TypeError, match="positional"):
        gradcheck.layer_verifier(3)


def test_effort_is_quick_unless_asked_for(right):
    assert gradcheck.layer_verifier()(right)["weight"].checked_count == 0
    assert gradcheck.layer_verifier(effort="auto")(right)["weight"].checked_count == 6


@pytest.mark.parametrize(
    "twin", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy]
)
def test_what_is_raised_can_be_pickled(wrong, twin):
    with pytest.raises(gradcheck.GradientMismatch, match="hidden") as caught:
        gradcheck.layer_verifier()(wrong)
    again = twin(caught.value)
    assert (str(again), again.report) == (str(caught.value), caught.value.report)


def test_a_verifier_can_be_copied_with_its_account(right):
    verify = gradcheck.layer_verifier(perturbations=2)
    verify(right)
    again = pickle.loads(pickle.dumps(verify))
    assert str(again) == str(verify)
    assert again(right).seed == 1


def test_it_prints_a_line_per_layer_and_what_it_took(right, wrong):
    verify = gradcheck.layer_verifier()
    verify(right)
    with pytest.raises(gradcheck.GradientMismatch, match="output"):
        verify(gradcheck.Problem(wrong.loss, wrong.gradient, wrong.parameters, name="output"))
    lines = str(verify).splitlines()
    assert lines[0].endswith("probes  error/bar  verified to  evaluations")
    name, verdict, probes, bars, resolution, evaluations = lines[1].split()
    assert (name, verdict, probes, resolution) == ("hidden", "ok", "6", "1e-06")
    assert 0 < float(bars) <= 1
    assert int(evaluations) == verify.reports["hidden"].evaluations
    assert lines[2].split()[:3] == ["output", "FAIL", "6"]
    assert float(lines[2].split()[3]) > 1000
    assert lines[3] == "2 checks: 1 ok, 0 inconclusive, 1 wrong"
    assert lines[4].startswith(f"took {verify.evaluations} evaluations, ")
    assert max(map(len, lines)) <= 80


def test_a_long_name_does_not_push_the_numbers_out(layer, upstream):
    verify = gradcheck.layer_verifier()
    verify(problem_of(layer, upstream, name="encoder.block3.attention.projection\n"))
    lines = str(verify).splitlines()
    assert lines[1] == r"encoder.block3.attention.projection\n"
    assert lines[2].split()[0] == "ok"
    assert max(map(len, lines)) <= 80


def test_nothing_is_told_of_a_verifier_that_was_never_asked():
    assert str(gradcheck.layer_verifier()) == "nothing was verified"
