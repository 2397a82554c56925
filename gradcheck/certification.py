"""Whether numbers that the layers gave are slopes of the user's own loss.

Along every direction that was probed, what the numbers of all entries add up to has to be what the
loss showed.
"""

from __future__ import annotations

import math

import numpy as np

from gradcheck.directions import LARGEST_MAGNITUDE, SMALLEST_MAGNITUDE, Floats
from gradcheck.probes import ProbeMeasurement
from gradcheck.probing import Probed
from gradcheck.verdict import is_subgradient, outcome

# Directions that have to be sharp for numbers to count.
CERTIFYING = 2


def is_sharp(probed: Probed) -> bool:
    """Return whether two directions show numbers of a parameter to be right, if they are."""
    bars = sorted(
        _relative_bar(probe)
        for probe in probed.probes
        if probe.kind == "random"
        and outcome(probe.derivative) != "undecided"
        and not is_subgradient(probe.derivative)
    )
    return len(bars) >= CERTIFYING and bars[CERTIFYING - 1] <= probed.claim.required


def _relative_bar(probe: ProbeMeasurement) -> float:
    seen = probe.derivative
    size = SMALLEST_MAGNITUDE * max(probe.typical, abs(seen.value))
    return seen.error_bar / size if size > 0.0 else math.inf


def adds_up(probed: Probed, off: Floats, bars: Floats) -> bool:
    """Return whether discrepancies of all entries add up to those along every direction."""
    claim = probed.claim
    # Along any direction of this kind the error bars add up to no more.
    slack = LARGEST_MAGNITUDE * float(np.vdot(bars, claim.scale))
    for along, probe in zip(probed.along, probed.probes, strict=True):
        seen = probe.derivative
        if probe.kind != "random" or outcome(seen) == "undecided":
            continue
        round_off = claim.round_off_at_random(probe.analytic, probe.typical)
        gap = abs(float(np.vdot(off, along)) - seen.discrepancy)
        if not gap <= seen.error_bar + abs(seen.jump) / 2 + slack + round_off:
            return False
    return True
