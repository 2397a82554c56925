"""Measure how often the faults of the gallery are caught, blamed on the right part, and named.

python tests/benchmarks/gallery.py --seeds 20 --write
"""

from __future__ import annotations

import argparse
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tables import markdown_table

import gradcheck
from mlp import faults, functions
from mlp.faults.catalogue import Fault

REPORT = Path(__file__).resolve().parents[2] / "reports" / "gallery.md"
SEEDS = 20
EFFORTS = ("auto", "quick")
HEADER = (
    *("fault", "layers", "effort", "caught", "right parameters", "right layer"),
    *("accepted cause", "wrong cause", "said", "evaluations"),
)


@dataclass(frozen=True)
class Trial:
    """What a check made of one fault.

    Attributes
    ----------
    caught: the verdict is "fail"
    placed: exactly the wrong parameters fail
    layered: every finding is about the layer that has the fault, where one has
    slugs: of the findings that are errors
    accepted: those that the fault accepts
    evaluations: of the loss
    """

    caught: bool
    placed: bool
    layered: bool
    slugs: tuple[str, ...]
    accepted: frozenset[str]
    evaluations: int

    @property
    def named(self) -> bool:
        """Whether there is a finding, and none that is not accepted."""
        return bool(self.slugs) and set(self.slugs) <= self.accepted

    @property
    def misnamed(self) -> bool:
        """Whether a cause is named that is not accepted; to say that none is known is not one."""
        return bool(set(self.slugs) - self.accepted - {"unexplained"})


def trial(fault: Fault, seed: int, effort: str, *, exposed: bool) -> Trial:
    """Return what a check makes of a fault."""
    problem = fault(seed)
    problem = problem if exposed else replace(problem, network=None)
    report = gradcheck.check(problem, effort=effort, seed=seed)
    failing = {part.name for part in report.parameters if part.verdict == "fail"}
    errors = [finding for finding in report.findings if finding.severity == "error"]
    layered = not exposed or fault.layer is None or all(e.layer == fault.layer for e in errors)
    return Trial(
        caught=report.verdict == "fail",
        placed=failing == fault.wrong,
        layered=layered,
        slugs=tuple(dict.fromkeys(finding.slug for finding in errors)),
        accepted=fault.exposed if exposed else fault.black_box,
        evaluations=report.evaluations,
    )


def rows(catalogue: Mapping[str, Fault], seeds: Sequence[int]) -> Iterator[tuple[str, list[Trial]]]:
    """Yield the trials of every fault, shown with its layers and without, at every effort."""
    for name, fault in catalogue.items():
        for exposed in (True, False) if fault(0).network is not None else (False,):
            for effort in EFFORTS:
                trials = [trial(fault, seed, effort, exposed=exposed) for seed in seeds]
                yield f"{name}|{'exposed' if exposed else 'hidden'}|{effort}", trials


def cells(label: str, trials: Sequence[Trial]) -> list[str]:
    """Return one row of the table."""
    total = len(trials)
    said = Counter(", ".join(t.slugs) or "nothing" for t in trials)
    costs = sorted(t.evaluations for t in trials)
    counts = ("caught", "placed", "layered", "named", "misnamed")
    return [
        *label.split("|"),
        *(f"{sum(getattr(t, count) for t in trials)} of {total}" for count in counts),
        "; ".join(f"{slug} {count}" for slug, count in said.most_common(3)),
        f"{costs[total // 2]:,}",
    ]


def twin_line(catalogue: Mapping[str, Fault], seeds: Sequence[int]) -> str:
    """Return how often a correct twin is accused, or said to have a fault."""
    twins = {fault.twin: name for name, fault in catalogue.items()}
    reports = [
        gradcheck.check(twin(seed), effort=effort, seed=seed)
        for twin in twins
        for seed in seeds
        for effort in EFFORTS
    ]
    accused = sum(
        r.verdict == "fail" or any(f.severity == "error" for f in r.findings) for r in reports
    )
    passed = sum(report.ok for report in reports)
    return (
        f"Correct twins: {len(twins)}, checked {len(reports):,} times: {passed:,} passed, "
        f"{accused} had a finding against them."
    )


def main(given: Sequence[str] | None = None) -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many seeds of each fault")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--only", default="", help="names of faults, separated by commas")
    parser.add_argument("--write", action="store_true", help=f"into reports/{REPORT.name}")
    options = parser.parse_args(given)
    catalogue = {**faults.FAULTS, **functions.FAULTS}
    if options.only:
        catalogue = {name: catalogue[name] for name in options.only.split(",")}
    seeds = range(options.first, options.first + options.seeds)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = list(rows(catalogue, seeds))
        together = [trial for _, trials in found for trial in trials]
        total = cells("all| | ", together)
        total[-2] = ""
        table = markdown_table(HEADER, [*(cells(*row) for row in found), total])
        said = sum("unexplained" in trial.slugs for trial in together)
        text = (
            f"{twin_line(catalogue, seeds)}\n\nOf {len(together):,} checks of a fault {said:,} say "
            "that they cannot explain it, or part of it, where the fault accepts that.\n\n"
            f"{table}"
        )
    print(text)
    if options.write:
        command = (
            f"python tests/benchmarks/gallery.py --seeds {options.seeds} --first {options.first} "
            "--write"
        )
        REPORT.write_text(
            f"# What is made of every fault in the gallery\n\nMade by `{command}`.\n\n{text}\n",
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
