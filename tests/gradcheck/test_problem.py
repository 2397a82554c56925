from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

import mlp.problems
from gradcheck import Problem, check
from gradcheck.problem import as_problem, is_problem, network_layers

START = np.array([1.0, -2.0, 3.0])


def cubes(x):
    return float(np.sum(x**3))


def cubes_gradient(x):
    return 3 * x**2


def in_place(slope):
    """Return a problem about an object that holds its own array."""
    net = SimpleNamespace(W=START.copy())
    return Problem(
        loss=lambda: cubes(net.W),
        gradient=lambda: {"W": slope * net.W**2},
        parameters={"W": net.W},
        in_place=True,
    )


@pytest.mark.parametrize(
    ("slope", "verdict"), [(3, "pass"), (4, "fail")], ids=["right gradient", "wrong gradient"]
)
@pytest.mark.parametrize(
    "write",
    [
        lambda slope: Problem(cubes, lambda x: slope * x**2, START),
        lambda slope: Problem(None, lambda x: (cubes(x), slope * x**2), START),
        lambda slope: Problem(None, lambda x: [cubes(x), slope * x**2], START),
        lambda slope: Problem(cubes, slope * START**2, START),
        in_place,
    ],
    ids=["two functions", "value and gradient", "the pair as a list", "ready gradient", "in place"],
)
def test_each_way_of_writing_a_problem_is_checked(write, slope, verdict):
    assert check(write(slope)).verdict == verdict


def test_an_in_place_problem_may_return_value_and_gradient_together():
    W = START.copy()
    problem = Problem(None, lambda: (cubes(W), {"W": 3 * W**2}), {"W": W}, in_place=True)
    assert check(problem).ok
    assert np.array_equal(W, START)


def test_args_reach_both_functions_after_the_parameters():
    X, y = np.arange(6.0).reshape(2, 3), np.array([1.0, -1.0])
    problem = Problem(
        lambda w, inputs, targets: 0.5 * np.sum((inputs @ w - targets) ** 2),
        lambda w, inputs, targets: inputs.T @ (inputs @ w - targets),
        START,
        args=(X, y),
    )
    assert check(problem).ok


def test_any_object_with_the_attributes_will_do():
    duck = SimpleNamespace(loss=cubes, gradient=cubes_gradient, parameters=START)
    assert is_problem(duck)
    assert check(duck).ok


def test_the_optional_attributes_of_any_object_are_used():
    duck = SimpleNamespace(
        loss=lambda p, power: float(np.sum(p["W1"] ** power)),
        gradient=lambda p, power: {"W1": power * p["W1"] ** (power - 1)},
        parameters={"W1": START},
        args=(3,),
        name="duck",
        sizes=None,
        layers={"hidden": ["W1"]},
    )
    report = check(duck)
    assert report.ok
    assert report.name == "duck"
    assert report["W1"].layer == "hidden"
    assert as_problem(duck).sizes == {}


def test_a_problem_type_is_not_a_problem():
    assert not is_problem(Problem)
    with pytest.raises(TypeError, match="must have loss, gradient and parameters, got type"):
        check(Problem)


def test_what_is_no_problem_is_shown_shortened():
    with pytest.raises(TypeError, match=r"got list \[0, 1, 2, .*\.\.\.$"):
        check(list(range(1000)))


def test_a_given_name_wins():
    problem = Problem(cubes, cubes_gradient, START, name="mine")
    assert check(problem, name="yours").name == "yours"
    assert as_problem(problem).name == "mine"


@pytest.mark.parametrize(
    ("loss", "gradient", "title"),
    [
        (cubes, cubes_gradient, "cubes"),
        (None, cubes_gradient, "cubes_gradient"),
        (lambda x: 0.0, cubes_gradient, "gradient"),
        (partial(cubes), cubes_gradient, "gradient"),
        (SimpleNamespace, START, "SimpleNamespace"),
    ],
)
def test_without_a_name_the_loss_gives_it(loss, gradient, title):
    assert Problem(loss, gradient, START).title == title


def test_a_loss_must_be_callable():
    with pytest.raises(TypeError, match="loss must be callable or None, got 3"):
        Problem(3, cubes_gradient, START)


def test_a_ready_gradient_needs_a_loss():
    with pytest.raises(TypeError, match=r"returning \(value, gradient\).* got ndarray"):
        Problem(None, START, START)


def test_an_in_place_problem_takes_no_args():
    with pytest.raises(ValueError, match="args must be empty for an in-place problem"):
        Problem(lambda: 0.0, lambda: START, START, args=(1,), in_place=True)


@pytest.mark.parametrize("returned", [3.0, (1.0, 2.0, 3.0), np.zeros(2)])
def test_without_a_loss_the_gradient_must_return_a_pair(returned):
    with pytest.raises(TypeError, match=r"must return \(value, gradient\) where loss is None, got"):
        check(Problem(None, lambda x: returned, START))


def test_layers_of_a_network_name_its_parameters():
    layers = [SimpleNamespace(name="a", parameters={"weight": 1, "bias": 2})]
    assert network_layers(SimpleNamespace(layers=layers)) == {"a": ["a.weight", "a.bias"]}


@pytest.mark.parametrize(
    ("network", "told"),
    [
        (SimpleNamespace(), r"network must have a list of layers, got namespace\(\)"),
        (SimpleNamespace(layers=None), "network must have a list of layers, got layers=None"),
        (SimpleNamespace(layers=3), "network must have a list of layers, got layers=3"),
        (SimpleNamespace(layers=[object()]), r"network.layers\[0\] must have a name and a dict"),
        (
            SimpleNamespace(layers=[SimpleNamespace(name="a", parameters=None)]),
            r"network.layers\[0\] must have a name and a dict of parameters, got namespace",
        ),
    ],
)
def test_a_network_without_layers_is_refused_in_words(network, told):
    problem = Problem(lambda p: float(p @ p), lambda p: 2 * p, np.ones(3), network=network)
    with pytest.raises(TypeError, match=told):
        check(problem)


def test_the_layers_of_a_report_are_those_of_the_network():
    report = check(mlp.problems.leaky_relu())
    assert [layer.name for layer in report.layers] == ["layer1", "layer2"]
    assert [part.name for part in report.layers[0].parameters] == ["layer1.weight", "layer1.bias"]


def test_given_layers_win_over_those_of_a_network():
    network = SimpleNamespace(layers=[SimpleNamespace(name="a", parameters={"W": 0})])
    problem = Problem(
        lambda p: cubes(p["a"]["W"]),
        lambda p: {"a": {"W": 3 * p["a"]["W"] ** 2}},
        {"a": {"W": START}},
        layers={"mine": ["a.W"]},
        network=network,
    )
    assert check(problem)["a.W"].layer == "mine"


def test_what_a_network_has_beyond_the_parameters_is_no_error():
    network = SimpleNamespace(layers=[SimpleNamespace(name="a", parameters={"W": 0, "fixed": 0})])
    problem = Problem(
        lambda p: cubes(p["a"]["W"]),
        lambda p: {"a": {"W": 3 * p["a"]["W"] ** 2}},
        {"a": {"W": START}},
        network=network,
    )
    assert check(problem)["a.W"].layer == "a"
