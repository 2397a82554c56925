"""DescentMonitor: does a training step do what the gradient promised.

It sees this step and the last one, so that what it judges is the step really taken, whatever made
it of the gradient: momentum, Adam, clipping, a schedule.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.descent import DescentReport, DescentStep
from gradcheck.directions import norm
from gradcheck.problem import Problem
from gradcheck.report import Verdict
from gradcheck.starts import Start, Taken, back_at, following, start_at, with_gradient
from gradcheck.steps import fits_before, measured_step

# Units of round-off by which a loss may differ from itself, as where threads share a sum.
SAME_VALUE_UNITS = 64.0
LATE = (
    "fits the parameters of the call before, not these: the monitor is called after the update, or "
    "the gradient is out of date"
)


class DescentMonitor:
    """Sees every step of a training, and says whether it does what the gradient promised.

    It is called before every update. In the next call it knows the step that was taken, and judges
    it by its own loss, so that mini-batches are compared with themselves: the slope of the loss
    along the step against the gradient's, with an error bar; the decrease against the promised
    one; the curvature, which says how long a step may be; and the Taylor orders.

    A step that is judged takes some 25 evaluations of the loss, and up to 100 where there is little
    left to descend or the gradient is wrong; ``every=100`` makes that a quarter per step.

    It looks along the steps only. A gradient that is wrong where the steps hardly move goes unseen
    here; `gradcheck.check_gradients` looks everywhere.

    Parameters
    ----------
    every: judges the first of so many steps; the others cost no evaluation
    in_place: whether the losses take no arguments, as they read the live arrays that are given as
        the parameters; those are moved while a step is judged, and put back exactly

    Raises
    ------
    ValueError
        when `every` is no whole number from 1 on

    Examples
    --------
    >>> import numpy as np
    >>> monitor, x = DescentMonitor(), np.array([3.0, -2.0])
    >>> for _ in range(5):
    ...     gradient = 2 * x
    ...     monitor(lambda x: x @ x, x, gradient)
    ...     x = x - 0.1 * gradient
    >>> monitor.end(x)
    >>> monitor.verdict, [round(step.ratio, 6) for step in monitor.steps]
    ('pass', [0.9, 0.9, 0.9, 0.9, 0.9])
    """

    def __init__(self, *, every: int = 1, in_place: bool = False) -> None:
        if not isinstance(every, int) or isinstance(every, bool) or every < 1:
            raise ValueError(f"every must be a whole number from 1 on, got {every!r}")
        self._every, self._in_place = every, in_place
        self._calls, self._evaluations, self._seconds = 0, 0, 0.0
        self._steepest = 0.0
        self._steps: list[DescentStep] = []
        self._last: Start | None = None

    def __call__(
        self, loss: Callable[..., Any], parameters: Any, gradient: Any, args: Sequence[Any] = ()
    ) -> None:
        """Look at the gradient before a step, and judge the step that led here.

        Parameters
        ----------
        loss: ``loss(parameters, *args)`` returns the loss that the step is made for, one number;
            called again after the next call, so what it reads must stay
        parameters: before the update, an array or any nesting of containers; copied
        gradient: there, nested like the parameters; copied
        args: handed on to the loss, such as the inputs and targets of a mini-batch; not copied, so
            that of buffers which are filled anew for every batch copies have to be given

        Raises
        ------
        TypeError, ValueError
            when they cannot be used, or the parameters are others than in the last call; what the
            loss raises at them propagates
        """
        if callable(gradient):
            raise TypeError("gradient must be arrays nested like the parameters, got a function")
        number, last = self._calls, self._last
        self._calls, self._last = number + 1, None
        ends_step = last is not None and self._is_asked(last.number)
        begins_step = self._is_asked(number)
        if not (ends_step or begins_step or self._is_asked(number + 1)):
            return
        problem = Problem(loss, parameters, parameters, args=args, in_place=self._in_place)
        with self._timed():
            now = start_at(problem, number)
            if last is not None:
                now = following(last, now)
            if ends_step or begins_step:
                now = with_gradient(now, gradient)
            self._evaluations += now.evaluator.evaluations if now.evaluator else 0
            if last is not None and ends_step:
                self._judge(last, now)
        self._last = now

    def end(self, parameters: Any = None) -> None:
        """Judge the last step, which no further call shows.

        Parameters
        ----------
        parameters: after it; by default those given before it, where it was made in place
        """
        last, self._last = self._last, None
        if last is None or not self._is_asked(last.number):
            return
        problem = last.problem
        if parameters is not None:
            problem = replace(problem, parameters=parameters)
        with self._timed():
            self._judge(last, following(last, start_at(problem, self._calls)))

    @property
    def report(self) -> DescentReport:
        """All that was seen so far; what prints."""
        return DescentReport(self.steps, self._evaluations, self._seconds)

    @property
    def steps(self) -> tuple[DescentStep, ...]:
        """The steps judged so far."""
        return tuple(self._steps)

    @property
    def verdict(self) -> Verdict:
        """Return "fail" if any step fails, else "inconclusive" if any is, or none was taken."""
        return self.report.verdict

    @property
    def evaluations(self) -> int:
        """Calls of the losses so far."""
        return self._evaluations

    @property
    def seconds(self) -> float:
        """Time that monitoring took so far."""
        return self._seconds

    def __str__(self) -> str:
        return str(self.report)

    def _is_asked(self, number: int) -> bool:
        return number % self._every == 0

    @contextmanager
    def _timed(self) -> Iterator[None]:
        started = time.perf_counter()
        try:
            # What overflows here does so in the training itself, which warns if it is to.
            with np.errstate(all="ignore"):
                yield
        finally:
            self._seconds += time.perf_counter() - started

    def _judge(self, last: Start, now: Start) -> None:
        """Judge the step that led from the last call's parameters to these."""
        if last.evaluator is None or now.evaluator is None:
            self._steps.append(_unusable(last, now))
            return
        with back_at(last.evaluator, now.evaluator) as evaluator:
            before = evaluator.evaluations
            try:
                step = self._judged(Taken(evaluator, last, now.evaluator.original), now)
            finally:
                spent = evaluator.evaluations - before
                self._evaluations += spent
        self._steps.append(replace(step, evaluations=spent))

    def _excuse_first(self, number: int) -> None:
        """Accuse nobody by the first step, which had no call before, where a later one is late."""
        for first in self._steps[:1]:
            if first.verdict == "fail" and not first.reason:
                reason = f"the gradient is wrong, but that of step {number} {LATE}"
                self._steps[0] = _not_comparable(first, reason)

    def _judged(self, taken: Taken, now: Start) -> DescentStep:
        """Return the record of a step."""
        last, blank = taken.start, _blank(taken)
        if blank.reason:
            return blank
        if reason := _changed_loss(taken):
            return _not_comparable(blank, reason)
        after = taken.evaluator.loss_at(taken.after)
        self._steepest = max(self._steepest, taken.steepness)
        comparisons = len(self._steps) + 1
        step = measured_step(blank, taken, after, comparisons, self._steepest)
        if step.verdict == "fail" and fits_before(blank, taken, comparisons, self._steepest):
            self._excuse_first(last.number)
            return _not_comparable(step, f"the gradient {LATE}")
        if _is_same(after, now.value, last.unit) and now.gradient.keys() == last.gradient.keys():
            change = taken.along(now.gradient) - taken.along(last.gradient)
            step = replace(step, gradient_curvature=change / step.length / step.length)
        return step


def _unusable(last: Start, now: Start) -> DescentStep:
    """Return the record of a step that began, or ended, where nothing can be measured."""
    where = f"before it, {last.obstacle}" if last.obstacle else f"after it, {now.obstacle}"
    return DescentStep(last.number, "inconclusive", where, loss=last.value)


def _blank(taken: Taken) -> DescentStep:
    """Return what is known of a step beforehand, with a reason where that is all there will be."""
    last = taken.start
    blank = DescentStep(
        last.number,
        "inconclusive",
        "",
        loss=last.value,
        length=taken.length,
        analytic=math.nan if last.fault else taken.along(last.gradient),
        gradient_norm=norm([norm(array) for array in last.gradient.values()]),
    )
    if not math.isfinite(last.value):
        return replace(blank, reason=f"the loss is {last.value} before it")
    if last.fault:
        return replace(blank, verdict="fail", reason=last.fault)
    if not taken.length:
        return replace(blank, reason="no parameter moved")
    if not taken.is_measurable:
        reason = f"a step of length {taken.length:.1e} cannot be divided or multiplied"
        return _not_comparable(blank, reason)
    return blank


def _not_comparable(step: DescentStep, reason: str) -> DescentStep:
    return replace(step, verdict="inconclusive", reason=reason, resolution=None, comparable=False)


def _changed_loss(taken: Taken) -> str:
    """Return how a loss is another function than it was before the step; "" where it is not.

    A random one differs from call to call; its noise is measured.
    """
    last, evaluator = taken.start, taken.evaluator
    again = float(evaluator.loss())
    if _is_same(again, last.value, last.unit) or not _is_same(float(evaluator.loss()), again, 0.0):
        return ""
    reads_others = evaluator.loss_at(taken.after) == again
    return (
        f"its loss was {last.value:.6g} and is {again:.6g} at the same parameters"
        f"{_remedy(reads_others, last.problem.in_place)}"
    )


def _remedy(reads_others: bool, in_place: bool) -> str:
    """Return what to do about a loss that changed.

    Parameters
    ----------
    reads_others: whether it is the same at both ends of the step
    in_place: whether it reads live arrays
    """
    if reads_others and in_place:
        return " and after the step; hand over the arrays that it reads, no copies of them"
    if reads_others:
        return " and after the step; if it reads live arrays, use DescentMonitor(in_place=True)"
    return "; bind copies of what it reads" + ("" if in_place else ", or give copies in args=")


def _is_same(one: float, other: float, unit: float) -> bool:
    return abs(one - other) <= SAME_VALUE_UNITS * unit * abs(other)
