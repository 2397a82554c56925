"""The slopes along the entries of one parameter: arrays for all, and a word on those apart."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.conclusion import LineDerivative
from gradcheck.directions import Floats

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class EntryMeasurement:
    """The slope of the loss along one entry."""

    index: tuple[int, ...]
    analytic: float
    derivative: LineDerivative


@dataclass(frozen=True, eq=False)
class Entries:
    """The slopes of the loss along entries of one parameter, in the order they were compared.

    Most are smooth: an array says all there is to say. A million of them are no objects.

    Attributes
    ----------
    shape: of the parameter
    positions: flat positions of the entries; (entries,), as all arrays here
    analytic: what the gradient claims
    value, error_bar: the derivative and how far it may be off
    discrepancy: value minus analytic, free of the cancellation in that difference
    special: by place in these arrays, what was measured where there is more to say: a kink, noise,
        one side only, nothing at all
    """

    shape: tuple[int, ...]
    positions: npt.NDArray[np.intp]
    analytic: Floats
    value: Floats
    error_bar: Floats
    discrepancy: Floats
    special: Mapping[int, EntryMeasurement] = field(default_factory=dict)

    @classmethod
    def of(cls, shape: tuple[int, ...], measured: Iterable[EntryMeasurement]) -> Entries:
        """Return entries that were measured one by one."""
        listed = list(measured)
        if not listed:
            none = np.zeros(0)
            return cls(shape, np.zeros(0, np.intp), none, none, none, none)
        found = [entry.derivative for entry in listed]
        indices = np.array([entry.index for entry in listed], np.intp).reshape(
            len(listed), len(shape)
        )
        return cls(
            shape=shape,
            positions=_flat(indices, shape),
            analytic=np.array([entry.analytic for entry in listed], np.float64),
            value=np.array([derivative.value for derivative in found], np.float64),
            error_bar=np.array([derivative.error_bar for derivative in found], np.float64),
            discrepancy=np.array([derivative.discrepancy for derivative in found], np.float64),
            special={
                place: entry for place, entry in enumerate(listed) if not is_plain(entry.derivative)
            },
        )

    def __len__(self) -> int:
        return self.positions.size

    def __getitem__(self, place: int) -> EntryMeasurement:
        if place in self.special:
            return self.special[place]
        index = tuple(int(i) for i in np.unravel_index(self.positions[place], self.shape))
        derivative = LineDerivative(
            value=float(self.value[place]),
            error_bar=float(self.error_bar[place]),
            discrepancy=float(self.discrepancy[place]),
            smoothness="smooth",
            jump=0.0,
            evaluations=0,
            limit="precision",
            step_size=0.0,
        )
        return EntryMeasurement(index, float(self.analytic[place]), derivative)

    def __iter__(self) -> Iterator[EntryMeasurement]:
        return (self[place] for place in range(len(self)))

    def taken_from(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return these entries of an array of the parameter's shape."""
        return np.ravel(array)[self.positions]

    def chosen(self, which: Mask) -> Entries:
        """Return those that a mask chooses."""
        if which.all():
            return self
        places = np.cumsum(which) - 1
        return Entries(
            self.shape,
            *(self.positions[which], self.analytic[which], self.value[which]),
            *(self.error_bar[which], self.discrepancy[which]),
            special={int(places[n]): entry for n, entry in self.special.items() if which[n]},
        )

    def special_where(self, is_so: Callable[[LineDerivative], bool]) -> Mask:
        """Return a mask of those that are special, and so."""
        mask = np.zeros(len(self), dtype=bool)
        for place, entry in self.special.items():
            mask[place] = is_so(entry.derivative)
        return mask

    def with_special(self, measured: Mapping[int, LineDerivative]) -> Entries:
        """Return them with other measurements of some, given by place."""
        if not measured:
            return self
        value, bar = self.value.copy(), self.error_bar.copy()
        discrepancy, special = self.discrepancy.copy(), dict(self.special)
        for place, found in measured.items():
            value[place], bar[place] = found.value, found.error_bar
            discrepancy[place] = found.discrepancy
            special[place] = replace(self[place], derivative=found)
        return replace(self, value=value, error_bar=bar, discrepancy=discrepancy, special=special)


def _flat(indices: npt.NDArray[np.intp], shape: tuple[int, ...]) -> npt.NDArray[np.intp]:
    if not shape:  # a number has one position
        return np.zeros(len(indices), np.intp)
    return np.asarray(np.ravel_multi_index(tuple(indices.T), shape), np.intp)


def is_plain(found: LineDerivative) -> bool:
    """Return whether there is no more to say about a slope than what the arrays hold."""
    is_smooth = found.smoothness == "smooth" and not found.side and found.beside is None
    return is_smooth and found.limit == "precision" and bool(np.isfinite(found.discrepancy))
