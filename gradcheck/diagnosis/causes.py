"""The catalogue's causes: what a wrong gradient turned out to be, and what to do about it.

`codes` has what misbehaves and what limits a check. A title says what the gradients of one or of
several parameters are, named before it: "layer2.weight: the transpose of the true gradient".
"""

from __future__ import annotations

from gradcheck.diagnosis.codes import Code

TRANSPOSED = Code(
    "GC201",
    "transposed",
    "the transpose of the true gradient",
    "exchange the operands of the product that forms it: x.T @ delta for samples in rows, "
    "delta @ x.T for samples in columns",
)
CONSTANT_FACTOR = Code(
    "GC202",
    "constant_factor",
    "a constant times the true gradient",
    "look for a constant that the loss has and its derivative lost or gained, such as the 1/2 of a "
    "square",
)
BATCH_SIZE_FACTOR = Code(
    "GC203",
    "batch_size_factor",
    "off by a factor that is a size of the problem",
    "make loss and gradient agree on what is a sum and what is a mean",
)
SIGN_FLIP = Code(
    "GC204",
    "sign_flip",
    "of the opposite sign",
    "look for prediction - target written the other way round, or a minus of the loss that is lost",
)
ACCUMULATED_TWICE = Code(
    "GC205",
    "accumulated_twice",
    "added up twice",
    "look for a += that runs twice, or for a buffer that already holds the gradient",
)
DETACHED = Code(
    "GC206",
    "detached",
    "zero, although the true gradient is not",
    "look for a backward pass that ends too early, a copy in the forward pass, or an assignment "
    "that is missing",
)
PERMUTATION = Code(
    "GC207",
    "permutation",
    "the right numbers in another order",
    "look at the indices: off by one, reversed, or sorted in one pass and not in the other",
)
WRONG_MEMORY_ORDER = Code(
    "GC208",
    "wrong_memory_order",
    "the right numbers, read in another memory order",
    "reshape with the axes in the order of the forward pass; transpose before reshaping",
)
SWAPPED_PARAMETERS = Code(
    "GC209",
    "swapped_parameters",
    "exchanged with one another",
    "return the gradients in the order of the parameters",
)
MISSING_REGULARISATION = Code(
    "GC210",
    "missing_regularisation",
    "without a penalty that the loss has",
    "add the derivative of the penalty: 2 * strength * W for strength * sum(W**2), "
    "strength * sign(W) for strength * sum(abs(W))",
)
WRONG_REGULARISATION = Code(
    "GC211",
    "wrong_regularisation",
    "with a penalty that is not that of the loss",
    "make the loss and its gradient agree on the penalty, its strength and its factor 1/2",
)
CLIPPED = Code(
    "GC212",
    "clipped",
    "clipped",
    "return the gradient as it is and clip it where the step is made",
)
LOG_REPARAM = Code(
    "GC213",
    "log_reparam",
    "taken with respect to another form of the parameter",
    "apply the chain rule: for s = log(x), dL/ds = x dL/dx",
)
SPARSE_ENTRY = Code(
    "GC301",
    "sparse_entry",
    "wrong in single entries",
    "look at what is special about these indices",
)
WRONG_ROW = Code(
    "GC302",
    "wrong_row",
    "wrong in whole rows",
    "look at what is special about these rows: the first or the last, repeated ones, padding",
)
WRONG_COLUMN = Code(
    "GC303",
    "wrong_column",
    "wrong in whole columns",
    "look at what is special about these columns: the first or the last, one unit, one class",
)
WRONG_BLOCK = Code(
    "GC304",
    "wrong_block",
    "wrong in one block",
    "look at the slices: which part of the computation fills this block",
)
PARTIAL_ZERO = Code(
    "GC305",
    "partial_zero",
    "zero in a part where the true gradient is not",
    "look for a loop or a slice that ends too early, or a mask that is too small",
)
WRONG_UPSTREAM = Code(
    "GC401",
    "wrong_upstream",
    "computed from a wrong signal between two layers",
    "look at the line that hands the gradient down to this layer, dL/dx = delta @ W.T",
)
MISSING_ACTIVATION_DERIVATIVE = Code(
    "GC402",
    "missing_activation_derivative",
    "without the derivative of the activation",
    "multiply the upstream by f'(z) before anything else: delta = upstream * f'(z)",
)
ACTIVATION_FOR_DERIVATIVE = Code(
    "GC403",
    "activation_for_derivative",
    "with the activation where its derivative belongs",
    "delta = upstream * f'(z), not upstream * f(z)",
)
WRONG_ACTIVATION_DERIVATIVE = Code(
    "GC404",
    "wrong_activation_derivative",
    "with a wrong derivative of the activation",
    "check f' against f by itself, and whether it takes the pre-activation z or the output a",
)
WRONG_LAYER = Code(
    "GC405",
    "wrong_layer",
    "computed with what belongs to another layer",
    "look at the indices of the layers in the backward pass",
)
BIAS_NOT_SUMMED = Code(
    "GC406",
    "bias_not_summed",
    "of some samples instead of the sum over all",
    "sum over the samples: delta.sum(axis=0) for samples in rows",
)
BATCH_REDUCTION = Code(
    "GC407",
    "batch_reduction",
    "summed or averaged over the batch otherwise than the loss",
    "make loss and gradient agree: both a sum over the samples or both a mean",
)
SOFTMAX_DIAGONAL = Code(
    "GC408",
    "softmax_diagonal",
    "with the softmax taken for a function of each entry alone",
    "use the whole Jacobian: s * (upstream - sum(upstream * s)), not upstream * s * (1 - s)",
)
UPDATED_WEIGHTS = Code(
    "GC409",
    "updated_weights",
    "propagated through weights that have already been updated",
    "finish the backward pass with the weights of the forward pass, then update all of them",
)
STALE_CACHE = Code(
    "GC410",
    "stale_cache",
    "computed from other values than the forward pass saw",
    "keep copies of inputs and pre-activations from the forward pass at these parameters",
)
UPSTREAM_IGNORED = Code(
    "GC411",
    "upstream_ignored",
    "the same whatever the upstream is",
    "multiply by the gradient that comes from above: the chain rule has it in every layer",
)
OVERWRITTEN_ACCUMULATION = Code(
    "GC412",
    "overwritten_accumulation",
    "one contribution where several should add up",
    "add (+=, np.add.at) where a value is used more than once in the forward pass",
)
UNEXPLAINED = Code(
    "GC900",
    "unexplained",
    "wrong, for no reason that could be proved",
    "start at the worst entry; check a smaller problem, such as one sample and two units",
)
