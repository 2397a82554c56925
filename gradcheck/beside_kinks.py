"""A look beside a kink, where right code may return a slope outside the two one-sided ones.

Where several units are at their kinks at once, backprop takes a slope of each by convention, such
as 0 of every ReLU. Along an entry some units turn on and others off, so that what the conventions
add up to need not lie between the slopes to either side: relu(x) - relu(-x) is x. It is no mistake
where the same code is right a little way off, nothing being at its kink there, and where what it
returns at the kink is what some convention gives.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.budget import Budget
from gradcheck.conclusion import LineDerivative
from gradcheck.directions import Floats
from gradcheck.entries import measure_entries
from gradcheck.entry_table import Entries
from gradcheck.execution import Evaluator
from gradcheck.ladder import Conditions
from gradcheck.probes import Claim, ProbeMeasurement, measure_probe, movable
from gradcheck.verdict import is_subgradient, outcome, which

if TYPE_CHECKING:
    from gradcheck.conventions import HalfCircle, Mask

# How far off to look from, in units of each entry's scale: far enough for differences to be sharp
# on one side of all kinks; and how far off to ask for gradients, which need no room around them.
AWAY, NEARBY = 1e-3, 1e-5
# Two opposite points: a unit that is off at one of them is on at the other.
POINTS = (0.0, 1.0)
UNKNOWN = LineDerivative(math.nan, math.inf, math.nan, "unresolved", 0.0, 0, "kink", 0.0)


class _Lines(ABC):
    """Lines through the point that disagree at a kink.

    Attributes
    ----------
    seen: what each showed
    """

    seen: list[LineDerivative]

    @abstractmethod
    def slopes(self, gradient: Floats) -> Floats:
        """Return the slopes of a gradient along them."""

    @abstractmethod
    def measured(
        self, evaluator: Evaluator, conditions: Conditions, claim: Claim, budget: Budget
    ) -> list[LineDerivative]:
        """Return what they show at the evaluator's point; the first ones where time runs out."""


class _Entries(_Lines):
    def __init__(self, entries: Entries) -> None:
        self.seen = [entry.derivative for entry in entries]
        self._positions = entries.positions

    def slopes(self, gradient: Floats) -> Floats:
        slopes: Floats = np.ravel(gradient)[self._positions]
        return slopes

    def measured(
        self, evaluator: Evaluator, conditions: Conditions, claim: Claim, budget: Budget
    ) -> list[LineDerivative]:
        given = (evaluator, conditions, claim, self._positions)
        return [entry.derivative for entry in measure_entries(*given, budget=budget)]


class _Probes(_Lines):
    def __init__(self, directions: Sequence[Floats], probes: Sequence[ProbeMeasurement]) -> None:
        self.seen = [probe.derivative for probe in probes]
        self._directions = directions

    def slopes(self, gradient: Floats) -> Floats:
        return np.array([np.vdot(gradient, along) for along in self._directions])

    def measured(
        self, evaluator: Evaluator, conditions: Conditions, claim: Claim, budget: Budget
    ) -> list[LineDerivative]:
        return [
            measure_probe(evaluator, conditions, claim, along).derivative
            for along in self._directions
            if not budget.is_spent()
        ]


@dataclass(frozen=True)
class BesideKinks:
    """Looks from a little way off at what disagrees at a kink.

    Attributes
    ----------
    evaluator, conditions: as for the comparisons
    seed: of the points that are looked from
    budget: the time there is
    """

    evaluator: Evaluator
    conditions: Conditions
    seed: int
    budget: Budget

    def probes(
        self, claim: Claim, directions: Sequence[Floats], probes: Sequence[ProbeMeasurement]
    ) -> tuple[ProbeMeasurement, ...]:
        """Return the probes, with what is seen beside a kink of those that tell nothing there."""
        at_kink = any(_is_kink(probe.derivative) for probe in probes)
        asked = [
            n for n, probe in enumerate(probes) if at_kink and _tells_nothing(probe.derivative)
        ]
        lines = _Probes([directions[n] for n in asked], [probes[n] for n in asked])
        looked = dict(zip(asked, self._looked_at(claim, lines), strict=True))
        return tuple(
            replace(probe, derivative=looked.get(number, probe.derivative))
            for number, probe in enumerate(probes)
        )

    def entries(self, claim: Claim, entries: Entries) -> Entries:
        """Return the entries, with what is seen beside a kink of those that tell nothing there.

        Those between the slopes to either side count as right where there are others to judge by
        and none of them disagrees.
        """
        if not np.any(entries.special_where(_is_kink)):
            return entries
        disagrees = which(entries, "disagrees")
        asked = disagrees | entries.special_where(is_subgradient)
        if not (disagrees.any() or asked.all()):
            return entries
        looked = self._looked_at(claim, _Entries(entries.chosen(asked)))
        return entries.with_special(dict(zip(np.flatnonzero(asked).tolist(), looked, strict=True)))

    def _looked_at(self, claim: Claim, lines: _Lines) -> list[LineDerivative]:
        """Return what the lines showed at the kink, with what is seen beside it.

        Not where they are wrong at the kink already, and not where the gradient cannot be asked
        anywhere else.
        """
        if not lines.seen or not callable(self.evaluator.problem.gradient):
            return lines.seen
        from gradcheck.conventions import HalfCircle

        circle = HalfCircle(self.evaluator, self.seed, AWAY)
        looks = [look for turn in POINTS if (look := self._from(circle, turn, claim, lines))]
        if not looks:
            return lines.seen
        beside = [_together(views) for views in zip(*looks, strict=True)]
        disagreeing = np.array([outcome(seen) == "disagrees" for seen in lines.seen])
        is_right = np.array([outcome(one) != "disagrees" for one in beside])
        inside, perhaps = ~disagreeing, np.zeros(disagreeing.shape, dtype=bool)
        if np.any(disagreeing & is_right):
            inside, perhaps = self._conventional(claim, lines)
        return [
            _with_look(seen, one, is_inside=bool(inside[n]), is_unclear=bool(perhaps[n]))
            for n, (seen, one) in enumerate(zip(lines.seen, beside, strict=True))
        ]

    def _conventional(self, claim: Claim, lines: _Lines) -> tuple[Mask, Mask]:
        """Return which lines have the slope of some convention, and which only perhaps."""
        from gradcheck.conventions import PLANES, HalfCircle, conventional

        circles = [HalfCircle(self.evaluator, self.seed, NEARBY, plane) for plane in PLANES]
        slopes = [partial(self._slopes, circle, claim, lines) for circle in circles]
        bars = np.array([seen.error_bar for seen in lines.seen])
        return conventional(slopes, lines.slopes(claim.analytic), bars, self.budget)

    def _from(
        self, circle: HalfCircle, turn: float, claim: Claim, lines: _Lines
    ) -> list[LineDerivative]:
        """Return what the lines show at a point of the circle, [] where nothing can be asked."""
        with self.evaluator.moved_to(circle.at(turn)):
            value, analytic = self.evaluator.loss_at({}), self._gradient(claim)
            if analytic is None or not math.isfinite(value):
                return []
            there = replace(claim, analytic=analytic)
            conditions = replace(self.conditions, value=value)
            found = lines.measured(self.evaluator, conditions, there, self.budget)
        return found + [UNKNOWN] * (len(lines.seen) - len(found))

    def _slopes(
        self, circle: HalfCircle, claim: Claim, lines: _Lines, turn: float
    ) -> Floats | None:
        if self.budget.is_spent():
            return None
        with self.evaluator.moved_to(circle.at(turn)):
            gradient = self._gradient(claim)
        return None if gradient is None else lines.slopes(gradient)

    def _gradient(self, claim: Claim) -> Floats | None:
        gradient = self.evaluator.gradient_at({}, (claim.name,)).get(claim.name)
        if gradient is None or gradient.shape != claim.scale.shape:
            return None
        return movable(gradient, claim.scale) if np.all(np.isfinite(gradient)) else None


def _is_kink(derivative: LineDerivative) -> bool:
    return derivative.smoothness == "kink"


def _tells_nothing(derivative: LineDerivative) -> bool:
    """Return whether a claimed slope is neither of those to either side, at a kink or beside one.

    Of several units one may turn on as another turns off, so that the loss goes straight on.
    """
    return outcome(derivative) == "disagrees" or is_subgradient(derivative)


def _together(views: Sequence[LineDerivative]) -> LineDerivative:
    """Return the view that counts: one that disagrees, else one that agrees."""
    order = ("disagrees", "agrees", "undecided")
    return min(views, key=lambda view: (order.index(outcome(view)), view.error_bar))


def _with_look(
    seen: LineDerivative, beside: LineDerivative, *, is_inside: bool, is_unclear: bool
) -> LineDerivative:
    """Return what was seen at a kink, with the look beside it where that is what counts."""
    found = outcome(beside)
    if outcome(seen) == "agrees":
        return seen if found == "undecided" else replace(seen, beside=beside)
    if found == "disagrees" or not (is_inside or is_unclear):
        return seen
    return replace(seen, beside=beside if is_inside else UNKNOWN)
