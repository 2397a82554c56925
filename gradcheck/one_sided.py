"""Slopes to one side of the origin: at the edge of a domain, and to either side of a kink.

One-sided differences err in all powers of the step, and so do central ones at a kink, where the
function may bend differently on each side.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from itertools import pairwise

from gradcheck.extrapolation import (
    NOISE_MULTIPLE,
    RATIO,
    TRUNCATION_SAFETY,
    Reading,
    Rung,
    Window,
    deviation,
    dot,
    extrapolation_weights,
    jump_deviation,
)

ROOTS_SAFETY = 2.0
# One-sided differences that shrink by less than this per rung may err in a root of h.
WHOLE_POWERS = 3.5
# Those that shrink by less than this have no limit: so the logarithm, whose slope keeps growing.
NO_LIMIT = 1.25

_WEIGHTS = {count: extrapolation_weights(list(range(count))) for count in (1, 2, 3, 4)}


def one_sided_windows(
    differences: Mapping[int, Rung], reading: Reading, missing: Set[int]
) -> list[Window]:
    """Return every window of 3 or 4 one-sided differences that needs them: some are `missing`.

    Without those that move apart as steps shrink: there the slope has no limit.

    Parameters
    ----------
    differences: (loss at h minus loss at the origin) / h, as the `central` of their rungs
    missing: rungs whose other side could not be evaluated
    """
    windows = [
        _one_sided_window([differences[top + i] for i in range(count)], top, reading)
        for top in sorted(differences)
        for count in (3, 4)
        if all(top + i in differences for i in range(count))
        and not missing.isdisjoint(range(top, top + count))
    ]
    return [window for window in windows if math.isfinite(window.error)]


def _one_sided_window(rungs: Sequence[Rung], top: int, reading: Reading) -> Window:
    count = len(rungs)
    values = [rung.central for rung in rungs]
    spread = [w * rung.noise / rung.step for w, rung in zip(_WEIGHTS[count], rungs, strict=True)]
    # The value at the origin is shared by all rungs, so its noise adds up linearly.
    noise = NOISE_MULTIPLE * reading.noise_factor * math.hypot(math.hypot(*spread), sum(spread))
    truncation = _one_sided_truncation(values, noise)
    return Window(
        top=top,
        bottom=top + count - 1,
        step=rungs[0].step,
        estimate=dot(_WEIGHTS[count], values),
        truncation=truncation,
        noise=noise,
        jump=0.0,
        jump_bar=math.inf,
        error=reading.multiplier * (truncation + noise) + reading.round_off,
        one_sided=True,
    )


def _one_sided_truncation(values: Sequence[float], noise: float) -> float:
    """Return how far one-sided differences are off whose error may fall like a root of h only.

    As that of x**1.5 at zero. An error of whole powers falls at least like h, by RATIO per rung.
    """
    gaps = [abs(one - other) for one, other in pairwise(values)]
    if all(low <= high / WHOLE_POWERS for high, low in pairwise(gaps)):
        return _truncation_in_all_powers(values, gain=RATIO)
    if any(low > max(high / NO_LIMIT, noise) for high, low in pairwise(gaps)):
        return math.inf
    return ROOTS_SAFETY * _truncation_in_all_powers(values)


def _truncation_in_all_powers(values: Sequence[float], gain: float = 1.0) -> float:
    fewer, estimate = _WEIGHTS[len(values) - 1], dot(_WEIGHTS[len(values)], values)
    without_largest = abs(estimate - dot(fewer, values[1:]))
    without_smallest = abs(estimate - dot(fewer, values[:-1]))
    return TRUNCATION_SAFETY * max(without_largest, without_smallest / gain)


def kink_at_origin(
    windows: Sequence[Window], rungs: Mapping[int, Rung], reading: Reading
) -> Window | None:
    """Return the slopes at a kink where a jump of the slope persists to the smallest steps."""
    significant = [window for window in windows if window.jump_is_significant]
    persistent = [
        window
        for window in significant
        if any(other.top > window.top for other in significant)
        and all(
            abs(other.jump - window.jump) <= other.jump_bar + window.jump_bar
            for other in windows
            if other.top > window.top
        )
    ]
    if not persistent:
        return None
    kinked = [_at_kink(window, rungs, reading) for window in persistent]
    return min(
        (
            window
            for window in kinked
            if all(window.meets_at_kink(other) for other in kinked if other.top > window.top)
        ),
        key=lambda window: window.slopes_error,
    )


def _at_kink(window: Window, rungs: Mapping[int, Rung], reading: Reading) -> Window:
    """Return a window extrapolated anew, for a function that also bends differently on each side.

    At a kink central and second differences err in all powers of h.
    """
    these = [rungs[index] for index in range(window.top, window.bottom + 1)]
    weights, multiple = _WEIGHTS[len(these)], NOISE_MULTIPLE * reading.noise_factor
    central, bend = [rung.central for rung in these], [rung.bend for rung in these]
    jitter = [rung.noise / rung.step for rung in these]
    return replace(
        window,
        estimate=dot(weights, central),
        truncation=_truncation_in_all_powers(central),
        noise=multiple * deviation(weights, jitter),
        jump=dot(weights, bend),
        jump_bar=_truncation_in_all_powers(bend) + multiple * jump_deviation(weights, jitter),
    )
