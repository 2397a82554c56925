"""Derivatives of many functions of one number each, at once, with an error bar for each.

Where a layer works entry by entry, or a loss sample by sample, thousands of derivatives are wanted
of functions that one call evaluates all together. A few steps suffice for most of them; what these
leave open is measured over a long ladder.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from gradcheck.directions import Floats
from gradcheck.extrapolation import RATIO
from gradcheck.few_steps import POINTS, SAME_UNITS, Found, by_few_steps
from gradcheck.ladder import EPSILON
from gradcheck.many_rungs import LADDER, UNDERFLOW, Functions, Mask, Rungs, evaluated
from gradcheck.many_windows import Reading, read

# A step of order one, in parts of the size of what is moved, if that is larger.
PART_OF_SIZE = 0.25
# Points that may be nearer to zero, where kinks and edges of domains are, than any step is.
NEAR_ZERO = RATIO**-10
# Of order one, in the complex step; and how many units of round-off its derivatives may be off.
COMPLEX_STEP, COMPLEX_UNITS = 1e-20, 32.0


@dataclass(frozen=True, eq=False)
class Slopes:
    """Derivatives of many functions.

    Attributes
    ----------
    values, error_bars: the derivatives, and how far they may be off; NaN and infinite where a
        function has no values around its point
    jumps: by how much the slope jumps at the point, where there is a kink; its middle is the value
        then, and the error bar reaches to both sides
    curvatures: second derivatives, roughly
    origin: the functions' own values
    independent: whether a function's value depends on its own number alone
    noise: standard deviation of a value
    evaluations: rows of points that were evaluated
    """

    values: Floats
    error_bars: Floats
    jumps: Floats
    curvatures: Floats
    origin: Floats
    independent: Mask
    noise: Floats
    evaluations: int

    def of(self, part: slice) -> Slopes:
        """Return those of some of the functions."""
        return Slopes(
            self.values[part],
            self.error_bars[part],
            self.jumps[part],
            self.curvatures[part],
            self.origin[part],
            self.independent[part],
            self.noise[part],
            self.evaluations,
        )


def slopes(functions: Functions, at: Floats, parts: Sequence[slice] | None = None) -> Slopes:
    """Return the derivative of every function at its own point.

    Parameters
    ----------
    functions: evaluates all of them, at rows of points
    at: the points, (functions,)
    parts: which of them are computed by the same code, and so in the same precision; by default
        all
    """
    scales = np.maximum(1.0, PART_OF_SIZE * np.abs(at))
    few = by_few_steps(functions, at, scales, parts or [slice(None)])
    found = Slopes(
        few.values,
        few.error_bars,
        np.zeros_like(few.values),
        few.curvatures,
        few.origin,
        few.independent,
        few.noise,
        POINTS,
    )
    is_open = ~few.settled
    if np.any(is_open):
        found = _refined(_Long(functions, at, scales, few), found, is_open)
    return found


def _refined(long: _Long, found: Slopes, is_open: Mask) -> Slopes:
    """Return the derivatives with those that are open measured over a long ladder."""
    values, bars, jumps = (a.copy() for a in (found.values, found.error_bars, found.jumps))
    noise, curvatures = found.noise.copy(), found.curvatures.copy()

    def keep(some: Mask, reading: Reading) -> None:
        values[some], bars[some], jumps[some] = vars(reading).values()

    rungs = long.rungs(is_open, long.scales)
    keep(is_open, read(rungs))
    noise[is_open], curvatures[is_open] = rungs.noise[-1], rungs.curvatures
    evaluations = found.evaluations + 2 * len(LADDER)
    # A kink or an edge at zero may be as near as the point itself, which no other size tells.
    distances = np.abs(long.at)
    near = is_open & ((jumps > 0.0) | np.isinf(bars)) & (distances > 0.0)
    near &= distances <= NEAR_ZERO
    if np.any(near):
        reading = read(long.rungs(near, distances))
        sharper = reading.error_bars < bars[near]
        near[near] = sharper
        keep(near, Reading(*(array[sharper] for array in vars(reading).values())))
        evaluations += 2 * len(LADDER)
    return replace(
        found,
        values=values,
        error_bars=bars,
        jumps=jumps,
        curvatures=curvatures,
        noise=noise,
        evaluations=evaluations,
    )


@dataclass(frozen=True, eq=False)
class _Long:
    """What the long ladder needs to know, an entry per function."""

    functions: Functions
    at: Floats
    scales: Floats
    few: Found

    def rungs(self, some: Mask, scales: Floats) -> Rungs:
        """Return the ladder of some functions, while the others stand still."""
        steps = [step * scales[some] for step in LADDER]
        moved = [self.at[some] + sign * step for sign in (1.0, -1.0) for step in steps]
        points = [self.at.copy() for _ in moved]
        for point, to in zip(points, moved, strict=True):
            point[some] = to
        values = np.array([row[some] for row in evaluated(self.functions, points)])
        ahead, behind = np.split(values, 2)
        widths = np.subtract(*np.split(np.array(moved), 2))
        few = self.few
        at, origin, unit, floor = (a[some] for a in (self.at, few.origin, few.unit, few.floor))
        return Rungs(at, origin, ahead, behind, widths, LADDER, unit, floor)


def complex_slopes(functions: Functions, at: Floats, found: Slopes) -> Slopes | None:
    """Return the derivatives by the complex step, None where the functions take none.

    They count where they are within the error bars of what differences found. At a kink they are
    of one side only, so that there the differences stay.

    Parameters
    ----------
    functions, at: as of `slopes`; the functions are given complex points
    found: what `slopes` found
    """
    step = COMPLEX_STEP * np.maximum(np.abs(at), 1.0)
    values = functions((at + 1j * step)[np.newaxis])[0]
    if values.dtype.kind != "c":
        return None
    slopes = values.imag / step
    same = np.abs(values.real - found.origin) <= SAME_UNITS * EPSILON * np.abs(found.origin)
    # Nothing cancels, so that only the function's own rounding is left.
    bars = COMPLEX_UNITS * EPSILON * np.abs(slopes) + UNDERFLOW
    if not np.all(same & (np.abs(slopes - found.values) <= found.error_bars + bars)):
        return None
    kept = (found.jumps > 0.0) | (found.error_bars <= bars)
    return replace(
        found,
        values=np.where(kept, found.values, slopes),
        error_bars=np.where(kept, found.error_bars, bars),
        evaluations=found.evaluations + 1,
    )
