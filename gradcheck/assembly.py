"""From measurements and judgements to the data of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.conclusion import LineDerivative
from gradcheck.diagnosis import codes
from gradcheck.directions import Floats, root_mean_square
from gradcheck.entry_table import Entries, EntryMeasurement, Mask
from gradcheck.execution import Array
from gradcheck.measured import Measured
from gradcheck.noise import Noise
from gradcheck.preflight import Preflight
from gradcheck.probes import ProbeMeasurement
from gradcheck.report import Comparison, Finding, ParameterReport, Probe
from gradcheck.search import MAX_RUNGS
from gradcheck.verdict import is_at_kink, outcome, probe_resolution, which

# Parameters that evidence tells apart.
MOST_LISTED = 3
# Wrong entries that a report keeps with their values: enough to see what they have in common.
MOST_ENTRIES = 5
# Here the gradient is not known to be right.
_KINKS_NEARBY = replace(
    codes.KINK,
    title="kinks of the loss limit this check",
    suggestion="move the parameters away from the kinks",
)
# Several at once: what conventions for each add up to need not be one of the slopes.
_KINKS_HERE = replace(
    codes.KINK, title="the loss has kinks here, and right beside them the gradient is right"
)
LEFT_BEHIND = "look for what calls leave behind for others: running averages, counters, caches"
INSIDE = "for a look from both sides, check at parameters further inside the domain"


def stopped_reports(
    originals: Mapping[str, Array],
    layers: Mapping[str, str],
    flight: Preflight,
    findings: Sequence[Finding] | None = None,
) -> tuple[ParameterReport, ...]:
    """Return the reports of parameters that were never measured."""
    known = flight.findings if findings is None else findings
    return tuple(
        ParameterReport(
            name=name,
            layer=layers[name],
            shape=array.shape,
            dtype=str(array.dtype),
            verdict="fail" if name in flight.failed else "inconclusive",
            reason=flight.failed.get(name, f"not compared: {flight.stopped}"),
            resolution=None,
            worst=None,
            wrong=None,
            wrong_count=None,
            checked_count=0,
            unresolved_count=0,
            probes=(),
            findings=_about(name, known),
            gradient_size=_size(flight.analytic.get(name)),
        )
        for name, array in originals.items()
    )


def measured_report(
    measured: Measured,
    original: Array,
    layer: str,
    findings: Sequence[Finding],
    mask: Mask | None,
) -> ParameterReport:
    """Return the report of one measured parameter.

    Parameters
    ----------
    findings: all of the report
    mask: the wrong entries where a cause tells them
    """
    entries, judgement, shape = measured.entries, measured.judgement, original.shape
    wrong = mask if measured.wrong is None else measured.confirmed
    if judgement.verdict == "pass" or (judgement.verdict != "fail" and measured.is_complete):
        wrong = np.zeros(shape, dtype=bool)
    return ParameterReport(
        name=measured.claim.name,
        layer=layer,
        shape=shape,
        dtype=str(original.dtype),
        verdict=judgement.verdict,
        reason=judgement.reason,
        resolution=judgement.resolution,
        worst=_worst(entries),
        wrong=wrong,
        wrong_count=None if wrong is None else int(wrong.sum()),
        checked_count=len(entries),
        unresolved_count=int(np.count_nonzero(_unresolved(entries))) if entries else 0,
        probes=tuple(_probe(probe) for probe in measured.probes),
        findings=_about(measured.claim.name, findings),
        required=measured.claim.required,
        miss_chance=judgement.miss_chance,
        worst_entries=() if judgement.verdict == "pass" else _worst_entries(entries),
        gradient_size=_size(measured.claim.analytic if measured.claim.comparing else None),
    )


def measurement_findings(
    measured: Mapping[str, Measured], noise: Noise, drift: float = 0.0
) -> tuple[Finding, ...]:
    """Return the notes that the measurements give rise to, one per kind.

    Parameters
    ----------
    drift: how far the loss was in the end from where it was before, at the same parameters
    """
    judged = {name: found.judgement for name, found in measured.items()}
    beside = {name: found for name, found in measured.items() if _is_right_beside(found)}
    groups = (
        (
            codes.ALL_ZERO,
            [n for n, j in judged.items() if j.all_zero],
            "both gradients are zero in",
        ),
        (_KINKS_HERE, list(beside), "right at points right beside the kink:"),
        (
            codes.KINK,
            [n for n, j in judged.items() if j.kinks and n not in beside],
            "between the one-sided slopes in",
        ),
        *(
            (code, [n for n, j in judged.items() if j.limit == limit and j.reason], phrase)
            for limit, (code, phrase) in _limits(noise).items()
        ),
    )
    findings = [
        code.finding(f"{phrase} {', '.join(names)}", tuple(names))
        for code, names, phrase in groups
        if names
    ]
    for reason in sorted({found.rounding for found in measured.values() if found.rounding}):
        rounded = tuple(name for name, found in measured.items() if found.rounding == reason)
        evidence = f"float32 rounding in {', '.join(rounded)}: {reason}"
        findings.append(codes.LIMITED_BY_PRECISION.finding(evidence, rounded))
    if late := {name: found for name, found in measured.items() if found.out_of_time}:
        listed = ", ".join([_how_far(found) for found in late.values()][:MOST_LISTED])
        more = f" and less of {len(late) - MOST_LISTED} more" if len(late) > MOST_LISTED else ""
        evidence = f"measured were {listed}{more}"
        findings.append(codes.BUDGET_EXHAUSTED.finding(evidence, tuple(late)))
    if drift:
        evidence = f"back at the given parameters after all calls, it is off by {drift:.1e}"
        findings.append(codes.NONDETERMINISTIC_LOSS.note(evidence, (), LEFT_BEHIND))
    return (*findings, *_one_sided(measured))


def _is_right_beside(measured: Measured) -> bool:
    """Return whether a comparison at a kink is accepted for what is seen right beside it."""
    probes = [probe.derivative for probe in measured.probes]
    return any(map(_agrees_beside, probes)) or any(measured.entries.special_where(_agrees_beside))


def _agrees_beside(derivative: LineDerivative) -> bool:
    return derivative.beside is not None and outcome(derivative) == "agrees"


def _how_far(measured: Measured) -> str:
    """Return how much of a parameter was measured when the time ran out."""
    name, (probes, entries) = measured.claim.name, measured.planned
    if len(measured.entries) < entries:
        return f"{len(measured.entries)} of {entries} entries of {name}"
    if len(measured.probes) < probes:
        return f"{len(measured.probes)} of {probes} probes of {name}"
    return f"{name} in float32 only"


def _limits(noise: Noise) -> dict[str, tuple[codes.Code, str]]:
    jitter = f"the loss, {noise.value:.3g}, jitters by {noise.deviation:.1e}"
    return {
        "precision": (codes.LIMITED_BY_PRECISION, f"{jitter}, too much for a sharp look at"),
        "budget": (codes.LIMITED_BY_PRECISION, f"no step of {MAX_RUNGS} that were tried suits"),
        "kink": (_KINKS_NEARBY, "the slope jumps closer by than differences can be sharp in"),
        "noise": (codes.NOISY_LOSS, f"{jitter}, far more than round-off; undecided are"),
        "domain_edge": (codes.DOMAIN_EDGE, "it raises or is not finite on one side or both in"),
    }


def _one_sided(measured: Mapping[str, Measured]) -> Iterator[Finding]:
    """Yield a note on the parameters that were compared with derivatives from one side only."""
    told = {
        name: found
        for name, found in measured.items()
        # An edge that leaves a parameter undecided has been named as the reason.
        if not (found.judgement.reason and found.judgement.limit == "domain_edge")
    }
    phrases = {
        "to the right in {} entries of {}": _share_of_entries("right", told),
        "to the left in {} entries of {}": _share_of_entries("left", told),
        "along {} directions through {}": _share_of_probes(told),
    }
    seen = [
        phrase.format(share, name) for phrase, shares in phrases.items() for name, share in shares
    ]
    if seen:
        names = tuple(n for n in told if any(n in dict(shares) for shares in phrases.values()))
        passed = all(told[name].judgement.verdict == "pass" for name in names)
        verdict = "nothing is wrong with that" if passed else "one side is enough to judge by"
        evidence = f"one-sided derivative {', '.join(seen)}"
        yield codes.DOMAIN_EDGE.note(evidence, names, f"{verdict}; {INSIDE}")


def _share_of_entries(side: str, measured: Mapping[str, Measured]) -> list[tuple[str, str]]:
    """Return the parameters with entries seen from this side only, and how many these are."""
    counts = {
        name: int(np.count_nonzero(found.entries.special_where(lambda one: one.side == side)))
        for name, found in measured.items()
    }
    return [(n, f"{c:,} of {len(measured[n].entries):,}") for n, c in counts.items() if c]


def _share_of_probes(measured: Mapping[str, Measured]) -> list[tuple[str, str]]:
    """Return the parameters with one-sided probes that were needed, and how many these are.

    Which side it is says nothing about a parameter, as directions have either sign.
    """
    sides = {
        name: [bool(probe.derivative.side) for probe in found.probes]
        for name, found in measured.items()
        if len(found.entries) < found.claim.analytic.size
    }
    return [(n, f"{sum(s):,} of {len(s):,}") for n, s in sides.items() if any(s)]


def _about(name: str, findings: Sequence[Finding]) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if name in finding.parameters)


def _size(analytic: Floats | None) -> float | None:
    return None if analytic is None else root_mean_square(analytic)


def _worst(entries: Entries) -> Comparison | None:
    """Return the entry whose error is largest against its error bar, a wrong one first."""
    measured = np.isfinite(entries.error_bar)
    if not entries or not measured.any():
        return None
    wrong = measured & which(entries, "disagrees")
    excess = _excess(entries)
    if wrong.any():
        excess[~wrong] = -1.0
    elif not measured.all():
        excess[~measured] = -1.0
    return _comparison(entries[int(np.argmax(excess))])


def _worst_entries(entries: Entries) -> tuple[Comparison, ...]:
    """Return the entries furthest beyond their error bars, worst first; in order where equal."""
    places = np.flatnonzero(which(entries, "disagrees"))
    excess = _excess(entries)[places]
    if places.size > MOST_ENTRIES:
        far = excess >= np.partition(excess, -MOST_ENTRIES)[-MOST_ENTRIES]
        places, excess = places[far], excess[far]
    order = np.argsort(-excess, kind="stable")[:MOST_ENTRIES]
    return tuple(_comparison(entries[place]) for place in places[order].tolist())


def _comparison(entry: EntryMeasurement) -> Comparison:
    """Return the values of an entry; those beside a kink where these are what is wrong."""
    derivative, analytic = entry.derivative, entry.analytic
    if derivative.beside is not None and outcome(derivative) == "disagrees":
        derivative = derivative.beside
        analytic = derivative.value - derivative.discrepancy
    return Comparison(
        index=entry.index,
        analytic=analytic,
        numerical=derivative.value,
        error_bar=derivative.error_bar,
        relative_error=_relative(derivative.discrepancy, analytic, derivative.value),
    )


def _excess(entries: Entries) -> Floats:
    """Return the errors in units of their error bars; 0 of what has none."""
    ratio: Floats = np.abs(entries.discrepancy)
    with np.errstate(all="ignore"):
        ratio /= entries.error_bar
    # Neither an error nor a bar is none; what is not known is none to speak of.
    ratio[np.isnan(ratio)] = 0.0
    return ratio


def _relative(error: float, analytic: float, numerical: float) -> float:
    size = max(abs(analytic), abs(numerical))
    return abs(error) / size if size else 0.0


def _unresolved(entries: Entries) -> Mask:
    # One after the other: each takes as much memory as the entries.
    resolved = entries.error_bar <= np.abs(entries.analytic)
    resolved |= entries.error_bar <= np.abs(entries.value)
    return ~resolved | entries.special_where(is_at_kink)


def _probe(measurement: ProbeMeasurement) -> Probe:
    derivative: Any = measurement.derivative
    return Probe(
        analytic=measurement.analytic,
        numerical=derivative.value,
        error_bar=derivative.error_bar,
        resolution=probe_resolution(measurement),
        outcome=outcome(derivative),
        evaluations=derivative.evaluations,
        kind=measurement.kind,
        shared=measurement.shared,
    )
