"""Calling the user's functions: seeded alike every time, and for a limited time only."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import copy_context
from functools import partial
from numbers import Integral
from queue import Empty, SimpleQueue
from threading import TIMEOUT_MAX, Thread
from typing import Any

import numpy as np

# What numpy.random.seed takes.
LARGEST_SEED = 2**32 - 1

Seeding = Callable[[], AbstractContextManager[None]]


class TimedOut(BaseException):
    """A call of the user's code that took too long.

    No Exception: whoever takes what a loss raises for the end of its domain must not take this.
    """

    def __init__(self, what: str, seconds: float) -> None:
        super().__init__(f"the {what} took longer than {seconds:g} seconds")


class Caller:
    """Calls functions, each from the same random state and each within `timeout` seconds.

    Parameters
    ----------
    reseed: see `seeding`
    timeout: seconds; None to wait for ever
    """

    def __init__(self, reseed: Any = None, timeout: float | None = None) -> None:
        self._seeded = seeding(reseed)
        self._timeout = timeout
        self._worker: _Worker | None = None

    def call(self, function: Callable[[], Any], what: str) -> Any:
        """Return what `function` returns, or raise what it raises.

        Raises
        ------
        TimedOut
            when it takes longer than the timeout; it is left to itself then
        """
        if self._seeded is nullcontext and self._timeout is None:
            return function()
        with self._seeded():
            if self._timeout is None:
                return function()
            if self._worker is None:
                self._worker = _Worker()
            try:
                return self._worker.call(function, self._timeout)
            except Empty:
                raise TimedOut(what, self._timeout) from None

    def close(self) -> None:
        """Let go of the thread that calls were made in, if any."""
        if self._worker is not None:
            self._worker.close()
            self._worker = None


def seeding(reseed: Any) -> Seeding:
    """Return what makes the random numbers of a block of code the same every time.

    Parameters
    ----------
    reseed: a whole number, from which ``random`` and ``numpy.random`` are seeded, and put back
        afterwards to the state they had; a Generator, which starts from its present state every
        time and is left in it; a function to call before; None for nothing of this

    Raises
    ------
    TypeError, ValueError
        when it is anything else
    """
    if reseed is None:
        return nullcontext
    if isinstance(reseed, np.random.Generator):
        return partial(_rewound, reseed.bit_generator, reseed.bit_generator.state)
    if isinstance(reseed, Integral) and not isinstance(reseed, bool):
        seed = int(reseed)
        if not 0 <= seed <= LARGEST_SEED:
            raise ValueError(f"reseed must be between 0 and {LARGEST_SEED}, got {seed}")
        return partial(_seeded, seed)
    if callable(reseed):
        return partial(_after, reseed)
    raise TypeError(
        "reseed must be a whole number, a numpy.random.Generator or a function, "
        f"got {type(reseed).__name__} {reseed!r}"
    )


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    # The global state is what the user's code draws from; ours never does.
    kept, kept_by_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        yield
    finally:
        random.setstate(kept)
        np.random.set_state(kept_by_numpy)  # noqa: NPY002


@contextmanager
def _rewound(generator: np.random.BitGenerator, state: Any) -> Iterator[None]:
    generator.state = state
    try:
        yield
    finally:
        generator.state = state


@contextmanager
def _after(function: Callable[[], Any]) -> Iterator[None]:
    function()
    yield


class _Worker:
    """A thread that makes one call after the other.

    One for all calls: code that keeps something per thread finds it again.
    """

    def __init__(self) -> None:
        self._calls: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self._results: SimpleQueue[tuple[Any, BaseException | None]] = SimpleQueue()
        # A daemon: a call that never ends must not keep the process from ending.
        Thread(target=self._serve, name="gradcheck", daemon=True).start()

    def call(self, function: Callable[[], Any], seconds: float) -> Any:
        """Return what `function` returns; raise Empty where it has not after so many seconds."""
        # Not all that numpy ignores is kept in the context: before version 2 it was per thread.
        within = partial(_with_errors_as, np.geterr(), function)
        self._calls.put(partial(copy_context().run, within))
        result, error = self._results.get(timeout=min(seconds, TIMEOUT_MAX))
        if error is not None:
            raise error
        return result

    def close(self) -> None:
        self._calls.put(None)

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                self._results.put((call(), None))
            except BaseException as error:
                self._results.put((None, error))


def _with_errors_as(settings: Any, function: Callable[[], Any]) -> Any:
    with np.errstate(**settings):
        return function()
