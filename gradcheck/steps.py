"""One step of a training measured: the loss along it, against what the gradient claims."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import islice

import numpy as np

from gradcheck.conclusion import LineDerivative
from gradcheck.descent import DescentStep, TaylorOrder
from gradcheck.directions import noise_directions, norm
from gradcheck.extrapolation import NOISE_MULTIPLE, RATIO
from gradcheck.ladder import LineSettings
from gradcheck.line import differentiate, first_step
from gradcheck.noise import Noise, measure_noise
from gradcheck.probes import slope_round_off
from gradcheck.repeats import as_double
from gradcheck.report import Verdict
from gradcheck.starts import Taken, dot, flat, moved_to
from gradcheck.taylor import Remainder, curvature, taylor_order
from gradcheck.verdict import DOUBLE_PRECISION_NOISE, REASONS, is_subgradient, outcome

# Of a loss that comes in less than float64 only a gross discrepancy is held against the gradient:
# one line through all parameters of a network crosses too many kinks at the steps it takes.
GROSS = 0.25
# Steps that Taylor orders are read from: so many, the largest so many rungs above the first.
REMAINDERS, RUNGS_ABOVE = 8, 4


class StepLine:
    """The loss along a step: at 0 where it began, at 1 where it led to; each value once.

    Attributes
    ----------
    values: of the loss so far
    """

    def __init__(self, taken: Taken, loss: float, loss_after: float) -> None:
        self._taken = taken
        self._origin = {name: taken.evaluator.original[name] for name in taken.move}
        self.values = {0.0: loss, 1.0: loss_after}
        self._slopes = {0.0: 0.0, 1.0: taken.along(taken.start.gradient)}

    def __call__(self, step: float) -> tuple[float, float]:
        """Return the loss at a step, and the analytic slope times the distance really moved."""
        if step not in self.values:
            moved = {
                name: (as_double(array) + step * self._taken.move[name]).astype(array.dtype)
                for name, array in self._origin.items()
            }
            distance = {
                n: as_double(moved[n]) - as_double(array) for n, array in self._origin.items()
            }
            # A step too short to move any entry says nothing, not that both slopes are zero.
            is_moved = any(np.any(array) for array in distance.values())
            self.values[step] = self._taken.evaluator.loss_at(moved) if is_moved else math.nan
            self._slopes[step] = dot(self._taken.start.gradient, distance)
        return self.values[step], self._slopes[step]

    def straight_up_to(self, slope: float, noise: Noise) -> float:
        """Return up to which step a slope is surely more than what curves or jitters, 1 at least.

        Entries in different units have no common size to tell how far is far, but the step itself
        has been taken. Infinite where nothing can be seen of it.
        """
        (start, _), (end, claimed) = self(0.0), self(1.0)
        bend, jitter = abs(float(end - start - claimed)), NOISE_MULTIPLE * noise.deviation
        if not math.isfinite(bend):
            return 1.0
        rest = max(bend, jitter)
        return max(1.0, slope / rest) if slope > jitter and rest > 0.0 else math.inf


def measured_step(
    blank: DescentStep, taken: Taken, loss_after: float, comparisons: int, steepest: float
) -> DescentStep:
    """Return a step with all that is measured along it, and the verdict on its gradient.

    Parameters
    ----------
    blank: what is known of it
    loss_after: the step's own loss where it led to
    comparisons: how many steps are judged, this one among them
    steepest: the largest steepness of a step so far, to judge zeros by
    """
    evaluator = taken.evaluator
    if evaluator.use_double_precision():
        loss_after = evaluator.loss_at(taken.after)
    directions = noise_directions(evaluator.original, taken.scales, seed=0)
    noise = measure_noise(evaluator, islice(directions, 1))
    line = StepLine(taken, noise.value, loss_after)
    settings = _settings(taken, line, noise)
    derivative = differentiate(line, noise.conditions(comparisons), settings)
    negligible = settings.required * steepest * taken.reach
    first_order, second_order = _orders(line, settings, noise)
    bend, bend_bar = curvature(line.values, noise.deviation)
    return replace(
        _compared(blank, derivative, settings, noise, negligible),
        loss=float(noise.value),
        loss_after=float(loss_after),
        noise=noise.deviation,
        curvature=float(bend) / taken.length / taken.length,
        curvature_error_bar=float(bend_bar) / taken.length / taken.length,
        first_order=first_order,
        second_order=second_order,
    )


def fits_before(blank: DescentStep, taken: Taken, comparisons: int, steepest: float) -> bool:
    """Return whether a gradient that fails is right at the parameters of the call before.

    There the same line is measured in the same way, and has to show that to the resolution that a
    pass takes. A wrong gradient has no reason to be right there.

    Parameters
    ----------
    blank, comparisons, steepest: as for `measured_step`
    """
    before, move = taken.start.before, taken.move
    if not before:
        return False
    with moved_to(before, taken.evaluator):
        origin = taken.evaluator.original
        after = {
            name: (as_double(origin[name]) + distance).astype(origin[name].dtype)
            for name, distance in move.items()
        }
        older = Taken(taken.evaluator, taken.start, after)
        if not older.is_measurable:
            return False
        step = measured_step(blank, older, taken.evaluator.loss_at(after), comparisons, steepest)
    return step.verdict == "pass" and step.resolution is not None


def _compared(
    blank: DescentStep,
    derivative: LineDerivative,
    settings: LineSettings,
    noise: Noise,
    negligible: float,
) -> DescentStep:
    """Return a step with both slopes and the verdict.

    Parameters
    ----------
    negligible: a slope of this size is zero beside what slopes were
    """
    resolution = _resolution(derivative, settings)
    verdict, reason = _judged(derivative, settings, noise, resolution)
    if verdict == "inconclusive" and _is_zero(derivative, settings, negligible):
        verdict, reason, resolution = "pass", "", None
    return replace(
        blank,
        verdict=verdict,
        reason=reason,
        analytic=settings.slope,
        numerical=float(derivative.value),
        error_bar=float(derivative.error_bar),
        resolution=None if resolution is None else float(resolution),
    )


def _settings(taken: Taken, line: StepLine, noise: Noise) -> LineSettings:
    """Return what is known about the line beforehand."""
    claims, move = taken.claims(noise.value), taken.move
    products = flat({name: claim.analytic * move[name] for name, claim in claims.items()})
    slope, typical = float(np.sum(products)), norm(products)
    size = max(abs(slope), typical)
    scale = min(1.0 / taken.reach, line.straight_up_to(size, noise))
    any_claim = next(iter(claims.values()))
    return LineSettings(
        slope=slope,
        slope_round_off=sum(slope_round_off(claim, move[n]) for n, claim in claims.items()),
        scale=scale,
        first_step=first_step(scale, noise.conditions(1)),
        required=any_claim.required,
        reference=typical,
        negligible=any_claim.negligible * size,
    )


def _size(derivative: LineDerivative, settings: LineSettings) -> float:
    """Return the size of slope that a relative error is relative to."""
    return max(abs(settings.slope), abs(derivative.value), settings.reference)


def _resolution(derivative: LineDerivative, settings: LineSettings) -> float | None:
    """Return the relative error of the slope that would have been seen, None if unknown.

    At a kink, between the slopes to either side, none would have been.
    """
    size = _size(derivative, settings)
    if outcome(derivative) == "undecided" or is_subgradient(derivative) or not size:
        return None
    off = 0.0 if derivative.smoothness == "kink" else abs(derivative.discrepancy)
    return max(derivative.error_bar, off) / size


def _judged(
    derivative: LineDerivative, settings: LineSettings, noise: Noise, resolution: float | None
) -> tuple[Verdict, str]:
    """Return the verdict on the gradient along the step, and why it is inconclusive."""
    if outcome(derivative) == "disagrees":
        # A line moves all entries at once: at a kink each of them may have a subgradient.
        if derivative.smoothness == "kink":
            return "inconclusive", REASONS["kink"]
        is_coarse = noise.deviation > DOUBLE_PRECISION_NOISE * abs(float(noise.value))
        if is_coarse and abs(derivative.discrepancy) <= GROSS * _size(derivative, settings):
            return "inconclusive", REASONS["noise"]
        return "fail", ""
    is_sharp = resolution is not None and resolution <= settings.required
    if is_sharp or is_subgradient(derivative):
        return "pass", ""
    return "inconclusive", REASONS[derivative.limit]


def _is_zero(derivative: LineDerivative, settings: LineSettings, negligible: float) -> bool:
    """Return whether both slopes are zero beside what slopes were: nothing is left to compare."""
    size = max(_size(derivative, settings), derivative.error_bar)
    return outcome(derivative) == "agrees" and size <= negligible


def _orders(
    line: StepLine, settings: LineSettings, noise: Noise
) -> tuple[TaylorOrder | None, TaylorOrder | None]:
    """Return what the Taylor remainders of first and second order fall like."""
    first = 2.0 ** round(math.log2(settings.first_step))  # as in the ladder, whose values these are
    steps = [first * RATIO ** (RUNGS_ABOVE - index) for index in range(REMAINDERS)]
    changes, remainders = [], []
    for step in steps:
        value, slope = line(step)
        change = float(value - noise.value)
        jitter = NOISE_MULTIPLE * noise.deviation
        changes.append(Remainder(step, abs(change), jitter))
        jitter += step * settings.slope_round_off
        remainders.append(Remainder(step, abs(change - slope), jitter))
    return taylor_order(changes), taylor_order(remainders)
