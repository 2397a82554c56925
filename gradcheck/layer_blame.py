"""Which layer has the fault that no cause explains: each backward is checked by itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gradcheck.budget import Budget
from gradcheck.chained import Chained, chained_gradients
from gradcheck.diagnosis.asking import Asker, quiet
from gradcheck.diagnosis.causes import UNEXPLAINED, WRONG_UPSTREAM
from gradcheck.diagnosis.diagnose import Diagnosis
from gradcheck.diagnosis.facts import Facts
from gradcheck.execution import Evaluator
from gradcheck.layer_parts import LOSS, OUTPUTS
from gradcheck.parameters import rebuilder
from gradcheck.report import Finding, GradientReport, ParameterReport


def blamed_on_layers(
    diagnosis: Diagnosis,
    evaluator: Evaluator,
    facts: Facts,
    asker: Asker,
    *,
    seed: int,
    budget: Budget,
) -> Diagnosis:
    """Return the diagnosis with what is open in it blamed on the layers that have the faults.

    Open are the parameters without a cause, and those below a signal that is wrong somewhere
    between two layers. Of these, only what the backwards of the layers make, one after the other,
    can be their fault.
    """
    is_open = {id(f): f.code == UNEXPLAINED.code or _is_pattern(f) for f in diagnosis.findings}
    names = [n for f in diagnosis.findings if is_open[id(f)] for n in f.parameters]
    made = chained_gradients(evaluator, facts, asker) if names else Chained()
    names = [name for name in names if made.has(name, facts.analytic[name])]
    report = _layer_report(evaluator, seed, budget) if names else None
    if report is None:
        return diagnosis
    lifted = list(_lifted(evaluator.problem.network, report, names))
    if made.by_own_loss:
        blamed = {name for finding in lifted for name in finding.parameters}
        lifted += _of_loss(report, [name for name in names if name not in blamed])
    explained = {name for finding in lifted for name in finding.parameters}
    kept = []
    for finding in diagnosis.findings:
        left = tuple(name for name in finding.parameters if name not in explained)
        if not is_open[id(finding)] or left == finding.parameters:
            kept.append(finding)
        elif left:
            kept.append(replace(finding, parameters=left))
    return replace(diagnosis, findings=(*lifted, *kept), partial_evaluations=report.evaluations)


def _is_pattern(finding: Finding) -> bool:
    return finding.code == WRONG_UPSTREAM.code and finding.layer is None


def _layer_report(evaluator: Evaluator, seed: int, budget: Budget) -> GradientReport | None:
    """Return the check of every layer by itself, None where that cannot be done."""
    from gradcheck.layered import NO_TIME, check_layers

    problem = evaluator.problem
    if problem.network is None or not problem.args or problem.in_place:
        return None
    at_point = rebuilder(problem.parameters)(evaluator.original)
    left = budget.left()
    try:
        with quiet():
            return check_layers(
                problem.network,
                *problem.args[:2],
                parameters=at_point if isinstance(at_point, Mapping) else None,
                seed=seed,
                effort="quick",
                reseed=evaluator.reseed,
                timeout=evaluator.timeout,
                budget=None if left is None else max(NO_TIME, left),
            )
    except (Exception, SystemExit):
        # What the layers make of being called like this is no fault of the gradient.
        return None


@dataclass(frozen=True)
class _Layer:
    """A layer of the report: the names of its own parameters, and what it hands down."""

    name: str
    own: tuple[str, ...]
    handed_down: ParameterReport | None


def _lifted(network: Any, report: GradientReport, names: Sequence[str]) -> Iterator[Finding]:
    """Yield findings about the layers that are wrong by themselves, from the last one down."""
    layers = [_layer(layer.name, layer.parameters, report) for layer in network.layers]
    failing = {part.name for part in report.parameters if part.verdict == "fail"}
    left = list(names)
    for place, layer in reversed(list(enumerate(layers))):
        for finding in report.findings:
            about = tuple(name for name in finding.parameters if name in left and name in layer.own)
            if finding.severity == "error" and about and set(about) <= failing:
                evidence = f"{layer.name} by itself: {finding.evidence}"
                yield replace(finding, parameters=about, layer=layer.name, evidence=evidence)
                left = [name for name in left if name not in about]
        down = layer.handed_down
        # What is wrong in a lower layer by itself too comes to its turn.
        below = tuple(
            name
            for one in layers[:place]
            for name in one.own
            if name in left and name not in failing
        )
        if down is not None and down.verdict == "fail" and below:
            evidence = f"{layer.name} by itself hands down a wrong dL/dx: {_why(down)}"
            yield replace(WRONG_UPSTREAM.finding(evidence, below), layer=layer.name)
            left = [name for name in left if name not in below]


def _of_loss(report: GradientReport, left: Sequence[str]) -> Iterator[Finding]:
    """Yield that the loss's own gradient is what is wrong with the rest, if it is wrong."""
    outputs = next((p for p in report.parameters if p.name == f"{LOSS}.{OUTPUTS}"), None)
    if outputs is not None and outputs.verdict == "fail" and left:
        evidence = f"the loss's own gradient at the outputs is wrong: {_why(outputs)}"
        yield WRONG_UPSTREAM.finding(evidence, tuple(left))


def _why(part: ParameterReport) -> str:
    return "; ".join(finding.evidence for finding in part.findings if finding.evidence)


def _layer(name: str, parameters: Mapping[str, Any], report: GradientReport) -> _Layer:
    by_name = {part.name: part for part in report.parameters}
    own = tuple(f"{name}.{key}" for key in parameters)
    return _Layer(name, own, by_name.get(f"{name}.inputs"))
