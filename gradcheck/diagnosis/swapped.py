"""GC209: the gradients of several parameters have been exchanged."""

from __future__ import annotations

from collections.abc import Iterator

from gradcheck.diagnosis.causes import SWAPPED_PARAMETERS
from gradcheck.diagnosis.facts import Explanation, Facts
from gradcheck.directions import Floats


def swapped_parameters(facts: Facts) -> Iterator[Explanation]:
    """Propose that failing parameters hold each other's gradients: pairs, or whole rings."""
    sources: dict[str, tuple[str, Floats]] = {}
    for name in facts.failing:
        for other in facts.failing:
            found = _as_in(facts, name, other)
            if other != name and found is not None and not facts.fits(name, facts.analytic[name]):
                sources[name] = other, found
                break
    for ring in _rings({name: other for name, (other, _) in sources.items()}):
        held = {sources[name][0]: name for name in ring}
        yield Explanation(
            code=SWAPPED_PARAMETERS,
            repaired={name: sources[name][1] for name in ring},
            evidence=", ".join(f"{name} holds that of {held[name]}" for name in ring),
            details={name: held[name] for name in ring},
            tries=len(facts.failing),
            joint=True,
        )


def _as_in(facts: Facts, name: str, other: str) -> Floats | None:
    """Return the gradient claimed for the other parameter, if it is the true one of this."""
    shape, claimed = facts.analytic[name].shape, facts.analytic[other]
    if claimed.size != facts.analytic[name].size or not claimed.any():
        return None
    forms = [claimed.reshape(shape)]
    if claimed.shape == shape[::-1] and len(shape) > 1:
        forms.append(claimed.T)
    return next((form for form in forms if facts.fits(name, form)), None)


def _rings(source: dict[str, str]) -> Iterator[tuple[str, ...]]:
    """Yield the rings of names each of which leads to the next."""
    seen: set[str] = set()
    for start in source:
        ring = [start]
        while (following := source.get(ring[-1])) is not None and following not in ring:
            ring.append(following)
        if following == start and not seen & set(ring):
            seen |= set(ring)
            yield tuple(ring)
