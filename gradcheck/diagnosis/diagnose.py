"""Why are gradients wrong: hypotheses are proposed, proved, and put into words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.diagnosis.backprop import BACKPROP_HYPOTHESES
from gradcheck.diagnosis.causes import WRONG_UPSTREAM
from gradcheck.diagnosis.clipped import clipped, clipped_norm
from gradcheck.diagnosis.constant_factor import constant_factor, same_factor
from gradcheck.diagnosis.detached import detached
from gradcheck.diagnosis.facts import Explanation, Facts, Hypothesis
from gradcheck.diagnosis.overwritten import overwritten_accumulation
from gradcheck.diagnosis.pattern import wrong_part
from gradcheck.diagnosis.per_sample import batch_as_black_box
from gradcheck.diagnosis.proof import Proof
from gradcheck.diagnosis.rearranged import rearranged
from gradcheck.diagnosis.regularisation import factor_beside_penalty, regularisation
from gradcheck.diagnosis.reparametrised import log_reparam
from gradcheck.diagnosis.signal_pattern import right_signal, signal_pattern
from gradcheck.diagnosis.swapped import swapped_parameters
from gradcheck.diagnosis.unexplained import unexplained
from gradcheck.report import Finding

# In this order: what says most about a parameter first, and of two that are equal the simpler.
HYPOTHESES: tuple[Hypothesis, ...] = (
    detached,
    *BACKPROP_HYPOTHESES,
    clipped_norm,
    constant_factor,
    clipped,
    swapped_parameters,
    rearranged,
    log_reparam,
    regularisation,
    factor_beside_penalty,
    overwritten_accumulation,
)
# Repairs that differ by less have the same effect.
SAME_EFFECT = 1e-6
MOST_TOLD = 3


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong, and in which entries.

    Attributes
    ----------
    findings: most explanatory first
    wrong: masks of the wrong entries of parameters whose cause tells them
    partial_evaluations: calls of parts of the loss that it took, such as single layers
    """

    findings: tuple[Finding, ...] = ()
    wrong: Mapping[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    partial_evaluations: int = 0


@dataclass(frozen=True)
class _Proved:
    """An explanation of these parameters, and what their repaired gradients are verified to."""

    explanation: Explanation
    names: tuple[str, ...]
    resolution: float | None
    alternatives: tuple[str, ...]


def diagnose(facts: Facts, proof: Proof) -> Diagnosis:
    """Return the causes that can be proved, and the facts about what is left."""
    wholes = [one for hypothesis in HYPOTHESES for one in hypothesis(facts)]
    proved = _proved(facts.failing, wholes, proof)
    open_facts = replace(facts, failing=tuple(_left(facts.failing, proved)))
    known = [one.explanation for one in proved]
    # What needs many calls of the gradient comes where nothing else explains it.
    further = [*same_factor(open_facts, known), *batch_as_black_box(open_facts)]
    proved += _proved(open_facts.failing, further, proof)
    left = _left(facts.failing, proved)
    signal = signal_pattern(facts, left)
    if signal is not None:
        left = [name for name in left if name not in signal.parameters]
    proved += _proved(left, list(wrong_part(facts)), proof)
    findings = [*_findings(facts, proved)]
    findings = [signal, *findings] if signal is not None else findings
    findings += [unexplained(facts, name) for name in _left(left, proved)]
    return Diagnosis(tuple(findings), _masks(facts, proved))


def _left(names: Sequence[str], proved: Sequence[_Proved]) -> list[str]:
    return [name for name in names if not any(name in one.names for one in proved)]


def _proved(names: Sequence[str], proposed: Sequence[Explanation], proof: Proof) -> list[_Proved]:
    """Return the explanations that hold, the first one for every parameter."""
    proved: list[_Proved] = []
    for explanation in proposed:
        left = _left(names, proved)
        part = {name: array for name, array in explanation.repaired.items() if name in left}
        explained = proof.proved(replace(explanation, repaired=part)) if part else {}
        if explained and not (explanation.joint and set(explained) < set(explanation.repaired)):
            names_here = tuple(explained)
            others = tuple(_equal_in_effect(explanation, proposed, names_here))
            worst = max((r for r in explained.values() if r is not None), default=None)
            proved.append(_Proved(explanation, names_here, worst, others))
    return proved


def _equal_in_effect(
    explanation: Explanation, proposed: Sequence[Explanation], names: Sequence[str]
) -> Iterator[str]:
    """Yield the slugs of causes that would be repaired in the same way, here."""
    own = {explanation.code.slug, *(code.slug for code in explanation.also)}
    yield from (slug for slug in explanation.alternatives if slug not in own)
    if explanation.unknown:
        return
    repairs: dict[str, list[Mapping[str, npt.NDArray[Any]]]] = {}
    for other in proposed:
        if other.code.slug not in {*own, *explanation.alternatives} and not other.unknown:
            repairs.setdefault(other.code.slug, []).append(other.repaired)
    here = {name: explanation.repaired[name] for name in names}
    for slug, repaired in repairs.items():
        # A cause may have been proposed for each parameter by itself.
        if all(any(_is_close(one.get(n), array) for one in repaired) for n, array in here.items()):
            yield slug


def _is_close(one: npt.NDArray[Any] | None, other: npt.NDArray[Any]) -> bool:
    if one is None:
        return False
    size = float(np.max(np.abs(other), initial=0.0))
    return bool(np.all(np.abs(one - other) <= SAME_EFFECT * size))


def _findings(facts: Facts, proved: Sequence[_Proved]) -> Iterator[Finding]:
    """Yield a finding per cause, parameters with the same cause together, the widest first."""
    groups: dict[tuple[str, str, str | None], list[_Proved]] = {}
    for one in proved:
        details = {key: _rounded(value) for key, value in one.explanation.details.items()}
        if len(one.names) > 1 or one.explanation.unknown:
            details = {}
        key = (one.explanation.code.code, repr(details), one.explanation.layer)
        groups.setdefault(key, []).append(one)
    for group in sorted(groups.values(), key=lambda g: -sum(len(one.names) for one in g)):
        yield from _together(facts, group)


def _together(facts: Facts, group: Sequence[_Proved]) -> Iterator[Finding]:
    explanation = group[0].explanation
    names = tuple(name for name in facts.analytic if any(name in one.names for one in group))
    evidence = f"{_evidence(group)}{_verified(group, names)}"
    alternatives = tuple(dict.fromkeys(slug for one in group for slug in one.alternatives))
    places = {facts.layer_of[name] for name in names}
    layer = explanation.layer or (next(iter(places)) if len(places) == 1 else None)
    layer = None if layer in names else layer  # a parameter by itself
    is_of_signal = explanation.code is WRONG_UPSTREAM or layer not in {None, *places}
    if not is_of_signal and (signal := right_signal(facts, names)):
        evidence = f"{evidence}; {signal}"
    main = explanation.code.finding(evidence, names, _details(group))
    yield replace(
        main,
        suggestion=explanation.suggestion or main.suggestion,
        alternatives=alternatives,
        layer=layer,
    )
    for code in explanation.also:
        told = f"together with {explanation.code.slug}: {evidence}"
        yield replace(code.finding(told, names, dict(explanation.details)), layer=layer)


def _details(group: Sequence[_Proved]) -> dict[str, Any]:
    """Return the numbers behind a finding; parameter by parameter where each has its own."""
    details = [dict(one.explanation.details) for one in group]
    if all(one == details[0] for one in details) or not group[0].explanation.unknown:
        # Those of several exchanges are about different parameters.
        return {key: value for one in reversed(details) for key, value in one.items()}
    return {name: own for one, own in zip(group, details, strict=True) for name in one.names}


def _verified(group: Sequence[_Proved], names: Sequence[str]) -> str:
    """Return what the repaired gradients were verified to."""
    known = [one.resolution for one in group if one.resolution is not None]
    if not known or not np.all(np.isfinite(known)):
        return ""
    who = "it passes" if len(names) == 1 else "all pass"
    return f"; repaired, {who} to {max(known):.0e}"


def _evidence(group: Sequence[_Proved]) -> str:
    told = list(dict.fromkeys(one.explanation.evidence for one in group))
    if len(told) == 1:
        return told[0]
    parts = [f"{', '.join(one.names)}: {one.explanation.evidence}" for one in group[:MOST_TOLD]]
    more = f"; and {len(group) - MOST_TOLD} more" if len(group) > MOST_TOLD else ""
    return "; ".join(parts) + more


def _rounded(value: Any) -> Any:
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _masks(facts: Facts, proved: Sequence[_Proved]) -> dict[str, npt.NDArray[np.bool_]]:
    """Return the wrong entries as the causes tell them, where not all were compared."""
    masks = {}
    for one in proved:
        for name in one.names:
            if name not in facts.wrong:
                changed = one.explanation.repaired[name] != facts.analytic[name]
                unknown = one.explanation.unknown.get(name, np.zeros_like(changed))
                masks[name] = np.asarray(changed | unknown)
    return masks
