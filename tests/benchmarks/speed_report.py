"""Measure the speed of checks beside other tools, and write it down."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from speed_bounds import Bound, table
from speed_exhaustive import black_box_bounds, layered_bounds, start_bounds
from speed_extent import FIRST_SEED, Extent
from speed_memory import growth_in_own_process
from speed_peers import versions
from speed_power import Letters, RightGradients, alarms_of_all, letters_of_all
from speed_race import BARE_GRADIENT, BARE_LOSS, Race, run_race
from speed_screening import screening_bounds
from speed_starts import run_starts
from speed_tables import letters_table, race_table, size_title

import gradcheck

REPORT = Path(__file__).resolve().parents[2] / "reports" / "speed.md"
METHOD = """\
Networks of sigmoid hidden layers and linear outputs with random weights (LeCun normal) and random
data, in float64; the loss is the mean over the batch of half the squared distance. Seeds start at
{first}.

- *Time*: processor time of one whole check, one thread for BLAS and XLA, after a check that is not
  timed. Everything is timed once a round, ratios are formed within a round, and what is shown are
  medians. `~`: stopped after {seconds:g} s and extrapolated by evaluations; but for the plain loop
  and gradcheck, in one round only. How many evaluations a whole check takes is then what it took
  per entry at the next smaller size.
- *Memory*: by how much a fresh process grows at most during the check (resident set, with the
  arrays of the user's functions), after a check of S has loaded all code; what is extrapolated, as
  far as it went. For the bounds of gradcheck it is tracemalloc's peak: of the quick check without
  the gradients that the user's code returns, of the sweep beyond what the quick check holds.
- *Entries and certification*: of a check that sees the layers, the time of its directions by the
  user's loss, of the numbers of all entries with their error bars, and of their comparison and
  judgement; without preflight, noise, notes and the report, which the whole check has too.
- *Bugs*: of a network with one bug at a time, E: exactly the wrong entries are named, P: exactly
  the wrong parameters, p: some of them, D: only that something is wrong, !: something right is
  accused too, `.`: missed. A numerical gradient without a verdict is judged by `np.isclose`,
  scipy's number by 1e-6. What is wrong is known from the right gradient: entries that differ by
  more than 1e-12 of the largest must be named, those that do not differ must not.
- *False alarms*: right gradients called wrong. Tools that take long are asked at one network.
- *torch fast*: its second look at what fails, which is the slow mode, is left out. *Own network*:
  written in torch and differentiated by it, *numpy function*: the loss and the gradient that the
  others get, as a `torch.autograd.Function`. The bounds are against the faster one.
- *Own work*: time of the whole check less that of its calls of the loss and the gradient, as they
  take by themselves in the same round. The time of the loop over entries is that of the check of
  every entry less that of the quick check, with which it begins.
- *Start-up*: wall time of fresh processes, one of each a round; the command is started as the
  installed script does it.
"""


@dataclass(frozen=True)
class Measured:
    """All that was measured.

    Attributes
    ----------
    races, letters, alarms, grown: by size, and by what ran there
    bounds: by the part of the requirements they belong to
    """

    races: dict[str, Race]
    letters: dict[str, dict[str, Letters]]
    alarms: dict[str, dict[str, RightGradients]]
    grown: dict[str, dict[str, int | None]]
    bounds: dict[str, list[Bound]]


def measure(extent: Extent, tell: Callable[[str], None]) -> Measured:
    """Measure everything; `tell` is told what is being done."""
    tell("warming up")
    run_race("S", 1, extent.part_seconds, {}, FIRST_SEED)  # loads all modules
    races, per_entry = {}, dict[str, float]()
    for size, rounds in extent.rounds.items():
        tell(f"timing {size}")
        races[size] = run_race(size, rounds, extent.part_seconds, per_entry, FIRST_SEED)
    letters, alarms = {}, {}
    for size, seeds in extent.bug_seeds.items():
        if seeds:
            tell(f"bugs in {size}")
            letters[size] = letters_of_all(size, FIRST_SEED, extent.longest)
            alarms[size] = _alarms(size, extent)
    grown = {}
    for size in extent.memory:
        tell(f"memory at {size}")
        grown[size] = _grown(races[size], size, extent)
    return Measured(races, letters, alarms, grown, _bounds(extent, races, letters, tell))


def _alarms(size: str, extent: Extent) -> dict[str, RightGradients]:
    others = range(FIRST_SEED, FIRST_SEED + extent.peer_seeds)
    # Those that are asked of every network last: they count.
    return alarms_of_all(size, others[:1], extent.longest) | alarms_of_all(size, others, 0)


def _grown(race: Race, size: str, extent: Extent) -> dict[str, int | None]:
    titles = [title for title in race.costs if title not in (BARE_LOSS, BARE_GRADIENT)]
    return {title: growth_in_own_process(title, size, extent.part_seconds) for title in titles}


def _bounds(
    extent: Extent,
    races: dict[str, Race],
    letters: dict[str, dict[str, Letters]],
    tell: Callable[[str], None],
) -> dict[str, list[Bound]]:
    found = {}
    tell("screening")
    found["screening"] = list(screening_bounds(extent, races, letters))
    tell("layered")
    found["layered"] = list(layered_bounds(extent, races, letters))
    tell("black box")
    found["black box"] = list(black_box_bounds(extent, races))
    tell("start-up")
    found["start-up"] = list(start_bounds(run_starts(extent.starts)))
    return found


def written(measured: Measured, extent: Extent, command: str, seconds: float) -> str:
    """Return the report as text that renders as Markdown."""
    made = (
        f"Made by `{command}` in {seconds / 60:.0f} minutes, with {_versions()}, "
        f"on {os.cpu_count()} cores ({platform.machine()}, {platform.system()})."
    )
    method = METHOD.format(first=FIRST_SEED, seconds=extent.part_seconds)
    parts = ["# How fast a check is", made, "## Bounds", table(measured.bounds)]
    parts += ["## How it is measured", method]
    for size, race in measured.races.items():
        found = (kind.get(size, {}) for kind in (measured.letters, measured.alarms, measured.grown))
        parts += [f"## {size_title(size, race.network.count)}", race_table(race, *found)]
    for size, letters in measured.letters.items():
        parts += [f"## What is said of every bug at {size}", letters_table(letters)]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _versions() -> str:
    known = {"Python": platform.python_version(), "gradcheck": gradcheck.__version__}
    return ", ".join(f"{name} {version}" for name, version in (known | versions()).items())


def run(extent: Extent, command: str, *, write: bool) -> None:
    """Measure everything, print the report, and write it if asked to."""
    started = time.perf_counter()

    def tell(what: str) -> None:
        print(f"{time.perf_counter() - started:5.0f} s  {what}", file=sys.stderr, flush=True)

    measured = measure(extent, tell)
    text = written(measured, extent, command, time.perf_counter() - started)
    print(text)
    if write:
        REPORT.write_text(text, encoding="utf-8")
