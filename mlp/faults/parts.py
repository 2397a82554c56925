"""Gradients that are wrong in a part: single entries, a row, a column, a block."""

import numpy as np

from mlp.arrays import Array, NetworkParameters
from mlp.faults.catalogue import spoils_gradient
from mlp.faults.twins import correct, correct_classifier, correct_square

# Where three entries and one block lie in the (8, 7) weight of layer2.
THREE_ENTRIES = ([0, 3, 7], [5, 1, 4])
BLOCK = (slice(2, 5), slice(3, 7))


def _median_entry(array: Array) -> tuple[np.intp, ...]:
    return np.unravel_index(np.argsort(np.abs(array), axis=None)[array.size // 2], array.shape)


@spoils_gradient(correct, wrong={"layer2.weight"}, causes={"sparse_entry"})
def entry_off_by_percent(gradient: NetworkParameters) -> None:
    """One entry of layer2.weight's gradient is 1 % too large: an index that is hit too often."""
    gradient["layer2"]["weight"][_median_entry(gradient["layer2"]["weight"])] *= 1.01


@spoils_gradient(correct, wrong={"layer2.weight"}, causes={"sparse_entry"})
def entry_off_by_1e_5(gradient: NetworkParameters) -> None:
    """One entry of layer2.weight's gradient is off by 1e-5 of itself: a rounded constant."""
    gradient["layer2"]["weight"][_median_entry(gradient["layer2"]["weight"])] *= 1 + 1e-5


@spoils_gradient(correct, wrong={"layer2.weight"}, causes={"sparse_entry"})
def three_entries(gradient: NetworkParameters) -> None:
    """Three entries of layer2.weight's gradient are a tenth too small: updates that got lost."""
    gradient["layer2"]["weight"][THREE_ENTRIES] *= 0.9


@spoils_gradient(correct, wrong={"layer2.weight"}, causes={"wrong_row"})
def row_of_neighbour(gradient: NetworkParameters) -> None:
    """Row 3 of layer2.weight's gradient is that of row 2: an index that was not moved on."""
    gradient["layer2"]["weight"][3] = gradient["layer2"]["weight"][2]


@spoils_gradient(correct_classifier, wrong={"layer3.weight"}, causes={"wrong_column"})
def class_weight_in_gradient_only(gradient: NetworkParameters) -> None:
    """One column of layer3.weight's gradient is tripled: a class weight that the loss lacks."""
    gradient["layer3"]["weight"][:, 1] *= 3


@spoils_gradient(correct, wrong={"layer2.weight"}, causes={"wrong_block"})
def block_negated(gradient: NetworkParameters) -> None:
    """One block of layer2.weight's gradient is negated: a gate of several has its sign wrong."""
    gradient["layer2"]["weight"][BLOCK] *= -1


@spoils_gradient(correct, wrong={"layer2.weight"}, causes={"partial_zero"})
def zeroed_column(gradient: NetworkParameters) -> None:
    """One column of layer2.weight's gradient is zero: a loop over units that ends too early."""
    gradient["layer2"]["weight"][:, -1] = 0


@spoils_gradient(correct_square, wrong={"layer2.weight"}, causes={"partial_zero"})
def upper_triangle_zero(gradient: NetworkParameters) -> None:
    """layer2.weight's gradient is zero above its diagonal: a mask that only backward applies."""
    gradient["layer2"]["weight"] = np.tril(gradient["layer2"]["weight"])
