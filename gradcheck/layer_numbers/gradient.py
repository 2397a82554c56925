"""The numerical gradient of every entry of a network, about as fast as by backprop.

Local derivatives are measured, all of them at once: of the loss by the outputs, and of every
layer's outputs by its pre-activations. They are chained by the algebra of how pre-activations
depend on parameters and inputs, which the forward pass shows. Nothing of any backward is used.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from gradcheck.diagnosis.asking import AskedLoss, Asker, quiet
from gradcheck.directions import Floats
from gradcheck.layer_numbers.at_outputs import LossAtOutputs
from gradcheck.layer_numbers.chain import Chain, activations, local_layers
from gradcheck.layer_numbers.evaluations import Array, Evaluation, Together
from gradcheck.layer_numbers.going_down import by_method, differentiate
from gradcheck.layer_numbers.linear_maps import Signal
from gradcheck.layer_numbers.passes import NotUnderstood, Pass, forward_passes
from gradcheck.many_lines import slopes
from gradcheck.seeding import random_generator

# Of the random points at which formulas are tried.
SEED = 0
# Arrays up to this size come from memory that the process keeps.
KEPT_BYTES = 1 << 24


@dataclass(frozen=True, eq=False)
class LayeredGradient:
    """The numerical gradient of a network, by full names of parameters, "layer1.weight".

    Attributes
    ----------
    values: the gradient, of the parameters' shapes
    error_bars: how far each entry may be off
    forms: by layer, how its numbers were found; layers without any are missing
    partial_evaluations: calls of functions of the layers and of the loss at the outputs
    """

    values: Mapping[str, Floats]
    error_bars: Mapping[str, Floats]
    forms: Mapping[str, str]
    partial_evaluations: int


def layered_gradient(
    network: Any,
    parameters: Mapping[str, Array],
    inputs: Any,
    targets: Any,
    loss: float,
    *,
    method: str = "auto",
    names: Collection[str] | None = None,
    asker: Asker | None = None,
) -> LayeredGradient | None:
    """Return the numerical gradient of all parameters of the layers that can be understood.

    Parameters
    ----------
    network: its layers, and its loss on the outputs
    parameters: by full name; they are not changed
    inputs, targets: the data
    loss: the user's loss, which the network's has to be
    method: "auto" takes differences, "complex" complex steps
    names: of the parameters that are wanted; all by default
    asker: calls the layers

    Returns
    -------
    LayeredGradient | None
        None where the network does not follow the layer protocol, has another loss, or where
        nothing can be understood, or not by this method
    """
    own = asker or Asker()
    before = own.calls
    try:
        _keep_memory()
        generator = random_generator(SEED, "layers", 0)
        with quiet():
            network_loss = AskedLoss(network.loss, own)
            passes = forward_passes(network, parameters, inputs, own)
            outputs = passes[-1].outputs
            at_outputs = LossAtOutputs(network_loss, outputs, targets, loss, generator)
            chain, upstream = _measured(passes, at_outputs, generator, method)
            found = chain.gradients(upstream, names)
    except Exception:
        # What the user's code makes of these calls is its own affair.
        return None
    finally:
        if asker is None:
            own.close()
    if not found:
        return None
    return LayeredGradient(
        {name: signal.values for name, signal in found.items()},
        {name: signal.bars for name, signal in found.items()},
        chain.forms(found),
        own.calls - before,
    )


@cache
def _keep_memory() -> None:
    """Let the allocator keep small arrays that are freed, once for all.

    By default glibc gives them back to the system, and zeroing their pages anew takes longer than
    what is computed. After one larger array was freed, it does so for larger ones only. Nothing of
    it is ever touched.
    """
    np.empty(KEPT_BYTES, np.uint8)


def _measured(
    passes: list[Pass], at_outputs: LossAtOutputs, generator: np.random.Generator, method: str
) -> tuple[Chain, Signal]:
    """Return the layers with their local derivatives, and the gradient at the outputs."""
    by_place = activations(passes)
    evaluations: list[Evaluation] = [at_outputs.functions, *by_place.values()]
    together = Together(evaluations)
    # All in one: a call of numpy costs as much as a thousand numbers.
    found = slopes(together, together.at, together.parts)
    of_loss, *of_layers = (
        by_method(evaluation, found.of(part), method=method)
        for evaluation, part in zip(evaluations, together.parts, strict=True)
    )
    known = {place: one for place, one in zip(by_place, of_layers, strict=True) if one is not None}
    chain = Chain(local_layers(passes, known, generator), method=method)
    if of_loss is None:
        at_outputs.functions = at_outputs.one_by_one()
        of_loss = differentiate(at_outputs.functions, method=method)
    if of_loss is None:
        raise NotUnderstood("the loss")
    return chain, at_outputs.upstream(of_loss, chain.outputs_off)
