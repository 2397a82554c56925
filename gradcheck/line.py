"""The derivative of a loss along a line, with an error bar and a statement about smoothness.

What is measured is the *discrepancy* between the loss and the analytic slope, on a ladder of
central differences h, h/4, h/16, ...: larger steps while noise dominates, smaller ones while
truncation or a kink does, and down to the noise before a discrepancy is believed. What the ladder
leaves open, the noise being in the way, an interval of Chebyshev points is asked about.

References
----------
Moré & Wild 2012, ACM TOMS 38(3):19 (steps for noisy functions).
"""

from __future__ import annotations

import math
from dataclasses import replace

from gradcheck.conclusion import LineDerivative, agreement, conclude, doubt, is_in_stairs
from gradcheck.ladder import Conditions, Evaluate, Ladder, LineSettings
from gradcheck.search import Search

FAR_BELOW = (4, 5)
# Steps that a glance takes: what needs more is better looked at in its parts.
GLANCED_RUNGS = 5
# A claimed slope drowns the loss's own if it is so many times as large; that counts where the
# discrepancy is so many times its error bar.
DROWNING, BEYOND_DOUBT = 10.0, 1000.0


def first_step(scale: float, conditions: Conditions) -> float:
    """Return where to start: balances truncation h**4 against noise / h for two rungs."""
    size = abs(float(conditions.value))
    relative = max(conditions.noise / size, conditions.unit) if size else conditions.unit
    return scale * math.pow(min(relative, 1e-2), 0.2)


def differentiate(
    evaluate: Evaluate, conditions: Conditions, settings: LineSettings
) -> LineDerivative:
    """Return the derivative of a loss along a line, compared with the analytic slope on the way.

    Parameters
    ----------
    evaluate: from a step t to the loss there and the analytic slope times the step *really
        taken* after rounding; NaN where the loss cannot be evaluated
    conditions, settings: what is known about the loss and about the line
    """
    ladder = Ladder(evaluate, conditions, settings)
    seen = _climbed(ladder)
    is_open = seen.smoothness == "unresolved" and settings.comparing and settings.slope
    if is_open and not is_in_stairs(ladder, seen):
        return _without_the_claim(evaluate, conditions, settings, seen)
    return seen


def glance(
    evaluate: Evaluate, conditions: Conditions, settings: LineSettings
) -> LineDerivative | float:
    """Return the derivative of a loss along a line where it soon agrees with the analytic slope.

    Where it does not, how far it is off as far as seen, 0 at a kink: why is not looked into.
    """
    ladder = Ladder(evaluate, conditions, settings)
    search = Search(ladder)
    rungs: tuple[int, ...] | None = (0, 1)
    while rungs is not None and len(ladder.tried) < GLANCED_RUNGS:
        for index in rungs:
            ladder.add(index)
        if not any(settings.agrees(window) for window in ladder.windows()):
            break
        rungs = search.next_rungs()
        below = max(ladder.tried) + 1
        if rungs is not None and rungs[0] > below:
            rungs = (below,)  # to leap is for who looks into a doubt
    return agreement(ladder) or doubt(ladder)


def _without_the_claim(
    evaluate: Evaluate, conditions: Conditions, settings: LineSettings, seen: LineDerivative
) -> LineDerivative:
    """Return the derivative by itself where a claim that is far too large drowns it.

    Only what is far beyond any doubt counts: that the steps clashed may have other reasons.
    """

    def loss(step: float) -> tuple[float, float]:
        return evaluate(step)[0], 0.0

    alone = replace(settings, slope=0.0, slope_round_off=0.0, comparing=False)
    found = _climbed(Ladder(loss, conditions, alone))
    evaluations = seen.evaluations + found.evaluations
    error = found.error_bar + settings.slope_round_off
    discrepancy = found.value - settings.slope
    is_drowned = abs(settings.slope) >= DROWNING * abs(found.value)
    is_clear = abs(discrepancy) >= BEYOND_DOUBT * error
    if found.smoothness != "smooth" or not (is_drowned and is_clear):
        return replace(seen, evaluations=evaluations)
    return replace(found, discrepancy=discrepancy, error_bar=error, evaluations=evaluations)


def _climbed(ladder: Ladder) -> LineDerivative:
    search, settings = Search(ladder), ladder.settings
    for index in (0, 1):
        ladder.add(index)
    if not settings.comparing or settings.slope == 0.0:
        # Nothing speaks against a plateau that two steps see, unless much smaller ones do.
        for index in FAR_BELOW:
            ladder.add(index)
    while (rungs := search.next_rungs()) is not None:
        for index in rungs:
            ladder.add(index)
    return conclude(ladder)
