"""Measure what it takes to locate wrong entries of a gradient, beside plain bisection.

python tests/benchmarks/localisation.py --trials 20 --first 9000 --write
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ours import Prepared
from tables import markdown_table
from wrong_networks import (
    Attempt,
    Locator,
    Place,
    attempt,
    bisection,
    first_column,
    first_row,
    first_weight,
    ours_locator,
    prepared_network,
    probed,
    scattered,
    spoilt,
)

import gradcheck

REPORT = Path(__file__).resolve().parents[2] / "reports" / "localisation.md"
FIRST_SEED = 9000
TRIALS = 20
SLIGHT = 1e-4
# How much more a slight error may cost.
SLIGHT_FACTOR = 1.5
LOCATORS: dict[str, Locator] = {"gradcheck": ours_locator, "bisection": bisection}
HEADER = (
    "wrong", "relative error", "by", "evaluations, median (largest)", "at most", "located",
    "missed: unseen, admitted, hidden", "false", "dense",
)  # fmt: skip


@dataclass(frozen=True)
class Network:
    """A network to be made wrong: layer sizes, batch, and the part of the trials it gets."""

    sizes: tuple[int, ...]
    batch: int
    share: float = 1.0

    @property
    def title(self) -> str:
        """The sizes and how many parameters that makes."""
        count = sum((a + 1) * b for a, b in zip(self.sizes, self.sizes[1:], strict=False))
        return f"{'-'.join(map(str, self.sizes))}: {count:,} parameters, batch {self.batch}"


@dataclass(frozen=True)
class Wrong:
    """A way for a gradient to be wrong.

    Attributes
    ----------
    title: what is wrong
    places: the wrong entries, from the network, the relative error and the seed
    relative: the relative error
    most: evaluations it may take, in the median; None where nothing is required
    locators: names of those that try
    share: part of the trials
    """

    title: str
    places: Callable[[Prepared, float, int], set[Place]]
    relative: float
    most: float | None = None
    locators: tuple[str, ...] = ("gradcheck",)
    share: float = 1.0


def _scattered(count: int) -> Callable[[Prepared, float, int], set[Place]]:
    return lambda prepared, relative, seed: scattered(prepared, count, relative, seed)


def _of_first(places: Callable[[Prepared, int], set[Place]]) -> Callable[..., set[Place]]:
    return lambda prepared, _relative, seed: places(prepared, seed)


def _entries(counts: dict[int, int], *, compared: bool) -> list[Wrong]:
    return [
        Wrong(
            f"{count} {'entry' if count == 1 else 'entries'}",
            _scattered(count),
            relative,
            most * (SLIGHT_FACTOR if relative == SLIGHT else 1.0),
            tuple(LOCATORS) if compared else ("gradcheck",),
        )
        for count, most in counts.items()
        for relative in (0.5, 1e-2, SLIGHT)
    ]


LARGE = Network((784, 128, 64, 10), 32)
LARGER = Network((784, 512, 256, 10), 64, share=0.25)
WRONG = {
    LARGE: [
        *_entries({1: 40, 3: 140, 10: 450, 100: 4000}, compared=True),
        *(Wrong("a row of W1", _of_first(first_row), rel, share=0.5) for rel in (0.5, 1e-2)),
        *(Wrong("a column of W1", _of_first(first_column), rel, share=0.5) for rel in (0.5, 1e-2)),
        Wrong("all of W1", _of_first(first_weight), 1.0, share=0.5),
    ],
    LARGER: [
        *_entries({1: 40, 3: 140, 10: 450}, compared=False),
        Wrong("a row of W1", _of_first(first_row), 0.5),
        Wrong("all of W1", _of_first(first_weight), 1.0),
    ],
}  # fmt: skip

METHOD = """\
Sigmoid networks with random weights (LeCun normal) and random data; every network seed is one
trial. Entries drawn from all that have a gradient other than zero are made wrong by a relative
error. What a check does first is not counted: two random directions per parameter, and the noise.
Every parameter where one of these disagrees is then searched, and the evaluations of all of them
are added up.

- *Evaluations*: over the networks in which anything was searched.
- *Located*: wrong entries that were compared on their own and disagree, of all that are wrong.
- *Missed*: *unseen*, no direction of their parameter disagreed, so that it was not searched;
  *admitted*, the result says that it is not complete; *hidden*, it says that what was found
  explains all directions within their error bars, and what is left is below these.
- *False*: right entries that were accused.
- *Bisection*: halves whatever disagrees, by the same slopes of four evaluations, one half measured
  and the other deduced, and compares what is left of it; no direction is looked along afterwards.
"""


def attempts(network: Network, first: int, trials: int) -> dict[tuple[int, str], list[Attempt]]:
    """Return all attempts by the number of the way to be wrong and the locator."""
    result: dict[tuple[int, str], list[Attempt]] = {}
    for seed in range(first, first + _part(network.share, trials)):
        prepared = prepared_network(seed, network.sizes, network.batch)
        for number, wrong in enumerate(WRONG[network]):
            if seed - first >= _part(wrong.share * network.share, trials):
                continue
            for name, made in _tried(prepared, wrong, seed):
                result.setdefault((number, name), []).append(made)
    return result


def _part(share: float, trials: int) -> int:
    return max(1, round(share * trials))


def _tried(prepared: Prepared, wrong: Wrong, seed: int) -> Iterator[tuple[str, Attempt]]:
    places = wrong.places(prepared, wrong.relative, seed)
    claims = spoilt(prepared, places, wrong.relative)
    probes = probed(prepared, claims, seed)
    for name in wrong.locators:
        yield name, attempt(prepared, claims, probes, places, seed=seed, locator=LOCATORS[name])


def row(wrong: Wrong, name: str, made: Sequence[Attempt]) -> list[str]:
    """Return a row of the table."""
    evaluations = [each.evaluations for each in made if each.evaluations] or [0]
    median = float(np.median(evaluations))
    most = "–"
    if wrong.most is not None and name == "gradcheck":
        most = f"{wrong.most:.0f}, {'met' if median <= wrong.most else 'NOT MET'}"
    total = {
        field: sum(getattr(each, field) for each in made)
        for field in ("wrong", "found", "unseen", "admitted", "hidden", "false", "dense")
    }
    return [
        wrong.title,
        f"{wrong.relative:g}",
        name,
        f"{median:.0f} ({max(evaluations)})",
        most,
        f"{total['found']} of {total['wrong']}",
        f"{total['unseen']}, {total['admitted']}, {total['hidden']}",
        str(total["false"]),
        f"{total['dense']} of {len(made)}",
    ]


def section(network: Network, made: dict[tuple[int, str], list[Attempt]]) -> str:
    """Return the table of one network."""
    rows = [row(WRONG[network][number], name, each) for (number, name), each in made.items()]
    count = max(len(each) for each in made.values())
    return f"## {network.title}\n\n{count} networks.\n\n{markdown_table(HEADER, rows)}\n"


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=TRIALS, help="networks of the first kind")
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="seed of the first")
    parser.add_argument("--write", action="store_true", help=f"into {REPORT.name}")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its tables."""
    options = _arguments(given)
    sections = []
    for network in WRONG:
        sections.append(section(network, attempts(network, options.first, options.trials)))
        print(sections[-1], flush=True)
    if options.write:
        made = (
            f"Made by `python tests/benchmarks/localisation.py --trials {options.trials} "
            f"--first {options.first} --write`, with Python {platform.python_version()}, "
            f"gradcheck {gradcheck.__version__}, numpy {np.__version__}."
        )
        parts = ["# What it takes to locate wrong entries", f"{made}\n\n{METHOD}", *sections]
        REPORT.write_text("\n\n".join(part.strip() for part in parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
