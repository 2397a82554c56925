"""The loss along one entry of a layer's parameters, resumed at that layer.

Moving a parameter of a layer changes nothing below it. The layer is called with the inputs that it
gets in the network, then the layers above it, then the loss on the outputs: numbers of the same
forward pass, without the part of it that they have in common. Nothing is assumed of how a parameter
enters, so that this serves layers of any kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import numpy as np

from gradcheck.bounds import Bounds
from gradcheck.budget import Budget
from gradcheck.diagnosis.asking import NotKnown
from gradcheck.entries import measure_entries
from gradcheck.entry_table import Entries
from gradcheck.execution import Evaluator
from gradcheck.ladder import EPSILON, Conditions
from gradcheck.layer_parts import forward, known_loss, own_parameters
from gradcheck.leaves import Array
from gradcheck.probes import Claim
from gradcheck.problem import Problem
from gradcheck.returned import read_loss

Call = Callable[[Callable[[], Any], str], Any]

# The network's loss is the user's where both agree to this many units of round-off: they add up
# the same terms, perhaps in another order.
SAME_UNITS = 64.0


@dataclass(frozen=True)
class _Stage:
    """A layer, copies of its parameters to work on, and the inputs that it gets at the point."""

    layer: Any
    working: dict[str, Any]
    inputs: Array

    def outputs(self, inputs: Array) -> Array:
        # A new dict every time: a layer may take out of it what it likes.
        return forward(self.layer, dict(self.working), inputs)[0]


class ResumedLoss:
    """The loss at points that differ from the given one in an entry, resumed at its layer.

    It has what `measure_entries` needs of an `Evaluator`.

    Attributes
    ----------
    problem: the same loss of the whole network, at the copies of its parameters that are moved
    original: copies of the parameters by full name, "layer2.weight"; never handed out
    bounds: outside of which nothing is called
    value: the loss at the point
    evaluations: losses asked for so far
    partial_evaluations: calls of a layer's forward so far
    """

    def __init__(
        self,
        stages: Sequence[_Stage],
        loss: Callable[[Array], Any],
        call: Call,
        bounds: Bounds,
    ) -> None:
        self._stages, self._loss, self._call = stages, loss, call
        self._places = {
            f"{stage.layer.name}.{key}": (place, stage.working[key])
            for place, stage in enumerate(stages)
            for key in stage.working
            if isinstance(stage.working[key], np.ndarray)
        }
        self.problem = Problem(partial(self._loss_from, 0), {}, {}, in_place=True)
        self.original = {n: working.copy(order="K") for n, (_, working) in self._places.items()}
        self.bounds = bounds
        self.evaluations = 0
        self.partial_evaluations = 0
        self.value = self._loss_from(0)

    def bare_loss(self) -> None:
        """Return nothing: there is no call of one function that a loss is."""

    def loss_at_entry(self, name: str, index: tuple[int, ...], value: Any) -> float:
        """Return the loss with one entry changed; NaN where it cannot be evaluated.

        Raises
        ------
        NotKnown
            where there is no time to ask
        """
        if not self.bounds.hold_at(name, index, value):
            return float("nan")
        place, working = self._places[name]
        try:
            working[index] = value
            with np.errstate(all="ignore"):
                return self._loss_from(place)
        except NotKnown:
            raise
        except Exception:
            return float("nan")
        finally:
            working[index] = self.original[name][index]

    def _loss_from(self, place: int) -> float:
        self.evaluations += 1
        what = f"forward from layer {self._stages[place].layer.name!r}"
        return cast("float", read_loss(self._call(partial(self._resumed, place), what)))

    def _resumed(self, place: int) -> Any:
        # A copy: a layer may write to what it is given.
        signal = self._stages[place].inputs.copy()
        for stage in self._stages[place:]:
            self.partial_evaluations += 1
            signal = stage.outputs(signal)
        return self._loss(signal)


def resumed_loss(
    network: Any,
    parameters: Mapping[str, Array],
    inputs: Any,
    targets: Any,
    loss: float,
    *,
    call: Call,
    bounds: Bounds | None = None,
) -> ResumedLoss | None:
    """Return the loss of a network as it is resumed at its layers, None where it is not the user's.

    That is so where the network does not follow the layer protocol, passes through a layer twice,
    has parameters of other shapes, or where its loss at the point is not the one given.

    Parameters
    ----------
    network: its layers, and its loss on the outputs
    parameters: by full name, "layer2.weight"; not changed. Those of a layer that are not among
        them, such as whole numbers, are its own
    inputs, targets: the data
    loss: the user's loss at the point
    call: makes the calls of the user's code: ``call(function, what)`` returns what
        ``function()`` does
    bounds: that the parameters must stay in
    """
    at_outputs = known_loss(network)
    try:
        stages = _stages(network, parameters, np.array(inputs), call)
        if at_outputs is None or stages is None:
            return None
        found = ResumedLoss(
            stages,
            lambda outputs: at_outputs.value(outputs, targets),
            call,
            bounds or Bounds(),
        )
    except NotKnown:
        raise
    except Exception:
        # What the user's code makes of these calls is its own affair.
        return None
    off = abs(float(found.value - loss))
    return found if off <= SAME_UNITS * EPSILON * abs(loss) else None


def _stages(
    network: Any, parameters: Mapping[str, Array], inputs: Array, call: Call
) -> list[_Stage] | None:
    """Return the layers with the inputs they get, None where they have not these parameters."""
    layers = own_parameters(network, None)
    if len({layer.name for layer, _ in layers}) < len(layers):
        return None
    stages, signal = [], inputs
    for layer, own in layers:
        working = dict(own)
        for key, held in own.items():
            given = parameters.get(f"{layer.name}.{key}")
            if given is not None:
                if np.shape(held) != given.shape or np.iscomplexobj(held):
                    return None
                working[key] = given.copy(order="K")
        stage = _Stage(layer, working, signal)
        handed = partial(stage.outputs, signal.copy())
        # A copy: a layer may return the same array every time.
        signal = call(handed, f"forward of layer {layer.name!r}").copy()
        stages.append(stage)
    return stages


def measure_entries_resumed(
    resumed: ResumedLoss,
    conditions: Conditions,
    claim: Claim,
    positions: Sequence[int] | np.ndarray,
    *,
    budget: Budget | None = None,
) -> Entries:
    """Return the slopes along entries like `measure_entries`, every loss resumed at the layer.

    Parameters
    ----------
    resumed: stands in for the evaluator of the user's loss
    conditions, claim, positions, budget: as for `measure_entries`
    """
    # Rounded in another order, the loss at the point would look like a kink beside those around it.
    conditions = replace(conditions, value=resumed.value)
    evaluator = cast("Evaluator", resumed)
    return measure_entries(evaluator, conditions, claim, positions, budget=budget)
