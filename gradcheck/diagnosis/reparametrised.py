"""GC213: the gradient is taken with respect to another form of the parameter."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from gradcheck.diagnosis.causes import LOG_REPARAM
from gradcheck.diagnosis.factors import scaled
from gradcheck.diagnosis.facts import Explanation, Facts
from gradcheck.directions import Floats


def _sigmoid(p: Floats) -> Floats:
    return 1.0 / (1.0 + np.exp(-p))


# What the claimed gradient lacks, as a function of the parameter p, by what p then is.
_FORMS: dict[str, Callable[[Floats], Floats]] = {
    "exp(p)": np.exp,
    "exp(2 p)": lambda p: np.exp(2.0 * p),
    "exp(p / 2)": lambda p: np.exp(p / 2.0),
    "1 / p": lambda p: np.where(p > 0.0, 1.0 / np.where(p == 0.0, 1.0, p), np.nan),
    "p": lambda p: np.where(p > 0.0, p, np.nan),
    "sigmoid(p)": _sigmoid,
    "sigmoid(p) (1 - sigmoid(p))": lambda p: _sigmoid(p) * (1.0 - _sigmoid(p)),
    "1 - tanh(p)**2": lambda p: 1.0 - np.tanh(p) ** 2,
}
_MEANING = {
    "exp(p)": "as for p = log(x), when the gradient is that of x",
    "exp(2 p)": "as for p = log(x), when the gradient is that of x**2",
    "exp(p / 2)": "as for p = log(x**2), when the gradient is that of x",
    "1 / p": "as for p = x, when the gradient is that of log(x)",
    "p": "as for p = x, when the gradient is that of x**2 / 2",
    "sigmoid(p)": "the derivative of softplus(p)",
    "sigmoid(p) (1 - sigmoid(p))": "the derivative of sigmoid(p)",
    "1 - tanh(p)**2": "the derivative of tanh(p)",
}


def log_reparam(facts: Facts) -> Iterator[Explanation]:
    """Propose that the derivative of a change of variables is missing or one too many."""
    for name in facts.failing:
        claimed, parameter = facts.analytic[name], facts.parameters[name]
        for words, form in _FORMS.items():
            with np.errstate(all="ignore"):
                base = claimed * form(parameter)
            # Where all entries of the parameter are equal, that is a factor like any other.
            if claimed.size > 1 and np.ptp(parameter) == 0.0:
                continue
            found = scaled(facts, name, base)
            if found is None or found.is_fitted:
                continue
            times = "" if found.is_plain else f" over {found.matches}"
            yield Explanation(
                code=LOG_REPARAM,
                repaired={name: found.array},
                evidence=f"numerical / analytic is {words}{times} for p = {name}: "
                f"{_MEANING[words]}",
                details={"form": words, "factor": found.factor},
                tries=len(_FORMS) * found.tries,
            )
