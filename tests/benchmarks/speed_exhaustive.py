"""The bounds of the checks that compare every entry, and of the command's start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from speed_bounds import (
    Bound,
    at_least,
    at_most,
    exactly_named,
    no_alarm,
    not_measured,
)
from speed_clock import Cost
from speed_contestants import (
    BLACK_BOX,
    COMPLEX,
    LAYERED,
    QUICK,
    STRICT,
    VECTORIZED,
    entries_of,
    own_checks,
)
from speed_extent import FIRST_SEED, Extent
from speed_layers import layered_problem, undeclared_problem
from speed_memory import MEGABYTE, growth_of_sweep
from speed_networks import make_network
from speed_numbers import numbers_of
from speed_power import Letters, alarms_of_own, letters_of_own
from speed_race import BARE_LOSS, Race
from speed_starts import HELP, REFERENCE, Starts

import gradcheck
from gradcheck import GradientReport, Problem

LEAST_SPEED = {"L": 2500, "XL": 5000, "M": 100}
LEAST_STRICT, LEAST_COMPLEX = 20, 2000
# Words by which a report tells how the entries were compared.
FORMS = ("pre-activation", "resumed", "by itself")


def layered_bounds(
    extent: Extent, races: Mapping[str, Race], letters: Mapping[str, Mapping[str, Letters]]
) -> Iterator[Bound]:
    """Yield the bounds of the checks that see the layers; see `screening_bounds`."""
    for size, least in LEAST_SPEED.items():
        title = f"{size}: every entry, times as fast as the plain loop"
        yield _speed(title, least, races[size], LAYERED)
    yield from _accuracy()
    known = {own.title: own for own in own_checks()}
    for size, count in extent.layered_seeds.items():
        seeds = range(FIRST_SEED, FIRST_SEED + count)
        right = alarms_of_own(known[LAYERED], size, seeds)
        yield no_alarm(f"{size}: false fails over networks, every entry", right)
    for size, count in extent.bug_seeds.items():
        further = range(FIRST_SEED + 1, FIRST_SEED + count)
        found = letters_of_own(known[LAYERED], size, further, letters.get(size, {}))
        yield exactly_named(f"{size}: exactly the wrong entries named", found, entries=True)
    race = races["L"]
    yield _speed("L: strict, times as fast", LEAST_STRICT, race, STRICT)
    yield _speed("L: complex step, times as fast", LEAST_COMPLEX, race, COMPLEX)
    yield from _forms()


def _speed(title: str, least: float, race: Race, check: str) -> Bound:
    """Return the bound on entries with error bars and certification, the whole check beside it."""
    whole = f"; with all else that a check does {race.speedup(check):,.3g} ×"
    return at_least(title, least, race.speedup(entries_of(check)), " ×", also=whole)


def black_box_bounds(extent: Extent, races: Mapping[str, Race]) -> Iterator[Bound]:
    """Yield the bounds of the check that sees nothing but the loss."""
    for size in ("M", "L", "XL"):
        part = ", on a part" if races[size].is_part(BLACK_BOX) else ""
        ratio = races[size].median_of(_loop_over_losses, BLACK_BOX, QUICK, BARE_LOSS)
        yield at_most(f"{size}: the loop's time / bare loss evaluations", 1.1, ratio, also=part)
    title = "L: memory growth of the sweep"
    if "L" in extent.memory:
        shapes = {name: array.shape for name, array in races["L"].network.parameters.items()}
        yield at_most(title, 4, growth_of_sweep(shapes) / MEGABYTE, " MB")
    else:
        yield not_measured(title, "≤ 4 MB", "left out")
    yield _vectorized(races["M"])


def _loop_over_losses(whole: Cost, first: Cost, loss: Cost) -> float:
    """Return the time of the loop over entries, which comes after all that the quick check does."""
    evaluations = whole.evaluations - first.evaluations
    return (whole.seconds - first.seconds) / (evaluations * loss.seconds)


def start_bounds(starts: Starts) -> Iterator[Bound]:
    """Yield the bounds of the command's start."""
    for title, most in ((HELP, 1.5), (REFERENCE, 4.0)):
        took = f" ({1e3 * starts.median(title):.0f} ms)"
        yield at_most(f"`{title}` / import of numpy", most, starts.ratio(title), also=took)


def _accuracy() -> Iterator[Bound]:
    """Yield how far every numerical entry is off, against 80-bit backpropagation."""
    holds, largest = "error bars of all entries hold", "L: largest relative error of an entry"
    for size in ("L", "XL"):
        found = numbers_of(make_network(size, FIRST_SEED))
        if found is None:
            yield not_measured(f"{size}: {holds}", "all", "not every entry has a number")
            continue
        count = found.errors.size
        measured = f"{found.inside:,} of {count:,}"
        yield Bound(f"{size}: {holds}", "all", measured, found.inside == count)
        if size == "L":
            yield at_most(largest, 1e-5, found.largest_relative_error)


def _forms() -> Iterator[Bound]:
    """Yield whether layers that tell nothing are resumed, and reports tell what was done."""
    right, wrong = undeclared_problem(), _spoilt(undeclared_problem())
    found, seen = gradcheck.check(right), gradcheck.check(wrong)
    failing = [part.name for part in seen.parameters if part.verdict == "fail"]
    form = form_of(found)
    met = found.ok and failing == ["convolution.kernel"] and "resum" in form
    measured = f"right: {found.verdict}; wrong kernel: {', '.join(failing) or 'nothing'} fails"
    yield Bound("undeclared layers: resumed at the layer", "yes", measured, met)
    declared = form_of(gradcheck.check(layered_problem(make_network("S"))))
    told = [text for text in (declared, form) if text]
    measured = "; ".join(f'"{text}"' for text in told) or "nothing"
    met = bool(declared) and "convolution" in form
    yield Bound("the report says which form was used", "yes", measured, met)


def form_of(report: GradientReport) -> str:
    """Return what a report says of how the entries were compared."""
    note = next((note for note in report.notes if any(word in note for word in FORMS)), "")
    return note.rpartition(": ")[2]


def _spoilt(problem: Problem) -> Problem:
    def gradient(*given: object) -> object:
        found = problem.gradient(*given)
        found["convolution"]["kernel"][3] *= 1.01
        return found

    return Problem(
        problem.loss, gradient, problem.parameters, args=problem.args, network=problem.network
    )


def _vectorized(race: Race) -> Bound:
    title = "`vectorized=True`: several sets of parameters at once"
    (own,) = (own for own in own_checks() if own.title == VECTORIZED)
    network = race.network
    report, plain = own.report(network), race.ratio(VECTORIZED, BLACK_BOX)
    wrong = own.report(network, lambda at: _off(network.gradient(at)))
    met = report.ok and wrong.verdict == "fail"
    measured = f"right: {report.verdict}, wrong: {wrong.verdict}; {plain:.2g} × the time at M"
    return Bound(title, "works", measured, met)


def _off(found: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    found["W2"][0, 0] *= 1.01
    return found
