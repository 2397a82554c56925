"""The 2-2-2 network derived by a tape: the way forward is written down, the way back is played.

`mlp.tape` knows the derivative of each operation; nothing of the network's is worked out here.
"""

from typing import Any

from mlp.arrays import Array
from mlp.derivations.quantities import Quantities, derived_problem
from mlp.problem import Problem
from mlp.tape import Tape, sigmoid


def derive(W: Array, V: Array, X: Array, T: Array) -> Quantities:
    """Return all quantities; X and T are constants, everything else is on the tape."""
    tape = Tape()
    w, v = tape.variable(W), tape.variable(V)
    h_in = X @ w  # (n, 2) @ (2, 2)
    h = sigmoid(h_in)
    y_in = h @ v  # (n, 2) @ (2, 2)
    y = sigmoid(y_in)
    e = y - T
    loss = (e**2).sum()

    slopes = tape.gradients(loss)
    value: Any = loss.value[()]
    return Quantities(
        *(h_in.value, h.value, y_in.value, y.value, e.value, value),
        *(slopes[y], slopes[y_in], slopes[v], slopes[h], slopes[h_in], slopes[w]),
    )


def by_tape() -> Problem:
    """Return the 2-2-2 network, its gradient played back from a tape."""
    return derived_problem("by_tape", derive)
