"""GC213: the gradient is taken with respect to another form of the parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from gradcheck.diagnosis.causes import LOG_REPARAM
from gradcheck.diagnosis.factors import scaled
from gradcheck.diagnosis.facts import Explanation, Facts
from gradcheck.directions import Floats


def _sigmoid(p: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-p))


@dataclass(frozen=True)
class _Form:
    """What the claimed gradient lacks, as a function of the parameter p.

    Attributes
    ----------
    words, factor: the function
    meaning: what p and the claimed gradient then are
    is_elementary: a round p makes it a round number, which many factors are
    """

    words: str
    factor: Callable[[Floats], Floats]
    meaning: str
    is_elementary: bool = False


def _of_log(p: Floats) -> Floats:
    inverse: Floats = np.where(p > 0.0, 1.0 / np.where(p == 0.0, 1.0, p), np.nan)
    return inverse


_FORMS = (
    _Form("exp(p)", np.exp, "as for p = log(x), when the gradient is that of x"),
    _Form(
        "2 exp(2 p)",
        lambda p: 2.0 * np.exp(2.0 * p),
        "as for p = log(x), when the gradient is that of x**2",
    ),
    _Form(
        "exp(p / 2) / 2",
        lambda p: np.exp(p / 2.0) / 2.0,
        "as for p = log(x**2), when the gradient is that of x",
    ),
    _Form("1 / p", _of_log, "as for p = x, when the gradient is that of log(x)", True),
    _Form("sigmoid(p)", _sigmoid, "the derivative of softplus(p)"),
    _Form(
        "sigmoid(p) (1 - sigmoid(p))",
        lambda p: _sigmoid(p) * (1.0 - _sigmoid(p)),
        "the derivative of sigmoid(p)",
    ),
    _Form("1 - tanh(p)**2", lambda p: 1.0 - np.tanh(p) ** 2, "the derivative of tanh(p)"),
)


def log_reparam(facts: Facts) -> Iterator[Explanation]:
    """Propose that the derivative of a change of variables is missing or one too many."""
    for name in facts.failing:
        claimed, parameter = facts.analytic[name], facts.parameters[name]
        # Where all entries of the parameter are equal, that is a factor like any other.
        is_constant = claimed.size > 1 and np.ptp(parameter) == 0.0
        for form in () if is_constant else _FORMS:
            if claimed.size == 1 and form.is_elementary:
                continue
            with np.errstate(all="ignore"):
                base = claimed * form.factor(parameter)
            found = scaled(facts, name, base)
            if found is None or not found.is_plain:
                continue
            yield Explanation(
                code=LOG_REPARAM,
                repaired={name: found.array},
                evidence=f"numerical / analytic is {form.words} for p = {name}: {form.meaning}",
                details={"form": form.words},
                tries=len(_FORMS),
            )
