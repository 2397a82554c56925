"""Bugs as a person writes them, which entries each makes wrong, and what a check makes of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from speed_networks import (
    NO_DERIVATIVE,
    NO_MEAN,
    SIZES,
    TRANSPOSED,
    VALUE_FOR_DERIVATIVE,
    Arrays,
    Network,
)

# An error below this part of the largest entry of the gradient may be named or not.
VISIBLE = 1e-12

Gradient = Callable[[Mapping[str, np.ndarray]], Arrays]
Spoil = Callable[[Arrays, Network, Mapping[str, np.ndarray]], None]


@dataclass(frozen=True)
class Bug:
    """A way for a gradient to be wrong: a slip in the backward pass, or a spoilt result."""

    title: str
    slip: str = ""
    spoil: Spoil | None = None

    def gradient(self, network: Network) -> Gradient:
        """Return the gradient of a network with this bug."""
        return partial(self._gradient, network)

    def _gradient(self, network: Network, parameters: Mapping[str, np.ndarray]) -> Arrays:
        found = network.gradient(parameters, self.slip)
        if self.spoil is not None:
            self.spoil(found, network, parameters)
        return found


def _entry(name: str, relative: float) -> Spoil:
    """Return what spoils the entry that is of middling size at the network's parameters."""

    def spoil(found: Arrays, network: Network, at: Mapping[str, np.ndarray]) -> None:
        sizes = np.abs(network.gradient(network.parameters)[name])
        middle = np.unravel_index(np.argsort(sizes, axis=None)[sizes.size // 2], sizes.shape)
        found[name][middle] *= 1.0 + relative

    return spoil


def _scale(names: Sequence[str], factor: float) -> Spoil:
    def spoil(found: Arrays, network: Network, at: Mapping[str, np.ndarray]) -> None:
        for name in names or found:
            found[name] *= factor

    return spoil


def _bias_of_first(found: Arrays, network: Network, at: Mapping[str, np.ndarray]) -> None:
    first = Network(network.inputs[:1], network.targets[:1], network.parameters)
    found["b1"][...] = first.gradient(at)["b1"] / len(network.inputs)


def _zero_column(found: Arrays, network: Network, at: Mapping[str, np.ndarray]) -> None:
    found["W1"][len(found["W1"]) // 2] = 0.0


def _swapped_rows(found: Arrays, network: Network, at: Mapping[str, np.ndarray]) -> None:
    found["W2"][:, [0, 1]] = found["W2"][:, [1, 0]]


def _transposed_result(found: Arrays, network: Network, at: Mapping[str, np.ndarray]) -> None:
    found["W1"] = found["W1"].T.copy()


TWICE_W1 = Bug("dW1 doubled", spoil=_scale(["W1"], 2.0))
ZERO_W1 = Bug("dW1 zero", spoil=_scale(["W1"], 0.0))
COMMON = (
    Bug("one entry by 1e-2", spoil=_entry("W2", 1e-2)),
    Bug("one entry by 1e-5", spoil=_entry("W2", 1e-5)),
    Bug("no 1/batch", NO_MEAN),
    Bug("× 2", spoil=_scale([], 2.0)),
    Bug("a bias sign", spoil=_scale(["b2"], -1.0)),
    Bug("no f'", NO_DERIVATIVE),
    Bug("f for f'", VALUE_FOR_DERIVATIVE),
    Bug("bias from the first sample", spoil=_bias_of_first),
    Bug("a zero column", spoil=_zero_column),
    Bug("one entry by 0.5", spoil=_entry("W1", 0.5)),
    Bug("two rows swapped", spoil=_swapped_rows),
)


def bugs_of(size: str) -> tuple[Bug, ...]:
    """Return the bugs of a size: where a weight is square, it can be transposed as well."""
    if size == "V":
        return TWICE_W1, ZERO_W1
    widths, _ = SIZES[size]
    if widths[1] == widths[2]:
        return *COMMON, Bug("W2 transposed", TRANSPOSED)
    if widths[0] == widths[1]:
        return *COMMON, Bug("dW1 transposed", spoil=_transposed_result)
    return COMMON


@dataclass(frozen=True, eq=False)
class Truth:
    """Which entries a bug makes wrong, and which it leaves exactly as they are."""

    wrong: Mapping[str, np.ndarray]
    right: Mapping[str, np.ndarray]

    @property
    def names(self) -> frozenset[str]:
        """The wrong parameters."""
        return frozenset(name for name, mask in self.wrong.items() if mask.any())


def truth_of(network: Network, claimed: Mapping[str, np.ndarray]) -> Truth:
    """Return what is wrong in a claimed gradient, from the right one."""
    right = network.gradient(network.parameters)
    visible = VISIBLE * max(float(np.max(np.abs(array))) for array in right.values())
    errors = {name: np.abs(claimed[name] - array) for name, array in right.items()}
    return Truth(
        {name: error > visible for name, error in errors.items()},
        {name: error == 0.0 for name, error in errors.items()},
    )


@dataclass(frozen=True, eq=False)
class Said:
    """What a check says: whether all is right, and the parameters and entries it calls wrong.

    None for parameters or entries that it does not tell, or for a parameter whose entries it does
    not.
    """

    alarm: bool
    names: frozenset[str] | None = None
    entries: Mapping[str, np.ndarray | None] | None = None


def grade(truth: Truth, said: Said) -> str:
    """Return a letter for what was said of a bug.

    E: exactly the wrong entries; P: exactly the wrong parameters; p: some of them; D: that
    something is wrong; "!": something right was accused; ".": missed
    """
    if not said.alarm:
        return "."
    if said.names is None:
        return "D"
    if said.names - truth.names:
        return "!"
    if said.names != truth.names:
        return "p"
    return "E" if _exact(truth, said) else "P"


def _exact(truth: Truth, said: Said) -> bool:
    if said.entries is None:
        return False
    for name in truth.names:
        mask = said.entries.get(name)
        if mask is None:
            return False
        if np.any(truth.wrong[name] & ~mask) or np.any(truth.right[name] & mask):
            return False
    return True


def said_by_array(claimed: Mapping[str, np.ndarray], numerical: Mapping[str, np.ndarray]) -> Said:
    """Return what np.isclose with its defaults says of a claimed and a numerical gradient."""
    masks = {name: ~np.isclose(claimed[name], numerical[name]) for name in claimed}
    names = frozenset(name for name, mask in masks.items() if mask.any())
    return Said(bool(names), names, masks)
