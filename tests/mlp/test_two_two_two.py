"""Figures of the 2-2-2 network, as published: every number asserted to its printed digits.

Each is asserted for every derivation, and for the network whose layers know how to go back.
"""

import mpmath
import numpy as np
import pytest

from mlp.derivations import DERIVATIONS, by_matrices, in_float32, matrices
from mlp.derivations.quantities import Quantities
from mlp.problems import two_two_two
from mlp.training import train

LEARNING_RATE = 0.5
# Half a unit of the eighth decimal, and a little for the rounding of the comparison itself.
EIGHT_DECIMALS = 5.01e-9
# The figures printed in full come from other orders of the same float64 operations.
FULL = 1e-13
# What stands in print where the output weights after a step belong.
PRINTED_STEP = np.array([[1.06837185, -2.01725687], [0.07134767, 2.01595986]])


def by_layers(W, V, X, T):
    """Derive with the layers of the network."""
    network = two_two_two().network
    parameters = {"hidden": {"weight": W}, "output": {"weight": V}}
    Y, (hidden_cache, output_cache) = network.forward(parameters, X)
    hidden, output = network.layers
    dL_dY = network.loss.gradient(Y, T)
    dL_dH, of_output = output.backward(output_cache, dL_dY)
    _, of_hidden = hidden.backward(hidden_cache, dL_dH)
    return Quantities(
        H_in=hidden_cache.preactivation,
        H=output_cache.inputs,
        Y_in=output_cache.preactivation,
        Y=Y,
        E=Y - T,
        loss=network.loss_value(parameters, X, T),
        dL_dY=dL_dY,
        dL_dY_in=output.delta(output_cache, dL_dY),
        dL_dV=of_output["weight"],
        dL_dH=dL_dH,
        dL_dH_in=hidden.delta(hidden_cache, dL_dH),
        dL_dW=of_hidden["weight"],
    )


WAYS = DERIVATIONS | {"layers": by_layers}
NEEDS = {"torch": [pytest.mark.frameworks]}


@pytest.fixture(params=[pytest.param(way, marks=NEEDS.get(way, [])) for way in WAYS])
def derive(request):
    """Return a way to derive, as a function of weights and instances."""
    return WAYS[request.param]


@pytest.fixture
def weights():
    return by_matrices().parameters


@pytest.fixture
def both():
    """Return the inputs and the targets of both instances."""
    return by_matrices().args


@pytest.fixture
def first(both):
    """Return the inputs and the targets of instance 1, as a batch of one."""
    return tuple(array[:1] for array in both)


@pytest.fixture
def second(both):
    """Return the inputs and the targets of instance 2, as a batch of one."""
    return tuple(array[1:] for array in both)


def assert_eight_decimals(values, printed):
    np.testing.assert_allclose(values, printed, rtol=0, atol=EIGHT_DECIMALS)


def descended(derive, weights, instances, steps):
    """Return W and V after so many steps downhill."""
    W, V = weights.values()
    for _ in range(steps):
        found = derive(W, V, *instances)
        W, V = W - LEARNING_RATE * found.dL_dW, V - LEARNING_RATE * found.dL_dV
    return W, V


def test_weights_and_instances_are_the_published_ones(weights, both):
    np.testing.assert_equal(weights, {"W": [[6, -3], [-2, 5]], "V": [[1, -2], [0.25, 2]]})
    np.testing.assert_equal(both, ([[3, 1], [-1, 4]], [[1, 0], [0, 1]]))


def test_first_hidden_unit_before_and_after_the_sigmoid(derive, weights, first):
    found = derive(*weights.values(), *first)
    assert found.H_in[0, 0] == 16.0
    assert found.H[0, 0] == pytest.approx(0.9999998874648379, rel=1e-15)


def test_outputs_of_instance_1(derive, weights, first):
    assert_eight_decimals(derive(*weights.values(), *first).Y, [[0.73194171, 0.12303186]])


def test_losses_of_both_instances_add_up(derive, weights, first, second, both):
    one, other, total = (derive(*weights.values(), *data).loss for data in (first, second, both))
    assert one == pytest.approx(0.08699208259994781, rel=FULL)
    assert_eight_decimals(other, 0.33025203)
    assert total == pytest.approx(one + other, rel=1e-15)


def test_better_output_weights_by_intuition(derive, weights, first):
    found = derive(weights["W"], np.array([[2, -2.5], [0.3, 1.5]]), *first)
    np.testing.assert_allclose(found.Y, [[0.8813624223958589, 0.07777132641389171]], rtol=FULL)
    assert found.loss == pytest.approx(0.020123254031954686, rel=FULL)


@pytest.mark.parametrize(
    ("quantity", "printed"),
    [
        ("E", [[-0.2680582866305111, 0.12303185591001443]]),
        ("dL_dY", [[-0.5361165732610222, 0.24606371182002887]]),
        ("dL_dY_in", [[-0.10518770232556676, 0.026549048699963138]]),
        (
            "dL_dV",
            [
                [-0.10518769048825163, 0.02654904571226164],
                [-0.0018919280994576303, 0.0004775167642113309],
            ],
        ),
        ("dL_dH", [[-0.15828579972549303, 0.026801171818534586]]),
        (
            "dL_dW",
            [
                [-5.34381483665323e-08, 0.0014201436720081408],
                [-1.7812716122177433e-08, 0.0004733812240027136],
            ],
        ),
    ],
)
def test_backward_pass_of_instance_1(derive, weights, first, quantity, printed):
    found = derive(*weights.values(), *first)
    np.testing.assert_allclose(getattr(found, quantity), printed, rtol=FULL)


def test_backward_pass_is_right_to_the_digits_that_float64_leaves(derive, weights, first):
    def loss(*entries):
        w11, w12, w21, w22, v11, v12, v21, v22 = entries
        (x1, x2), (t1, t2) = (map(mpmath.mpf, array[0]) for array in first)
        h1, h2 = (1 / (1 + mpmath.exp(-z)) for z in (w11 * x1 + w21 * x2, w12 * x1 + w22 * x2))
        y1, y2 = (1 / (1 + mpmath.exp(-z)) for z in (v11 * h1 + v21 * h2, v12 * h1 + v22 * h2))
        return (y1 - t1) ** 2 + (y2 - t2) ** 2

    found = derive(*weights.values(), *first)
    entries = np.concatenate([array.ravel() for array in weights.values()])
    with mpmath.workdps(60):
        orders = [tuple(map(int, row)) for row in np.eye(8)]
        true = [float(mpmath.diff(loss, tuple(map(mpmath.mpf, entries)), n)) for n in orders]
    # 1 - a at a = 1 - 1.1e-7 has an error of up to 2**-54 / 1.1e-7 = 5e-10.
    np.testing.assert_allclose([*found.dL_dW.ravel(), *found.dL_dV.ravel()], true, rtol=5e-10)


@pytest.mark.parametrize("way", ["matrices", pytest.param("torch", marks=pytest.mark.frameworks)])
def test_float32_loses_digits_of_the_saturated_unit(way, weights, first):
    problem = in_float32()
    slopes = DERIVATIONS[way](*problem.parameters.values(), *problem.args).dL_dW
    assert slopes.dtype == np.float32
    assert [f"{slope:.4e}" for slope in slopes[:, 0]] == ["-5.6607e-08", "-1.8869e-08"]
    assert [f"{slope:.4f}" for slope in slopes[:, 1]] == ["0.0014", "0.0005"]
    # In float32, 1 - a at a = 0.9999998875 is one of the multiples of 2**-24: 6 % too large.
    exact = DERIVATIONS[way](*weights.values(), *first).dL_dW
    np.testing.assert_allclose(slopes[:, 0] / exact[:, 0], 1.0593, rtol=1e-4)


def test_one_step_on_both_instances(derive, weights, both, first, second):
    W, V = descended(derive, weights, both, steps=1)
    # What is printed instead of this matrix is at odds with the outputs and losses printed next to
    # it: a step 1.3 times too long. The matrix below, recomputed, gives exactly those.
    assert_eight_decimals(V, [[1.05259373, -2.01327451], [0.11257513, 2.01227682]])
    one, other = (derive(W, V, *instance) for instance in (first, second))
    assert_eight_decimals(one.Y, [[0.74165987, 0.12162137]])
    assert_eight_decimals(other.Y, [[0.52811432, 0.88207988]])
    assert_eight_decimals([one.loss, other.loss], [0.08153138, 0.29280989])


def test_printed_step_is_1_3_times_the_true_one(derive, weights, both):
    _, V = descended(derive, weights, both, steps=1)
    ratio = (PRINTED_STEP - weights["V"]) / (V - weights["V"])
    np.testing.assert_allclose(ratio, 1.3, rtol=1e-6)


def test_printed_step_does_not_give_the_outputs_printed_next_to_it(derive, weights, both, first):
    W, _ = descended(derive, weights, both, steps=1)
    found = derive(W, PRINTED_STEP, *first)
    assert np.abs(found.Y - [[0.74165987, 0.12162137]]).min() > 1e-4


def test_two_hundred_steps_from_the_start(derive, weights, both):
    found = derive(*descended(derive, weights, both, steps=200), *both)
    assert_eight_decimals(found.Y, [[0.94607312, 0.04903031], [0.05606368, 0.95082381]])


@pytest.mark.parametrize("steps", [1, 200])
def test_training_takes_the_same_steps(steps, weights, both):
    network = two_two_two().network
    trained = train(
        network, network.parameters, *both, learning_rate=LEARNING_RATE, epochs=steps
    ).parameters
    W, V = descended(matrices.derive, weights, both, steps)
    np.testing.assert_allclose(trained["hidden"]["weight"], W, rtol=1e-12)
    np.testing.assert_allclose(trained["output"]["weight"], V, rtol=1e-12)
