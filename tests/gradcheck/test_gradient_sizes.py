"""How large gradients are by layer: told where they vanish or explode, and nowhere else."""

import json
from dataclasses import replace

import numpy as np
import pytest

import mlp.problems
from gradcheck import GradientReport, check, check_gradients
from gradcheck.rendering import render_plain, render_svg
from mlp import functions
from mlp.activations import Activation, identity, relu, tanh
from mlp.faults import twins
from mlp.initialisers import he_normal, xavier_normal
from mlp.losses import half_mean_squared_norm, softmax_cross_entropy
from mlp.network import dense_network
from mlp.problems import network_problem

SEEDS = range(20)
DEPTHS = (3, 5, 8)
TWINS = sorted(name for name in dir(twins) if name.startswith("correct"))
READY = ("digits", "relu", "leaky_relu")


def deep(seed, depth, activation, initialiser, *, scale=1.0):
    rng = np.random.default_rng(seed)
    network = dense_network(
        *(rng, (16,) * depth + (4,), activation, identity, half_mean_squared_norm),
        initialiser=initialiser,
        bias_scale=0.1,
    )
    inputs = scale * rng.standard_normal((16, 16))
    return network_problem("deep", network, inputs, rng.standard_normal((16, 4)))


def layer_size(held):
    """Return the root mean square of the entries of a layer's arrays."""
    return np.sqrt(np.mean(np.concatenate([array.ravel() for array in held.values()]) ** 2))


def notes_of(problem):
    report = check(problem, effort="quick")
    assert report.verdict == "pass"
    return report.notes


def numbered(seed, sizes, columns):
    """Return a network of sigmoids as two plain functions of W1, b1, W2, ..."""
    rng = np.random.default_rng(seed)
    depth = len(sizes) - 1
    parameters = {}
    for n in range(depth):
        parameters[f"W{n + 1}"] = rng.standard_normal(sizes[n : n + 2]) / np.sqrt(sizes[n])
        parameters[f"b{n + 1}"] = 0.1 * rng.standard_normal(sizes[n + 1])
    x, y = rng.standard_normal((8, sizes[0])), rng.standard_normal((8, sizes[-1]))
    if columns:
        parameters = {name: array.T.copy() for name, array in parameters.items()}

    def weight(p, n):
        return p[f"W{n}"].T if columns else p[f"W{n}"]

    def passed(p):
        outputs = [x]
        for n in range(1, depth + 1):
            z = outputs[-1] @ weight(p, n) + p[f"b{n}"]
            outputs.append(1 / (1 + np.exp(-z)))
        return outputs

    def loss(p):
        return 0.5 * np.mean(np.sum((passed(p)[-1] - y) ** 2, axis=1))

    def gradient(p):
        outputs, gradients = passed(p), {}
        upstream = (outputs[-1] - y) / len(x)
        for n in range(depth, 0, -1):
            delta = upstream * outputs[n] * (1 - outputs[n])
            gradients[f"b{n}"] = delta.sum(axis=0)
            own = outputs[n - 1].T @ delta
            gradients[f"W{n}"] = own.T if columns else own
            upstream = delta @ weight(p, n).T
        return gradients

    return loss, gradient, parameters


def test_size_is_the_root_mean_square_of_the_entries_of_a_parameter_and_of_a_layer():
    parameters = {"W1": np.array([3.0, 4.0]), "b1": np.array([5.0])}
    report = check_gradients(
        lambda p: sum(float(np.sum(a**2)) for a in p.values()),
        lambda p: {name: 2 * a for name, a in p.items()},
        parameters,
    )
    assert report["W1"].gradient_size == pytest.approx(np.sqrt((36 + 64) / 2), rel=1e-15)
    (layer,) = report.layers
    assert layer.gradient_size == pytest.approx(np.sqrt((36 + 64 + 100) / 3), rel=1e-15)
    assert report.to_dict()["layers"][0]["gradient_size"] == layer.gradient_size


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_size_is_right_where_its_square_is_no_float(scale):
    report = check_gradients(
        lambda p: scale * float(np.sum(p["W1"]) + p["b1"]),
        lambda p: {"W1": np.full((2, 2), scale), "b1": scale},
        {"W1": np.ones((2, 2)), "b1": 1.0},
    )
    assert report["W1"].gradient_size == pytest.approx(scale, rel=1e-14)
    assert report.layers[0].gradient_size == pytest.approx(scale, rel=1e-14)


def test_gradient_that_cannot_be_compared_has_no_size():
    report = check_gradients(
        lambda p: float(np.sum(p["W1"]) + np.sum(p["b1"])),
        lambda p: {"W1": np.ones((2, 1)), "b1": np.ones(2)},
        {"W1": np.ones((2, 2)), "b1": np.ones(2)},
    )
    assert (report["W1"].gradient_size, report["b1"].gradient_size) == (None, 1.0)
    assert report.layers[0].gradient_size is None


def test_report_from_before_sizes_were_known_can_be_read():
    data = check(mlp.problems.two_two_two()).to_dict()
    for part in (*data["parameters"], *data["layers"]):
        del part["gradient_size"]
    report = GradientReport.from_json(json.dumps(data))
    assert [part.gradient_size for part in report.parameters] == [None, None]


@pytest.mark.parametrize("name", ["deep_sigmoid", "reference"])
def test_gradients_that_vanish_are_told_by_layer(name):
    """In 20 of 20 seeds; the figures are those of the gradient, and go from input to output."""
    for seed in SEEDS:
        problem = getattr(mlp.problems, name)(seed)
        gradient = problem.gradient(problem.parameters, *problem.args)
        sizes = {layer: layer_size(held) for layer, held in gradient.items()}
        (note,) = notes_of(problem)
        first, *_, last = sizes
        fold = f"{sizes[last] / sizes[first]:.1e}".replace("e+0", "e")
        begin = f"analytic gradients vanish: they shrink {fold}-fold from {last} down to {first} "
        assert note.startswith(begin)
        named = note.partition("(rms of entries: ")[2].removesuffix(")").split(", ")
        assert named[0] == f"{first} {sizes[first]:.2g}"
        assert named[-1] == f"{last} {sizes[last]:.2g}"
        assert len(named) == min(len(sizes), 5)


@pytest.mark.parametrize("name", READY)
def test_ready_network_that_trains_well_has_no_note(name):
    """In 20 of 20 seeds each."""
    assert not any(notes_of(getattr(mlp.problems, name)(seed)) for seed in SEEDS)


@pytest.mark.parametrize("name", TWINS)
def test_right_twin_of_a_fault_has_no_note(name):
    """In 20 of 20 seeds each."""
    assert not any(notes_of(getattr(twins, name)(seed)) for seed in SEEDS)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(("activation", "initialiser"), [(relu, he_normal), (tanh, xavier_normal)])
def test_deep_network_with_the_initialisation_meant_for_it_has_no_note(
    activation, initialiser, depth
):
    """In 20 of 20 seeds for each depth."""
    assert not any(notes_of(deep(seed, depth, activation, initialiser)) for seed in SEEDS)


@pytest.mark.parametrize("depth", [3, 5, 8, 12, 16, 20])
@pytest.mark.parametrize(("activation", "initialiser"), [(relu, he_normal), (tanh, xavier_normal)])
def test_up_to_twenty_layers_with_the_initialisation_meant_for_them_stay_below_fifty(
    activation, initialiser, depth
):
    """In 20 of 20 seeds for each depth."""
    for seed in SEEDS:
        problem = deep(seed, depth, activation, initialiser)
        gradient = problem.gradient(problem.parameters, *problem.args)
        first, last = (layer_size(gradient[layer]) for layer in ("layer1", f"layer{depth}"))
        assert 1 / 50 < first / last < 50


@pytest.mark.parametrize("depth", [3, 8])
def test_deep_classifier_has_no_note(depth):
    for seed in SEEDS:
        rng = np.random.default_rng(seed)
        network = dense_network(
            *(rng, (20,) * depth + (4,), tanh, identity, softmax_cross_entropy),
            initialiser=xavier_normal,
        )
        inputs, targets = rng.standard_normal((16, 20)), np.eye(4)[rng.integers(4, size=16)]
        assert not notes_of(network_problem("classifier", network, inputs, targets))


@pytest.mark.parametrize("name", functions.TWINS)
def test_function_without_layers_has_no_note_on_sizes(name):
    notes = check(functions.TWINS[name](0), effort="quick").notes
    assert not any("analytic gradients" in note or "units" in note for note in notes)


def test_gradients_that_explode_are_told():
    sine = Activation("sine", np.sin, np.cos)
    for seed in range(5):
        problem = deep(
            *(seed, 8, sine),
            lambda rng, *fans: rng.normal(scale=10 / np.sqrt(fans[0]), size=fans),
        )
        report = check(problem, effort="quick")
        assert report.verdict != "fail"
        (note,) = report.notes
        assert note.startswith("analytic gradients explode: they grow ")
        assert "-fold from layer8 down to layer1 (rms of entries: layer1 " in note


@pytest.mark.parametrize("scale", [1e-8, 1e-6])
def test_inputs_in_another_unit_are_no_vanishing_gradient(scale):
    for seed in range(5):
        report = check(deep(seed, 5, tanh, xavier_normal, scale=scale), effort="quick")
        sizes = [layer.parameters[0].gradient_size for layer in report.layers]
        assert sizes[0] < 1e-4 * sizes[-1]
        assert not any("analytic gradients" in note for note in report.notes)


def test_of_wrong_gradients_nothing_is_said():
    problem = mlp.problems.deep_sigmoid()

    def wrong(*given):
        gradient = problem.gradient(*given)
        gradient["layer3"]["weight"] = 2 * gradient["layer3"]["weight"]
        return gradient

    report = check(replace(problem, gradient=wrong), effort="quick")
    assert (report.verdict, report["layer3.weight"].verdict) == ("fail", "fail")
    assert report.notes == ()


@pytest.mark.parametrize("columns", [False, True])
def test_layers_are_known_from_numbered_matrices_that_fit(columns):
    sizes = (6, 8, 8, 8, 8, 8, 8, 4)
    loss, gradient, parameters = numbered(0, sizes, columns)
    (note,) = check_gradients(loss, gradient, parameters, effort="quick").notes
    assert "vanish" in note
    assert "-fold from layer 7 down to layer 1 (rms of entries: layer 1 " in note


def test_layers_are_known_from_a_plain_list_of_matrices_and_vectors():
    loss, gradient, parameters = numbered(0, (6, 8, 8, 8, 8, 8, 8, 4), columns=False)

    def by_name(p):
        return dict(zip(parameters, p, strict=True))

    def gradients(p):
        found = gradient(by_name(p))
        return [found[name] for name in parameters]

    (note,) = check_gradients(
        lambda p: loss(by_name(p)), gradients, list(parameters.values()), effort="quick"
    ).notes
    assert "-fold from layer 12 down to layer 0 (rms of entries: layer 0 " in note


def weighted(shapes):
    """Return a loss whose gradients are a thousand times larger from one array to the next."""
    weights = {name: 10.0 ** (3 * n) for n, name in enumerate(shapes)}
    return (
        lambda p: float(sum(weights[name] * np.sum(p[name]) for name in p)),
        lambda p: {name: np.full_like(p[name], weights[name]) for name in p},
        {name: np.ones(shape) for name, shape in shapes.items()},
    )


def test_one_step_alone_is_no_way_down():
    shapes = {"W1": (2, 3), "W2": (3, 3), "W3": (3, 3), "W4": (3, 4)}
    _, _, parameters = weighted(shapes)
    weights = {"W1": 1e-6, "W2": 1.0, "W3": 10.0, "W4": 20.0}
    report = check_gradients(
        lambda p: float(sum(weights[name] * np.sum(p[name]) for name in p)),
        lambda p: {name: np.full_like(p[name], weights[name]) for name in p},
        parameters,
    )
    assert report.notes == ()


def test_a_chain_would_be_told():
    shapes = {"W1": (2, 3), "W2": (3, 3), "W3": (3, 4)}
    (note,) = check_gradients(*weighted(shapes)).notes
    assert "1.0e6-fold from layer 3 down to layer 1" in note


@pytest.mark.parametrize(
    "shapes",
    [
        {"c0": (), "c1": (), "c2": (), "c3": ()},
        {"c0": (3,), "c1": (3,), "c2": (3,)},
        {"A1": (3, 3), "A2": (3, 3), "A3": (3, 3)},
        {"query": (2, 3), "key": (3, 3), "value": (3, 4)},
        {"W1": (2, 3), "W2": (2, 3), "W3": (2, 3)},
        {"W3": (2, 3), "W2": (3, 3), "W1": (3, 4)},
        {"W1": (2, 3), "W2": (3, 4)},
        {"1.W": (2, 3), "1.V": (2, 3), "2.W": (3, 3), "3.W": (3, 4)},
        {"W1": (2, 3, 4), "W2": (3, 3, 4), "W3": (3, 4, 4)},
    ],
)
def test_what_is_no_chain_of_layers_for_sure_has_no_note(shapes):
    assert check_gradients(*weighted(shapes)).notes == ()


def test_layers_whose_gradient_is_zero_are_left_to_their_own_note():
    loss, gradient, parameters = weighted({"W1": (2, 3), "W2": (3, 3), "W3": (3, 4)})
    report = check_gradients(
        lambda p: loss({**p, "W1": np.zeros((2, 3))}),
        lambda p: {**gradient(p), "W1": np.zeros((2, 3))},
        parameters,
    )
    assert (report.verdict, report.notes) == ("pass", ())
    assert "all_zero" in [finding.slug for finding in report.findings]


def test_part_of_the_layers_is_judged_by_itself():
    problem = mlp.problems.deep_sigmoid()
    assert check(problem, only=["layer1.*", "layer9.*"], effort="quick").notes == ()
    (note,) = check(problem, exclude=["layer1.*"], effort="quick").notes
    assert "from layer9 down to layer2" in note


def test_layers_that_the_user_names_are_no_chain():
    problem = mlp.problems.deep_sigmoid()
    layers = {"down": [f"layer{n}.weight" for n in range(1, 5)]}
    layers["up"] = [f"layer{n}.weight" for n in range(5, 10)]
    weights = check(replace(problem, layers=layers), only=["*.weight"], effort="quick")
    assert [layer.name for layer in weights.layers] == ["down", "up"]
    assert not any("analytic gradients" in note for note in weights.notes)


def test_note_is_in_every_view_and_fits():
    report = check(mlp.problems.deep_sigmoid(), effort="quick")
    text = render_plain(report)
    assert max(map(len, text.splitlines()[-6:])) <= 80
    assert report.notes[0] in " ".join(text.split())
    assert "vanish" in render_svg(report)
    assert GradientReport.from_json(report.to_json()) == report
