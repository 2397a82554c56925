"""A cause is proved when the gradient repaired of it passes the check that the original failed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gradcheck.diagnosis.constants import SAME_NUMBER
from gradcheck.diagnosis.facts import Explanation, Sample
from gradcheck.diagnosis.gathering import as_computed
from gradcheck.directions import Floats, norm, random_direction
from gradcheck.entry_table import Entries
from gradcheck.execution import Evaluator
from gradcheck.ladder import Conditions
from gradcheck.measured import Measured
from gradcheck.probes import (
    Claim,
    ProbeMeasurement,
    fitting,
    measure_probe,
    slope_round_off,
)
from gradcheck.verdict import judge, outcome, probe_resolution, which

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
        is_inside = measured.entries.taken_from(unknown)
        outside = _shifted(measured.entries.chosen(~is_inside), claim)
        if which(outside, "disagrees").any():
            return None
        inside = measured.entries.chosen(is_inside)
        if unknown.any() and not which(inside, "disagrees").any():
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
        fitted = np.zeros(error.size, dtype=bool)
        fitted[measured.entries.positions[~which(measured.entries, "undecided")]] = True
        fitted[self.kept_back[claim.name].positions] = False
        error[fitted.reshape(error.shape)] = 0.0
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


def _stands_out(inside: Entries, claim: Claim, probes: Sequence[ProbeMeasurement]) -> bool:
    """Return whether the error of a part is large beside what the rest may be off by."""
    effect = norm(inside.discrepancy * inside.taken_from(claim.scale))
    rest = [max(p.derivative.error_bar, abs(p.derivative.discrepancy)) for p in probes]
    return all(left <= LARGEST_REST * effect for left in rest)


def _digits(
    error: Floats,
    entries: Entries,
    probes: Sequence[tuple[Floats, ProbeMeasurement]],
    most: float,
) -> float:
    """Return how many digits of an error the repair gets right, so many in one number at most."""
    decided = entries.chosen(~which(entries, "undecided"))
    errors = decided.taken_from(error)
    of_entries = _digits_of(errors, decided.error_bar, decided.discrepancy, most)
    seen = [probe.derivative for _, probe in probes]
    of_probes = _digits_of(
        np.array([np.vdot(error, along) for along, _ in probes]),
        np.array([derivative.error_bar for derivative in seen]),
        np.array([derivative.discrepancy for derivative in seen]),
        most,
    )
    if np.count_nonzero(error) > 1:
        return float(of_entries.sum() + of_probes.sum())
    # The direction of a lone entry tells the same again, if more sharply.
    return float(np.max(of_probes, initial=of_entries.sum()))


def _digits_of(error: Floats, error_bar: Floats, discrepancy: Floats, most: float) -> Floats:
    """Return how many digits of errors are explained, when the discrepancies are left of them."""
    left, size = np.maximum(error_bar, np.abs(discrepancy)), np.abs(error)
    is_explained = np.isfinite(left) & (size > left)
    digits = np.zeros(size.shape)
    with np.errstate(divide="ignore", over="ignore"):  # all digits, where nothing is left
        digits[is_explained] = np.log10(size[is_explained] / left[is_explained])
    return np.minimum(digits, most)


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


def _shifted(entries: Entries, claim: Claim) -> Entries:
    """Return what the same measurements say about another claim: discrepancies are differences."""
    analytic = entries.taken_from(claim.analytic)
    discrepancy = entries.discrepancy + (entries.analytic - analytic)
    # A derivative is known to so many digits of what it was measured against.
    size = np.maximum(np.abs(analytic), np.abs(entries.analytic))
    round_off = claim.round_off(size) + entries.taken_from(claim.inexactness)
    bar = entries.error_bar + round_off
    is_negligible = np.abs(discrepancy) <= claim.negligible * np.abs(analytic)
    bar = np.where(is_negligible, np.maximum(bar, np.abs(discrepancy)), bar)
    special = {}
    for place, entry in entries.special.items():
        found = entry.derivative
        # What is seen beside a kink is seen of the gradient there, not of a repaired one.
        is_right = analytic[place] == entry.analytic and outcome(found) == "agrees"
        shifted = replace(
            found,
            discrepancy=float(discrepancy[place]),
            error_bar=float(bar[place]),
            beside=found.beside if is_right else None,
        )
        special[place] = replace(entry, analytic=float(analytic[place]), derivative=shifted)
    return replace(
        entries, analytic=analytic, error_bar=bar, discrepancy=discrepancy, special=special
    )
