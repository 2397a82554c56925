"""A layer checked by itself is told why it is wrong, as a network that shows its layers is."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

import gradcheck
import mlp.faults
from mlp.activations import sigmoid, tanh
from mlp.faults.catalogue import RebuiltNetworkFault
from mlp.layers import Dense
from mlp.losses import half_mean_squared_norm
from mlp.network import Network
from mlp.problems import network_problem

SEEDS = range(3)
# Faults inside of one layer: the chain and the loss are right.
OF_A_LAYER = {
    name: fault
    for name, fault in mlp.faults.FAULTS.items()
    if isinstance(fault, RebuiltNetworkFault)
    and fault.layer
    and type(fault(0).network).__module__ == "mlp.network"
}


def errors(report):
    return [finding for finding in report.findings if finding.severity == "error"]


def test_these_are_the_faults_of_a_layer():
    assert len(OF_A_LAYER) == 20


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", OF_A_LAYER)
def test_a_wrong_layer_is_told_why(name, seed):
    fault = OF_A_LAYER[name]
    problem = fault(seed)
    report = gradcheck.check_layers(
        problem.network, *problem.args, sizes=problem.sizes, effort="quick"
    )
    found = errors(report)
    assert found
    assert {finding.slug for finding in found} <= fault.exposed
    assert {finding.layer for finding in found} == {fault.layer}


@pytest.mark.parametrize("seed", SEEDS)
def test_three_gradients_spoilt_by_one_mistake_are_one_finding(seed):
    problem = mlp.faults.activation_for_derivative(seed)
    report = gradcheck.check_layers(problem.network, *problem.args, effort="quick")
    (found,) = errors(report)
    assert found.slug == "activation_for_derivative"
    assert found.parameters == ("layer2.weight", "layer2.bias", "layer2.inputs")


class Untransposed(Dense):
    def backward(self, cache, upstream):
        _, gradients = super().backward(cache, upstream)
        return self.delta(cache, upstream) @ cache.weight, gradients


@pytest.mark.parametrize("seed", SEEDS)
def test_a_first_layer_hands_down_to_its_inputs(seed):
    rng = np.random.default_rng(seed)
    parameters = {"weight": rng.normal(size=(4, 4)), "bias": rng.normal(size=4)}
    layer = Untransposed("hidden", sigmoid, parameters)
    inputs, upstream = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    report = gradcheck.check_layers(SimpleNamespace(layers=[layer]), inputs, upstream)
    (found,) = errors(report)
    assert (found.slug, found.parameters) == ("wrong_upstream", ("hidden.inputs",))
    assert "hidden hands down delta W in place of delta W^T" in found.evidence


class Swish:
    """a = z sigmoid(z), without parameters, whose backward forgets the second term of a'."""

    name, parameters = "swish", {}

    def forward(self, parameters, inputs):
        return inputs / (1 + np.exp(-inputs)), inputs

    def backward(self, cache, upstream):
        return upstream / (1 + np.exp(-cache)), {}


def test_a_layer_without_parameters_is_explained_too():
    rng = np.random.default_rng(0)
    network = SimpleNamespace(layers=[Swish()])
    report = gradcheck.check_layers(network, rng.normal(size=(5, 4)), rng.normal(size=(5, 4)))
    (found,) = errors(report)
    assert found.parameters == ("swish.inputs",)
    assert found.slug in ("wrong_activation_derivative", "wrong_upstream")


class Mixed:
    """A layer that is neither dense nor entry by entry: z_nj = sum_i x_ni W_ij x_nj."""

    name = "mixed"

    def __init__(self, rng):
        self.parameters = {"weight": rng.normal(size=(4, 4))}

    def forward(self, parameters, inputs):
        return (inputs @ parameters["weight"]) * inputs, (inputs, parameters["weight"])

    def backward(self, cache, upstream):
        inputs, weight = cache
        delta = upstream * inputs
        return delta @ weight.T, {"weight": inputs.T @ delta}  # forgets x_nj


def test_a_layer_of_any_kind_is_blamed_without_a_wrong_name():
    rng = np.random.default_rng(0)
    network = SimpleNamespace(layers=[Mixed(rng)])
    report = gradcheck.check_layers(network, rng.normal(size=(5, 4)), rng.normal(size=(5, 4)))
    (found,) = errors(report)
    assert found.parameters == ("mixed.inputs",)
    assert found.slug in ("wrong_upstream", "unexplained")


class Slipping(Dense):
    """A dense layer that answers what `slip` makes of (dx, dW, db), cache, upstream and delta."""

    slip = None

    def backward(self, cache, upstream):
        dx, own = super().backward(cache, upstream)
        if self.slip is None:
            return dx, own
        right, delta = (dx, own["weight"], own["bias"]), self.delta(cache, upstream)
        dx, weight, bias = self.slip(right, cache, upstream, delta)
        return dx, {"weight": weight, "bias": bias}


def dense(name, rng, slip=None, activation=tanh):
    """Return a layer of 4 units on 4 inputs, with a slip in its backward or without."""
    parameters = {"weight": rng.normal(size=(4, 4)), "bias": rng.normal(size=4)}
    kind = type("Slipped", (Slipping,), {"slip": staticmethod(slip)}) if slip else Slipping
    return kind(name, activation, parameters)


def alone(slip, seed, name="dense"):
    """Return the report about a layer with a slip in its backward, by itself."""
    rng = np.random.default_rng([seed, 7])
    network = SimpleNamespace(layers=[dense(name, rng, slip)])
    return gradcheck.check_layers(network, rng.normal(size=(6, 4)), seed=seed)


def in_the_middle(slip, seed, seen_as=lambda layer: layer):
    """Return the report about a network whose middle layer has a slip in its backward."""
    rng = np.random.default_rng([seed, 8])
    layers = seen_as(dense("low", rng)), dense("mid", rng, slip), dense("top", rng)
    args = rng.normal(size=(6, 4)), rng.normal(size=(6, 4))
    network = Network(layers, half_mean_squared_norm)
    return gradcheck.check(network_problem("three", network, *args), seed=seed)


BIAS_LINES = {
    "the columns of dW summed": lambda x, a, d: (x.T @ d).sum(axis=0),
    "the last row of dW": lambda x, a, d: (x.T @ d)[-1],
    "delta times the outputs": lambda x, a, d: (d * a).sum(axis=0),
    "delta times the size of x": lambda x, a, d: np.linalg.norm(x, axis=1) @ d,
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("line", BIAS_LINES)
@pytest.mark.parametrize("checked", [alone, in_the_middle])
def test_a_wrong_bias_line_alone_is_no_wrong_derivative(checked, line, seed):
    def slip(right, cache, u, d):
        return *right[:2], BIAS_LINES[line](cache.inputs, np.tanh(cache.preactivation), d)

    (found,) = errors(checked(slip, seed))
    assert (found.slug, len(found.parameters)) == ("unexplained", 1)
    assert found.parameters[0].endswith(".bias")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_derivative_that_has_no_name_is_found_by_measuring(seed):
    def slip(right, cache, u, d):
        d = u * (1 - np.tanh(cache.preactivation) ** 2 / 2)
        return d @ cache.weight.T, cache.inputs.T @ d, d.sum(axis=0)

    (found,) = errors(alone(slip, seed))
    assert found.slug == "wrong_activation_derivative"
    assert found.parameters == ("dense.weight", "dense.bias", "dense.inputs")


class Mixing:
    """Outputs of a sample that depend on each other, and the diagonal of their Jacobian alone.

    a = function(x), where da_i / dx_i = diagonal(x, a).
    """

    name, fan_in, fan_out = "mix", 4, 4

    def __init__(self, function, diagonal):
        self.function, self.diagonal, self.parameters = function, diagonal, {}

    def forward(self, parameters, inputs):
        outputs = self.function(inputs)
        return outputs, (inputs, outputs)

    def backward(self, cache, upstream):
        return upstream * self.diagonal(*cache), {}


def size(x):
    return np.sqrt((x**2).sum(axis=1, keepdims=True))


def centred(x):
    return x - x.mean(axis=1, keepdims=True)


def log_softmax(x):
    return x - np.log(np.exp(x).sum(axis=1, keepdims=True))


SOFTMAX = Mixing(lambda x: np.exp(log_softmax(x)), lambda x, a: a * (1 - a))
NO_SOFTMAX = {
    "a normalisation": Mixing(lambda x: x / size(x), lambda x, a: (1 - a**2) / size(x)),
    "a centring": Mixing(centred, lambda x, a: 1 - 1 / x.shape[1]),
    "a log-softmax": Mixing(log_softmax, lambda x, a: 1 - np.exp(a)),
}


def mixed(layer, seed):
    """Return the reports about a layer that mixes, by itself and in a network."""
    rng = np.random.default_rng([seed, 9])
    inputs, targets = rng.normal(size=(5, 4)), rng.normal(size=(5, 4))
    by_itself = gradcheck.check_layers(SimpleNamespace(layers=[layer]), inputs, seed=seed)
    network = Network((dense("low", rng), layer, dense("top", rng)), half_mean_squared_norm)
    return by_itself, gradcheck.check(network_problem("three", network, inputs, targets), seed=seed)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("layer", NO_SOFTMAX.values(), ids=NO_SOFTMAX)
def test_the_diagonal_alone_of_what_is_no_softmax_is_not_told_as_one(layer, seed):
    for report in mixed(layer, seed):
        assert {found.slug for found in errors(report)} == {"wrong_upstream"}
        assert {found.layer for found in errors(report)} == {"mix"}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_diagonal_alone_of_a_softmax_is_told(seed):
    for report in mixed(SOFTMAX, seed):
        (found,) = errors(report)
        assert (found.slug, found.layer) == ("softmax_diagonal", "mix")


def lost(signal, *samples):
    """Return a signal without that of some samples."""
    signal = signal.copy()
    signal[list(samples)] = 0.0
    return signal


def handing_down(change):
    """Return the slip that hands down something else: change(dx, x, u, d)."""
    return lambda right, cache, u, d: (change(right[0], cache.inputs, u, d), *right[1:])


HANDED_DOWN = {
    "its upstream": handing_down(lambda dx, x, u, d: u),
    "its delta": handing_down(lambda dx, x, u, d: d),
    "of some samples": handing_down(lambda dx, x, u, d: lost(dx, 3, 4, 5)),
    "of some samples twice": handing_down(lambda dx, x, u, d: 2 * lost(dx, 3, 4, 5)),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ["dense", "inputs"])
@pytest.mark.parametrize("slip", HANDED_DOWN.values(), ids=HANDED_DOWN)
def test_what_a_layer_hands_down_is_told_of_it_and_not_of_its_inputs(slip, name, seed):
    (found,) = errors(alone(slip, seed, name))
    assert (found.slug, found.layer) == ("wrong_upstream", name)
    assert found.parameters == (f"{name}.inputs",)
    assert found.evidence.startswith(f"{name} hands down ")
    assert not {"wrong_layer", "batch_reduction"} & set(found.alternatives)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("checked", [alone, in_the_middle])
def test_a_weight_formed_with_what_is_handed_down_is_told_in_these_words(checked, seed):
    def slip(right, cache, u, d):
        return right[0], cache.inputs.T @ right[0], right[2]

    (found,) = errors(checked(slip, seed))
    assert (found.slug, found.layer) == ("wrong_layer", found.parameters[0].partition(".")[0])
    assert f"{found.layer} takes dL/dx, which it hands down, for its delta" in found.evidence


FOR_ITS_INPUTS = {
    "its own outputs": lambda cache: np.tanh(cache.preactivation),
    "its pre-activations": lambda cache: cache.preactivation,
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("told", FOR_ITS_INPUTS)
def test_a_lone_layer_that_takes_its_own_values_for_its_inputs_is_told_so(told, seed):
    def slip(right, cache, u, d):
        return right[0], FOR_ITS_INPUTS[told](cache).T @ d, right[2]

    (found,) = errors(alone(slip, seed))
    assert (found.slug, found.layer) == ("stale_cache", "dense")
    assert f"dense takes {told} for its inputs" in found.evidence
    assert found.alternatives == ()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_lone_layer_that_loses_a_sample_is_no_network(seed):
    def slip(right, cache, u, d):
        d = lost(d, 0)
        return d @ cache.weight.T, cache.inputs.T @ d, d.sum(axis=0)

    (found,) = errors(alone(slip, seed))
    assert (found.slug, found.layer) == ("batch_reduction", "dense")
    assert "dense uses the last 5 of 6 samples" in found.evidence


@pytest.mark.parametrize("seed", SEEDS)
def test_a_layer_may_be_called_inputs(seed):
    def slip(right, cache, u, d):
        return u @ cache.weight.T, cache.inputs.T @ u, u.sum(axis=0)

    (found,) = errors(alone(slip, seed, "inputs"))
    assert (found.slug, found.layer) == ("missing_activation_derivative", "inputs")
    assert found.parameters == ("inputs.weight", "inputs.bias", "inputs.inputs")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("slip", HANDED_DOWN.values(), ids=HANDED_DOWN)
def test_a_verified_pass_tells_the_layer_that_hands_down_something_else(slip, seed):
    rng = np.random.default_rng([seed, 10])
    network = Network((dense("low", rng), dense("mid", rng, slip)), half_mean_squared_norm)
    args = rng.normal(size=(6, 4)), rng.normal(size=(6, 4))
    with pytest.raises(gradcheck.GradientMismatch, match=r"mid\.inputs") as caught:
        network.backward(network.parameters, *args, verify=gradcheck.layer_verifier(seed=seed))
    (found,) = errors(caught.value.report)
    assert (found.slug, found.layer) == ("wrong_upstream", "mid")
    assert found.evidence.startswith("mid hands down ")


# In a network, what a layer hands down spoils all below. The layers below are right by themselves.


def hiding(layer):
    """Return a layer that does not tell its pre-activations."""
    given = ("name", "parameters", "fan_in", "fan_out", "forward", "backward")
    return SimpleNamespace(**{name: getattr(layer, name) for name in given})


# x being the outputs of a tanh, whose derivative is 1 - x**2.
OF_THE_MIDDLE = HANDED_DOWN | {
    "of one sample": handing_down(lambda dx, x, u, d: lost(dx, 1, 2, 3, 4, 5)),
    "without the slope below": handing_down(lambda dx, x, u, d: dx / (1 - x**2)),
    "with the slope below": handing_down(lambda dx, x, u, d: dx * (1 - x**2)),
    "with the outputs for the slope below": handing_down(lambda dx, x, u, d: dx * x / (1 - x**2)),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("seen_as", [lambda layer: layer, hiding], ids=["tells z", "hides z"])
@pytest.mark.parametrize("slip", OF_THE_MIDDLE.values(), ids=OF_THE_MIDDLE)
def test_a_right_layer_is_not_blamed_for_what_the_one_above_hands_down(slip, seen_as, seed):
    (found,) = errors(in_the_middle(slip, seed, seen_as))
    assert (found.slug, found.layer) == ("wrong_upstream", "mid")
    assert found.parameters == ("low.weight", "low.bias")
    assert found.evidence.startswith("mid hands down ")


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("seen_as", [lambda layer: layer, hiding], ids=["tells z", "hides z"])
def test_a_layer_that_loses_a_sample_itself_is_blamed(seen_as, seed):
    def slip(right, cache, u, d):
        d = lost(d, 0)
        return d @ cache.weight.T, cache.inputs.T @ d, d.sum(axis=0)

    (found,) = errors(in_the_middle(slip, seed, seen_as))
    assert (found.slug, found.layer) == ("batch_reduction", "mid")
    assert found.parameters == ("low.weight", "low.bias", "mid.weight", "mid.bias")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_right_last_layer_is_not_blamed_for_what_the_loss_hands_down(seed):
    def with_the_slope_below(outputs, targets):
        return half_mean_squared_norm.gradient(outputs, targets) * (1 - outputs**2)

    rng = np.random.default_rng([seed, 11])
    loss = replace(half_mean_squared_norm, gradient=with_the_slope_below)
    network = Network((dense("low", rng), dense("top", rng)), loss)
    args = rng.normal(size=(6, 4)), rng.normal(size=(6, 4))
    (found,) = errors(gradcheck.check(network_problem("two", network, *args), seed=seed))
    assert (found.slug, found.layer) == ("wrong_upstream", None)
    assert found.evidence.startswith("the loss's own gradient at the outputs is wrong")
