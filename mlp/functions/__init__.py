"""Functions with hand-written gradients beyond the network: right ones, and deliberate bugs.

Each module has a family: forward and backward beside each other, the formula in the docstring, and
a function that returns the problem at a random point. What goes wrong in such gradients, and how it
looks, is in the modules of the same name in `mlp.functions.faults`.

All are here under their names, `TWINS` has the correct ones and `FAULTS` the others:

    gradcheck mlp.functions:batch_norm
    gradcheck mlp.functions:batch_norm_constant_statistics
"""

from mlp.faults.catalogue import faults_of
from mlp.functions.attending import attention
from mlp.functions.boosting import logistic_boosting, quantile_boosting, squared_log_boosting
from mlp.functions.convolutions import convolution
from mlp.functions.embeddings import embedding
from mlp.functions.faults import (
    attending,
    boosting,
    convolutions,
    embeddings,
    likelihoods,
    normalisation,
    pooling,
    recurrent,
    regression,
    softmaxes,
)
from mlp.functions.faults.attending import (
    attention_inputs_overwritten,
    attention_softmax_diagonal,
    attention_swapped,
    attention_without_scale,
)
from mlp.functions.faults.boosting import (
    boosting_hessian,
    boosting_mean_for_sum,
    boosting_pseudo_residuals,
    quantile_complement,
    quantile_without_smoothing,
    squared_log_without_chain,
)
from mlp.functions.faults.convolutions import (
    convolution_bias_of_one_image,
    convolution_flipped_gradient,
    convolution_flipped_kernel,
    convolution_lost_border,
    convolution_shifted_crop,
)
from mlp.functions.faults.embeddings import (
    embedding_counted_from_one,
    embedding_overwritten,
    embedding_padding_row,
)
from mlp.functions.faults.likelihoods import (
    gaussian_sum_for_mean,
    gaussian_without_normaliser,
    gaussian_wrt_sigma,
)
from mlp.functions.faults.normalisation import (
    batch_norm_constant_statistics,
    batch_norm_constant_variance,
    batch_norm_gamma_of_inputs,
    batch_norm_unbiased_variance,
    layer_norm_batch_axis,
    layer_norm_mean_of_beta,
    layer_norm_without_gamma,
)
from mlp.functions.faults.pooling import (
    average_pooling_overwritten,
    average_pooling_without_average,
    max_pooling_to_all,
    max_pooling_transposed_window,
)
from mlp.functions.faults.recurrent import (
    lstm_bias_of_one_step,
    lstm_cut_cell,
    lstm_late_hidden_state,
    lstm_linear_forget_gate,
    lstm_sigmoid_candidate,
)
from mlp.functions.faults.regression import (
    huber_other_threshold,
    huber_sum_for_mean,
    huber_unit_slope,
    logistic_l1_as_l2,
    logistic_l1_forgotten,
    logistic_l2_doubled,
    logistic_l2_forgotten,
    logistic_l2_on_bias,
    poisson_sign,
    poisson_without_exp,
    poisson_without_exposure,
)
from mlp.functions.faults.softmaxes import (
    log_sum_exp_label_columns,
    log_sum_exp_unnormalised,
    softmax_jacobian_diagonal,
    softmax_summed_over_samples,
)
from mlp.functions.likelihoods import gaussian
from mlp.functions.normalisation import batch_norm, layer_norm
from mlp.functions.pooling import average_pooling, max_pooling
from mlp.functions.recurrent import lstm
from mlp.functions.regression import huber, logistic_l1, logistic_l2, poisson
from mlp.functions.softmaxes import log_sum_exp, softmax

# The correct functions by name: each makes a problem from a seed.
TWINS = {
    twin.__name__: twin
    for twin in (
        attention,
        logistic_boosting,
        squared_log_boosting,
        quantile_boosting,
        convolution,
        embedding,
        gaussian,
        batch_norm,
        layer_norm,
        max_pooling,
        average_pooling,
        lstm,
        huber,
        logistic_l2,
        logistic_l1,
        poisson,
        softmax,
        log_sum_exp,
    )
}
FAULTS = faults_of(
    attending,
    boosting,
    convolutions,
    embeddings,
    likelihoods,
    normalisation,
    pooling,
    recurrent,
    regression,
    softmaxes,
)
