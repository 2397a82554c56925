"""A gallery of deliberate gradient bugs, by name: what a gradient check must find.

Each fault is called with a seed and makes a `mlp.problems.Problem` whose loss is right and whose
gradient is wrong, in one place and for one reason. What it says about itself (`catalogue.Fault`)
is which parameters are wrong, where, and which causes one may name; its `twin` is the same problem
without the fault.

`whole` has gradients that are a simple transform of the true one, `parts` those that are wrong in
a part. `losses` has bugs in a loss and its penalty, `derivatives` and `layers` those in the
backward pass of a layer, `chains` those between layers.
"""

from mlp.faults import chains, derivatives, layers, losses, parts, whole
from mlp.faults.catalogue import Fault, faults_of
from mlp.faults.chains import (
    added_up_twice,
    delta_of_neighbour,
    inputs_of_neighbour,
    last_mini_batch,
    loss_and_activation_in_hidden_layers,
    loss_derivative_in_hidden_layers,
    preactivations_for_inputs,
    tied_weights_overwritten,
    updated_weights,
    wrong_layer,
)
from mlp.faults.derivatives import (
    activation_for_derivative,
    derivative_at_output,
    first_derivative_missing,
    leaky_activation_for_derivative,
    leaky_slope_missing,
    missing_activation_derivative,
    softmax_diagonal,
    tanh_derivative_without_square,
    upstream_ignored,
)
from mlp.faults.layers import (
    bias_first_sample,
    bias_last_sample,
    bias_mean,
    gain_for_its_logarithm,
    half_the_batch,
    inputs_of_previous_sample,
    operands_exchanged,
    signal_averaged,
    signal_masked,
    signal_untransposed,
    weight_from_input_gradient,
)
from mlp.faults.losses import (
    decay_in_gradient_only,
    half_kept,
    lasso_for_ridge,
    missing_lasso,
    missing_ridge,
    ridge_halved,
    ridge_twice,
    summed_cross_entropy,
    summed_target_minus_output,
    target_minus_output,
)
from mlp.faults.parts import (
    block_negated,
    class_weight_in_gradient_only,
    entry_off_by_1e_5,
    entry_off_by_percent,
    row_of_neighbour,
    three_entries,
    upper_triangle_zero,
    zeroed_column,
)
from mlp.faults.twins import (
    correct,
    correct_classifier,
    correct_deep,
    correct_equal,
    correct_gain,
    correct_lasso,
    correct_leaky,
    correct_leaky_equal,
    correct_one_sample,
    correct_ridge,
    correct_softmax,
    correct_square,
    correct_tied,
)
from mlp.faults.whole import (
    batch_mean_twice,
    bias_sign,
    clipped_entries,
    clipped_norm,
    detached_bias,
    detached_layer,
    factor_two,
    gain_in_backward_only,
    missing_batch_mean,
    normaliser_lost,
    read_by_columns,
    reshaped_without_transposing,
    reversed_columns,
    rolled_rows,
    summed_over_inputs,
    summed_over_outputs,
    swapped_parameters,
    swapped_rows,
    swapped_weights,
    transposed_and_doubled,
    transposed_deep,
    transposed_weight,
)

FAULTS: dict[str, Fault] = faults_of(whole, parts, losses, derivatives, layers, chains)
