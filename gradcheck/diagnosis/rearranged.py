"""GC201, GC207, GC208: the gradient has the right numbers at the wrong places."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import combinations, permutations

import numpy as np
import numpy.typing as npt

from gradcheck.diagnosis.causes import PERMUTATION, TRANSPOSED, WRONG_MEMORY_ORDER
from gradcheck.diagnosis.codes import Code
from gradcheck.diagnosis.factors import scaled
from gradcheck.diagnosis.facts import Explanation, Facts, Sample
from gradcheck.directions import Floats
from gradcheck.probes import NEGLIGIBLE_DISCREPANCY

# Axes of more dimensions are permuted in too many ways.
MOST_AXES = 4
# Shifts that are tried along one axis; beyond, only those that a slip of an index makes.
MOST_SHIFTS = 64
SHORT_SHIFTS = 3
# Values of a slice that tell it from most others.
FIRST_LOOK = 8


@dataclass(frozen=True)
class _Order:
    """The claimed gradient with its entries in another order."""

    code: Code
    array: Floats
    words: str


def rearranged(facts: Facts) -> Iterator[Explanation]:
    """Propose other orders of the entries, up to a factor, for every failing parameter."""
    for name in facts.failing:
        claimed = facts.analytic[name]
        if claimed.size < 2 or not claimed.any():
            continue
        orders = [*_transposes(claimed), *_memory_orders(claimed), *_shifts(claimed)]
        for order in orders:
            yield from _explained(facts, name, order, len(orders))
        for order, choices in _matched(claimed, facts.known[name]):
            yield from _explained(facts, name, order, choices)


def _explained(facts: Facts, name: str, order: _Order, tries: int) -> Iterator[Explanation]:
    found = scaled(facts, name, order.array)
    if found is None:
        return
    times = "" if found.is_plain else f", times {found.matches}"
    yield Explanation(
        code=order.code,
        repaired={name: found.array},
        evidence=f"{order.words} agrees with the numerical gradient{times}",
        details={} if found.is_plain else {"factor": found.factor, "matches": found.matches},
        tries=tries * found.tries,
        fitted=found.is_fitted,
        also=found.codes,
    )


def _transposes(array: Floats) -> Iterator[_Order]:
    """Yield the array with two axes of equal length exchanged."""
    for one, other in combinations(range(array.ndim), 2):
        if 1 < array.shape[one] == array.shape[other]:
            words = "its transpose" if array.ndim == 2 else f"it with axes {one}, {other} exchanged"
            yield _Order(TRANSPOSED, np.swapaxes(array, one, other), words)


def _memory_orders(array: Floats) -> Iterator[_Order]:
    """Yield what the array would be had it been reshaped with its axes in the right order."""
    if not 2 <= array.ndim <= MOST_AXES or sum(length > 1 for length in array.shape) < 2:
        return
    for axes in permutations(range(array.ndim)):
        if axes == tuple(range(array.ndim)):
            continue
        # t.transpose(axes).reshape(t.shape) was returned, or the other way round.
        moved = [array.shape[axis] for axis in axes]
        there = array.reshape(moved).transpose(np.argsort(axes))
        back = array.transpose(axes).reshape(array.shape)
        words = f"it reshaped to {tuple(moved)} and transposed"
        yield _Order(WRONG_MEMORY_ORDER, there, words)
        yield _Order(WRONG_MEMORY_ORDER, back, f"it transposed by {axes} and reshaped")


def _shifts(array: Floats) -> Iterator[_Order]:
    """Yield the array rolled and reversed along its axes."""
    for axis, length in enumerate(array.shape):
        far = (
            range(1, length)
            if length <= MOST_SHIFTS
            else [shift % length for k in range(1, SHORT_SHIFTS + 1) for shift in (k, -k)]
        )
        for shift in far:
            signed = shift if shift <= length // 2 else shift - length
            words = f"it rolled by {signed} along axis {axis}"
            yield _Order(PERMUTATION, np.roll(array, shift, axis), words)
    long = [axis for axis, length in enumerate(array.shape) if length > 1]
    for count in range(1, len(long) + 1):
        for axes in combinations(long, count):
            listed = ", ".join(map(str, axes))
            words = f"it reversed along {'axis' if count == 1 else 'axes'} {listed}"
            yield _Order(PERMUTATION, np.flip(array, axes), words)


def _matched(array: Floats, sample: Sample) -> Iterator[tuple[_Order, int]]:
    """Yield the array with its slices in the order that the samples ask for.

    With it comes among how many orders that one was chosen.
    """
    for axis, length in enumerate(array.shape):
        if length < 2:
            continue
        sources = _sources(np.moveaxis(array, axis, 0), _along(sample, array.shape, axis))
        if sources is None or np.array_equal(sources, np.arange(length)):
            continue
        moved = np.flatnonzero(sources != np.arange(length))
        pairs = ", ".join(f"{place} holds {sources[place]}" for place in moved[:3])
        more = f" and {len(moved) - 3} more" if len(moved) > 3 else ""
        words = f"it with its slices along axis {axis} in another order ({pairs}{more})"
        order = _Order(PERMUTATION, np.take(array, sources, axis), words)
        yield order, math.perm(length, len(moved))


def _along(sample: Sample, shape: tuple[int, ...], axis: int) -> dict[int, Sample]:
    """Return the sample slice by slice, positions within the slices."""
    indices = np.unravel_index(sample.positions, shape)
    rest = [length for other, length in enumerate(shape) if other != axis]
    others = [index for other, index in enumerate(indices) if other != axis]
    within = (
        np.ravel_multi_index(others, rest) if rest else np.zeros(len(sample.positions), dtype=int)
    )
    size = sample.size // shape[axis]
    order = np.argsort(indices[axis], kind="stable")
    places, starts = np.unique(indices[axis][order], return_index=True)
    return {
        int(place): replace(sample.chosen(chosen), positions=within[chosen], size=size)
        for place, chosen in zip(places, np.split(order, starts[1:]), strict=False)
    }


def _sources(slices: Floats, samples: dict[int, Sample]) -> np.ndarray | None:
    """Return which slice belongs at each place, None where some place takes none or several."""
    flat = slices.reshape(len(slices), -1)
    sources = np.arange(len(slices))
    for place, sample in samples.items():
        fitting = _fitting(flat, sample)
        if place in fitting:
            continue
        if len(fitting) != 1:
            return None
        sources[place] = fitting[0]
    return sources if len(set(sources.tolist())) == len(sources) else None


def _fitting(slices: Floats, sample: Sample) -> npt.NDArray[np.intp]:
    """Return the numbers of the slices that have the values of a sample of one."""
    left = np.arange(len(slices))
    for part in (slice(FIRST_LOOK), slice(FIRST_LOOK, None)):
        claimed = slices[np.ix_(left, sample.positions[part])]
        slack = sample.error_bars[part] + NEGLIGIBLE_DISCREPANCY * np.abs(claimed)
        left = left[np.all(np.abs(claimed - sample.values[part]) <= slack, axis=1)]
    return left
