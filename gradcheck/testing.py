"""Assertions for test suites, and the exceptions they raise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gradcheck.plan import Effort
from gradcheck.report import GradientReport


class GradientMismatch(AssertionError):
    """A gradient is wrong.

    Attributes
    ----------
    report: the full report of the check
    """

    def __init__(self, report: GradientReport) -> None:
        from gradcheck.rendering import render_message

        super().__init__(render_message(report))
        self.report = report

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.report,)


class GradientInconclusive(GradientMismatch):
    """A gradient could be neither confirmed nor refuted."""


def assert_gradients(
    loss: Any,
    gradient: Any = None,
    parameters: Any = None,
    *,
    args: Sequence[Any] = (),
    name: str | None = None,
    sizes: Mapping[str, int] | None = None,
    layers: Mapping[str, Sequence[str]] | None = None,
    seed: int = 0,
    effort: Effort = "auto",
    only: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] | None = None,
    required_resolution: float | None = None,
    allow_inconclusive: bool = False,
) -> GradientReport:
    """Raise unless an analytic gradient is right; see `check_gradients` for the options.

    Parameters
    ----------
    loss, gradient, parameters: as in `check_gradients`
    allow_inconclusive: whether to let through what could be neither confirmed nor refuted

    Returns
    -------
    GradientReport
        of the passing check

    Raises
    ------
    GradientMismatch
        when a gradient is wrong
    GradientInconclusive
        when none is wrong but not all could be confirmed

    Examples
    --------
    >>> import numpy as np
    >>> report = assert_gradients(lambda x: np.sum(x**2), lambda x: 2 * x, np.array([1.0, 2.0]))
    """
    __tracebackhide__ = True
    from gradcheck.checking import check_gradients

    report = check_gradients(
        loss,
        gradient,
        parameters,
        args=args,
        name=name,
        sizes=sizes,
        layers=layers,
        seed=seed,
        effort=effort,
        only=only,
        exclude=exclude,
        required_resolution=required_resolution,
    )
    if report.verdict == "fail":
        raise GradientMismatch(report)
    if report.verdict == "inconclusive" and not allow_inconclusive:
        raise GradientInconclusive(report)
    return report
