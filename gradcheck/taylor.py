"""What values of a loss along a line say besides its slope: Taylor orders, and the curvature.

Of a smooth loss f with the gradient g, along a step d from x, the remainders

    abs(f(x + h d) - f(x))              fall like h
    abs(f(x + h d) - f(x) - h g.d)      fall like h**2

An order says little by itself: a gradient that is off by one percent has the order 1.9 down to
where one percent of the slope is what is left. It is told together with the steps it was read in.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gradcheck.descent import TaylorOrder
from gradcheck.extrapolation import NOISE_MULTIPLE, RATIO

# A remainder counts that is so many times what noise may do to it.
SIGNAL = 10.0
# Remainders that an order is read from, at least, and how far the orders of any two neighbours may
# be from that of the smallest.
FEWEST_REMAINDERS = 4
SAME_ORDER = 0.05


@dataclass(frozen=True)
class Remainder:
    """What is left of the loss at a step, and how far noise may take it off."""

    step: float
    size: float
    noise: float

    @property
    def is_seen(self) -> bool:
        """Whether it stands out from the noise."""
        return math.isfinite(self.size) and self.size > SIGNAL * self.noise


def taylor_order(remainders: Sequence[Remainder]) -> TaylorOrder | None:
    """Return the power of the step that remainders fall like, None where no window shows one.

    Trusted from below: the window begins at the smallest step whose remainder stands out from the
    noise, and ends where the order changes. Of a remainder that is zero, as that of a straight
    loss, there is no order.

    Parameters
    ----------
    remainders: by falling step, each RATIO times the next
    """
    seen = [remainder for remainder in remainders if remainder.is_seen]
    window = seen[-1:]
    first = math.nan
    for larger, smaller in zip(seen[-2::-1], seen[:0:-1], strict=True):
        order = _order(larger, smaller)
        first = order if len(window) == 1 else first
        if not abs(order - first) <= SAME_ORDER:
            break
        window.append(larger)
    if len(window) < FEWEST_REMAINDERS:
        return None
    smallest, largest = window[0], window[-1]
    return TaylorOrder(_order(largest, smallest), largest.step, smallest.step)


def _order(larger: Remainder, smaller: Remainder) -> float:
    return math.log(larger.size / smaller.size) / math.log(larger.step / smaller.step)


def curvature(values: Mapping[float, float], noise: float) -> tuple[float, float]:
    """Return the second derivative of a loss at the origin of a line, and its error bar.

    Of second differences at h and h / RATIO, extrapolated, the pair that agrees best is taken.

    Parameters
    ----------
    values: of the loss, by step; that at 0.0 among them
    noise: standard deviation of one value

    Returns
    -------
    NaN and infinity where no four steps are there to tell
    """
    best = math.nan, math.inf
    for step in values:
        if step > 0.0 and {-step, step / RATIO, -step / RATIO} <= values.keys():
            wide, narrow = (_second_difference(values, h) for h in (step, step / RATIO))
            gap = narrow - wide
            jitter = NOISE_MULTIPLE * noise * math.sqrt(6.0) / (step / RATIO) / (step / RATIO)
            if (bar := abs(gap) + jitter) < best[1]:
                # The error of a second difference is h**2 f'''' / 12 and higher powers.
                best = narrow + gap / (RATIO**2 - 1), bar
    return best


def _second_difference(values: Mapping[float, float], step: float) -> float:
    # A square of the step may be zero, or more than a float holds.
    return (values[step] - 2 * values[0.0] + values[-step]) / step / step
