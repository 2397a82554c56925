"""GC210, GC211: a penalty on the parameter that only the loss has, or only its gradient."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gradcheck.diagnosis.causes import MISSING_REGULARISATION, WRONG_REGULARISATION
from gradcheck.diagnosis.codes import Code
from gradcheck.diagnosis.constants import SAME_NUMBER
from gradcheck.diagnosis.factors import Scaled, factor_told, known_factor
from gradcheck.diagnosis.facts import Explanation, Facts, Sample
from gradcheck.directions import Floats, norm

L2, L1 = "W", "sign(W)"
# Which terms may be missing from the claimed gradient, or be too many: one, or both.
_MODELS = ((L2,), (L1,), (L2, L1))
# Strengths are chosen by people: so many digits, and no more than this.
DIGITS, LARGEST_STRENGTH = 3, 10.0
# Entries without a penalty, such as the intercept in a vector of coefficients.
MOST_EXEMPT = 0.25


@dataclass(frozen=True)
class _Added:
    """What added to a claimed gradient makes it right: multiples of the terms, by term."""

    name: str
    weights: Mapping[str, float]
    repaired: Floats
    exempt: int


def regularisation(facts: Facts) -> Iterator[Explanation]:
    """Propose for every failing parameter that multiples of W or sign(W) make up the difference.

    The gradient of much else is a multiple of W, such as what a forgotten projection leaves. A
    penalty has a strength that somebody chose, or the same one for several parameters.
    """
    found = [one for name in facts.failing if (one := _added(facts, name)) is not None]
    for one in found:
        others = [list(other.weights.values()) for other in found if other is not one]
        mine = list(one.weights.values())
        is_shared = any(_are_equal(mine, other) for other in others)
        if is_shared or all(_is_chosen(weight, facts.sizes) for weight in mine):
            yield _explanation(one)


def _explanation(found: _Added) -> Explanation:
    code = _code(list(found.weights.values()))
    parts = [f"{weight:+.6g} * {term}" for term, weight in found.weights.items()]
    where = f"in all but {found.exempt} entries" if found.exempt else "in every entry"
    return Explanation(
        code=code,
        repaired={found.name: found.repaired},
        evidence=f"numerical - analytic is {' '.join(parts)} {where}, with W for {found.name}",
        suggestion="" if code is WRONG_REGULARISATION else _ADVICE,
        details=dict(found.weights),
        tries=len(_MODELS),
        fitted=True,
        # A penalty that is there with too small a strength leaves the same difference.
        alternatives=() if code is WRONG_REGULARISATION else (WRONG_REGULARISATION.slug,),
    )


_ADVICE = (
    f"{MISSING_REGULARISATION.suggestion}; if it is there, compare its strength, its sign and its "
    "factor 1/2 with the loss"
)


def _code(weights: Sequence[float]) -> Code:
    is_missing = all(weight > 0.0 for weight in weights)
    return MISSING_REGULARISATION if is_missing else WRONG_REGULARISATION


def _are_equal(one: Sequence[float], other: Sequence[float]) -> bool:
    return len(one) == len(other) and np.allclose(one, other, rtol=SAME_NUMBER, atol=0.0)


def _is_chosen(weight: float, sizes: Mapping[str, int]) -> bool:
    """Return whether a strength looks like one that somebody wrote down, or that over a size."""
    divisors = [1.0, *(float(size) for size in sizes.values() if size > 1)]
    largest = LARGEST_STRENGTH * (1.0 + SAME_NUMBER)
    return abs(weight) <= largest and any(_is_round(weight * d) for d in divisors)


def _is_round(number: float) -> bool:
    return abs(float(f"{number:.{DIGITS - 1}e}") - number) <= SAME_NUMBER * abs(number)


def _added(facts: Facts, name: str) -> _Added | None:
    """Return the first model that fits a parameter, None where none does."""
    parameter = facts.parameters[name]
    terms = {L2: parameter, L1: np.sign(parameter)}
    for model in _MODELS:
        if not _tells(model, facts.samples[name].of(parameter)):
            continue
        for mask in _penalised(facts, name):
            found = _fitted(facts, name, [terms[term] * mask for term in model])
            if found is not None:
                weights, repaired = found
                exempt = int(np.count_nonzero(mask == 0.0))
                return _Added(name, dict(zip(model, weights, strict=True)), repaired, exempt)
    return None


def _tells(model: Sequence[str], values: Floats) -> bool:
    """Return whether these entries of a parameter tell its penalty from another number.

    Where all are of one size, W is sign(W); where all are of one sign, sign(W) is a constant.
    """
    sizes = np.abs(values[values != 0.0])
    if not sizes.size or np.ptp(sizes) <= SAME_NUMBER * sizes.max():
        return False
    return L1 not in model or bool(np.any(values > 0.0) and np.any(values < 0.0))


def _penalised(facts: Facts, name: str) -> Iterator[Floats]:
    """Yield which entries may have the penalty: all, or where it is known those that are wrong."""
    shape = facts.analytic[name].shape
    yield np.ones(shape)
    wrong = facts.wrong.get(name)
    if wrong is not None and 0 < np.count_nonzero(~wrong) <= max(1.0, MOST_EXEMPT * wrong.size):
        yield wrong.astype(np.float64)


def factor_beside_penalty(facts: Facts) -> Iterator[Explanation]:
    """Propose that all but a penalty is off by a known factor.

    With the claimed gradient c D + k W for D + k W, the true one is the claimed one over c, plus
    (1 - 1 / c) k W. With c D and no penalty, it is that over c plus k W: which one cannot be told.
    """
    for name in facts.failing:
        claimed, parameter = facts.analytic[name], facts.parameters[name]
        if not _tells((L2,), facts.samples[name].of(parameter)) or not claimed.any():
            continue
        columns = _solved(facts, name, [claimed, parameter], facts.samples[name].values)
        if columns is None or columns[0] == 0.0:
            continue
        factor, constant, tries = known_factor(facts, claimed.shape, 1.0 / columns[0], 0.0)
        if factor == 1.0 or (constant is None and factor != -1.0):
            continue
        repaired = claimed / factor + columns[1] * parameter
        strength = columns[1] / (1.0 - 1.0 / factor)
        is_chosen = any(_is_chosen(weight, facts.sizes) for weight in (strength, columns[1]))
        if not is_chosen or not facts.fits(name, repaired):
            continue
        found = Scaled(repaired, factor, constant, tries)
        yield Explanation(
            code=found.codes[0],
            repaired={name: repaired},
            evidence=f"analytic / numerical is {factor_told(found, claimed.size)} once "
            f"{strength:+.6g} * W, if the gradient has it, is left out of both; if it has not, "
            f"{columns[1]:+.6g} * W is missing too, with W for {name}",
            details={"factor": factor, "matches": found.matches, L2: strength},
            tries=tries,
            fitted=True,
            also=found.codes[1:],
            alternatives=(MISSING_REGULARISATION.slug,),
        )


def _fitted(facts: Facts, name: str, terms: Sequence[Floats]) -> tuple[list[float], Floats] | None:
    """Return the multiples of the terms that fit the difference, and the gradient with them."""
    sample, claimed = facts.samples[name], facts.analytic[name]
    solved = _solved(facts, name, terms, sample.values - sample.of(claimed))
    if solved is None or not all(solved):
        return None
    repaired = claimed + sum(w * term for w, term in zip(solved, terms, strict=True))
    return (solved, repaired) if facts.fits(name, repaired) else None


def _solved(
    facts: Facts, name: str, terms: Sequence[Floats], numbers: Floats
) -> list[float] | None:
    """Return the multiples of the terms that add up to numbers at the sampled entries."""
    sample = facts.samples[name]
    columns = np.array([sample.of(term) for term in terms]).T
    if len(sample.positions) <= len(terms) or np.linalg.matrix_rank(columns) < len(terms):
        return None
    weight = _weights(sample)
    solved = np.linalg.lstsq(columns * weight[:, None], numbers * weight, rcond=None)[0]
    return [float(w) for w in solved]


def _weights(sample: Sample) -> Floats:
    """Return how much each entry counts in a fit: by its error bar, down to plain rounding."""
    typical = norm(sample.values) / np.sqrt(max(len(sample.values), 1))
    floor = 1e-12 * typical or 1.0
    spread = sample.error_bars + 1e-9 * np.abs(sample.values) + floor
    weights: Floats = np.min(spread) / spread
    return weights
