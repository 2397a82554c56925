"""Which steps to take next: larger ones while noise dominates, smaller ones while truncation does.

A discrepancy, or a kink, is followed down to where noise dominates, in leaps where nothing is to be
learned on the way: that the loss agrees with the gradient takes two steps, that it does not takes
all that could speak for it.
"""

from __future__ import annotations

import math

from gradcheck.extrapolation import RATIO, Window
from gradcheck.ladder import Ladder
from gradcheck.trust import CONFIRMATION, smaller_steps_agree, trusted

MAX_RUNGS = 14
# A leap saves evaluations from this many rungs on: it takes two to see where it lands.
LEAST_LEAP = 3
# Noise over jump of the slope, below which it does not matter how close by a kink is.
CLEAR_JUMP = 0.02


class Search:
    """Which rungs of a ladder to measure next."""

    def __init__(self, ladder: Ladder) -> None:
        self.ladder = ladder
        self.settings = ladder.settings

    def next_rungs(self) -> tuple[int, ...] | None:
        """Return the rungs to measure next, None when more would not help."""
        if len(self.ladder.tried) >= MAX_RUNGS:
            return None
        windows = self.ladder.windows()
        if not windows:
            return (max(self.ladder.tried) + 1,)
        best, clash = trusted(windows)
        suspicious = not self.settings.agrees(best) or (
            clash and not smaller_steps_agree(windows, best)
        )
        if not suspicious and best.error <= self.settings.target(best):
            return None
        if suspicious or best.kink > best.truncation + best.noise:
            # Nobody is accused, and no kink left behind, before noise dominates.
            return self._sweep_down(windows, best) or self._fill_gap(best)
        return self._sharpen(best)

    def _sharpen(self, best: Window) -> tuple[int, ...] | None:
        smaller, larger = (best.bottom + 1,), (self.ladder.above(best.top),)
        if best.noise < best.truncation:
            return self._first_untried(smaller, larger)
        return self._jump(best) or self._first_untried(larger, smaller)

    def _sweep_down(self, windows: list[Window], best: Window) -> tuple[int, ...] | None:
        """Return the next rungs below the best window, None once noise dominates down there."""
        smallest = max(windows, key=lambda window: (window.top, -window.bottom))
        below = max(self.ladder.tried) + 1
        kinked = smallest.kink > smallest.truncation
        dominated = max(smallest.truncation + smallest.kink, 0.3 * best.error)
        # A jump of the slope that is still seen this clearly is at the origin, for all purposes.
        noisy = smallest.noise >= (CLEAR_JUMP if kinked else 1.0) * dominated
        if noisy and smallest.top >= best.top + 2:
            return None
        # Noise takes over so many rungs further down, if nothing else changes until there;
        # truncation, which falls like h**2, does in a third of them.
        left = _rungs_between(dominated, smallest.noise)
        leap = min(int(left / (2.0 if kinked else 3.0)), MAX_RUNGS - below)
        if leap < LEAST_LEAP:
            return (below,)
        return (below + leap - 1, below + leap)

    def _fill_gap(self, best: Window) -> tuple[int, ...] | None:
        """Return a rung that was leapt over, if it may sharpen what is known by now."""
        inside, noisy = best, best.noise > best.truncation
        if (kinked := self.ladder.kink()) is not None:
            if self.ladder.conditions.multiplier * kinked.slopes_error <= self._target_at_kink(
                kinked
            ):
                return None
            inside, noisy = kinked, kinked.noise > kinked.truncation + kinked.jump_bar / 4
        above, below, tried = inside.top - 1, inside.bottom + 1, self.ladder.tried
        for beside in (above, below) if noisy else (below, above):
            if beside not in tried and min(tried) < beside < max(tried):
                return (beside,)
        return None

    def _target_at_kink(self, kinked: Window) -> float:
        outside = abs(kinked.estimate) - 0.5 * abs(kinked.jump)
        target = self.settings.needed(kinked)
        return min(target, outside / 2) if outside > CONFIRMATION * kinked.slopes_error else target

    def _jump(self, best: Window) -> tuple[int, ...] | None:
        """Return the step that would do, if far above all tried: noise falls like 1/h."""
        if best.top > min(self.ladder.tried):
            return None
        missing = _rungs_between(best.error, self.settings.target(best))
        # Not beyond the scale: a saturated function looks straight from far away.
        room = math.log(self.settings.scale / best.step, RATIO)
        rungs = min(math.ceil(missing), math.floor(room))
        return (best.top - rungs, best.top - rungs + 1) if rungs > LEAST_LEAP else None

    def _first_untried(self, *choices: tuple[int, ...]) -> tuple[int, ...] | None:
        return next(
            (choice for choice in choices if not self.ladder.tried.issuperset(choice)), None
        )


def _rungs_between(larger: float, smaller: float) -> float:
    """Return how many rungs it takes from one size to another, MAX_RUNGS if there is no telling."""
    ratio = larger / smaller if smaller else math.inf
    return math.log(ratio, RATIO) if 0.0 < ratio < math.inf else MAX_RUNGS
