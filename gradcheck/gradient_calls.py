"""The gradient called a few times, here and elsewhere: what it returns and leaves behind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from gradcheck.directions import Floats, entry_scales, norm
from gradcheck.execution import Evaluator
from gradcheck.leaves import Array
from gradcheck.pieces import in_pieces, is_finite, same_numbers
from gradcheck.repeats import difference, grows, is_stale
from gradcheck.returned import Returned

Arrays = Mapping[str, Array]

# Far enough for every gradient to change visibly, in float32 too, and near enough to stay inside
# most domains. Entries move away from zero: what is positive stays so.
AWAY = 2.0**-7
# Rounds in which a suspected dependence on the order of calls has to show: chance does not.
ROUNDS = 4
# Beyond this many steps, whether two arrays share memory is not worth knowing.
MAX_OVERLAP_WORK = 10_000


class Mutated(Exception):
    """A call of the loss or gradient changed the parameters it was given."""

    def __init__(self, what: str, names: tuple[str, ...]) -> None:
        super().__init__(f"the {what} changed {', '.join(names)}")
        self.what = what
        self.names = names


@dataclass(frozen=True, eq=False)
class GradientCalls:
    """What the calls of the gradient returned, as copies by parameter name.

    Attributes
    ----------
    first: right after the loss at the given parameters, as it was read
    repeats: all calls at the given parameters, the first included
    growing: names of those to which every call adds the same
    stale: by how much a gradient differs after the loss was evaluated elsewhere, where it does so
        every time
    overwritten: names of returned arrays that a later call wrote to
    shared: for names of returned arrays in a parameter's memory, that parameter
    """

    first: Returned
    repeats: Sequence[Arrays]
    growing: tuple[str, ...] = ()
    stale: Mapping[str, float] = field(default_factory=dict)
    overwritten: tuple[str, ...] = ()
    shared: Mapping[str, str] = field(default_factory=dict)


def moved_away(evaluator: Evaluator, names: Sequence[str]) -> Arrays:
    """Return values of these parameters at which every loss and gradient differs visibly."""
    given = {name: evaluator.original[name] for name in names}
    away = entry_scales(given)
    for name, move in away.items():
        for moved, origin in in_pieces(move, given[name]):
            np.multiply(moved, AWAY, out=moved)
            np.copysign(moved, origin, out=moved)
            np.add(moved, origin, out=moved, casting="same_kind")
    return evaluator.bounds.turned_back(given, away)


def effect_elsewhere(evaluator: Evaluator, scales: Mapping[str, Floats]) -> float:
    """Return the largest effect a parameter has a little way off, 0 where none is known.

    Where the gradient is about zero, at an optimum or a flat bound, that is what counts as large.
    """
    found = evaluator.gradient_at(moved_away(evaluator, tuple(scales)), tuple(scales))
    effects = [
        norm(array * scales[name])
        for name, array in found.items()
        if array.shape == scales[name].shape and is_finite(array)
    ]
    return max(effects, default=0.0)


def call_gradient(
    evaluator: Evaluator, names: Sequence[str], value: float, away: Arrays
) -> GradientCalls:
    """Call the gradient at the given parameters, where the loss was called last, and elsewhere.

    Exceptions of the user's code at the given parameters propagate.

    Parameters
    ----------
    evaluator: makes the calls
    names: of the parameters wanted
    value: the loss at the given parameters
    away: other parameters; see `moved_away`

    Raises
    ------
    Mutated
        when a call changes the parameters it was given
    """
    calls = _Calls(evaluator, names, value, away)
    if not callable(evaluator.problem.gradient) or len(calls.first.faulty) == len(names):
        return GradientCalls(calls.first, [calls.kept])
    return calls.made()


class _Calls:
    """The first call, and those after it."""

    def __init__(
        self, evaluator: Evaluator, names: Sequence[str], value: float, away: Arrays
    ) -> None:
        self.evaluator = evaluator
        self.names = names
        self.value = value
        self.away = away
        self.first = evaluator.read(evaluator.gradient_alone(), names)
        _stop_where_changed(evaluator, "gradient")
        self.kept: Arrays = self.first.copied()
        self.comparable = [
            name
            for name, array in self.kept.items()
            if array.shape == evaluator.original[name].shape and is_finite(array)
        ]

    @cached_property
    def scales(self) -> dict[str, Floats]:
        """Distances that count as of order one."""
        return entry_scales({name: self.evaluator.original[name] for name in self.names})

    def made(self) -> GradientCalls:
        """Make them, each where it shows something."""
        shared = _shared(self.first.arrays, self.evaluator.working)
        self._elsewhere(lambda gradient: None)
        overwritten = self._overwritten()
        self.first = replace(self.first, arrays=self.kept)  # large ones may go
        repeats = [self.kept, self._again()]
        if self._unsteady(repeats):
            repeats += [self._again(), self._again()]
        unsteady = self._unsteady(repeats)
        growing = tuple(n for n in unsteady if grows(*(call[n] for call in repeats[-3:])))
        return GradientCalls(
            first=self.first,
            repeats=repeats,
            growing=growing,
            stale=self._stale(repeats, growing),
            overwritten=overwritten,
            shared=shared,
        )

    def _copied(self, gradient: Any) -> Arrays:
        return self.evaluator.read(gradient, self.names).copied()

    def _elsewhere(self, read: Callable[[Any], Arrays | None]) -> Arrays | None:
        """Return what is read of the gradient at other parameters, right after the loss there.

        None where one of them raises.
        """

        def loss_and_gradient() -> Arrays | None:
            self.evaluator.loss()
            return read(self.evaluator.gradient_alone())

        found: Arrays | None
        found, changed = self.evaluator.call_at(self.away, loss_and_gradient)
        if changed:
            raise Mutated("gradient", changed)
        return found

    def _again(self) -> Arrays:
        try:
            gradient = self.evaluator.gradient()
        except Exception:
            if self.evaluator.loss_first:
                raise
            # It may insist on the loss at the same parameters before.
            self.evaluator.loss_first = True
            gradient = self.evaluator.gradient()
        found = self.evaluator.read(gradient, self.names).arrays
        _stop_where_changed(self.evaluator, "gradient")
        return {name: self._repeated(name, found) for name in self.kept}

    def _repeated(self, name: str, found: Arrays) -> Array:
        """Return a copy of what a call returned: what is kept already, where that is the same."""
        kept = self.kept[name]
        if name not in found:
            # What one call returns and another does not is as good as not finite.
            return np.full_like(kept, np.nan, float)
        return kept if same_numbers(found[name], kept) else found[name].copy()

    def _overwritten(self) -> tuple[str, ...]:
        return tuple(
            name
            for name, kept in self.kept.items()
            if not same_numbers(self.first.arrays[name], kept)
        )

    def _unsteady(self, repeats: Sequence[Arrays]) -> list[str]:
        return [
            name
            for name in self.comparable
            if any(difference(repeats[0][name], call[name]) is not None for call in repeats[1:])
        ]

    def _stale(self, repeats: Sequence[Arrays], growing: Sequence[str]) -> dict[str, float]:
        """Return how far gradients are off after the loss was evaluated elsewhere, by name."""
        unsteady = self._unsteady(repeats)
        if self.evaluator.loss_first:
            # All repeats were made right after the loss here.
            after_elsewhere = self._after_loss_elsewhere()
            suspects = [name for name in after_elsewhere if name not in unsteady]
        else:
            # The second was called after the loss elsewhere, the first was not.
            after_elsewhere, suspects = repeats[1], unsteady
        suspects = [name for name in suspects if name not in growing]
        suspects = self._are_stale(suspects, after_elsewhere) if suspects else []
        confirmed = self._confirmed(suspects, after_elsewhere)
        self.evaluator.loss_first |= bool(confirmed)
        return {
            name: float(np.max(np.abs(after_elsewhere[name] - self.kept[name])))
            for name in confirmed
        }

    def _are_stale(self, suspects: Sequence[str], after_elsewhere: Arrays) -> list[str]:
        elsewhere = self._elsewhere(self._copied) or {}
        size = self._size()
        return [
            name
            for name in suspects
            if is_stale(
                (self.kept[name], after_elsewhere[name], elsewhere.get(name)),
                self.scales[name],
                size,
            )
        ]

    def _size(self) -> float:
        """Return what the terms of the gradient may be as large as, in the unit of the loss."""
        effects = [
            float(np.max(np.abs(self.kept[name]) * self.scales[name])) for name in self.comparable
        ]
        return max([abs(float(self.value)), *effects])

    def _confirmed(self, suspects: list[str], stale: Arrays) -> list[str]:
        for _ in range(ROUNDS if suspects else 0):
            self.evaluator.loss()
            fresh = self._copied(self.evaluator.gradient_alone())
            again = self._after_loss_elsewhere()
            suspects = [
                name
                for name in suspects
                if _agree(fresh, self.kept, name) and _agree(again, stale, name)
            ]
        return suspects

    def _after_loss_elsewhere(self) -> Arrays:
        """Return the gradient here, right after the loss at other parameters; {} if it raises."""
        self.evaluator.loss_at(self.away)
        try:
            found = self._copied(self.evaluator.gradient_alone())
        except Exception:
            return {}
        finally:
            _stop_where_changed(self.evaluator, "gradient")
        return {name: array for name, array in found.items() if name in self.comparable}


def _agree(one: Arrays, other: Arrays, name: str) -> bool:
    return name in one and difference(one[name], other[name]) is None


def _stop_where_changed(evaluator: Evaluator, what: str) -> None:
    if changed := evaluator.changed_parameters():
        raise Mutated(what, changed)


def _shared(gradients: Arrays, working: Arrays) -> dict[str, str]:
    """Return for gradients that lie in the memory of a parameter the name of that."""
    owners: dict[int, list[str]] = {}
    for name, array in working.items():
        owners.setdefault(id(_root(array)), []).append(name)
    return {
        name: parameter
        for name, array in gradients.items()
        for parameter in owners.get(id(_root(array)), ())
        if _overlap(array, working[parameter])
    }


def _root(array: Array) -> Any:
    """Return the object that holds an array's memory."""
    root: Any = array
    while isinstance(root, np.ndarray) and root.base is not None:
        root = root.base
    return root


def _overlap(one: Array, other: Array) -> bool:
    most: Any = MAX_OVERLAP_WORK  # numpy's annotation knows its two special values only
    try:
        return bool(np.shares_memory(one, other, max_work=most))
    except np.exceptions.TooHardError:
        return False
