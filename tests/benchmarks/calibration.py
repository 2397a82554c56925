"""Measure how far gradcheck's verdicts can be trusted, beside other tools on the same cases.

python tests/benchmarks/calibration.py --problems 60 --seed 1 --families kink --worst
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import ours
from families import distinct, make_case
from outcomes import BUGS, Record, is_right
from rates import HEADER, figures, markdown_table

SEED = 2026
PROBLEMS = 300


def records_of_ours(family: str, seed: int, number: int) -> Iterator[Record]:
    """Yield gradcheck's comparisons of one case."""
    case = make_case(family, seed, number)
    prepared = ours.prepare_case(case)
    for entry in case.entries:
        analytic = ours.analytic_slope(prepared, entry)
        for bug in BUGS if analytic else BUGS[:1]:
            said = ours.compare(prepared, entry, bug)
            right = is_right(entry, analytic, bug)
            yield Record(ours.NAME, family, number, entry, bug, right, said)


def run(families: Sequence[str], seed: int, numbers: Sequence[int]) -> list[Record]:
    """Return all comparisons of all tools."""
    records: list[Record] = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for family in families:
            for number in numbers:
                records += records_of_ours(family, seed, number)
    return records


def family_table(records: Sequence[Record], tool: str) -> str:
    """Return one tool's figures by family and in total."""
    mine = [record for record in records if record.tool == tool]
    families = list(dict.fromkeys(record.family for record in mine))
    rows = [[f, *figures([r for r in mine if r.family == f]).cells()] for f in families]
    return markdown_table(["family", *HEADER], [*rows, ["all", *figures(mine).cells()]])


def worst_cases(records: Sequence[Record]) -> str:
    """Return the comparisons that must not happen, each with what it takes to repeat it."""
    wrong = {
        "false fail": [r for r in records if r.right and r.failed],
        "truth outside": [r for r in records if r.has_bar and not r.covered],
    }
    return "\n".join(
        [_described(what, record) for what, found in wrong.items() for record in found] or ["none"]
    )


def _described(what: str, record: Record) -> str:
    said, entry = record.said, record.entry
    return (
        f"{what}: {record.tool}, {record.family} --problem {record.number}, "
        f"{entry.name}.flat[{entry.position}], bug {record.bug:g}: {said.verdict}, "
        f"value {said.value:.17g} ± {said.bar:.3g} jump {said.jump:.3g}, "
        f"true {entry.left:.17g} {entry.right:.17g}, {said.evaluations} evaluations, {said.limit}"
    )


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=PROBLEMS, help="per family")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--families", nargs="*", default=[], help="words of their names")
    parser.add_argument("--problem", type=int, help="this one only, to repeat it")
    parser.add_argument("--worst", action="store_true", help="list what must not happen")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its tables."""
    options = _arguments(given)
    numbers = range(options.problems) if options.problem is None else [options.problem]
    records = run(distinct(options.families), options.seed, numbers)
    print(family_table(records, ours.NAME))
    if options.worst:
        print(worst_cases(records))


if __name__ == "__main__":
    main()
