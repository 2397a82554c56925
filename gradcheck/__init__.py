"""Check hand-written gradients: is it right, with an error bar, where is it wrong, and why.

The public names are loaded on first use (PEP 562), so that importing the package, as the pytest
plugin and the command's ``--help`` do, loads neither numpy nor rich.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradcheck.checking import NothingToCheck as NothingToCheck
    from gradcheck.checking import check as check
    from gradcheck.checking import check_gradients as check_gradients
    from gradcheck.convergence import DescentMonitor as DescentMonitor
    from gradcheck.entries import numerical_gradient as numerical_gradient
    from gradcheck.layered import check_layers as check_layers
    from gradcheck.problem import Problem as Problem
    from gradcheck.report import Finding as Finding
    from gradcheck.report import GradientReport as GradientReport
    from gradcheck.report import LayerReport as LayerReport
    from gradcheck.report import ParameterReport as ParameterReport
    from gradcheck.testing import GradientInconclusive as GradientInconclusive
    from gradcheck.testing import GradientMismatch as GradientMismatch
    from gradcheck.testing import assert_gradients as assert_gradients
    from gradcheck.testing import assert_layers as assert_layers
    from gradcheck.verifying import layer_verifier as layer_verifier

__version__ = "0.1.0"

_HOMES = {
    "DescentMonitor": "convergence",
    "Finding": "report",
    "GradientInconclusive": "testing",
    "GradientMismatch": "testing",
    "GradientReport": "report",
    "LayerReport": "report",
    "NothingToCheck": "checking",
    "ParameterReport": "report",
    "Problem": "problem",
    "assert_gradients": "testing",
    "assert_layers": "testing",
    "check": "checking",
    "check_gradients": "checking",
    "check_layers": "layered",
    "layer_verifier": "verifying",
    "numerical_gradient": "entries",
}

__all__ = ["__version__", *_HOMES]  # noqa: PLE0604, the names are strings


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'gradcheck' has no attribute {name!r}")
    value = getattr(import_module(f"gradcheck.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
