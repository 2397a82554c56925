"""GC202 to GC205: the gradient is the true one times a constant, a size of the problem, or -1."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from gradcheck.diagnosis.causes import (
    ACCUMULATED_TWICE,
    BATCH_REDUCTION,
    BATCH_SIZE_FACTOR,
    BIAS_NOT_SUMMED,
    CONSTANT_FACTOR,
    MISSING_ACTIVATION_DERIVATIVE,
    SIGN_FLIP,
)
from gradcheck.diagnosis.constants import BATCH
from gradcheck.diagnosis.factors import Scaled, factor_told, scaled
from gradcheck.diagnosis.facts import Explanation, Facts

# What a gradient is too large by where tiny weights keep a sigmoid at 0, and 1/4 is forgotten.
ONE_OVER_SIGMOID_SLOPE = 4.0


def constant_factor(facts: Facts) -> Iterator[Explanation]:
    """Propose for every failing parameter that its gradient is off by a factor."""
    for name in facts.failing:
        found = scaled(facts, name, facts.analytic[name])
        if found is None or found.is_plain:
            continue
        first, *others = found.codes
        yield Explanation(
            code=first,
            repaired={name: found.array},
            evidence=f"analytic / numerical is {factor_told(found, facts.analytic[name].size)}",
            details={"factor": found.factor, "matches": found.matches},
            tries=found.tries,
            fitted=found.is_fitted,
            also=tuple(others),
            alternatives=tuple(_alternatives(facts, name, found)),
        )


def same_factor(facts: Facts, known: Sequence[Explanation]) -> Iterator[Explanation]:
    """Propose for what is left that it has a factor that explains other parameters."""
    factors = {
        one.details["factor"]: one
        for one in known
        if "factor" in one.details and one.code in (CONSTANT_FACTOR, BATCH_SIZE_FACTOR, SIGN_FLIP)
    }
    for name in facts.failing:
        for factor, one in factors.items():
            array = facts.analytic[name] / factor
            if facts.fits(name, array):
                yield replace(one, repaired={name: array}, tries=len(factors), fitted=False)


def _alternatives(facts: Facts, name: str, found: Scaled) -> Iterator[str]:
    if found.constant is not None and found.constant.origin and not found.constant.is_size:
        yield BATCH_SIZE_FACTOR.slug
    if found.factor == 2.0:
        yield ACCUMULATED_TWICE.slug
    if found.factor == ONE_OVER_SIGMOID_SLOPE and _has_layers(facts):
        yield MISSING_ACTIVATION_DERIVATIVE.slug
    if found.matches in (BATCH, f"1/{BATCH}"):
        yield BATCH_REDUCTION.slug
    if found.matches == f"1/{BATCH}" and facts.analytic[name].ndim <= 1:
        yield BIAS_NOT_SUMMED.slug


def _has_layers(facts: Facts) -> bool:
    """Return whether there are matrices enough for one layer to come after another."""
    return sum(array.ndim == 2 for array in facts.parameters.values()) >= 2
