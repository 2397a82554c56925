"""The activation of a layer, from pre-activations to outputs, as far as its forward pass shows it.

Nobody says what the activation is. But outputs and pre-activations are known wherever the layer is
evaluated, and so are the slopes of the ones along the others: da = J dz.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gradcheck.diagnosis.slopes import Differentiator, Line
from gradcheck.directions import Floats, norm

# Directions that slopes are fitted to; one more checks the fit.
DIRECTIONS = 3
# Fits count where they leave no more than this.
FITTING = 1e-7
# Units of a layer whose outputs depend on each other, at most, and calls for their derivatives: it
# takes two directions for each.
MOST_MIXED = 64
MOST_CALLS = 4_000


@dataclass(frozen=True)
class Activation:
    """The derivative of outputs by pre-activations.

    Attributes
    ----------
    slopes: f'(z) entry by entry; None where the outputs of a sample depend on each other
    jacobian: of every sample, (samples, outputs, pre-activations), where they do
    sample_axis: which axis counts the samples, for those
    """

    slopes: Floats | None
    jacobian: Floats | None = None
    sample_axis: int = 0

    def delta(self, upstream: Floats) -> Floats:
        """Return the gradient at the pre-activations for an upstream at the outputs."""
        if self.slopes is not None:
            return upstream * self.slopes
        return self._along_samples(np.einsum("ni,nij->nj", self._rows(upstream), self._held))

    @property
    def diagonal(self) -> Floats:
        """The derivative of every output by its own pre-activation."""
        if self.slopes is not None:
            return self.slopes
        return self._along_samples(np.einsum("nii->ni", self._held))

    @property
    def _held(self) -> Floats:
        assert self.jacobian is not None
        return self.jacobian

    def _rows(self, array: Floats) -> Floats:
        return array.T if self.sample_axis else array

    def _along_samples(self, rows: Floats) -> Floats:
        return rows.T if self.sample_axis else rows


def read_activation(
    moved: Callable[[np.random.Generator], tuple[Line, Line]],
    differentiators: tuple[Differentiator, Differentiator],
    shape: tuple[int, ...],
    sample_axis: int,
    generator: np.random.Generator,
) -> Activation | None:
    """Return the derivative of a layer's outputs by its pre-activations.

    None where it is no function of a sample's pre-activations, or of too many.

    Parameters
    ----------
    moved: returns outputs and pre-activations along a random line through parameters and inputs
    differentiators: for outputs and for pre-activations
    shape: of both
    sample_axis: which axis counts samples, where the outputs of a sample depend on each other
    """

    def directions(count: int) -> tuple[Floats, Floats]:
        lines = [moved(generator) for _ in range(count)]
        outputs, preactivations = (
            np.stack([differentiator.slope(line[place]) for line in lines])
            for place, differentiator in enumerate(differentiators)
        )
        return outputs, preactivations

    few = directions(DIRECTIONS + 1)
    if (slopes := _entrywise(*few)) is not None:
        return Activation(slopes)
    if len(shape) != 2 or shape[1 - sample_axis] > MOST_MIXED:
        return None
    count = 2 * shape[1 - sample_axis]
    if count * sum(differentiator.calls for differentiator in differentiators) > MOST_CALLS:
        return None
    jacobian = _per_sample(*directions(count), sample_axis)
    return None if jacobian is None else Activation(None, jacobian, sample_axis)


def _entrywise(outputs: Floats, preactivations: Floats) -> Floats | None:
    """Return f' with da = f' dz in every entry, None where there is none."""
    squares = np.sum(preactivations[:-1] ** 2, axis=0)
    if not np.all(squares > 0.0):
        return None
    slopes: Floats = np.sum(outputs[:-1] * preactivations[:-1], axis=0) / squares
    return slopes if _fits(slopes * preactivations, outputs) else None


def _per_sample(outputs: Floats, preactivations: Floats, sample_axis: int) -> Floats | None:
    """Return J with da = J dz in every sample, None where there is none."""
    samples = sample_axis + 1
    da, dz = (np.moveaxis(array, samples, 0) for array in (outputs, preactivations))
    # Of every sample, its matrix of changes: one row per direction.
    jacobian = np.stack(
        [np.linalg.lstsq(*pair, rcond=None)[0].T for pair in zip(dz, da, strict=True)]
    )
    return jacobian if _fits(dz @ jacobian.swapaxes(1, 2), da) else None


def _fits(fitted: Floats, changes: Floats) -> bool:
    return norm(fitted - changes) <= FITTING * norm(changes)
