"""Numerical gradients of networks that expose their layers, from their forward passes alone.

What layers and the loss may tell of themselves, each of which is tried before it is believed:

- ``layer.linear_in``: names of the parameters in which the pre-activations are linear. Parameters
  have numbers where a layer names all it has.
- ``layer.preactivation(parameters, inputs)``: the pre-activations z. A layer that names its linear
  parameters and has no such method has its outputs for them.
- ``layer.activate(z)``: the outputs. Entry by entry it is differentiated at all entries at once,
  and also where several arrays are stacked along their first axis; else, as a softmax is, unit by
  unit. A layer without parameters may have this alone.
- ``network.loss.value(outputs, targets)``: the loss.
- ``network.loss.per_sample(outputs, targets)``: the losses of the samples, of which it is the sum
  or the mean. Without, it is differentiated output by output, which few outputs allow.
"""

from gradcheck.layer_numbers.gradient import LayeredGradient, layered_gradient

__all__ = ["LayeredGradient", "layered_gradient"]
