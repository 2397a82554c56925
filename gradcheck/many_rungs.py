"""Values of many functions at steps of a ladder, and how noisy they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradcheck.directions import Floats
from gradcheck.extrapolation import RATIO
from gradcheck.ladder import ROUND_OFF_UNITS_OF_LOSS

# Takes rows of points, an entry per function, and returns the functions' values in the same shape.
Functions = Callable[[Floats], Floats]
Mask = npt.NDArray[np.bool_]

# How much shorter than powers of RATIO the steps are at most. Round steps from round points have
# few digits, and what has few digits looks like lower precision.
SHORTER, GOLDEN = 0.2, 0.6180339887498949
# The long ladder, in parts of order one.
LADDER = tuple(RATIO**-k * (1.0 - SHORTER * (k * GOLDEN % 1.0)) for k in range(1, 19))
# The rung of the ladder from which on steps are of a moderate size.
MODERATE = 4
# Numbers that are evaluated at once: few enough to stay in the cache.
CHUNK = 16_000
# Smallest rungs by which the noise is seen, and what that may be too small by. Of their gaps the
# third smallest counts, and what that is of the deviation where they are normal.
NOISE_RUNGS, SEEN_NOISE_SAFETY, THIRD, THIRD_OF_NORMAL = 9, 2.0, 2, 0.43
# Below this there is no precision left; it stands for round-off there.
UNDERFLOW = float(np.finfo(np.float64).tiny)


def evaluated(functions: Functions, points: Sequence[Floats]) -> list[Floats]:
    """Return the values of the functions at every one of some points."""
    rows = max(1, CHUNK // max(points[0].size, 1))
    values: list[Floats] = []
    for first in range(0, len(points), rows):
        some = functions(np.stack(points[first : first + rows]))
        values += list(np.asarray(some, np.float64))
    return values


def extrapolation(steps: Sequence[float], *, odd: bool = False) -> Floats:
    """Return w with sum w_k q(h_k) = q(0) for q spanned by 1 and even powers of h, or odd ones."""
    count = len(steps)
    powers = [0, *range(1, 2 * count, 2)] if odd else list(range(0, 2 * count, 2))
    basis = (np.array(steps) / steps[0])[:, np.newaxis] ** np.array(powers[:count])
    weights: Floats = np.linalg.solve(basis.T, np.eye(count)[0])
    return weights


@dataclass(frozen=True, eq=False)
class Rungs:
    """Values of many functions at neighbouring steps, each some RATIO times the next.

    Not exactly: at steps with a common ratio the round-off of a function might be the same multiple
    of the step at all of them, and look like a slope.

    Attributes
    ----------
    at, origin: where the functions were moved from, and their values there
    ahead, behind: values at the steps h and -h; a row per step, largest first
    widths: how far these two are apart, as moved
    relative: the steps in units of each function's scale
    unit, floor: round-off of the precision that the functions come in, and a noise that they have
        at least, one each
    """

    at: Floats
    origin: Floats
    ahead: Floats
    behind: Floats
    widths: Floats
    relative: tuple[float, ...]
    unit: Floats
    floor: Floats

    @property
    def steps(self) -> Floats:
        """The steps."""
        return 0.5 * self.widths

    @property
    def central(self) -> Floats:
        """Central differences."""
        return (self.ahead - self.behind) / self.widths

    @property
    def bends(self) -> Floats:
        """Second differences over h, which tend to the jump of the slope."""
        return ((self.ahead - self.origin) + (self.behind - self.origin)) / self.steps

    @property
    def curvatures(self) -> Floats:
        """Second derivatives, roughly: by the largest step of a moderate size with values."""
        found = self.bends[MODERATE:] / self.steps[MODERATE:]
        largest = np.argmax(np.isfinite(found), axis=0)[np.newaxis]
        curvatures: Floats = np.take_along_axis(found, largest, axis=0)[0]
        return np.nan_to_num(curvatures, nan=0.0, posinf=0.0, neginf=0.0)

    @property
    def noise(self) -> Floats:
        """Standard deviation of one value at every step."""
        size = np.maximum(np.maximum(np.abs(self.ahead), np.abs(self.behind)), np.abs(self.origin))
        assumed = np.maximum(ROUND_OFF_UNITS_OF_LOSS * self.unit * size, self.floor)
        seen = np.maximum(SEEN_NOISE_SAFETY * self._seen(), self._quantum() / 2)
        noise: Floats = np.maximum(assumed, seen)
        return noise

    def _seen(self) -> Floats:
        """Return by how much the differences of the smallest steps contradict each other.

        The truncation errors of most are nothing beside round-off. A small one of the gaps counts,
        for a kink is no noise, and makes the gaps of all steps that reach across it large.
        """
        central = self.central[-NOISE_RUNGS:]
        gaps = np.abs(central[1:] - central[:-1]) * self.steps[1 - NOISE_RUNGS :] * np.sqrt(2)
        seen: Floats = np.partition(gaps, THIRD, axis=0)[THIRD] / THIRD_OF_NORMAL
        return np.nan_to_num(seen, nan=0.0, posinf=0.0)

    def _quantum(self) -> Floats:
        """Return the smallest change of functions that stand still at the smallest step.

        If they go up on one side and down on the other further out, they are rounded. Zero for
        others, for a kink may have a flat side.
        """
        ahead, behind = self.ahead - self.origin, self.behind - self.origin
        stands = (ahead[-1] == 0.0) & (behind[-1] == 0.0)
        stands &= np.any(np.sign(ahead) * np.sign(behind) < 0.0, axis=0)
        changes = np.minimum(*(np.where(a == 0.0, np.inf, np.abs(a)) for a in (ahead, behind)))
        return np.where(stands, np.min(changes, axis=0), 0.0)
