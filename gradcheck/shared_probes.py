"""Random directions through all parameters at once: where all are right, they say so of each.

Along such a direction the discrepancies of all parameters add up. Each has random signs and
magnitudes of its own there, so that they hide each other no more often than the entries of one
parameter do. A small sum is evidence for every parameter, as sharp as the error bar is beside what
that parameter contributes. A large one accuses nobody: then each is looked at by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from gradcheck.conclusion import LineDerivative
from gradcheck.directions import Floats
from gradcheck.execution import Evaluator
from gradcheck.extrapolation import NOISE_MULTIPLE, RATIO
from gradcheck.ladder import EPSILON, SHARPNESS, Conditions, LineSettings
from gradcheck.leaves import DOUBLE
from gradcheck.line import first_step, glance
from gradcheck.probes import Claim, ProbeMeasurement, length_scale

# Two directions that are that much sharper than a pass needs leave no chance of a miss to speak of.
SHARPER = 0.2
# Three steps are sharpest from further away than two.
LONGER = 8.0
# The rounding of a step is a twelfth of its square at most, on average; this is well above.
ROUNDED_STEP = 0.5
# Part of the scale that a first step may be: beyond, hardly any function is as it is here.
LONGEST = 0.5
# A parameter that contributes less than this part is looked at by itself: it would take the shared
# direction more steps than its own.
SMALLEST_PART = 1e-3


@dataclass(frozen=True, eq=False)
class _Part:
    """What one parameter contributes to a direction."""

    claim: Claim
    along: Floats
    slope: float
    typical: float


def measure_together(
    evaluator: Evaluator,
    conditions: Conditions,
    claims: Mapping[str, Claim],
    directions: Mapping[str, Floats],
) -> dict[str, ProbeMeasurement] | float:
    """Return what one direction through all parameters says of each.

    Where it leaves a doubt, how far the loss is off along it, 0 if that cannot be said.

    Parameters
    ----------
    claims: by parameter name
    directions: the part of the direction in each parameter
    """
    parts = [_part(claim, directions[name]) for name, claim in claims.items()]
    typical = math.hypot(*(part.typical for part in parts))
    settings = _settings(parts, typical, conditions)
    if all(evaluator.original[name].dtype == DOUBLE for name in directions):
        # What rounding makes of the step moves the loss by as little as its own rounding does.
        noise = math.hypot(conditions.noise, ROUNDED_STEP * EPSILON * typical)
        with evaluator.moving(directions) as loss:
            seen = glance(
                lambda step: (loss(step), step * settings.slope),
                replace(conditions, noise=noise),
                settings,
            )
    else:
        analytic = {name: claim.analytic for name, claim in claims.items()}
        seen = glance(
            lambda step: evaluator.loss_along(directions, step, analytic), conditions, settings
        )
    if isinstance(seen, float):
        return seen
    return {part.claim.name: _measurement(part, seen) for part in parts}


def _part(claim: Claim, along: Floats) -> _Part:
    return _Part(claim, along, *claim.slope_along(along))


def _settings(parts: list[_Part], typical: float, conditions: Conditions) -> LineSettings:
    scale = length_scale(sum(part.along.size for part in parts))
    needed = [part.claim.required * part.typical for part in parts]
    within = [size for size in needed if size > SMALLEST_PART * max(needed)]
    usual = LONGER * first_step(scale, conditions)
    # Of three steps the smallest has the noise: no more of it than the error bar may be.
    noise = conditions.multiplier * NOISE_MULTIPLE * conditions.noise
    quiet = RATIO**2 * noise / (SHARPNESS * SHARPER * min(within, default=math.inf))
    return LineSettings(
        slope=math.fsum(part.slope for part in parts),
        slope_round_off=sum(
            part.claim.round_off_at_random(part.slope, part.typical) for part in parts
        ),
        scale=scale,
        first_step=max(usual, min(quiet, LONGEST * scale)),
        required=SHARPER * min(within) / typical if within else 1.0,
        reference=typical,
    )


def _measurement(part: _Part, seen: LineDerivative) -> ProbeMeasurement:
    # What is seen in all may be in this one: its own slope is that far off at most.
    derivative = replace(seen, value=part.slope + seen.discrepancy)
    return ProbeMeasurement(derivative, part.slope, part.typical, shared=True)
