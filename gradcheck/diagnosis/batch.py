"""Gradients of some of the samples only, or of a loss that treats the batch in another way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product

from gradcheck.diagnosis.causes import (
    BATCH_REDUCTION,
    BATCH_SIZE_FACTOR,
    BIAS_NOT_SUMMED,
    CONSTANT_FACTOR,
    OVERWRITTEN_ACCUMULATION,
    SIGN_FLIP,
)
from gradcheck.diagnosis.facts import Explanation, Facts
from gradcheck.diagnosis.layer_facts import below
from gradcheck.diagnosis.matching import (
    Match,
    explanation,
    is_passed_on,
    matched,
    true_gradients,
)
from gradcheck.directions import Floats, norm

# A factor of the batch size is met where it is met to this.
MET = 1e-9


def batch(facts: Facts) -> Iterator[Explanation]:
    """Yield the layers that use some of the samples, and losses that miscount them."""
    if not facts.failing or not facts.network or facts.network[-1].samples < 2:
        return
    truths = true_gradients(facts)
    yield from _loss_factor(facts, truths)
    explained: set[str] = set()
    for index in reversed(range(len(facts.network))):
        wrong = [name for name in facts.network[index].names.values() if name in facts.failing]
        if explained.issuperset(wrong):
            continue
        for found in (
            *_mean_of_deltas(facts, truths, index),
            *_some_samples(facts, truths, index),
        ):
            explained |= set(found.repaired)
            yield found


def _loss_factor(facts: Facts, truths: Mapping[str, Floats]) -> Iterator[Explanation]:
    """Yield a gradient of the loss that lost, or has twice, its mean over the samples."""
    last = facts.network[-1]
    claimed = last.loss_gradient
    if claimed is None or claimed.shape != last.upstream.shape:
        return
    for factor, sign in product((last.samples, 1 / last.samples), (1, -1)):
        if not norm(claimed - sign * factor * last.upstream) <= MET * norm(claimed):
            continue
        predicted = {name: sign * factor * array for name, array in truths.items()}
        if (match := matched(facts, truths, predicted)) is not None:
            told = (
                f"the loss's own gradient is {sign * factor:.6g} times the true one, "
                f"for {last.samples} samples"
            )
            yield explanation(
                *(BATCH_REDUCTION, match, told, None),
                alternatives=_other_factors(last.samples),
                also=() if sign > 0 else (SIGN_FLIP,),
                details={"factor": float(sign * factor)},
            )


def _other_factors(samples: int) -> tuple[str, ...]:
    """Return what else a factor of the batch size may be: 2 is the most usual number of all."""
    return (BATCH_SIZE_FACTOR.slug, *([CONSTANT_FACTOR.slug] if samples == 2 else []))


def _mean_of_deltas(
    facts: Facts, truths: Mapping[str, Floats], index: int
) -> Iterator[Explanation]:
    """Yield a bias whose gradient is the mean of the deltas: only where nothing else is wrong."""
    layer = facts.network[index]
    bias = layer.bias
    others = [name for name in layer.names.values() if name != bias]
    if bias is None or any(name in facts.failing for name in others):
        return
    match = matched(facts, truths, {bias: truths[bias] / layer.samples})
    if match is not None:
        told = (
            f"{layer.name} takes the mean of its deltas for their sum over {layer.samples} samples"
        )
        yield explanation(
            *(BIAS_NOT_SUMMED, match, told, layer.name), alternatives=_other_factors(layer.samples)
        )


def _some_samples(facts: Facts, truths: Mapping[str, Floats], index: int) -> Iterator[Explanation]:
    """Yield the parts of the batch that alone give the gradients of a layer, or from it down."""
    layer = facts.network[index]
    if layer.is_given:
        return
    parts = dict(_parts(layer.samples))
    best: tuple[str, Match] | None = None
    for phrase, which in parts.items():
        part = layer.chosen(layer.delta, which)
        for scale, how in ((1.0, ""), (layer.samples / len(which), ", and the mean over these,")):
            match = matched(facts, truths, below(facts.network, index, scale * part))
            if match is not None and (best is None or len(match.repaired) > len(best[1].repaired)):
                best = phrase + how, match
    if best is None:
        return
    phrase, match = best
    is_last, passed_on = layer is facts.network[-1], is_passed_on(facts, index, match)
    if passed_on and not is_last:
        return
    only_bias = set(match.repaired) == {layer.bias}
    # Where that holds for the whole network, no layer has done it.
    others = [one for one in facts.network if one.name != layer.name and not one.is_given]
    in_others = {name for one in others for name in one.names.values()}
    everywhere = is_last and (passed_on or not in_others.isdisjoint(match.repaired))
    yield explanation(
        BIAS_NOT_SUMMED if only_bias else BATCH_REDUCTION,
        match,
        f"{'the network' if everywhere else layer.name} uses {phrase} of {layer.samples} samples",
        None if everywhere else layer.name,
        tries=2 * len(parts),
        alternatives=() if only_bias else (OVERWRITTEN_ACCUMULATION.slug,),
    )


def _parts(samples: int) -> Iterator[tuple[str, range]]:
    """Yield the first so many, the last so many, and every sample by itself."""
    for count in range(1, samples):
        yield f"the first {count}" if count > 1 else "the first", range(count)
        yield f"the last {count}" if count > 1 else "the last", range(samples - count, samples)
    for n in range(1, samples - 1):
        yield f"number {n + 1}", range(n, n + 1)
