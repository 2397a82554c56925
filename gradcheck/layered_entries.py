"""Every entry of a problem that exposes its layers, certified by the user's own loss.

The numbers come from the layers' forward passes (`gradcheck.layer_numbers`), and cost about as much
as a few backprops. They count only where they are the slopes of the loss that is checked: along
every direction that was probed, the numbers have to add up to what the user's own loss showed. And
no parameter is accused by them alone: where no direction through it disagrees, the clearest of the
entries that they call wrong are compared by the user's loss too.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from gradcheck.beside_kinks import UNKNOWN, BesideKinks
from gradcheck.certification import adds_up, is_sharp
from gradcheck.diagnosis.asking import MOST_SECONDS, Asker, NotKnown
from gradcheck.directions import norm
from gradcheck.entries import measure_entries
from gradcheck.entry_table import Entries
from gradcheck.ladder import Conditions
from gradcheck.layer_numbers import LayeredGradient, layered_gradient
from gradcheck.layer_numbers.resumed import (
    ResumedLoss,
    measure_entries_resumed,
    resumed_loss,
)
from gradcheck.measured import Measured
from gradcheck.plan import EVALUATIONS_PER_ENTRY, SWEEP_EVALUATIONS
from gradcheck.probes import Claim
from gradcheck.probing import Probed, Task
from gradcheck.verdict import outcome, which

# How entries are compared of layers that do not say how their parameters enter.
RESUMED = "differences of the loss, resumed at the layer"
BLACK_BOX = "differences of the whole loss"
# Entries that are compared by the user's loss where the layers leave them open, at a kink mostly;
# with more of them the layers are no help.
MOST_OPEN = 500
# Entries among those called wrong that have to be wrong by the user's loss too.
WITNESSES = 4


@dataclass(frozen=True, eq=False)
class Layered:
    """What the layers can tell of the entries, by parameter name.

    Attributes
    ----------
    numbers: numerical gradient and error bars, where these were found
    names: of the parameters that they are certified for
    resumed: the loss as it is resumed at the layers of the others
    resumed_names: of the parameters that are moved that way
    forms: how the entries are compared
    """

    numbers: LayeredGradient | None
    names: frozenset[str]
    resumed: ResumedLoss | None
    resumed_names: frozenset[str]
    forms: Mapping[str, str]

    @property
    def partial_evaluations(self) -> int:
        """Calls of the layers' own functions so far."""
        numbers = self.numbers.partial_evaluations if self.numbers else 0
        return numbers + (self.resumed.partial_evaluations if self.resumed else 0)

    def entries(self, task: Task, conditions: Conditions, probed: Probed) -> Entries | None:
        """Return the comparisons of all entries of a parameter, None where layers are no help."""
        claim = probed.claim
        if claim.name in self.names and self.numbers is not None:
            compared = _compared(claim, self.numbers, conditions)
            entries = _closed(task, conditions, claim, compared)
        elif claim.name in self.resumed_names and self.resumed is not None:
            entries = _by_resumed_loss(task, conditions, probed, self.resumed)
        else:
            return None
        seen = [outcome(probe.derivative) for probe in probed.probes]
        if entries is None or "disagrees" in seen:
            return entries
        wrong = which(entries, "disagrees") & ~entries.special_where(lambda _: True)
        if not wrong.any():
            return entries
        return _witnessed(task, conditions, claim, entries, np.flatnonzero(wrong))


@contextmanager
def layers_of(task: Task, probed: Mapping[str, Probed], value: float) -> Iterator[Layered | None]:
    """Give what the layers can tell, as long as it is asked for; None where that is nothing.

    Parameters
    ----------
    probed: what directions showed of every parameter
    value: the loss at the point
    """
    sharp = {name: one for name, one in probed.items() if is_sharp(one)}
    # What takes its time was asked for.
    is_asked_for = task.plan.sweep or task.method != "auto"
    most = math.inf if is_asked_for else MOST_SECONDS
    with closing(Asker(task.evaluator.another_caller, task.budget, most_seconds=most)) as asker:
        numbers = _certified(_numbers(task, sharp, value, asker), sharp)
        names = frozenset(numbers.values.keys() & sharp.keys()) if numbers else frozenset[str]()
        left = frozenset(sharp.keys() - names)
        resumed = _resumed(task, left, value, asker)
        left = left & resumed.original.keys() if resumed else frozenset()
        forms = dict.fromkeys(left, RESUMED)
        if numbers is not None:
            forms |= {name: numbers.forms[layer_of(name)] for name in names}
        yield Layered(numbers, names, resumed, left, forms) if names or left else None


def forms_note(measured: Mapping[str, Measured]) -> str:
    """Return how the entries of which layers were compared."""
    forms: dict[str, list[str]] = {}
    for name, found in measured.items():
        layers = forms.setdefault(found.form or BLACK_BOX, [])
        layer = layer_of(name) if found.form else name
        if layer not in layers and (found.form or len(found.entries)):
            layers.append(layer)
    told = "; ".join(f"{form} ({', '.join(names)})" for form, names in forms.items() if names)
    return f"entries compared by {told}"


def layer_of(name: str) -> str:
    """Return the layer of a parameter of a network: "layer1" of "layer1.weight"."""
    return name.rpartition(".")[0]


def _numbers(
    task: Task, probed: Mapping[str, Probed], value: float, asker: Asker
) -> LayeredGradient | None:
    problem = task.evaluator.problem
    inputs, targets = problem.args
    given = (problem.network, task.evaluator.original, inputs, targets, value)
    if task.method == "strict":
        from gradcheck.layer_numbers.strict import strict_gradient

        return strict_gradient(*given, names=tuple(probed), asker=asker)
    return layered_gradient(*given, method=task.method, names=tuple(probed), asker=asker)


def _certified(
    numbers: LayeredGradient | None, probed: Mapping[str, Probed]
) -> LayeredGradient | None:
    """Return the numbers where the user's loss contradicts none of them, else None."""
    if numbers is None:
        return None
    for name, one in probed.items():
        if name in numbers.values:
            off = numbers.values[name] - one.claim.analytic
            if not adds_up(one, off, numbers.error_bars[name]):
                return None
    return numbers


def _resumed(task: Task, names: Collection[str], value: float, asker: Asker) -> ResumedLoss | None:
    """Return the loss as it is resumed at the layers, None where that would take too long."""
    count = sum(task.evaluator.original[name].size for name in names)
    if not names or not (task.plan.sweep or count * EVALUATIONS_PER_ENTRY <= SWEEP_EVALUATIONS):
        return None
    problem = task.evaluator.problem
    inputs, targets = problem.args
    try:
        return resumed_loss(
            *(problem.network, task.evaluator.original, inputs, targets, value),
            call=asker.ask,
            bounds=task.evaluator.bounds,
        )
    except NotKnown:
        return None


def _closed(task: Task, conditions: Conditions, claim: Claim, entries: Entries) -> Entries | None:
    """Return the entries, those that the layers leave open measured; None if they are too many."""
    typical = norm(claim.analytic) / math.sqrt(claim.size)
    if float(entries.error_bar.max()) <= claim.required * typical:
        return entries
    size = np.maximum(np.abs(entries.value), typical)
    left = np.flatnonzero(~(entries.error_bar <= claim.required * size))
    if left.size > MOST_OPEN:
        return None
    return _measured(task, conditions, claim, entries, left) if left.size else entries


def _by_resumed_loss(
    task: Task, conditions: Conditions, probed: Probed, resumed: ResumedLoss
) -> Entries | None:
    """Return the entries by the loss resumed at their layer; None where that is another loss."""
    claim = probed.claim
    positions = np.flatnonzero(claim.scale)
    try:
        entries = measure_entries_resumed(resumed, conditions, claim, positions, budget=task.budget)
    except NotKnown:
        return None
    off, bars = np.zeros((2, claim.analytic.size))
    off[entries.positions], bars[entries.positions] = entries.discrepancy, entries.error_bar
    for place, entry in entries.special.items():
        bars[entries.positions[place]] += abs(entry.derivative.jump) / 2
    known = np.isfinite(off) & np.isfinite(bars)
    off, bars = np.where(known, off, 0.0), np.where(known, bars, math.inf)
    off, bars = (array.reshape(claim.scale.shape) for array in (off, bars))
    if len(entries) < positions.size or not adds_up(probed, off, bars):
        return None
    beside = BesideKinks(task.evaluator, conditions, task.seed, task.budget)
    return beside.entries(claim, entries)


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
    bars = conditions.multiplier * bars
    bars += claim.round_off(np.abs(analytic))
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
    closed = entries.with_special(
        {int(place): entry.derivative for place, entry in zip(places, found, strict=False)}
    )
    return _without(closed, places[len(found) :])


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
    said = []
    for place, entry in zip(clearest, measured, strict=False):
        seen = entry.derivative
        said.append(outcome(seen))
        gap = abs(seen.discrepancy - entries.discrepancy[place])
        is_other = gap > seen.error_bar + abs(seen.jump) / 2 + entries.error_bar[place]
        if said[-1] != "undecided" and is_other:
            return None
    if "disagrees" in said:
        return entries
    if len(said) < clearest.size:
        return _without(entries, wrong)
    if "undecided" in said:
        return entries.with_special({int(place): UNKNOWN for place in wrong})
    # The user's loss cannot tell: that far off they may be.
    bars = entries.error_bar.copy()
    bars[wrong] = np.abs(entries.discrepancy[wrong])
    return replace(entries, error_bar=bars)


def _without(entries: Entries, places: npt.NDArray[np.intp]) -> Entries:
    """Return the entries without those that there was no time to compare."""
    kept = np.ones(len(entries), dtype=bool)
    kept[places] = False
    return entries.chosen(kept)
