"""The time that parts of a check take: their functions, wherever a check calls them."""

from __future__ import annotations

import importlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

from speed_clock import LEAST_SECONDS

# Directions through the network by the user's loss, the numbers of its entries, whether they add up
# to what the directions showed, their comparison and its judgement; the parts follow each other.
CERTIFIED = (
    "gradcheck.measuring.probe_parameters",
    "gradcheck.layered_entries._numbers",
    "gradcheck.layered_entries._certified",
    "gradcheck.layered_entries.Layered.entries",
    "gradcheck.measuring.judge",
)


def seconds_within(functions: Sequence[str], call: Callable[[], Any]) -> float:
    """Return the median processor time that a call spends in some functions, repeated a while."""
    times: list[float] = []
    started = time.process_time()
    while not times or time.process_time() - started < LEAST_SECONDS:
        spent = [0.0]
        with _timed(functions, spent):
            call()
        times.append(spent[0])
    return statistics.median(times)


@contextmanager
def _timed(functions: Sequence[str], spent: list[float]) -> Iterator[None]:
    with ExitStack() as stack:
        for path in functions:
            holder, _, name = path.rpartition(".")
            function = getattr(_found(holder), name)
            stack.enter_context(mock.patch(path, _timing(function, spent)))
        yield


def _found(path: str) -> Any:
    """Return the module, or the class in one, at a path."""
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError:
        module, _, name = path.rpartition(".")
        return getattr(importlib.import_module(module), name)


def _timing(function: Callable[..., Any], spent: list[float]) -> Callable[..., Any]:
    def timed(*given: Any, **options: Any) -> Any:
        started = time.process_time()
        try:
            return function(*given, **options)
        finally:
            spent[0] += time.process_time() - started

    return timed
