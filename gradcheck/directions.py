"""Directions: how far to move which entries, and what random ones may miss.

References
----------
Rogozin 1987, Theory of Probability and its Applications 32:53 (densities of sums).
Ball 1986, Proceedings of the American Mathematical Society 97:465 (cube slicing).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from statistics import median

import numpy as np
import numpy.typing as npt

from gradcheck.execution import Array
from gradcheck.leaves import DOUBLE
from gradcheck.pieces import compact_dtype, in_pieces, is_compact
from gradcheck.seeding import random_generator

Floats = npt.NDArray[np.float64]

# Magnitudes apart from 1 keep two equal errors from cancelling, which bare signs do every other
# time; within a factor of three no entry's error is drowned by another's weight.
SMALLEST_MAGNITUDE, LARGEST_MAGNITUDE = 0.5, 1.5
MAGNITUDES = LARGEST_MAGNITUDE - SMALLEST_MAGNITUDE
# Of numbers in float32: their bits but for the exponent, that of 1, and how far 1 is too large.
SIGN_AND_MANTISSA, EXPONENT_OF_ONE = np.uint32(0x807F_FFFF), np.uint32(0x3F80_0000)
BEYOND_SMALLEST = np.float32(1.0 - SMALLEST_MAGNITUDE)
# The density of a sign times a magnitude: half that of the magnitude, on either side of zero.
LARGEST_DENSITY = 0.5 / MAGNITUDES
# Numbers no probe uses, so that noise and slopes are measured along different lines.
NOISE_DIRECTIONS = (1_000_000, 1_000_001)
# A tensor this much smaller than its neighbours (zero biases) says nothing about its own scale.
NEGLIGIBLE = 1e-6
VANISHING = 1e-14
# An entry that by its gradient would have this many times the effect of the others, if it moved as
# far, is in another unit.
OTHER_UNIT = 1e3
# Sums of squares in between have lost nothing that counts to overflow or underflow.
SMALLEST_SQUARE, LARGEST_SQUARE = 1e-280, 1e300


def entry_scales(
    parameters: Mapping[str, Array], gradient: Mapping[str, Floats] | None = None
) -> dict[str, Floats]:
    """Return for every entry the distance that counts as of order one.

    The larger of its size and the root mean square of its parameter, unless it is negligible
    beside that without being zero; for a parameter that is zero or negligible beside the others,
    the others' typical size; 1 where all are zero.

    Parameters
    ----------
    parameters: by name
    gradient: the analytic one, where it is known: a negligible entry is only a small one, such as
        a weight that has decayed, if by its gradient it may move as far as the others
    """
    sizes = {name: root_mean_square(array) for name, array in parameters.items()}
    positive = [size for size in sizes.values() if size > 0.0]
    typical = median(positive) if positive else 1.0
    scales = {}
    for name, array in parameters.items():
        floor = sizes[name] if sizes[name] > NEGLIGIBLE * typical else typical
        if (usual := _usual_scale(array, floor)) is not None:
            scales[name] = usual
            continue
        size = np.abs(array, dtype=DOUBLE, out=np.empty(array.shape))
        alone = size < NEGLIGIBLE * floor
        # An entry far below the others is in another unit; one further below is about zero.
        alone &= size > VANISHING * floor
        if gradient is not None and name in gradient:
            effects = np.abs(gradient[name]) * np.maximum(size, floor)
            others = root_mean_square(effects[~alone]) if not np.all(alone) else 0.0
            alone &= effects > OTHER_UNIT * others
        scales[name] = np.where(alone, size, np.maximum(size, floor))
    return scales


def _usual_scale(array: Array, floor: float) -> Floats | None:
    """Return the larger of every entry's size and a floor; None where one is negligible beside it.

    In float32 where that is large and has room for it.
    """
    scale = np.empty(array.shape, np.float32 if is_compact(array, floor) else np.float64)
    for target, origin in in_pieces(scale, array):
        size = np.abs(origin, dtype=DOUBLE)
        if np.count_nonzero(size < NEGLIGIBLE * floor):
            return None
        np.maximum(size, floor, out=target, casting="same_kind")
    return scale


def random_direction(scale: Floats, seed: int, name: str, number: int) -> Floats:
    """Return random signs with random magnitudes, times each entry's scale.

    In the precision of the scale. Seeded from (seed, parameter name, number): another parameter
    changes nothing here.
    """
    generator = random_generator(seed, name, number)
    direction = np.empty(scale.shape, np.float32 if scale.dtype == np.float32 else np.float64)
    for target, distance in in_pieces(direction, scale):
        factor = at_random(target, generator)
        np.multiply(factor, distance, out=target, casting="same_kind")
    return direction


def at_random(array: Array, generator: np.random.Generator) -> Floats:
    """Return random signs times random magnitudes, in the shape and precision of an array."""
    if array.dtype == np.float32:
        return _singles_at_random(array.size, generator).reshape(array.shape)
    # One draw gives both: its half the sign, its place in there the magnitude.
    drawn = generator.random(array.shape)
    drawn *= 2.0 * MAGNITUDES
    drawn -= MAGNITUDES
    drawn += np.copysign(SMALLEST_MAGNITUDE, drawn)
    return drawn


def _singles_at_random(count: int, generator: np.random.Generator) -> Floats:
    """Return random signs times random magnitudes in float32, in half the time.

    Random bits are the sign and the mantissa of numbers of size 1 to 2, the exponent is put in.
    """
    bits = generator.bit_generator.random_raw((count + 1) // 2).view(np.uint32)[:count]
    bits &= SIGN_AND_MANTISSA
    bits |= EXPONENT_OF_ONE
    numbers: Array = bits.view(np.float32)
    numbers -= np.copysign(BEYOND_SMALLEST, numbers)
    return numbers


def chance_of_hiding(size: float, bar: float) -> float:
    """Return a bound on the chance that a random direction shows an error by no more than `bar`.

    The error e changes the slope along the direction by the sum of e_i s_i v_i: scales s, and
    independent v_i whose density is at most M. No sum of such terms has a higher density than the
    one where each v_i is uniform on an interval of length 1/M (Rogozin), and that is at most
    sqrt(2) M / size (Ball). An interval of length 2 bar then holds at most 2 bar sqrt(2) M / size.
    Errors in two entries that are equally large come up to that: they may cancel.

    Parameters
    ----------
    size: norm of e_i s_i, the error times the scales
    bar: change of the slope up to which it would not be seen
    """
    chance = 2.0 * math.sqrt(2.0) * LARGEST_DENSITY * bar
    return chance / size if chance < size else 1.0


def noise_directions(
    parameters: Mapping[str, Array], scales: Mapping[str, Floats], seed: int
) -> Iterator[dict[str, Floats]]:
    """Yield directions over all parameters at once, to measure the loss's noise along.

    Every entry moves in proportion to its own size: an entry of 1e-8 beside others of 1e8 would be
    far gone by what is a rounding to those.
    """
    for number in NOISE_DIRECTIONS:
        yield {
            name: _noise_direction(parameters[name], scale, random_generator(seed, name, number))
            for name, scale in scales.items()
        }


def _noise_direction(array: Array, scale: Floats, generator: np.random.Generator) -> Floats:
    """Return random moves by the size of every entry, at most its scale; by that where it is 0."""
    direction = np.empty(array.shape, compact_dtype(scale))
    for target, origin, distance in in_pieces(direction, array, scale):
        move = np.abs(origin, dtype=DOUBLE)
        if np.count_nonzero(move) < move.size:
            move = np.where(move > 0.0, move, distance)
        move = np.minimum(move, distance)
        np.multiply(move, at_random(target, generator), out=target, casting="same_kind")
    return direction


def norm(values: npt.ArrayLike) -> float:
    """Return the Euclidean norm, which squares of 1e-200 or 1e200 do not spoil."""
    array = np.asarray(values, dtype=np.float64)
    squared = float(np.vdot(array, array))
    if SMALLEST_SQUARE < squared < LARGEST_SQUARE:
        return math.sqrt(squared)
    largest = float(np.max(np.abs(array), initial=0.0))
    if largest == 0.0 or not np.isfinite(largest):
        return largest
    return largest * float(np.linalg.norm(array / largest))


def root_mean_square(array: Array) -> float:
    """Return the root mean square of the entries; 0 of none."""
    return norm(array) / math.sqrt(max(array.size, 1))
