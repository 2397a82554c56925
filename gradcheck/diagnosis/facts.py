"""What is known when the cause of a wrong gradient is looked for, and what a hypothesis answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gradcheck.diagnosis.codes import Code
from gradcheck.directions import Floats
from gradcheck.probes import NEGLIGIBLE_DISCREPANCY, ROUND_OFF_UNITS, SHARED_ROUND_OFF

if TYPE_CHECKING:
    from gradcheck.diagnosis.layer_facts import LayerFacts


@dataclass(frozen=True)
class Sample:
    """True values of some entries of a gradient.

    Attributes
    ----------
    positions: flat positions of the entries in their parameter, ascending
    values: numerical derivatives there
    error_bars: how far those may be off
    size: how many entries the parameter has
    unit: round-off of the precision that the gradient is computed in
    """

    positions: npt.NDArray[np.int_]
    values: Floats
    error_bars: Floats
    size: int
    unit: float = 0.0

    @property
    def is_complete(self) -> bool:
        """Whether every entry was measured."""
        return len(self.positions) == self.size

    def of(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the entries of an array of the parameter's shape that were measured here."""
        return array.reshape(-1)[self.positions]

    def agrees(self, array: Floats) -> npt.NDArray[np.bool_]:
        """Return which of the values the array has, within the error bars."""
        claimed = self.of(array)
        # Infinity is within an infinite distance of everything.
        is_finite = np.isfinite(claimed)
        claimed = np.where(is_finite, claimed, 0.0)
        largest = float(np.max(np.abs(claimed), initial=0.0))
        rounding = ROUND_OFF_UNITS * self.unit * (np.abs(claimed) + SHARED_ROUND_OFF * largest)
        slack = self.error_bars + rounding + NEGLIGIBLE_DISCREPANCY * np.abs(claimed)
        within: npt.NDArray[np.bool_] = np.abs(claimed - self.values) <= slack
        within &= is_finite
        return within

    def chosen(self, which: npt.NDArray[Any]) -> Sample:
        """Return the part of it that a mask or positions within it choose."""
        return replace(
            self,
            positions=self.positions[which],
            values=self.values[which],
            error_bars=self.error_bars[which],
        )


def _nothing() -> None:
    return None


@dataclass(frozen=True)
class Facts:
    """All that is known about a problem some of whose gradients are wrong.

    Attributes
    ----------
    analytic: what the code under test returned, by parameter name, in flatten order
    parameters: the parameters themselves, in float64
    failing: names of the parameters whose gradient is wrong
    passing: names of those whose gradient is right
    samples: true values to fit a hypothesis on, of every failing parameter; others are kept back
        for its proof
    known: all true values that were measured, for what is read off them without a fit
    wrong: masks of the wrong entries, of the failing parameters where all of them are known
    layer_of: the layer of every parameter
    sizes: numbers that a wrong factor may turn out to be, by name
    args: the data that loss and gradient are called with
    per_sample: the analytic gradient for each sample alone, by name with the samples on the first
        axis; None where the problem cannot be cut into samples
    network: the layers of the problem, first to last, where it exposes them
    """

    analytic: Mapping[str, Floats]
    parameters: Mapping[str, Floats]
    failing: tuple[str, ...]
    passing: tuple[str, ...]
    samples: Mapping[str, Sample]
    known: Mapping[str, Sample]
    wrong: Mapping[str, npt.NDArray[np.bool_]]
    layer_of: Mapping[str, str]
    sizes: Mapping[str, int] = field(default_factory=dict)
    args: Sequence[Any] = ()
    per_sample: Callable[[], Mapping[str, Floats] | None] = _nothing
    network: tuple[LayerFacts, ...] = ()

    def fits(self, name: str, array: Floats) -> bool:
        """Return whether an array may be the true gradient, as far as the samples tell."""
        return bool(np.all(self.samples[name].agrees(array)))


@dataclass(frozen=True)
class Explanation:
    """One cause, and the gradient that the code under test would have returned without it.

    Attributes
    ----------
    code: the cause
    repaired: by name, the gradients of the parameters that it explains, as they would be without
        it; proved by checking these
    evidence: what speaks for it, in one sentence, with the numbers
    unknown: by name, masks of the entries that are wrong but cannot be repaired from what is known;
        it is proved that all others are right and that these are not
    suggestion: what to try; the code's own where it is ""
    details: numbers behind the evidence, plain data
    tries: how many alternatives of the same kind were looked at: it takes more digits to believe
        one of many
    fitted: whether a constant in it was fitted to the samples, which then prove nothing
    layer: where the fault sits, if not where its parameters are
    also: further causes that are part of this explanation, such as a factor of a transposed one
    alternatives: slugs of causes that always have the same effect
    joint: whether it has to hold for all of its parameters, or else for none
    """

    code: Code
    repaired: Mapping[str, Floats]
    evidence: str
    suggestion: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)
    unknown: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    tries: int = 1
    fitted: bool = False
    layer: str | None = None
    also: tuple[Code, ...] = ()
    alternatives: tuple[str, ...] = ()
    joint: bool = False


# Proposes explanations, most specific first; proving them is not its business.
Hypothesis = Callable[[Facts], Iterator[Explanation]]
