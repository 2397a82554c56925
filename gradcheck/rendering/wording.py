"""How numbers and phrases are written, in every view.

Rounding never flatters: bounds are rounded up, and two numbers that differ where it matters are
written with as many digits as it takes to see it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import ROUND_CEILING, Context, Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradcheck.report import Comparison, Finding, GradientReport, ParameterReport, Probe

VERDICT_WORDS = {"pass": "ok", "fail": "FAIL", "inconclusive": "inconclusive"}
VERDICT_TITLES = {"pass": "PASS", "fail": "FAIL", "inconclusive": "INCONCLUSIVE"}
UNKNOWN = "-"
DIRECTIONS = {"random": "a random direction", "eigen": "an eigenvector of the Hessian"}

NO_CAUSE = "unexplained"
# Causes whose factor says more than their name does.
FACTORS = ("constant_factor", "batch_size_factor")
WHOLE = 1e-4  # closer than this, relatively, to a whole number is meant to be one

DIGITS = 6  # of a gradient's entry, where fewer than that would do to tell two apart
ALL_DIGITS = 17  # any two different float64 differ within these


def printable(text: object) -> str:
    """Return `text` on one line, control characters written out: names may hold anything."""
    return "".join(
        mark if mark.isprintable() else mark.encode("unicode_escape").decode() for mark in str(text)
    )


def bound(value: float | None) -> str:
    """Return an upper bound in one digit, two after a leading 1: 2.3e-9 gives "3e-09"."""
    if value is None:
        return UNKNOWN
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    exact = Decimal(repr(float(value)))
    digits = 2 if exact.as_tuple().digits[0] == 1 else 1
    rounded = Context(prec=digits, rounding=ROUND_CEILING).create_decimal(exact)
    return f"{float(rounded):.1e}".replace(".0e", "e")


def magnitude(value: float) -> str:
    """Return a positive number in two digits: 5.94e-9 gives "5.9e-09"."""
    return f"{value:.1e}" if value else "0"


def beyond(value: float, limit: float) -> tuple[str, str]:
    """Return both numbers, short, but never so that a `value` above `limit` looks equal to it."""
    texts = magnitude(value), bound(limit)
    for digits in range(1, ALL_DIGITS):
        if not value > limit or float(texts[0]) > float(texts[1]):
            break
        texts = f"{value:.{digits}e}", f"{limit:.{digits}e}"
    return texts


def chance(value: float) -> str:
    """Return an upper bound of a probability: "2e-06", or "3 %" from one percent on."""
    return f"{math.ceil(100 * value)} %" if value >= 0.01 else bound(value)


def signed(value: float, digits: int = DIGITS) -> str:
    """Return a gradient entry with its sign and `digits` significant digits."""
    return f"{value:+#.{digits}g}" if value else "0"


def signed_pair(one: float, other: float, error_bar: float = 0.0) -> tuple[str, str]:
    """Return two entries, with enough digits that they look equal only if the error bar says so."""
    scale, gap = max(abs(one), abs(other)), max(abs(one - other), error_bar)
    digits = DIGITS
    if math.isfinite(scale) and math.isfinite(gap) and 0 < gap < scale:
        digits += max(0, math.ceil(math.log10(scale) - math.log10(gap)) + 2 - DIGITS)
    digits = min(digits, ALL_DIGITS)
    return signed(one, digits), signed(other, digits)


def compared(part: Comparison | Probe, plus_minus: str) -> tuple[str, str]:
    """Return the analytic value, and the numerical value with its error bar."""
    analytic, numerical = signed_pair(part.analytic, part.numerical, part.error_bar)
    _, error_bar = beyond(abs(part.analytic - part.numerical), part.error_bar)
    return analytic, f"{numerical} {plus_minus} {error_bar}"


def relative(worst: Comparison | None) -> str:
    """Return a relative error; none where both values vanish within the error bar."""
    if worst is None or max(abs(worst.analytic), abs(worst.numerical)) <= worst.error_bar:
        return UNKNOWN
    return magnitude(worst.relative_error)


def place(index: Sequence[int]) -> str:
    """Return an index as it is written in code; a scalar has none."""
    return f"[{', '.join(map(str, index))}]" if index else UNKNOWN


def layer_title(name: str) -> str:
    """Return what a layer is called; "1", from W1 and b1, alone would say little."""
    return f"layer {name}" if name.isdecimal() else printable(name)


def plural(count: int, noun: str) -> str:
    """Return the count with its noun: "1 probe", "2 probes", "3 entries"."""
    many = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else many}"


def listing(names: Sequence[str], most: int) -> str:
    """Return the first `most` names and how many there are besides."""
    shown = ", ".join(printable(name) for name in names[:most])
    rest = len(names) - most
    return f"{shown} and {rest:,} more" if rest > 0 else shown


def duration(seconds: float) -> str:
    """Return a time: "0.02 s", "14 s", "3 min 20 s"."""
    if seconds < 0.01:
        return "<0.01 s"
    if seconds < 10:
        return f"{seconds:.2f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def shows_error(worst: Comparison | None) -> bool:
    """Return whether an entry's own error is beyond its error bar."""
    return worst is not None and not abs(worst.analytic - worst.numerical) <= worst.error_bar


def disagreeing(parameter: ParameterReport) -> list[Probe]:
    """Return the probes of a parameter that disagree."""
    return [probe for probe in parameter.probes if probe.outcome == "disagrees"]


def errors(report: GradientReport) -> list[Finding]:
    """Return the findings that say what is wrong, most explanatory first."""
    return [finding for finding in report.findings if finding.severity == "error"]


def codes(report: GradientReport, most: int) -> list[str]:
    """Return the codes of what is wrong, each once, `most` of them."""
    return list(dict.fromkeys(finding.code for finding in errors(report)))[:most]


def failing_of(finding: Finding, report: GradientReport) -> list[ParameterReport]:
    """Return the failing parameters that a finding speaks of."""
    named = [part for part in report.parameters if part.name in finding.parameters]
    return [part for part in named if part.verdict == "fail"]


def worst_of(parameters: Sequence[ParameterReport]) -> ParameterReport | None:
    """Return the parameter whose worst entry errs most; None of none."""
    return max(parameters, key=_relative_error, default=None)


def extent(parameters: Sequence[ParameterReport]) -> str:
    """Return how many of their entries are wrong; "" where that is not known of all of them."""
    counts = [part.wrong_count for part in parameters if part.wrong_count]
    if not counts or len(counts) < len(parameters):
        return ""
    return f"{sum(counts):,} of {plural(sum(part.size for part in parameters), 'entry')}"


def unexplained(report: GradientReport) -> list[ParameterReport]:
    """Return the failing parameters that no error speaks of."""
    found = errors(report)
    told = {name for finding in found for name in finding.parameters}
    # An error that names no parameter is about all that were never measured.
    of_all = any(not finding.parameters for finding in found)
    return [
        part
        for part in report.parameters
        if part.verdict == "fail" and part.name not in told and not (of_all and part.reason)
    ]


def cause(finding: Finding) -> str:
    """Return a cause in one word, a factor as such: "transposed", "x11 (batch)"; "" for none."""
    if finding.slug == NO_CAUSE:
        return ""
    factor = finding.details.get("factor")
    if finding.slug not in FACTORS or not isinstance(factor, int | float) or not factor:
        return finding.slug
    matches = printable(finding.details.get("matches") or "")
    # A number that stands for nothing else has been said.
    is_name = any(mark.isalpha() for mark in matches)
    return f"x{multiple(factor)}" + (f" ({matches})" if is_name else "")


def multiple(factor: float) -> str:
    """Return a factor in four digits: "11", "-0.5234", "1/11" for what is one over a number."""
    inverse = 1.0 / factor
    is_part = abs(inverse) > 1.5 and abs(inverse - round(inverse)) <= WHOLE * abs(inverse)
    return f"{'-' if factor < 0 else ''}1/{abs(round(inverse))}" if is_part else f"{factor:.4g}"


def wrongness(parameter: ParameterReport) -> str:
    """Return how much of a failing parameter is wrong, and how far that is known."""
    size = parameter.size
    if parameter.wrong_count:
        return f"{parameter.wrong_count:,} of {size:,} {_entries(size)} wrong"
    if parameter.reason:
        return printable(parameter.reason)
    probes = disagreeing(parameter)
    seen = f"{len(probes)} of {plural(len(parameter.probes), 'probe')} of the whole disagree"
    if parameter.checked_count == 0:
        return f"wrong; {seen}, no entry was compared" if probes else "wrong"
    if probes and parameter.checked_count == size:
        return f"wrong; {seen}, though no single entry does beyond its error bar"
    return f"wrong; only {parameter.checked_count:,} of {size:,} {_entries(size)} compared"


def tally(report: GradientReport) -> str:
    """Return what the check took: "46/46 entries, 290 evaluations, 0.02 s"."""
    checked = sum(parameter.checked_count for parameter in report.parameters)
    size = sum(parameter.size for parameter in report.parameters)
    cost = plural(report.evaluations, "evaluation")
    if report.partial_evaluations:
        cost += f" + {report.partial_evaluations:,} partial"
    return f"{checked:,}/{size:,} {_entries(size)}, {cost}, {duration(report.seconds)}"


def headline(report: GradientReport) -> tuple[str, tuple[str, ...], str]:
    """Return the verdict in a few words, the parameters it is about, and what is undecided too."""
    total = plural(len(report.parameters), "gradient")
    failing = tuple(part.name for part in report.parameters if part.verdict == "fail")
    unclear = tuple(part.name for part in report.parameters if part.verdict == "inconclusive")
    if not report.parameters:
        return "nothing was checked", (), ""
    if failing:
        besides = f"; {len(unclear)} inconclusive" if unclear else ""
        return f"{len(failing)} of {total} wrong", failing, besides
    if unclear:
        return f"{len(unclear)} of {total} undecided", unclear, ""
    agree = "agrees" if len(report.parameters) == 1 else "agree"
    return f"{len(report.parameters)} of {total} {agree}", (), ""


def ruled_out(report: GradientReport) -> str:
    """Return what a pass rules out; "" if nothing is known about that."""
    known = [part.ruled_out for part in report.parameters if part.ruled_out is not None]
    if report.verdict != "pass" or not known or not all(map(math.isfinite, known)):
        return ""
    total = plural(len(report.parameters), "gradient")
    where = "any gradient" if len(known) == len(report.parameters) else f"{len(known)} of {total}"
    return f"ruled out: relative errors above {bound(max(known))} in {where} ({_coverage(report)})"


def _coverage(report: GradientReport) -> str:
    checked = sum(parameter.checked_count for parameter in report.parameters)
    size = sum(parameter.size for parameter in report.parameters)
    if checked == size:
        return "norm over all entries"
    one_by_one = f"{checked:,} of {size:,} entries" if checked else "none"
    words = f"norm, by random directions; {one_by_one} compared one by one"
    if report.miss_chance:
        words += f"; chance of a miss at most {chance(report.miss_chance)}"
    return words


def _relative_error(parameter: ParameterReport) -> float:
    worst = parameter.worst
    return worst.relative_error if worst is not None and shows_error(worst) else -1.0


def _entries(count: int) -> str:
    return "entry" if count == 1 else "entries"
