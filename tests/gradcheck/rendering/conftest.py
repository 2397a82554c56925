"""Reports built by hand from fixed numbers."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from gradcheck.diagnosis import causes
from gradcheck.report import Comparison, Finding, GradientReport, ParameterReport, Probe

FACTOR = causes.BATCH_SIZE_FACTOR.finding(
    "analytic / numerical = 5.000000 in every entry; 5 is the batch size",
    ("layer1.bias",),
    {"factor": 5.0, "matches": "batch size"},
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


def entry(index, analytic, numerical, error_bar=3e-12):
    size = max(abs(analytic), abs(numerical))
    return Comparison(index, analytic, numerical, error_bar, abs(analytic - numerical) / size)


def partly_wrong(name, layer, mask, entries, findings=()):
    return failing(
        name,
        layer,
        mask.shape,
        wrong=mask,
        wrong_count=int(mask.sum()),
        worst=entries[0],
        worst_entries=tuple(entries),
        findings=tuple(findings),
    )


OFF_DIAGONAL = ~np.eye(7, dtype=bool)
OFF_DIAGONAL_ENTRIES = [
    entry((1, 6), 0.102266, 1.33707),
    entry((6, 1), 1.33707, 0.102266),
    entry((0, 3), -0.51, 0.25),
]
TRANSPOSED = causes.TRANSPOSED.finding(
    "its transpose agrees in all 49 entries, to 3e-10", ("layer2.weight",)
)


def transposed_report():
    return report(
        parameter("layer1.weight"),
        partly_wrong("layer2.weight", "layer2", OFF_DIAGONAL, OFF_DIAGONAL_ENTRIES, [TRANSPOSED]),
        findings=(TRANSPOSED,),
    )


def factor_report():
    names = ("layer1.weight", "layer1.bias", "layer2.weight", "layer2.bias")
    found = replace(FACTOR, parameters=names, alternatives=("batch_reduction",))
    shapes = ((3, 4), (4,), (4, 2), (2,))
    parts = [
        failing(name, name.partition(".")[0], shape, findings=(found,))
        for name, shape in zip(names, shapes, strict=True)
    ]
    return report(*parts, parameter("scale", "scale", ()), findings=(found,))


def sparse_report():
    mask = np.zeros((784, 128), bool)
    entries = [
        entry((12, 7), 0.5, 0.25),
        entry((783, 127), -1e-3, 2e-3),
        entry((400, 64), 0.125, 0.0, 1e-13),
    ]
    for wrong in entries:
        mask[wrong.index] = True
    mask[196:294, 40:50] = True
    found = causes.SPARSE_ENTRY.finding("983 of 100,352 entries are wrong", ("layer1.weight",))
    part = partly_wrong("layer1.weight", "layer1", mask, entries, [found])
    return report(part, parameter("layer1.bias", shape=(128,)), findings=(found,))


def upstream_report():
    names = ("layer1.weight", "layer1.bias")
    found = replace(
        causes.WRONG_UPSTREAM.finding(
            "layer2 and layer3 are right; with the true signal into layer1 it is right too", names
        ),
        layer="layer2",
    )
    parts = [
        failing(names[0], shape=(3, 4), findings=(found,)),
        failing(names[1], findings=(found,)),
        parameter("layer2.weight", "layer2", (4, 4)),
        parameter("layer2.bias", "layer2", (4,)),
    ]
    return report(*parts, findings=(found,))


def unexplained_report():
    found = causes.UNEXPLAINED.finding(
        "analytic / numerical from -3.1 to 4.7; the difference has rank 1, correlation 0.02 with "
        "the parameter; wrong are rows 1 and 2",
        ("W",),
    )
    mask = np.zeros((2, 3, 5), bool)
    mask[0, 1:] = True
    entries = [entry((0, 1, 4), 0.31, -0.1), entry((0, 2, 0), 0.2, 0.21)]
    return report(
        partly_wrong("W", "W", mask, entries, [found]), parameter("b", "b"), findings=(found,)
    )


def mixed_report():
    entries = [entry((2,), 0.5, 0.25), entry((0,), 0.1, 0.3)]
    mask = np.array([True, False, True, False])
    return report(
        failing(findings=(FACTOR,)),
        partly_wrong("layer2.weight", "layer2", OFF_DIAGONAL, OFF_DIAGONAL_ENTRIES, [TRANSPOSED]),
        partly_wrong("layer3.bias", "layer3", mask, entries),
        parameter("layer3.weight", "layer3", (7, 4)),
        findings=(FACTOR, TRANSPOSED),
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
        transposed_report=transposed_report,
        factor_report=factor_report,
        sparse_report=sparse_report,
        upstream_report=upstream_report,
        unexplained_report=unexplained_report,
        mixed_report=mixed_report,
        entry=entry,
        partly_wrong=partly_wrong,
    )
