"""What every derivation of the 2-2-2 network finds on its way, and the problem that it makes.

The network has no biases, and n instances as rows:

    H = sigmoid(X W)        the hidden units, (n, 2)
    Y = sigmoid(H V)        the outputs, (n, 2)
    L = sum (Y - T)**2      the loss, over outputs and instances
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from mlp.arrays import Array, LayerParameters, Scalar
from mlp.problem import Problem
from mlp.problems import two_two_two


@dataclass(frozen=True, eq=False)
class Quantities:
    """What there is to know of the network at one point, in the order of the derivation.

    Attributes
    ----------
    H_in, H: hidden units before and after the sigmoid; (n, 2).
    Y_in, Y: outputs before and after the sigmoid; (n, 2).
    E: errors Y - T; (n, 2).
    loss: L.
    dL_dY, dL_dY_in, dL_dH, dL_dH_in: derivatives by units, on the way back; (n, 2).
    dL_dV, dL_dW: derivatives by weights, summed over the instances; (2, 2).
    """

    H_in: Array
    H: Array
    Y_in: Array
    Y: Array
    E: Array
    loss: Scalar
    dL_dY: Array
    dL_dY_in: Array
    dL_dV: Array
    dL_dH: Array
    dL_dH_in: Array
    dL_dW: Array


# From W (2, 2), V (2, 2), the inputs X (n, 2) and the targets T (n, 2).
Derivation: TypeAlias = Callable[[Array, Array, Array, Array], Quantities]


def derived_problem(name: str, derive: Derivation) -> Problem:
    """Return the problem that a derivation makes of the 2-2-2 network's weights and instances."""
    example = two_two_two()
    weights = [values["weight"] for values in example.parameters.values()]
    return Problem(
        name=name,
        loss=partial(_loss, derive),
        gradient=partial(_gradient, derive),
        parameters=dict(zip("WV", weights, strict=True)),
        args=example.args,
        sizes=example.sizes,
        layers={"hidden": ["W"], "output": ["V"]},
    )


def _loss(derive: Derivation, parameters: LayerParameters, inputs: Array, targets: Array) -> Scalar:
    return derive(parameters["W"], parameters["V"], inputs, targets).loss


def _gradient(
    derive: Derivation, parameters: LayerParameters, inputs: Array, targets: Array
) -> LayerParameters:
    found = derive(parameters["W"], parameters["V"], inputs, targets)
    return {"W": found.dL_dW, "V": found.dL_dV}
