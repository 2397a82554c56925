"""How far the units of a layer are shifted, and how far the differences taken there may be off.

The loss of sample k is a function of the shift s of the pre-activation z_kj. A weight of unit j
shifts it by s = h x_ki, so that what is known of this one function bounds the error of the
differences of all weights of the unit:

    [f(s) - f(-s)] / 2s = f'(0) + s**2 f'''(0) / 6 + ...

Truncation grows like s**2 at least, so that at s it is at most (s / d)**2 times what it is at a
larger distance d; there it is read off by going four times as far, where it is sixteen times as
large. A kink within reach bends the function: f(d) + f(-d) - 2 f(0) grows like d**2 where it is
smooth, and like d beyond a kink. The round-off is seen at shifts over which nothing else changes.
The distance is the one with the smallest bar among those that agree with all smaller ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradcheck.directions import Floats, root_mean_square
from gradcheck.extrapolation import NOISE_MULTIPLE, RATIO, TRUNCATION_SAFETY
from gradcheck.ladder import EPSILON, ROUND_OFF_UNITS_OF_LOSS
from gradcheck.layer_numbers.unit_shifts import UnitShifts
from gradcheck.noise import quantum

# Distances, each RATIO times the one before; the largest is short of where activations bend.
LEVELS, LARGEST = 12, 0.25
# Part of it by which a distance may be less, and what makes it irregular.
IRREGULAR, GOLDEN = 0.05, (5.0**0.5 - 1.0) / 2.0
# Equally spaced shifts, so close that fourth differences show round-off alone, and a kink is small
# beside what it is from the smallest distance. Over fractions of binary numbers, pre-activations
# would not even be rounded.
NOISE_POINTS, NOISE_SPACING = np.arange(-4.0, 5.0), 1.37 * 2.0**-35
# Variance of fourth differences of noise: the sum of the squares of 1, 4, 6, 4, 1.
FOURTH = 70.0
# Distances at which smooth losses are all but straight, and how much of the largest gap of several
# between slopes is a deviation.
SHORT, UNREST = 6, 0.5
# Part of their size by which outputs are changed to see what their round-off does.
OUTPUT_CHANGE = 1e-3
# Gaps between slopes that grow by this, of 16, per distance are those of an error like h**2.
GROWTH = 6.0
# A kink within reach shows in one of two comparisons of bends by half its size at least.
KINK_SAFETY = 2.0
# In deviations of its comparison. The half jump of a kink that hides there is within the bar for
# round-off.
KINK_NOISE = 2.5
# Different losses of one sample that are looked at for a common divisor.
QUANTUM_VALUES = 20
# In the smallest change, how far from the point these are; of fewer there may be one by chance.
FEW_STEPS, FEWEST_VALUES = 100.0, 8


@dataclass(frozen=True)
class Reach:
    """How far the units of a layer are shifted, and what is known of the losses within.

    Attributes
    ----------
    distance: the largest shift of every unit; (units,)
    truncation: by how much a central difference at that shift may be off; (samples, units)
    kink: the same, by kinks within reach
    variance: of the round-off of every sample's loss; (samples, units)
    least: variance of every sample's loss that layers below have at least; (samples,)
    """

    distance: Floats
    truncation: Floats
    kink: Floats
    variance: Floats
    least: Floats


@dataclass(frozen=True)
class _Ladder:
    """The same at every level: central differences, and how far they may be off; smallest first.

    Attributes
    ----------
    distances: (levels,)
    slopes, truncation, kink: (levels, samples, units)
    seen: deviation of one sample's loss, by its round-off as it was seen; (samples, units)
    deviation: the same with what looks like round-off, but may be a kink next to the point
    """

    distances: Floats
    slopes: Floats
    truncation: Floats
    kink: Floats
    seen: Floats
    deviation: Floats


def reach(shifts: UnitShifts, above: Floats) -> Reach:
    """Return how far to shift every unit of a layer.

    Parameters
    ----------
    shifts: evaluates the losses
    above: variance of every sample's loss that the layers above have found
    """
    of_outputs = _of_outputs(shifts)
    ladder = _ladder(shifts, above[:, None] + of_outputs)
    off = ladder.truncation + ladder.kink
    off = np.where(np.isfinite(off), off, np.inf)
    # What hardly less of is had anywhere, such as of a kink at the point, is no reason for any.
    avoidable = np.where(off > RATIO * np.min(off, axis=0), off, 0.0)
    noise = NOISE_MULTIPLE * np.sqrt(np.sum(ladder.seen**2, axis=0) / 2)
    bars = np.sum(avoidable, axis=1) + noise / ladder.distances[:, None]
    bars[~_is_trusted(ladder) | ~np.isfinite(bars)] = np.inf
    level = np.argmin(bars, axis=0)
    each = np.arange(len(level))
    return Reach(
        distance=ladder.distances[level],
        truncation=ladder.truncation[level, :, each].T,
        kink=ladder.kink[level, :, each].T,
        variance=ladder.deviation**2,
        least=np.maximum(above + np.sum(of_outputs, axis=1), np.mean(ladder.seen**2, axis=1)),
    )


def _ladder(shifts: UnitShifts, least: Floats) -> _Ladder:
    """Return the ladder of all units.

    Parameters
    ----------
    least: variance of the round-off that is known to be there; (samples, units)
    """
    levels = np.arange(1.0 - LEVELS, 1.0)
    # By a few per cent irregular: all multiples of one, they would be so of a straight loss too.
    distances = LARGEST * RATIO**levels * (1.0 - IRREGULAR * (levels**2 * GOLDEN % 1.0))
    up, down = _everywhere(shifts, distances), _everywhere(shifts, -distances)
    nearby = _everywhere(shifts, NOISE_SPACING * NOISE_POINTS)
    at = nearby[len(NOISE_POINTS) // 2]
    step = distances[:, None, None]
    slopes, bends = (up - down) / (2 * step), up + down - 2 * at
    seen = np.maximum(_round_off(nearby, at), _coarseness(up, down, at)[:, None])
    seen = np.maximum(seen, np.sqrt(least))
    usable = slice(0, LEVELS - 2)
    return _Ladder(
        distances=distances[usable],
        slopes=slopes[usable],
        truncation=_truncation(slopes, seen / step[:-1]),
        kink=_kink(bends, seen, step) / (2 * step[usable]),
        seen=seen,
        deviation=np.maximum(seen, _unrest(slopes, step)),
    )


def _everywhere(shifts: UnitShifts, distances: Floats) -> Floats:
    """Return the losses with every unit by itself shifted so far; (distances, samples, units)."""
    count = shifts.units.outputs.shape[1]
    units = np.repeat(np.arange(count), len(distances))
    by = np.tile(distances, count)
    found = shifts.at(units, np.repeat(by[:, None], shifts.samples, axis=1))
    return found.reshape(count, len(distances), -1).transpose(1, 2, 0)


def _of_outputs(shifts: UnitShifts) -> Floats:
    """Return the variance in every sample's loss of the round-off of a unit's outputs.

    Where the outputs saturate, small shifts change nothing: what they lose is not seen otherwise.
    """
    outputs = shifts.units.outputs
    change = OUTPUT_CHANGE * (root_mean_square(outputs) or 1.0)
    units = np.arange(outputs.shape[1])
    by = np.full((outputs.shape[1], shifts.samples), change)
    slopes = (shifts.at_outputs(units, by) - shifts.at_outputs(units, -by)) / (2 * change)
    variance: Floats = (0.5 * EPSILON * outputs * slopes.T) ** 2
    return variance


def _unrest(slopes: Floats, step: Floats) -> Floats:
    """Return what of the loss makes slopes differ the more the shorter they are: its round-off.

    It may be regular, and then is in no fourth differences.
    """
    gaps = np.abs(np.diff(slopes, axis=0))[: SHORT + 1]
    # From the shortest on: those across a kink grow first.
    grows_down = np.logical_and.accumulate(gaps[:-1] > gaps[1:])
    unrest: Floats = np.max(np.where(grows_down, gaps[:-1] * step[:SHORT], 0.0), axis=0)
    return UNREST * unrest


def _round_off(nearby: Floats, at: Floats) -> Floats:
    """Return the deviation of the round-off of every sample's loss, by unit."""
    seen = np.mean(np.diff(nearby, n=4, axis=0) ** 2, axis=0) / FOURTH
    # A loss next to zero, as of 1 - p of a sure class, is rounded like what it is made of.
    sizes = np.maximum(np.abs(at), np.mean(np.abs(at), axis=0))
    least = (ROUND_OFF_UNITS_OF_LOSS * EPSILON * sizes) ** 2
    # A few differences may all be small by chance; those of all units are not.
    variance: Floats = np.maximum(np.maximum(seen, seen.mean(axis=1, keepdims=True)), least)
    return np.sqrt(variance)


def _coarseness(up: Floats, down: Floats, at: Floats) -> Floats:
    """Return half the step by which every sample's loss changes; 0 where by any.

    Where no shift of the smallest distance changes it, a step is not less than the smallest change.
    """
    found = np.zeros(len(at))
    for sample, loss in enumerate(at[:, 0]):
        losses = np.unique([up[:, sample], down[:, sample]])
        away = np.abs(losses - loss)
        smallest = np.min(away[away > 0.0], initial=np.inf)
        # Further away a loss is so much larger that its steps are too, or of another size.
        near = losses[away <= FEW_STEPS * smallest][:QUANTUM_VALUES]
        if len(near) >= FEWEST_VALUES:
            found[sample] = quantum(near) / 2
        is_still = np.all(up[0, sample] == loss) and np.all(down[0, sample] == loss)
        if is_still and smallest < np.inf:
            found[sample] = max(found[sample], smallest / 2)
    return found


def _truncation(slopes: Floats, jitter: Floats) -> Floats:
    """Return by how much every slope but the last two may be off.

    Two may agree by accident; what the next two lead to expect does not vanish with them. Until the
    gaps between slopes have been seen to grow like the square of the distance, a slope may be off
    by as much as it is apart from the next.

    Parameters
    ----------
    jitter: deviation of the loss over the distance, of all slopes but the last
    """
    order = RATIO**2
    gaps = np.abs(np.diff(slopes, axis=0))
    grows = (gaps[1:] > GROWTH * gaps[:-1]) | (gaps[:-1] < NOISE_MULTIPLE * jitter[:-1])
    own = np.where(grows, gaps[:-1] / (order - 1), gaps[:-1])
    truncation: Floats = TRUNCATION_SAFETY * np.maximum(own, gaps[1:] / order / (order - 1))
    return truncation


def _kink(bends: Floats, deviation: Floats, step: Floats) -> Floats:
    """Return how large a bend may be that is no smooth function's, at every level but the last two.

    A jump J of the slope at s bends by J (d - s) from there on, which is not sixteen times as much
    at four times the distance. At 0.8 d the two happen to look smooth, and at 16 d they do not.
    """
    curvature = bends / step**2
    one = step[:-2] ** 2 * np.abs(curvature[:-2] - curvature[1:-1])
    two = step[:-2] ** 2 * np.abs(curvature[:-2] - curvature[2:])
    seen = np.maximum(one, two)
    hidden = KINK_NOISE * np.sqrt(6.0) * deviation
    return np.where(seen > hidden, KINK_SAFETY * seen, 0.0)


def _is_trusted(ladder: _Ladder) -> npt.NDArray[np.bool_]:
    """Return at which levels the slopes of all samples agree with those of all smaller ones."""
    distances = ladder.distances[:, None, None]
    noise = NOISE_MULTIPLE * ladder.deviation / np.sqrt(2.0) / distances
    off = ladder.truncation + ladder.kink + noise
    low, high = ladder.slopes - off, ladder.slopes + off
    highest_low = np.maximum.accumulate(low, axis=0)
    lowest_high = np.minimum.accumulate(high, axis=0)
    agrees = (low <= lowest_high) & (high >= highest_low)
    trusted: npt.NDArray[np.bool_] = np.all(agrees, axis=1)
    return trusted
