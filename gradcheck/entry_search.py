"""The search for wrong entries of one parameter: what was found so far, and what finds more."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gradcheck.blocks import Block, difference, is_significant, lone_candidates
from gradcheck.comparisons import DEVIATIONS_PER_BAR, Comparisons
from gradcheck.directions import Floats
from gradcheck.probes import ProbeMeasurement
from gradcheck.quick_slopes import Positions, QuickSlopes, Reading
from gradcheck.regions import Region, common, crowded, lone_region, slice_of
from gradcheck.verdict import outcome

# Blocks up to here are compared entry by entry.
SMALLEST_BLOCK = 2
# Slopes of one block: with more it is not for lack of slopes that no entry explains them.
FEWEST_READINGS, MOST_READINGS = 2, 6
# More of them where halving did not separate anything, or nothing was halved yet.
READINGS_OF_UNDIVIDED = 3
# Evaluations that an error may take per halving, and in all, before the search is given up.
EVALUATIONS_PER_HALVING = 40
MOST_EVALUATIONS = 6_000
# Entries in a row that seemed wrong and are not, after which smaller steps are taken; so often.
MOST_MISSES, REFINEMENTS = 6, 3
# Evaluations without a find, after which what the probes could not see is left alone.
PATIENCE = 60
# Random entries moved together, and part of all: they show nothing unless errors are dense.
FEWEST_MOVED, MOST_MOVED, PART_MOVED = 4, 32, 1 / 16
# Times that has to be seen, and random entries that are then compared.
SEEN, SAMPLED = 2, 16
# Part of sampled entries that is too many to locate all, and that makes a region worth comparing.
DENSE, REGION_WRONG = 0.25, 0.5
# Entries of a region that are compared first, and of all regions at most; where that is not all of
# it, so many have to be wrong without exception.
REGION_SAMPLED, LARGEST_MEASURED_REGION, REGION_WITNESSES = 8, 1_000, 16


class EntrySearch:
    """What was found so far in one parameter, and the steps that find more."""

    def __init__(
        self,
        slopes: QuickSlopes,
        found: Comparisons,
        probes: Sequence[tuple[Floats, ProbeMeasurement]],
        generator: np.random.Generator,
    ) -> None:
        self.slopes = slopes
        self.found = found
        self.probes = probes
        self.generator = generator
        self.shape = found.claim.analytic.shape
        self.regions: list[Region] = []
        self._examined: list[Region] = []
        self._left = LARGEST_MEASURED_REGION
        self._aside = 0
        self._misses = self._refined = 0
        self.sampled: frozenset[int] = frozenset()
        self.dense = False
        # Entries of regions that are too large to compare each are left out.
        self.active: Positions = np.flatnonzero(found.claim.scale)
        self._blocks: list[Block] = []
        self._started = self._last_find = found.evaluator.evaluations
        self._looked_around = False

    def run(self) -> bool:
        """Search until all is explained or nothing more is found; return whether all is."""
        if self._is_exhausted():
            return False
        root = self._seen_root()
        while not self._is_exhausted():
            before = len(self.found.wrong), len(self.regions)
            self._search(root)
            if self.dense or self._is_exhausted():
                return False
            if self._all_is_explained():
                return True
            if self._misses >= MOST_MISSES and self._refined < REFINEMENTS:
                self.slopes.refine()
                self._misses, self._refined = 0, self._refined + 1
            elif before == (len(self.found.wrong), len(self.regions)):
                return False
            root = self._read(Block(self.active, (), undivided=True), FEWEST_READINGS)
        return False

    def _seen_root(self) -> Block:
        """Return all entries, with the slope along the probe that stands out most and another."""
        along, probe = max(self.probes, key=_clarity)
        weights = np.ravel(along)[self.active]
        quick = self.slopes.resolve(self.active, weights, probe.derivative.step_size)
        seen = _seen(weights, probe)
        sharper = quick if quick.deviation <= seen.deviation else seen
        return self._read(Block(self.active, (sharper,), undivided=True), FEWEST_READINGS)

    def _search(self, root: Block) -> None:
        self._blocks, regions, self._looked_around = [root], len(self.regions), False
        # Once there is a new region, what blocks saw of it is not known: all start anew.
        while self._blocks and len(self.regions) == regions:
            if self._is_exhausted() or self.dense or self._is_fruitless():
                return
            if self._misses >= MOST_MISSES and self._refined < REFINEMENTS:
                return
            block = max(self._blocks, key=lambda block: block.loudness)
            self._blocks.remove(block)
            if not block.is_empty:
                self._take_step(block)

    def _take_step(self, block: Block) -> None:
        """Find out more about a block that is not empty."""
        if block.positions.size <= SMALLEST_BLOCK:
            self._compare(block.positions)
            return
        candidates = lone_candidates(block)
        if _needs_another(block, candidates.size):
            more = self._read(block, len(block.readings) + 1)
            self._blocks += self._halves(block) if more is block else [more]
        elif candidates.size:
            self._blocks.append(block)
            self._compare(candidates[:1])
            self._misses = 0 if int(candidates[0]) in self.found.wrong else self._misses + 1
            self._look_at_crowd()
        elif not self._looked_around:
            self._looked_around = True
            self._blocks.append(block)
            self._look_around(block)
        else:
            self._blocks += self._halves(block)

    def _compare(self, positions: Sequence[int] | Positions) -> None:
        """Compare entries on their own, and take what is found off all that blocks have seen."""
        wrong = len(self.found.wrong)
        errors = self.found.compare(positions)
        if len(self.found.wrong) > wrong:
            self._last_find = self.found.evaluator.evaluations
        for position, (error, _) in errors.items():
            self.slopes.correct(position, error)
        self._blocks = [block.without(errors) for block in self._blocks]

    def _read(self, block: Block, count: int) -> Block:
        """Return the block with so many slopes, or as many as could be measured."""
        for _ in range(count - len(block.readings)):
            weights = self.slopes.draw(block.positions)
            block = block.with_reading(self.slopes.along(block.positions, weights))
        return block

    def _halves(self, block: Block) -> list[Block]:
        """Return two random halves with their slopes, or the one that holds all that is wrong."""
        size = block.positions.size
        half = np.zeros(size, dtype=bool)
        half[self.generator.choice(size, size // 2, replace=False)] = True
        inside: list[Reading] = []
        outside: list[Reading] = []
        for whole in block.sharpest[:FEWEST_READINGS]:
            inside.append(self.slopes.along(block.positions[half], whole.weights[half]))
            if not math.isfinite(inside[-1].value):
                return [self._read(Block(block.positions[mask], ()), 1) for mask in (half, ~half)]
            outside.append(difference(whole, inside[-1], ~half))
            for mask, other in ((~half, inside[0]), (half, outside[0])):
                if not is_significant(other):
                    return [block.narrowed(mask)]
        return [block.part(half, inside), block.part(~half, outside)]

    def _look_around(self, block: Block) -> None:
        """Find out whether errors fill a region, or are dense."""
        region = lone_region(self.slopes, block, self.shape)
        if region is not None and self._is_wrong(region):
            return
        if self._seems_dense():
            chosen = self._chosen(self.active, SAMPLED)
            self.sampled = frozenset(chosen.tolist())
            self._compare(chosen)
            region = common(self.sampled & self.found.wrong.keys(), self.shape)
            if region is not None and self._is_wrong(region):
                return
            # Of a small parameter that was everything.
            self.dense = chosen.size < self.active.size and self._wrong_part(chosen) >= DENSE

    def _look_at_crowd(self) -> None:
        region = crowded(self.found.wrong, self.shape, self._examined)
        if region is not None:
            self._is_wrong(region)

    def _is_wrong(self, region: Region) -> bool:
        """Return whether a region is wrong all over, and if so, compare its entries."""
        self._examined.append(region)
        inside = slice_of(region, self.active, self.shape)
        chosen = self._chosen(inside, REGION_SAMPLED)
        self._compare(chosen)
        if self._wrong_part(chosen) < REGION_WRONG:
            return False
        if inside.size <= self._left:
            self.regions.append(region)
            self._left -= inside.size
            before = self.found.evaluator.evaluations
            self._compare(inside)
            self._aside += self.found.evaluator.evaluations - before
            return True
        chosen = np.union1d(chosen, self._chosen(inside, REGION_WITNESSES))
        self._compare(chosen)
        if self._wrong_part(chosen) < 1.0:
            return False
        self.regions.append(region)
        self.active = np.setdiff1d(self.active, inside)
        return True

    def _seems_dense(self) -> bool:
        """Return whether a few random entries are enough to see that something is wrong."""
        count = int(np.clip(PART_MOVED * self.active.size, FEWEST_MOVED, MOST_MOVED))
        for _ in range(SEEN):
            few = self._chosen(self.active, count)
            if not is_significant(self.slopes.along(few, self.slopes.draw(few))):
                return False
        return True

    def _chosen(self, positions: Positions, count: int) -> Positions:
        if count >= positions.size:
            return positions
        return np.sort(self.generator.choice(positions, count, replace=False))

    def _wrong_part(self, positions: Positions) -> float:
        return sum(int(position) in self.found.wrong for position in positions) / max(
            positions.size, 1
        )

    def _all_is_explained(self) -> bool:
        """Return whether what was found accounts for the probes, and for a new direction."""
        claim = self.found.claim
        # A region that was left out is in all probes.
        everything = self.active.size == claim.size
        if everything and not self.found.explain(self.probes):
            return False
        direction = np.zeros(claim.analytic.size)
        direction[self.active] = self.slopes.draw(self.active)
        return self.found.nothing_is_left_along(direction.reshape(self.shape))

    def _is_fruitless(self) -> bool:
        """Return whether the probes are explained and nothing was found for a while.

        Blocks are seen more sharply than the probes were, down to what is no mistake.
        """
        since = self.found.evaluator.evaluations - self._last_find
        return since > PATIENCE and self.found.explain(self.probes)

    def _is_exhausted(self) -> bool:
        """Return whether the time, or what the errors found are worth in evaluations, is spent."""
        halvings = math.log2(max(self.active.size, 2))
        worth = EVALUATIONS_PER_HALVING * halvings * (1 + len(self.found.wrong))
        spent = self.found.evaluator.evaluations - self._started - self._aside
        return spent >= min(worth, MOST_EVALUATIONS) or self.found.budget.is_spent()


def _needs_another(block: Block, candidates: int) -> bool:
    """Return whether another slope would tell which of the candidates it is, or that none is."""
    if candidates == 1:
        return False
    alone = READINGS_OF_UNDIVIDED if block.undivided else FEWEST_READINGS
    return len(block.readings) < (MOST_READINGS if candidates else alone)


def _clarity(probe: tuple[Floats, ProbeMeasurement]) -> float:
    derivative = probe[1].derivative
    if outcome(derivative) != "disagrees":
        return 0.0
    return abs(derivative.discrepancy) / derivative.error_bar if derivative.error_bar else math.inf


def _seen(weights: Floats, probe: ProbeMeasurement) -> Reading:
    derivative = probe.derivative
    return Reading(weights, derivative.discrepancy, derivative.error_bar / DEVIATIONS_PER_BAR)
