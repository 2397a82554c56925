"""A gradient up to a constant: which one makes it fit, and what that constant is."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gradcheck.diagnosis.causes import BATCH_SIZE_FACTOR, CONSTANT_FACTOR, SIGN_FLIP
from gradcheck.diagnosis.codes import Code
from gradcheck.diagnosis.constants import (
    BATCH,
    SAME_NUMBER,
    Constant,
    is_same,
    known_constants,
    matching,
)
from gradcheck.diagnosis.facts import Facts, Sample
from gradcheck.directions import Floats, norm

# Digits of a factor that are shown.
FEWEST_DIGITS, MOST_DIGITS = 2, 6


@dataclass(frozen=True)
class Scaled:
    """An array divided by a constant, so that it fits what was measured.

    Attributes
    ----------
    array: the result
    factor: the constant
    constant: which known one that is, up to the sign; None for any other, and for 1
    tries: how many constants it might have been
    uncertainty: how far the factor may be off, relatively, where it was fitted
    """

    array: Floats
    factor: float
    constant: Constant | None
    tries: int
    uncertainty: float = 0.0

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
    def text(self) -> str:
        """The factor, in as many digits as are known."""
        known = -math.log10(self.uncertainty) if self.uncertainty > 0.0 else MOST_DIGITS
        return f"{self.factor:.{min(max(int(known), FEWEST_DIGITS), MOST_DIGITS)}g}"

    @property
    def matches(self) -> str:
        """The factor in words: "-batch", "1/2", "1.7"."""
        if self.constant is None:
            return self.text
        return f"-{self.constant.text}" if self.factor < 0.0 else self.constant.text


def scaled(facts: Facts, name: str, base: Floats) -> Scaled | None:
    """Return the array divided by the constant that makes it fit; None where none does."""
    fitted = _slope(facts.samples[name], base)
    if fitted is None:
        return None
    slope, uncertainty = fitted
    factor, constant, tries = known_factor(facts, base.shape, 1.0 / slope, uncertainty)
    with np.errstate(over="ignore"):
        array = base / factor
    if not np.all(np.isfinite(array)) or not facts.fits(name, array):
        return None
    is_known = constant is not None or abs(factor) == 1.0
    return Scaled(array, factor, constant, tries, 0.0 if is_known else uncertainty)


def known_factor(
    facts: Facts, shape: tuple[int, ...], factor: float, uncertainty: float
) -> tuple[float, Constant | None, int]:
    """Return the known number that a factor is, if any, that constant, and how many were tried."""
    if is_same(factor, 1.0, uncertainty):
        return float(np.sign(factor)), None, 2
    constants = known_constants(facts.sizes, facts.args, shape)
    constant, tries = matching(factor, constants, uncertainty)
    if constant is not None:
        factor = float(np.copysign(constant.value, factor))
    # Either sign of each.
    return factor, constant, 2 * tries


def factor_told(found: Scaled, size: int) -> str:
    """Return what the factor is, in how many entries, and what it may stand for."""
    where = " in every entry" if size > 1 else ""
    told = f"{found.text}{where}"
    constant = found.constant
    if constant is None or constant.text == f"{constant.value:.6g}":
        return told
    if constant.origin:
        inverse = constant.text.startswith("1/")
        number = f"{1 / constant.value:.6g} is" if inverse else f"{constant.value:.6g} is"
        return f"{told}; {number} {'' if constant.is_size else 'also '}{constant.origin}"
    sign = "-" if found.factor < 0.0 else ""
    text = constant.text.replace(BATCH, "the batch size")
    return f"{told}, which is {sign}{text}"


def _slope(sample: Sample, base: Floats) -> tuple[float, float] | None:
    """Return what the array has to be multiplied by, and how far that may be off, relatively.

    Entries count by how sharp they are.
    """
    claimed, values = sample.of(base), sample.values
    size, true_size = norm(claimed), norm(values)
    if size == 0.0 or true_size == 0.0 or not np.all(np.isfinite(base)):
        return None
    # In units of their norms, squares neither overflow nor vanish.
    claimed, values, bars = claimed / size, values / true_size, sample.error_bars / true_size
    # Sharp entries count most, but none for more than its own rounding allows.
    weight = 1.0 / (bars + SAME_NUMBER * np.maximum(np.abs(values), SAME_NUMBER))
    total = float(np.sum((weight * claimed) ** 2))
    slope = float(np.sum(weight**2 * claimed * values)) / total
    spread = float(np.sum(weight**2 * np.abs(claimed) * bars)) / total
    scale = true_size / size
    if slope * scale == 0.0 or not np.isfinite(slope * scale):
        return None
    return slope * scale, spread / abs(slope)
