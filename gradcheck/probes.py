"""One direction through a parameter, measured against the analytic gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from gradcheck.conclusion import LineDerivative
from gradcheck.directions import LARGEST_MAGNITUDE, Floats, norm
from gradcheck.execution import Evaluator
from gradcheck.ladder import SHARPNESS, Conditions, Evaluate, LineSettings
from gradcheck.leaves import DOUBLE
from gradcheck.line import differentiate, first_step
from gradcheck.pieces import in_pieces

# A sum of rounded products is off by a few units of round-off of its terms' size; by fewer where
# what cancels in it was measured.
ROUND_OFF_UNITS = 8.0
MEASURED_ROUND_OFF_UNITS = 2.0
# Backprop adds terms that cancel, so that small entries carry the rounding of large ones.
SHARED_ROUND_OFF = 0.1
# Deviations of a random gradient, and moves by rounding, that an entry may be off by.
JITTER_MULTIPLE = 6.0
ROUNDING_MULTIPLE = 4.0
# Relative discrepancies up to here are no bugs: converged iterations, a small constant against
# division by zero, special functions by formula, constants with nine digits.
NEGLIGIBLE_DISCREPANCY = 1e-7
# First steps of a line that have to fit between the point and its bounds, on one side at least.
ROOM_FOR = 4.0


@dataclass(frozen=True, eq=False)
class Claim:
    """The analytic gradient of one parameter, and how exactly it can be meant.

    Attributes
    ----------
    name: the parameter's name
    analytic: its gradient, in the parameter's shape
    scale: distance that counts as of order one, per entry; 0 where bounds fix it, and it is left
        out
    unit: round-off of the precision the gradient came in
    jitter: how far two calls differed, per entry; zero where they agreed
    rounding: how far a call differed when the parameters moved by rounding, per entry
    required: relative error that has to be ruled out
    comparing: whether `analytic` is to be tested; it is zero where there is none
    units: units of round-off that an entry may be off by, `rounding` apart
    """

    name: str
    analytic: Floats
    scale: Floats
    unit: float
    jitter: Floats
    rounding: Floats
    required: float
    comparing: bool = True
    units: float = ROUND_OFF_UNITS

    @cached_property
    def size(self) -> int:
        """How many entries there are to compare."""
        return int(np.count_nonzero(self.scale))

    @property
    def negligible(self) -> float:
        """The relative discrepancy that is no mistake: well below what has to be ruled out."""
        return min(NEGLIGIBLE_DISCREPANCY, 0.1 * self.required)

    @cached_property
    def inexactness(self) -> Floats:
        """How far each entry may be off by what was seen of its jitter and its rounding."""
        return JITTER_MULTIPLE * self.jitter + ROUNDING_MULTIPLE * self.rounding

    def inexactness_at(self, positions: npt.NDArray[np.intp]) -> Floats:
        """Return the same of the entries at flat positions."""
        return (
            JITTER_MULTIPLE * self.jitter.flat[positions]
            + ROUNDING_MULTIPLE * self.rounding.flat[positions]
        )

    @cached_property
    def largest(self) -> float:
        """The size of the largest entry."""
        lowest, highest = self.analytic.min(initial=0.0), self.analytic.max(initial=0.0)
        return max(float(highest), -float(lowest))

    def round_off(self, size: Floats) -> Floats:
        """Return how far entries may be off by rounding numbers of these sizes, and those shared.

        What was seen of each entry's jitter and rounding comes on top.
        """
        found: Floats = size + SHARED_ROUND_OFF * self.largest
        found *= self.units * self.unit
        return found

    @cached_property
    def effect(self) -> float:
        """The norm of gradient times scale."""
        return self.slope_along(self.scale)[1]

    @cached_property
    def is_zero(self) -> bool:
        """Whether the gradient is zero within its rounding."""
        return not any(
            np.count_nonzero(np.abs(value) > ROUNDING_MULTIPLE * rounding)
            for value, rounding in in_pieces(self.analytic, self.rounding)
        )

    @cached_property
    def is_random(self) -> bool:
        """Whether two calls of the gradient differed."""
        held = self.jitter if any(self.jitter.strides) else self.jitter.flat[:1]
        return bool(held.any())

    def slope_along(self, direction: Floats) -> tuple[float, float]:
        """Return the slope along a direction, and the norm of gradient times direction."""
        slopes, norms = [], []
        for value, along in in_pieces(self.analytic, direction):
            products = value * along
            slopes.append(float(products.sum()))
            norms.append(norm(products))
        return math.fsum(slopes), math.hypot(*norms)

    @cached_property
    def _inexact_at_random(self) -> float:
        """How far the slope along a random direction may be off by what was seen per entry."""
        if self.is_random:
            return LARGEST_MAGNITUDE * norm(self.inexactness * self.scale)
        norms = [
            norm(np.multiply(rounding, distance, dtype=DOUBLE))
            for rounding, distance in in_pieces(self.rounding, self.scale)
        ]
        return LARGEST_MAGNITUDE * ROUNDING_MULTIPLE * math.hypot(*norms)

    @cached_property
    def _largest_at_random(self) -> float:
        return LARGEST_MAGNITUDE * float(self.scale.max()) * self.largest

    def round_off_at_random(self, slope: float, typical: float) -> float:
        """Return how far a claimed slope along a random direction may be off by rounding, at most.

        As `slope_round_off`, for any direction with this slope.

        Parameters
        ----------
        typical: norm of gradient times direction
        """
        size = typical + abs(slope) + SHARED_ROUND_OFF * self._largest_at_random
        return self.units * self.unit * size + self._inexact_at_random

    def in_double(self, analytic: Floats) -> Claim:
        """Return the claim of the same code run in float64."""
        unit = float(np.finfo(np.float64).eps)
        rounding = self.rounding * (unit / self.unit)
        return replace(self, analytic=analytic, unit=unit, rounding=rounding)

    def rounded_more(self, rounding: Floats) -> Claim:
        """Return the same claim, each entry of which may be rounded by so much more."""
        return replace(self, rounding=self.rounding + rounding)


def movable(array: Floats, scale: Floats) -> Floats:
    """Return the array, 0 in entries that bounds fix."""
    return array if np.count_nonzero(scale) == scale.size else np.where(scale > 0.0, array, 0.0)


Kind = Literal["random", "eigen"]


@dataclass(frozen=True)
class ProbeMeasurement:
    """What one direction showed.

    Attributes
    ----------
    derivative: the slope of the loss along it
    analytic: the slope that the analytic gradient claims
    typical: size of slope that directions like this one see: norm of gradient times direction
    kind: whether the direction is a random one or an eigenvector of the Hessian
    shared: whether it led through all parameters at once
    """

    derivative: LineDerivative
    analytic: float
    typical: float
    kind: Kind = "random"
    shared: bool = False


def fitting(evaluator: Evaluator, conditions: Conditions, name: str, direction: Floats) -> Floats:
    """Return a direction, entries that its first steps would take out of bounds turned round."""
    reach = ROOM_FOR * first_step(length_scale(direction.size), conditions)
    return evaluator.bounds.inward(name, evaluator.original[name], direction, reach)


def measure_probe(
    evaluator: Evaluator,
    conditions: Conditions,
    claim: Claim,
    direction: Floats,
    sharpest: float = math.inf,
) -> ProbeMeasurement:
    """Return the slope of the loss along `direction`, compared with that of the claim.

    Parameters
    ----------
    sharpest: error bar that it has to have, if it can; by default what the claim requires
    """
    slope, typical = claim.slope_along(direction)
    scale = length_scale(direction.size)
    settings = LineSettings(
        slope=slope,
        slope_round_off=slope_round_off(claim, direction),
        scale=scale,
        first_step=first_step(scale, conditions),
        required=_required(claim, max(abs(slope), typical), sharpest),
        reference=typical,
    )
    line = _line(evaluator, claim, direction)
    return ProbeMeasurement(differentiate(line, conditions, settings), slope, typical)


def length_scale(entries: int) -> float:
    """Return the step that counts as of order one along a direction through so many entries."""
    # Curvature adds up over the entries: n of them shorten the length scale by sqrt(n).
    return 1.0 / math.sqrt(entries)


def _required(claim: Claim, size: float, sharpest: float) -> float:
    """Return the relative error to rule out along a slope of this size."""
    return min(claim.required, sharpest / (SHARPNESS * size)) if size else claim.required


def slope_round_off(claim: Claim, direction: Floats) -> float:
    """Return how far the claimed slope along `direction` may be off by rounding alone."""
    slope, typical = claim.slope_along(direction)
    absolute = np.abs(direction)
    largest = claim.largest * float(np.max(absolute))
    # Rounding differs from entry to entry, but a factor that all share is rounded once.
    size = typical + abs(slope) + SHARED_ROUND_OFF * largest
    return claim.units * claim.unit * size + norm(claim.inexactness * absolute)


def _line(evaluator: Evaluator, claim: Claim, direction: Floats) -> Evaluate:
    directions, analytic = {claim.name: direction}, {claim.name: claim.analytic}
    return lambda step: evaluator.loss_along(directions, step, analytic)
