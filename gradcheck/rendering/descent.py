"""A monitored training as a table: a line per step, how it went, and the verdict."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from textwrap import wrap

from gradcheck.descent import DescentReport, DescentStep
from gradcheck.rendering import wording

ROWS = 12
# Of the rows, those for steps that went worst; the others are the last ones.
WORST_ROWS = 6
# How far a step is from what it should be: what comes first is shown first.
URGENCY = (
    "wrong gradient",
    "not finite",
    "not comparable",
    "overshoots",
    "falls short",
    "uphill",
    "stalled",
    "no step",
    "as promised",
)
COLUMNS = {
    "step": 5,
    "loss": 8,
    "promised": 9,
    "fell by": 9,
    "ratio": 6,
    "verified": 8,
    "longest": 7,
    "order": 5,
}
LEGEND = (
    "longest: how many such steps the curvature allows before the loss rises; order: that of the "
    "Taylor remainder, 2 if the gradient is right"
)
WIDTH = 80
NO_BREAK = "\xa0"
EXPONENTIAL = (".2e", ".1e", ".0e")
GENERAL = (".2g", ".0e")
REASONS = 3
PROVIDED = "is the monitor called before the update, with loss and gradient of one batch?"
# Ratios of actual to promised decrease that differ by less than this have not drifted.
DRIFT = 0.1


def render_descent(report: DescentReport) -> str:
    """Return the steps, the worst and the last of them where there are many, and the verdict."""
    lines = list(_table(report.steps)) if report.steps else []
    for paragraph in [*_remarks(report), _verdict(report)]:
        lines += _wrapped(paragraph.encode("ascii", "backslashreplace").decode())
    return "\n".join(lines)


def _wrapped(paragraph: str) -> list[str]:
    """Return the lines of a paragraph, no time cut off from its unit."""
    whole = re.sub(r"(?<=\d) (?=(s|min)\b)", NO_BREAK, paragraph)
    return [line.replace(NO_BREAK, " ") for line in wrap(whole, WIDTH, subsequent_indent="  ")]


def _table(steps: Sequence[DescentStep]) -> Iterator[str]:
    yield " ".join([*(f"{title:>{wide}}" for title, wide in COLUMNS.items()), "progress"])
    shown = {id(step) for step in _shown(steps)}
    is_gap = False
    for step in steps:
        if id(step) in shown:
            if is_gap:
                yield f"{'...':>{COLUMNS['step']}}"
            yield _row(step)
        is_gap = id(step) not in shown
    yield from ("", *wrap(LEGEND, WIDTH, subsequent_indent="  "))


def _shown(steps: Sequence[DescentStep]) -> list[DescentStep]:
    """Return at most ROWS steps in their order: those that went worst, and the last."""
    if len(steps) <= ROWS:
        return list(steps)
    latest = list(steps[::-1])
    worst = sorted((s for s in steps if s.progress != URGENCY[-1]), key=_urgency)[:WORST_ROWS]
    chosen = {id(step) for step in worst}
    last = [step for step in latest if id(step) not in chosen][: ROWS - len(worst)]
    return sorted([*worst, *last], key=lambda step: step.number)


def _urgency(step: DescentStep) -> tuple[int, int]:
    return URGENCY.index(step.progress), step.number


def _row(step: DescentStep) -> str:
    cells = {
        "step": str(step.number),
        "loss": _number(step.loss, "loss", EXPONENTIAL),
        "promised": _number(step.promised, "promised", EXPONENTIAL),
        "fell by": _number(step.actual, "fell by", EXPONENTIAL),
        "ratio": _number(step.ratio, "ratio", GENERAL),
        "verified": wording.UNKNOWN if step.verdict == "fail" else wording.bound(step.resolution),
        "longest": _number(step.longest, "longest", GENERAL),
        "order": wording.UNKNOWN if step.second_order is None else f"{step.second_order.value:.1f}",
    }
    return " ".join([*(f"{cells[name]:>{wide}}" for name, wide in COLUMNS.items()), step.progress])


def _number(value: float, column: str, formats: Sequence[str]) -> str:
    """Return a number in the first format that fits into its column, else in the last."""
    if math.isnan(value):
        return wording.UNKNOWN
    # Adding zero turns a negative zero, as what no step promises, into zero.
    texts = [f"{value + 0.0:{form}}" for form in formats]
    return next((text for text in texts if len(text) <= COLUMNS[column]), texts[-1])


def _remarks(report: DescentReport) -> Iterator[str]:
    """Yield what there is to say about the steps, and about where they lead."""
    if report.steps:
        counted = Counter(step.progress for step in report.steps)
        yield "steps: " + ", ".join(f"{n:,} {word}" for word, n in counted.most_common())
    yield from _wrong_slopes(report)
    reasons: dict[tuple[str, str], str] = {}
    for step in report.steps:
        if step.reason:
            reason = f"step {step.number}: {wording.printable(step.reason)}"
            reasons.setdefault((step.verdict, step.progress), reason)
    yield from list(reasons.values())[:REASONS]
    yield from _trend(report)


def _wrong_slopes(report: DescentReport) -> Iterator[str]:
    """Yield both slopes of the first step where they differ, and what might be amiss but them."""
    for step in report.steps:
        if step.verdict == "fail" and not step.reason:
            analytic, numerical = wording.signed_pair(step.analytic, step.numerical, step.error_bar)
            yield (
                f"step {step.number}: along it the gradient says {analytic}, the loss "
                f"{numerical} +- {wording.bound(step.error_bar)}"
            )
            yield PROVIDED
            return


def _trend(report: DescentReport) -> Iterator[str]:
    if report.is_diverging:
        yield f"diverging: the loss rose in {report.rising} of the last {len(report.latest)} steps"
    if report.ratios is not None:
        first, lately = report.ratios
        if abs(first - lately) > DRIFT:
            yield f"ratio of actual to promised decrease: {first:.2g} at first, {lately:.2g} lately"
    if report.rate is not None:
        yield f"rate: the norm of the gradient changes by a factor of {report.rate:.3g} per step"


def _verdict(report: DescentReport) -> str:
    """Return the verdict and what it took."""
    title, judged = wording.VERDICT_TITLES[report.verdict], report.judged
    of_all = f"of {wording.plural(len(judged), 'step')}"
    counted = Counter(step.verdict for step in judged)
    if not judged:
        words = "no step was taken that could be judged"
    elif report.verdict == "fail":
        words = f"the gradient is wrong along {counted['fail']:,} {of_all}"
    elif report.verdict == "inconclusive":
        words = f"the gradient is undecided along {counted['inconclusive']:,} {of_all}"
    else:
        known = [step.resolution for step in judged if step.resolution is not None]
        words = f"the gradient is right along {wording.plural(len(judged), 'step')}"
        words += f", to {wording.bound(max(known))}" if known else ""
    cost = f"{wording.plural(report.evaluations, 'evaluation')}, {wording.duration(report.seconds)}"
    return f"{title}  {words}; {cost}"
