"""A ladder of central differences on one line, and what is known about the line beforehand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from gradcheck.extrapolation import (
    RATIO,
    Reading,
    Rung,
    Window,
    all_windows,
)
from gradcheck.one_sided import kink_at_origin, one_sided_windows

Evaluate = Callable[[float], tuple[float, float]]

EPSILON = float(np.finfo(np.float64).eps)
# A correctly rounded loss jitters by about this many units of round-off.
ROUND_OFF_UNITS_OF_LOSS = 0.75
# Rungs with the same side missing after which one-sided differences are looked at.
EDGE_RUNGS = 2
# A step that agrees is good enough when its bar is this part of what is required.
SHARPNESS = 0.1
# How far a multiple of a quantum may be off, relatively.
QUANTUM_TOLERANCE = 1e-6

Side = Literal["", "left", "right"]


@dataclass(frozen=True)
class Conditions:
    """What holds for every line of one check.

    Attributes
    ----------
    value: loss at the origin
    noise: standard deviation of the loss's own jitter
    multiplier: widens every error bar for the number of comparisons made
    unit: round-off of the precision the loss comes in
    """

    value: float
    noise: float
    multiplier: float
    unit: float = EPSILON


def bar_multiplier(comparisons: int) -> float:
    """Return what to widen error bars by, so that none of `comparisons` fails by chance.

    Bars that hold 999 times in 1,000 would accuse a correct network of 100,000 entries 100 times.
    """
    return 1.0 + 0.1 * math.log10(max(comparisons, 1))


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
    enough: error bar that would do where the line is one of many; 0 where it stands alone
    negligible: a discrepancy of this size is no mistake in the gradient
    comparing: whether `slope` is a claim to be tested
    """

    slope: float
    slope_round_off: float
    scale: float
    first_step: float
    required: float
    reference: float
    enough: float = 0.0
    negligible: float = 0.0
    comparing: bool = True

    def agrees(self, window: Window) -> bool:
        """Return whether there is nothing in a window to be held against the gradient."""
        return not self.comparing or abs(window.estimate) <= max(window.error, self.negligible)

    def needed(self, window: Window) -> float:
        """Return the error bar that excludes what has to be, for the slope that a window shows."""
        size = max(abs(self.slope), abs(self.slope + window.estimate), self.reference)
        # Where everything is zero there is nothing to be sharp about.
        return self.required * size if size else math.inf

    def target(self, window: Window) -> float:
        """Return the error bar that is sharp enough to stop at."""
        return SHARPNESS * self.needed(window)


class Ladder:
    """The rungs measured on one line so far.

    Attributes
    ----------
    rungs: those that could be measured, by index; each step is RATIO times the next
    sides: one-sided differences to the left and to the right, by index, where there are any
    tried: indices of all that were asked for
    changes: by how much the loss moved, twice per rung
    evaluations: calls of the loss
    """

    def __init__(self, evaluate: Evaluate, conditions: Conditions, settings: LineSettings) -> None:
        self.evaluate = evaluate
        self.conditions = conditions
        self.settings = settings
        self._first_step = 2.0 ** round(math.log2(settings.first_step))
        self.rungs: dict[int, Rung] = {}
        self.sides: dict[Side, dict[int, Rung]] = {"left": {}, "right": {}}
        self.changes: list[float] = []
        self.tried: set[int] = set()
        self.evaluations = 0
        self._windows: dict[float, list[Window]] = {}

    def step(self, index: int) -> float:
        """Return the step of a rung: a power of two, by which an entry moves exactly."""
        return self._first_step * RATIO**-index

    def add(self, index: int) -> None:
        """Measure a rung."""
        step = self.step(index)
        self.tried.add(index)
        self._windows.clear()
        above = self._moved(step)
        below = self._moved(-step)
        noise = self._noise(step, max((m.size for m in (above, below) if m.is_finite), default=0.0))
        if above.is_finite:
            self.sides["right"][index] = Rung(step, above.excess / step, 0.0, noise)
        if below.is_finite:
            self.sides["left"][index] = Rung(step, -below.excess / step, 0.0, noise)
        central = (above.excess - below.excess) / (2 * step)
        bend = (above.excess + below.excess) / step
        if math.isfinite(central) and math.isfinite(bend):
            self.rungs[index] = Rung(step, central, bend, noise)
            self.changes += [abs(above.change), abs(below.change)]

    def _moved(self, step: float) -> _Moved:
        value, slope = self.evaluate(step)
        self.evaluations += 1
        change = value - self.conditions.value
        return _Moved(float(change - slope), float(change), abs(float(value)))

    def _noise(self, step: float, size: float) -> float:
        """Return the noise of values of this size: round-off follows them as they grow."""
        given = self.conditions
        noise = max(given.noise, ROUND_OFF_UNITS_OF_LOSS * given.unit * size)
        if step > self.settings.scale and abs(given.value) > 0.0:
            # Far out a loss may be so much larger that its noise, whatever its kind, is too.
            noise = max(noise, given.noise * size / abs(float(given.value)))
        return noise

    @property
    def side(self) -> Side:
        """The side that could be evaluated at rungs where the other could not; "" if none."""
        only = {side: set(found) - set(self.rungs) for side, found in self.sides.items()}
        if only["left"] and only["right"]:
            return ""
        return next((side for side, found in only.items() if len(found) >= EDGE_RUNGS), "")

    def above(self, index: int) -> int:
        """Return the next rung of larger steps, beyond those that one side was missing at."""
        index -= 1
        while index not in self.rungs and any(index in found for found in self.sides.values()):
            index -= 1
        return index

    def windows(self, noise_factor: float = 1.0) -> list[Window]:
        """Return every window of the rungs so far, one-sided ones where a side is missing."""
        if noise_factor not in self._windows:
            self._windows[noise_factor] = self._windows_of_rungs(noise_factor)
        return self._windows[noise_factor]

    def _windows_of_rungs(self, noise_factor: float) -> list[Window]:
        reading = self._reading(noise_factor)
        windows = all_windows(self._noisy_rungs(), reading)
        if side := self.side:
            missing = set(self.sides[side]) - set(self.rungs)
            windows += one_sided_windows(self.sides[side], reading, missing)
        return windows

    def kink(self, noise_factor: float = 1.0) -> Window | None:
        """Return the slopes at a kink at the origin, if the rungs so far show one."""
        reading, rungs = self._reading(noise_factor), self._noisy_rungs()
        return kink_at_origin(all_windows(rungs, reading), rungs, reading)

    def _reading(self, noise_factor: float) -> Reading:
        given = self.settings
        return Reading(
            scale=given.scale,
            multiplier=self.conditions.multiplier,
            round_off=given.slope_round_off,
            noise_factor=noise_factor,
        )

    def _noisy_rungs(self) -> dict[int, Rung]:
        """Return the rungs, with the noise of a coarse loss where they show it to be one.

        A loss that is rounded, or computed in float32, moves at some steps and not at all at
        others, and by multiples of one quantum. One with a dead zone does so by any amount.
        """
        moving = [change for change in self.changes if change]
        if len(moving) == len(self.changes) or not moving:
            return self.rungs
        quantum = min(moving)
        multiples = [change / quantum for change in moving]
        if any(abs(m - round(m)) > QUANTUM_TOLERANCE * m for m in multiples) or self._is_ramp():
            return self.rungs
        return {
            index: replace(rung, noise=max(rung.noise, quantum / 2))
            for index, rung in self.rungs.items()
        }

    def _is_ramp(self) -> bool:
        """Return whether the loss is straight on either side of the origin, as far as seen.

        At steps with a common ratio, that looks like multiples of a quantum too.
        """
        slopes = [
            [r.central + self.settings.slope for r in s.values()] for s in self.sides.values()
        ]
        return all(
            max(side) - min(side) <= QUANTUM_TOLERANCE * max(map(abs, side))
            for side in slopes
            if side
        )


@dataclass(frozen=True, slots=True)
class _Moved:
    """The loss some way off: its change beyond the analytic slope, its change, its size."""

    excess: float
    change: float
    size: float

    @property
    def is_finite(self) -> bool:
        """Whether the loss could be evaluated there."""
        return math.isfinite(self.excess)
