"""What a cause would make of the true signals, held against what the code under test returned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradcheck.diagnosis.codes import Code
from gradcheck.diagnosis.facts import Explanation, Facts
from gradcheck.diagnosis.layer_facts import below, given_upstream, with_own
from gradcheck.directions import Floats, norm

# A prediction is met where it leaves no more than this of itself, ...
MET = 1e-6
# ... and of the error that it has to explain no more than this.
EXPLAINED = 1e-3
# A prediction says that a gradient is wrong where it is off by this much of the true one.
CHANGED = 1e-3
# Signals and gradients are right where they are to this, relative to the true ones.
RIGHT = 1e-6
# Parameters named in evidence.
MOST_NAMED = 4


@dataclass(frozen=True)
class Match:
    """The wrong gradients that a cause predicts.

    Attributes
    ----------
    repaired: by name, what they would be without it
    residual: what is left of the largest prediction's error, relative to it
    """

    repaired: Mapping[str, Floats]
    residual: float

    @property
    def names(self) -> str:
        """The names, for a sentence."""
        return listed(list(self.repaired))


def listed(names: Sequence[str]) -> str:
    """Return names for a sentence, the first few of many."""
    if len(names) > MOST_NAMED:
        return f"{', '.join(names[:MOST_NAMED])} and {len(names) - MOST_NAMED} more"
    return " and ".join([*([", ".join(names[:-1])] if names[1:] else []), *names[-1:]])


def true_gradients(facts: Facts) -> dict[str, Floats]:
    """Return the true gradients of all parameters of the network, {} where it is not known."""
    network = facts.network
    return below(network, len(network) - 1, network[-1].delta) if network else {}


def meets(claimed: Floats, predicted: Floats, truth: Floats) -> bool:
    """Return whether a wrong gradient is the one predicted, and that explains why it is wrong."""
    if claimed.shape != predicted.shape:
        return False
    left = norm(claimed - predicted)
    return left <= MET * norm(predicted) and left <= EXPLAINED * norm(claimed - truth)


def matched(
    facts: Facts, truths: Mapping[str, Floats], predicted: Mapping[str, Floats]
) -> Match | None:
    """Return the failing parameters whose gradient is the predicted one.

    None unless one of them is among the topmost of those that the prediction speaks of: what a
    cause does to a layer, it does there first. Those that it says are wrong, and are right, count.
    """
    known = [name for name in predicted if name in truths]
    failing = [name for name in facts.failing if name in known]
    met = [n for n in failing if meets(facts.analytic[n], predicted[n], truths[n])]
    refuted = [
        name
        for name in facts.passing
        if name in known and norm(predicted[name] - truths[name]) > CHANGED * norm(truths[name])
    ]
    speaks_of = [*failing, *refuted]
    if not met:
        return None
    places = {
        name: place for place, layer in enumerate(facts.network) for name in layer.names.values()
    }
    if max(places[name] for name in met) < max(places[name] for name in speaks_of):
        return None
    repaired = {name: facts.analytic[name] - predicted[name] + truths[name] for name in met}
    residuals = [
        norm(facts.analytic[name] - predicted[name]) / norm(predicted[name])
        for name in met
        if norm(predicted[name])
    ]
    return Match(repaired, max(residuals, default=0.0))


def is_right(found: Floats | None, true: Floats) -> bool:
    """Return whether what a backward returned is the true array, up to rounding."""
    return (
        found is not None and found.shape == true.shape and norm(found - true) <= RIGHT * norm(true)
    )


def is_passed_on(facts: Facts, index: int, match: Match) -> bool:
    """Return whether a layer is right by itself, and wrong only for what comes down to it.

    Then its own backward is right at the true upstream, and the wrong gradients are what the
    backwards of all layers make of the loss's own gradient, one after the other.
    """
    layer = facts.network[index]
    signal, own = layer.own.at(layer.upstream)
    true = layer.gradients(layer.delta)
    if not all(is_right(own.get(key), true[name]) for key, name in layer.names.items()):
        return False
    # A layer without parameters shows its delta in what it hands down.
    if not layer.names and not is_right(signal, layer.input_gradient(layer.delta)):
        return False
    everyone = {one.name for one in facts.network}
    made = with_own(facts.network, given_upstream(facts.network), everyone)
    claimed = facts.analytic
    return all(
        name in made
        and norm(claimed[name] - made[name]) <= EXPLAINED * norm(claimed[name] - repaired)
        for name, repaired in match.repaired.items()
    )


def same_predictions(one: Mapping[str, Floats], other: Mapping[str, Floats]) -> bool:
    """Return whether two causes predict the same, as far as can be told."""
    shared = [name for name in one if name in other]
    return bool(shared) and all(
        norm(one[name] - other[name]) <= MET * norm(one[name]) for name in shared
    )


def explanation(
    code: Code, match: Match, phrase: str, layer: str | None, **more: Any
) -> Explanation:
    """Return a cause, with how well it meets the gradients as evidence."""
    details = {"residual": match.residual, **more.pop("details", {})}
    return Explanation(
        code=code,
        repaired=match.repaired,
        evidence=f"{phrase}, which gives {match.names} to {match.residual:.1e}",
        details=details,
        layer=layer,
        **more,
    )


def others(code: Code, rivals: Iterable[Code]) -> tuple[str, ...]:
    """Return the slugs of further causes with the same effect."""
    return tuple(dict.fromkeys(rival.slug for rival in rivals if rival is not code))
