"""GC900: no cause could be proved; what can be said about the difference all the same."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcheck.diagnosis.causes import UNEXPLAINED
from gradcheck.diagnosis.constants import SAME_NUMBER
from gradcheck.diagnosis.facts import Facts, Sample
from gradcheck.directions import Floats, norm
from gradcheck.report import Finding

# Entries and singular values below this part of the largest are about zero.
ABOUT_ZERO = 1e-6
MOST_LISTED = 5
# Error bars that a number has to be away from zero.
STANDS_OUT = 10.0


def unexplained(facts: Facts, name: str) -> Finding:
    """Return the facts about a wrong gradient whose cause is not known."""
    return UNEXPLAINED.finding("; ".join(_told(facts, name)), (name,), _details(facts, name))


def _told(facts: Facts, name: str) -> Iterator[str]:
    sample, claimed = facts.known[name], facts.analytic[name]
    wrong = ~sample.agrees(claimed)
    ratios = _ratios(sample.chosen(wrong), claimed)
    yield f"{np.count_nonzero(wrong):,} of {len(wrong):,} measured entries are wrong"
    if len(wrong) and np.all(np.abs(sample.values) <= sample.error_bars):
        yield "the loss does not change with any of them: does it read this array, or another one?"
        return
    if len(ratios):
        kept = _telling(sample.chosen(wrong))
        sharpness = np.max(kept.error_bars / np.abs(kept.values))
        yield _ratio_words(ratios, max(SAME_NUMBER, float(sharpness)))
    if sample.is_complete and claimed.ndim == 2 and min(claimed.shape) > 1:
        difference = claimed - sample.values.reshape(claimed.shape)
        yield f"the difference has rank {_rank(difference)} of {min(claimed.shape)}"
        yield from _rows(wrong.reshape(claimed.shape))
    alike = _correlation(sample.of(claimed), sample.values)
    if alike is not None:
        yield f"analytic and numerical correlate by {alike:.2f}"
    own = _correlation(sample.values - sample.of(claimed), sample.of(facts.parameters[name]))
    if own is not None:
        yield f"the difference correlates with the parameter by {own:.2f}"


def _details(facts: Facts, name: str) -> dict[str, float]:
    sample, claimed = facts.known[name], facts.analytic[name]
    ratios = _ratios(sample.chosen(~sample.agrees(claimed)), claimed)
    details = {}
    if len(ratios):
        details["smallest_ratio"] = float(ratios.min())
        details["largest_ratio"] = float(ratios.max())
    if sample.is_complete and claimed.ndim == 2:
        difference = claimed - sample.values.reshape(claimed.shape)
        details["rank_of_difference"] = float(_rank(difference))
    return details


def _telling(sample: Sample) -> Sample:
    """Return the entries whose true gradient is not about zero: elsewhere a ratio says nothing."""
    size = np.abs(sample.values)
    largest = float(np.max(size, initial=0.0))
    return sample.chosen((size > ABOUT_ZERO * largest) & (size > STANDS_OUT * sample.error_bars))


def _ratios(sample: Sample, claimed: Floats) -> Floats:
    kept = _telling(sample)
    with np.errstate(over="ignore"):
        # Adding zero makes a negative one positive.
        ratios: Floats = kept.of(claimed) / kept.values + 0.0
    return ratios[np.isfinite(ratios)]


def _ratio_words(ratios: Floats, tolerance: float) -> str:
    low, high = float(ratios.min()), float(ratios.max())
    if len(ratios) == 1:
        return f"analytic / numerical is {low:.6g} there"
    if high - low <= tolerance * max(abs(low), abs(high)):
        return f"analytic / numerical is {low:.6g} in each of them"
    texts = f"{low:.3g}", f"{high:.3g}"
    if texts[0] == texts[1]:
        texts = f"{low:.9g}", f"{high:.9g}"
    return f"analytic / numerical is between {texts[0]} and {texts[1]} there"


def _rank(matrix: Floats) -> int:
    sizes = np.linalg.svd(matrix, compute_uv=False)
    return int(np.count_nonzero(sizes > ABOUT_ZERO * sizes[0])) if sizes[0] else 0


def _rows(wrong: np.ndarray) -> Iterator[str]:
    for axis, noun in ((1, "rows"), (0, "columns")):
        held = np.flatnonzero(wrong.any(axis=axis))
        if 0 < len(held) < wrong.shape[1 - axis]:
            listed = ", ".join(map(str, held[:MOST_LISTED]))
            more = f" and {len(held) - MOST_LISTED} more" if len(held) > MOST_LISTED else ""
            yield f"only {noun} {listed}{more}"


def _correlation(one: Floats, other: Floats) -> float | None:
    """Return the cosine between two sets of numbers, None where there are too few."""
    sizes = norm(one), norm(other)
    if len(one) < 3 or not all(sizes):
        return None
    return float(np.dot(one / sizes[0], other / sizes[1]))
