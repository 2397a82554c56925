"""Every fault is the mistake it is named after: its wrong gradient from formulas of its own."""

from types import SimpleNamespace

import numpy as np
import pytest

from mlp import faults


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def leaky(z):
    return np.where(z > 0, z, 0.01 * z)


ACTIVATIONS = {
    "sigmoid": (sigmoid, lambda z: np.exp(-z) / (1 + np.exp(-z)) ** 2),
    "tanh": (np.tanh, lambda z: np.cosh(z) ** -2.0),
    "leaky_relu": (leaky, lambda z: np.where(z > 0, 1, 0.01)),
    "softmax": (
        lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
        lambda z: None,
    ),
    "identity": (lambda z: z, np.ones_like),
}


def loss_slope(network, outputs, targets):
    if network.loss.name == "softmax_cross_entropy":
        outputs = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    return (outputs - targets) / len(targets)


def textbook(problem, *, delta=None, signal=None):
    """Return the numbers of a backward pass, layers counted from 1, with bugs where asked for.

    delta: {layer: function of (upstream, z)} in place of upstream * f'(z)
    signal: {layer: function of (delta, weight, inputs)} in place of delta W^T
    """
    network, parameters = problem.network, list(problem.parameters.values())
    x, z = {1: problem.args[0]}, {}
    pairs = [ACTIVATIONS[layer.activation.name] for layer in network.layers]
    for n, (values, (f, _)) in enumerate(zip(parameters, pairs, strict=True), start=1):
        z[n] = np.einsum("ni,ij->nj", x[n], values["weight"]) + values["bias"]
        x[n + 1] = f(z[n])
    upstream, d, gradient = loss_slope(network, x[len(z) + 1], problem.args[1]), {}, {}
    for n in range(len(z), 0, -1):
        weight, slope = parameters[n - 1]["weight"], pairs[n - 1][1]
        own = (delta or {}).get(n)
        d[n] = own(upstream, z[n]) if own else upstream * slope(z[n])
        gradient[f"layer{n}.weight"] = np.einsum("ni,nj->ij", x[n], d[n])
        gradient[f"layer{n}.bias"] = np.einsum("nj->j", d[n])
        sent = (signal or {}).get(n)
        upstream = sent(d[n], weight, x[n]) if sent else np.einsum("nj,ij->ni", d[n], weight)
    return SimpleNamespace(x=x, z=z, d=d, gradient=gradient)


def scaled(factor):
    return lambda twin, right: {name: factor * array for name, array in right.items()}


def only(name, change):
    return lambda twin, right: {name: change(right[name])}


def product(name, left, right_factor):
    """Return the weight gradient of one layer from factors found in the textbook's pass."""

    def formula(twin, right):
        book = textbook(twin)
        return {name: np.einsum("ni,nj->ij", left(book), right_factor(book))}

    return formula


def chain(**bugs):
    """Return every gradient of a pass with bugs."""
    return lambda twin, right: textbook(twin, **bugs).gradient


def edited(change):
    def edit(array):
        array = array.copy()
        change(array)
        return array

    return edit


def exchanged(one, other):
    return lambda twin, right: {one: right[other], other: right[one]}


def weights_plus(added):
    def formula(twin, right):
        return {
            f"{layer}.weight": right[f"{layer}.weight"] + added(values["weight"])
            for layer, values in twin.parameters.items()
        }

    return formula


def clipped(bound):
    return lambda twin, right: {
        name: np.sign(right[name]) * np.minimum(np.abs(right[name]), bound)
        for name in ("layer2.weight", "layer3.weight")
    }


def of_norm_one(twin, right):
    norm = np.linalg.norm(np.concatenate([array.ravel() for array in right.values()]))
    return {name: array / norm for name, array in right.items()}


def middle_entry(factor):
    """Return a change of the entry that half of the others are smaller than."""

    def change(array):
        middle = np.sort(np.abs(array), axis=None)[array.size // 2]
        array[np.abs(array) == middle] *= factor

    return edited(change)


def three_entries(array):
    for index in [(0, 5), (3, 1), (7, 4)]:
        array[index] *= 0.9


def row_of_neighbour(array):
    array[3] = array[2]


def block_negated(array):
    for row in (2, 3, 4):
        for column in (3, 4, 5, 6):
            array[row, column] = -array[row, column]


def last_column_zero(array):
    array[:, 6] = 0


def second_column_tripled(array):
    array[:, 1] *= 3


def upper_triangle_zero(array):
    for row in range(7):
        for column in range(row + 1, 7):
            array[row, column] = 0


def by_columns(array):
    return np.array(
        [
            [array.flat[column * len(array) + row] for column in range(array.shape[1])]
            for row in range(len(array))
        ]
    )


def transposed_then_laid_out(array):
    by_row = [array[i, j] for j in range(array.shape[1]) for i in range(len(array))]
    return np.array(by_row).reshape(array.shape)


def sample_of_bias(n, sample):
    return lambda twin, right: {f"layer{n}.bias": textbook(twin).d[n][sample]}


def softmax_diagonal(upstream, z):
    shares = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return upstream * shares * (1 - shares)


def stepped_signal(rate):
    def signal(delta, weight, inputs):
        return delta @ (weight - rate * inputs.T @ delta).T

    return dict.fromkeys((1, 2, 3), signal)


def loss_slope_everywhere(twin, right):
    """Return gradients as if every layer were the last one."""
    book, targets = textbook(twin), twin.args[1]
    gradient = {}
    for n in (1, 2):
        delta = (book.x[n + 1] - targets) / 11 * book.x[n + 1] * (1 - book.x[n + 1])
        gradient[f"layer{n}.weight"] = np.einsum("ni,nj->ij", book.x[n], delta)
        gradient[f"layer{n}.bias"] = delta.sum(axis=0)
    return gradient


def loss_slope_times_output(twin, right):
    """Return gradients of the two layers at the bottom from their own outputs alone."""
    book, targets = textbook(twin), twin.args[1]
    gradient = {}
    for n in (1, 2):
        delta = (book.x[n + 1] - targets) / 11 * book.x[n + 1]
        gradient[f"layer{n}.weight"] = np.einsum("ni,nj->ij", book.x[n], delta)
        gradient[f"layer{n}.bias"] = delta.sum(axis=0)
    return gradient


def last_three_samples(twin, right):
    book = textbook(twin)
    gradient = {}
    for n in (1, 2, 3):
        gradient[f"layer{n}.weight"] = np.einsum("ni,nj->ij", book.x[n][8:], book.d[n][8:])
        gradient[f"layer{n}.bias"] = book.d[n][8:].sum(axis=0)
    return gradient


def second_pass_only(twin, right):
    """Return the gradients as if layer2's second pass had parameters of its own."""
    inputs, targets = twin.args
    layers = [twin.parameters[name] for name in ("layer1", "layer2", "layer2", "layer3")]
    x = [inputs]
    for n, values in enumerate(layers):
        z = x[-1] @ values["weight"] + values["bias"]
        x.append(sigmoid(z) if n < 3 else z)
    upstream = ((x[4] - targets) / 11) @ layers[3]["weight"].T
    delta = upstream * x[3] * (1 - x[3])
    return {"layer2.weight": x[2].T @ delta, "layer2.bias": delta.sum(axis=0)}


MISTAKES = {
    "transposed_weight": only("layer2.weight", np.transpose),
    "transposed_and_doubled": only("layer2.weight", lambda g: (g + g).T),
    "transposed_deep": only("layer3.weight", np.transpose),
    "factor_two": only("layer2.weight", lambda g: g + g),
    "gain_in_backward_only": only("layer1.weight", lambda g: 1.7159 * g),
    "normaliser_lost": only("layer3.bias", lambda g: g * 6.283185307179586**0.5),
    "missing_batch_mean": scaled(11),
    "batch_mean_twice": only("layer2.weight", lambda g: g / 11),
    "summed_over_inputs": only("layer1.weight", lambda g: 6 * g),
    "summed_over_outputs": scaled(5),
    "bias_sign": only("layer2.bias", np.negative),
    "detached_layer": lambda twin, right: {
        "layer1.weight": np.zeros((6, 8)),
        "layer1.bias": np.zeros(8),
    },
    "detached_bias": only("layer3.bias", lambda g: np.zeros(5)),
    "rolled_rows": only("layer2.weight", lambda g: g[[7, *range(7)]]),
    "reversed_columns": only("layer3.weight", lambda g: g[:, [4, 3, 2, 1, 0]]),
    "swapped_rows": only("layer1.weight", lambda g: g[[0, 4, 2, 3, 1, 5]]),
    "read_by_columns": only("layer2.weight", by_columns),
    "reshaped_without_transposing": only("layer1.weight", transposed_then_laid_out),
    "swapped_parameters": exchanged("layer1.bias", "layer2.bias"),
    "swapped_weights": exchanged("layer2.weight", "layer4.weight"),
    "clipped_entries": clipped(0.1),
    "clipped_norm": of_norm_one,
    "entry_off_by_percent": only("layer2.weight", middle_entry(1.01)),
    "entry_off_by_1e_5": only("layer2.weight", middle_entry(1.00001)),
    "three_entries": only("layer2.weight", edited(three_entries)),
    "row_of_neighbour": only("layer2.weight", edited(row_of_neighbour)),
    "class_weight_in_gradient_only": only("layer3.weight", edited(second_column_tripled)),
    "block_negated": only("layer2.weight", edited(block_negated)),
    "zeroed_column": only("layer2.weight", edited(last_column_zero)),
    "upper_triangle_zero": only("layer2.weight", edited(upper_triangle_zero)),
    "half_kept": scaled(0.5),
    "target_minus_output": scaled(-1),
    "summed_target_minus_output": scaled(-11),
    "summed_cross_entropy": scaled(11),
    "missing_ridge": weights_plus(lambda w: -0.2 * w),
    "missing_lasso": weights_plus(lambda w: np.where(w > 0, -0.1, 0.1)),
    "decay_in_gradient_only": weights_plus(lambda w: 0.1 * w),
    "ridge_twice": weights_plus(lambda w: 0.2 * w),
    "ridge_halved": weights_plus(lambda w: -0.1 * w),
    "lasso_for_ridge": weights_plus(lambda w: np.where(w > 0, 0.1, -0.1) - 0.2 * w),
    "missing_activation_derivative": chain(delta={2: lambda u, z: u}),
    "first_derivative_missing": chain(delta={1: lambda u, z: u}),
    "activation_for_derivative": chain(delta={2: lambda u, z: u * sigmoid(z)}),
    "leaky_activation_for_derivative": chain(delta={2: lambda u, z: u * leaky(z)}),
    "derivative_at_output": chain(
        delta={2: lambda u, z: u * sigmoid(sigmoid(z)) * sigmoid(-sigmoid(z))}
    ),
    "tanh_derivative_without_square": chain(delta={3: lambda u, z: u * (1 - np.tanh(z))}),
    "leaky_slope_missing": chain(delta={2: lambda u, z: u * np.heaviside(z, 0)}),
    "softmax_diagonal": chain(delta={2: softmax_diagonal}),
    "upstream_ignored": chain(delta={2: lambda u, z: sigmoid(z) * sigmoid(-z)}),
    "bias_first_sample": sample_of_bias(2, 0),
    "bias_last_sample": sample_of_bias(3, 10),
    "bias_mean": only("layer1.bias", lambda g: g / 11),
    "half_the_batch": product("layer2.weight", lambda b: b.x[2][:5], lambda b: b.d[2][:5]),
    "inputs_of_previous_sample": product(
        "layer2.weight", lambda b: b.x[2][[10, *range(10)]], lambda b: b.d[2]
    ),
    "weight_from_input_gradient": lambda twin, right: {
        "layer2.weight": textbook(twin).x[2].T
        @ (textbook(twin).d[2] @ twin.parameters["layer2"]["weight"].T)
    },
    "operands_exchanged": product("layer2.weight", lambda b: b.d[2], lambda b: b.x[2]),
    "gain_for_its_logarithm": lambda twin, right: {
        "layer2.log_gain": right["layer2.log_gain"] * np.exp(-twin.parameters["layer2"]["log_gain"])
    },
    "signal_untransposed": chain(signal={2: lambda d, w, x: d @ w}),
    "signal_averaged": chain(signal={3: lambda d, w, x: d @ w.T / 11}),
    "signal_masked": chain(signal={3: lambda d, w, x: np.where(x > 0.5, d @ w.T, 0)}),
    "added_up_twice": lambda twin, right: {
        name: 2 * right[name] for name in ("layer2.weight", "layer2.bias")
    },
    "wrong_layer": lambda twin, right: {"layer2.bias": right["layer1.bias"]},
    "delta_of_neighbour": product("layer2.weight", lambda b: b.x[2], lambda b: b.d[1]),
    "inputs_of_neighbour": product("layer4.weight", lambda b: b.x[3], lambda b: b.d[4]),
    "preactivations_for_inputs": product("layer2.weight", lambda b: b.z[1], lambda b: b.d[2]),
    "loss_derivative_in_hidden_layers": loss_slope_everywhere,
    "loss_and_activation_in_hidden_layers": loss_slope_times_output,
    "updated_weights": chain(signal=stepped_signal(0.5)),
    "last_mini_batch": last_three_samples,
    "tied_weights_overwritten": second_pass_only,
}


def test_every_fault_has_a_formula():
    assert set(MISTAKES) == set(faults.FAULTS)


@pytest.mark.parametrize("seed", [0, 7])
@pytest.mark.parametrize("name", MISTAKES)
def test_fault_is_the_mistake_it_is_named_after(name, seed, flat_gradient):
    fault = faults.FAULTS[name]
    twin = fault.twin(seed)
    wrong, expected = flat_gradient(fault(seed)), MISTAKES[name](twin, flat_gradient(twin))
    assert fault.wrong <= set(expected)
    for parameter in fault.wrong:
        largest = np.abs(expected[parameter]).max()
        np.testing.assert_allclose(
            wrong[parameter], expected[parameter], rtol=1e-11, atol=1e-13 * largest
        )


@pytest.mark.parametrize("name", ["correct", "correct_deep", "correct_leaky", "correct_classifier"])
def test_textbook_without_a_bug_is_right(name, flat_gradient):
    twin = getattr(faults, name)(2)
    right, expected = flat_gradient(twin), textbook(twin).gradient
    assert set(right) == set(expected)
    for parameter, array in right.items():
        np.testing.assert_allclose(array, expected[parameter], rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("seed", range(20))
def test_clipping_changes_many_entries_and_leaves_many(seed, flat_gradient):
    right = flat_gradient(faults.correct(seed))
    for name in faults.clipped_entries.wrong:
        share = np.mean(np.abs(right[name]) > 0.1)
        assert 0.1 < share < 1
    norm = np.sqrt(sum(np.sum(array**2) for array in right.values()))
    assert norm > 1.5
