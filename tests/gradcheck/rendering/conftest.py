"""Reports built by hand from fixed numbers."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from gradcheck.report import Comparison, Finding, GradientReport, ParameterReport, Probe

FACTOR = Finding(
    "GC203",
    "batch_size_factor",
    "layer1.bias is 5.00 times too large",
    "analytic / numerical = 5.000000 in every entry; 5 is the batch size",
    "divide by the batch size: the 1/N of the mean is missing",
    parameters=("layer1.bias",),
)
KINK = Finding(
    "GC121",
    "kink",
    "the loss has a kink at layer1.weight",
    "the slopes to both sides differ and the analytic value lies between them",
    "nothing, if you meant to take one of the slopes",
    parameters=("layer1.weight",),
    layer="layer1",
    severity="note",
)


def parameter(name, layer="layer1", shape=(3, 4), verdict="pass", **changes):
    index = tuple(0 for _ in shape)
    values = {
        "reason": "",
        "resolution": 2.3e-9,
        "worst": Comparison(index, 0.0122285, 0.01222850006, 3.1e-10, 5.9e-9),
        "wrong": np.zeros(shape, bool),
        "wrong_count": 0,
        "checked_count": math.prod(shape),
        "unresolved_count": 0,
        "probes": (Probe(0.1, 0.1000000001, 2e-9, 1e-9, "agrees", 4),),
    }
    return ParameterReport(name, layer, shape, "float64", verdict, **(values | changes))


def failing(name="layer1.bias", layer="layer1", shape=(4,), **changes):
    index = tuple(size - 1 for size in shape)
    values = {
        "worst": Comparison(index, 0.0611423, 0.0122285, 2.7e-12, 0.8),
        "wrong": np.ones(shape, bool),
        "wrong_count": math.prod(shape),
    }
    return parameter(name, layer, shape, "fail", **(values | changes))


def undecided(name="layer2.bias", layer="layer2", shape=(4,), **changes):
    values = {
        "reason": "the loss is too noisy: errors up to 1e-03 would go unseen",
        "resolution": 1e-3,
        "worst": None,
        "wrong": None,
        "wrong_count": None,
        "checked_count": 0,
    }
    return parameter(name, layer, shape, "inconclusive", **(values | changes))


def report(*parameters, findings=(), notes=(), name="net.py:net"):
    return GradientReport(
        name,
        parameters,
        tuple(findings),
        evaluations=290,
        gradient_calls=3,
        seconds=0.021,
        seed=0,
        settings={},
        notes=tuple(notes),
    )


def passing_report():
    return report(
        parameter("layer1.weight"),
        parameter("layer1.bias", shape=(4,), resolution=1.1e-9),
        parameter("scale", "scale", ()),
    )


def failing_report():
    return report(
        parameter("layer1.weight", findings=(KINK,)),
        failing(findings=(FACTOR,)),
        parameter("W2", "2", (4, 2)),
        undecided(),
        findings=(KINK, FACTOR),
        notes=("integer parameter 'steps' was skipped",),
    )


def directions_report():
    by_directions = {"checked_count": 0, "worst": None, "required": 1e-6}
    random = Probe(0.1, 0.1000000001, 2e-9, 1e-9, "agrees", 4)
    eigen = Probe(-0.2, -0.2000000003, 7e-9, 2e-9, "agrees", 6, "eigen")
    return report(
        parameter("W1", "1", probes=(random, eigen), miss_chance=2.31e-6, **by_directions),
        parameter("b1", "1", (4,), probes=(random,), miss_chance=1.1e-7, **by_directions),
    )


def inconclusive_report():
    return report(parameter("layer1.weight"), undecided(), undecided("layer2.weight"))


@pytest.fixture
def make():
    return SimpleNamespace(
        parameter=parameter,
        failing=failing,
        undecided=undecided,
        report=report,
        passing_report=passing_report,
        failing_report=failing_report,
        inconclusive_report=inconclusive_report,
        directions_report=directions_report,
    )
