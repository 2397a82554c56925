"""Clocks for benchmarks: processor time, parts of what would take too long, and memory."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from speed_networks import Network

# A call is repeated until this many seconds are spent, so that the clock's own grain is no matter.
LEAST_SECONDS = 0.02
# The clock is looked at once in so many evaluations.
LOOKS = 16


class OutOfTime(Exception):
    """What an evaluation raises when the time that is allowed is spent."""


def seconds_of(call: Callable[[], Any], least: float = LEAST_SECONDS) -> float:
    """Return the median processor time of a call, repeated for at least some seconds."""
    times: list[float] = []
    while sum(times) < least:
        started = time.process_time()
        call()
        times.append(time.process_time() - started)
    return statistics.median(times)


class Counted:
    """The loss of a network, counted, until a time is spent.

    Attributes
    ----------
    evaluations: calls so far
    deadline: processor time after which an evaluation raises OutOfTime
    """

    def __init__(self, network: Network, seconds: float = math.inf) -> None:
        self.network = network
        self.evaluations = 0
        self.deadline = time.process_time() + seconds
        # Contiguous parts of one vector, for tools that know no other parameters.
        self._parts, start = [], 0
        for name, array in network.parameters.items():
            self._parts.append((name, slice(start, start + array.size), array.shape))
            start += array.size

    def tick(self) -> None:
        """Count one evaluation.

        Raises
        ------
        OutOfTime
            when there is no time for it
        """
        self.evaluations += 1
        if self.evaluations % LOOKS == 0 and time.process_time() > self.deadline:
            raise OutOfTime

    def loss(self, parameters: Mapping[str, np.ndarray]) -> Any:
        """Return the loss at named arrays."""
        self.tick()
        return self.network.loss(parameters)

    def loss_of_vector(self, vector: np.ndarray) -> Any:
        """Return the loss at all parameters in one vector."""
        return self.loss(self.named(vector))

    def named(self, vector: np.ndarray) -> dict[str, np.ndarray]:
        """Return the parameters in a vector by name."""
        return {name: vector[part].reshape(shape) for name, part, shape in self._parts}

    def vector(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """Return named arrays as one vector."""
        return np.concatenate([arrays[name].ravel() for name, _, _ in self._parts])


@dataclass(frozen=True)
class Cost:
    """What a check costs.

    Attributes
    ----------
    seconds: of processor time
    evaluations: of the loss
    is_part: whether it was stopped and the rest extrapolated by evaluations
    """

    seconds: float
    evaluations: float
    is_part: bool = False


def peak_memory() -> int:
    """Return the largest number of bytes this process held in memory since `forget_peak`."""
    with open("/proc/self/status", encoding="utf-8") as status:
        line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def forget_peak() -> None:
    """Let `peak_memory` start again at what is held now."""
    with open("/proc/self/clear_refs", "w", encoding="utf-8") as peaks:
        peaks.write("5")
