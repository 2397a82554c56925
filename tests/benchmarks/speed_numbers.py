"""How far the numerical gradient that goes through the layers is off, entry by entry."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from speed_layers import chain_of, layered_name
from speed_networks import Network

from gradcheck.layer_numbers import layered_gradient


@dataclass(frozen=True, eq=False)
class Numbers:
    """Errors, error bars and true derivatives of all entries, in one order."""

    errors: np.ndarray
    bars: np.ndarray
    truth: np.ndarray

    @property
    def inside(self) -> int:
        """How many errors are within their bars."""
        return int(np.count_nonzero(self.errors <= self.bars))

    @property
    def largest_relative_error(self) -> float:
        """The largest error relative to its derivative."""
        return float(np.max(self.errors / np.abs(self.truth)))


def numbers_of(network: Network, method: str = "auto") -> Numbers | None:
    """Return the numbers against backpropagation in 80 bits, None where there are not all."""
    wide = {name: array.astype(np.longdouble) for name, array in network.parameters.items()}
    exact = {layered_name(name): array for name, array in network.gradient(wide).items()}
    own = {layered_name(name): array for name, array in network.parameters.items()}
    found = layered_gradient(
        chain_of(network), own, network.inputs, network.targets,
        float(network.loss(network.parameters)), method=method,
    )  # fmt: skip
    if found is None or set(found.values) != set(exact):
        return None
    errors = [np.abs(found.values[name] - array).ravel() for name, array in exact.items()]
    bars = [found.error_bars[name].ravel() for name in exact]
    truth = [array.ravel() for array in exact.values()]
    return Numbers(*(np.concatenate(arrays) for arrays in (errors, bars, truth)))
