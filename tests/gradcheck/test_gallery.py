"""Every fault of the gallery is caught, blamed on what is wrong, and named truly."""

from dataclasses import replace

import pytest

from gradcheck import check
from mlp import faults, functions

FAULTS = {**faults.FAULTS, **functions.FAULTS}
SHOWN = [name for name, fault in FAULTS.items() if fault(0).network is not None]
# The benchmark of the gallery has 20, and counts.
FURTHER_SEEDS = (1,)


def errors(report):
    return [finding for finding in report.findings if finding.severity == "error"]


def assert_told(report, fault, accepted):
    assert {part.name for part in report.parameters if part.verdict == "fail"} == fault.wrong
    assert not any(part.verdict == "inconclusive" for part in report.parameters)
    found = errors(report)
    assert {finding.slug for finding in found} <= accepted, [one.evidence for one in found]
    assert {name for finding in found for name in finding.parameters} == fault.wrong


def hidden(problem):
    return replace(problem, network=None)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in SHOWN[::2] else []) for n in FAULTS]
)
def test_fault_is_caught_and_named_without_its_layers(name):
    fault = FAULTS[name]
    assert_told(check(hidden(fault(0))), fault, fault.black_box)


@pytest.mark.parametrize("name", SHOWN)
def test_fault_is_caught_named_and_blamed_on_its_layer(name):
    fault = FAULTS[name]
    report = check(fault(0))
    assert_told(report, fault, fault.exposed)
    assert fault.layer is None or {finding.layer for finding in errors(report)} == {fault.layer}


@pytest.mark.slow
@pytest.mark.parametrize("effort", ["auto", "quick"])
@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_named_for_every_seed(name, effort):
    fault = FAULTS[name]
    for seed in FURTHER_SEEDS:
        report = check(hidden(fault(seed)), effort=effort, seed=seed)
        assert_told(report, fault, fault.black_box)
        if name in SHOWN:
            report = check(fault(seed), effort=effort, seed=seed)
            assert_told(report, fault, fault.exposed)
            if fault.layer is not None:
                assert {finding.layer for finding in errors(report)} == {fault.layer}


@pytest.mark.parametrize("name", ["transposed_weight", "missing_batch_mean", "zeroed_column"])
def test_causes_do_not_depend_on_the_precision_of_the_parameters(name):
    fault = FAULTS[name]
    problem = fault(0)
    arrays = {
        layer: {key: value.astype("float32") for key, value in values.items()}
        for layer, values in problem.parameters.items()
    }
    data = tuple(array.astype("float32") for array in problem.args)
    assert_told(check(replace(problem, parameters=arrays, args=data)), fault, fault.exposed)
