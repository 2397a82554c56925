"""Measure gradcheck's verdicts on whole networks, beside other tools where that is cheap.

python tests/benchmarks/networks.py --seeds 5 --first 100 --write
"""

from __future__ import annotations

import argparse
import warnings
from collections import Counter
from collections.abc import Sequence

import numpy as np
import ours
import whole_peers
from families import Entry
from outcomes import Record
from rates import figures
from report_file import REPORT, write_sections
from tables import HEADER, cells, markdown_table
from whole_checks import BATCH, BIAS_SCALE, CRITERIA, Criterion, mapped, of_network

from gradcheck import Problem, check
from mlp import activations, initialisers, losses
from mlp.network import dense_network

FIRST_SEED = 2026
SEEDS = 20
SWEPT_SIZES = (64, 64, 32, 10)
COMPLEX_STEP = 1e-30
SWEPT_FIGURES = ("false fail", "passes", "truth inside bar", "bar / error")
VERDICTS = ("pass", "inconclusive", "fail")


def swept_problem(seed: int, sizes: Sequence[int] = SWEPT_SIZES) -> Problem:
    """Return a sigmoid network every entry of which is to be compared."""
    rng = np.random.default_rng(seed)
    network = dense_network(
        rng,
        sizes,
        activations.sigmoid,
        activations.identity,
        losses.half_mean_squared_norm,
        initialiser=initialisers.xavier_normal,
        bias_scale=BIAS_SCALE,
    )
    inputs, targets = (rng.standard_normal((BATCH, size)) for size in (sizes[0], sizes[-1]))
    return of_network(network, inputs, targets)


def true_slopes(problem: Problem) -> dict[str, np.ndarray]:
    """Return the gradient by the complex step of the loss, by parameter name."""
    moved = mapped(problem.parameters, lambda _layer, _key, array: array.astype(complex))
    slopes = {}
    for layer, arrays in moved.items():
        for key, array in arrays.items():
            slopes[f"{layer}.{key}"] = np.zeros(array.size)
            for position, value in enumerate(array.ravel()):
                array.flat[position] = value + COMPLEX_STEP * 1j
                slope = np.imag(problem.loss(moved, *problem.args)) / COMPLEX_STEP
                slopes[f"{layer}.{key}"][position] = slope
                array.flat[position] = value
    return slopes


def swept_records(seed: int, sizes: Sequence[int] = SWEPT_SIZES) -> list[Record]:
    """Return the comparison of every entry of a right network."""
    problem = swept_problem(seed, sizes)
    true = true_slopes(problem)
    records = []
    for name, position, _, said in ours.every_entry(problem, seed):
        slope = float(true[name][position])
        entry = Entry(name, position, slope, slope)
        records.append(Record(ours.NAME, "network", seed, entry, 0.0, True, said))
    return records


def verdict_row(criterion: Criterion, seeds: Sequence[int]) -> list[str]:
    """Return how often a criterion was met, with the verdicts."""
    seeds = seeds[: criterion.seeds]
    verdicts: Counter[str] = Counter()
    missed = []
    for seed in seeds:
        trial = criterion.make(seed)
        report = check(trial.problem, effort=criterion.effort, seed=seed)
        verdicts[report.verdict] += 1
        if not criterion.holds(report, trial):
            missed.append(seed)
    counts = [str(verdicts[verdict]) for verdict in VERDICTS]
    met = f"{len(seeds) - len(missed)} of {len(seeds)}"
    if missed:
        met += f", not {', '.join(map(str, missed))}"
    return [criterion.title, criterion.effort, *counts, met]


def peer_row(criterion: Criterion, seeds: Sequence[int]) -> list[str]:
    """Return how often each other tool was right about the same networks."""
    trials = [criterion.make(seed) for seed in seeds[: criterion.seeds]]
    row = [criterion.title.partition(":")[0]]
    for accepts in whole_peers.installed().values():
        right = sum(accepts(t.problem) == (not t.wrong_layer) for t in trials)
        row.append(f"{right} of {len(trials)}")
    return row


def swept_section(seeds: Sequence[int]) -> str:
    """Return the table of every entry of the sigmoid networks."""
    records = [record for seed in seeds for record in swept_records(seed)]
    sizes = "-".join(map(str, SWEPT_SIZES))
    said = f"Every entry of a right {sizes} sigmoid network, {len(seeds)} network seeds:"
    shown = [HEADER.index(name) for name in SWEPT_FIGURES]
    row = cells(figures(records))
    return f"{said}\n\n" + markdown_table([HEADER[i] for i in shown], [[row[i] for i in shown]])


def verdict_section(seeds: Sequence[int]) -> str:
    """Return the table of verdicts on whole networks."""
    header = ["network: required", "effort", *VERDICTS, "as required"]
    return markdown_table(header, [verdict_row(criterion, seeds) for criterion in CRITERIA])


def peer_section(seeds: Sequence[int]) -> str:
    """Return the table of what other tools say about the same networks."""
    said = "Right gradients accepted, wrong ones rejected:"
    rows = [peer_row(c, seeds) for c in CRITERIA if not c.make(seeds[0]).problem.in_place]
    return f"{said}\n\n" + markdown_table(["network", *whole_peers.installed()], rows)


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many networks of each kind")
    parser.add_argument("--first", type=int, default=FIRST_SEED, help="seed of the first")
    parser.add_argument("--no-sweep", action="store_true", help="leave out every entry")
    parser.add_argument("--alone", action="store_true", help="without the other tools")
    parser.add_argument("--write", action="store_true", help=f"into {REPORT.name}")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its tables."""
    options = _arguments(given)
    seeds = range(options.first, options.first + options.seeds)
    parts, sections = [], {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if not options.no_sweep:
            parts.append(swept_section(seeds))
        parts.append(verdict_section(seeds))
        sections["Whole networks"] = "\n\n".join(parts)
        if whole_peers.installed() and not options.alone:
            sections["Whole networks and other tools"] = peer_section(seeds)
    print("\n\n".join(sections.values()))
    if options.write:
        made = (
            f"Made by `python tests/benchmarks/networks.py --seeds {options.seeds} "
            f"--first {options.first} --write`."
        )
        sections["Whole networks"] = f"{made}\n\n{sections['Whole networks']}"
        write_sections(sections)


if __name__ == "__main__":
    main()
