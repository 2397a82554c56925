"""GC212: the gradient is cut off, entry by entry or by its norm."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from gradcheck.diagnosis.causes import CLIPPED
from gradcheck.diagnosis.constants import SAME_NUMBER
from gradcheck.diagnosis.factors import scaled
from gradcheck.diagnosis.facts import Explanation, Facts
from gradcheck.directions import norm

# As many entries at the very same largest size are no accident.
FEWEST_CLIPPED = 2
# Norms that gradients are clipped to: 1, 2, 2.5 or 5 times a power of ten.
ROUND_NORMS = (1.0, 2.0, 2.5, 5.0, 10.0)


def clipped(facts: Facts) -> Iterator[Explanation]:
    """Propose that entries are cut off at one size.

    A parameter all of whose entries are of one size has no entry that was left as it is: it is
    clipped if another one is, at the same limit.
    """
    found = [one for name in facts.failing for one in _by_entry(facts, name, set())]
    yield from found
    limits = {one.details["limit"] for one in found}
    clipped_ones = {name for one in found for name in one.repaired}
    for name in facts.failing:
        if name not in clipped_ones:
            yield from _by_entry(facts, name, limits)


def clipped_norm(facts: Facts) -> Iterator[Explanation]:
    """Propose that all gradients together, or one of them, are cut off at one norm."""
    yield from _by_norm(facts, facts.failing, tuple(facts.analytic))
    for name in facts.failing:
        yield from _by_norm(facts, (name,), (name,))


def _by_entry(facts: Facts, name: str, known: set[float]) -> Iterator[Explanation]:
    claimed, sample = facts.analytic[name], facts.known[name]
    for limit in {float(np.max(claimed)), float(-np.min(claimed))} - {0.0}:
        if limit < 0.0:
            continue
        at_limit = np.abs(claimed) == limit
        beyond = np.abs(claimed) > limit
        # All parameters are clipped at one limit, some perhaps in one entry only.
        everywhere = sum(np.count_nonzero(np.abs(g) == limit) for g in facts.analytic.values())
        if beyond.any() or everywhere < FEWEST_CLIPPED:
            continue
        here = sample.of(at_limit)
        # Without smaller entries there is nothing that was left as it is.
        if not np.any(sample.of(claimed)[~here]) and limit not in known:
            continue
        rest = "as in another parameter" if at_limit.all() else "all smaller entries agree"
        further = sample.values * np.sign(sample.of(claimed)) > limit - sample.error_bars
        if not here.any() or not np.all(further[here]) or not np.all(sample.agrees(claimed)[~here]):
            continue
        yield Explanation(
            code=CLIPPED,
            repaired={name: claimed},
            unknown={name: at_limit},
            evidence=f"{np.count_nonzero(at_limit):,} of {claimed.size:,} entries are exactly "
            f"{limit:.6g} or {-limit:.6g}, where the numerical gradient is larger; {rest}",
            details={"limit": limit},
        )


def _by_norm(
    facts: Facts, failing: tuple[str, ...], together: tuple[str, ...]
) -> Iterator[Explanation]:
    size = norm([norm(facts.analytic[name]) for name in together])
    if size == 0.0 or not _is_round(size) or set(failing) != set(together):
        return
    if all(np.ptp(np.abs(facts.analytic[name])) == 0.0 for name in together):
        return  # n entries of 1 / n have a round norm for many n
    repaired, factors, tries = {}, [], 1
    for name in failing:
        found = scaled(facts, name, facts.analytic[name])
        # What is a known constant is more likely to be that.
        if found is None or not 0.0 < found.factor < 1.0 or not found.is_fitted:
            return
        repaired[name], tries = found.array, max(tries, found.tries)
        factors.append(found.factor)
    if np.ptp(factors) > SAME_NUMBER * max(factors):
        return
    yield Explanation(
        code=CLIPPED,
        repaired=repaired,
        evidence=f"the analytic gradient has the norm {size:.9g} and is otherwise the numerical "
        f"one, which is {1.0 / factors[0]:.6g} times as long",
        details={"norm": size},
        tries=tries,
        fitted=True,
        joint=True,
    )


def _is_round(size: float) -> bool:
    leading = size / 10.0 ** math.floor(math.log10(size))
    return any(abs(leading - number) <= 1e-9 * number for number in ROUND_NORMS)
