"""Assertions for test suites, and the exceptions they raise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from gradcheck.options import CheckOptions, takes_options
from gradcheck.report import GradientReport


class GradientMismatch(AssertionError):
    """A gradient is wrong.

    Attributes
    ----------
    report: the full report of the check
    """

    # pytest's summary has some 30 characters for a message; a module's name would take them.
    __module__ = "builtins"

    def __init__(self, report: GradientReport) -> None:
        from gradcheck.rendering import render_message

        super().__init__(render_message(report))
        self.report = report

    def __reduce__(self) -> tuple[Any, ...]:
        return _mismatch, (self.report,)


class GradientInconclusive(GradientMismatch):
    """A gradient could be neither confirmed nor refuted."""

    __module__ = "builtins"

    def __reduce__(self) -> tuple[Any, ...]:
        return _inconclusive, (self.report,)


def _mismatch(report: GradientReport) -> GradientMismatch:
    return GradientMismatch(report)


def _inconclusive(report: GradientReport) -> GradientInconclusive:
    return GradientInconclusive(report)


@takes_options
def assert_gradients(
    loss: Any,
    gradient: Any = None,
    parameters: Any = None,
    *,
    args: Sequence[Any] = (),
    name: str | None = None,
    sizes: Mapping[str, int] | None = None,
    layers: Mapping[str, Sequence[str]] | None = None,
    allow_inconclusive: bool = False,
    **options: Unpack[CheckOptions],
) -> GradientReport:
    """Raise unless an analytic gradient is right; see `check_gradients` for the options.

    Parameters
    ----------
    loss, gradient, parameters: as in `check_gradients`; or a Problem alone
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
    from gradcheck.checking import check
    from gradcheck.problem import Problem, is_problem

    problem = loss
    if not is_problem(loss):
        if parameters is None:
            raise TypeError("parameters must be given, unless a Problem is all there is")
        problem = Problem(loss, gradient, parameters, args=args, sizes=sizes or {}, layers=layers)
    elif not (gradient is parameters is None and not (args or sizes or layers)):
        raise TypeError("a Problem must be given alone: it has its own gradient, parameters, args")
    return _let_through(check(problem, name=name, **options), allow_inconclusive)


@takes_options
def assert_layers(
    network: Any,
    inputs: Any,
    upstream_or_targets: Any = None,
    *,
    parameters: Mapping[str, Any] | None = None,
    name: str | None = None,
    sizes: Mapping[str, int] | None = None,
    allow_inconclusive: bool = False,
    **options: Unpack[CheckOptions],
) -> GradientReport:
    """Raise unless the backward of every layer is right; see `check_layers`.

    Parameters
    ----------
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
    """
    __tracebackhide__ = True
    from gradcheck.layered import check_layers

    report = check_layers(
        *(network, inputs, upstream_or_targets),
        parameters=parameters,
        name=name,
        sizes=sizes,
        **options,
    )
    return _let_through(report, allow_inconclusive)


def _let_through(report: GradientReport, allow_inconclusive: bool) -> GradientReport:
    __tracebackhide__ = True
    if report.verdict == "fail":
        raise GradientMismatch(report)
    if report.verdict == "inconclusive" and not allow_inconclusive:
        raise GradientInconclusive(report)
    return report
