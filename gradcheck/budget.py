"""The time that a check may take."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], float]

OUT_OF_TIME = "the time ran out"


class Budget:
    """Seconds from now on, after which no more is measured.

    Parameters
    ----------
    seconds: None for all the time in the world
    clock: returns the time in seconds; by default one that nobody sets
    """

    def __init__(self, seconds: float | None = None, clock: Clock | None = None) -> None:
        self._clock = clock or time.monotonic
        self._end = None if seconds is None else self._clock() + seconds

    @property
    def is_limited(self) -> bool:
        """Whether the time may ever be over."""
        return self._end is not None

    def left(self) -> float | None:
        """Return how many seconds are left, None for all the time in the world."""
        return None if self._end is None else max(0.0, self._end - self._clock())

    def is_spent(self) -> bool:
        """Return whether the time is over."""
        return self._end is not None and self._clock() >= self._end
