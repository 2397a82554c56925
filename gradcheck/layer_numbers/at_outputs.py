"""The gradient of the loss at the outputs of a network, by differences of the loss alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.diagnosis.asking import AskedLoss
from gradcheck.directions import Floats
from gradcheck.ladder import EPSILON
from gradcheck.layer_numbers.evaluations import Array, SampleBySample, is_same
from gradcheck.layer_numbers.going_down import ROWS
from gradcheck.layer_numbers.linear_maps import Signal
from gradcheck.layer_numbers.passes import NotUnderstood
from gradcheck.many_lines import Slopes

# The network's loss is the user's where both agree to this, relative to it.
SAME_LOSS = 1e-6
# The losses of the samples add up to the loss, to this.
SAME_SUM = 1e-9
# How far outputs are moved relatively, to see whether they do so elsewhere.
NEARBY = 1e-2
# Numbers that the losses of samples may have to work through: a few seconds' worth.
MOST_NUMBERS = 500_000_000
# Calls of the loss that its derivatives by all outputs may take, without losses of the samples.
MOST_CALLS = 20_000


class LossAtOutputs:
    """The loss as functions of every output of every sample.

    Attributes
    ----------
    functions: of the outputs, one each
    factor: of their derivatives in the gradient
    """

    def __init__(
        self,
        loss: AskedLoss,
        outputs: Floats,
        targets: Any,
        value: float,
        generator: np.random.Generator,
    ) -> None:
        self._loss, self._outputs, self._targets = loss, outputs, targets
        self._own = own = self._value(outputs)
        if not abs(own - value) <= SAME_LOSS * abs(value):
            raise NotUnderstood("the network's loss is not the user's")
        self.factor = 1.0
        self.functions = self._by_samples(generator) or self.one_by_one()

    def _value(self, outputs: Array) -> Any:
        value = np.asarray(self._loss.value(outputs.copy(), self._targets)).reshape(())
        return value[()]

    def one_by_one(self) -> SampleBySample:
        """Return the loss as one sample, of as many units as there are outputs."""
        if self._outputs.size * ROWS > MOST_CALLS:
            raise NotUnderstood("too many outputs")
        shape = self._outputs.shape
        self.factor = 1.0

        def value(stacked: Array, copies: int) -> Array:
            return np.array([self._value(stacked.reshape(shape))])

        return SampleBySample(value, self._outputs.reshape(1, -1), stacks=False)

    def _by_samples(self, generator: np.random.Generator) -> SampleBySample | None:
        """Return the losses of the samples; None where they do not add up to the loss."""
        if self._loss.per_sample is None or self._outputs.ndim != 2:
            return None
        for axis in (0, 1):
            for stacks in (True, False):
                try:
                    found = self._along(axis, stacks)
                except Exception:
                    continue
                if found is not None and self._adds_up(found, generator):
                    return found
        return None

    def _along(self, axis: int, stacks: bool) -> SampleBySample | None:
        samples, units = self._outputs.shape[axis], self._outputs.shape[1 - axis]
        if ROWS * self._outputs.size * units > MOST_NUMBERS:
            return None
        targets = _Targets(self._targets, samples, axis)

        def losses(stacked: Array, copies: int) -> Any:
            return self._losses(stacked, targets.stacked(copies))

        found = SampleBySample(losses, self._outputs, axis=axis, stacks=stacks)
        if stacks:
            twice = np.concatenate([self._outputs] * 2, axis=axis)
            numbers = np.concatenate([found.numbers] * 2)
            if not is_same(np.asarray(losses(twice, 2)), numbers):
                return None
        return found

    def _losses(self, outputs: Array, targets: Any) -> Array:
        assert self._loss.per_sample is not None
        return np.array(self._loss.per_sample(outputs, targets))

    def _adds_up(self, found: SampleBySample, generator: np.random.Generator) -> bool:
        """Return whether the loss is the sum of the samples' or its mean, here and elsewhere."""
        random = generator.standard_normal(self._outputs.shape)
        # Relatively, what is positive stays so, as probabilities have to.
        moved = self._outputs * (1.0 + NEARBY * random)
        losses = self._losses(moved.copy(), self._targets)
        factors = {1.0, 1.0 / found.samples}
        for each, value in ((found.numbers, self._own), (losses, self._value(moved))):
            if each.shape != (found.samples,):
                return False
            total, size = np.sum(each), np.sum(np.abs(each))
            factors = {
                factor
                for factor in factors
                if abs(factor * total - value) <= SAME_SUM * factor * size
            }
        if not factors:
            return False
        self.factor = max(factors)
        return True

    def upstream(self, found: Slopes, off: Floats) -> Signal:
        """Return the gradient at the outputs.

        Parameters
        ----------
        found: the derivatives of the functions
        off: how far outputs may be off by rounding
        """
        shape = self._outputs.shape
        # Of a convex function no second derivative is more than the roots of the two beside it.
        roots = np.sqrt(np.abs(found.curvatures)).reshape(shape)
        along = 1 - self.functions.axis if self.functions.samples > 1 else None
        bent = roots * np.sum(roots * off, axis=along, keepdims=True)
        values = self.factor * found.values.reshape(shape)
        bars = self.factor * (found.error_bars.reshape(shape) + bent) + EPSILON * np.abs(values)
        return Signal(values, bars)


class _Targets:
    """Targets for so many copies of the outputs."""

    def __init__(self, targets: Any, samples: int, axis: int) -> None:
        self._targets, self._axis = targets, axis
        array = np.asarray(targets)
        # Such as labels, a vector has samples along its only axis.
        self._axis = axis if array.ndim > 1 else 0
        self._counts = array.ndim > 0 and array.shape[self._axis] == samples
        self._array = array

    def stacked(self, copies: int) -> Any:
        """Return them stacked, a new array; the user's own where one copy is enough."""
        if copies == 1:
            return self._targets
        if not self._counts:
            raise NotUnderstood("targets that are not by sample")
        if self._axis:
            return np.concatenate([self._array] * copies, axis=1)
        shape = self._array.shape
        many = np.broadcast_to(self._array, (copies, *shape))
        return np.array(many).reshape(copies * shape[0], *shape[1:])
