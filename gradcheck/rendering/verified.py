"""What a verifier has to tell: a line per layer, then what all its checks took. No rich."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from gradcheck.rendering import wording

if TYPE_CHECKING:
    from collections import Counter

    from gradcheck.report import GradientReport, Probe, Verdict

Row = tuple[str, ...]

TITLES: Row = ("layer", "verdict", "probes", "error/bar", "verified to", "evaluations")
WIDTHS = (18, 12, 6, 9, 11, 11)
GAP = "  "
REASONS = 2
# The finding on a loss that is another one when all perturbations are undone.
CHANGED = "nondeterministic_loss"


class Verified(Protocol):
    """The attributes of a verifier that are shown."""

    verdicts: dict[str, Counter[Verdict]]
    reports: dict[str, GradientReport]
    inconclusive: dict[str, GradientReport]
    unverified: dict[str, str]
    evaluations: int
    gradient_calls: int
    seconds: float


def render_verified(verifier: Verified) -> str:
    """Return a line on the latest check of every layer, and what all checks came to."""
    lines = []
    if verifier.reports:
        lines += [_line(TITLES)]
        lines += [_line(_row(name, report)) for name, report in verifier.reports.items()]
    lines += [*_total(verifier), *_undecided(verifier), *_changed(verifier)]
    lines += [
        f"not verified: {wording.printable(name)} ({wording.printable(reason)})"
        for name, reason in verifier.unverified.items()
    ]
    return "\n".join(lines)


def _line(row: Row) -> str:
    """Return the cells in their columns; a name that is too long has a line of its own."""
    name, verdict, *numbers = row
    first = f"{name}\n{'':{WIDTHS[0]}}" if len(name) > WIDTHS[0] else f"{name:{WIDTHS[0]}}"
    cells = [first, f"{verdict:{WIDTHS[1]}}"]
    cells += [f"{cell:>{width}}" for cell, width in zip(numbers, WIDTHS[2:], strict=True)]
    return GAP.join(cells)


def _row(name: str, report: GradientReport) -> Row:
    probes = [probe for part in report.parameters for probe in part.probes]
    known = [part.ruled_out for part in report.parameters if part.ruled_out is not None]
    return (
        wording.layer_title(name),
        wording.VERDICT_WORDS[report.verdict],
        str(len(probes)),
        _in_bars(probes),
        wording.bound(max(known, default=None)) if report.ok else wording.UNKNOWN,
        f"{report.evaluations:,}",
    )


def _in_bars(probes: list[Probe]) -> str:
    """Return the largest discrepancy of probes in units of its error bar, rounded up."""
    measured = [
        abs(probe.numerical - probe.analytic) / probe.error_bar
        for probe in probes
        if probe.error_bar > 0 and math.isfinite(probe.error_bar)
    ]
    if not measured:
        return wording.UNKNOWN
    largest = max(measured)
    return f"{math.ceil(100 * largest) / 100:.2f}" if largest < 100 else wording.bound(largest)


def _total(verifier: Verified) -> Iterator[str]:
    """Yield how many checks there were, with which verdicts, and what they took."""
    counts = dict.fromkeys(wording.VERDICT_WORDS, 0)
    for of_layer in verifier.verdicts.values():
        for verdict, count in of_layer.items():
            counts[verdict] += count
    checks = sum(counts.values())
    if not checks:
        yield "nothing was verified"
        return
    found = f"{counts['inconclusive']:,} inconclusive, {counts['fail']:,} wrong"
    yield f"{wording.plural(checks, 'check')}: {counts['pass']:,} ok, {found}"
    evaluations = wording.plural(verifier.evaluations, "evaluation")
    calls = wording.plural(verifier.gradient_calls, "gradient call")
    yield f"took {evaluations}, {calls}, {wording.duration(verifier.seconds)}"


def _changed(verifier: Verified) -> Iterator[str]:
    """Yield for every layer that did not come back to what it was how far it was off."""
    for name, report in verifier.reports.items():
        for finding in report.findings:
            if finding.slug == CHANGED:
                yield f"changed: {wording.layer_title(name)} ({finding.evidence})"


def _undecided(verifier: Verified) -> Iterator[str]:
    """Yield for every layer that was let through undecided how often, and why the last time."""
    for name, report in verifier.inconclusive.items():
        counts = verifier.verdicts[name]
        often = f"{counts['inconclusive']:,} of {wording.plural(counts.total(), 'check')}"
        reasons = [part.reason for part in report.parameters if part.verdict == "inconclusive"]
        why = wording.listing(list(dict.fromkeys(reasons)), REASONS)
        yield f"inconclusive: {wording.layer_title(name)} in {often} ({why})"
