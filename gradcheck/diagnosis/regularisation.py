"""GC210, GC211: a penalty on the parameter that only the loss has, or only its gradient."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from gradcheck.diagnosis.causes import MISSING_REGULARISATION, WRONG_REGULARISATION
from gradcheck.diagnosis.codes import Code
from gradcheck.diagnosis.facts import Explanation, Facts, Sample
from gradcheck.directions import Floats, norm

L2, L1 = "W", "sign(W)"
# Which terms may be missing from the claimed gradient, or be too many: one, or one for the other.
_MODELS = ((L2,), (L1,), (L2, L1))


def regularisation(facts: Facts) -> Iterator[Explanation]:
    """Propose for every failing parameter that multiples of W or sign(W) make up the difference."""
    for name in facts.failing:
        parameter = facts.parameters[name]
        terms = {L2: parameter, L1: np.sign(parameter)}
        for model in _MODELS:
            found = _added(facts, name, [terms[term] for term in model])
            if found is None:
                continue
            weights, repaired = found
            if len(model) > 1 and weights[0] * weights[1] > 0.0:
                continue  # an elastic net that is missing altogether is one fault too many
            code = _code(weights)
            yield Explanation(
                code=code,
                repaired={name: repaired},
                evidence=_evidence(model, weights, name),
                details=dict(zip(model, weights, strict=True)),
                tries=len(_MODELS),
                fitted=True,
                alternatives=_alternatives(code, weights),
            )
            break


def _code(weights: Sequence[float]) -> Code:
    one_sided = len(weights) == 1 and weights[0] > 0.0
    return MISSING_REGULARISATION if one_sided else WRONG_REGULARISATION


def _alternatives(code: Code, weights: Sequence[float]) -> tuple[str, ...]:
    # A penalty that is there with too small a strength leaves the same difference.
    return (WRONG_REGULARISATION.slug,) if code is MISSING_REGULARISATION else ()


def _evidence(model: Sequence[str], weights: Sequence[float], name: str) -> str:
    parts = [f"{weight:+.6g} * {term}" for term, weight in zip(model, weights, strict=True)]
    return f"numerical - analytic is {' '.join(parts)} in every entry, W being {name}"


def _added(facts: Facts, name: str, terms: Sequence[Floats]) -> tuple[list[float], Floats] | None:
    """Return the multiples of the terms that fit the difference, and the gradient with them."""
    sample, claimed = facts.samples[name], facts.analytic[name]
    columns = np.array([sample.of(term) for term in terms]).T
    if len(sample.positions) <= len(terms) or np.linalg.matrix_rank(columns) < len(terms):
        return None
    weight = _weights(sample)
    difference = sample.values - sample.of(claimed)
    solved = np.linalg.lstsq(columns * weight[:, None], difference * weight, rcond=None)[0]
    repaired = claimed + sum(w * term for w, term in zip(solved, terms, strict=True))
    if not np.all(solved) or not facts.fits(name, repaired):
        return None
    return [float(w) for w in solved], repaired


def _weights(sample: Sample) -> Floats:
    """Return how much each entry counts in a fit: by its error bar, down to plain rounding."""
    typical = norm(sample.values) / np.sqrt(max(len(sample.values), 1))
    floor = 1e-12 * typical if typical else 1.0
    weights: Floats = 1.0 / (sample.error_bars + 1e-9 * np.abs(sample.values) + floor)
    return weights
