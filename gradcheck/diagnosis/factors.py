"""A gradient up to a constant: which one makes it fit, and what that constant is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gradcheck.diagnosis.causes import BATCH_SIZE_FACTOR, CONSTANT_FACTOR, SIGN_FLIP
from gradcheck.diagnosis.codes import Code
from gradcheck.diagnosis.constants import SAME_NUMBER, Constant, known_constants, matching
from gradcheck.diagnosis.facts import Facts, Sample
from gradcheck.directions import Floats, norm


@dataclass(frozen=True)
class Scaled:
    """An array divided by a constant, so that it fits what was measured.

    Attributes
    ----------
    array: the result
    factor: the constant
    constant: which known one that is, up to the sign; None for any other, and for 1
    tries: how many constants it might have been
    """

    array: Floats
    factor: float
    constant: Constant | None
    tries: int

    @property
    def is_plain(self) -> bool:
        """Whether nothing had to be divided by."""
        return self.factor == 1.0

    @property
    def is_fitted(self) -> bool:
        """Whether the constant is known from the samples only."""
        return self.constant is None and abs(self.factor) != 1.0

    @property
    def codes(self) -> tuple[Code, ...]:
        """The causes that a factor like this one is, the one that says more first."""
        return tuple(self._codes())

    def _codes(self) -> Iterator[Code]:
        if abs(self.factor) != 1.0:
            is_size = self.constant is not None and self.constant.is_size
            yield BATCH_SIZE_FACTOR if is_size else CONSTANT_FACTOR
        if self.factor < 0.0:
            yield SIGN_FLIP

    @property
    def matches(self) -> str:
        """The factor in words: "-batch", "1/2", "1.7"."""
        if self.constant is None:
            return f"{self.factor:.6g}"
        return f"-{self.constant.text}" if self.factor < 0.0 else self.constant.text


def scaled(facts: Facts, name: str, base: Floats) -> Scaled | None:
    """Return the array divided by the constant that makes it fit; None where none does."""
    slope = _slope(facts.samples[name], base)
    if slope is None:
        return None
    factor, constants = 1.0 / slope, known_constants(facts.sizes, facts.args, base.shape)
    constant, tries = matching(factor, constants)
    if constant is not None:
        factor = float(np.copysign(constant.value, factor))
    elif abs(abs(factor) - 1.0) <= SAME_NUMBER:
        factor = float(np.sign(factor))
    with np.errstate(over="ignore"):
        array = base / factor
    if not np.all(np.isfinite(array)) or not facts.fits(name, array):
        return None
    # Either sign of each.
    return Scaled(array, factor, constant, 2 * tries)


def _slope(sample: Sample, base: Floats) -> float | None:
    """Return what the array has to be multiplied by, entries weighted by how sharp they are."""
    claimed, values = sample.of(base), sample.values
    size, true_size = norm(claimed), norm(values)
    if size == 0.0 or true_size == 0.0 or not np.all(np.isfinite(base)):
        return None
    # In units of their norms, squares neither overflow nor vanish.
    claimed, values = claimed / size, values / true_size
    # Sharp entries count most, but none for more than its own rounding allows.
    weight = 1.0 / (
        sample.error_bars / true_size + SAME_NUMBER * np.maximum(np.abs(values), SAME_NUMBER)
    )
    slope = float(np.sum(weight**2 * claimed * values) / np.sum((weight * claimed) ** 2))
    slope *= true_size / size
    return slope if slope != 0.0 and np.isfinite(slope) else None
