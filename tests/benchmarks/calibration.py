"""Measure how far gradcheck's verdicts can be trusted, beside other tools on the same cases.

python tests/benchmarks/calibration.py --problems 60 --seed 1 --families kink --worst
"""

from __future__ import annotations

import argparse
import json
import platform
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import ours
import peers
from families import ENTRIES, FAMILIES, chosen_families, make_case
from outcomes import BUGS, Record, is_right
from report_file import REPORT, write_sections
from tables import HEADER, family_rows, markdown_table, matrix, tool_rows

import gradcheck

SEED = 2026
PROBLEMS = 300
NOTHING_WRONG = "no false fail, no truth outside its error bar"
PROTOTYPE = Path(__file__).with_name("prototype_figures.json")

METHOD = f"""\
One comparison is one entry of a gradient, right or made wrong by a relative 1e-2, 1e-4 or 1e-6,
against the loss of one problem, {ENTRIES} entries per problem. The true slopes come from the
complex step in extended precision, at kinks from both sides. gradcheck runs its preflight and
measures noise once per problem, then compares each claim on its own; the other tools get the same
losses, entries and claims.

- *False fail*: right claims rejected, with the upper 95 % confidence limit; at a kink every slope
  between the two one-sided ones is right.
- *Passes*: right gradients accepted; apart from those, the ones accepted with the note that there
  is a kink. The rest is inconclusive, for tools that have such a verdict. *Finds*: wrong claims
  rejected. 95 % confidence limits (Wilson) in brackets.
- *Truth inside bar*: true slope within the error bar of the numerical one; at a kink, both slopes.
- *Bar / error*: median of the error bar over the true error, no error taken as below 2.2e-16 of
  the slope.
- *Evaluations*: of the loss, per right gradient that passed, median and 95th percentile; *at
  kinks* where it passed with that note. gradcheck adds {{shared:.0f}} per problem (median) for
  preflight and noise.

A float32 gradient is good to about 1e-7 of its largest entries, so a bug of 1e-6 hardly shows; a
loss in float32 shows about 1e-2, a noisy loss what its noise leaves. There a finer claim is
inconclusive, which is the right verdict.
"""


def run(
    families: Sequence[str],
    seed: int,
    numbers: Sequence[int],
    tools: Mapping[str, peers.Peer] | None = None,
) -> list[Record]:
    """Return all comparisons by gradcheck and by the other tools, given by name."""
    records: list[Record] = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for family in families:
            for number in numbers:
                records += _records_of_ours(family, seed, number)
                for name, peer in (tools or {}).items():
                    records += _records_of_peer(name, peer, family, seed, number)
    return records


def _records_of_ours(family: str, seed: int, number: int) -> Iterator[Record]:
    case = make_case(family, seed, number)
    prepared = ours.prepare_case(case)
    for entry in case.entries:
        analytic = ours.analytic_slope(prepared, entry)
        for bug in _bugs(analytic):
            said = ours.compare(prepared, entry, bug)
            right = is_right(entry, analytic, bug)
            yield Record(ours.NAME, family, number, entry, bug, right, said)


def _records_of_peer(
    name: str, peer: peers.Peer, family: str, seed: int, number: int
) -> Iterator[Record]:
    case = make_case(family, seed, number)
    gradient = case.gradient(case.parameters)
    for entry in case.entries:
        analytic = float(gradient[entry.name].flat[entry.position])
        bugs = _bugs(analytic)
        claims = [analytic * (1 + bug) for bug in bugs]
        for bug, said in zip(bugs, peer(peers.Line(case, entry), claims), strict=True):
            yield Record(name, family, number, entry, bug, is_right(entry, analytic, bug), said)


def _bugs(analytic: float) -> tuple[float, ...]:
    """Return the relative sizes of bugs to try; of zero there are none."""
    return BUGS if analytic else BUGS[:1]


def worst_cases(records: Sequence[Record]) -> str:
    """Return the comparisons that must not happen, each with what it takes to repeat it."""
    wrong = {
        "false fail": [r for r in records if r.right and r.said.verdict == "fail"],
        "truth outside": [r for r in records if r.has_bar and not r.covered],
    }
    lines = [_described(what, record) for what, found in wrong.items() for record in found]
    return "\n".join(lines or [NOTHING_WRONG])


def _described(what: str, record: Record) -> str:
    said, entry = record.said, record.entry
    return (
        f"{what}: {record.tool}, {record.family} --problem {record.number}, "
        f"{entry.name}.flat[{entry.position}], bug {record.bug:g}: {said.verdict}, "
        f"value {said.value:.17g} ± {said.bar:.3g} jump {said.jump:.3g}, "
        f"true {entry.left:.17g} {entry.right:.17g}, {said.evaluations} evaluations, {said.limit}"
    )


def sections(records: Sequence[Record], seed: int, problems: int) -> dict[str, str]:
    """Return the parts of the report that these comparisons make."""
    mine = [record for record in records if record.tool == ours.NAME]
    used = {"gradcheck": gradcheck.__version__} | peers.versions()
    versions = ", ".join(f"{name} {version}" for name, version in used.items())
    made = (
        f"Made by `python tests/benchmarks/calibration.py --problems {problems} --seed {seed} "
        f"--write`: {len(mine)} comparisons by each tool, {problems} problems per family, with "
        f"Python {platform.python_version()}, {versions}."
    )
    shared = float(np.median([_shared(family, seed) for family in FAMILIES]))
    header, rows = matrix(records)
    described = "\n".join(f"- *{name}*: {family.__doc__}" for name, family in FAMILIES.items())
    compact = (
        "Right claims that failed / bugs of 1e-2 / of 1e-4 / of 1e-6 found, in percent. A tool "
        "that rejects whatever it is given finds every bug."
    )
    return {
        "What is measured": f"{made}\n\n{METHOD.format(shared=shared)}",
        "Every family": f"{described}\n\n{markdown_table(['family', *HEADER], family_rows(mine))}",
        "Beside other tools": markdown_table(["tool", *HEADER], tool_rows(records)),
        "By family and tool": f"{compact}\n\n{markdown_table(header, rows)}",
        "An earlier prototype on the same cases": prototype_section(),
    }


def _shared(family: str, seed: int) -> int:
    return ours.prepare_case(make_case(family, seed, 0)).shared


def prototype_section() -> str:
    """Return the figures that a prototype of the method reached, kept from when it was measured."""
    kept = json.loads(PROTOTYPE.read_text(encoding="utf-8"))
    said = (
        f"Measured once, with seed {kept['seed']} and {kept['problems']} problems per family. Its "
        "error bars are not widened for the number of comparisons, and it was told of float32 "
        "and of extended precision where gradcheck finds out by itself. Where a truth is outside "
        "its bar, a wrong claim near a kink was taken for one exactly at it."
    )
    return f"{said}\n\n{markdown_table(['family', *kept['header']], kept['rows'])}"


def _arguments(given: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=PROBLEMS, help="per family")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--families", nargs="*", default=[], help="words of their names")
    parser.add_argument("--problem", type=int, help="this one only, to repeat it")
    parser.add_argument("--alone", action="store_true", help="without the other tools")
    parser.add_argument("--worst", action="store_true", help="list what must not happen")
    parser.add_argument("--write", action="store_true", help=f"into {REPORT.name}")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its tables."""
    options = _arguments(given)
    numbers = range(options.problems) if options.problem is None else [options.problem]
    tools = {} if options.alone else peers.installed()
    records = run(chosen_families(options.families), options.seed, numbers, tools)
    mine = [record for record in records if record.tool == ours.NAME]
    print(markdown_table(["family", *HEADER], family_rows(mine)), "\n")
    if tools:
        print(markdown_table(["tool", *HEADER], tool_rows(records)), "\n")
        print(markdown_table(*matrix(records)), "\n")
    if options.worst:
        print(worst_cases(mine))
    if options.write:
        write_sections(sections(records, options.seed, options.problems))


if __name__ == "__main__":
    main()
