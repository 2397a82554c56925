"""The only place that decides: from measurements to pass, fail or inconclusive."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from gradcheck.budget import OUT_OF_TIME
from gradcheck.conclusion import LineDerivative
from gradcheck.directions import SMALLEST_MAGNITUDE, chance_of_hiding, norm
from gradcheck.entry_table import Entries, Mask
from gradcheck.probes import JITTER_MULTIPLE, Claim, ProbeMeasurement
from gradcheck.report import Verdict

Outcome = Literal["agrees", "disagrees", "undecided"]
# What the time ran out before: some random direction, something else that was planned, nothing.
Unfinished = Literal["probes", "rest", ""]

REQUIRED_FLOAT64 = 1e-6
# Random directions that have to exclude a lone wrong entry, each by itself.
WITNESSES = 2
# Another direction is looked along where the chance of a miss is above this.
LARGEST_CHANCE = 1e-3
REQUIRED_FLOAT32_GRADIENT = 1e-4
REQUIRED_FLOAT32 = 1e-2
# A float32 parameter whose loss jitters by more than this part of itself is computed in float32.
DOUBLE_PRECISION_NOISE = 1e-10
# Part of what a probe saw, shared out evenly, that sampled entries show if it is spread out.
DIFFUSE = 0.3

REASONS = {
    "none": "",
    "precision": "the precision of the loss",
    "noise": "noise in the loss",
    "kink": "kinks of the loss",
    "budget": "the number of evaluations per line",
    "domain_edge": "the loss cannot be evaluated on both sides",
    "jitter": "the gradient changes from call to call",
    "time": OUT_OF_TIME,
}


@dataclass(frozen=True)
class Judgement:
    """The verdict on one parameter and what it rests on.

    Attributes
    ----------
    verdict, reason: as in ParameterReport
    limit: what kept an inconclusive check from being sharp
    resolution: norm of the error bars over norm of the gradient; None if nothing was measured
    all_zero: both gradients are zero
    kinks: comparisons accepted because the analytic slope lies between two one-sided slopes, or
        because it is right beside the kink
    miss_chance: as in ParameterReport
    """

    verdict: Verdict
    reason: str
    limit: str
    resolution: float | None
    all_zero: bool
    kinks: int
    miss_chance: float | None = None


def required_resolution_for(
    parameter: np.dtype[Any], gradient: np.dtype[Any], relative_noise: float
) -> float:
    """Return the relative error that a pass has to exclude, from the precision at hand."""
    if parameter.itemsize >= 8 and gradient.itemsize >= 8:
        return REQUIRED_FLOAT64
    if relative_noise <= DOUBLE_PRECISION_NOISE:
        return REQUIRED_FLOAT32_GRADIENT
    return REQUIRED_FLOAT32


def outcome(derivative: LineDerivative) -> Outcome:
    """Return what a comparison says: error against error bar, at a kink against its slopes.

    Where a look beside the kink counts, what that says.
    """
    derivative = decisive(derivative)
    discrepancy, bar = derivative.discrepancy, derivative.error_bar
    if not math.isfinite(discrepancy) or derivative.smoothness == "unresolved":
        return "undecided"
    reach = bar + (abs(derivative.jump) / 2 if derivative.smoothness == "kink" else 0.0)
    return "agrees" if abs(discrepancy) <= reach else "disagrees"


def which(entries: Entries, said: Outcome) -> Mask:
    """Return which of the entries have this outcome, in their order."""
    mask = np.isfinite(entries.discrepancy)
    if said == "undecided":
        mask = ~mask
    else:
        # Compared this way round, a NaN does not agree.
        within = np.abs(entries.discrepancy) <= entries.error_bar
        mask &= within if said == "agrees" else ~within
    for place, entry in entries.special.items():
        mask[place] = outcome(entry.derivative) == said
    return mask


def decisive(derivative: LineDerivative) -> LineDerivative:
    """Return what a comparison is judged by: the look beside a kink where that counts."""
    return derivative.beside or derivative


def is_at_kink(derivative: LineDerivative) -> bool:
    """Return whether a comparison is accepted at a kink though the slope there is another one."""
    is_beside = derivative.beside is not None and outcome(derivative) == "agrees"
    return is_beside or is_subgradient(derivative)


def is_subgradient(derivative: LineDerivative) -> bool:
    """Return whether the analytic slope lies strictly between the two slopes at a kink."""
    derivative = decisive(derivative)
    if derivative.smoothness != "kink" or outcome(derivative) != "agrees":
        return False
    return abs(derivative.discrepancy) < abs(derivative.jump) / 2 - derivative.error_bar


def probe_resolution(probe: ProbeMeasurement) -> float:
    """Return the relative error of the gradient that would have been seen along this direction.

    A lone wrong entry is seen with the smallest magnitude that a direction may give it.
    """
    derivative = decisive(probe.derivative)
    size = SMALLEST_MAGNITUDE * max(probe.typical, abs(derivative.value))
    return _ratio(max(derivative.error_bar, abs(derivative.discrepancy)), size)


def needs_another(probes: Sequence[ProbeMeasurement], claim: Claim) -> bool:
    """Return whether one more random direction could tell more about a gradient that agrees."""
    if any(outcome(probe.derivative) != "agrees" for probe in probes) or claim.largest == 0.0:
        return False
    chance = _miss_chance(probes, claim)
    return are_coarse(probes, claim) or chance is None or chance > LARGEST_CHANCE


def are_coarse(probes: Sequence[ProbeMeasurement], claim: Claim) -> bool:
    """Return whether directions could not exclude what a pass has to."""
    resolution = _probes_resolution(probes)
    return resolution is None or not resolution <= claim.required


def judge(
    probes: Sequence[ProbeMeasurement],
    entries: Entries,
    claim: Claim,
    largest_effect: float,
    unfinished: Unfinished = "",
) -> Judgement:
    """Return the verdict on one parameter.

    Where the time ran out, the random directions may still pass it, as if no more was planned.

    Parameters
    ----------
    probes, entries: its measurements; no entries where none were compared
    claim: its analytic gradient and the resolution that a pass has to reach
    largest_effect: largest norm of gradient times scale among all parameters, to judge zeros by
    unfinished: what the time ran out before
    """
    judged = _judged(probes, entries, claim, largest_effect, unfinished)
    if judged.verdict != "pass" or judged.all_zero:
        return judged
    complete = len(entries) == claim.size
    return replace(judged, miss_chance=0.0 if complete else _miss_chance(probes, claim))


def _judged(
    probes: Sequence[ProbeMeasurement],
    entries: Entries,
    claim: Claim,
    largest_effect: float,
    unfinished: Unfinished,
) -> Judgement:
    required = claim.required
    kinks = sum(is_at_kink(probe.derivative) for probe in probes)
    kinks += int(np.count_nonzero(entries.special_where(is_at_kink)))
    complete = len(entries) == claim.size
    resolution = _entries_resolution(entries) if complete else _probes_resolution(probes)
    if _any_disagrees(probes, entries, claim):
        limit = _limit(probes, entries, claim, unfinished)
        return Judgement("fail", "", limit, resolution, all_zero=False, kinks=kinks)
    if unfinished == "probes":
        return Judgement("inconclusive", OUT_OF_TIME, "time", resolution, False, kinks)
    if _both_zero(probes, entries, claim, required * largest_effect):
        return Judgement("pass", "", "none", None, all_zero=True, kinks=kinks)
    # Compared this way round, a NaN is not a pass.
    if resolution is not None and resolution <= required:
        return Judgement("pass", "", "none", resolution, all_zero=False, kinks=kinks)
    limit = _limit(probes, entries, claim, unfinished)
    return Judgement("inconclusive", REASONS[limit], limit, resolution, all_zero=False, kinks=kinks)


def _any_disagrees(probes: Sequence[ProbeMeasurement], entries: Entries, claim: Claim) -> bool:
    if entries and which(entries, "disagrees").any():
        return True
    if len(entries) == claim.size:
        # All there is has been compared. A direction mixes entries: at a kink each of them may
        # be a subgradient, in several units each may need its own step, and their sum fail.
        return False
    disagreeing = [
        replace(probe, derivative=decisive(probe.derivative))
        for probe in probes
        if outcome(probe.derivative) == "disagrees"
        and decisive(probe.derivative).smoothness != "kink"
    ]
    return bool(disagreeing) and not _is_diffuse(disagreeing, entries, claim)


def _is_diffuse(disagreeing: Sequence[ProbeMeasurement], entries: Entries, claim: Claim) -> bool:
    """Return whether a slight discrepancy is spread over all entries: inexact, but no mistake.

    A converged iteration is a little off everywhere, so that sampled entries show it; a wrong
    entry is off alone.
    """
    largest = max(abs(probe.derivative.discrepancy) for probe in disagreeing)
    if not entries or largest > claim.negligible * min(probe.typical for probe in disagreeing):
        return False
    seen, scales = _decisive(entries), entries.taken_from(claim.scale)
    off, noise = seen.discrepancy * scales, seen.error_bar * scales
    share = DIFFUSE * largest / math.sqrt(claim.size)
    root = math.sqrt(len(entries))
    # Where entries cannot show that little, nobody is accused for it either.
    return norm(off) / root >= share or norm(noise) / root >= JITTER_MULTIPLE * share


def _entries_resolution(entries: Entries) -> float | None:
    smooth = entries.chosen(~entries.special_where(is_subgradient))
    if not smooth:
        return None
    seen = _decisive(smooth)
    # Copies are made only where they are needed: each takes as much memory as the entries.
    known = np.isfinite(seen.value)
    size = max(norm(seen.analytic), norm(seen.value if known.all() else seen.value[known]))
    undecided = which(smooth, "undecided")
    bars = np.where(undecided, math.inf, seen.error_bar) if undecided.any() else seen.error_bar
    return _ratio(norm(bars), size)


def _probes_resolution(probes: Sequence[ProbeMeasurement]) -> float | None:
    # Entries sampled from a parameter say nothing about the others, probes do.
    if any(outcome(probe.derivative) == "undecided" for probe in probes):
        return None
    smooth = [probe for probe in probes if not is_subgradient(probe.derivative)]
    # A lone wrong entry shows in every random direction: two of them are enough to exclude it.
    sharp = sorted(probe_resolution(probe) for probe in smooth if probe.kind == "random")
    return sharp[:WITNESSES][-1] if sharp else None


def _miss_chance(probes: Sequence[ProbeMeasurement], claim: Claim) -> float | None:
    """Return a bound on the chance that no random direction shows an error that is to be excluded.

    Directions are independent, so their chances multiply. What a probe measured differs from the
    error's part in it by the error bar at most.
    """
    size = claim.required * claim.effect
    chances = [
        1.0
        if outcome(probe.derivative) == "undecided" or is_subgradient(probe.derivative)
        else chance_of_hiding(size, abs(seen.discrepancy) + seen.error_bar)
        for probe in probes
        if probe.kind == "random" and (seen := decisive(probe.derivative))
    ]
    return math.prod(chances) if chances else None


def _decisive(entries: Entries) -> Entries:
    """Return what each entry is judged by, as `decisive` does."""
    looked = {n: entry.derivative.beside for n, entry in entries.special.items()}
    return entries.with_special({n: beside for n, beside in looked.items() if beside is not None})


def _both_zero(
    probes: Sequence[ProbeMeasurement], entries: Entries, claim: Claim, negligible: float
) -> bool:
    """Return whether the gradient is zero within rounding and the loss was seen not to move."""
    if not claim.is_zero:
        return False
    # In units of the loss: a probe's direction has the scales in it, an entry's has not.
    bars = entries.error_bar * entries.taken_from(claim.scale)
    is_still = which(entries, "agrees") & ((entries.value == 0.0) | (bars <= negligible))
    is_still &= ~entries.special_where(_has_no_slope)
    return bool(len(probes) + len(entries) and is_still.all()) and all(
        outcome(found) == "agrees"
        and not _has_no_slope(found)
        and (found.value == 0.0 or found.error_bar <= negligible)
        for found in (probe.derivative for probe in probes)
    )


def _has_no_slope(derivative: LineDerivative) -> bool:
    """Return whether there is none, at a kink, or none was made out."""
    return derivative.smoothness not in ("smooth", "noisy")


def _limit(
    probes: Sequence[ProbeMeasurement], entries: Entries, claim: Claim, unfinished: Unfinished
) -> str:
    """Return what kept a check from being sharp, such as what widened most of its wide bars."""
    if unfinished:
        return "time"
    if claim.is_random:
        return "jitter"
    required = claim.required
    along = [decisive(probe.derivative) for probe in probes]
    wide = [each.limit for each in along if not each.error_bar <= required * abs(each.value)]
    seen = _decisive(entries)
    places = np.flatnonzero(~(seen.error_bar <= required * np.abs(seen.value))).tolist()
    special = {place: entry.derivative.limit for place, entry in seen.special.items()}
    wide += [special.get(place, "precision") for place in places]
    return Counter(wide).most_common(1)[0][0] if wide else "precision"


def _ratio(part: float, whole: float) -> float:
    if whole == 0.0:
        return 0.0 if part == 0.0 else math.inf
    return part / whole


def wrong_entries(entries: Entries) -> Mask:
    """Return the mask, in the parameter's shape, of entries whose comparison disagrees."""
    mask = np.zeros(entries.shape, dtype=bool)
    mask.flat[entries.positions] = which(entries, "disagrees")
    return mask
