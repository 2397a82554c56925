"""Every backward pass of the networks against the tape, and what the tape does not know."""

from types import SimpleNamespace

import numpy as np
import pytest

from mlp import activations, losses, problems
from mlp.faults import FAULTS, twins
from mlp.faults.networks import STRENGTH
from mlp.initialisers import unit_normal
from mlp.layers import Dense
from mlp.network import Network, dense_network
from mlp.tape import exp, gradient, maximum, sigmoid, value_and_gradient
from mlp.taped_networks import half_mean_squared_norm, taped_gradient, taped_loss

ACTIVATIONS = ["sigmoid", "tanh", "relu", "leaky_relu", "identity"]
LOSSES = [
    *["half_mean_squared_norm", "sum_of_squares", "mean_squared_error", "softmax_cross_entropy"]
]
READY = ["reference", "digits", "deep_sigmoid", "relu", "leaky_relu"]


def assert_agrees(problem, loss):
    """Compare the gradient of a problem with the tape's, down to 1e-12 of each array's largest."""
    value, by_tape = value_and_gradient(loss)(problem.parameters, *problem.args)
    by_hand = problem.gradient(problem.parameters, *problem.args)
    assert value == pytest.approx(problem.loss(problem.parameters, *problem.args), rel=1e-13)
    assert list(by_tape) == list(by_hand)
    for layer, slopes in by_hand.items():
        assert list(by_tape[layer]) == list(slopes)
        for key, slope in slopes.items():
            floor = 1e-12 * np.abs(slope).max()
            assert floor > 0
            np.testing.assert_allclose(by_tape[layer][key], slope, rtol=1e-12, atol=floor)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_backward_agrees_with_the_tape_for_every_activation_and_loss(activation, loss):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        hidden = getattr(activations, activation)
        network = dense_network(
            rng,
            (3, 8, 7, 4),
            hidden,
            hidden if seed % 2 else activations.identity,
            getattr(losses, loss),
            initialiser=unit_normal,
            bias=seed % 3 > 0,
            bias_scale=0.5,
        )
        inputs, targets = rng.standard_normal((9, 3)), rng.dirichlet(np.ones(4), size=9)
        problem = problems.network_problem("drawn", network, inputs, targets)
        assert_agrees(problem, taped_loss(network))


@pytest.mark.parametrize(
    ("module", "kind", "known"),
    [(activations, activations.Activation, ACTIVATIONS), (losses, losses.Loss, LOSSES)],
)
def test_every_activation_and_loss_of_the_package_is_known(module, kind, known):
    assert {name for name, value in vars(module).items() if isinstance(value, kind)} == set(known)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", READY)
def test_backward_of_every_ready_network_agrees_with_the_tape(name, seed):
    problem = getattr(problems, name)(seed)
    assert_agrees(problem, taped_loss(problem.network))


def test_backward_of_two_two_two_agrees_with_the_tape():
    problem = problems.two_two_two()
    assert_agrees(problem, taped_loss(problem.network))


def chain(p, x, t, second=sigmoid, passes=("layer1", "layer2", "layer3")):
    """Return the loss of a chain with linear outputs; `second` is the activation of layer2."""
    for name in passes:
        z = x @ p[name]["weight"] + p[name]["bias"]
        x = {"layer2": second, "layer3": lambda z: z}.get(name, sigmoid)(z)
    return half_mean_squared_norm(x, t)


def with_softmax(p, x, t):
    return chain(p, x, t, second=lambda z: exp(z) / exp(z).sum(axis=1, keepdims=True))


def with_gain(p, x, t):
    effective = p["layer2"]["weight"] * exp(p["layer2"]["log_gain"])
    return chain(p | {"layer2": p["layer2"] | {"weight": effective}}, x, t)


def with_squares(p, x, t):
    return chain(p, x, t) + sum(STRENGTH * (layer["weight"] ** 2).sum() for layer in p.values())


def with_magnitudes(p, x, t):
    weights = [layer["weight"] for layer in p.values()]
    return chain(p, x, t) + sum(STRENGTH * maximum(weight, -weight).sum() for weight in weights)


def passed_twice(p, x, t):
    return chain(p, x, t, passes=("layer1", "layer2", "layer2", "layer3"))


UNLIKE_A_CHAIN = {
    "correct_softmax": with_softmax,
    "correct_gain": with_gain,
    "correct_ridge": with_squares,
    "correct_lasso": with_magnitudes,
    "correct_tied": passed_twice,
}
TWINS = [name for name in vars(twins) if name.startswith("correct")]


def loss_of(twin, problem):
    """Return a twin's loss for variables."""
    return UNLIKE_A_CHAIN.get(twin) or taped_loss(problem.network)


@pytest.mark.parametrize("name", TWINS)
def test_every_twin_of_the_gallery_agrees_with_the_tape(name):
    for seed in range(5):
        problem = getattr(twins, name)(seed)
        assert_agrees(problem, loss_of(name, problem))


@pytest.mark.parametrize("name", FAULTS)
def test_the_tape_finds_the_wrong_parameters_of_every_fault(name, flat_gradient):
    fault = FAULTS[name]
    loss = loss_of(fault.twin.__name__, fault.twin(1))
    problem = fault(1)
    by_tape = flat_gradient(SimpleNamespace(**vars(problem) | {"gradient": gradient(loss)}))
    wrong = {
        key
        for key, slope in flat_gradient(problem).items()
        if not np.allclose(slope, by_tape[key], rtol=1e-9, atol=1e-12)
    }
    assert wrong == fault.wrong


@pytest.mark.parametrize("name", UNLIKE_A_CHAIN)
def test_a_network_that_is_no_chain_of_dense_layers_is_refused(name):
    told = "plain chain|layers must be dense|activation must be one of"
    with pytest.raises(ValueError, match=told):
        taped_gradient(getattr(twins, name)().network)


def small_network(activation=activations.sigmoid, loss=losses.sum_of_squares):
    return Network((Dense("only", activation, {"weight": np.ones((3, 2))}),), loss)


class Doubled(Dense):
    """A dense layer whose pre-activations are twice as large."""

    def preactivation(self, parameters, inputs):
        return 2 * super().preactivation(parameters, inputs)


class Residual(Dense):
    """A dense layer that adds its inputs to its outputs."""

    def forward(self, parameters, inputs):
        outputs, cache = super().forward(parameters, inputs)
        return outputs + inputs, cache


class OwnBackward(Dense):
    """A dense layer that goes forward as any other."""

    def backward(self, cache, upstream):
        raise AssertionError


class Gained(Dense):
    """A dense layer with a parameter that its passes do not ask for."""

    def __post_init__(self):
        pass


@pytest.mark.parametrize("kind", [Doubled, Residual])
def test_a_dense_layer_that_goes_forward_in_another_way_is_refused(kind):
    layer = kind("own", activations.tanh, {"weight": np.eye(3)})
    with pytest.raises(ValueError, match=f"layers must be dense.*got 'own', a {kind.__name__}"):
        taped_gradient(Network((layer,), losses.sum_of_squares))


def test_a_dense_layer_with_another_parameter_is_refused():
    layer = Gained("own", activations.tanh, {"weight": np.eye(3), "gain": np.ones(3)})
    with pytest.raises(ValueError, match=r"layers must be dense.*got 'own', a Gained"):
        taped_gradient(Network((layer,), losses.sum_of_squares))


def test_a_dense_layer_with_another_way_back_is_taped_as_any_other():
    rng = np.random.default_rng(0)
    parameters = {"own": {"weight": rng.standard_normal((3, 3))}}
    data = rng.standard_normal((2, 5, 3))
    by_tape = [
        taped_gradient(
            Network((kind("own", activations.tanh, parameters["own"]),), losses.sum_of_squares)
        )(parameters, *data)
        for kind in (Dense, OwnBackward)
    ]
    np.testing.assert_equal(*by_tape)


def test_an_unknown_activation_or_loss_is_named():
    swish = activations.Activation("swish", activations.tanh_function, activations.tanh_derivative)
    with pytest.raises(ValueError, match=r"activation must be one of .*tanh.*, got 'swish'"):
        taped_gradient(small_network(activation=swish))
    hinge = losses.Loss("hinge", losses.sum_of_squares_value, losses.sum_of_squares_gradient)
    with pytest.raises(ValueError, match=r"loss must be one of .*sum_of_squares.*, got 'hinge'"):
        taped_gradient(small_network(loss=hinge))


def test_inputs_and_targets_of_the_wrong_shape_are_refused():
    network = small_network()
    taped = taped_gradient(network)
    with pytest.raises(ValueError, match=r"inputs must have shape \(batch, 3\), got \(4, 2\)"):
        taped(network.parameters, np.ones((4, 2)), np.ones((4, 2)))
    with pytest.raises(ValueError, match=r"targets must have the outputs' shape \(4, 2\)"):
        taped(network.parameters, np.ones((4, 3)), np.ones((4, 1)))


@pytest.mark.parametrize("scale", [1e-150, 1e-30, 1e30, 1e150])
def test_extreme_scales_agree_too(scale):
    network = small_network(activations.identity)
    rng = np.random.default_rng(0)
    inputs, targets = scale * rng.standard_normal((4, 3)), scale * rng.standard_normal((4, 2))
    problem = problems.network_problem("scaled", network, inputs, targets)
    assert_agrees(problem, taped_loss(network))
