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
}
KINKED = {"relu": problems.relu, "leaky_relu": problems.leaky_relu}
SEEDED = SMOOTH | KINKED
UNSEEDED = {"two_two_two": lambda seed: problems.two_two_two()}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["reference", "deep_sigmoid"])
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
