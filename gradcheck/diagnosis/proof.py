"""A cause is proved when the gradient repaired of it passes the check that the original failed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gradcheck.conclusion import LineDerivative
from gradcheck.diagnosis.constants import SAME_NUMBER
from gradcheck.diagnosis.facts import Explanation, Sample
from gradcheck.diagnosis.gathering import as_computed
from gradcheck.directions import Floats, norm, random_direction
from gradcheck.entry_table import EntryMeasurement
from gradcheck.execution import Evaluator
from gradcheck.ladder import Conditions
from gradcheck.measured import Measured
from gradcheck.probes import (
    SHARED_ROUND_OFF,
    Claim,
    ProbeMeasurement,
    fitting,
    measure_probe,
    slope_round_off,
)
from gradcheck.verdict import judge, outcome, probe_resolution

# Numbers of directions that nothing else is measured along.
PROOF_DIRECTIONS = (4_000_000, 4_000_001)
# Decimal digits that a repair has to get right, altogether, beyond what it got by trying.
DIGITS = 6.0
MOST_DIGITS_EACH = 9.0
# What is known of a count is no more than a few bits.
DIGITS_OF_COUNT = 0.3
# Of the error of a wrong part: a rest that is not sharp enough to pass may be off by so much.
LARGEST_REST = 1e-3
# A repair that may be off by this part of itself is not seen to be right: nothing is left of it.
LARGEST_RESOLUTION = 0.1


@dataclass(frozen=True)
class Proof:
    """Puts repaired gradients through the check.

    Attributes
    ----------
    evaluator, conditions: to measure with
    measured: what was measured of the failing parameters
    kept_back: entries that nothing was fitted to
    effect: largest norm of gradient times scale among all parameters
    seed: of the directions
    counted: parameters whose gradients are counts, of which each tells little
    """

    evaluator: Evaluator
    conditions: Conditions
    measured: Mapping[str, Measured]
    kept_back: Mapping[str, Sample]
    effect: float
    seed: int
    counted: frozenset[str] = frozenset()

    def proved(self, explanation: Explanation) -> dict[str, float | None]:
        """Return the parameters whose gradient, repaired, passes what the original failed.

        With each comes the relative error that the repaired gradient was verified to, along
        directions that nothing else was measured along; None where nothing was repaired.
        """
        held = {name: self._resolution(explanation, name) for name in explanation.repaired}
        return {
            name: None if explanation.unknown else resolution
            for name, resolution in held.items()
            if resolution is not None
        }

    def _resolution(self, explanation: Explanation, name: str) -> float | None:
        """Return what a repaired gradient was verified to, None where it is not proved."""
        measured = self.measured[name]
        original, repaired = as_computed(measured.claim), explanation.repaired[name]
        unknown = explanation.unknown.get(name, np.zeros(original.analytic.shape, dtype=bool))
        if not np.all(np.isfinite(repaired)):
            return None
        claim = _repaired(original, repaired, unknown)
        entries = [_shifted(entry, claim) for entry in measured.entries]
        outside = [entry for entry in entries if not unknown[entry.index]]
        if any(outcome(entry.derivative) == "disagrees" for entry in outside):
            return None
        inside = [entry for entry in measured.entries if unknown[entry.index]]
        if unknown.any() and "disagrees" not in [outcome(entry.derivative) for entry in inside]:
            return None
        if not unknown.any() and not _explains_probes(measured, claim):
            return None
        directions = self._directions(claim) if claim.size else []
        probes = [measure_probe(self.evaluator, self.conditions, claim, d) for d in directions]
        verdict = judge(probes, outside, claim, self.effect).verdict if probes else "pass"
        if verdict == "fail":
            return None
        resolution = max((probe_resolution(probe) for probe in probes), default=0.0)
        if unknown.any() and np.array_equal(repaired, original.analytic):
            # Nothing was guessed: a part is wrong, and the rest is right.
            is_right = verdict == "pass" or _stands_out(inside, original, probes)
            return resolution if is_right else None
        needed = DIGITS + math.log10(max(explanation.tries, 1))
        error = self._untried_error(explanation, claim)
        most = DIGITS_OF_COUNT if name in self.counted else MOST_DIGITS_EACH
        digits = _digits(error, outside, list(zip(directions, probes, strict=True)), most)
        return resolution if digits >= needed and resolution <= LARGEST_RESOLUTION else None

    def _directions(self, claim: Claim) -> list[Floats]:
        found = []
        for number in PROOF_DIRECTIONS:
            along = random_direction(claim.scale, self.seed, claim.name, number)
            found.append(fitting(self.evaluator, self.conditions, claim.name, along))
        return found

    def _untried_error(self, explanation: Explanation, claim: Claim) -> Floats:
        """Return the error that the repair takes away, 0 where it was fitted to do so."""
        measured = self.measured[claim.name]
        error = np.array(claim.analytic - measured.claim.analytic)
        if not explanation.fitted:
            return error
        kept_back = set(self.kept_back[claim.name].positions.tolist())
        for entry in measured.entries:
            is_decided = outcome(entry.derivative) != "undecided"
            if is_decided and _position(entry, error) not in kept_back:
                error[entry.index] = 0.0
        return error


def _explains_probes(measured: Measured, claim: Claim) -> bool:
    """Return whether a repaired gradient agrees with the probes that the original failed.

    That costs nothing: a discrepancy changes by what the repair changes along its direction.
    """
    error = claim.analytic - measured.claim.analytic
    for along, probe in zip(measured.directions, measured.probes, strict=True):
        change = float(np.sum(error * along))
        left = abs(probe.derivative.discrepancy - change)
        slack = slope_round_off(claim, along) + SAME_NUMBER * norm(error * along)
        is_smooth = probe.derivative.smoothness in ("smooth", "noisy")
        if is_smooth and left > probe.derivative.error_bar + slack:
            return False
    return True


def _stands_out(
    inside: Sequence[EntryMeasurement], claim: Claim, probes: Sequence[ProbeMeasurement]
) -> bool:
    """Return whether the error of a part is large beside what the rest may be off by."""
    effect = norm([entry.derivative.discrepancy * claim.scale[entry.index] for entry in inside])
    rest = [max(p.derivative.error_bar, abs(p.derivative.discrepancy)) for p in probes]
    return all(left <= LARGEST_REST * effect for left in rest)


def _digits(
    error: Floats,
    entries: Sequence[EntryMeasurement],
    probes: Sequence[tuple[Floats, ProbeMeasurement]],
    most: float,
) -> float:
    """Return how many digits of an error the repair gets right, so many in one number at most."""
    from_entries = sum(
        min(most, _digits_of(error[entry.index], entry.derivative))
        for entry in entries
        if outcome(entry.derivative) != "undecided"
    )
    from_probes = [
        min(most, _digits_of(float(np.vdot(error, along)), probe.derivative))
        for along, probe in probes
    ]
    if np.count_nonzero(error) > 1:
        return from_entries + sum(from_probes)
    # The direction of a lone entry tells the same again, if more sharply.
    return max([from_entries, *from_probes])


def _position(entry: EntryMeasurement, array: Floats) -> int:
    return int(np.ravel_multi_index(entry.index, array.shape)) if entry.index else 0


def _digits_of(error: float, derivative: LineDerivative) -> float:
    """Return how many digits of an error are explained, when the discrepancy is left of it."""
    left = max(derivative.error_bar, abs(derivative.discrepancy))
    if not math.isfinite(left) or abs(error) <= left:
        return 0.0
    return min(MOST_DIGITS_EACH, math.log10(abs(error) / left)) if left else MOST_DIGITS_EACH


def _repaired(claim: Claim, repaired: Floats, unknown: npt.NDArray[np.bool_]) -> Claim:
    """Return the claim that the repaired gradient makes, without the entries that are unknown."""
    scale = np.where(unknown, 0.0, claim.scale)
    analytic = np.where(scale > 0.0, repaired, 0.0)
    # What was multiplied has its rounding multiplied too.
    size = norm(claim.analytic)
    growth = max(1.0, norm(analytic) / size) if size else 1.0
    return replace(
        claim,
        analytic=analytic,
        scale=scale,
        jitter=claim.jitter * growth,
        rounding=claim.rounding * growth,
    )


def _shifted(entry: EntryMeasurement, claim: Claim) -> EntryMeasurement:
    """Return what the same measurement says about another claim: discrepancies are differences."""
    derivative = entry.derivative
    analytic = float(claim.analytic[entry.index])
    discrepancy = derivative.discrepancy + (entry.analytic - analytic)
    # A derivative is known to so many digits of what it was measured against.
    largest = SHARED_ROUND_OFF * float(np.max(np.abs(claim.analytic)))
    size = max(abs(analytic), abs(entry.analytic)) + largest
    round_off = claim.units * claim.unit * size + float(claim.inexactness[entry.index])
    negligible = claim.negligible * abs(analytic)
    bar = derivative.error_bar + round_off
    bar = max(bar, abs(discrepancy)) if abs(discrepancy) <= negligible else bar
    # What is seen beside a kink is seen of the gradient there, not of a repaired one.
    is_right = analytic == entry.analytic and outcome(derivative) == "agrees"
    beside = derivative.beside if is_right else None
    shifted = replace(derivative, discrepancy=discrepancy, error_bar=bar, beside=beside)
    return EntryMeasurement(entry.index, analytic, shifted)
