"""layer_verifier: every result of a backward pass checked as it is computed.

A root finder asserts its residual before it returns; here a layer's gradient is asserted before
the layer below builds on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from numbers import Integral
from typing import Any, Unpack

from gradcheck.checking import NothingToCheck, check_settled
from gradcheck.options import CheckOptions, Options, settle_options, takes_options
from gradcheck.parameters import flatten, matches
from gradcheck.plan import PROBES
from gradcheck.problem import Problem, as_problem
from gradcheck.report import GradientReport, Verdict
from gradcheck.testing import GradientMismatch

# One direction more than a check needs at least: a second opinion on every layer costs little.
PERTURBATIONS = 3
# A verified backward pass has to be quick; entries are compared where something is wrong.
EFFORT = "quick"


class LayerVerifier:
    """Checks every problem it is called with, raises where one is wrong, and keeps account.

    Attributes
    ----------
    perturbations: random directions at least, along which every parameter is moved
    verdicts: how often which, by the problem's name
    reports: the latest by name
    inconclusive: the latest by name of those that were let through without being confirmed
    unverified: why nothing could be checked, by name
    evaluations, gradient_calls, seconds: what all checks took together
    """

    def __init__(self, options: Options, perturbations: int) -> None:
        self._options = options
        self.perturbations = perturbations
        self.verdicts: dict[str, Counter[Verdict]] = {}
        self.reports: dict[str, GradientReport] = {}
        self.inconclusive: dict[str, GradientReport] = {}
        self.unverified: dict[str, str] = {}
        self.evaluations, self.gradient_calls, self.seconds = 0, 0, 0.0

    @property
    def checked(self) -> int:
        """How many problems were checked."""
        return sum(counts.total() for counts in self.verdicts.values())

    def __call__(self, problem: Any) -> GradientReport | None:
        """Check a problem: loss, gradient and parameters of a layer, or of a whole network.

        Returns
        -------
        the report; None where the options or its parameters leave nothing to check

        Raises
        ------
        GradientMismatch
            when a gradient is wrong
        """
        __tracebackhide__ = True
        asked = as_problem(problem)
        try:
            report = self._checked(asked)
        except NothingToCheck as reason:
            self.unverified[asked.title] = str(reason)
            return None
        self._keep(report)
        if report.verdict == "fail":
            raise GradientMismatch(report)
        return report

    def __str__(self) -> str:
        from gradcheck.rendering import render_verified

        return render_verified(self)

    def _checked(self, problem: Problem) -> GradientReport:
        names = list(flatten(problem.parameters))
        options = replace(
            self._options,
            # Other directions every time: what one set of them misses, the next will see.
            seed=self._options.seed + self.verdicts.get(problem.title, Counter()).total(),
            only=_applying(self._options.only, names),
            exclude=_applying(self._options.exclude, names),
        )
        if self._options.only and not options.only:
            raise NothingToCheck(f"only names no parameter of {', '.join(names)}")
        report = check_settled(problem, options, self.perturbations)
        return replace(report, settings={**report.settings, "perturbations": self.perturbations})

    def _keep(self, report: GradientReport) -> None:
        self.reports[report.name] = report
        self.verdicts.setdefault(report.name, Counter())[report.verdict] += 1
        self.evaluations += report.evaluations
        self.gradient_calls += report.gradient_calls
        self.seconds += report.seconds
        if report.verdict == "inconclusive":
            self.inconclusive[report.name] = report


@partial(takes_options, effort=EFFORT)
def layer_verifier(
    *, perturbations: int = PERTURBATIONS, **options: Unpack[CheckOptions]
) -> LayerVerifier:
    """Return a function that checks a gradient as it is computed, and raises if it is wrong.

    A layer that gets the upstream u is a problem of its own: the loss sum(u * outputs), as a
    function of its parameters and of its inputs. Each of these is perturbed along random
    directions, and for every one of them

        sum(u * change of the outputs) = sum(gradient * perturbation)

    has to hold within the error bar, as the perturbation becomes small. When all is undone, the
    loss is asked for once more: where it is not exactly what it was, the report has a note (GC108)
    that ``print(verifier)`` shows. `mlp.network.Network.backward(..., verify=)` and
    `mlp.training.train(..., verify=)` take such a function; in a backward pass of your own, call it
    with the problem of a layer before you go on to the one below. What can be neither confirmed nor
    refuted is let through, and told of by ``print(verifier)``.

    Parameters
    ----------
    perturbations: random directions per parameter, at least; 2 or more
    options: as in `check_gradients`, with `effort` "quick" by default; `only` and `exclude` hold
        for the problems that have such names; `seed` is that of the first check of a problem, and
        grows by 1 with every further one, so that other directions are taken

    Returns
    -------
    LayerVerifier
        called with a `Problem`, or any object with loss, gradient and parameters, it returns the
        report, or raises GradientMismatch with the report as ``.report``

    Raises
    ------
    ValueError, TypeError
        when an option cannot be used

    Examples
    --------
    The backward pass of a layer, y = tanh(x W), with a slip: it takes the mean over the batch.

    >>> import numpy as np
    >>> import gradcheck
    >>> def forward(layer):
    ...     return np.tanh(layer["x"] @ layer["W"])
    >>> def backward(layer, upstream):
    ...     delta = upstream * (1 - forward(layer) ** 2)
    ...     return {"x": delta @ layer["W"].T, "W": layer["x"].T @ delta / len(delta)}
    >>> rng = np.random.default_rng(0)
    >>> layer = {"x": rng.normal(size=(5, 3)), "W": rng.normal(size=(3, 2))}
    >>> upstream = rng.normal(size=(5, 2))
    >>> verify = gradcheck.layer_verifier()
    >>> try:
    ...     verify(
    ...         gradcheck.Problem(
    ...             loss=lambda layer: np.sum(upstream * forward(layer)),
    ...             gradient=backward(layer, upstream),
    ...             parameters=layer,
    ...             name="hidden",
    ...             sizes={"batch": 5},
    ...         )
    ...     )
    ... except gradcheck.GradientMismatch as error:
    ...     print(str(error).splitlines()[0])
    W x1/5 (1/batch): 1 of 2 gradients wrong (hidden)
    """
    if isinstance(perturbations, bool) or not (
        isinstance(perturbations, Integral) and perturbations >= PROBES
    ):
        raise ValueError(
            f"perturbations must be a whole number of at least {PROBES}, got {perturbations!r}"
        )
    settled = settle_options({"effort": EFFORT, **options})
    if settled.vectorized:
        raise ValueError(
            "vectorized must be False for layer_verifier: a layer's forward takes one parameter "
            "set, got True"
        )
    return LayerVerifier(settled, int(perturbations))


def _applying(patterns: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Return the patterns that match a name of this problem; others are meant for other layers."""
    return tuple(pattern for pattern in patterns if matches(pattern, names))
