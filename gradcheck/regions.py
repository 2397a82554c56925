"""Rows, columns and other slices of a parameter that are wrong as a whole."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from gradcheck.blocks import SIGNIFICANT, Block
from gradcheck.quick_slopes import Positions, QuickSlopes

# Slices that a slope may point to, before it points to none.
MOST_CANDIDATES = 2
# Wrong entries in one slice that are no accident: so many, and so many times what is expected.
FEWEST_CROWDED, CROWDING = 5, 4.0
# Of a random sample, so many wrong ones in one slice and none elsewhere are none either.
FEWEST_COMMON = 4


@dataclass(frozen=True)
class Region:
    """Slices of a parameter across one axis: for axis 1 of a matrix, columns.

    Attributes
    ----------
    axis: that the slices are numbered along
    indices: their numbers
    """

    axis: int
    indices: tuple[int, ...]


def slice_of(region: Region, positions: Positions, shape: tuple[int, ...]) -> Positions:
    """Return those of the flat positions that lie in a region."""
    return positions[np.isin(np.unravel_index(positions, shape)[region.axis], region.indices)]


def lone_region(slopes: QuickSlopes, block: Block, shape: tuple[int, ...]) -> Region | None:
    """Return the slice that holds all that is wrong in a block, None where there is none.

    Along the same direction times a ramp over the slices, a lone one changes the slope by its
    factor, whichever of its entries are wrong.
    """
    if len(shape) < 2:
        return None
    seen = block.sharpest[0]
    for axis, count in enumerate(shape):
        if count == 1:
            continue
        place = np.unravel_index(block.positions, shape)[axis]
        # As long a direction as without the ramp.
        ramp = math.sqrt(3.0) * np.linspace(-1.0, 1.0, count)
        reading = slopes.along(block.positions, seen.weights * ramp[place])
        off = np.abs(reading.value - ramp * seen.value)
        near = np.flatnonzero(off <= SIGNIFICANT * np.hypot(reading.deviation, seen.deviation))
        if near.size > MOST_CANDIDATES:
            continue
        for index in near[np.argsort(off[near])]:
            inside = place == index
            alone = slopes.along(block.positions[inside], seen.weights[inside])
            deviation = math.hypot(alone.deviation, seen.deviation)
            if abs(alone.value - seen.value) <= SIGNIFICANT * deviation:
                return Region(axis, (int(index),))
    return None


def crowded(
    wrong: Collection[int], shape: tuple[int, ...], known: Collection[Region]
) -> Region | None:
    """Return a slice that holds more of the wrong entries than by accident, known ones apart."""
    positions = np.array(sorted(wrong), dtype=int)
    for region in known:
        positions = np.setdiff1d(positions, slice_of(region, positions, shape))
    if len(shape) < 2 or positions.size < FEWEST_CROWDED:
        return None
    for axis, place in enumerate(np.unravel_index(positions, shape)):
        counts = np.bincount(place)
        expected = positions.size / shape[axis]
        if counts.max() >= FEWEST_CROWDED + CROWDING * expected:
            return Region(axis, (int(counts.argmax()),))
    return None


def common(wrong: Collection[int], shape: tuple[int, ...]) -> Region | None:
    """Return the slice that all wrong entries of a random sample share, None where none is."""
    if len(shape) < 2 or len(wrong) < FEWEST_COMMON:
        return None
    places = np.unravel_index(np.array(sorted(wrong), dtype=int), shape)
    for axis, place in enumerate(places):
        if shape[axis] > 1 and np.all(place == place[0]):
            return Region(axis, (int(place[0]),))
    return None
