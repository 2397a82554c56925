"""A cause is proved when the gradient repaired of it passes the check that the original failed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gradcheck.diagnosis.facts import Explanation, Sample
from gradcheck.directions import Floats, random_direction
from gradcheck.entries import EntryMeasurement
from gradcheck.execution import Evaluator
from gradcheck.ladder import Conditions
from gradcheck.line import LineDerivative
from gradcheck.measured import Measured
from gradcheck.probes import Claim, ProbeMeasurement, fitting, measure_probe
from gradcheck.verdict import judge, outcome, probe_resolution

# Numbers of directions that nothing else is measured along.
PROOF_DIRECTIONS = (4_000_000, 4_000_001)
# Decimal digits that a repair has to get right, altogether, beyond what it got by trying.
DIGITS = 6.0
MOST_DIGITS_EACH = 9.0


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
    """

    evaluator: Evaluator
    conditions: Conditions
    measured: Mapping[str, Measured]
    kept_back: Mapping[str, Sample]
    effect: float
    seed: int

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
        original, repaired = measured.claim, explanation.repaired[name]
        unknown = explanation.unknown.get(name, np.zeros(original.analytic.shape, dtype=bool))
        if not np.all(np.isfinite(repaired)):
            return None
        claim = _repaired(original, repaired, unknown)
        entries = [_shifted(entry, claim) for entry in measured.entries]
        outside = [entry for entry in entries if not unknown[entry.index]]
        if any(outcome(entry.derivative) == "disagrees" for entry in outside):
            return None
        if unknown.any() and not self._are_wrong(measured.entries, unknown):
            return None
        probes = self._probes(claim) if claim.size else []
        if probes and judge(probes, outside, claim, self.effect).verdict == "fail":
            return None
        resolution = max((probe_resolution(probe) for probe in probes), default=0.0)
        if unknown.any() and np.array_equal(repaired, original.analytic):
            return resolution  # nothing was guessed: a part is wrong, and the rest is right
        needed = DIGITS + math.log10(max(explanation.tries, 1))
        digits = self._digits(explanation, original, claim, probes)
        return resolution if digits >= needed else None

    def _are_wrong(
        self, entries: Iterable[EntryMeasurement], unknown: npt.NDArray[np.bool_]
    ) -> bool:
        """Return whether some of the entries that are said to be wrong were seen to be."""
        inside = [outcome(entry.derivative) for entry in entries if unknown[entry.index]]
        return "disagrees" in inside

    def _probes(self, claim: Claim) -> list[ProbeMeasurement]:
        found = []
        for number in PROOF_DIRECTIONS:
            along = random_direction(claim.scale, self.seed, claim.name, number)
            along = fitting(self.evaluator, self.conditions, claim.name, along)
            found.append(measure_probe(self.evaluator, self.conditions, claim, along))
        return found

    def _digits(
        self,
        explanation: Explanation,
        original: Claim,
        claim: Claim,
        probes: Sequence[ProbeMeasurement],
    ) -> float:
        """Return how many digits of the error the repair gets right where it was not fitted."""
        name = original.name
        sample = self.kept_back[name] if explanation.fitted else None
        error = claim.analytic - original.analytic
        from_entries = sum(
            _digits_of(error[entry.index], _shifted(entry, claim).derivative)
            for entry in self.measured[name].entries
            if claim.scale[entry.index] > 0.0
            and outcome(entry.derivative) != "undecided"
            and (sample is None or _position(entry, error) in sample.positions)
        )
        from_probes = [
            _digits_of(
                float(np.vdot(error, random_direction(claim.scale, self.seed, name, number))),
                probe.derivative,
            )
            for probe, number in zip(probes, PROOF_DIRECTIONS, strict=True)
        ]
        if claim.size > 1:
            return from_entries + sum(from_probes)
        # The direction of a lone entry tells the same again, if more sharply.
        return max(from_entries, *from_probes) if sample is None else 0.0


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
    return replace(claim, analytic=np.where(scale > 0.0, repaired, 0.0), scale=scale)


def _shifted(entry: EntryMeasurement, claim: Claim) -> EntryMeasurement:
    """Return what the same measurement says about another claim: discrepancies are differences."""
    derivative = entry.derivative
    analytic = float(claim.analytic[entry.index])
    discrepancy = derivative.discrepancy + (entry.analytic - analytic)
    # A derivative is known to so many digits of what it was measured against.
    round_off = claim.units * claim.unit * max(abs(analytic), abs(entry.analytic))
    negligible = claim.negligible * abs(analytic)
    bar = derivative.error_bar + round_off
    bar = max(bar, abs(discrepancy)) if abs(discrepancy) <= negligible else bar
    return EntryMeasurement(
        entry.index, analytic, replace(derivative, discrepancy=discrepancy, error_bar=bar)
    )
