"""Entries compared on their own, and whether those found wrong explain what probes saw."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from gradcheck.budget import Budget
from gradcheck.conclusion import LineDerivative
from gradcheck.directions import Floats
from gradcheck.entries import measure_entries
from gradcheck.entry_table import EntryMeasurement
from gradcheck.execution import Evaluator
from gradcheck.ladder import Conditions
from gradcheck.probes import Claim, ProbeMeasurement, fitting, measure_probe
from gradcheck.verdict import outcome

# Bars are several deviations wide.
DEVIATIONS_PER_BAR = 3.0


class Comparisons:
    """Entries of one parameter that were compared on their own.

    Attributes
    ----------
    measured: all of them, by flat position
    wrong: those that disagree
    """

    def __init__(
        self, evaluator: Evaluator, conditions: Conditions, claim: Claim, budget: Budget
    ) -> None:
        self.evaluator = evaluator
        self.conditions = conditions
        self.claim = claim
        self.budget = budget
        self.measured: dict[int, EntryMeasurement] = {}
        self.wrong: dict[int, EntryMeasurement] = {}

    def compare(self, positions: Iterable[int]) -> Mapping[int, tuple[float, float]]:
        """Compare entries, and return the errors of all by position, with how far each may be off.

        An error is true minus claimed; 0 where the comparison agrees or tells nothing. Those that
        the time does not allow are missing.
        """
        asked = [int(position) for position in positions]
        new = [position for position in asked if position not in self.measured]
        given = (self.evaluator, self.conditions, self.claim)
        entries = measure_entries(*given, new, budget=self.budget)
        for position, entry in zip(new, entries, strict=False):
            self.measured[position] = entry
            if outcome(entry.derivative) == "disagrees":
                self.wrong[position] = entry
        return {p: self._error(p) for p in asked if p in self.measured}

    def _error(self, position: int) -> tuple[float, float]:
        if position in self.wrong:
            derivative = self.wrong[position].derivative
            return derivative.discrepancy, derivative.error_bar / DEVIATIONS_PER_BAR
        bar = self.measured[position].derivative.error_bar
        return 0.0, bar / DEVIATIONS_PER_BAR if np.isfinite(bar) else 0.0

    def corrected(self) -> Claim:
        """Return the claim with the wrong entries put right, as well as they are known."""
        analytic = self.claim.analytic.copy()
        for entry in self.wrong.values():
            analytic[entry.index] = entry.derivative.value
        return replace(self.claim, analytic=analytic)

    def explain(self, probes: Sequence[tuple[Floats, ProbeMeasurement]]) -> bool:
        """Return whether the wrong entries account for what each of these probes saw."""
        return all(self._is_explained(along, probe.derivative) for along, probe in probes)

    def _is_explained(self, along: Floats, seen: LineDerivative) -> bool:
        if outcome(seen) == "undecided":
            return False
        found = sum(e.derivative.discrepancy * float(along[e.index]) for e in self.wrong.values())
        jump = abs(seen.jump) / 2 if seen.smoothness == "kink" else 0.0
        return bool(abs(seen.discrepancy - found) <= seen.error_bar + jump + self._doubt(along))

    def nothing_is_left_along(self, direction: Floats) -> bool:
        """Return whether the loss agrees along a new direction once the wrong entries are right."""
        claim = self.corrected()
        along = fitting(self.evaluator, self.conditions, claim.name, direction)
        seen = measure_probe(self.evaluator, self.conditions, claim, along).derivative
        return outcome(seen) == "agrees" or (
            outcome(seen) == "disagrees"
            and abs(seen.discrepancy) <= seen.error_bar + self._doubt(along)
        )

    def _doubt(self, along: Floats) -> float:
        """Return how far the errors of the wrong entries may be off along a direction."""
        bars = [e.derivative.error_bar * abs(float(along[e.index])) for e in self.wrong.values()]
        return sum(bars)
