"""Values of many functions at steps of a ladder, and how noisy they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradcheck.directions import Floats
from gradcheck.extrapolation import RATIO
from gradcheck.ladder import QUANTUM_TOLERANCE, ROUND_OFF_UNITS_OF_LOSS

# Takes rows of points, an entry per function, and returns the functions' values in the same shape.
Functions = Callable[[Floats], Floats]
Mask = npt.NDArray[np.bool_]

# How much shorter than powers of RATIO the steps are at most. Round steps from round points have
# few digits, and what has few digits looks like lower precision.
SHORTER, GOLDEN = 0.2, 0.6180339887498949
# The long ladder, in parts of order one.
LADDER = tuple(RATIO**-k * (1.0 - SHORTER * (k * GOLDEN % 1.0)) for k in range(1, 19))
# Numbers that are evaluated at once: few enough to stay in the cache.
CHUNK = 16_000
# Smallest rungs by which the noise is seen, and what that may be too small by; the median of the
# size of a normal number, in its deviations.
NOISE_RUNGS, SEEN_NOISE_SAFETY, MEDIAN_OF_NORMAL = 9, 2.0, 0.6745
# Below this there is no precision left; it stands for round-off there.
UNDERFLOW = float(np.finfo(np.float64).tiny)
# Changes of a function that are the same but for round-off; how many others show a rounded one.
SAME_CHANGE, FEWEST_MULTIPLES = 1e-9, 3
DIVISORS = (6, 5, 4, 3, 2, 1)


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


@dataclass(frozen=True)
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
    unit: round-off of the precision that the functions come in, one each
    """

    at: Floats
    origin: Floats
    ahead: Floats
    behind: Floats
    widths: Floats
    relative: tuple[float, ...]
    unit: Floats

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
    def noise(self) -> Floats:
        """Standard deviation of one value at every step."""
        size = np.maximum(np.maximum(np.abs(self.ahead), np.abs(self.behind)), np.abs(self.origin))
        assumed = ROUND_OFF_UNITS_OF_LOSS * self.unit * size + UNDERFLOW
        seen = np.maximum(SEEN_NOISE_SAFETY * self._seen(), self._quantum() / 2)
        noise: Floats = np.maximum(assumed, seen)
        return noise

    def _seen(self) -> Floats:
        """Return by how much the differences of the smallest steps contradict each other.

        Their truncation errors are nothing beside round-off. A median, for a kink between two of
        the steps is no noise.
        """
        central = self.central[-NOISE_RUNGS:]
        gaps = np.abs(central[1:] - central[:-1]) * self.steps[1 - NOISE_RUNGS :] * np.sqrt(2)
        seen: Floats = np.median(gaps, axis=0) / MEDIAN_OF_NORMAL
        return np.nan_to_num(seen, nan=0.0, posinf=0.0)

    def _quantum(self) -> Floats:
        """Return what the values move by multiples of, where these stand still at some steps.

        So do those of a function that is rounded; zero for others.
        """
        sides = np.stack([self.ahead - self.origin, self.behind - self.origin])
        changes = np.sort(np.abs(sides).reshape(-1, sides.shape[-1]), axis=0)
        gaps = np.diff(changes, axis=0)
        is_new = gaps > SAME_CHANGE * changes[1:]
        smallest = np.min(np.where(is_new, gaps, np.inf), axis=0)
        may_be = (changes[0] == 0.0) & (np.sum(is_new, axis=0) >= FEWEST_MULTIPLES)
        quantum: Floats = np.zeros_like(smallest)
        # The smallest gap that was met may be a few quanta.
        for divisor in DIVISORS if np.any(may_be) else ():
            multiples = changes / (smallest / divisor)
            off = np.abs(multiples - np.rint(multiples))
            fits = np.all(off <= QUANTUM_TOLERANCE * np.maximum(multiples, 1.0), axis=0)
            quantum = np.where(may_be & fits, smallest / divisor, quantum)
        return quantum
