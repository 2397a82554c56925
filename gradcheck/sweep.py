"""Entries of a parameter in blocks: two steps each, more only where these leave anything open."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.budget import Budget
from gradcheck.conclusion import NOISY_UNITS, LineDerivative
from gradcheck.directions import Floats, norm
from gradcheck.entry_losses import EntryLosses, Positions
from gradcheck.execution import Evaluator
from gradcheck.extrapolation import EVEN, NOISE_MULTIPLE, RATIO, UNVERIFIED_ORDER
from gradcheck.known_lines import Lines
from gradcheck.ladder import ROUND_OFF_UNITS_OF_LOSS, Conditions, Evaluate
from gradcheck.leaves import DOUBLE
from gradcheck.line import FAR_BELOW, differentiate, first_step
from gradcheck.many_ladders import Readings, Rungs, read
from gradcheck.probes import Claim

# An entry this much smaller than its parameter's typical one is compared at that size: beside it
# the entry's own relative error does not matter, and the loss cannot show it.
SMALLEST_RELEVANT = 1e-6
# From further away a saturated function looks straight; the ladder may still grow there.
LONGEST_START = 8.0
# Most entries of a block close to a kink take steps that are far too small for others.
SHORTEST_START = 1e-3
# Part of the error bar wanted that the noise of the first two steps may take.
NOISE_SHARE = 0.6
# Where the noise asks for steps at which two do not show that truncation falls like h**2, three
# do, from a step that is larger by RATIO; but none starts further away than this part of the scale.
FURTHEST_START = 0.5
# Lines that ask for more than these are few, and left to themselves.
MOST_RUNGS = 6


@dataclass(frozen=True)
class Sweep:
    """What all blocks of a parameter share."""

    evaluator: Evaluator
    conditions: Conditions
    claim: Claim
    budget: Budget

    @property
    def is_one_by_one(self) -> bool:
        """Whether the loss is noisy, so that all are special, or nothing may be begun in vain."""
        given = self.conditions
        is_noisy = given.noise > NOISY_UNITS * given.unit * abs(float(given.value))
        return is_noisy or self.budget.is_limited


class Block:
    """Some entries of one parameter, measured together.

    Attributes
    ----------
    estimate, error: the discrepancies and their bars, where `settled`
    settled: which entries the short ladders told all about
    slopes: what those by themselves showed about others, by place
    done: of how many entries the time allowed to finish all; the rest is to be left out
    """

    def __init__(self, sweep: Sweep, positions: Positions, bias: float) -> None:
        self._sweep, self._positions = sweep, positions
        self._claim, self._conditions = sweep.claim, sweep.conditions
        self.lines = entry_lines(sweep.claim, sweep.conditions, positions, bias)
        kind = np.longdouble if isinstance(self._conditions.value, np.longdouble) else np.float64
        self._losses = EntryLosses(sweep.evaluator, sweep.claim.name, kind)
        count = positions.size
        # Nothing is evaluated twice: what was seen at which steps.
        self._seen_at = np.full((count, 2 * MOST_RUNGS), math.nan)
        self._seen = np.full((count, 2 * MOST_RUNGS), math.nan, kind)
        self._taken = np.zeros(count, int)
        self.estimate, self.error, self._step = (np.full(count, math.nan) for _ in range(3))
        self.settled = np.zeros(count, bool)
        self.slopes: dict[int, LineDerivative] = {}
        self.done = count
        self._climb()
        self._look_closer(np.flatnonzero(~self.settled[: self.done]))

    @property
    def step_ratio(self) -> float:
        """How much larger steps the entries liked than those they started with; the median."""
        ratios = list((self._step / self.lines.first_step)[: self.done][self.settled[: self.done]])
        ratios += [
            found.step_size / self.lines.first_step[place]
            for place, found in self.slopes.items()
            if found.limit == "precision" and abs(found.discrepancy) <= found.error_bar
        ]
        return float(np.quantile(ratios, 0.5, method="lower")) if ratios else 1.0

    def _climb(self) -> None:
        """Measure two rungs of all entries, and others where these, in no doubt, ask for them."""
        if self._sweep.is_one_by_one:
            return
        places = np.arange(self.done)
        rungs = self._measured(places, self._steps(places, (0, 1)), (0, 1))
        alone = self.lines.slope[places] == 0.0 if self._claim.comparing else places >= 0
        if alone.any():
            # Nothing speaks against a plateau that two steps see, unless much smaller ones do.
            far = places[alone]
            below = self._measured(far, self._steps(far, FAR_BELOW), FAR_BELOW)
            self._settle(far, rungs.chosen(alone).beside(below))
        self._climb_on(places[~alone], rungs.chosen(~alone))

    def _climb_on(self, places: Positions, rungs: Rungs) -> None:
        while places.size:
            reading = self._settle(places, rungs)
            more = reading.smaller | reading.larger
            if len(rungs.indices) == MOST_RUNGS or not more.any():
                return
            places, rungs, above = places[more], rungs.chosen(more), reading.larger[more]
            step = np.where(above, RATIO * rungs.step[0], rungs.step[-1] / RATIO)
            rungs = rungs.joined(self._measured(places, step[np.newaxis], (0,)), above)

    def _steps(self, places: Positions, indices: Iterable[int]) -> Floats:
        return np.stack([self.lines.first_step[places] * RATIO**-index for index in indices])

    def _measured(self, places: Positions, steps: Floats, indices: tuple[int, ...]) -> Rungs:
        """Return rungs with these steps, (rungs, lines)."""
        signed = np.stack([steps, -steps], axis=-1).transpose(1, 0, 2).reshape(places.size, -1)
        moves = self._losses.moves(self._positions[places], signed)
        losses = self._losses.at(self._positions[places], moves)
        columns = self._taken[places][:, np.newaxis] + np.arange(signed.shape[1])
        self._seen_at[places[:, np.newaxis], columns] = signed
        self._seen[places[:, np.newaxis], columns] = losses
        self._taken[places] += signed.shape[1]
        lines = self.lines.chosen(places)
        with np.errstate(invalid="ignore"):  # what overflows is not evaluated either
            slopes = lines.slope[:, np.newaxis] * moves.taken
        pairs = (len(steps), 2)
        return Rungs.of(
            *(indices, steps),
            losses=losses.reshape(-1, *pairs).transpose(2, 1, 0),
            slopes=slopes.reshape(-1, *pairs).transpose(2, 1, 0),
            lines=lines,
            conditions=self._conditions,
        )

    def _settle(self, places: Positions, rungs: Rungs) -> Readings:
        lines = self.lines.chosen(places)
        reading = read(rungs, lines, self._conditions)
        slight = np.abs(reading.estimate) <= lines.negligible
        bars = np.where(slight, np.maximum(reading.error, np.abs(reading.estimate)), reading.error)
        self.settled[places] = reading.settled
        self.estimate[places], self.error[places] = reading.estimate, bars
        self._step[places] = reading.step
        return reading

    def _look_closer(self, places: Positions) -> None:
        for place in map(int, places):
            if self._sweep.budget.is_spent():
                self.done = min(self.done, place)
                return
            settings = self.lines.settings(place)
            self.slopes[place] = differentiate(self._line(place), self._conditions, settings)

    def _line(self, place: int) -> Evaluate:
        known = dict(zip(self._seen_at[place].tolist(), self._seen[place], strict=True))
        name, analytic = self._claim.name, float(self.lines.slope[place])
        original = self._sweep.evaluator.original[name]
        index = tuple(int(i) for i in np.unravel_index(self._positions[place], original.shape))
        kind: Callable[[Any], Any] = original.dtype.type
        wide: Callable[[Any], Any] = np.result_type(original.dtype, DOUBLE).type
        origin = wide(original[index])

        def evaluate(step: float) -> tuple[float, float]:
            with np.errstate(all="ignore"):
                moved = kind(origin + step)
            if moved == origin:  # the step is below what the entry's precision can show
                return math.nan, 0.0
            if step in known:
                value = known.pop(step)
            else:
                value = self._sweep.evaluator.loss_at_entry(name, index, moved)
            return value, analytic * float(wide(moved) - origin)

        return evaluate


def entry_lines(
    claim: Claim, conditions: Conditions, positions: npt.NDArray[np.intp], bias: float
) -> Lines:
    """Return what is known beforehand about the lines along these entries.

    Parameters
    ----------
    bias: by how much larger steps than the usual ones to start with
    """
    typical = norm(claim.analytic) / math.sqrt(claim.size)
    analytic, scale = claim.analytic.flat[positions], claim.scale.flat[positions]
    lines = Lines(
        slope=analytic,
        round_off=claim.round_off(np.abs(analytic)) + claim.inexactness_at(positions),
        scale=scale,
        first_step=scale,
        reference=np.where(analytic != 0.0, SMALLEST_RELEVANT * typical, typical),
        negligible=claim.negligible * np.abs(analytic),
        required=claim.required,
        enough=claim.required * typical,
        comparing=claim.comparing,
    )
    return lines.starting(_first_steps(lines, conditions, bias))


def _first_steps(lines: Lines, conditions: Conditions, bias: float) -> Floats:
    """Return steps as small as the noise allows, but no smaller than usual ones."""
    size = abs(float(conditions.value))
    noise = max(conditions.noise, ROUND_OFF_UNITS_OF_LOSS * conditions.unit * size)
    spread = math.hypot(*(w * RATIO**k for k, w in enumerate(EVEN[2]))) / math.sqrt(2)
    with np.errstate(all="ignore"):
        most = NOISE_SHARE * lines.target()
        most = np.where(most > lines.round_off, most - lines.round_off, most)
        least = conditions.multiplier * NOISE_MULTIPLE * spread * noise / most
        verified, furthest = UNVERIFIED_ORDER * lines.scale, FURTHEST_START * lines.scale
        least = np.where(least > verified, np.minimum(RATIO * least, furthest), least)
        usual = first_step(1.0, conditions) * lines.scale
        # A coarse loss starts far away as it is.
        steps = bias * np.where(usual > verified, usual, np.maximum(usual, least))
        steps = np.clip(
            steps, SHORTEST_START * usual, np.maximum(LONGEST_START * lines.scale, usual)
        )
        # Powers of two, by which an entry moves exactly.
        return np.asarray(np.ldexp(1.0, np.round(np.log2(steps)).astype(int)))
