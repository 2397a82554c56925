"""The hypotheses about the structure of a backward pass, most specific first."""

from __future__ import annotations

from gradcheck.diagnosis.accumulated import accumulated
from gradcheck.diagnosis.activation_derivative import activation_derivative
from gradcheck.diagnosis.batch import batch
from gradcheck.diagnosis.facts import Hypothesis
from gradcheck.diagnosis.softmax_diagonal import softmax_diagonal
from gradcheck.diagnosis.stale_cache import stale_cache
from gradcheck.diagnosis.updated_weights import updated_weights
from gradcheck.diagnosis.upstream_ignored import upstream_ignored
from gradcheck.diagnosis.wrong_layer import wrong_layer
from gradcheck.diagnosis.wrong_signal import wrong_signal

BACKPROP_HYPOTHESES: tuple[Hypothesis, ...] = (
    activation_derivative,
    softmax_diagonal,
    upstream_ignored,
    wrong_layer,
    batch,
    stale_cache,
    updated_weights,
    accumulated,
    wrong_signal,
)
