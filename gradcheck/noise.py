"""How noisy is this loss: round-off, a hidden lower precision, randomness.

References
----------
Moré & Wild 2011, Estimating computational noise, SIAM J. Sci. Comput. 33(3):1292.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from gradcheck.directions import Floats
from gradcheck.execution import Evaluator
from gradcheck.ladder import EPSILON, ROUND_OFF_UNITS_OF_LOSS, Conditions, bar_multiplier

# Points of a table; of the first one, which is enough for most losses.
POINTS, FIRST_POINTS = 9, 8
FIRST_SPACING = 128.0
MAX_TABLES = 6
REPEATS = 8
# Three levels of the difference table that agree this well show noise, not the function.
AGREEMENT = 4.0
# Over wider spacings, in units of the scale, what looks like noise is the loss itself.
WIDEST_TABLE = 0.1
WIDEST_SPACING = 0.5
# Steps without a common divisor, at which a rounded loss is looked at.
IRREGULAR = np.sqrt([2.0, 3.0, 5.0, 7.0, 11.0, 13.0, 17.0, 19.0])
# In smallest changes: how far a multiple of a quantum may be off, and how small that may be. Of
# some 40 values, a smooth loss takes hardly any twice, so that three show a rounded one.
QUANTUM_TOLERANCE = 1e-4
SMALLEST_QUANTUM = 0.01
# Relative difference of values that are the same but for round-off.
SAME_VALUE = 1e-14
FEWEST_VALUES = 3

TableState = Literal["measured", "constant", "too_small", "too_large", "not_finite"]


@dataclass(frozen=True)
class Noise:
    """The loss at a point and its jitter there.

    Attributes
    ----------
    value: the loss
    deviation: standard deviation of one evaluation, in the loss's unit
    unit: round-off of the precision the loss comes in
    """

    value: float
    deviation: float
    unit: float = EPSILON

    def conditions(self, comparisons: int) -> Conditions:
        """Return what holds for every line of a check that makes this many comparisons."""
        return Conditions(self.value, self.deviation, bar_multiplier(comparisons), self.unit)


def measure_noise(
    evaluator: Evaluator,
    directions: Iterable[Mapping[str, Floats]],
    values: tuple[float, float] | None = None,
) -> Noise:
    """Return the loss at the working parameters, with its noise from tables along `directions`.

    Parameters
    ----------
    evaluator: of the loss
    directions: a step for some or all parameters each; length 1 moves every entry by its scale
    values: the loss at the working parameters, twice, where that is known
    """
    value, again = values or (evaluator.loss(), evaluator.loss())
    unit = _unit(value)
    deviation = ROUND_OFF_UNITS_OF_LOSS * unit * abs(float(value))
    if value != again:
        repeats = [value, again, *(evaluator.loss() for _ in range(REPEATS))]
        deviation = max(deviation, float(np.std(repeats, ddof=1)))
    # A loop would hold on to one direction until the next is there.
    lines = map(partial(_line_noise, evaluator, value=value), directions)
    return Noise(value, max([deviation, *lines]), unit)


def _unit(value: float) -> float:
    """Return the round-off of a loss; one that comes in less than float64 shows so by its noise."""
    return float(np.finfo(np.longdouble).eps) if isinstance(value, np.longdouble) else EPSILON


def _line_noise(evaluator: Evaluator, direction: Mapping[str, Floats], value: float) -> float:
    """Return the noise along one line, or its like; 0 where no spacing shows it."""
    for way in _ways(direction):
        line = _Line(evaluator, way, value)
        if (deviation := line.noise()) is not None:
            return deviation
    return 0.0


def _ways(direction: Mapping[str, Floats]) -> Iterator[Mapping[str, Floats]]:
    """Yield a direction, and others for where its end is not inside the loss's domain."""
    yield direction
    # At the edge of a domain, such as all that is positive, the other way may be inside.
    yield _opposite(direction)
    sizes = {name: np.abs(along) for name, along in direction.items()}
    yield sizes
    yield _opposite(sizes)


def _opposite(direction: Mapping[str, Floats]) -> dict[str, Floats]:
    return {name: -along for name, along in direction.items()}


class _Line:
    """The loss along one direction, sampled at several spacings."""

    def __init__(self, evaluator: Evaluator, direction: Mapping[str, Floats], value: float) -> None:
        self.evaluator = evaluator
        self.direction = direction
        self.value = value

    def noise(self) -> float | None:
        """Return the noise, None where the loss cannot be evaluated everywhere."""
        spacing, is_still, widest = FIRST_SPACING * EPSILON, False, 0.0
        seen = np.zeros(0)
        for table in range(MAX_TABLES):
            values = self._at(spacing * np.arange(1, POINTS if table else FIRST_POINTS))
            deviation, state = difference_table_noise(np.array([self.value, *values]))
            if state == "not_finite":
                return None
            widest = max(widest, spacing)
            seen = np.append(seen, values)
            if state == "measured" and spacing <= WIDEST_TABLE:
                # A rounded loss may move by the same from each of these steps to the next.
                return max(deviation, self._rounding(seen, widest)) if is_still else deviation
            is_still |= state == "constant"
            # A loss computed in float32 does not move at all at first: that factor is the largest.
            factor = {"constant": 4096.0, "too_small": 64.0}.get(state, 1 / 64.0)
            spacing = min(spacing * factor, WIDEST_SPACING)
        return self._rounding(seen, widest) if is_still else 0.0

    def _rounding(self, seen: npt.NDArray[Any], widest: float) -> float:
        """Return half of what a rounded loss changes by, from values seen within some spacing."""
        # At equal spacings the steps of a straight line look like a quantum too.
        return quantum(np.append(seen, self._at(widest * IRREGULAR))) / 2

    def _at(self, steps: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.array([loss for loss, _ in self.evaluator.losses_along(self.direction, steps)])


def quantum(values: npt.NDArray[Any]) -> float:
    """Return the step by which a rounded loss changes: the common divisor of its changes, else 0.

    That is Euclid's; of changes by anything, it ends in their round-off.
    """
    different = np.unique(values[np.isfinite(values)]).astype(np.float64)
    changes = np.diff(different)
    # Multiples of a decimal fraction differ by round-off among themselves.
    changes = changes[changes > SAME_VALUE * np.max(np.abs(different), initial=0.0)]
    if changes.size + 1 < FEWEST_VALUES:
        return 0.0
    smallest = float(changes.min())
    divisor = smallest
    for change in changes:
        larger, smaller = float(change), divisor
        while smaller > QUANTUM_TOLERANCE * smallest:
            larger, smaller = smaller, abs(larger - smaller * round(larger / smaller))
        divisor = larger
    return divisor if divisor > SMALLEST_QUANTUM * smallest else 0.0


def difference_table_noise(values: npt.NDArray[Any]) -> tuple[float, TableState]:
    """Return the noise in equally spaced values: what is left of a smooth function's differences.

    The k-th differences of noise of deviation s have variance s**2 (2k)! / (k!)**2, those of a
    smooth function vanish; the first level where three agree and the signs change is noise.
    """
    if not np.all(np.isfinite(values)):
        return 0.0, "not_finite"
    low, high = float(values.min()), float(values.max())
    if low == high:
        return 0.0, "constant"
    # Where the loss itself is about zero, any step changes it by much of its size.
    if 0.1 * max(abs(low), abs(high)) < high - low < 10.0 * abs(float(values[0])):
        return 0.0, "too_large"
    # In units of the largest, as squares of large numbers overflow.
    size, factor = float(np.max(np.abs(values - values[0]))), 1.0
    if not np.isfinite(size):
        return 0.0, "not_finite"
    # Of so few numbers, lists are faster than arrays.
    differences = ((values - values[0]) / size).tolist()
    levels: list[float] = []
    alternates: list[bool] = []
    for k in range(1, len(values)):
        differences = [after - before for before, after in pairwise(differences)]
        if k == 1 and differences.count(0.0) >= len(values) / 2:
            return 0.0, "too_small"
        factor *= k / (2 * (2 * k - 1))
        mean_square = math.fsum(one * one for one in differences) / len(differences)
        levels.append(math.sqrt(factor * mean_square))
        alternates.append(min(differences) * max(differences) < 0)
    for k in range(len(levels) - 2):
        three = levels[k : k + 3]
        if alternates[k] and max(three) <= AGREEMENT * min(three):
            return size * three[0], "measured"
    return 0.0, "too_large"
