"""What goes wrong in an embedding: repeated tokens, padding, and where counting starts."""

import numpy as np

from mlp.arrays import Array, LayerParameters
from mlp.faults.catalogue import replaces_gradient
from mlp.functions.embeddings import PADDING, embedding, embedding_gradient, position_gradients


@replaces_gradient(embedding, wrong={"table"}, causes={"overwritten_accumulation"})
def embedding_overwritten(
    parameters: LayerParameters, tokens: Array, targets: Array
) -> LayerParameters:
    """dL/dtable keeps one of the shares of a repeated token: = where np.add.at belongs."""
    words = tokens != PADDING
    table = np.zeros_like(parameters["table"])
    table[tokens[words]] = position_gradients(parameters, tokens, targets)[words]
    return embedding_gradient(parameters, tokens, targets) | {"table": table}


@replaces_gradient(embedding, wrong={"table"}, causes={"wrong_row"})
def embedding_padding_row(
    parameters: LayerParameters, tokens: Array, targets: Array
) -> LayerParameters:
    """dL/dtable has a row for the padding: the loss masks it, the backward pass does not."""
    table = np.zeros_like(parameters["table"])
    np.add.at(table, tokens, position_gradients(parameters, tokens, targets))
    return embedding_gradient(parameters, tokens, targets) | {"table": table}


@replaces_gradient(embedding, wrong={"table"}, causes={"permutation"})
def embedding_counted_from_one(
    parameters: LayerParameters, tokens: Array, targets: Array
) -> LayerParameters:
    """Every row's gradient is one row too far up: tokens taken to count from 1."""
    words = tokens != PADDING
    table = np.zeros_like(parameters["table"])
    shares = position_gradients(parameters, tokens, targets)
    np.add.at(table, tokens[words] - 1, shares[words])
    return embedding_gradient(parameters, tokens, targets) | {"table": table}
