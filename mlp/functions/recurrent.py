"""A long short-term memory cell, unrolled over a few steps.

With x the inputs of a step, h and c the hidden state and the cell handed on by the step before,

    z  = x U + h R + b                      (samples, 4 hidden)
    i, f, o, g = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o), tanh(z_g)     the quarters of z
    c' = f c + i g                          (samples, hidden)
    h' = o tanh(c')

The loss sees h' of the last step. Both states start at 0.

References
----------
Hochreiter & Schmidhuber (1997), Long Short-Term Memory, with the forget gate of Gers et al. (2000).
Goodfellow, Bengio & Courville (2016), Deep Learning, section 10.10.1.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mlp.activations import sigmoid_function
from mlp.arrays import Array, LayerParameters, Scalar
from mlp.functions.squared_error import half_squared_error, squared_error_delta
from mlp.problem import Problem

STEPS, SAMPLES, INPUTS, HIDDEN = 3, 5, 4, 2


@dataclass(frozen=True, eq=False)
class Step:
    """What happened in one step; every state and gate is (samples, hidden)."""

    inputs: Array  # x, (samples, inputs)
    hidden: Array  # h, from the step before
    cell: Array  # c, from the step before
    input_gate: Array  # i
    forget_gate: Array  # f
    output_gate: Array  # o
    candidate: Array  # g
    next_cell: Array  # c'
    next_hidden: Array  # h'


# From a step, dL/dh' and dL/dc', to (delta = dL/dz, dL/dc).
StepBackward = Callable[[Step, Array, Array], tuple[Array, Array]]


def step_forward(parameters: LayerParameters, inputs: Array, hidden: Array, cell: Array) -> Step:
    """Return one step of the cell."""
    z = inputs @ parameters["input_weight"] + hidden @ parameters["recurrent_weight"]
    z = z + parameters["bias"]  # (samples, 4 hidden)
    i, f, o = (sigmoid_function(z[:, k * HIDDEN : (k + 1) * HIDDEN]) for k in range(3))
    g = np.tanh(z[:, 3 * HIDDEN :])
    next_cell = f * cell + i * g
    return Step(inputs, hidden, cell, i, f, o, g, next_cell, o * np.tanh(next_cell))


def step_backward(step: Step, hidden_upstream: Array, cell_upstream: Array) -> tuple[Array, Array]:
    """Return delta = dL/dz, (samples, 4 hidden), and dL/dc, from dL/dh' and dL/dc'.

    c' reaches the loss through the next step and through h' = o tanh(c'), so the two add up. Then

        dL/dz_i = dL/dc' g i (1 - i)        dL/dz_o = dL/dh' tanh(c') o (1 - o)
        dL/dz_f = dL/dc' c f (1 - f)        dL/dz_g = dL/dc' i (1 - g**2)
        dL/dc   = dL/dc' f
    """
    squashed = np.tanh(step.next_cell)
    cell_upstream = cell_upstream + hidden_upstream * step.output_gate * (1 - squashed**2)
    i, f, o, g = step.input_gate, step.forget_gate, step.output_gate, step.candidate
    delta = np.hstack(
        [
            cell_upstream * g * i * (1 - i),
            cell_upstream * step.cell * f * (1 - f),
            hidden_upstream * squashed * o * (1 - o),
            cell_upstream * i * (1 - g**2),
        ]
    )
    return delta, cell_upstream * f


def steps_of(parameters: LayerParameters, inputs: Array) -> list[Step]:
    """Return all steps, first to last, for inputs of shape (steps, samples, inputs)."""
    hidden = cell = np.zeros((inputs.shape[1], HIDDEN))
    steps = []
    for x in inputs:
        steps.append(step_forward(parameters, x, hidden, cell))
        hidden, cell = steps[-1].next_hidden, steps[-1].next_cell
    return steps


def deltas_of(
    parameters: LayerParameters,
    steps: list[Step],
    targets: Array,
    backward: StepBackward = step_backward,
) -> list[Array]:
    """Return delta = dL/dz of every step, first to last; h acts through z = ... + h R alone."""
    hidden_upstream = squared_error_delta(steps[-1].next_hidden, targets)
    cell_upstream = np.zeros_like(hidden_upstream)
    deltas: list[Array] = []
    for step in reversed(steps):
        delta, cell_upstream = backward(step, hidden_upstream, cell_upstream)
        hidden_upstream = delta @ parameters["recurrent_weight"].T
        deltas.insert(0, delta)
    return deltas


def sums_over_steps(steps: list[Step], deltas: list[Array]) -> LayerParameters:
    """Return the gradients: every step uses the same parameters, so their shares add up."""
    pairs = list(zip(steps, deltas, strict=True))
    return {
        "input_weight": np.sum([step.inputs.T @ delta for step, delta in pairs], axis=0),
        "recurrent_weight": np.sum([step.hidden.T @ delta for step, delta in pairs], axis=0),
        "bias": np.sum([delta.sum(axis=0) for delta in deltas], axis=0),
    }


def lstm_loss(parameters: LayerParameters, inputs: Array, targets: Array) -> Scalar:
    """Return the squared error of the last hidden state."""
    return half_squared_error(steps_of(parameters, inputs)[-1].next_hidden, targets)


def lstm_gradient(
    parameters: LayerParameters,
    inputs: Array,
    targets: Array,
    backward: StepBackward = step_backward,
) -> LayerParameters:
    """Return the gradient of the loss by backpropagation through time."""
    steps = steps_of(parameters, inputs)
    return sums_over_steps(steps, deltas_of(parameters, steps, targets, backward))


def lstm(seed: int = 0) -> Problem:
    """Return three steps of an LSTM cell with 4 inputs and 2 hidden units, on 5 samples."""
    rng = np.random.default_rng(seed)
    parameters = {
        "input_weight": rng.standard_normal((INPUTS, 4 * HIDDEN)) / 2,
        "recurrent_weight": rng.standard_normal((HIDDEN, 4 * HIDDEN)),
        "bias": rng.standard_normal(4 * HIDDEN),
    }
    inputs = rng.standard_normal((STEPS, SAMPLES, INPUTS))
    targets = rng.standard_normal((SAMPLES, HIDDEN))
    return Problem(
        name="lstm",
        loss=lstm_loss,
        gradient=lstm_gradient,
        parameters=parameters,
        args=(inputs, targets),
        sizes={"steps": STEPS, "batch": SAMPLES, "inputs": INPUTS, "hidden": HIDDEN},
    )
