"""Every entry of a problem that exposes its layers, certified by the user's own loss.

The numbers come from the layers' forward passes (`gradcheck.layer_numbers`), and cost about as much
as a few backprops. They count only where they are the slopes of the loss that is checked: along
every direction that was probed, the numbers have to add up to what the user's own loss showed. And
nobody is accused by them alone: of the entries that they call wrong, the clearest are compared by
the user's loss too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gradcheck.beside_kinks import BesideKinks
from gradcheck.diagnosis.asking import Asker
from gradcheck.directions import LARGEST_MAGNITUDE, SMALLEST_MAGNITUDE, norm
from gradcheck.entries import measure_entries
from gradcheck.entry_table import Entries
from gradcheck.ladder import Conditions
from gradcheck.layer_numbers import LayeredGradient, layered_gradient
from gradcheck.probes import SHARED_ROUND_OFF, Claim, ProbeMeasurement
from gradcheck.probing import Probed, Task
from gradcheck.verdict import outcome, which

# Entries that are compared by the user's loss where the layers leave them open, at a kink mostly;
# with more of them the layers are no help.
MOST_OPEN = 500
# Directions that have to be sharp for numbers to count.
CERTIFYING = 2
# Entries among those called wrong that have to be wrong by the user's loss too.
WITNESSES = 4


@dataclass(frozen=True, eq=False)
class Layered:
    """The certified numbers.

    Attributes
    ----------
    numbers: numerical gradient and error bars, by parameter name
    names: of the parameters that they are certified for
    """

    numbers: LayeredGradient
    names: frozenset[str]

    @property
    def note(self) -> str:
        """How the entries were compared, for the report."""
        forms: dict[str, list[str]] = {}
        for layer, form in self.numbers.forms.items():
            forms.setdefault(form, []).append(layer)
        told = "; ".join(f"{form} ({', '.join(layers)})" for form, layers in forms.items())
        return f"every entry compared by its layer: {told}"


def layered_numbers(task: Task, probed: Mapping[str, Probed], value: float) -> Layered | None:
    """Return the numbers of a problem that exposes its layers, None where none are certified.

    Parameters
    ----------
    probed: what directions showed of every parameter
    value: the loss at the point
    """
    problem = task.evaluator.problem
    inputs, targets = problem.args
    with closing(Asker(task.evaluator.another_caller, task.budget)) as asker:
        numbers = layered_gradient(
            *(problem.network, task.evaluator.original, inputs, targets, value),
            method=task.method,
            names=tuple(probed),
            asker=asker,
        )
    if numbers is None:
        return None
    known = {name: one for name, one in probed.items() if name in numbers.values}
    if not all(_is_not_contradicted(numbers, one) for one in known.values()):
        return None
    names = frozenset(name for name, one in known.items() if _is_sharp(one))
    return Layered(numbers, names) if names else None


def _is_sharp(probed: Probed) -> bool:
    """Return whether two directions show numbers of a parameter to be right, if they are."""
    bars = sorted(
        _relative_bar(probe)
        for probe in probed.probes
        if probe.kind == "random" and outcome(probe.derivative) != "undecided"
    )
    return len(bars) >= CERTIFYING and bars[CERTIFYING - 1] <= probed.claim.required


def _relative_bar(probe: ProbeMeasurement) -> float:
    seen = probe.derivative
    size = SMALLEST_MAGNITUDE * max(probe.typical, abs(seen.value))
    return seen.error_bar / size if size > 0.0 else math.inf


def _is_not_contradicted(numbers: LayeredGradient, probed: Probed) -> bool:
    """Return whether the numbers add up to what the loss showed along every direction."""
    claim = probed.claim
    off = numbers.values[claim.name] - claim.analytic
    # Along any direction of this kind the error bars add up to no more.
    slack = LARGEST_MAGNITUDE * float(np.vdot(numbers.error_bars[claim.name], claim.scale))
    for along, probe in zip(probed.along, probed.probes, strict=True):
        seen = probe.derivative
        if probe.kind != "random" or outcome(seen) == "undecided":
            continue
        round_off = claim.round_off_at_random(probe.analytic, probe.typical)
        gap = abs(float(np.vdot(off, along)) - seen.discrepancy)
        if not gap <= seen.error_bar + abs(seen.jump) / 2 + slack + round_off:
            return False
    return True


def layered_entries(
    task: Task, conditions: Conditions, claim: Claim, layered: Layered, is_failing: bool
) -> Entries | None:
    """Return the comparisons of all entries of a parameter, None where the layers are no help.

    Parameters
    ----------
    is_failing: whether a direction through the parameter disagrees, by the user's own loss
    """
    entries = _compared(claim, layered.numbers, conditions)
    typical = norm(claim.analytic) / math.sqrt(claim.analytic.size)
    left = np.zeros(0, np.intp)
    if not float(entries.error_bar.max()) <= claim.required * typical:
        size = np.maximum(np.abs(entries.value), typical)
        left = np.flatnonzero(~(entries.error_bar <= claim.required * size))
    if left.size > MOST_OPEN:
        return None
    if left.size:
        entries = _measured(task, conditions, claim, entries, left)
    wrong = which(entries, "disagrees") & ~entries.special_where(lambda _: True)
    if is_failing or not wrong.any():
        return entries
    return _witnessed(task, conditions, claim, entries, np.flatnonzero(wrong))


def _compared(claim: Claim, numbers: LayeredGradient, conditions: Conditions) -> Entries:
    positions = np.flatnonzero(claim.scale)
    analytic, value, bars, inexactness = (
        array.ravel() if positions.size == array.size else array.ravel()[positions]
        for array in (
            claim.analytic,
            numbers.values[claim.name],
            numbers.error_bars[claim.name],
            claim.inexactness,
        )
    )
    discrepancy = value - analytic
    round_off = np.abs(analytic)
    round_off += SHARED_ROUND_OFF * claim.largest
    round_off *= claim.units * claim.unit
    bars = conditions.multiplier * bars
    bars += round_off
    bars += inexactness
    off = np.flatnonzero(~(np.abs(discrepancy) <= bars))
    # What is off by so little is no mistake.
    slight = off[np.abs(discrepancy[off]) <= claim.negligible * np.abs(analytic[off])]
    bars[slight] = np.abs(discrepancy[slight])
    return Entries(claim.analytic.shape, positions, analytic, value, bars, discrepancy)


def _measured(
    task: Task,
    conditions: Conditions,
    claim: Claim,
    entries: Entries,
    places: npt.NDArray[np.intp],
) -> Entries:
    """Return the entries with those at these places measured by the user's loss."""
    positions = entries.positions[places]
    measured = measure_entries(task.evaluator, conditions, claim, positions, budget=task.budget)
    beside = BesideKinks(task.evaluator, conditions, task.seed, task.budget)
    found = beside.entries(claim, measured)
    return entries.with_special(
        {int(place): entry.derivative for place, entry in zip(places, found, strict=False)}
    )


def _witnessed(
    task: Task,
    conditions: Conditions,
    claim: Claim,
    entries: Entries,
    wrong: npt.NDArray[np.intp],
) -> Entries | None:
    """Return the entries, nobody accused whom the user's loss has nothing to say against.

    None where it contradicts the layers.
    """
    clearest = wrong[np.argsort(-np.abs(entries.discrepancy[wrong]))[:WITNESSES]]
    positions = entries.positions[clearest]
    measured = measure_entries(task.evaluator, conditions, claim, positions, budget=task.budget)
    is_confirmed = False
    for place, entry in zip(clearest, measured, strict=False):
        seen = entry.derivative
        if outcome(seen) == "undecided":
            continue
        gap = abs(seen.discrepancy - entries.discrepancy[place])
        if gap > seen.error_bar + abs(seen.jump) / 2 + entries.error_bar[place]:
            return None
        is_confirmed |= outcome(seen) == "disagrees"
    if is_confirmed:
        return entries
    bars = entries.error_bar.copy()
    bars[wrong] = np.abs(entries.discrepancy[wrong])
    return replace(entries, error_bar=bars)
