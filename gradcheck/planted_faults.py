"""Faults for the self-test: what they do to a correct gradient, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.execution import Array
from gradcheck.parameters import flatten, rebuilder

Spoil = Callable[[dict[str, Array], int], None]

# Every built-in network has a second layer, in the middle or at the end.
WEIGHT, BIAS = "layer2.weight", "layer2.bias"


@dataclass(frozen=True)
class Fault:
    """A way for a gradient to be wrong.

    Attributes
    ----------
    name: what the self-test calls it
    spoil: changes the named arrays of a correct gradient; it is told the batch size
    """

    name: str
    spoil: Spoil


@dataclass(frozen=True)
class SpoiltGradient:
    """A gradient function with a fault planted in what it returns."""

    correct: Callable[..., Any]
    spoil: Spoil
    batch: int

    def __call__(self, parameters: Any, *args: Any) -> Any:
        """Return the wrong gradient."""
        gradient = self.correct(parameters, *args)
        arrays = {name: np.array(array) for name, array in flatten(gradient).items()}
        self.spoil(arrays, self.batch)
        return rebuilder(gradient)(arrays)


def _double(gradient: dict[str, Array], batch: int) -> None:
    gradient[WEIGHT] *= 2


def _negate(gradient: dict[str, Array], batch: int) -> None:
    gradient[BIAS] *= -1


def _transpose(gradient: dict[str, Array], batch: int) -> None:
    # Where the shapes differ nobody could make this mistake unnoticed.
    if gradient[WEIGHT].shape[0] == gradient[WEIGHT].shape[1]:
        gradient[WEIGHT] = gradient[WEIGHT].T.copy()


def _forget_batch(gradient: dict[str, Array], batch: int) -> None:
    for name in gradient:
        gradient[name] *= batch


def _zero_column(gradient: dict[str, Array], batch: int) -> None:
    gradient[WEIGHT][:, -1] = 0


def _swap_rows(gradient: dict[str, Array], batch: int) -> None:
    gradient[WEIGHT][[0, 1]] = gradient[WEIGHT][[1, 0]]


def _stretch_bias(gradient: dict[str, Array], batch: int) -> None:
    gradient[BIAS] *= 1.001


def _stretch_entry(relative: float) -> Spoil:
    """Return what makes an entry of typical size wrong by that part of itself."""

    def spoil(gradient: dict[str, Array], batch: int) -> None:
        entries = gradient[WEIGHT].reshape(-1)
        order = np.argsort(np.abs(entries))
        position = order[np.count_nonzero(entries == 0) :]
        if len(position):
            entries[position[len(position) // 2]] *= 1 + relative

    return spoil


def round_to_float32(gradient: dict[str, Array], batch: int) -> None:
    """Return a gradient that is right, and less precise than it could be: no fault."""
    for name, array in gradient.items():
        gradient[name] = array.astype(np.float32)


FAULTS = (
    Fault("weight doubled", _double),
    Fault("bias negated", _negate),
    Fault("square weight transposed", _transpose),
    Fault("1/batch forgotten", _forget_batch),
    Fault("column of zeros", _zero_column),
    Fault("two rows swapped", _swap_rows),
    Fault("bias off by 0.1 %", _stretch_bias),
    Fault("one entry off by 1e-2", _stretch_entry(1e-2)),
    Fault("one entry off by 1e-4", _stretch_entry(1e-4)),
    Fault("one entry off by 1e-6", _stretch_entry(1e-6)),
)
