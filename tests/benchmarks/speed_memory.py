"""Memory of a check: of a whole process for other tools, beyond the user's own arrays for ours."""

from __future__ import annotations

import gc
import mmap
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from speed_clock import forget_peak, peak_memory
from speed_contestants import contestants
from speed_networks import Network, make_network, plain_problem

import gradcheck
from gradcheck import Problem

SCRIPT = Path(__file__).with_name("speed.py")
MEGABYTE = 1e6


def growth_in_own_process(title: str, size: str, seconds: float) -> int | None:
    """Return by how many bytes a new process grows in which a contestant runs for some seconds."""
    words = [sys.executable, str(SCRIPT), "--grow", title, size, str(seconds)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return int(done.stdout.split()[-1]) if done.returncode == 0 else None


def growth(title: str, size: str, seconds: float) -> int:
    """Return by how many bytes this process grows at most while a contestant runs.

    Before, it runs at the smallest size, which loads all that it is made of.
    """
    per_entry: dict[str, float] = {}
    _named(title, "S", per_entry).cost(seconds)
    running = _named(title, size, per_entry)
    gc.collect()
    forget_peak()
    before = peak_memory()
    running.cost(seconds)
    return peak_memory() - before


def _named(title: str, size: str, per_entry: dict[str, float]) -> Any:
    network = make_network(size)
    network.gradient(network.parameters)
    return next(one for one in contestants(size, network, per_entry, only=title))


def growth_beyond_user(network: Network, **options: Any) -> int:
    """Return the most that a check holds at once, the gradients that it is returned not counted.

    These are put into memory that tracemalloc does not see; what the loss holds while it runs is
    counted.
    """
    unseen = replace(network, allocate=_unseen)
    return _traced(lambda: gradcheck.check(plain_problem(unseen), **options))


def growth_of_sweep(shapes: Mapping[str, tuple[int, ...]]) -> int:
    """Return how much more a check of every entry holds at once than one without a sweep.

    At parameters of some shapes. The loss is half the sum of squares, as that of a network would
    take minutes.
    """
    rng = np.random.default_rng(0)
    parameters = {name: rng.standard_normal(shape) for name, shape in shapes.items()}

    def loss(given: Mapping[str, np.ndarray]) -> float:
        return 0.5 * sum(float(np.vdot(array, array)) for array in given.values())

    def gradient(given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        return {name: array.copy() for name, array in given.items()}

    problem = Problem(loss, gradient, parameters)
    whole, quick = (
        _traced(partial(gradcheck.check, problem, effort=effort))
        for effort in ("exhaustive", "quick")
    )
    return whole - quick


def _unseen(shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    count = int(np.prod(shape))
    memory = mmap.mmap(-1, max(1, count * np.dtype(dtype).itemsize))
    return np.frombuffer(memory, dtype, count).reshape(shape)


def _traced(call: Callable[[], Any]) -> int:
    gradcheck.check(plain_problem(make_network("S")))  # loads all modules
    gc.collect()
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        call()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
