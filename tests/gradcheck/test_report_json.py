import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import mlp.faults
import mlp.problems
from gradcheck import check, check_gradients
from gradcheck.report import Comparison, Finding, GradientReport, ParameterReport, Probe

FLOATS = st.floats()
CHANCES = st.floats(0.0, 1.0)
COUNTS = st.integers(0, 10**9)
VERDICTS = st.sampled_from(["pass", "fail", "inconclusive"])
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | FLOATS | st.text(),
    lambda parts: st.lists(parts) | st.dictionaries(st.text(), parts),
    max_leaves=5,
)
FINDINGS = st.builds(
    Finding,
    code=st.text(),
    slug=st.text(),
    title=st.text(),
    evidence=st.text(),
    suggestion=st.text(),
    parameters=st.lists(st.text(), max_size=3).map(tuple),
    layer=st.none() | st.text(),
    alternatives=st.lists(st.text(), max_size=2).map(tuple),
    details=st.dictionaries(st.text(), PLAIN, max_size=2),
    severity=st.sampled_from(["error", "note"]),
)
COMPARISONS = st.builds(
    Comparison,
    index=st.lists(st.integers(0, 9), max_size=3).map(tuple),
    analytic=FLOATS,
    numerical=FLOATS,
    error_bar=FLOATS,
    relative_error=FLOATS,
)
PROBES = st.builds(
    Probe,
    analytic=FLOATS,
    numerical=FLOATS,
    error_bar=FLOATS,
    resolution=FLOATS,
    outcome=st.sampled_from(["agrees", "disagrees", "undecided"]),
    evaluations=COUNTS,
    kind=st.sampled_from(["random", "eigen"]),
)


@st.composite
def parameter_reports(draw, findings):
    shape = draw(arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    mask = draw(st.none() | arrays.arrays(bool, shape))
    return ParameterReport(
        name=draw(st.text()),
        layer=draw(st.text()),
        shape=shape,
        dtype=draw(st.text()),
        verdict=draw(VERDICTS),
        reason=draw(st.text()),
        resolution=draw(st.none() | FLOATS),
        worst=draw(st.none() | COMPARISONS),
        wrong=mask,
        wrong_count=None if mask is None else int(mask.sum()),
        checked_count=draw(COUNTS),
        unresolved_count=draw(COUNTS),
        probes=tuple(draw(st.lists(PROBES, max_size=2))),
        findings=tuple(draw(st.lists(st.sampled_from(findings), max_size=2))) if findings else (),
        required=draw(st.none() | FLOATS),
        miss_chance=draw(st.none() | CHANCES),
        worst_entries=tuple(draw(st.lists(COMPARISONS, max_size=3))),
        gradient_size=draw(st.none() | FLOATS),
    )


@st.composite
def reports(draw):
    findings = tuple(draw(st.lists(FINDINGS, max_size=2)))
    return GradientReport(
        name=draw(st.text()),
        parameters=tuple(draw(st.lists(parameter_reports(findings), max_size=2))),
        findings=findings,
        evaluations=draw(COUNTS),
        gradient_calls=draw(COUNTS),
        seconds=draw(FLOATS),
        seed=draw(COUNTS),
        settings=draw(st.dictionaries(st.text(), PLAIN, max_size=2)),
        notes=tuple(draw(st.lists(st.text(), max_size=2))),
        partial_evaluations=draw(COUNTS),
    )


def refuse_constant(name):
    raise ValueError(f"{name} is not JSON")


def strictly_parsed(text):
    """Return the document, or raise where it holds what only Python takes for JSON."""
    return json.loads(text, parse_constant=refuse_constant)


def test_what_is_not_json_would_be_noticed():
    with pytest.raises(ValueError, match="NaN is not JSON"):
        strictly_parsed('{"value": NaN}')


@given(reports())
def test_any_report_survives_json(report):
    twin = GradientReport.from_json(report.to_json())
    assert twin == report
    # Equality looks at the entries, of which an array of shape (0, 3) has none.
    assert [np.shape(p.wrong) for p in twin.parameters] == [
        np.shape(p.wrong) for p in report.parameters
    ]


@given(reports())
def test_any_report_is_strict_json_and_the_same_data(report):
    assert strictly_parsed(report.to_json()) == report.to_dict()
    assert strictly_parsed(report.to_json(indent=None)) == report.to_dict()


def undefined(x):
    return np.full(x.shape, np.nan)


REAL = {
    "passing": lambda: check(mlp.problems.leaky_relu()),
    "failing": lambda: check(mlp.faults.FAULTS["swapped_parameters"]()),
    "quick": lambda: check(mlp.faults.FAULTS["factor_two"](), effort="quick", exclude="*bias"),
    "eigenvectors": lambda: check(mlp.problems.leaky_relu(), effort="quick", directions="eigen"),
    "not finite": lambda: check_gradients(np.sum, undefined, np.ones((2, 3))),
    "loss not finite": lambda: check_gradients(lambda x: np.inf, np.copy, np.ones(3)),
    "no scalar": lambda: check_gradients(np.copy, np.copy, np.ones(3)),
    "scalar parameter": lambda: check_gradients(lambda x: x**2, lambda x: 2 * x, 3.0),
    "domain edge": lambda: check_gradients(np.sqrt, lambda x: 1.0, 0.0),
    "integer leaves": lambda: check_gradients(
        lambda p: p["x"] * p["n"], lambda p: {"x": p["n"]}, {"x": 0.5, "n": 3}
    ),
    "seed from numpy": lambda: check_gradients(np.sum, np.ones_like, np.ones(2), seed=np.int64(3)),
}


@pytest.mark.parametrize("make", REAL.values(), ids=REAL.keys())
def test_a_real_report_survives_json(make):
    report = make()
    twin = GradientReport.from_json(report.to_json())
    assert twin == report
    assert strictly_parsed(report.to_json()) == report.to_dict()
    for part, other in zip(report.parameters, twin.parameters, strict=True):
        assert (part.shape, part.findings) == (other.shape, other.findings)
        assert (part.wrong is None) == (other.wrong is None)
        if part.wrong is not None:
            assert other.wrong.dtype == bool
            assert np.array_equal(part.wrong, other.wrong)


def test_the_real_reports_cover_every_verdict():
    assert {make().verdict for make in REAL.values()} == {"pass", "fail", "inconclusive"}


def test_what_is_derived_is_written_out_for_other_readers():
    data = check(mlp.faults.FAULTS["bias_sign"]()).to_dict()
    assert (data["schema"], data["verdict"], data["seed"]) == (1, "fail", 0)
    size = data["layers"][1].pop("gradient_size")
    assert size > 0.0
    assert data["layers"][1] == {"name": "layer2", "verdict": "fail", "worst": "layer2.bias"}
    assert data["parameters"][3]["name"] == "layer2.bias"
    assert data["parameters"][3]["wrong"] == [True] * 7
    assert data["settings"]["effort"] == "auto"


def test_chances_of_a_miss_and_kinds_of_probes_are_written_out():
    report = check(mlp.problems.leaky_relu(), effort="quick", directions="eigen")
    data = report.to_dict()
    assert data["miss_chance"] == report.miss_chance > 0.0
    assert data["parameters"][0]["miss_chance"] == report.parameters[0].miss_chance
    assert data["parameters"][0]["required"] == 1e-6
    kinds = {probe["kind"] for part in data["parameters"] for probe in part["probes"]}
    assert kinds == {"random", "eigen"}
    assert check(mlp.problems.leaky_relu()).to_dict()["miss_chance"] == 0.0


def test_findings_are_stored_once_and_shared_again():
    report = check_gradients(np.sum, undefined, np.ones(2))
    data = report.to_dict()
    assert [part["findings"] for part in data["parameters"]] == [[0]]
    twin = GradientReport.from_dict(data)
    assert twin.parameters[0].findings[0] is twin.findings[0]


@pytest.mark.parametrize(("value", "text"), [(math.inf, "inf"), (-math.inf, "-inf")])
def test_infinities_are_strings(value, text):
    report = replace(check_gradients(np.sum, np.ones_like, np.ones(2)), seconds=value)
    assert report.to_dict()["seconds"] == text
    assert GradientReport.from_dict(report.to_dict()).seconds == value


def test_nan_is_a_string():
    report = replace(check_gradients(np.sum, np.ones_like, np.ones(2)), seconds=math.nan)
    assert report.to_dict()["seconds"] == "nan"
    assert math.isnan(GradientReport.from_dict(report.to_dict()).seconds)


@pytest.mark.parametrize("schema", [0, 2, "1", None])
def test_another_schema_is_refused(schema):
    data = check_gradients(np.sum, np.ones_like, np.ones(2)).to_dict()
    with pytest.raises(ValueError, match=f"schema must be 1, got {schema!r}"):
        GradientReport.from_dict(data | {"schema": schema})


def test_data_without_a_schema_is_refused():
    with pytest.raises(ValueError, match="schema must be 1, got None"):
        GradientReport.from_json("{}")
