"""The derivative of the activation is missing, is the activation itself, or is another one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gradcheck.diagnosis.causes import (
    ACTIVATION_FOR_DERIVATIVE,
    CONSTANT_FACTOR,
    MISSING_ACTIVATION_DERIVATIVE,
    SIGN_FLIP,
    WRONG_ACTIVATION_DERIVATIVE,
)
from gradcheck.diagnosis.deltas import WrongDelta, wrong_deltas
from gradcheck.diagnosis.facts import Explanation, Facts
from gradcheck.diagnosis.layer_facts import LayerFacts
from gradcheck.directions import Floats, norm

# A factor counts as a function of z alone where two upstreams show it alike to this.
ALIKE = 1e-9
# Of the two upstreams that the code under test is asked with.
SEED = 20_240_301


def activation_derivative(facts: Facts) -> Iterator[Explanation]:
    """Yield what stands where the derivative of an activation belongs."""
    return wrong_deltas(facts, _candidates)


def _candidates(layer: LayerFacts) -> list[WrongDelta]:
    slopes = layer.activation.slopes
    if slopes is None or not layer.tells_preactivations:
        return []
    upstream, a = layer.upstream, layer.outputs
    found = [
        WrongDelta(
            MISSING_ACTIVATION_DERIVATIVE, "the upstream for its delta, without f'(z)", upstream
        ),
        WrongDelta(
            ACTIVATION_FOR_DERIVATIVE, "f(z), the activation, for its derivative", upstream * a
        ),
    ]
    found += [
        WrongDelta(WRONG_ACTIVATION_DERIVATIVE, f"{phrase} for f'(z)", upstream * factor)
        for phrase, factor in _other_derivatives(layer, slopes)
    ]
    if (measured := _measured(layer, slopes)) is not None:
        found.append(measured)
    return found


def _other_derivatives(layer: LayerFacts, slopes: Floats) -> Iterator[tuple[str, Floats]]:
    """Yield what gets written for a derivative, given what is at hand: a, z and f'(z)."""
    z, a = layer.preactivations, layer.outputs
    if (at_outputs := layer.slopes_at(a)) is not None:
        yield "f'(a), the derivative at the outputs,", at_outputs
    yield "a (1 - a), that of a sigmoid,", a * (1 - a)
    yield "1 - a**2, that of a tanh,", 1 - a**2
    yield "the step at 0, that of a ReLU,", (z > 0).astype(np.float64)
    yield "z (1 - z), that of a sigmoid with z for a,", z * (1 - z)
    yield "1 - z**2, that of a tanh with z for a,", 1 - z**2
    yield "f'(z) squared", slopes**2
    yield "1 - a", 1 - a
    yield "a**2", a**2
    yield "1 + a**2", 1 + a**2
    yield "a (1 + a)", a * (1 + a)


def _measured(layer: LayerFacts, slopes: Floats) -> WrongDelta | None:
    """Return the factor that the layer's own backward puts between upstream and delta.

    It is a derivative of the activation, wrong or not, if it is the same for every upstream.
    """
    generator = np.random.default_rng(SEED)
    factors = []
    for _ in range(2):
        upstream = generator.standard_normal(layer.outputs.shape)
        if (delta := layer.delta_made_of(upstream)) is None or delta.shape != upstream.shape:
            return None
        factors.append(delta / upstream)
    factor = factors[0]
    if not norm(factors[1] - factor) <= ALIKE * norm(factor):
        return None
    place = np.unravel_index(np.argmax(np.abs(factor - slopes)), factor.shape)
    z, used, true = (float(array[place]) for array in (layer.preactivations, factor, slopes))
    return WrongDelta(
        WRONG_ACTIVATION_DERIVATIVE,
        f"{used:.6g} for f'({z:.6g}) = {true:.6g}, and so on",
        layer.upstream * factor,
        _multiples(factor, slopes),
        {"z": z, "used": used, "true": true},
        is_any=True,
    )


def _multiples(factor: Floats, slopes: Floats) -> tuple[str, ...]:
    """Return the causes that a derivative with a constant factor looks like."""
    size = norm(slopes)
    constant = float(np.sum(factor * slopes)) / size**2 if size else 0.0
    if not norm(factor - constant * slopes) <= ALIKE * norm(factor):
        return ()
    return (SIGN_FLIP.slug if abs(constant + 1) <= ALIKE else CONSTANT_FACTOR.slug,)
