"""Names for the types that the modules share, and what is checked of an array."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

# Any entry type: float32 and float64 to train, complex128 for the complex-step derivative.
Array: TypeAlias = NDArray[Any]
Scalar: TypeAlias = np.inexact[Any]
LayerParameters: TypeAlias = dict[str, Array]
NetworkParameters: TypeAlias = dict[str, LayerParameters]
# Of a problem: arrays by name, or by layer and name.
Parameters: TypeAlias = dict[str, Any]


def check_array(name: str, value: Any) -> None:
    """Raise TypeError unless a value is an array: a list has other operators."""
    if not isinstance(value, np.ndarray):
        raise TypeError(f"{name} must be an array, got {value!r:.60}")
