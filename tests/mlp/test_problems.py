"""Every ready problem: its backpropagation against numerical derivatives, its data, its shapes."""

import pickle

import numpy as np
import pytest

from mlp import problems
from mlp.activations import LEAKY_SLOPE

SMOOTH = {
    "reference": problems.reference,
    "digits": problems.digits,
    "deep_sigmoid": problems.deep_sigmoid,
    "saturated": problems.saturated,
    "batch_norm": problems.batch_norm,
}
KINKED = {
    "relu": problems.relu,
    "leaky_relu": problems.leaky_relu,
    "spiral": problems.spiral,
}
SEEDED = SMOOTH | KINKED
UNSEEDED = {"two_two_two": lambda seed: problems.two_two_two()}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["reference", "deep_sigmoid", "saturated", "batch_norm"])
def test_backward_agrees_with_the_complex_step(name, seed, complex_step, assert_same_gradient):
    problem = SMOOTH[name](seed)
    analytic = problem.gradient(problem.parameters, *problem.args)
    numerical = complex_step(problem.loss, problem.parameters, *problem.args)
    assert_same_gradient(analytic, numerical, rtol=1e-9, floor=1e-12)


def test_backward_of_the_digits_agrees_with_the_complex_step(complex_step, assert_same_gradient):
    problem = problems.digits()
    analytic = problem.gradient(problem.parameters, *problem.args)
    numerical = complex_step(problem.loss, problem.parameters, *problem.args)
    assert_same_gradient(analytic, numerical, rtol=1e-9, floor=1e-12)


def test_backward_of_two_two_two_agrees_with_the_complex_step(complex_step, assert_same_gradient):
    problem = problems.two_two_two()
    analytic = problem.gradient(problem.parameters, *problem.args)
    numerical = complex_step(problem.loss, problem.parameters, *problem.args)
    # The sigmoid at 16 has the slope a (1 - a) = 1.1e-7, whose 1 - a keeps only nine digits.
    assert_same_gradient(analytic, numerical, rtol=1e-8, floor=1e-13)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", KINKED)
def test_backward_across_kinks_agrees_with_central_differences(
    name, seed, central_differences, assert_same_gradient
):
    problem = KINKED[name](seed)
    _, caches = problem.network.forward(problem.parameters, problem.args[0])
    nearest = min(np.abs(cache.preactivation).min() for cache in caches[:-1])
    assert nearest > 1e-4, "a step of 1e-6 must not reach a kink"
    analytic = problem.gradient(problem.parameters, *problem.args)
    numerical = central_differences(problem.loss, problem.parameters, *problem.args)
    # Between kinks the loss is quadratic in each entry: there is round-off error only.
    assert_same_gradient(analytic, numerical, rtol=1e-6, floor=1e-7)


@pytest.mark.parametrize("name", SEEDED)
def test_seed_decides_parameters_and_data(name):
    first, again, other = (SEEDED[name](seed) for seed in (3, 3, 4))
    np.testing.assert_equal(first.parameters, again.parameters)
    np.testing.assert_equal(first.args, again.args)
    assert not np.any(first.parameters["layer1"]["weight"] == other.parameters["layer1"]["weight"])
    assert not np.array_equal(first.args[0], other.args[0])


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("reference", {"batch": 5, "inputs": 3, "hidden1": 4, "hidden2": 4, "outputs": 2}),
        ("two_two_two", {"batch": 2, "inputs": 2, "hidden1": 2, "outputs": 2}),
        ("digits", {"batch": 50, "inputs": 64, "hidden1": 32, "outputs": 10}),
        ("relu", {"batch": 32, "inputs": 6, "hidden1": 16, "hidden2": 12, "outputs": 4}),
        ("leaky_relu", {"batch": 10, "inputs": 2, "hidden1": 3, "outputs": 2}),
        (
            "deep_sigmoid",
            {"batch": 8, "inputs": 16} | {f"hidden{n}": 16 for n in range(1, 9)} | {"outputs": 4},
        ),
    ],
)
def test_problem_states_its_name_and_sizes(name, sizes):
    problem = (SEEDED | UNSEEDED)[name](0)
    inputs, targets = problem.args
    assert problem.name == name
    assert problem.sizes == sizes
    assert inputs.shape == (sizes["batch"], sizes["inputs"])
    assert targets.shape == (sizes["batch"], sizes["outputs"])


def test_reference_starts_from_tiny_weights_and_zero_biases():
    problem = problems.reference()
    for values in problem.parameters.values():
        assert 0 < np.abs(values["weight"]).max() < 0.05
        assert not np.any(values["bias"])
    assert np.all((problem.args[0] >= 0) & (problem.args[0] < 1))


def test_gradient_vanishes_on_its_way_through_eight_sigmoids():
    problem = problems.deep_sigmoid()
    gradient = problem.gradient(problem.parameters, *problem.args)
    first, last = (np.abs(gradient[name]["weight"]).max() for name in ("layer1", "layer9"))
    assert 0 < first < 1e-4 * last


@pytest.mark.parametrize(("name", "slope"), [("relu", 0.0), ("leaky_relu", LEAKY_SLOPE)])
def test_kinked_problem_has_units_on_both_sides_of_the_kink(name, slope):
    problem = KINKED[name]()
    layer = problem.network.layers[0]
    outputs, cache = layer.forward(layer.parameters, problem.args[0])
    left = cache.preactivation < 0
    assert 0 < np.count_nonzero(left) < left.size
    np.testing.assert_array_equal(outputs[left], slope * cache.preactivation[left])


@pytest.mark.parametrize("name", SEEDED | UNSEEDED)
def test_problem_survives_pickling(name):
    problem = (SEEDED | UNSEEDED)[name](0)
    copy = pickle.loads(pickle.dumps(problem))
    np.testing.assert_equal(
        copy.gradient(copy.parameters, *copy.args),
        problem.gradient(problem.parameters, *problem.args),
    )


def test_all_digits_are_there():
    images, labels = problems.load_digits()
    assert images.shape == (1797, 64)
    assert images.dtype == np.float64
    assert (images.min(), images.max()) == (0, 1)
    # The class counts that the repository of the data states for this part.
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert images.sum() * 16 == 561718


def test_first_digit_looks_like_a_zero():
    images, labels = problems.load_digits()
    ink = images[0].reshape(8, 8) > 0.25
    assert labels[0] == 0
    assert ink[1:7, 2].all()
    assert not ink[3:5, 3:5].any()


def test_digits_batch_has_different_digits_and_their_labels():
    problem = problems.digits()
    images, labels = problems.load_digits()
    known = {image.tobytes(): label for image, label in zip(images, labels, strict=True)}
    inputs, targets = problem.args
    assert len({image.tobytes() for image in inputs}) == 50
    assert [known[image.tobytes()] for image in inputs] == targets.argmax(axis=1).tolist()
    np.testing.assert_array_equal(targets.sum(axis=1), np.ones(50))
    assert len(set(targets.argmax(axis=1))) == 10


def test_spiral_winds_from_the_centre_outwards_an_arm_at_a_time():
    points, labels = problems.spiral_points(np.random.default_rng(0), arms=4, points_per_arm=50)
    assert points.shape == (200, 2)
    assert labels.tolist() == sorted(list(range(4)) * 50)
    radii = np.hypot(*points.T).reshape(4, 50)
    np.testing.assert_allclose(radii, np.tile(np.linspace(0, 1, 50), (4, 1)), atol=1e-15)


def test_no_straight_lines_tell_the_arms_of_the_spiral_apart():
    points, labels = problems.spiral_points(np.random.default_rng(0), arms=3, points_per_arm=100)
    with_one = np.column_stack([points, np.ones(300)])
    lines, *_ = np.linalg.lstsq(with_one, np.eye(3)[labels], rcond=None)
    assert np.mean((with_one @ lines).argmax(axis=1) == labels) < 0.65


def test_most_units_of_the_saturated_network_have_no_slope_left():
    shares = []
    for seed in range(20):
        problem = problems.saturated(seed)
        _, caches = problem.network.forward(problem.parameters, problem.args[0])
        slopes = [
            layer.activation.derivative(cache.preactivation)
            for layer, cache in zip(problem.network.layers[:-1], caches[:-1], strict=True)
        ]
        shares.append(np.mean(np.array(slopes) < 0.025))  # a tenth of the steepest, 1/4
    assert np.median(shares) > 0.6
    assert min(shares) > 0.5
