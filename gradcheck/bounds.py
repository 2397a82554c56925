"""The box that parameters must stay in: what the caller says about it, and moves that respect it.

References
----------
scipy.optimize.minimize, whose `bounds` may be given here as they are given there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.leaves import Array, described
from gradcheck.parameters import LONE_NAME, children, unknown_name

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

# Where the same point lies outside both ways, the move ends this part of the way to a bound.
PART_OF_ROOM = 0.5


class OutOfBounds(ValueError):
    """A point that lies outside the bounds, where the user's code is not called."""


@dataclass(frozen=True, eq=False)
class Bounds:
    """The lowest and the highest value of every entry; none for names that are not here.

    Attributes
    ----------
    lower, upper: by name of the parameter, in its shape and precision; infinite where there is none
    """

    lower: Mapping[str, Array] = field(default_factory=dict)
    upper: Mapping[str, Array] = field(default_factory=dict)

    def hold(self, name: str, values: Array) -> bool:
        """Return whether all values of a parameter lie within its bounds."""
        return name not in self.lower or not bool(np.any(self._outside(name, values)))

    def hold_at(self, name: str, index: tuple[int, ...], value: Any) -> bool:
        """Return whether a value of one entry lies within its bounds."""
        if name not in self.lower:
            return True
        return bool(self.lower[name][index] <= value <= self.upper[name][index])

    def hold_each(self, name: str, positions: npt.NDArray[np.intp], values: Array) -> Mask:
        """Return which values of entries, a row for each, lie within the bounds of theirs."""
        if name not in self.lower:
            return np.ones(values.shape, bool)
        low, high = (side[name].flat[positions] for side in (self.lower, self.upper))
        return (values >= low[:, np.newaxis]) & (values <= high[:, np.newaxis])

    def within_width(self, name: str, scale: Floats) -> Floats:
        """Return the scale of every entry, at most as large as the box is wide: 0 where fixed."""
        if name not in self.lower:
            return scale
        with np.errstate(over="ignore"):
            return np.minimum(scale, (self.upper[name] - self.lower[name]).astype(np.float64))

    def free_count(self, name: str, array: Array) -> int:
        """Return how many entries of a parameter can be moved at all."""
        if name not in self.lower:
            return array.size
        return int(np.count_nonzero(self.lower[name] < self.upper[name]))

    def room(self, name: str, origin: Array) -> tuple[Floats, Floats]:
        """Return how far every entry may go down and up."""
        with np.errstate(over="ignore"):
            down, up = origin - self.lower[name], self.upper[name] - origin
        return down.astype(np.float64), up.astype(np.float64)

    def inward(self, name: str, origin: Array, direction: Floats, reach: float) -> Floats:
        """Return the direction, turned round in the entries that would leave their bounds.

        Only in those that do so within `reach` times the direction and have more room behind them:
        ahead, all of the direction then stays inside.
        """
        if name not in self.lower:
            return direction
        down, up = self.room(name, origin)
        ahead, behind = np.where(direction > 0.0, (up, down), (down, up))
        turned = (ahead < reach * np.abs(direction)) & (ahead < behind)
        return np.where(turned, -direction, direction)

    def still(self, name: str, origin: Array, direction: Floats, reach: float) -> Floats:
        """Return the direction, 0 in entries that would leave their bounds ahead or behind."""
        if name not in self.lower:
            return direction
        nearest = np.minimum(*self.room(name, origin))
        return np.where(nearest < reach * np.abs(direction), 0.0, direction)

    def turned_back(
        self, origins: Mapping[str, Array], moved: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Return moved parameters, each entry that would be outside moved the other way instead.

        Where that is outside too, it goes half the way to the bound that is further away.
        """
        return {
            name: self._turned_back(name, origins[name], array) if name in self.lower else array
            for name, array in moved.items()
        }

    def interior(self, name: str, array: Array, margin: Floats) -> Array:
        """Return the nearest values that are a margin away from the bounds."""
        if name not in self.lower:
            return array
        return np.clip(array, self.lower[name] + margin, self.upper[name] - margin)

    def _turned_back(self, name: str, origin: Array, moved: Array) -> Array:
        other = origin - (moved - origin)
        down, up = self.room(name, origin)
        halfway = origin + PART_OF_ROOM * np.where(up > down, up, -down)
        instead = np.where(self._outside(name, other), halfway, other)
        inside = np.where(self._outside(name, moved), instead, moved)
        return np.clip(inside, self.lower[name], self.upper[name])

    def _outside(self, name: str, values: Array) -> Mask:
        # Compared this way round, a NaN is outside.
        return ~((values >= self.lower[name]) & (values <= self.upper[name]))


def read_bounds(
    given: Any, names: Sequence[str], arrays: Mapping[str, Array], complex_names: Collection[str]
) -> Bounds:
    """Return the bounds of parameters, rounded to their precision.

    Parameters
    ----------
    given: None; an object with `lb` and `ub`; a pair (lower, upper), each a number, None or nested
        like the parameters; for one parameter, of any number of entries but two, a sequence with a
        pair (lowest, highest) per entry
    names: of all leaves
    arrays: those that have a derivative, as real numbers
    complex_names: names of the complex ones, which have no bounds

    Raises
    ------
    TypeError, ValueError
        when that says nothing about these parameters, or they are not within
    """
    if given is None:
        return Bounds()
    pair = _pair(given, arrays)
    sides = [dict(_spread(side, "", names)) for side in pair]
    lower, upper = {}, {}
    for name, array in arrays.items():
        shape = array.shape[:-1] if name in complex_names else array.shape
        with np.errstate(over="ignore"):
            low = _numbers("lower", name, sides[0].get(name), shape).astype(array.dtype)
            high = _numbers("upper", name, sides[1].get(name), shape).astype(array.dtype)
        if np.all(np.isneginf(low) & np.isposinf(high)):
            continue
        if name in complex_names:
            raise ValueError(f"bounds must not be given for {name!r}, whose numbers are complex")
        _check(name, array, low, high, hint=_hint(given, array))
        lower[name], upper[name] = low, high
    return Bounds(lower, upper)


def _pair(given: Any, arrays: Mapping[str, Array]) -> tuple[Any, Any]:
    """Return what is said about the lower and about the upper side."""
    if hasattr(given, "lb") and hasattr(given, "ub"):
        return given.lb, given.ub
    if not _is_sequence(given):
        raise TypeError(f"bounds must be (lower, upper) or have lb and ub, got {described(given)}")
    if len(given) == 2:
        return given[0], given[1]
    if len(arrays) > 1:
        raise ValueError(f"bounds must be two items, (lower, upper), got {len(given)} items")
    for name, array in arrays.items():
        if len(given) == array.size and all(_is_sequence(g) and len(g) == 2 for g in given):
            pairs = np.array([[*pair] for pair in given], dtype=object)
            low, high = (side.reshape(array.shape) for side in pairs.T)
            return {name: low}, {name: high}
    raise ValueError(
        "bounds must be two items, (lower, upper), or a pair (lowest, highest) per entry, "
        f"got {described(given)}"
    )


def _is_sequence(given: Any) -> bool:
    return isinstance(given, list | tuple) or (isinstance(given, np.ndarray) and given.ndim > 0)


def _spread(side: Any, path: str, names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Yield for names what one side says about them; a number speaks for all below its place."""
    parts = children(side)
    alone = not path and list(names) == [LONE_NAME] and not isinstance(side, Mapping)
    if path in names or alone:
        yield path or LONE_NAME, side
    elif parts is not None:
        for key, part in parts:
            yield from _spread(part, f"{path}.{key}" if path else key, names)
    else:
        below = [name for name in names if not path or name.startswith(f"{path}.")]
        if not below:
            raise ValueError(f"bounds name {unknown_name(path, list(names))}")
        if np.ndim(side):
            where = f" at {path!r}" if path else ""
            raise ValueError(
                f"bounds must be nested like the parameters{where}, got {described(side)}"
            )
        yield from ((name, side) for name in below)


def _numbers(which: str, name: str, value: Any, shape: tuple[int, ...]) -> Array:
    """Return one side of a parameter's bounds in its shape, infinite where there is none."""
    infinity = -np.inf if which == "lower" else np.inf
    numbers = None
    with suppress(ValueError):  # ragged, or text
        numbers = np.asarray(value)
        if numbers.dtype == object:
            filled = [infinity if item is None else item for item in numbers.flat]
            numbers = np.array(filled).reshape(numbers.shape)
    if numbers is None or numbers.dtype.kind not in "iuf":
        raise TypeError(f"{which} bounds of {name!r} must be numbers, got {described(value)}")
    if np.any(np.isnan(numbers)):
        raise ValueError(f"{which} bounds of {name!r} must be numbers, got nan")
    try:
        return np.broadcast_to(numbers, shape)
    except ValueError:
        raise ValueError(
            f"{which} bounds of {name!r} must be of its shape {shape}, got shape {numbers.shape}"
        ) from None


def _hint(given: Any, array: Array) -> str:
    """Return what two pairs may have been meant for."""
    ambiguous = array.size == 2 and _is_sequence(given) and all(map(_is_sequence, given))
    return "; two items are (lower, upper), not a pair per entry" if ambiguous else ""


def _check(name: str, array: Array, low: Array, high: Array, hint: str) -> None:
    for index in np.argwhere(low > high)[:1]:
        at = tuple(map(int, index))
        raise ValueError(
            f"lower bounds of {name!r} must not be above the upper ones, "
            f"got {low[at]} and {high[at]}{_place(at)}{hint}"
        )
    for index in np.argwhere((array < low) | (array > high))[:1]:
        at = tuple(map(int, index))
        raise ValueError(
            f"parameter {name!r} must lie within its bounds {low[at]} and {high[at]}, "
            f"got {array[at]}{_place(at)}{hint}"
        )


def _place(index: tuple[int, ...]) -> str:
    return f" at [{', '.join(map(str, index))}]" if index else ""
