"""Causes in the structure of a backward pass: named for their bug, and for no other."""

from types import SimpleNamespace

import numpy as np
import pytest

import mlp.faults
from gradcheck.diagnosis.backprop import BACKPROP_HYPOTHESES
from gradcheck.diagnosis.facts import Facts, Sample
from gradcheck.diagnosis.network_facts import network_facts
from gradcheck.parameters import default_layer, flatten

# Faults of the gallery: the cause, the layer, and what else may be meant.
NAMED = {
    "summed_cross_entropy": ("batch_reduction", None, {"batch_size_factor"}),
    "summed_target_minus_output": ("batch_reduction", None, {"batch_size_factor"}),
    "missing_activation_derivative": ("missing_activation_derivative", "layer2", set()),
    "first_derivative_missing": ("missing_activation_derivative", "layer1", set()),
    "activation_for_derivative": ("activation_for_derivative", "layer2", set()),
    "leaky_activation_for_derivative": ("activation_for_derivative", "layer2", set()),
    "derivative_at_output": ("wrong_activation_derivative", "layer2", set()),
    "tanh_derivative_without_square": ("wrong_activation_derivative", "layer3", set()),
    "leaky_slope_missing": ("wrong_activation_derivative", "layer2", set()),
    "softmax_diagonal": ("softmax_diagonal", "layer2", set()),
    "upstream_ignored": ("upstream_ignored", "layer2", set()),
    "bias_first_sample": ("bias_not_summed", "layer2", set()),
    "bias_last_sample": ("bias_not_summed", "layer3", set()),
    "bias_mean": ("bias_not_summed", "layer1", {"batch_size_factor"}),
    "half_the_batch": ("batch_reduction", "layer2", {"overwritten_accumulation"}),
    "inputs_of_previous_sample": ("stale_cache", "layer2", set()),
    "weight_from_input_gradient": ("wrong_layer", "layer2", set()),
    "signal_untransposed": ("wrong_upstream", "layer2", set()),
    "signal_averaged": ("wrong_upstream", "layer3", {"batch_size_factor"}),
    "signal_masked": ("wrong_upstream", "layer3", set()),
    "added_up_twice": ("accumulated_twice", "layer2", {"constant_factor"}),
    "wrong_layer": ("wrong_layer", "layer2", set()),
    "delta_of_neighbour": ("wrong_layer", "layer2", set()),
    "inputs_of_neighbour": ("wrong_layer", "layer4", set()),
    "preactivations_for_inputs": ("stale_cache", "layer2", set()),
    "loss_derivative_in_hidden_layers": ("wrong_upstream", None, set()),
    "updated_weights": ("updated_weights", None, set()),
    "last_mini_batch": ("batch_reduction", None, {"overwritten_accumulation"}),
}
OTHERS = [name for name in mlp.faults.FAULTS if name not in NAMED]
SQUARES = SimpleNamespace(value=lambda y, t: np.sum((y - t) ** 2) / 2, gradient=lambda y, t: y - t)


def facts_about(claimed, true, parameters, network=(), **more):
    """Return what a check knows once every entry of what is wrong has been measured."""
    failing = tuple(
        name
        for name, array in true.items()
        if np.linalg.norm(claimed[name] - array) > 1e-8 * np.linalg.norm(array)
    )
    samples = {
        name: Sample(
            np.arange(true[name].size),
            true[name].reshape(-1),
            np.full(true[name].size, 1e-10 * np.abs(true[name]).max()),
            true[name].size,
        )
        for name in failing
    }
    return Facts(
        analytic=claimed,
        parameters=parameters,
        failing=failing,
        passing=tuple(name for name in true if name not in failing),
        samples=samples,
        known=samples,
        wrong={},
        layer_of={name: default_layer(name) for name in true},
        network=network,
        **more,
    )


def of_fault(fault, seed):
    """Return the facts about a fault of the gallery, and its true gradient."""
    problem, twin = fault(seed), fault.twin(seed)
    true = flatten(twin.gradient(twin.parameters, *twin.args))
    claimed = flatten(problem.gradient(problem.parameters, *problem.args))
    parameters = flatten(problem.parameters)
    network = ()
    if problem.network is not None:
        loss = problem.loss(problem.parameters, *problem.args)
        network = network_facts(problem.network, parameters, *problem.args, loss)
    return facts_about(claimed, true, parameters, network, sizes=problem.sizes), true


def proposed(facts):
    return [found for hypothesis in BACKPROP_HYPOTHESES for found in hypothesis(facts)]


def assert_repaired(found, true, rtol=1e-6):
    for name, array in found.repaired.items():
        assert np.linalg.norm(array - true[name]) <= rtol * np.linalg.norm(true[name]), name


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", NAMED)
def test_a_fault_is_named_in_its_layer_and_repaired(name, seed):
    facts, true = of_fault(mlp.faults.FAULTS[name], seed)
    slug, layer, others = NAMED[name]
    (found,) = proposed(facts)
    assert (found.code.slug, found.layer, set(found.alternatives)) == (slug, layer, others)
    assert set(found.repaired) == set(facts.failing)
    assert_repaired(found, true)
    assert found.tries >= 1
    assert found.evidence


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", OTHERS)
def test_nothing_is_said_about_faults_of_other_kinds(name, seed):
    facts, _ = of_fault(mlp.faults.FAULTS[name], seed)
    assert facts.failing
    assert proposed(facts) == []


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", NAMED)
def test_nothing_is_said_about_right_gradients(name, seed):
    fault = mlp.faults.FAULTS[name]
    twin = fault.twin(seed)
    true = flatten(twin.gradient(twin.parameters, *twin.args))
    parameters = flatten(twin.parameters)
    loss = twin.loss(twin.parameters, *twin.args)
    network = network_facts(twin.network, parameters, *twin.args, loss)
    assert network
    assert proposed(facts_about(true, true, parameters, network)) == []


@pytest.mark.parametrize("name", NAMED)
def test_nothing_is_said_where_no_layers_are_shown(name):
    facts, _ = of_fault(mlp.faults.FAULTS[name], 0)
    hidden = facts_about(facts.analytic, known_truth(facts), facts.parameters)
    expected = ["wrong_layer"] if name == "wrong_layer" else []
    assert [found.code.slug for found in proposed(hidden)] == expected


def known_truth(facts):
    return {
        name: facts.samples[name].values.reshape(array.shape) if name in facts.failing else array
        for name, array in facts.analytic.items()
    }


# A small framework of layers with a backward of their own, to put further faults in.


class Layer:
    def __init__(self, name, **parameters):
        self.name, self.parameters = name, parameters


class Linear(Layer):
    """W and b in the layout of torch, the activation a layer of its own."""

    def forward(self, parameters, inputs):
        return inputs @ parameters["W"].T + parameters["b"], (inputs, parameters["W"])

    def backward(self, cache, upstream):
        inputs, W = cache
        return upstream @ W, {"W": upstream.T @ inputs, "b": upstream.sum(axis=0)}


class Columns(Layer):
    """tanh(W x + b), a sample per column."""

    def preactivation(self, parameters, inputs):
        return parameters["W"] @ inputs + parameters["b"]

    def forward(self, parameters, inputs):
        z = self.preactivation(parameters, inputs)
        return np.tanh(z), (inputs, parameters["W"], z)

    def delta(self, z, upstream):
        return upstream * (1 - np.tanh(z) ** 2)

    def backward(self, cache, upstream):
        inputs, W, z = cache
        delta = self.delta(z, upstream)
        return W.T @ delta, {"W": delta @ inputs.T, "b": delta.sum(axis=1, keepdims=True)}


class Tanh(Layer):
    def __init__(self, name, factor=lambda z: 1 - np.tanh(z) ** 2):
        super().__init__(name)
        self.factor = factor

    def forward(self, parameters, inputs):
        return np.tanh(inputs), inputs

    def backward(self, cache, upstream):
        return upstream * self.factor(cache), {}


def gradient_of(layers, inputs, targets, step=0.0):
    """Return the gradient by the layers' backwards, the weights of linear ones stepped between."""
    caches, outputs = [], inputs
    for layer in layers:
        outputs, cache = layer.forward(layer.parameters, outputs)
        caches.append(cache)
    upstream, gradient = SQUARES.gradient(outputs, targets), {}
    for layer, cache in zip(reversed(layers), reversed(caches), strict=True):
        signal, gradients = layer.backward(cache, upstream)
        if step and layer.name == "top":
            signal = upstream @ (cache[1] - step * gradients["W"])
        upstream = signal
        gradient |= {f"{layer.name}.{key}": array for key, array in gradients.items()}
    return gradient


def of_layers(faulty, right, inputs, targets, claimed=None):
    """Return the facts about layers some of which are faulty, and the true gradient."""
    true = gradient_of(right, inputs, targets)
    claimed = gradient_of(faulty, inputs, targets) if claimed is None else claimed
    parameters = {f"{la.name}.{key}": a for la in right for key, a in la.parameters.items()}
    outputs = inputs
    for layer in right:
        outputs, _ = layer.forward(layer.parameters, outputs)
    network = SimpleNamespace(layers=faulty, loss=SQUARES)
    loss = SQUARES.value(outputs, targets)
    facts = network_facts(network, parameters, inputs, targets, loss)
    assert facts
    return facts_about(claimed, true, parameters, facts), true


def chain(seed, middle, batch=6, widths=(4, 5, 3)):
    """Return linear layers with an activation in the middle, inputs and targets."""
    generator = np.random.default_rng(seed)
    fan_in, hidden, fan_out = widths
    draw = generator.standard_normal
    layers = [
        Linear("bottom", W=draw((hidden, fan_in)), b=draw(hidden)),
        middle,
        Linear("top", W=draw((fan_out, hidden)), b=draw(fan_out)),
    ]
    return layers, draw((batch, fan_in)), draw((batch, fan_out))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("factor", "slug", "told"),
    [
        (np.ones_like, "missing_activation_derivative", "without f'(z)"),
        (np.tanh, "activation_for_derivative", "f(z), the activation"),
        (lambda z: 1 - np.tanh(np.tanh(z)) ** 2, "wrong_activation_derivative", "f'(a)"),
        (lambda z: 1 - z**2, "wrong_activation_derivative", "1 - z**2"),
        (lambda z: np.tanh(z) * (1 - np.tanh(z)), "wrong_activation_derivative", "a (1 - a)"),
        (lambda z: 1 - np.tanh(z) ** 4, "wrong_activation_derivative", "for f'("),
    ],
    ids=["missing", "activation", "at outputs", "of z", "sigmoid's", "something else"],
)
def test_wrong_derivatives_of_an_activation_layer(factor, slug, told, seed):
    right, inputs, targets = chain(seed, Tanh("middle"))
    faulty = [right[0], Tanh("middle", factor), right[2]]
    facts, true = of_layers(faulty, right, inputs, targets)
    (found,) = proposed(facts)
    assert (found.code.slug, found.layer) == (slug, "middle")
    assert told in found.evidence
    assert set(found.repaired) == {"bottom.W", "bottom.b"}
    assert_repaired(found, true)


def test_a_derivative_with_a_factor_may_be_a_factor():
    right, inputs, targets = chain(3, Tanh("middle"))
    faulty = [right[0], Tanh("middle", lambda z: 1.5 * (1 - np.tanh(z) ** 2)), right[2]]
    facts, true = of_layers(faulty, right, inputs, targets)
    (found,) = proposed(facts)
    assert found.code.slug == "wrong_activation_derivative"
    assert found.alternatives == ("constant_factor",)
    assert_repaired(found, true)


@pytest.mark.parametrize("seed", range(4))
def test_a_measured_derivative_is_told_with_its_worst_value(seed):
    right, inputs, targets = chain(seed, Tanh("middle"))
    faulty = [right[0], Tanh("middle", lambda z: 1 - np.tanh(z) ** 4), right[2]]
    facts, _ = of_layers(faulty, right, inputs, targets)
    (found,) = proposed(facts)
    z = found.details["z"]
    np.testing.assert_allclose(found.details["used"], 1 - np.tanh(z) ** 4, rtol=1e-9)
    np.testing.assert_allclose(found.details["true"], 1 - np.tanh(z) ** 2, rtol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_samples_in_columns_are_understood(seed):
    class NoDerivative(Columns):
        def delta(self, z, upstream):
            return upstream

    class FirstSample(Columns):
        def backward(self, cache, upstream):
            signal, gradients = super().backward(cache, upstream)
            return signal, gradients | {"b": self.delta(cache[2], upstream)[:, :1]}

    draw = np.random.default_rng(seed).standard_normal
    shapes = {"bottom": (5, 4), "top": (3, 5)}
    right = [Columns(name, W=draw(s), b=draw((s[0], 1))) for name, s in shapes.items()]
    inputs, targets = draw((4, 7)), draw((3, 7))
    for faulty, slug in (
        (NoDerivative, "missing_activation_derivative"),
        (FirstSample, "bias_not_summed"),
    ):
        layers = [faulty("bottom", **right[0].parameters), right[1]]
        facts, true = of_layers(layers, right, inputs, targets)
        (found,) = proposed(facts)
        assert (found.code.slug, found.layer) == (slug, "bottom")
        assert_repaired(found, true)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("step", [0.5, 1e-3])
def test_a_step_before_the_signal_is_measured(step, seed):
    layers, inputs, targets = chain(seed, Tanh("middle"))
    claimed = gradient_of(layers, inputs, targets, step)
    facts, true = of_layers(layers, layers, inputs, targets, claimed)
    (found,) = proposed(facts)
    assert (found.code.slug, found.layer) == ("updated_weights", "top")
    np.testing.assert_allclose(found.details["step"], step, rtol=1e-6)
    assert found.fitted
    assert_repaired(found, true)


@pytest.mark.parametrize("wrong", [["bottom.W"], ["bottom.b"], ["bottom.W", "bottom.b"]])
@pytest.mark.parametrize("factor", [-1.0, 0.3, 3.0])
def test_a_step_is_not_fitted_to_a_layer_of_one_unit(factor, wrong):
    """One number explains whatever is wrong with another: so would a factor."""
    layers, inputs, targets = chain(1, Tanh("middle"), widths=(4, 1, 3))
    claimed = gradient_of(layers, inputs, targets)
    claimed |= {name: factor * claimed[name] for name in wrong}
    facts, _ = of_layers(layers, layers, inputs, targets, claimed)
    assert facts.failing == tuple(wrong)
    assert "updated_weights" not in {found.code.slug for found in proposed(facts)}


def test_a_step_uphill_is_not_taken():
    layers, inputs, targets = chain(1, Tanh("middle"))
    claimed = gradient_of(layers, inputs, targets, -0.5)
    facts, _ = of_layers(layers, layers, inputs, targets, claimed)
    assert facts.failing == ("bottom.W", "bottom.b")
    assert proposed(facts) == []


def test_a_step_that_leaves_the_bias_below_right_is_not_taken():
    layers, inputs, targets = chain(1, Tanh("middle"))
    stepped = gradient_of(layers, inputs, targets, 0.5)
    claimed = gradient_of(layers, inputs, targets) | {"bottom.W": stepped["bottom.W"]}
    facts, _ = of_layers(layers, layers, inputs, targets, claimed)
    assert facts.failing == ("bottom.W",)
    assert "updated_weights" not in {found.code.slug for found in proposed(facts)}


@pytest.mark.parametrize("seed", range(4))
def test_inputs_of_unknown_origin_show_in_the_space_of_the_deltas(seed):
    """Four samples make a gradient of rank four, seven units wide."""
    layers, inputs, targets = chain(seed, Tanh("middle"), batch=4, widths=(6, 7, 3))
    claimed = gradient_of(layers, inputs, targets)
    other = np.random.default_rng([seed, 1]).standard_normal(inputs.shape)
    stale = gradient_of(layers, other, targets)
    delta = np.linalg.lstsq(inputs.T, claimed["bottom.W"].T, rcond=None)[0]
    assert not np.allclose(stale["bottom.W"], claimed["bottom.W"])
    facts, true = of_layers(
        layers, layers, inputs, targets, claimed | {"bottom.W": delta.T @ other}
    )
    (found,) = proposed(facts)
    assert (found.code.slug, found.layer) == ("stale_cache", "bottom")
    assert_repaired(found, true)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda g: np.roll(g, 1, axis=1),
        lambda g: g * np.arange(1, 7),
        lambda g: 3 * g,
        lambda g: g * (np.arange(6) > 1),
        lambda g: g[::-1],
        lambda g: g + 0.1,
    ],
    ids=["inputs permuted", "inputs scaled", "factor", "inputs lost", "units reversed", "shifted"],
)
def test_what_merely_lies_in_the_space_of_the_deltas_is_not_called_stale(spoil):
    layers, inputs, targets = chain(2, Tanh("middle"), batch=4, widths=(6, 7, 3))
    claimed = gradient_of(layers, inputs, targets)
    spoilt = claimed | {"bottom.W": spoil(claimed["bottom.W"])}
    facts, _ = of_layers(layers, layers, inputs, targets, spoilt)
    assert facts.failing == ("bottom.W",)
    assert proposed(facts) == []


@pytest.mark.parametrize("seed", range(4))
def test_the_bias_of_any_sample_is_found(seed):
    layers, inputs, targets = chain(seed, Tanh("middle"))
    claimed = gradient_of(layers, inputs, targets)
    outputs = inputs
    for layer in layers:
        outputs, _ = layer.forward(layer.parameters, outputs)
    claimed["top.b"] = (outputs - targets)[3]
    facts, true = of_layers(layers, layers, inputs, targets, claimed)
    (found,) = proposed(facts)
    assert (found.code.slug, found.layer) == ("bias_not_summed", "top")
    assert "number 4 of 6" in found.evidence
    assert_repaired(found, true)


def test_two_faults_in_two_layers_are_both_named():
    right, inputs, targets = chain(5, Tanh("middle"))
    faulty = [right[0], Tanh("middle", np.ones_like), right[2]]
    claimed = gradient_of(faulty, inputs, targets)
    claimed["top.b"] = claimed["top.b"] / len(inputs)
    facts, true = of_layers(faulty, right, inputs, targets, claimed)
    found = proposed(facts)
    assert {(one.code.slug, one.layer) for one in found} == {
        ("missing_activation_derivative", "middle"),
        ("bias_not_summed", "top"),
    }
    for one in found:
        assert_repaired(one, true)


def test_a_fault_beside_it_does_not_hide_a_missing_derivative():
    """The weight has another fault, the bias and all below have this one."""
    problem = mlp.faults.missing_activation_derivative(1)
    facts, true = of_fault(mlp.faults.missing_activation_derivative, 1)
    claimed = facts.analytic | {"layer2.weight": facts.analytic["layer2.weight"] + 1.0}
    both = facts_about(claimed, true, facts.parameters, facts.network, sizes=problem.sizes)
    (found,) = proposed(both)
    assert found.code.slug == "missing_activation_derivative"
    assert set(found.repaired) == {"layer2.bias", "layer1.weight", "layer1.bias"}
    assert_repaired(found, true)


@pytest.mark.parametrize("seed", range(5))
def test_gradients_in_float32_are_explained_too(seed):
    fault = mlp.faults.missing_activation_derivative
    problem, twin = fault(seed), fault.twin(seed)
    parameters, args = in_float32(problem.parameters), [a.astype(np.float32) for a in problem.args]
    claimed = flatten(problem.gradient(parameters, *args))
    loss = float(problem.loss(parameters, *args))
    facts = network_facts(problem.network, flatten(parameters), *args, loss)
    # Those of the very numbers that float32 holds.
    doubles = {
        layer: {key: array.astype(float) for key, array in held.items()}
        for layer, held in parameters.items()
    }
    true = flatten(twin.gradient(doubles, *(array.astype(float) for array in args)))
    claimed = {
        name: array.astype(float) if not name.startswith("layer3") else true[name]
        for name, array in claimed.items()
    }
    (found,) = proposed(facts_about(claimed, true, flatten(doubles), facts))
    assert (found.code.slug, found.layer) == ("missing_activation_derivative", "layer2")
    # The rounding of the wrong gradient, which is larger than the true one, stays.
    assert_repaired(found, true, rtol=1e-5)


def in_float32(parameters):
    return {
        layer: {key: array.astype(np.float32) for key, array in held.items()}
        for layer, held in parameters.items()
    }


# Without layers.


def softmax(logits, axis):
    powers = np.exp(logits)
    return powers / powers.sum(axis=axis, keepdims=True)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("shape", "axis"), [((5,), 0), ((4, 3), 1), ((4, 3), 0), ((2, 3, 4), 2)])
def test_logits_with_the_diagonal_alone_are_found_without_layers(shape, axis, seed):
    generator = np.random.default_rng(seed)
    logits, upstream = generator.standard_normal(shape), generator.standard_normal(shape)
    s = softmax(logits, axis)
    true = s * (upstream - (s * upstream).sum(axis=axis, keepdims=True))
    claimed = s * (1 - s) * upstream
    (found,) = proposed(facts_about({"x": claimed}, {"x": true}, {"x": logits}))
    assert found.code.slug == "softmax_diagonal"
    assert found.details["axis"] == axis
    assert_repaired(found, {"x": true})
    # Along another axis, or as a gradient that is wrong in another way, it is none of this.
    for other in (claimed + 0.1, claimed * 1.1, true[::-1].copy(), np.zeros(shape)):
        assert proposed(facts_about({"x": other}, {"x": true}, {"x": logits})) == []


@pytest.mark.parametrize("seed", range(4))
def test_half_the_gradient_of_a_difference_is_no_diagonal_of_two_logits(seed):
    x = np.random.default_rng(seed).standard_normal((3, 2))
    slope = np.cos(x[:, :1] - x[:, 1:])
    true, claimed = np.hstack([slope, -slope]), np.hstack([slope, 0 * slope])
    assert proposed(facts_about({"x": claimed}, {"x": true}, {"x": x})) == []


@pytest.mark.parametrize("seed", range(4))
def test_the_diagonal_of_a_centring_is_no_softmax_where_all_entries_are_equal(seed):
    upstream = np.random.default_rng(seed).standard_normal((5, 4))
    true, claimed = upstream - upstream.mean(axis=1, keepdims=True), upstream * (1 - 1 / 4)
    assert proposed(facts_about({"x": claimed}, {"x": true}, {"x": np.ones((5, 4))})) == []


@pytest.mark.parametrize("seed", range(4))
def test_of_logits_it_is_said_what_to_use_for_a_log_softmax_too(seed):
    generator = np.random.default_rng(seed)
    logits, upstream = generator.standard_normal((5, 4)), generator.standard_normal((5, 4))
    s = softmax(logits, axis=1)
    true = upstream - s * upstream.sum(axis=1, keepdims=True)
    (found,) = proposed(facts_about({"x": upstream * (1 - s)}, {"x": true}, {"x": logits}))
    assert found.code.slug == "softmax_diagonal"
    assert "upstream - s * sum(upstream) for outputs log(s)" in found.suggestion


def test_a_gradient_of_another_parameter_is_found_without_layers():
    draw = np.random.default_rng(0).standard_normal
    true = {"a": draw(4), "b": draw(4), "c": draw(3)}
    claimed = true | {"a": true["b"].copy()}
    parameters = {name: draw(array.shape) for name, array in true.items()}
    (found,) = proposed(facts_about(claimed, true, parameters))
    assert (found.code.slug, found.details["other"]) == ("wrong_layer", "b")
    # What it should be, nobody knows.
    assert found.unknown["a"].all()


@pytest.mark.parametrize(
    "claimed",
    [
        {"a": np.zeros(3), "b": np.zeros(3)},
        {"a": np.array([1.0, 2.0, 3.0]), "b": np.array([1.0, 2.0, 3.0 + 1e-15])},
    ],
    ids=["both zero", "not bit by bit"],
)
def test_a_gradient_that_only_looks_like_another_is_left_alone(claimed):
    true = {"a": np.array([4.0, 5.0, 6.0]), "b": claimed["b"]}
    assert proposed(facts_about(claimed, true, true)) == []


def test_gradients_that_were_exchanged_are_left_to_their_own_cause():
    facts, _ = of_fault(mlp.faults.swapped_parameters, 0)
    assert len(facts.failing) == 2
    assert proposed(facts) == []
