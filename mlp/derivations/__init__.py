"""One small network derived in four ways: by hand, by a tape, in matrices, by a framework.

All are problems under their names, as are two functions to warm up with:

    gradcheck mlp.derivations:by_hand
    gradcheck mlp.derivations:by_tape

What they have in common is in `mlp.derivations.quantities`, and `DERIVATIONS` has the functions
that derive. `by_framework` needs PyTorch, and nothing else does.
"""

from mlp.derivations import framework, hand, matrices, taped
from mlp.derivations.framework import by_framework
from mlp.derivations.hand import by_hand
from mlp.derivations.matrices import by_matrices, in_float32
from mlp.derivations.taped import by_tape
from mlp.derivations.warm_ups import one_weight, two_variables

DERIVATIONS = {
    "hand": hand.derive,
    "tape": taped.derive,
    "matrices": matrices.derive,
    "torch": framework.derive,
}
