"""GC202 to GC205: the gradient is the true one times a constant, a size of the problem, or -1."""

from __future__ import annotations

from collections.abc import Iterator

from gradcheck.diagnosis.causes import (
    ACCUMULATED_TWICE,
    BATCH_REDUCTION,
    BIAS_NOT_SUMMED,
    SIGN_FLIP,
)
from gradcheck.diagnosis.constants import BATCH
from gradcheck.diagnosis.factors import Scaled, scaled
from gradcheck.diagnosis.facts import Explanation, Facts


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
            evidence=factor_evidence(found),
            details={"factor": found.factor, "matches": found.matches},
            tries=found.tries,
            fitted=found.is_fitted,
            also=tuple(others),
            alternatives=_alternatives(found, facts.analytic[name].ndim),
        )


def factor_evidence(found: Scaled) -> str:
    """Return what the factor is, and what it may stand for."""
    if found.codes == (SIGN_FLIP,):
        return "analytic / numerical is -1 in every entry"
    told = f"analytic / numerical is {found.factor:.6g} in every entry"
    constant = found.constant
    if constant is None or constant.text == f"{constant.value:.6g}":
        return told
    if constant.origin:
        return f"{told}; {constant.text.replace('1/', '')} is {constant.origin}"
    sign = "-" if found.factor < 0.0 else ""
    return f"{told}, which is {sign}{constant.text.replace(BATCH, 'batch size')}"


def _alternatives(found: Scaled, rank: int) -> tuple[str, ...]:
    slugs = []
    if found.factor == 2.0:
        slugs.append(ACCUMULATED_TWICE.slug)
    if found.matches == BATCH:
        slugs.append(BATCH_REDUCTION.slug)
    if found.matches == f"1/{BATCH}" and rank <= 1:
        slugs.append(BIAS_NOT_SUMMED.slug)
    return tuple(slugs)
