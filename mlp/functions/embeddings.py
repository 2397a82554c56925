"""An embedding: rows of a table looked up by integer tokens, averaged, and put through a matrix.

    m_n  = mean of table[token] over the tokens of sentence n    (samples, width)
    y_n  = m_n W                                                 (samples, outputs)

Sentences have different lengths; PADDING fills them up and takes no part. One token may occur
several times, in one sentence or in several, so its row collects several gradients.

References
----------
Goldberg (2017), Neural Network Methods for Natural Language Processing, section 8.3.
"""

import numpy as np

from mlp.arrays import Array, LayerParameters, Scalar
from mlp.functions.squared_error import half_squared_error, squared_error_delta
from mlp.problem import Problem

PADDING = 0
VOCABULARY, WIDTH, OUTPUTS = 10, 4, 2
# The words of all sentences, to be put in random order: 4, 5 and 6 are repeated, 9 never occurs.
WORDS = (1, 2, 3, 4, 4, 5, 5, 6, 6, 6, 7, 8)
LENGTHS = (5, 4, 3)


def averaged_rows(table: Array, tokens: Array) -> Array:
    """Return the mean of the rows of each sentence's tokens, (samples, width)."""
    words = tokens != PADDING  # (samples, positions)
    total = (table[tokens] * words[..., np.newaxis]).sum(axis=1)  # (samples, width)
    means: Array = total / words.sum(axis=1, keepdims=True)
    return means


def embedding_loss(parameters: LayerParameters, tokens: Array, targets: Array) -> Scalar:
    """Return the squared error of the outputs."""
    outputs = averaged_rows(parameters["table"], tokens) @ parameters["weight"]
    return half_squared_error(outputs, targets)


def output_delta(parameters: LayerParameters, tokens: Array, targets: Array) -> Array:
    """Return delta = dL/dy, (samples, outputs)."""
    outputs = averaged_rows(parameters["table"], tokens) @ parameters["weight"]
    return squared_error_delta(outputs, targets)


def position_gradients(parameters: LayerParameters, tokens: Array, targets: Array) -> Array:
    """Return what each position owes to its row, (samples, positions, width).

    In m_n = sum_p table[token_np] / length_n every position has the same share:
    (delta W^T)_n / length_n.
    """
    delta = output_delta(parameters, tokens, targets)
    lengths = (tokens != PADDING).sum(axis=1, keepdims=True)  # (samples, 1)
    shares = delta @ parameters["weight"].T / lengths  # (samples, width)
    return np.repeat(shares[:, np.newaxis], tokens.shape[1], axis=1)


def embedding_gradient(
    parameters: LayerParameters, tokens: Array, targets: Array
) -> LayerParameters:
    """Return the gradient of the loss.

    A row collects the shares of all positions where its token stands. table[tokens] += shares
    would keep one of them; np.add.at adds them all.
    """
    words = tokens != PADDING  # (samples, positions)
    table = np.zeros_like(parameters["table"])
    np.add.at(table, tokens[words], position_gradients(parameters, tokens, targets)[words])
    delta = output_delta(parameters, tokens, targets)
    return {"table": table, "weight": averaged_rows(parameters["table"], tokens).T @ delta}


def embedding(seed: int = 0) -> Problem:
    """Return a 10 x 4 embedding of three sentences of 5, 4 and 3 tokens."""
    rng = np.random.default_rng(seed)
    tokens = np.full((len(LENGTHS), max(LENGTHS)), PADDING)
    tokens[np.arange(max(LENGTHS)) < np.array(LENGTHS)[:, np.newaxis]] = rng.permutation(WORDS)
    parameters = {
        "table": rng.standard_normal((VOCABULARY, WIDTH)),
        "weight": rng.standard_normal((WIDTH, OUTPUTS)),
    }
    return Problem(
        name="embedding",
        loss=embedding_loss,
        gradient=embedding_gradient,
        parameters=parameters,
        args=(tokens, rng.standard_normal((len(LENGTHS), OUTPUTS))),
        sizes={"batch": len(LENGTHS), "positions": max(LENGTHS), "width": WIDTH},
    )
