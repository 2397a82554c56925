"""check_layers: the backward pass of every layer by itself, so that a fault is blamed where it is.

In a network a wrong signal spoils the gradients of every layer below. Here each layer is a problem
of its own, at the inputs it gets in the network and with an upstream u drawn at random:

    loss(weight, ..., inputs) = sum(u * forward(weight, ..., inputs))

whose gradient is what its backward returns for u. Nothing of another layer's backward is in it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Unpack

from gradcheck.calling import Caller, TimedOut
from gradcheck.checking import NothingToCheck, check
from gradcheck.diagnosis import codes
from gradcheck.layer_parts import INPUTS, Part, layer_parts, told
from gradcheck.options import CheckOptions, Options, settle_options, takes_options
from gradcheck.parameters import select_names
from gradcheck.report import Finding, GradientReport

# What is left of a budget that earlier layers have used up: the report then says what is missing.
NO_TIME = 1e-9
IN_A_CHAIN = "nothing is wrong in a chain; copy it where something else uses it too, as a skip does"


@takes_options
def check_layers(
    network: Any,
    inputs: Any,
    upstream_or_targets: Any = None,
    *,
    parameters: Mapping[str, Any] | None = None,
    name: str | None = None,
    sizes: Mapping[str, int] | None = None,
    **options: Unpack[CheckOptions],
) -> GradientReport:
    """Check every layer's backward by itself, at the inputs that it gets in the network.

    A fault is blamed on the layer that has it, not on those before it. For a layer called "layer2"
    the report has "layer2.weight", "layer2.bias", as it calls its parameters, and
    "layer2.inputs", the gradient that it hands down.

    Parameters
    ----------
    network: has ``layers``, in a chain, each with a ``name``, a dict of ``parameters``,
        ``forward(parameters, inputs)`` that returns ``(outputs, cache)`` and
        ``backward(cache, upstream)`` that returns ``(input_gradient, parameter_gradients)``
    inputs: of the first layer; whole numbers, as for an embedding, have no gradient to check
    upstream_or_targets: where the network has a ``loss`` with ``value(outputs, targets)`` and
        ``gradient(outputs, targets)``, the targets, and "loss.outputs" is checked too; else the
        upstream of the last layer. Every other upstream is drawn at random
    parameters: by layer name, in place of the layers' own
    name, sizes, options: as in `check_gradients`; `only` and `exclude` take names such as
        "layer2.bias" and "layer2.*"

    Returns
    -------
    GradientReport
        one for all layers; what a finding says of a whole layer has its name in ``layer``

    Raises
    ------
    ValueError, TypeError
        when the network, an argument or an option cannot be used; exceptions of the layers
        themselves propagate
    TimeoutError
        when a layer's forward takes longer than `timeout` on the way through the network

    Examples
    --------
    >>> import numpy as np
    >>> from types import SimpleNamespace
    >>> class Scaling:
    ...     name, parameters = "scaling", {"factor": np.array([2.0, 3.0])}
    ...     def forward(self, parameters, inputs):
    ...         return inputs * parameters["factor"], (inputs, parameters["factor"])
    ...     def backward(self, cache, upstream):
    ...         inputs, factor = cache
    ...         return upstream * factor, {"factor": np.sum(upstream * inputs, axis=0)}
    >>> report = check_layers(SimpleNamespace(layers=[Scaling()]), np.ones((5, 2)))
    >>> [(part.name, part.verdict) for part in report.parameters]
    [('scaling.factor', 'pass'), ('scaling.inputs', 'pass')]
    """
    started = time.perf_counter()
    settled = settle_options(options)
    if settled.vectorized:
        raise ValueError(
            "vectorized must be False for check_layers: a layer's forward takes one parameter set, "
            "got True"
        )
    with closing(Caller(settled.reseed, settled.timeout)) as caller:
        given = (network, inputs, upstream_or_targets, parameters)
        parts = list(layer_parts(*given, seed=settled.seed, caller=caller))
        chosen = _chosen(parts, settled, caller)
    layers = [part.name for part in parts]
    reports = []
    for one in [one for one in chosen if one.names]:
        own = CheckOptions(**options)
        own["only"], own["exclude"] = one.names, None
        own["bounds"] = _bounds_of(settled.bounds, one.part.name, layers)
        if settled.budget is not None:
            own["budget"] = max(NO_TIME, started + settled.budget - time.perf_counter())
        report = check(replace(one.part.problem, sizes=sizes or {}), **own)
        reports.append(_about_layer(report, one))
    return GradientReport(
        name=name or f"layers of {type(network).__name__}",
        parameters=tuple(part for report in reports for part in report.parameters),
        findings=tuple(finding for report in reports for finding in report.findings),
        # Every layer was called once on the way through the network, and once to look at it.
        evaluations=sum(report.evaluations for report in reports) + _layer_count(parts),
        gradient_calls=sum(report.gradient_calls for report in reports)
        + _layer_count([one.part for one in chosen]),
        seconds=time.perf_counter() - started,
        seed=settled.seed,
        settings=settled.settings(),
        notes=(
            *(part.note for part in parts if part.note),
            *(one.note for one in chosen if one.note),
            *(note for report in reports for note in report.notes),
        ),
    )


@dataclass(frozen=True)
class _Chosen:
    """A part of the network, which of its names are to be checked, and what was seen before."""

    part: Part
    names: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    note: str = ""


def _chosen(parts: Sequence[Part], options: Options, caller: Caller) -> list[_Chosen]:
    """Return the parts of which something is selected, each after a look at its backward.

    Raises
    ------
    NothingToCheck
        when nothing is selected, or is left of what is
    """
    known = [key for part in parts for key in part.names]
    if not known:
        raise NothingToCheck("layers must hold or take arrays of real floats, got none that does")
    selected = select_names(known, options.only, options.exclude)
    named = [(part, tuple(key for key in part.names if key in selected)) for part in parts]
    chosen = [
        _looked_at(_Chosen(part, names), part is parts[0], caller) for part, names in named if names
    ]
    if not any(one.names for one in chosen):
        raise NothingToCheck(
            f"only and exclude leave nothing that has a gradient of {', '.join(known)}"
        )
    return chosen


def _looked_at(chosen: _Chosen, is_first: bool, caller: Caller) -> _Chosen:
    """Return the part with what one call of its backward shows besides numbers."""
    part = chosen.part
    if part.alone is None:
        return chosen
    with told(what := f"backward of layer {part.name!r}"):
        try:
            look = caller.call(partial(part.alone.look, part.problem.parameters), what)
        except TimedOut:
            return chosen  # its own check will say so
    if look.changes_upstream:
        evidence = f"the {what} changes the upstream that it is given"
        found = codes.MUTATES_DATA.note(evidence, (), IN_A_CHAIN)
        chosen = replace(chosen, findings=(replace(found, layer=part.name),))
    lowest = f"{part.name}.{INPUTS}"
    if is_first and not look.has_input_gradient and lowest in chosen.names:
        # Nobody needs it there, and it is the largest product of all.
        names = tuple(key for key in chosen.names if key != lowest)
        chosen = replace(
            chosen, names=names, note=f"not checked, as backward returns none: {lowest}"
        )
    return chosen


def _layer_count(parts: Sequence[Part]) -> int:
    return sum(part.alone is not None for part in parts)


def _bounds_of(bounds: Any, layer: str, known: Sequence[str]) -> Any:
    """Return the bounds of one layer: where they are nested, by layer first."""
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):
        bounds = bounds.lb, bounds.ub
    if not (isinstance(bounds, tuple | list) and len(bounds) == 2):
        return bounds
    return tuple(_side_of(side, layer, known) for side in bounds)


def _side_of(side: Any, layer: str, known: Sequence[str]) -> Any:
    if not isinstance(side, Mapping):
        return side
    for name in side:
        if name not in known:
            raise ValueError(f"layers named in bounds must be {', '.join(known)}, got {name!r}")
    return {layer: side[layer]} if layer in side else None


def _about_layer(report: GradientReport, chosen: _Chosen) -> GradientReport:
    """Return the report of a layer whose findings say which layer they are about."""
    layer = chosen.part.name
    named = {
        id(finding): finding if finding.layer else replace(finding, layer=layer)
        for finding in report.findings
    }
    parameters = tuple(
        replace(part, findings=tuple(named[id(finding)] for finding in part.findings))
        for part in report.parameters
    )
    findings = (*(named[id(finding)] for finding in report.findings), *chosen.findings)
    return replace(report, parameters=parameters, findings=findings)
