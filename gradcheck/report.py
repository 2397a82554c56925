"""The report: frozen data about one check; no rendering.

A verdict is never stored on a whole: layers and reports derive theirs from their parts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NoReturn

from gradcheck.suggestions import did_you_mean

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Verdict = Literal["pass", "fail", "inconclusive"]
Severity = Literal["error", "note"]
ProbeKind = Literal["random", "eigen"]


@dataclass(frozen=True)
class Comparison:
    """One entry of a parameter, analytic against numerical.

    Attributes
    ----------
    index: position of the entry in its parameter; () for a scalar
    analytic: what the code under test returned
    numerical: our estimate of the derivative
    error_bar: how far the numerical value may be off, in the unit of the gradient
    relative_error: abs(analytic - numerical) / max(abs(analytic), abs(numerical)), 0 if both are 0
    """

    index: tuple[int, ...]
    analytic: float
    numerical: float
    error_bar: float
    relative_error: float


@dataclass(frozen=True)
class Probe:
    """One direction through a whole parameter, analytic slope against numerical slope.

    Attributes
    ----------
    analytic: analytic gradient times direction
    numerical: directional derivative of the loss
    error_bar: how far the numerical value may be off
    resolution: error bar relative to the typical slope along such directions
    outcome: "agrees", "disagrees" or "undecided"
    evaluations: calls of the loss this probe took
    kind: "random", or "eigen" for an eigenvector of the Hessian
    shared: whether the direction led through all parameters at once, so that its evaluations
        count for all of them together
    """

    analytic: float
    numerical: float
    error_bar: float
    resolution: float
    outcome: str
    evaluations: int
    kind: ProbeKind = "random"
    shared: bool = False


@dataclass(frozen=True)
class Finding:
    """A named fact about the gradient or about what limits the check.

    Attributes
    ----------
    code, slug, title: the catalogue's name of it, such as "GC104", "not_finite"
    evidence: what was seen, in one sentence
    suggestion: what to try
    parameters: names of the parameters it speaks of
    layer: the layer it speaks of, if one
    alternatives: slugs of causes that cannot be told apart from this one here
    details: numbers behind the evidence
    severity: "error" where the gradient or its code is wrong, "note" otherwise
    """

    code: str
    slug: str
    title: str
    evidence: str
    suggestion: str
    parameters: tuple[str, ...] = ()
    layer: str | None = None
    alternatives: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    severity: Severity = "error"


@dataclass(frozen=True, eq=False)
class ParameterReport:
    """What was found out about one parameter.

    Attributes
    ----------
    name, layer, shape, dtype: which array, and the layer it belongs to
    verdict: "pass", "fail" or "inconclusive"
    reason: why it is inconclusive or failed before any comparison; "" otherwise
    resolution: smallest relative error of the gradient that would have been seen; None if unknown
    worst: the entry whose error is largest against its error bar; None where none was compared
    worst_entries: up to five entries that are wrong beyond their error bars, worst first
    wrong: mask of the parameter's shape: the wrong entries; None where they were not all compared
    wrong_count: number of wrong entries, None where `wrong` is
    checked_count: entries compared one by one
    unresolved_count: compared entries whose value is smaller than their error bar
    probes: the directions measured
    findings: those of the report that speak of this parameter
    required: relative error of the gradient (norm, weighted with the scales) that a pass has to
        rule out; None if nothing was measured
    miss_chance: of a pass: bound on the chance that an error of that size, or larger, went unseen
        by every random direction; 0 where every entry was compared, None where there is none. The
        chance is that of drawing such directions: for a fixed seed, that of having chosen it
    gradient_size: of the analytic gradient, the root mean square of its entries; None where there
        is none that can be compared
    """

    name: str
    layer: str
    shape: tuple[int, ...]
    dtype: str
    verdict: Verdict
    reason: str
    resolution: float | None
    worst: Comparison | None
    wrong: npt.NDArray[np.bool_] | None
    wrong_count: int | None
    checked_count: int
    unresolved_count: int
    probes: tuple[Probe, ...]
    findings: tuple[Finding, ...] = ()
    required: float | None = None
    miss_chance: float | None = None
    worst_entries: tuple[Comparison, ...] = ()
    gradient_size: float | None = None

    @property
    def ruled_out(self) -> float | None:
        """The relative error beyond which one would have been seen, but for `miss_chance`."""
        if not self.miss_chance or self.resolution is None or self.required is None:
            return self.resolution
        return max(self.resolution, self.required)

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)

    def __eq__(self, other: object) -> bool:
        return _equal_by_value(self, other)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, eq=False)
class LayerReport:
    """The parameters that belong together."""

    name: str
    parameters: tuple[ParameterReport, ...]

    @property
    def verdict(self) -> Verdict:
        """The verdict of its parameters taken together."""
        return combined_verdict(parameter.verdict for parameter in self.parameters)

    @property
    def worst(self) -> ParameterReport:
        """The parameter to look at first: failing before inconclusive, then by relative error."""
        return max(self.parameters, key=_urgency)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Findings about its parameters, each once."""
        return _each_once(finding for part in self.parameters for finding in part.findings)

    @property
    def gradient_size(self) -> float | None:
        """The root mean square of all entries; None where a parameter has none."""
        return combined_size(self.parameters)

    def __eq__(self, other: object) -> bool:
        return _equal_by_value(self, other)

    __hash__ = None  # type: ignore[assignment]


@dataclass(frozen=True, eq=False)
class GradientReport:
    """The result of a check.

    Attributes
    ----------
    name: the problem's name
    parameters: a report for every selected parameter, in flatten order
    findings: every finding once, most explanatory first
    evaluations, gradient_calls, partial_evaluations: calls of the user's code
    seconds: wall time of the check
    seed: what the random directions were made from
    settings: the options the check ran with
    notes: remarks about the check itself, such as skipped integer leaves
    """

    name: str
    parameters: tuple[ParameterReport, ...]
    findings: tuple[Finding, ...]
    evaluations: int
    gradient_calls: int
    seconds: float
    seed: int
    settings: Mapping[str, Any]
    notes: tuple[str, ...] = ()
    partial_evaluations: int = 0

    @property
    def verdict(self) -> Verdict:
        """Return "fail" if any parameter fails, else "inconclusive" if any is, else "pass"."""
        return combined_verdict(parameter.verdict for parameter in self.parameters)

    @property
    def ok(self) -> bool:
        """Whether every parameter passed."""
        return self.verdict == "pass"

    @property
    def miss_chance(self) -> float | None:
        """The largest `miss_chance` of its parameters; None where none has one."""
        known = [part.miss_chance for part in self.parameters if part.miss_chance is not None]
        return max(known, default=None)

    @property
    def layers(self) -> tuple[LayerReport, ...]:
        """The parameters grouped by layer, in order of first appearance."""
        return layer_reports(self.parameters)

    def __getitem__(self, name: str) -> ParameterReport:
        for parameter in self.parameters:
            if parameter.name == name:
                return parameter
        names = [parameter.name for parameter in self.parameters]
        hint = did_you_mean(name, names) or f"there are {', '.join(names)}"
        raise KeyError(f"no parameter named {name!r}; {hint}")

    def __bool__(self) -> NoReturn:
        raise TypeError("a report has three verdicts; use report.ok or report.verdict")

    def __eq__(self, other: object) -> bool:
        return _equal_by_value(self, other)

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        from gradcheck.rendering import render_plain

        return render_plain(self)

    def _repr_html_(self) -> str:
        from gradcheck.rendering import render_svg

        return render_svg(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data: JSON types only, infinities and NaN as strings."""
        from gradcheck.report_json import report_to_dict

        return report_to_dict(self)

    def to_json(self, indent: int | None = 2) -> str:
        """Return the report as a JSON document."""
        import json

        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> GradientReport:
        """Return the report that `to_dict` was called on.

        Raises
        ------
        ValueError
            when the data is of another schema version
        """
        from gradcheck.report_json import report_from_dict

        return report_from_dict(data)

    @classmethod
    def from_json(cls, text: str) -> GradientReport:
        """Return the report that `to_json` was called on."""
        import json

        return cls.from_dict(json.loads(text))


def layer_reports(parameters: Iterable[ParameterReport]) -> tuple[LayerReport, ...]:
    """Return parameters grouped by layer, in order of first appearance."""
    grouped: dict[str, list[ParameterReport]] = {}
    for parameter in parameters:
        grouped.setdefault(parameter.layer, []).append(parameter)
    return tuple(LayerReport(name, tuple(members)) for name, members in grouped.items())


def combined_verdict(verdicts: Iterable[Verdict]) -> Verdict:
    """Return "fail" if any is, else "inconclusive" if any is, else "pass"."""
    seen = set(verdicts)
    if "fail" in seen:
        return "fail"
    return "inconclusive" if "inconclusive" in seen else "pass"


def combined_size(parameters: Sequence[ParameterReport]) -> float | None:
    """Return the root mean square of the entries of several gradients; None if one is unknown."""
    norms = []
    for part in parameters:
        if part.gradient_size is None:
            return None
        norms.append(part.gradient_size * math.sqrt(part.size))
    return math.hypot(*norms) / math.sqrt(max(1, sum(part.size for part in parameters)))


def _urgency(parameter: ParameterReport) -> tuple[int, float]:
    order = {"pass": 0, "inconclusive": 1, "fail": 2}
    return order[parameter.verdict], parameter.worst.relative_error if parameter.worst else 0.0


def _each_once(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    kept: list[Finding] = []
    for finding in findings:
        if finding not in kept:
            kept.append(finding)
    return tuple(kept)


def _equal_by_value(one: Any, other: object) -> bool:
    """Compare two reports field by field; arrays by value, NaN equal to NaN."""
    from gradcheck.report_json import encode

    return type(one) is type(other) and bool(encode(one) == encode(other))
