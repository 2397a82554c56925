"""Two functions to warm up with: one weight, and two variables; derived by hand.

Both are written with operators alone, so that `mlp.tape` derives them as well.
"""

from typing import Any

import numpy as np

from mlp.arrays import LayerParameters
from mlp.problem import Problem


def one_weight_loss(parameters: dict[str, Any], x: float, t: float) -> Any:
    """Return L = (w x - t)**2, the squared error of a line through the origin."""
    return (parameters["w"] * x - t) ** 2


def one_weight_gradient(parameters: LayerParameters, x: float, t: float) -> LayerParameters:
    """Return dL/dw = dL/de de/dw = 2 e x, with the error e = w x - t."""
    e = parameters["w"] * x - t
    return {"w": 2 * e * x}


def one_weight() -> Problem:
    """Return the line at w = 3, where it should give 8 for 4: L = 16 and dL/dw = 32."""
    return Problem(
        name="one_weight",
        loss=one_weight_loss,
        gradient=one_weight_gradient,
        parameters={"w": np.array(3.0)},
        args=(np.array(4.0), np.array(8.0)),
    )


def two_variables_loss(point: dict[str, Any]) -> Any:
    """Return f = 3 x**2 + 2 x y + 5."""
    x, y = point["x"], point["y"]
    return 3 * x**2 + 2 * x * y + 5


def two_variables_gradient(point: LayerParameters) -> LayerParameters:
    """Return df/dx = 6 x + 2 y and df/dy = 2 x: the other variable is held where it is."""
    x, y = point["x"], point["y"]
    return {"x": 6 * x + 2 * y, "y": 2 * x}


def two_variables() -> Problem:
    """Return f at (2, 3), where f = 29, df/dx = 18 and df/dy = 4."""
    return Problem(
        name="two_variables",
        loss=two_variables_loss,
        gradient=two_variables_gradient,
        parameters={"x": np.array(2.0), "y": np.array(3.0)},
    )
