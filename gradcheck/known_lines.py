"""What is known beforehand about the lines along many entries, as arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np

from gradcheck.directions import Floats
from gradcheck.ladder import SHARPNESS, LineSettings


@dataclass(frozen=True, eq=False)
class Lines:
    """What is known beforehand about many lines: `LineSettings` with arrays.

    Attributes
    ----------
    slope, round_off, scale, first_step, reference, negligible: arrays, (lines,)
    required, enough, comparing: the same for all
    """

    slope: Floats
    round_off: Floats
    scale: Floats
    first_step: Floats
    reference: Floats
    negligible: Floats
    required: float
    enough: float
    comparing: bool

    def __len__(self) -> int:
        return self.slope.size

    def chosen(self, which: Any) -> Self:
        """Return the lines at these places."""
        held = {field.name: getattr(self, field.name) for field in fields(self)}
        taken = {k: array[which] for k, array in held.items() if isinstance(array, np.ndarray)}
        return replace(self, **taken)

    def starting(self, first_step: Floats) -> Self:
        """Return the same lines with other first steps."""
        return replace(self, first_step=first_step)

    def settings(self, place: int) -> LineSettings:
        """Return what is known about one line."""
        return LineSettings(
            slope=float(self.slope[place]),
            slope_round_off=float(self.round_off[place]),
            scale=float(self.scale[place]),
            first_step=float(self.first_step[place]),
            required=self.required,
            reference=float(self.reference[place]),
            enough=self.enough,
            negligible=float(self.negligible[place]),
            comparing=self.comparing,
        )

    def target(self, estimate: Floats | float = 0.0) -> Floats:
        """Return the error bars that are sharp enough to stop at; see `LineSettings.target`."""
        size = np.maximum(np.abs(self.slope), np.abs(self.slope + estimate))
        size = np.maximum(size, self.reference)
        return np.where(size > 0.0, SHARPNESS * self.required * size, math.inf)
