"""The user's code as a diagnosis calls it: quietly, within the time there is, and never fatally."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from gradcheck.budget import Budget
from gradcheck.calling import Caller, TimedOut

# Of the user's code, altogether, where a check has no budget of its own.
MOST_SECONDS = 10.0


class NotKnown(Exception):
    """What the user's code would return is not known: it took too long, or there is no time."""


class Asker:
    """Makes calls that nobody has asked for, of code that may do anything.

    Parameters
    ----------
    make_caller: returns what makes the calls; a new one is needed after one that never ended
    budget: of the whole check
    most_seconds: that its calls may take altogether

    Attributes
    ----------
    calls: how many it has made
    """

    def __init__(
        self,
        make_caller: Callable[[], Caller] = Caller,
        budget: Budget | None = None,
        most_seconds: float = MOST_SECONDS,
    ) -> None:
        self._make_caller = make_caller
        self._caller = make_caller()
        self._budget = budget or Budget()
        self._seconds, self._most_seconds = 0.0, most_seconds
        self._too_slow: set[str] = set()
        self.calls = 0

    def ask(self, function: Callable[[], Any], what: str) -> Any:
        """Return what a function returns, or raise what it raises.

        Raises
        ------
        NotKnown
            where the time is over, the call takes too long or did so before, or it would end the
            process
        """
        if self._budget.is_spent() or self._seconds > self._most_seconds or what in self._too_slow:
            raise NotKnown(what)
        started = time.perf_counter()
        self.calls += 1
        try:
            return self._caller.call(function, what)
        except TimedOut:
            self._too_slow.add(what)
            self.close()
            self._caller = self._make_caller()
            raise NotKnown(what) from None
        except SystemExit:
            raise NotKnown(what) from None
        finally:
            self._seconds += time.perf_counter() - started

    def close(self) -> None:
        """Let go of the thread that calls were made in, if any."""
        self._caller.close()


@contextmanager
def quiet() -> Iterator[None]:
    """Keep to ourselves what numpy and the user's code warn of: these calls are our doing."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class AskedLayer:
    """A layer whose methods are called by an `Asker`."""

    def __init__(self, layer: Any, asker: Asker) -> None:
        self._layer, self._asker = layer, asker
        self.name: str = layer.name
        self.linear_in: Any = getattr(layer, "linear_in", None)
        self.preactivation = self._optional("preactivation")
        self.activate = self._optional("activate")

    def forward(self, parameters: Mapping[str, Any], inputs: Any) -> Any:
        """Return what the layer's forward does."""
        return self._ask("forward", parameters, inputs)

    def backward(self, cache: Any, upstream: Any) -> Any:
        """Return what the layer's backward does."""
        return self._ask("backward", cache, upstream)

    def _optional(self, method: str) -> Callable[..., Any] | None:
        """Return a method that a layer may have, None as of one that has none."""
        has_it = callable(getattr(self._layer, method, None))
        return partial(self._ask, method) if has_it else None

    def _ask(self, method: str, *given: Any) -> Any:
        what = f"{method} of layer {self.name!r}"
        return self._asker.ask(partial(getattr(self._layer, method), *given), what)


class AskedLoss:
    """A loss at the outputs whose methods are called by an `Asker`."""

    def __init__(self, loss: Any, asker: Asker) -> None:
        self._loss, self._asker = loss, asker
        # As of a loss that has none, None.
        self.per_sample: Callable[[Any, Any], Any] | None = None
        if callable(getattr(loss, "per_sample", None)):
            self.per_sample = self._per_sample

    def value(self, outputs: Any, targets: Any) -> Any:
        """Return what the loss's value does."""
        return self._asker.ask(partial(self._loss.value, outputs, targets), "value of the loss")

    def gradient(self, outputs: Any, targets: Any) -> Any:
        """Return what the loss's gradient does."""
        call = partial(self._loss.gradient, outputs, targets)
        return self._asker.ask(call, "gradient of the loss")

    def _per_sample(self, outputs: Any, targets: Any) -> Any:
        call = partial(self._loss.per_sample, outputs, targets)
        return self._asker.ask(call, "per_sample of the loss")
