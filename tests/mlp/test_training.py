"""Gradient descent: where it goes is known in closed form; batches, observers and verifiers."""

import math
import re
from copy import deepcopy
from itertools import count

import numpy as np
import pytest

from mlp import problems, training
from mlp.activations import identity
from mlp.layers import Dense
from mlp.losses import sum_of_squares
from mlp.network import Network
from mlp.training import train

REFERENCE = problems.reference()
ASKED = ["loss", "layer3", "layer2", "layer1", "network"]


class Rows:
    """Stands for a network; keeps the rows of the batches that it is given the gradient of."""

    def __init__(self):
        self.inputs, self.targets = [], []

    def loss_value(self, parameters, inputs, targets):
        return np.float64(0)

    def backward(self, parameters, inputs, targets, verify=None):
        self.inputs.append(inputs.ravel().tolist())
        self.targets.append(targets.ravel().tolist())
        return parameters


def batches(samples, **options):
    """Return the rows of every batch of a training."""
    network = Rows()
    inputs = np.arange(samples, dtype=float)[:, np.newaxis]
    train(network, {}, inputs, 10 * inputs, learning_rate=1, **options)
    assert network.targets == [[10 * row for row in rows] for rows in network.inputs]
    return network.inputs


def trained(**options):
    """Train the reference network for some steps."""
    network = REFERENCE.network
    options = {"learning_rate": 0.1, "epochs": 5} | options
    return train(network, network.parameters, *REFERENCE.args, **options)


@pytest.fixture
def line():
    """Return a 1-1 network w x with the loss (w x - t)**2, at w = 3, and x = 4, t = 8."""
    layer = Dense("line", identity, {"weight": np.array([[3.0]])})
    return Network((layer,), sum_of_squares), np.array([[4.0]]), np.array([[8.0]])


def test_one_step_moves_by_the_learning_rate_times_the_slope(line):
    network, inputs, targets = line
    # dL/dw = 2 x (w x - t) = 2 * 4 * (12 - 8) = 32.
    new = train(
        network, network.parameters, inputs, targets, learning_rate=0.01, epochs=1
    ).parameters
    assert new["line"]["weight"][0, 0] == pytest.approx(3 - 0.01 * 32, rel=1e-15)


def test_many_steps_reach_the_minimum(line):
    network, inputs, targets = line
    new = train(
        network, network.parameters, inputs, targets, learning_rate=0.01, epochs=100
    ).parameters
    # Each step shrinks the distance to t / x = 2 by 1 - 0.01 * 2 * x**2.
    assert new["line"]["weight"][0, 0] - 2 == pytest.approx(0.68**100, rel=1e-6, abs=1e-15)


def test_no_steps_change_nothing(line):
    network, inputs, targets = line
    new = train(
        network, network.parameters, inputs, targets, learning_rate=0.01, epochs=0
    ).parameters
    np.testing.assert_equal(new, network.parameters)


def test_descent_leaves_the_parameters_it_starts_from_untouched(line):
    network, inputs, targets = line
    before = deepcopy(network.parameters)
    new = train(
        network, network.parameters, inputs, targets, learning_rate=0.01, epochs=3
    ).parameters
    np.testing.assert_equal(network.parameters, before)
    assert new["line"]["weight"] != before["line"]["weight"]


@pytest.mark.parametrize("momentum", [0.1, 0.5, 0.9])
def test_momentum_swings_as_its_recurrence_says(line, momentum):
    network, inputs, targets = line
    options = {"learning_rate": 0.01, "epochs": 30, "momentum": momentum}
    new = train(network, network.parameters, inputs, targets, **options)
    # With the curvature c = 2 x**2 = 32, the distance d to the minimum follows
    # d_{k+1} = (1 + m - r c) d_k - m d_{k-1}: two powers, d_0 = 1 and d_1 = (1 - r c) d_0.
    roots = np.roots([1, -(1 + momentum - 0.32), momentum])
    shares = np.linalg.solve(np.array([roots**0, roots]), [1, 1 - 0.32])
    distance = new.parameters["line"]["weight"][0, 0] - 2
    assert distance == pytest.approx(np.real(shares @ roots**30), rel=1e-9, abs=1e-14)


def test_momentum_of_zero_is_plain_descent(line):
    plain = trained()
    np.testing.assert_equal(trained(momentum=0).parameters, plain.parameters)
    assert trained(momentum=0.5).losses != plain.losses


def test_losses_are_those_before_every_step(line):
    network, inputs, targets = line
    new = train(network, network.parameters, inputs, targets, learning_rate=0.01, epochs=3)
    # (w x - t)**2 = 16 (w - 2)**2, and w - 2 is 1, 0.68, 0.68**2.
    assert new.losses == pytest.approx([16, 16 * 0.68**2, 16 * 0.68**4], rel=1e-12)
    assert new.seconds > 0
    assert (new.verified, new.verifying_seconds) == (0, 0.0)


def test_all_samples_are_one_batch_unless_told_otherwise():
    assert batches(5, epochs=2) == [[0, 1, 2, 3, 4]] * 2
    assert batches(5, epochs=1, batch_size=100) == [[0, 1, 2, 3, 4]]


def test_the_last_batch_has_the_rest():
    assert batches(7, epochs=2, batch_size=3) == [[0, 1, 2], [3, 4, 5], [6]] * 2
    assert batches(6, epochs=1, batch_size=3) == [[0, 1, 2], [3, 4, 5]]


def test_shuffled_every_sample_comes_once_per_epoch_in_an_order_of_its_own():
    rows = batches(7, epochs=3, batch_size=3, rng=np.random.default_rng(1))
    assert [len(batch) for batch in rows] == [3, 3, 1] * 3
    epochs = np.concatenate(rows).reshape(3, 7).tolist()
    assert all(sorted(rows) == list(range(7)) for rows in epochs)
    assert len({tuple(rows) for rows in epochs}) == 3


def test_the_generator_decides_the_order():
    first, again, other = (
        batches(20, epochs=1, batch_size=4, rng=np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_the_global_random_state_is_left_alone():
    before = np.random.get_state()  # noqa: NPY002
    batches(20, epochs=1, batch_size=4, rng=np.random.default_rng(0))
    np.testing.assert_equal(np.random.get_state(), before)  # noqa: NPY002


def test_an_observer_is_called_before_every_step_with_what_the_step_is_made_of():
    seen = []
    done = trained(
        batch_size=2,
        epochs=2,
        observe=lambda loss, parameters, gradient: seen.append((loss, parameters, gradient)),
    )
    rows = [slice(0, 2), slice(2, 4), slice(4, 5)] * 2
    assert [float(loss(parameters)) for loss, parameters, _ in seen] == list(done.losses)
    network, (inputs, targets) = REFERENCE.network, REFERENCE.args
    for place, (loss, parameters, gradient) in zip(rows, seen, strict=True):
        batch = inputs[place], targets[place]
        assert loss(network.parameters) == network.loss_value(network.parameters, *batch)
        np.testing.assert_equal(gradient, network.backward(parameters, *batch))
    np.testing.assert_equal(seen[0][1], network.parameters)
    stepped = network.parameters["layer1"]["weight"] - 0.1 * seen[0][2]["layer1"]["weight"]
    np.testing.assert_allclose(seen[1][1]["layer1"]["weight"], stepped, rtol=1e-14)


def test_observing_and_verifying_change_nothing_of_the_training():
    plain = trained(momentum=0.9, batch_size=2)
    watched = trained(
        momentum=0.9, batch_size=2, observe=lambda *_: None, verify=lambda problem: None
    )
    np.testing.assert_equal(watched.parameters, plain.parameters)
    assert watched.losses == plain.losses


def test_a_verifier_is_asked_about_the_loss_the_layers_from_the_top_and_the_whole_network():
    asked = []
    done = trained(epochs=1, verify=asked.append)
    assert [problem.name for problem in asked] == ASKED
    assert done.verified == 1


@pytest.mark.parametrize(("every", "steps"), [(None, 7), (1, 7), (2, 4), (3, 3), (6, 2), (100, 1)])
def test_the_first_of_so_many_steps_is_verified(every, steps):
    asked = []
    done = trained(epochs=7, verify=asked.append, verify_every=every)
    assert [problem.name for problem in asked] == ASKED * steps
    assert done.verified == steps
    weights = [problem.parameters["layer1"]["weight"] for problem in asked if len(problem.args) > 1]
    assert len({weight.tobytes() for weight in weights}) == steps


def test_the_steps_are_counted_through_all_epochs():
    asked = []
    done = trained(epochs=3, batch_size=2, verify=asked.append, verify_every=4)  # 9 steps
    assert [len(problem.args[0]) for problem in asked if problem.name == "network"] == [2, 2, 1]
    assert done.verified == 3


def test_what_is_asked_of_the_network_is_the_gradient_of_the_step():
    asked, seen = [], []
    trained(
        epochs=1,
        verify=asked.append,
        observe=lambda loss, at, gradient: seen.append((at, gradient)),
    )
    ((parameters, gradient),) = seen
    problem = asked[-1]
    np.testing.assert_equal(problem.parameters, parameters)
    np.testing.assert_equal(problem.gradient(parameters, *problem.args), gradient)
    assert problem.loss(parameters, *problem.args) == REFERENCE.loss(parameters, *REFERENCE.args)
    assert problem.sizes == {"batch": 5}


def test_what_is_asked_about_is_the_gradient_that_was_used_and_no_second_one():
    class Unsteady(Rows):
        def backward(self, parameters, inputs, targets, verify=None):
            super().backward(parameters, inputs, targets)
            return {"layer": {"weight": np.array([float(len(self.inputs))])}}

    network, asked, data = Unsteady(), [], np.ones((2, 1))
    start = {"layer": {"weight": np.array([5.0])}}
    new = train(network, start, data, data, learning_rate=1, epochs=1, verify=asked.append)
    (question,) = asked
    used = question.gradient(question.parameters, *question.args)["layer"]["weight"]
    assert (used, new.parameters["layer"]["weight"]) == (1, 5 - 1)
    assert len(network.inputs) == 1


def test_the_seconds_of_the_verifier_are_told_apart(monkeypatch):
    ticks = count()  # a second passes with every look at the clock
    monkeypatch.setattr(training.time, "perf_counter", lambda: float(next(ticks)))
    done = trained(epochs=4, verify=lambda problem: None, verify_every=2)
    assert done.verified == 2
    assert done.verifying_seconds == 2 * len(ASKED)
    assert done.seconds == 2 * 2 * len(ASKED) + 1


def test_what_a_verifier_raises_ends_the_training():
    asked = []

    def refuse(problem):
        asked.append(problem.name)
        if problem.name == "layer2" and len(asked) > len(ASKED):
            raise AssertionError("layer2 is wrong")

    with pytest.raises(AssertionError, match="layer2 is wrong"):
        trained(verify=refuse)
    assert asked == [*ASKED, "loss", "layer3", "layer2"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 0}, "learning_rate must be a finite number above 0, got 0"),
        ({"learning_rate": -0.1}, "learning_rate must be a finite number above 0, got -0.1"),
        ({"learning_rate": math.nan}, "learning_rate must be a finite number above 0, got nan"),
        ({"learning_rate": math.inf}, "learning_rate must be a finite number above 0, got inf"),
        ({"learning_rate": "a"}, "learning_rate must be a finite number above 0, got 'a'"),
        ({"epochs": -1}, "epochs must be a whole number of at least 0, got -1"),
        ({"epochs": 1.5}, "epochs must be a whole number of at least 0, got 1.5"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"batch_size": 2.0}, "batch_size must be a whole number of at least 1, got 2.0"),
        ({"momentum": 1}, "momentum must be a number from 0 up and below 1, got 1"),
        ({"momentum": -0.5}, "momentum must be a number from 0 up and below 1, got -0.5"),
        ({"momentum": math.nan}, "momentum must be a number from 0 up and below 1, got nan"),
        ({"momentum": "0.9"}, "momentum must be a number from 0 up and below 1, got '0.9'"),
        ({"verify_every": 10}, "verify must be given with verify_every"),
        *(
            (
                {"verify_every": every, "verify": print},
                f"verify_every must be a whole number of at least 1, got {every!r}",
            )
            for every in (0, 1.5, "2", True)
        ),
    ],
)
def test_numbers_out_of_their_range_are_refused(options, message):
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        trained(**options)


def test_numbers_may_be_those_of_numpy():
    plain = trained(epochs=3, batch_size=2, learning_rate=0.5, momentum=0.5)
    whole = {"epochs": np.int64(3), "batch_size": np.uint8(2), "verify_every": np.int8(1)}
    real = {"learning_rate": np.float64(0.5), "momentum": np.float32(0.5)}
    done = trained(**whole, **real, verify=lambda problem: None)
    assert done.losses == plain.losses
    assert done.verified == 9


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rng": 0}, "rng must be a numpy.random.Generator, got 0"),
        ({"observe": True}, "observe must be a function of (loss, parameters, gradient), such as"),
        (
            {"verify": True},
            "verify must be a function of a problem, such as gradcheck.layer_verifier(), got True",
        ),
    ],
)
def test_who_cannot_shuffle_observe_or_verify_is_refused(options, message):
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        trained(**options)


@pytest.mark.filterwarnings("ignore:overflow encountered", "ignore:invalid value encountered")
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_training_that_diverges_ends_at_the_first_loss_that_is_no_number(line, momentum):
    network, inputs, targets = line
    options = {"learning_rate": 1e100, "momentum": momentum}
    # The distance d to the minimum grows 32e100 times per step, and the loss is 16 d**2: 1e204
    # before step 1, beyond all numbers before step 2.
    two = train(network, network.parameters, inputs, targets, epochs=2, **options)
    assert np.isfinite(two.losses).all()
    asked = []
    with pytest.raises(FloatingPointError, match=r"^loss must be finite, got inf before step 2,"):
        train(
            *(network, network.parameters, inputs, targets),
            epochs=3,
            verify=asked.append,
            **options,
        )
    assert len(asked) == 2 * 3  # nothing is said of a gradient where there is no loss


@pytest.mark.parametrize(("inputs", "targets"), [(5, 4), (5, 7), (0, 0)])
def test_samples_without_targets_are_refused(inputs, targets):
    network = REFERENCE.network
    data = np.ones((inputs, 3)), np.ones((targets, 2))
    with pytest.raises(ValueError, match=f"same number of rows, one at least, got {inputs} and"):
        train(network, network.parameters, *data, learning_rate=0.1, epochs=1)


@pytest.mark.parametrize("name", ["inputs", "targets"])
def test_samples_in_lists_are_refused(name):
    network, data = REFERENCE.network, dict(zip(("inputs", "targets"), REFERENCE.args, strict=True))
    data[name] = data[name].tolist()
    with pytest.raises(TypeError, match=rf"^{name} must be an array, got \[\["):
        train(network, network.parameters, **data, learning_rate=0.1, epochs=1)
