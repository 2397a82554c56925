"""check_gradients: preflight, noise, probes, entries, verdict, report; in that order."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from gradcheck.assembly import measured_report, measurement_findings, stopped_reports
from gradcheck.budget import OUT_OF_TIME, Budget
from gradcheck.calling import TimedOut
from gradcheck.check_notes import complex_notes, left_out_notes
from gradcheck.diagnosis import codes
from gradcheck.execution import Evaluator
from gradcheck.gradient_calls import Mutated
from gradcheck.gradient_sizes import size_notes
from gradcheck.leaves import kinds_instead
from gradcheck.measuring import Measurements, measure_parameters
from gradcheck.options import CheckOptions, Options, settle_options, takes_options
from gradcheck.parameter_sets import check_sets, with_sets
from gradcheck.parameters import assign_layers, select_names
from gradcheck.plan import PROBES, Plan, make_plan
from gradcheck.preflight import (
    Preflight,
    changed_data,
    mutated,
    mutated_data,
    run_preflight,
)
from gradcheck.probing import Task
from gradcheck.problem import Problem, as_problem, network_layers
from gradcheck.report import Finding, GradientReport, ParameterReport, layer_reports
from gradcheck.saturation import saturation_notes

if TYPE_CHECKING:
    from gradcheck.diagnosis.diagnose import Diagnosis


# What a network's own loss takes, so that the layers can be called by themselves.
DATA = ("inputs", "targets")


class NothingToCheck(ValueError):
    """No parameter is left to check."""


@dataclass(frozen=True)
class _Subject:
    """What is checked and how: everything the steps of a check share.

    Attributes
    ----------
    selected: names of the parameters to check, those that bounds fix left out
    fixed: how many entries bounds fix, by name
    budget: the time there is
    """

    problem: Problem
    evaluator: Evaluator
    options: Options
    selected: tuple[str, ...]
    fixed: Mapping[str, int]
    layers: Mapping[str, str]
    plan: Plan
    budget: Budget


@takes_options
def check_gradients(
    loss: Any,
    gradient: Any,
    parameters: Any,
    *,
    args: Sequence[Any] = (),
    name: str | None = None,
    sizes: Mapping[str, int] | None = None,
    layers: Mapping[str, Sequence[str]] | None = None,
    **options: Unpack[CheckOptions],
) -> GradientReport:
    """Check an analytic gradient against a numerical one with an error bar.

    Parameters
    ----------
    loss: ``loss(parameters, *args)`` returns one real number; None if `gradient` returns
        ``(value, gradient)``
    gradient: ``gradient(parameters, *args)`` returns arrays nested like `parameters`
    parameters: an array, or any nesting of dicts, lists, tuples, namedtuples and dataclasses; both
        functions get copies; complex ones are checked as pairs of real numbers, their gradient
        being dL/dRe + i dL/dIm
    args: handed on to both functions
    name: what the report calls the problem
    sizes: known sizes by name, such as ``{"batch": 32}``
    layers: names of parameters by layer
    seed: of the random directions
    effort: "quick" measures random directions and the entries of what fails, "auto" every entry
        where that takes at most about 20,000 evaluations, or where a network that exposes its
        layers tells of them, "exhaustive" every entry
    only, exclude: names or patterns (``"W*"``) of the parameters to check or to leave out
    required_resolution: relative error that a pass has to rule out; by default 1e-6 in float64,
        1e-4 for a float32 gradient of a float64 loss, 1e-2 in pure float32
    method: "complex" takes the complex step as a third oracle, where the loss takes complex
        numbers; "strict" really moves every weight of layers that are exposed, by itself, which
        takes some hundred times as long as "auto" does
    directions: "eigen" also measures the top eigenvectors of the Hessian, along which a training
        step moves the loss most; they are worse than random ones at finding a lone wrong entry
    bounds: (lower, upper), each None, a number, or nested like `parameters` with numbers, None or
        arrays in it; an object with ``lb`` and ``ub``, such as scipy's; or, for one array whose
        size is not 2, a pair (lowest, highest) per entry. Neither function is called outside;
        entries on a bound are compared from the inside, fixed ones are left out
    reseed: makes a random loss or gradient repeatable: a whole number seeds ``random`` and
        ``numpy.random`` before every call, a ``numpy.random.Generator`` is put back to its state,
        a function is called
    timeout: seconds that one call of the loss or gradient may take; calls are then made in
        another thread, which is left to itself when one takes longer
    budget: seconds after which no more is measured, looked at between slopes; a parameter whose
        random directions were all measured by then is judged by those
    vectorized: the loss takes many parameter sets at once: every floating-point array has a
        leading axis of sets, also where there is one set only, and an array of as many losses is
        returned; the gradient is called as ever

    Returns
    -------
    GradientReport
        never raises on a wrong gradient

    Raises
    ------
    ValueError, TypeError
        when an option or the parameters cannot be used; exceptions of the user's own functions at
        the given parameters propagate

    Examples
    --------
    >>> import numpy as np
    >>> report = check_gradients(lambda x: np.sum(x**2), lambda x: 2 * x, np.array([1.0, 2.0]))
    >>> report.verdict
    'pass'
    """
    problem = Problem(
        loss, gradient, parameters, args=args, name=name, sizes=sizes or {}, layers=layers
    )
    return check(problem, **options)


@takes_options
def check(
    problem: Any, *, name: str | None = None, **options: Unpack[CheckOptions]
) -> GradientReport:
    """Check a Problem, or any object with its attributes; see `check_gradients`."""
    return check_settled(as_problem(problem, name), settle_options(options))


def check_settled(problem: Problem, settled: Options, probes: int = PROBES) -> GradientReport:
    """Check a Problem, every parameter along at least so many random directions."""
    started = time.perf_counter()
    subject = _subject(problem, settled, Budget(settled.budget), probes)
    evaluator = subject.evaluator
    try:
        results = _checked(subject)
    finally:
        evaluator.close()
    return GradientReport(
        name=subject.problem.title,
        parameters=results.parameters,
        findings=results.findings,
        evaluations=evaluator.evaluations,
        gradient_calls=evaluator.gradient_calls,
        seconds=time.perf_counter() - started,
        seed=settled.seed,
        settings=settled.settings(),
        notes=(*left_out_notes(evaluator, subject.fixed), *results.notes),
        partial_evaluations=results.partial_evaluations,
    )


def _subject(problem: Problem, options: Options, budget: Budget, probes: int) -> _Subject:
    if options.vectorized:
        problem = with_sets(problem)
    evaluator = Evaluator(problem, options.reseed, options.timeout, options.bounds)
    names = [name for name, array in evaluator.original.items() if array.size]
    if not names:
        got = kinds_instead(evaluator.skipped, evaluator.original)
        raise NothingToCheck(f"parameters must hold an array of floats, got {got}")
    selected = select_names(names, options.only, options.exclude)
    if not selected:
        raise NothingToCheck(f"exclude leaves no parameter of {', '.join(names)}")
    free = {name: evaluator.bounds.free_count(name, evaluator.original[name]) for name in selected}
    if not any(free.values()):
        raise NothingToCheck(f"bounds must leave room to move, got none for {', '.join(free)}")
    return _Subject(
        problem=problem,
        evaluator=evaluator,
        options=options,
        selected=tuple(name for name, count in free.items() if count),
        fixed={name: evaluator.original[name].size - count for name, count in free.items()},
        layers=assign_layers(list(evaluator.original), _known_layers(problem, names)),
        plan=make_plan(
            *({n: count for n, count in free.items() if count}, options.effort, probes),
            has_layers=problem.network is not None and len(problem.args) == len(DATA),
        ),
        budget=budget,
    )


def _known_layers(problem: Problem, names: list[str]) -> Mapping[str, Sequence[str]] | None:
    if problem.layers is not None or problem.network is None:
        return problem.layers
    layers = network_layers(problem.network)
    return {layer: [name for name in held if name in names] for layer, held in layers.items()}


@dataclass(frozen=True)
class _Results:
    """The parts of a report that measuring makes."""

    parameters: tuple[ParameterReport, ...]
    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    partial_evaluations: int = 0


def _checked(subject: _Subject) -> _Results:
    """Return the reports, the findings and what there is to note about both."""
    flight = Preflight((np.nan, np.nan))
    try:
        if subject.options.vectorized:
            check_sets(subject.evaluator)
        flight = run_preflight(subject.evaluator, subject.selected)
        results = (_run if flight.analytic else _stopped)(subject, flight)
    except TimedOut as late:
        results = _stopped(subject, _timed_out(subject, flight, late))
    dtype_of = subject.evaluator.dtype_of
    return replace(
        results,
        parameters=tuple(replace(p, dtype=str(dtype_of(p.name))) for p in results.parameters),
        notes=(*results.notes, *complex_notes(subject.evaluator, subject.selected, flight.real)),
    )


def _timed_out(subject: _Subject, flight: Preflight, late: TimedOut) -> Preflight:
    """Return what is left of a check that stops where a call takes too long."""
    names = tuple(name for name in subject.selected if name not in flight.failed)
    finding = codes.TIMED_OUT.finding(str(late), names)
    return replace(flight, findings=(*flight.findings, finding), stopped=str(late))


def _out_of_time(subject: _Subject, flight: Preflight) -> Preflight:
    """Return what is left of a check whose time is over before anything is measured."""
    names = tuple(name for name in subject.selected if name not in flight.failed)
    finding = codes.BUDGET_EXHAUSTED.finding("nothing could be measured", names)
    return replace(flight, findings=(*flight.findings, finding), stopped=OUT_OF_TIME)


def _stopped(subject: _Subject, flight: Preflight) -> _Results:
    originals = {name: subject.evaluator.original[name] for name in subject.selected}
    return _Results(stopped_reports(originals, subject.layers, flight), flight.findings)


def _run(subject: _Subject, flight: Preflight) -> _Results:
    """Measure every parameter that preflight let through, then judge and report all."""
    if subject.budget.is_spent():
        return _stopped(subject, _out_of_time(subject, flight))
    originals = {name: subject.evaluator.original[name] for name in subject.selected}
    task = Task(
        evaluator=subject.evaluator,
        selected=subject.selected,
        plan=subject.plan,
        seed=subject.options.seed,
        required_resolution=subject.options.required_resolution,
        method=subject.options.method,
        directions=subject.options.directions,
        budget=subject.budget,
    )
    found = measure_parameters(task, flight)
    if changed := subject.evaluator.changed_parameters():
        guilty = Mutated("loss", changed)
        return _stopped(subject, mutated(flight.values, subject.selected, guilty))
    if places := changed_data(subject.evaluator, flight.data):
        evidence = f"the loss changed {places}"
        return _stopped(subject, mutated_data(flight.values, subject.selected, evidence))
    diagnosis = _diagnosed(subject, flight, found)
    limits = measurement_findings(found.parameters, found.noise, _drift(flight, found))
    causes = diagnosis.findings if diagnosis else ()
    masks = diagnosis.wrong if diagnosis else {}
    findings = (*causes, *flight.findings, *limits)
    reports = {
        name: measured_report(
            measured, originals[name], subject.layers[name], findings, masks.get(name)
        )
        for name, measured in found.parameters.items()
    }
    for report in stopped_reports(originals, subject.layers, flight, findings):
        reports.setdefault(report.name, report)
    parts = tuple(reports[name] for name in subject.selected)
    if diagnosis:
        partial = found.partial_evaluations + diagnosis.partial_evaluations
        return _Results(parts, findings, found.notes, partial)
    # Of a gradient that is wrong, its size says nothing of the network.
    units, partial = saturation_notes(
        *(subject.evaluator, flight.analytic, float(found.noise.value)),
        seed=subject.options.seed,
        budget=subject.budget,
    )
    notes = (*found.notes, *size_notes(subject.problem, layer_reports(parts)), *units)
    return _Results(parts, findings, notes, found.partial_evaluations + partial)


def _drift(flight: Preflight, found: Measurements) -> float:
    """Return how far the loss has drifted, 0 where preflight told that it is random."""
    return found.drift if flight.values[0] == flight.values[1] else 0.0


def _diagnosed(subject: _Subject, flight: Preflight, found: Measurements) -> Diagnosis | None:
    """Return why parameters fail, None where none does."""
    if all(part.judgement.verdict != "fail" for part in found.parameters.values()):
        return None
    # A check that passes has no use for what takes as long to load as all the rest.
    from gradcheck.diagnosing import diagnosis_of

    return diagnosis_of(
        subject.evaluator,
        found,
        analytic=flight.analytic,
        layer_of=subject.layers,
        conditions=found.noise.conditions(subject.plan.comparisons),
        seed=subject.options.seed,
        budget=subject.budget,
    )
