"""Slopes without an error bar: four evaluations each, good enough to say where to look.

How far they may be off is known roughly, from the noise and from how one line was resolved;
nothing is concluded from them that a measurement with an error bar does not confirm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gradcheck.directions import Floats, norm, random_direction
from gradcheck.execution import Evaluator
from gradcheck.ladder import ROUND_OFF_UNITS_OF_LOSS, Conditions
from gradcheck.line import first_step
from gradcheck.probes import Claim

Positions = npt.NDArray[np.int_]

# Numbers of the random directions here; no screening probe has them.
FIRST_NUMBER = 5_000_000
# A pair of steps is extrapolated, so that it may start this much above what a lone one would.
FIRST_STEP_FACTOR = 4.0
LARGEST_STEP = 0.125
RATIO = 4.0
# Noise of a pair of central, or of one-sided, differences, extrapolated, over the larger step.
CENTRAL_NOISE, SIDE_NOISE = 3.02, 7.6
# Deviations of the noise that a slope is taken to be off by.
DEVIATIONS = 3.0
# How many deviations of the gradient's rounding what is known of it stands for.
BAR_OF_ROUND_OFF = 4.0
# Other lines may be truncated somewhat more than the one that was resolved.
TRUNCATION_SAFETY = 2.0
# Slopes of neighbouring pairs of steps that differ by less than this multiple of the noise agree.
AGREEMENT = 4.0
# Pairs of steps that are tried at most: the last are 4e6 times smaller than the first.
MOST_PAIRS = 12
# A line that bends this many times more than another one may have a kink within its steps: that
# often, steps that are that many times smaller are tried.
LARGEST_BEND = 10.0
RETRIES, REFINEMENT = 2, 16.0
# Rounding of the products that make up a slope, relative to it, and a number that is not zero.
SMALLEST_DEVIATION, TINY = 1e-11, float(np.finfo(np.float64).tiny)
# Smaller blocks bend less, so that they may be given larger steps.
GROWTH = 0.25


@dataclass(frozen=True, eq=False)
class Reading:
    """A slope along a direction that moves the entries of a block.

    Attributes
    ----------
    weights: the direction, per entry of the block
    value: true slope minus the slope of the gradient, corrected by what was found before
    deviation: how far it may be off, roughly
    """

    weights: Floats
    value: float
    deviation: float


@dataclass(frozen=True)
class _Rung:
    """Differences at one step, to the right and to the left, less the analytic slope."""

    step: float
    right: float
    left: float
    weights: Floats

    @property
    def central(self) -> float:
        return (self.right + self.left) / 2


@dataclass(frozen=True)
class _Pair:
    """Two rungs extrapolated to step zero, by how much they differ, and the noise of the result."""

    value: float
    bend: float
    noise: float
    weights: Floats


class QuickSlopes:
    """Slopes of the loss along directions in one parameter, less what its gradient claims.

    Attributes
    ----------
    analytic: the gradient, flat, corrected by what was found
    step: the larger one of a pair, for a direction that moves all entries
    """

    def __init__(
        self, evaluator: Evaluator, conditions: Conditions, claim: Claim, seed: int
    ) -> None:
        self.evaluator = evaluator
        self.conditions = conditions
        self.claim = claim
        self._claimed = np.ravel(claim.analytic)
        self.analytic = self._claimed.copy()
        self._origin = np.ravel(evaluator.original[claim.name]).astype(np.float64)
        self._inexactness = np.ravel(claim.inexactness)
        self._seed = seed
        self._drawn = 0
        self._noise = max(
            conditions.noise,
            ROUND_OFF_UNITS_OF_LOSS * conditions.unit * abs(float(conditions.value)),
        )
        self.step = min(FIRST_STEP_FACTOR * first_step(1.0, conditions), LARGEST_STEP)
        self._bend = math.inf
        self._truncated = 0.0

    def correct(self, position: int, error: float) -> None:
        """Take the error of an entry, true minus claimed, off all slopes from now on."""
        self.analytic[position] = self._claimed[position] + error

    def refine(self) -> None:
        """Take smaller steps from now on, as what was seen did not hold."""
        self.step /= REFINEMENT
        self._truncated, self._bend = 0.0, self._bend / REFINEMENT**2

    def draw(self, positions: Positions) -> Floats:
        """Return a new random direction of these entries, turned so that ahead is in bounds."""
        claim, evaluator = self.claim, self.evaluator
        drawn = random_direction(claim.scale, self._seed, claim.name, FIRST_NUMBER + self._drawn)
        self._drawn += 1
        original = evaluator.original[claim.name]
        reach = RATIO * self._step_of(positions)
        return np.ravel(evaluator.bounds.inward(claim.name, original, drawn, reach))[positions]

    def resolve(self, positions: Positions, weights: Floats, smallest: float) -> Reading:
        """Return the slope along a direction of all entries, and choose the step for others.

        The largest pair of steps that agrees with the next smaller one; none below `smallest`.
        """
        step = self.step
        rungs = [self._rung(positions, weights, step / RATIO**index) for index in (0, 1)]
        pairs = [self._pair(positions, *rungs)]
        for index in range(2, MOST_PAIRS):
            rungs.append(self._rung(positions, weights, step / RATIO**index))
            pairs.append(self._pair(positions, *rungs[-2:]))
            larger, smaller = pairs[-2:]
            if abs(larger.value - smaller.value) <= AGREEMENT * smaller.noise:
                break
            if rungs[-2].step < smallest:
                break
        self.step, self._bend = rungs[-3].step, larger.bend + larger.noise
        self._truncated = TRUNCATION_SAFETY * abs(larger.value - smaller.value)
        return self._reading(larger)

    def along(self, positions: Positions, weights: Floats) -> Reading:
        """Return the slope along a direction."""
        step, allowed = self._step_of(positions), LARGEST_BEND * self._bend
        first = pair = self._pair_at(positions, weights, step)
        for _ in range(RETRIES):
            if pair.bend <= allowed + LARGEST_BEND * pair.noise:
                break
            step, allowed = step / REFINEMENT, allowed / REFINEMENT**2
            pair = self._pair_at(positions, weights, step)
            if abs(pair.value - first.value) <= AGREEMENT * pair.noise:
                # It does bend more, and has no kink.
                self._bend = max(self._bend, first.bend)
                return self._reading(first)
        if pair.bend <= allowed + LARGEST_BEND * pair.noise:
            return self._reading(pair)
        return replace(self._reading(pair), deviation=max(pair.bend, pair.noise))

    def _step_of(self, positions: Positions) -> float:
        grown = self.step * math.pow(self.claim.size / max(positions.size, 1), GROWTH)
        return max(self.step, min(grown, LARGEST_STEP))

    def _reading(self, pair: _Pair) -> Reading:
        # Where a line bends more, it is truncated more: h**4 against h**2.
        bend = pair.bend / self._bend if self._bend else 1.0
        deviation = max(DEVIATIONS * pair.noise, self._truncated * max(bend, 1.0) ** 2)
        deviation += SMALLEST_DEVIATION * abs(pair.value) + TINY
        return Reading(pair.weights, pair.value, deviation)

    def _pair_at(self, positions: Positions, weights: Floats, step: float) -> _Pair:
        rungs = [self._rung(positions, weights, h) for h in (step, step / RATIO)]
        return self._pair(positions, *rungs)

    def _pair(self, positions: Positions, larger: _Rung, smaller: _Rung) -> _Pair:
        central, noise = (larger.central, smaller.central), CENTRAL_NOISE
        order = 2
        if not all(map(math.isfinite, central)):
            sides = ((larger.right, smaller.right), (larger.left, smaller.left))
            central = next((s for s in sides if all(map(math.isfinite, s))), (math.nan, math.nan))
            noise, order = SIDE_NOISE, 1
        gain = RATIO**order
        value = (gain * central[1] - central[0]) / (gain - 1)
        weights = (gain * smaller.weights - larger.weights) / (gain - 1)
        return _Pair(
            value,
            abs(central[1] - central[0]),
            noise * self._noise / larger.step + self._round_off(positions, weights),
            weights,
        )

    def _round_off(self, positions: Positions, weights: Floats) -> float:
        products = self.analytic[positions] * weights
        jitter = norm(self._inexactness[positions] * weights)
        units = self.claim.units * self.claim.unit / BAR_OF_ROUND_OFF
        return units * norm(products) + jitter / BAR_OF_ROUND_OFF

    def _rung(self, positions: Positions, weights: Floats, step: float) -> _Rung:
        right, ahead = self._moved(positions, step * weights)
        left, behind = self._moved(positions, -step * weights)
        return _Rung(step, right / step, -left / step, (ahead - behind) / (2 * step))

    def _moved(self, positions: Positions, move: Floats) -> tuple[float, Floats]:
        """Return the change of the loss beyond what the gradient says, and the move really taken.

        Rounded to the precision of the parameter, it is not quite the one asked for.
        """
        original = self.evaluator.original[self.claim.name]
        moved = self._origin.copy()
        moved[positions] += move
        rounded = moved.astype(original.dtype)
        taken = rounded[positions].astype(np.float64) - self._origin[positions]
        value = self.evaluator.loss_at({self.claim.name: rounded.reshape(original.shape)})
        change = float(value - self.conditions.value)
        return change - float(np.vdot(self.analytic[positions], taken)), taken
