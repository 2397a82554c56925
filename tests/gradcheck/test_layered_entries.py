"""Every entry by its layer: certified by the user's loss, and nobody accused without it."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

import gradcheck
from gradcheck import layered_entries
from mlp import activations, initialisers, losses
from mlp.network import dense_network

SIZES = (9, 8, 6, 4)
SEEDS = range(10)


def network_problem(seed, activation=activations.tanh, sizes=SIZES, loss=None, batch=7):
    rng = np.random.default_rng([seed, 78])
    network = dense_network(
        rng,
        sizes,
        activation,
        activations.identity,
        loss or losses.half_mean_squared_norm,
        initialiser=initialisers.xavier_normal,
        bias_scale=0.1,
    )
    inputs = rng.standard_normal((batch, sizes[0]))
    targets = rng.standard_normal((batch, sizes[-1]))
    return gradcheck.Problem(
        network.loss_value,
        network.backward,
        network.parameters,
        args=(inputs, targets),
        network=network,
    )


def spoilt(problem, layer, key, change):
    def gradient(*given):
        found = problem.gradient(*given)
        found[layer][key] = change(found[layer][key])
        return found

    return replace(problem, gradient=gradient)


def failing(report):
    return [part.name for part in report.parameters if part.verdict == "fail"]


def size_of(report):
    return sum(part.size for part in report.parameters)


def checked(report):
    return sum(part.checked_count for part in report.parameters)


def test_every_entry_is_compared_in_a_few_dozen_evaluations():
    for seed in SEEDS:
        report = gradcheck.check(network_problem(seed))
        assert report.ok
        assert checked(report) == size_of(report)
        assert report.evaluations < 60 < size_of(report)
        assert report.partial_evaluations > 0


def test_a_large_network_is_compared_entry_by_entry_by_default():
    report = gradcheck.check(network_problem(0, sizes=(200, 100, 50, 10)))
    assert report.ok
    assert checked(report) == size_of(report) > 20_000
    assert report.evaluations < 60
    assert all(part.miss_chance == 0.0 for part in report.parameters)


def test_the_report_says_how_entries_were_compared():
    notes = gradcheck.check(network_problem(0)).notes
    assert any("layer1, layer2, layer3" in note and "entries compared by" in note for note in notes)


def test_quick_checks_compare_no_entries():
    report = gradcheck.check(network_problem(0), effort="quick")
    assert checked(report) == 0
    assert not any("entries compared by" in note for note in report.notes)


@pytest.mark.parametrize("relative", [1e-2, 1e-5])
def test_a_wrong_entry_is_found_exactly(relative):
    for seed in SEEDS:
        index = seed % 8, seed % 6

        def change(array, index=index):
            array = array.copy()
            array[index] *= 1 + relative
            return array

        report = gradcheck.check(spoilt(network_problem(seed), "layer2", "weight", change))
        assert failing(report) == ["layer2.weight"]
        assert np.argwhere(report["layer2.weight"].wrong).tolist() == [list(index)]


def with_a_term_that_vanishes_here(problem, size):
    """Return a problem whose loss has the same value as its network's here, and another slope."""
    here = {layer: {k: a.copy() for k, a in arrays.items()} for layer, arrays in
            problem.parameters.items()}  # fmt: skip

    def loss(parameters, *args):
        moved = parameters["layer2"]["weight"] - here["layer2"]["weight"]
        return problem.loss(parameters, *args) + size * float(np.sum(moved))

    def gradient(parameters, *args):
        found = problem.gradient(parameters, *args)
        found["layer2"]["weight"] = found["layer2"]["weight"] + size
        return found

    return replace(problem, loss=loss), replace(problem, loss=loss, gradient=gradient)


@pytest.mark.parametrize("size", [1.0, 1e-3, 1e-5])
def test_layers_of_another_loss_hide_no_bug_and_accuse_nobody(size):
    for seed in SEEDS:
        wrong, right = with_a_term_that_vanishes_here(network_problem(seed), size)
        assert gradcheck.check(right).ok
        assert failing(gradcheck.check(wrong)) == ["layer2.weight"]


def test_layers_that_are_not_the_loss_are_left_alone():
    problem = network_problem(0)
    right = replace(
        problem,
        loss=lambda parameters, *args: 2 * problem.loss(parameters, *args),
        gradient=lambda parameters, *args: {
            layer: {key: 2 * array for key, array in arrays.items()}
            for layer, arrays in problem.gradient(parameters, *args).items()
        },
    )
    report = gradcheck.check(right)
    assert report.ok
    assert checked(report) == size_of(report)
    assert not any("entries compared by" in note for note in report.notes)


def dishonest_about(problem, size, monkeypatch):
    """Let the layers be wrong about the entry of layer1.weight with the smallest gradient."""
    honest, witnessed = layered_entries.layered_gradient, layered_entries._witnessed
    looks = []

    def dishonest(*given, **options):
        numbers = honest(*given, **options)
        values = {name: array.copy() for name, array in numbers.values.items()}
        gradient = problem.gradient(problem.parameters, *problem.args)["layer1"]["weight"]
        values["layer1.weight"].flat[np.argmin(np.abs(gradient))] += size
        return replace(numbers, values=values)

    def looked(*given):
        looks.append(given)
        return witnessed(*given)

    monkeypatch.setattr(layered_entries, "layered_gradient", dishonest)
    monkeypatch.setattr(layered_entries, "_witnessed", looked)
    return looks


def test_numbers_that_only_the_layers_call_wrong_accuse_nobody(monkeypatch):
    # Too little for most directions to see, and far beyond the layers' error bars.
    witnessed = 0
    for seed in SEEDS:
        problem = network_problem(seed)
        with monkeypatch.context() as patches:
            looks = dishonest_about(problem, 3e-10, patches)
            assert gradcheck.check(problem).ok
        witnessed += len(looks)
    assert witnessed >= 3


def test_what_there_was_no_time_to_witness_is_not_called_compared(monkeypatch):
    problem = network_problem(0)
    looks = dishonest_about(problem, 3e-10, monkeypatch)
    nothing = layered_entries.Entries.of((9, 8), ())
    monkeypatch.setattr(layered_entries, "measure_entries", lambda *given, **options: nothing)
    report = gradcheck.check(problem)
    assert len(looks) == 1
    assert report["layer1.weight"].checked_count == 9 * 8 - 1
    assert [finding.code for finding in report["layer1.weight"].findings] == ["GC125"]


@pytest.mark.parametrize("effort", ["auto", "exhaustive"])
def test_relu_networks_pass(effort):
    for seed in SEEDS:
        problem = network_problem(seed, activations.relu, loss=losses.sum_of_squares)
        report = gradcheck.check(problem, effort=effort)
        assert report.ok
        assert checked(report) == size_of(report)


def test_a_sample_of_zeros_under_zero_biases_is_right_at_its_kinks():
    problem = network_problem(1, activations.relu)
    problem.args[0][2] = 0.0
    for arrays in problem.parameters.values():
        arrays["bias"][:] = 0.0
    report = gradcheck.check(problem)
    assert not failing(report)
    wrong = spoilt(problem, "layer2", "weight", lambda array: 2 * array)
    assert failing(gradcheck.check(wrong)) == ["layer2.weight"]


class Convolution:
    """A layer of one kernel over windows of the inputs, which says nothing of itself."""

    name = "convolution"

    def __init__(self, kernel):
        self.parameters = {"kernel": kernel}

    def windows(self, inputs):
        width = self.parameters["kernel"].size
        return np.lib.stride_tricks.sliding_window_view(inputs, width, axis=1)

    def forward(self, parameters, inputs):
        z = self.windows(inputs) @ parameters["kernel"]
        return np.tanh(z), (inputs, z, parameters["kernel"])

    def backward(self, cache, upstream):
        inputs, z, kernel = cache
        delta = upstream / np.cosh(z) ** 2
        input_gradient = np.zeros_like(inputs)
        for place, weight in enumerate(kernel):
            input_gradient[:, place : place + delta.shape[1]] += weight * delta
        return input_gradient, {"kernel": np.einsum("ni,nik->k", delta, self.windows(inputs))}


class Chain:
    """Layers in a chain with half the squared distance at its end."""

    def __init__(self, layers):
        self.layers = layers
        self.loss = losses.half_mean_squared_norm

    def loss_value(self, parameters, inputs, targets):
        for layer in self.layers:
            inputs, _ = layer.forward(parameters[layer.name], inputs)
        return self.loss.value(inputs, targets)

    def gradient(self, parameters, inputs, targets):
        caches = []
        for layer in self.layers:
            inputs, cache = layer.forward(parameters[layer.name], inputs)
            caches.append(cache)
        upstream, found = self.loss.gradient(inputs, targets), {}
        for layer, cache in zip(reversed(self.layers), reversed(caches), strict=True):
            upstream, found[layer.name] = layer.backward(cache, upstream)
        return found

    def problem(self, inputs, targets):
        parameters = {layer.name: layer.parameters for layer in self.layers}
        return gradcheck.Problem(
            self.loss_value, self.gradient, parameters, args=(inputs, targets), network=self
        )


def convolutional(seed, first=Convolution):
    rng = np.random.default_rng([seed, 79])
    dense = dense_network(
        rng,
        (8, 5, 3),
        activations.tanh,
        activations.identity,
        losses.half_mean_squared_norm,
        initialiser=initialisers.xavier_normal,
        bias_scale=0.1,
    )
    chain = Chain([first(rng.standard_normal(5)), *dense.layers])
    return chain.problem(rng.standard_normal((6, 12)), rng.standard_normal((6, 3)))


def the_note(report):
    (note,) = [note for note in report.notes if note.startswith("entries compared by")]
    return note


def test_layers_that_do_not_say_how_weights_enter_are_resumed():
    for seed in SEEDS:
        report = gradcheck.check(convolutional(seed))
        assert report.ok
        assert checked(report) == size_of(report)
        assert report.evaluations < 60
        assert "resumed at the layer (convolution)" in the_note(report)
        assert "pre-activations (layer1, layer2)" in the_note(report)


def test_a_wrong_entry_of_a_resumed_layer_is_found_exactly():
    def change(array):
        return array * (1 + 1e-3 * (np.arange(array.size) == 3))

    for seed in SEEDS:
        report = gradcheck.check(spoilt(convolutional(seed), "convolution", "kernel", change))
        assert failing(report) == ["convolution.kernel"]
        assert report["convolution.kernel"].wrong.tolist() == [False, False, False, True, False]


class Stubborn(Convolution):
    """A layer that computes with its own kernel, whatever it is given."""

    def forward(self, parameters, inputs):
        kernel = self.parameters["kernel"]
        return super().forward({"kernel": kernel}, inputs)


def test_a_layer_that_ignores_what_it_is_given_is_left_to_the_whole_loss():
    for seed in SEEDS:
        honest, deaf = convolutional(seed), convolutional(seed, Stubborn)
        problem = replace(honest, network=deaf.network)
        report = gradcheck.check(problem)
        assert report.ok
        wrong = spoilt(problem, "convolution", "kernel", lambda array: 2 * array)
        assert failing(gradcheck.check(wrong)) == ["convolution.kernel"]


@pytest.mark.parametrize(
    ("method", "form"),
    [
        ("auto", "differences at the pre-activations"),
        ("complex", "complex steps at the pre-activations"),
        ("strict", "every weight by itself"),
    ],
)
def test_every_form_passes_right_networks_names_itself_and_finds_a_wrong_entry(method, form):
    def change(array):
        return array * (1 + 1e-4 * (np.arange(array.size) == 7).reshape(array.shape))

    for seed in SEEDS:
        problem = network_problem(seed)
        report = gradcheck.check(problem, method=method)
        assert report.ok
        assert form in the_note(report)
        wrong = gradcheck.check(spoilt(problem, "layer1", "weight", change), method=method)
        assert failing(wrong) == ["layer1.weight"]
        assert np.flatnonzero(wrong["layer1.weight"].wrong).tolist() == [7]


def slow(problem, seconds):
    """Return the problem with a first layer that takes its time away from the whole loss."""

    class Slow(type(problem.network.layers[0])):
        def forward(self, parameters, inputs):
            time.sleep(seconds)
            return super().forward(parameters, inputs)

    kernel = problem.network.layers[0].parameters["kernel"]
    network = Chain([Slow(kernel), *problem.network.layers[1:]])
    return replace(problem, network=network)


@pytest.mark.parametrize("options", [{"budget": 0.3}, {"timeout": 0.1}])
def test_layers_that_take_too_long_are_left_alone(options):
    report = gradcheck.check(slow(convolutional(0), 0.4), **options)
    assert not failing(report)


def test_strict_says_where_there_is_nothing_to_move():
    report = gradcheck.check(replace(network_problem(0), network=None), method="strict")
    assert report.ok
    assert any(note.startswith("method strict: no layer shows weights") for note in report.notes)
