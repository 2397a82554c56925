"""What code may return at a kink of several units at once, whatever the slope it takes of each.

On the half circle from x + a to x - a that passes through x + b, every kink through x is crossed
once, and the gradient jumps by what that unit adds to it. A convention takes some part of each
jump, such as none of a ReLU's slope or half of it. So what it returns lies between the gradient at
the start plus all jumps down and the same plus all jumps up, entry by entry.

References
----------
Bolte & Pauwels 2021, Mathematical Programming 188:19 (what backprop returns at kinks).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from gradcheck.budget import Budget
from gradcheck.directions import Floats, entry_scales, random_direction
from gradcheck.execution import Array, Evaluator

Mask = npt.NDArray[np.bool_]

# Numbers of the directions a and b of two half circles, which nothing else is measured along.
PLANES = tuple((5_000_000 + 2 * plane, 5_000_001 + 2 * plane) for plane in range(8))
# Half circles that are enough to acquit; all have to be looked along before one accuses.
FIRST_PLANES = 2
# Parts that a half circle is cut into: in each, jumps up and jumps down cancel.
FEWEST_PARTS, MOST_PARTS = 16, 512
# Part of all jumps up to which two half circles agree, and that both may lack.
SAME = 0.01


class HalfCircle:
    """Points around the evaluator's: x + a cos(pi t) + b sin(pi t) for t from 0 to 1.

    Parameters
    ----------
    evaluator, seed: of the point x; of the directions
    radius: in units of each entry's scale
    plane: numbers of the directions a and b
    """

    def __init__(
        self, evaluator: Evaluator, seed: int, radius: float, plane: tuple[int, int] = PLANES[0]
    ) -> None:
        self._bounds = evaluator.bounds
        self._centre = evaluator.original
        scales = {
            name: self._bounds.within_width(name, radius * scale)
            for name, scale in entry_scales(self._centre).items()
        }
        self._axes = [
            {name: random_direction(scale, seed, name, number) for name, scale in scales.items()}
            for number in plane
        ]

    def at(self, turn: float) -> dict[str, Array]:
        """Return the parameters at a point of it, inside their bounds."""
        cosine, sine = np.cos(np.pi * turn), np.sin(np.pi * turn)
        one, other = self._axes
        moved = {
            name: (array + cosine * one[name] + sine * other[name]).astype(array.dtype)
            for name, array in self._centre.items()
        }
        return self._bounds.turned_back(self._centre, moved)


def conventional(
    slopes: Sequence[Callable[[float], Floats | None]],
    claimed: Floats,
    bars: Floats,
    budget: Budget,
) -> tuple[Mask, Mask]:
    """Return which claimed slopes are those of some convention, and which only perhaps.

    Every half circle shows the same jumps, unless some of them cancel; which ones, differs. So
    those that agree show all, where kinks go right through the point. Of the largest of several,
    which are equal there, a half circle may pass one by that a convention takes: others do not.

    Parameters
    ----------
    slopes: on each half circle, the slopes at a point of it; None where they are not known
    claimed: the slopes at the centre
    bars: how far these may be off
    budget: the time there is; when it is over, what is left is a perhaps
    """
    every = [_Path(slopes_at) for slopes_at in slopes]
    paths, parts = every[:FIRST_PLANES], FEWEST_PARTS
    while True:
        ranges = np.array([found for path in paths if (found := path.range(parts)) is not None])
        if not ranges.size:
            return np.zeros(claimed.shape, bool), np.ones(claimed.shape, bool)
        lowest, highest = ranges[:, 0].min(axis=0), ranges[:, 1].max(axis=0)
        allowed = SAME * (highest - lowest) + bars
        outside_by = np.abs(claimed - np.clip(claimed, lowest, highest))
        inside, spread = outside_by <= allowed, np.ptp(ranges, axis=0).max(axis=0)
        # What one lacks of another, all may lack; hardly more than that.
        differing = ~inside & (spread > allowed) & (outside_by <= len(paths) * spread)
        if budget.is_spent():
            return inside, ~inside
        if inside.all() or parts == MOST_PARTS:
            return inside, differing
        if differing.any():
            parts *= 2
        elif len(paths) == len(every):
            return inside, differing
        paths = every


class _Path:
    """The slopes seen along a half circle so far."""

    def __init__(self, slopes_at: Callable[[float], Floats | None]) -> None:
        self._slopes_at = slopes_at
        self._seen: dict[float, Floats | None] = {}

    def range(self, parts: int) -> tuple[Floats, Floats] | None:
        """Return the start plus all jumps down, and plus all jumps up; None where nothing shows.

        Parameters
        ----------
        parts: a power of 2
        """
        for turn in (number / parts for number in range(parts + 1)):
            if turn not in self._seen:
                self._seen[turn] = self._slopes_at(turn)
        known = [seen for _, seen in sorted(self._seen.items()) if seen is not None]
        if not known:
            return None
        steps = np.diff(np.array(known), axis=0)
        down, up = np.minimum(steps, 0.0).sum(axis=0), np.maximum(steps, 0.0).sum(axis=0)
        return known[0] + down, known[0] + up
