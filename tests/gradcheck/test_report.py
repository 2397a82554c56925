import copy
import pickle
from dataclasses import FrozenInstanceError, replace
from itertools import product

import numpy as np
import pytest

import mlp.faults
from gradcheck import check, check_gradients
from gradcheck.report import (
    Comparison,
    Finding,
    GradientReport,
    LayerReport,
    ParameterReport,
    combined_verdict,
)


def parameter(name="W1", verdict="pass", layer="1", **changes):
    values = {
        "shape": (2,),
        "dtype": "float64",
        "reason": "",
        "resolution": 1e-9,
        "worst": Comparison((1,), 1.0, 1.0, 1e-9, 0.0),
        "wrong": np.zeros(2, bool),
        "wrong_count": 0,
        "checked_count": 2,
        "unresolved_count": 0,
        "probes": (),
    }
    return ParameterReport(name=name, layer=layer, verdict=verdict, **(values | changes))


def report(*parameters, **changes):
    values = {
        "name": "net",
        "findings": (),
        "evaluations": 10,
        "gradient_calls": 2,
        "seconds": 0.1,
        "seed": 0,
        "settings": {},
    }
    return GradientReport(parameters=parameters, **(values | changes))


def finding(slug, *parameters):
    return Finding("GC104", slug, "title", "evidence", "suggestion", parameters)


@pytest.mark.parametrize(
    "verdicts", list(product(["pass", "fail", "inconclusive"], repeat=3)), ids=" ".join
)
def test_one_failure_fails_the_whole_and_one_doubt_leaves_it_open(verdicts):
    ranks = {"pass": 0, "inconclusive": 1, "fail": 2}
    worst = sorted(verdicts, key=ranks.__getitem__)[-1]
    assert combined_verdict(verdicts) == worst
    whole = report(*(parameter(f"W{i}", verdict) for i, verdict in enumerate(verdicts)))
    assert whole.verdict == worst
    assert whole.ok is (worst == "pass")


def test_nothing_checked_has_no_failure():
    assert combined_verdict([]) == "pass"


@pytest.mark.parametrize("use", [bool, lambda r: not r, lambda r: 1 if r else 0])
def test_the_truth_of_a_report_is_refused(use):
    with pytest.raises(TypeError, match=r"three verdicts; use report\.ok or report\.verdict"):
        use(report(parameter()))


def test_a_parameter_is_found_by_its_name():
    second = parameter("b1")
    assert report(parameter("W1"), second)["b1"] is second


def test_a_misspelt_parameter_is_told_with_the_nearest():
    with pytest.raises(KeyError, match="no parameter named 'W2'; did you mean 'W12'"):
        report(parameter("W12"), parameter("b"))["W2"]


def test_where_no_name_is_near_the_report_lists_all():
    with pytest.raises(KeyError, match="no parameter named 'zzz'; there are W1, b"):
        report(parameter("W1"), parameter("b"))["zzz"]


def test_layers_come_in_order_of_their_first_parameter():
    whole = report(
        parameter("b", layer="two"),
        parameter("W", "fail", layer="one"),
        parameter("c", "inconclusive", layer="two"),
    )
    found = [(each.name, each.verdict, [p.name for p in each.parameters]) for each in whole.layers]
    assert found == [("two", "inconclusive", ["b", "c"]), ("one", "fail", ["W"])]


def with_error(name, verdict, relative_error):
    return parameter(name, verdict, worst=Comparison((), 1.0, 1.0, 0.0, relative_error))


def test_the_worst_of_a_layer_fails_before_it_is_undecided_and_then_errs_most():
    small, large = with_error("a", "fail", 0.1), with_error("b", "fail", 0.5)
    doubtful, fine = with_error("c", "inconclusive", 9.0), with_error("d", "pass", 99.0)
    unmeasured = parameter("e", "pass", worst=None)
    assert LayerReport("one", (fine, small, doubtful, large)).worst is large
    assert LayerReport("one", (fine, doubtful)).worst is doubtful
    assert LayerReport("one", (unmeasured, fine)).worst is fine


def test_a_layer_has_each_finding_of_its_parameters_once():
    shared, own = finding("shared", "a", "b"), finding("own", "b")
    layer = LayerReport(
        "one", (parameter("a", findings=(shared,)), parameter("b", findings=(shared, own)))
    )
    assert layer.findings == (shared, own)


def test_size_is_the_number_of_entries():
    assert [parameter(shape=shape).size for shape in [(), (3,), (2, 5), (0, 4)]] == [1, 3, 10, 0]


def test_reports_of_equal_parts_are_equal():
    one, other = report(parameter()), report(parameter())
    assert one == other
    assert one.parameters[0] == other.parameters[0]
    assert one.layers == other.layers


NAN = float("nan")


@pytest.mark.parametrize(
    "changes",
    [
        {"wrong": np.array([True, False])},
        {"wrong": None},
        {"shape": (1, 2)},
        {"resolution": 2e-9},
        {"resolution": NAN},
        {"resolution": None},
        {"worst": None},
        {"worst": Comparison((0,), 1.0, 1.0, 1e-9, 0.0)},
        {"worst_entries": (Comparison((0,), 1.0, 1.0, 1e-9, 0.0),)},
        {"reason": "why"},
        {"findings": (finding("slug"),)},
        {"dtype": "float32"},
    ],
    ids=str,
)
def test_any_difference_makes_reports_unequal(changes):
    assert parameter(**changes) != parameter()
    assert report(parameter(**changes)) != report(parameter())
    assert report(parameter(**changes)).layers != report(parameter()).layers


def test_nan_equals_nan_in_a_report():
    worst = Comparison((0,), 1.0, NAN, float("inf"), NAN)
    assert parameter(worst=worst, resolution=NAN) == parameter(worst=worst, resolution=float("nan"))


def test_nan_and_infinity_are_different():
    assert parameter(resolution=NAN) != parameter(resolution=float("inf"))
    assert parameter(resolution=-float("inf")) != parameter(resolution=float("inf"))


def test_a_report_equals_nothing_but_a_report():
    one = report(parameter())
    assert one != "pass"
    assert one != one.to_dict()
    assert parameter() != LayerReport("1", (parameter(),))


@pytest.mark.parametrize("part", [report(), parameter(), LayerReport("1", (parameter(),))])
def test_reports_cannot_be_hashed(part):
    with pytest.raises(TypeError, match="unhashable"):
        hash(part)


@pytest.mark.parametrize(
    ("part", "name"), [(report(), "seed"), (parameter(), "verdict"), (finding("s"), "code")]
)
def test_reports_cannot_be_changed(part, name):
    with pytest.raises(FrozenInstanceError, match=name):
        setattr(part, name, "other")


@pytest.mark.parametrize("twin", [copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))])
def test_a_report_can_be_copied_and_pickled(twin):
    original = check(mlp.faults.FAULTS["bias_sign"]())
    assert twin(original) == original


def test_the_same_check_twice_gives_the_same_report_but_for_the_time():
    one, other = (check(mlp.faults.FAULTS["factor_two"]()) for _ in range(2))
    assert replace(one, seconds=0.0) == replace(other, seconds=0.0)


def test_a_report_of_another_seed_differs():
    one, other = (check(mlp.faults.correct(), seed=seed) for seed in (0, 1))
    assert (one.seed, other.seed) == (0, 1)
    assert one["layer1.bias"].probes != other["layer1.bias"].probes


def test_the_text_of_a_report_names_problem_and_culprit():
    text = str(check(mlp.faults.FAULTS["bias_sign"]()))
    assert "bias_sign" in text
    assert "layer2.bias" in text
    assert "\x1b" not in text


def test_a_notebook_gets_a_picture():
    assert report(parameter())._repr_html_().lstrip().startswith("<svg")


def test_findings_of_a_parameter_are_the_objects_of_the_report():
    def gradient(p):
        return {"a": np.full(2, np.nan), "b": np.zeros(3)}

    whole = check_gradients(lambda p: np.sum(p["a"]), gradient, {"a": np.ones(2), "b": np.ones(2)})
    owned = [each for part in whole.parameters for each in part.findings]
    assert len(owned) == len(whole.findings) == 2
    assert all(any(one is other for other in whole.findings) for one in owned)


@pytest.mark.parametrize("fault", ["bias_sign", "zeroed_column", "entry_off_by_percent"])
def test_the_mask_of_a_report_marks_exactly_the_wrong_entries(fault):
    problem, right = mlp.faults.FAULTS[fault](), mlp.faults.correct()
    returned = problem.gradient(problem.parameters, *problem.args)
    correct = right.gradient(right.parameters, *right.args)
    whole = check(problem)
    for layer, arrays in correct.items():
        for key, array in arrays.items():
            part = whole[f"{layer}.{key}"]
            expected = returned[layer][key] != array
            assert np.array_equal(part.wrong, expected)
            assert part.wrong_count == expected.sum()
            assert part.verdict == ("fail" if expected.any() else "pass")
