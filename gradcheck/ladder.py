"""A ladder of central differences on one line, and what is known about the line beforehand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from gradcheck.extrapolation import RATIO, Reading, Rung, Window, all_windows

Evaluate = Callable[[float], tuple[float, float]]

EPSILON = float(np.finfo(np.float64).eps)
# A correctly rounded loss jitters by about this part of itself.
ROUND_OFF = 0.75 * EPSILON


@dataclass(frozen=True)
class Conditions:
    """What holds for every line of one check.

    Attributes
    ----------
    value: loss at the origin
    noise: standard deviation of the loss's own jitter
    multiplier: widens every error bar for the number of comparisons made
    """

    value: float
    noise: float
    multiplier: float


@dataclass(frozen=True)
class LineSettings:
    """What is known about one line beforehand.

    Attributes
    ----------
    slope: analytic slope along the line; 0 where there is none to compare with
    slope_round_off: how far `slope` may be off by rounding
    scale: step along the line that counts as of order one
    first_step: where the ladder starts
    required: relative error that has to be ruled out
    reference: size of slope that counts where the slope itself is smaller
    comparing: whether `slope` is a claim to be tested
    """

    slope: float
    slope_round_off: float
    scale: float
    first_step: float
    required: float
    reference: float
    comparing: bool = True


class Ladder:
    """The rungs measured on one line so far.

    Attributes
    ----------
    rungs: those that could be measured, by index; the step of index k is first_step * RATIO**-k
    tried: indices of all that were asked for
    flat: indices of those at which the loss did not move at all
    quantum: the smallest change of the loss seen
    evaluations: calls of the loss
    """

    def __init__(self, evaluate: Evaluate, conditions: Conditions, settings: LineSettings) -> None:
        self.evaluate = evaluate
        self.conditions = conditions
        self.settings = settings
        self.rungs: dict[int, Rung] = {}
        self.flat: set[int] = set()
        self.quantum = math.inf
        self.tried: set[int] = set()
        self.evaluations = 0

    def add(self, index: int) -> None:
        """Measure the rung of step first_step * RATIO**-index."""
        given = self.conditions
        step = self.settings.first_step * RATIO**-index
        above, above_slope = self.evaluate(step)
        below, below_slope = self.evaluate(-step)
        self.evaluations += 2
        self.tried.add(index)
        central = ((above - below) - (above_slope - below_slope)) / (2 * step)
        bend = ((above - given.value - above_slope) + (below - given.value - below_slope)) / step
        if math.isfinite(central) and math.isfinite(bend):
            noise = self._noise(step, max(abs(above), abs(below)))
            self.rungs[index] = Rung(step, central, bend, noise)
            change = max(abs(above - given.value), abs(below - given.value))
            if change == 0.0:
                self.flat.add(index)
            else:
                self.quantum = min(self.quantum, change)

    def _noise(self, step: float, size: float) -> float:
        """Return the noise of values of this size: round-off follows them as they grow."""
        given = self.conditions
        noise = max(given.noise, ROUND_OFF * size)
        if step > self.settings.scale and abs(given.value) > 0.0:
            # Far out a loss may be so much larger that its noise, whatever its kind, is too.
            noise = max(noise, given.noise * size / abs(given.value))
        return noise

    def windows(self, noise_factor: float = 1.0) -> list[Window]:
        """Return every window of the rungs so far."""
        given = self.settings
        reading = Reading(
            scale=given.scale,
            multiplier=self.conditions.multiplier,
            round_off=given.slope_round_off,
            noise_factor=noise_factor,
        )
        return all_windows(self._noisy_rungs(), reading)

    def _noisy_rungs(self) -> dict[int, Rung]:
        """Return the rungs, with the noise of a coarse loss where some show it to be one.

        A loss that moves at some steps and not at all at others is rounded, or computed in
        float32; the smallest change seen tells how coarsely.
        """
        if not self.flat or len(self.flat) == len(self.rungs):
            return self.rungs
        return {
            index: replace(rung, noise=max(rung.noise, self.quantum / 2))
            for index, rung in self.rungs.items()
        }
