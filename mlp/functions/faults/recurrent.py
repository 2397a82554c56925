"""What goes wrong in a recurrent cell: derivatives of its gates, and time."""

import numpy as np

from mlp.arrays import Array, LayerParameters
from mlp.faults.catalogue import replaces_gradient
from mlp.functions.recurrent import (
    HIDDEN,
    Step,
    deltas_of,
    lstm,
    lstm_gradient,
    step_backward,
    steps_of,
)

EVERYTHING = {"input_weight", "recurrent_weight", "bias"}
FORGET, CANDIDATE = slice(HIDDEN, 2 * HIDDEN), slice(3 * HIDDEN, 4 * HIDDEN)


def _linear_forget_gate(step: Step, hidden: Array, cell: Array) -> tuple[Array, Array]:
    delta, cell_upstream = step_backward(step, hidden, cell)
    delta[:, FORGET] /= step.forget_gate * (1 - step.forget_gate)
    return delta, cell_upstream


def _sigmoid_candidate(step: Step, hidden: Array, cell: Array) -> tuple[Array, Array]:
    delta, cell_upstream = step_backward(step, hidden, cell)
    g = step.candidate
    delta[:, CANDIDATE] *= g * (1 - g) / (1 - g**2)
    return delta, cell_upstream


def _cut_cell(step: Step, hidden: Array, cell: Array) -> tuple[Array, Array]:
    delta, cell_upstream = step_backward(step, hidden, cell)
    return delta, np.zeros_like(cell_upstream)


@replaces_gradient(lstm, wrong=EVERYTHING, causes={"missing_activation_derivative", "unexplained"})
def lstm_linear_forget_gate(
    parameters: LayerParameters, inputs: Array, targets: Array
) -> LayerParameters:
    """dL/dz_f = dL/dc' c: the forget gate's f (1 - f) was forgotten."""
    return lstm_gradient(parameters, inputs, targets, _linear_forget_gate)


@replaces_gradient(lstm, wrong=EVERYTHING, causes={"wrong_activation_derivative", "unexplained"})
def lstm_sigmoid_candidate(
    parameters: LayerParameters, inputs: Array, targets: Array
) -> LayerParameters:
    """dL/dz_g has the sigmoid's g (1 - g), copied from the gates, where tanh has 1 - g**2."""
    return lstm_gradient(parameters, inputs, targets, _sigmoid_candidate)


# The output gate does not see c alone: its columns of the recurrent weight are right.
@replaces_gradient(lstm, wrong=EVERYTHING, causes={"wrong_column", "unexplained"})
def lstm_cut_cell(parameters: LayerParameters, inputs: Array, targets: Array) -> LayerParameters:
    """Nothing flows back from cell to cell, dL/dc = 0: only the hidden states are followed."""
    return lstm_gradient(parameters, inputs, targets, _cut_cell)


@replaces_gradient(lstm, wrong={"recurrent_weight"}, causes={"stale_cache", "unexplained"})
def lstm_late_hidden_state(
    parameters: LayerParameters, inputs: Array, targets: Array
) -> LayerParameters:
    """dL/dR = sum h'^T delta, with the hidden state after each step where that before belongs."""
    steps = steps_of(parameters, inputs)
    pairs = zip(steps, deltas_of(parameters, steps, targets), strict=True)
    recurrent = np.sum([step.next_hidden.T @ delta for step, delta in pairs], axis=0)
    return lstm_gradient(parameters, inputs, targets) | {"recurrent_weight": recurrent}


@replaces_gradient(lstm, wrong={"bias"}, causes={"overwritten_accumulation", "unexplained"})
def lstm_bias_of_one_step(
    parameters: LayerParameters, inputs: Array, targets: Array
) -> LayerParameters:
    """dL/db is that of the first step, visited last: = where += belongs."""
    deltas = deltas_of(parameters, steps_of(parameters, inputs), targets)
    return lstm_gradient(parameters, inputs, targets) | {"bias": deltas[0].sum(axis=0)}
