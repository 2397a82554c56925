"""Blocks of entries, and which single entry would explain all that was seen of one.

An error e in entry i changes the slope along a direction v by e v_i. Weights are random, so two
slopes of one block, or three where there is noise, fit hardly any entry by accident: their ratios
are the fingerprint of a position.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gradcheck.quick_slopes import Positions, Reading

# Deviations from which on a slope is not zero, and within which an entry explains it.
SIGNIFICANT = 4.0
# Entries that fit by accident when the best one explains nearly all, but not all: at most.
LARGEST_ACCIDENT = 0.05
# Sums of squares lose as much of a fit to rounding.
LOST_TO_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class Block:
    """Entries of a parameter, and the slopes along directions that move them alone.

    Attributes
    ----------
    positions: flat positions of the entries
    readings: finite ones
    undivided: whether all that is wrong in it was in one half when it was split last
    """

    positions: Positions
    readings: tuple[Reading, ...]
    undivided: bool = False

    @property
    def loudness(self) -> float:
        """The largest slope."""
        return max((abs(reading.value) for reading in self.readings), default=0.0)

    @property
    def is_empty(self) -> bool:
        """Whether no slope differs from zero, as far as the readings can tell."""
        return not any(is_significant(reading) for reading in self.readings)

    @property
    def sharpest(self) -> tuple[Reading, ...]:
        """The readings, those that stand out most from how far they may be off first."""
        return tuple(sorted(self.readings, key=_clarity, reverse=True))

    def with_reading(self, reading: Reading) -> Block:
        """Return the block with one more reading, if it is one."""
        if not math.isfinite(reading.value):
            return self
        return replace(self, readings=(*self.readings, reading))

    def without(self, errors: Mapping[int, tuple[float, float]]) -> Block:
        """Return the block without the entries at these positions, whose errors are known.

        Parameters
        ----------
        errors: by position, each with how far it may be off
        """
        known = np.isin(self.positions, list(errors))
        if not known.any():
            return self
        values = np.array([errors[int(p)] for p in self.positions[known]])
        return Block(
            self.positions[~known],
            tuple(
                Reading(
                    reading.weights[~known],
                    reading.value - float(reading.weights[known] @ values[:, 0]),
                    math.hypot(reading.deviation, *(reading.weights[known] * values[:, 1])),
                )
                for reading in self.readings
            ),
            self.undivided,
        )

    def narrowed(self, mask: npt.NDArray[np.bool_]) -> Block:
        """Return the masked entries, the others having turned out to be right."""
        readings = (replace(reading, weights=reading.weights[mask]) for reading in self.readings)
        return Block(self.positions[mask], tuple(readings), undivided=True)

    def part(self, mask: npt.NDArray[np.bool_], readings: Collection[Reading]) -> Block:
        """Return the masked entries with readings of their own."""
        return Block(self.positions[mask], tuple(r for r in readings if math.isfinite(r.value)))


def is_significant(reading: Reading) -> bool:
    """Return whether the slope is not zero; a NaN tells nothing."""
    return abs(reading.value) > SIGNIFICANT * reading.deviation


def _clarity(reading: Reading) -> float:
    return abs(reading.value) / reading.deviation if reading.deviation else math.inf


def difference(whole: Reading, part: Reading, rest: npt.NDArray[np.bool_]) -> Reading:
    """Return the slope along the rest of a direction, from those along the whole and a part."""
    deviation = math.hypot(whole.deviation, part.deviation)
    return Reading(whole.weights[rest], whole.value - part.value, deviation)


def lone_candidates(block: Block) -> Positions:
    """Return the positions that could each explain all readings alone, best first.

    Where none does, the one that explains nearly all of them, unless that may be an accident.
    """
    count = len(block.readings)
    if count < 2:
        return block.positions[:0]
    deviation = np.array([reading.deviation for reading in block.readings])
    seen = np.array([reading.value for reading in block.readings]) / deviation
    weights = np.stack([reading.weights for reading in block.readings]) / deviation[:, None]
    power = np.einsum("ij,ij->j", weights, weights)
    errors = np.divide(seen @ weights, power, out=np.zeros_like(power), where=power > 0.0)
    total = float(seen @ seen)
    misfit = total - errors**2 * power
    limit = count * (SIGNIFICANT**2 / 4 + LOST_TO_ROUNDING * total)
    near = np.flatnonzero(misfit <= max(limit, float(misfit.min())))
    exact = np.sum((seen[:, None] - weights[:, near] * errors[near]) ** 2, axis=0)
    near, exact = near[np.argsort(exact)], np.sort(exact)
    fitting = near[exact <= count * SIGNIFICANT**2 / 4]
    if fitting.size == 0 and _by_accident(block, math.sqrt(exact[0] / total)) < LARGEST_ACCIDENT:
        fitting = near[:1]
    return block.positions[fitting]


def _by_accident(block: Block, part: float) -> float:
    """Return how many entries are expected to leave so small a part of the readings unexplained."""
    return block.positions.size * (2.0 * part) ** (len(block.readings) - 1)
