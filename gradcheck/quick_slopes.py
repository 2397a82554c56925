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
# Deviations of the noise that a slope is taken to be off by, what truncates included.
DEVIATIONS = 3.0
# Slopes of neighbouring pairs of steps that differ by less than this multiple of the noise agree.
AGREEMENT = 4.0
# Pairs of steps that are tried at most: the last are 4e6 times smaller than the first.
MOST_PAIRS = 12
# A line that bends this many times more than another one has a kink within its steps.
LARGEST_BEND = 30.0
RETRIES = 2
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

    def correct(self, position: int, error: float) -> None:
        """Take the error of an entry, true minus claimed, off all slopes from now on."""
        self.analytic[position] = self._claimed[position] + error

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
        reading = self._reading(larger)
        return replace(reading, deviation=max(reading.deviation, abs(larger.value - smaller.value)))

    def along(self, positions: Positions, weights: Floats) -> Reading:
        """Return the slope along a direction."""
        step, bend = self._step_of(positions), self._bend
        for _ in range(1 + RETRIES):
            rungs = [self._rung(positions, weights, h) for h in (step, step / RATIO)]
            pair = self._pair(positions, *rungs)
            if pair.bend <= LARGEST_BEND * (bend + pair.noise):
                return self._reading(pair)
            step, bend = step / RATIO**2, bend / RATIO**4
        return replace(self._reading(pair), deviation=pair.bend)

    def _step_of(self, positions: Positions) -> float:
        grown = self.step * (self.claim.size / max(positions.size, 1)) ** GROWTH
        return max(self.step, min(grown, LARGEST_STEP))

    def _reading(self, pair: _Pair) -> Reading:
        deviation = DEVIATIONS * pair.noise + SMALLEST_DEVIATION * abs(pair.value)
        return Reading(pair.weights, pair.value, max(deviation, TINY))

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
        return self.claim.units * self.claim.unit * norm(products) + jitter

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
