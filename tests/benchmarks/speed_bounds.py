"""Bounds: what is required, what was measured, and whether it is met."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from speed_power import Caught, RightGradients
from tables import markdown_table

HEADER = ("part", "bound", "required", "measured", "")


@dataclass(frozen=True)
class Bound:
    """One requirement; `met` is None where nothing was measured."""

    title: str
    required: str
    measured: str
    met: bool | None

    @property
    def cells(self) -> list[str]:
        """The cells of its row."""
        said = {True: "met", False: "NOT MET", None: "not measured"}[self.met]
        return [self.title, self.required, self.measured, said]


def table(bounds: Mapping[str, Sequence[Bound]]) -> str:
    """Return the table of all bounds, by the part of the requirements they belong to."""
    rows = [[part, *bound.cells] for part, found in bounds.items() for bound in found]
    return markdown_table(HEADER, rows)


def at_most(title: str, most: float, value: float, unit: str = "", also: str = "") -> Bound:
    """Return the bound that a value is at most so much."""
    met = None if math.isnan(value) else value <= most
    return Bound(title, f"≤ {_number(most)}{unit}", _with_unit(value, unit) + also, met)


def at_least(title: str, least: float, value: float, unit: str = "", also: str = "") -> Bound:
    """Return the bound that a value is at least so much."""
    met = None if math.isnan(value) else value >= least
    return Bound(title, f"≥ {_number(least)}{unit}", _with_unit(value, unit) + also, met)


def exactly_named(title: str, letters: Sequence[str], *, entries: bool) -> Bound:
    """Return the bound that every bug is caught with exactly what is wrong."""
    caught = Caught.of(letters)
    count = caught.entries if entries else caught.parameters
    measured = f"{count} of {caught.total}"
    if count < caught.total:
        measured += f" (caught {caught.caught}, something right accused {caught.accused})"
    return Bound(title, "all", measured, count == caught.total if letters else None)


def no_alarm(title: str, right: RightGradients) -> Bound:
    """Return the bound that no right gradient is called wrong."""
    measured = f"{right.accused} of {right.total}, inconclusive {right.undecided}"
    return Bound(title, "0", measured, right.accused == 0 if right.total else None)


def not_measured(title: str, required: str, why: str) -> Bound:
    """Return a bound that nothing was measured for."""
    return Bound(title, required, why, None)


def _with_unit(value: float, unit: str) -> str:
    return "–" if math.isnan(value) else f"{_number(value)}{unit}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
