"""Gradients that are counts: of signs, of active samples. Many of them are alike by accident."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcheck.diagnosis.facts import Facts
from gradcheck.directions import Floats

# Numbers this close to a whole one are one; larger counts are rarely alike by accident.
WHOLE, LARGEST_COUNT = 1e-7, 1000.0


def counted(facts: Facts) -> frozenset[str]:
    """Return the failing parameters both of whose gradients are counts, or these over a size.

    A loss of absolute values or hinges has such gradients. Where the parameters themselves are
    whole numbers, whole gradients say nothing.
    """
    return frozenset(name for name in facts.failing if _is_counted(facts, name))


def _is_counted(facts: Facts, name: str) -> bool:
    both = np.append(facts.analytic[name], facts.known[name].values)
    largest = float(np.max(np.abs(both)))
    # Tiny numbers are near zero, which is whole; some have to be counts beyond that.
    return any(_are_counts(both * size) and largest * size >= 0.5 for size in _sizes(facts, name))


def _sizes(facts: Facts, name: str) -> Iterator[int]:
    if not _are_counts(facts.parameters[name]):
        yield 1
    yield from (int(size) for size in facts.sizes.values() if size > 1)
    for data in facts.args:
        if isinstance(data, np.ndarray) and data.ndim:
            yield len(data)


def _are_counts(numbers: Floats) -> bool:
    whole = np.round(numbers)
    near = np.abs(numbers - whole) <= WHOLE * np.maximum(np.abs(whole), 1.0)
    return bool(np.all(near) and np.all(np.abs(numbers) <= LARGEST_COUNT))
