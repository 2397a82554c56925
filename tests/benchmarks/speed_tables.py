"""The tables of the report on speed, beside that of the bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping

from speed_contestants import PLAIN_LOOP
from speed_networks import SIZES
from speed_power import RIGHT, Caught, Letters, RightGradients
from speed_race import Race
from tables import markdown_table

HEADER = (
    "check", "loss evaluations", "time", "plain loop / time", "memory", "bugs caught",
    "exact parameters", "exact entries", "false alarms",
)  # fmt: skip
UNKNOWN = "–"
UNITS = ((3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))


def size_title(size: str, count: int) -> str:
    """Return the heading of a size."""
    widths, batch = SIZES[size]
    return f"{size}: {'-'.join(map(str, widths))}, batch {batch}, {count:,} parameters"


def race_table(
    race: Race,
    letters: Mapping[str, Letters],
    alarms: Mapping[str, RightGradients],
    grown: Mapping[str, int | None],
) -> str:
    """Return the table of all checks at one size."""
    rows = [
        [
            title,
            *_costs(race, title),
            _megabytes(grown.get(title)),
            *_caught(letters.get(title)),
            _alarms(alarms.get(title)),
        ]
        for title in race.costs
    ]
    return markdown_table(HEADER, rows)


def letters_table(letters: Mapping[str, Letters]) -> str:
    """Return the table of what was said of every bug."""
    titles = list(next(iter(letters.values())))
    rows = [[tool, *_row(seen, titles)] for tool, seen in letters.items()]
    return markdown_table(["check", *titles], rows)


def duration(seconds: float) -> str:
    """Return a time with its unit."""
    if math.isnan(seconds):
        return UNKNOWN
    size, unit = next(((s, u) for s, u in UNITS if seconds >= s), UNITS[-1])
    return f"{seconds / size:.3g} {unit}"


def _costs(race: Race, title: str) -> list[str]:
    mark = "~" if race.is_part(title) else ""
    evaluations, speedup = race.evaluations(title), race.speedup(title)
    # A compiled network does not tell how often it is called.
    counted = f"{mark}{evaluations:,.0f}" if evaluations else UNKNOWN
    times = f"{speedup:,.0f}" if speedup >= 10 else f"{speedup:.2g}"
    ratio = "1" if title == PLAIN_LOOP else UNKNOWN if math.isnan(speedup) else f"{mark}{times}"
    return [counted, f"{mark}{duration(race.seconds(title))}", ratio]


def _megabytes(grown: int | None) -> str:
    return UNKNOWN if grown is None else f"{grown / 1e6:.1f} MB"


def _caught(letters: Letters | None) -> list[str]:
    if letters is None:
        return [UNKNOWN] * 3
    found = Caught.of(letter for title, letter in letters.items() if title != RIGHT)
    accused = f", {found.accused} accuse what is right" if found.accused else ""
    return [
        f"{found.caught} of {found.total}{accused}", str(found.parameters), str(found.entries)
    ]  # fmt: skip


def _alarms(right: RightGradients | None) -> str:
    return UNKNOWN if right is None else f"{right.accused} of {right.total}"


def _row(letters: Letters, titles: list[str]) -> list[str]:
    shown = {RIGHT: {".": "ok"}}
    return [shown.get(title, {}).get(letters[title], letters[title]) for title in titles]
