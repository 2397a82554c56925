"""Which constant is it: numbers that a wrong factor may turn out to be, simplest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations_with_replacement, permutations
from typing import Any

import numpy as np

# A factor is that number if it agrees to this many of its own size.
SAME_NUMBER = 1e-6
# Noise excuses no more: some known number would always be near.
SIMILAR_NUMBER = 1e-4
# What the derivative of a square loses or gains; no size of that length is as likely.
HALVES = {2.0: "2", 0.5: "1/2"}
SIMPLE = {3.0: "3", 4.0: "4", 0.25: "1/4", 1 / 3: "1/3", 10.0: "10", 0.1: "0.1"}
# Smaller numbers than this are often the length of some axis by accident.
SMALLEST_INFERRED = 5
# Whole numbers up to here, and their inverses, are no accident where there are digits to show it.
LARGEST_WHOLE = 100
BATCH = "batch"


@dataclass(frozen=True)
class Constant:
    """A number with a name.

    Attributes
    ----------
    value: the number
    text: how it is made up, such as "1/batch" or "2"
    is_size: whether it is made of sizes of the problem
    origin: where a size that nobody has named was seen; "" for the others
    """

    value: float
    text: str
    is_size: bool
    origin: str = ""


def known_constants(
    sizes: Mapping[str, int], args: Sequence[Any], shape: tuple[int, ...]
) -> list[Constant]:
    """Return the constants to look for, most likely first.

    Parameters
    ----------
    sizes: those the user has named
    args: data, whose leading axis may be the batch where nobody has named one
    shape: of the parameter, whose axes are sizes too
    """
    named = tuple((str(name), int(size)) for name, size in sizes.items() if int(size) > 1)
    lengths = tuple((n, len(d)) for n, d in enumerate(args) if isinstance(d, np.ndarray) and d.ndim)
    return list(_constants(named, lengths, tuple(shape)))


# Every order of the entries and every form of a parameter asks for the same ones.
@lru_cache(maxsize=256)
def _constants(
    sizes: tuple[tuple[str, int], ...],
    lengths: tuple[tuple[int, int], ...],
    shape: tuple[int, ...],
) -> tuple[Constant, ...]:
    named = dict(sizes)
    inferred = list(_inferred(lengths, shape, set(named.values())))
    likely = [c for c in _powers(named) if c.text in (BATCH, f"1/{BATCH}")]
    constants = [
        *likely,
        *(Constant(value, text, False) for value, text in HALVES.items()),
        *_powers(named),
        *(Constant(value, text, False) for value, text in SIMPLE.items()),
        *inferred,
        *_products(named),
        *(
            Constant(value, text, False)
            for number in range(SMALLEST_INFERRED, LARGEST_WHOLE + 1)
            for value, text in ((float(number), f"{number}"), (1 / number, f"1/{number}"))
        ),
    ]
    return tuple(_each_once(constants))


def matching(
    factor: float, constants: Sequence[Constant], uncertainty: float = 0.0
) -> tuple[Constant | None, int]:
    """Return the first constant that the factor is, up to its sign, and how many were tried.

    Parameters
    ----------
    uncertainty: how far the factor may be off, relatively
    """
    for tries, constant in enumerate(constants, start=1):
        if is_same(factor, constant.value, uncertainty):
            return constant, tries
    return None, 1


def is_same(factor: float, number: float, uncertainty: float = 0.0) -> bool:
    """Return whether a factor is a number up to its sign, as far as its uncertainty tells."""
    tolerance = min(max(SAME_NUMBER, uncertainty), SIMILAR_NUMBER)
    return abs(abs(factor) - number) <= tolerance * number


def _powers(sizes: Mapping[str, int]) -> list[Constant]:
    return [
        constant
        for name, size in sizes.items()
        for constant in (Constant(float(size), name, True), Constant(1 / size, f"1/{name}", True))
    ]


def _products(sizes: Mapping[str, int]) -> Iterator[Constant]:
    for one, other in combinations_with_replacement(sizes, 2):
        product = float(sizes[one] * sizes[other])
        yield Constant(product, f"{one}*{other}", True)
        yield Constant(1 / product, f"1/({one}*{other})", True)
    for one, other in permutations(sizes, 2):
        yield Constant(sizes[one] / sizes[other], f"{one}/{other}", True)
    for name, size in sizes.items():
        for value, text in ((2.0 / size, f"2/{name}"), (size / 2.0, f"{name}/2")):
            yield Constant(value, text, True)


def _inferred(
    lengths: Sequence[tuple[int, int]], shape: tuple[int, ...], known: set[int]
) -> Iterator[Constant]:
    """Yield sizes that nobody has named, with where they were seen, and their inverses.

    An axis of the parameter is as long as some other constant by accident more often than not.
    """
    seen = [(size, "samples", True, f"the length of args[{n}]") for n, size in lengths]
    seen += [
        (length, f"length of axis {axis}", False, f"the length of axis {axis}")
        for axis, length in enumerate(shape)
    ]
    for size, text, is_size, origin in seen:
        if size >= SMALLEST_INFERRED and size not in known:
            yield Constant(float(size), text, is_size, origin)
            yield Constant(1 / size, f"1/({text})" if " " in text else f"1/{text}", is_size, origin)


def _each_once(constants: Sequence[Constant]) -> list[Constant]:
    kept: dict[float, Constant] = {}
    for constant in constants:
        if not abs(constant.value - 1.0) <= SAME_NUMBER:
            kept.setdefault(float(f"{constant.value:.9g}"), constant)
    return list(kept.values())
