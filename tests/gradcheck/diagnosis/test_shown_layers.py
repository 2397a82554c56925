"""Whole checks of networks that show their layers: the fault is told where it is, or not at all."""

import sys
import time
import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from gradcheck import Problem, check


class Dense:
    """f(x W + b) for tanh or the identity; `spoil` changes what its backward returns."""

    def __init__(self, name, fan_in, fan_out, *, seed=0, is_last=False, spoil=None):
        draw = np.random.default_rng([seed, *name.encode()]).standard_normal
        self.name, self.is_last, self.spoil = name, is_last, spoil
        self.parameters = {"weight": draw((fan_in, fan_out)), "bias": 0.1 * draw(fan_out)}

    def preactivation(self, parameters, inputs):
        return inputs @ parameters["weight"] + parameters["bias"]

    def forward(self, parameters, inputs):
        z = self.preactivation(parameters, inputs)
        return z if self.is_last else np.tanh(z), (inputs, parameters["weight"], z)

    def backward(self, cache, upstream):
        inputs, weight, z = cache
        delta = upstream if self.is_last else upstream * (1 - np.tanh(z) ** 2)
        found = delta @ weight.T, {"weight": inputs.T @ delta, "bias": delta.sum(axis=0)}
        return self.spoil(*found) if self.spoil else found


class Scaling:
    """x times one number, and a backward that may hand down that number too often."""

    def __init__(self, name, power=1, factor=1.3):
        self.name, self.power, self.parameters = name, power, {"factor": np.array(factor)}

    def forward(self, parameters, inputs):
        return inputs * parameters["factor"], (inputs, parameters["factor"])

    def backward(self, cache, upstream):
        inputs, factor = cache
        return upstream * factor**self.power, {"factor": np.sum(upstream * inputs)}


class Normalising:
    """The normalisation of every sample; the gradient of gain is that of shift."""

    def __init__(self, name, width):
        draw = np.random.default_rng(3).standard_normal
        self.name = name
        self.parameters = {"gain": 1 + 0.3 * draw(width), "shift": 0.1 * draw(width)}

    def forward(self, parameters, inputs):
        centred = inputs - inputs.mean(axis=1, keepdims=True)
        scale = 1 / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)
        normal = centred * scale
        return normal * parameters["gain"] + parameters["shift"], (normal, scale, parameters)

    def backward(self, cache, upstream):
        normal, scale, parameters = cache
        signal = upstream * parameters["gain"]
        along = normal * (signal * normal).mean(axis=1, keepdims=True)
        signal = scale * (signal - signal.mean(axis=1, keepdims=True) - along)
        return signal, {"gain": upstream.sum(axis=0), "shift": upstream.sum(axis=0)}


class Squares:
    """The mean over the samples of half the squared distance."""

    def __init__(self, spoil=None):
        self.spoil = spoil or (lambda gradient: gradient)

    def value(self, outputs, targets):
        return np.sum((outputs - targets) ** 2) / 2 / len(outputs)

    def gradient(self, outputs, targets):
        return self.spoil((outputs - targets) / len(outputs))


@dataclass
class Net:
    layers: list[Any]
    loss: Any = field(default_factory=Squares)

    def outputs(self, parameters, inputs):
        caches = []
        for layer in self.layers:
            inputs, cache = layer.forward(parameters[layer.name], inputs)
            caches.append(cache)
        return inputs, caches

    def value(self, parameters, inputs, targets):
        return self.loss.value(self.outputs(parameters, inputs)[0], targets)

    def gradient(self, parameters, inputs, targets, *, overwrites=False):
        outputs, caches = self.outputs(parameters, inputs)
        upstream, found = self.loss.gradient(outputs, targets), {}
        for layer, cache in zip(reversed(self.layers), reversed(caches), strict=True):
            upstream, own = layer.backward(cache, upstream)
            if layer.name in found and not overwrites:
                own = {key: found[layer.name][key] + array for key, array in own.items()}
            found[layer.name] = own
        return {name: found[name] for name in self.parameters}

    @property
    def parameters(self):
        return {layer.name: layer.parameters for layer in self.layers}

    def checked(self, gradient=None, widths=None, samples=7, **options):
        draw = np.random.default_rng(9).standard_normal
        fan_in, fan_out = widths or (4, 3)
        args = draw((samples, fan_in)), draw((samples, fan_out))
        problem = Problem(
            self.value, gradient or self.gradient, self.parameters, args=args, network=self
        )
        return check(problem, effort="quick", **options)


def three(first=None, second=None, third=None, loss=None):
    """Return a network of three layers, each with what spoils its backward."""
    layers = [
        Dense("l1", 4, 5, spoil=first),
        Dense("l2", 5, 5, spoil=second),
        Dense("l3", 5, 3, spoil=third, is_last=True),
    ]
    return Net(layers, Squares(loss))


def told(report):
    """Return of every error the slug, the layer and the parameters."""
    return {
        (finding.slug, finding.layer, finding.parameters)
        for finding in report.findings
        if finding.severity == "error"
    }


def handing_down(change):
    return lambda signal, gradients: (change(signal), gradients)


L1, L2, L3 = (
    ("l1.weight", "l1.bias"),
    ("l2.weight", "l2.bias"),
    ("l3.weight", "l3.bias"),
)


@pytest.mark.parametrize("place", [1, 2])
def test_a_layer_that_hands_down_twice_the_signal_is_named_not_the_one_below(place):
    spoils = [None] * 3
    spoils[place] = handing_down(lambda signal: 2 * signal)
    (finding,) = [f for f in three(*spoils).checked().findings if f.severity == "error"]
    assert (finding.slug, finding.layer) == ("wrong_upstream", f"l{place + 1}")
    assert finding.parameters == (L1 if place == 1 else L1 + L2)
    assert "constant_factor" in finding.alternatives


def test_layers_that_both_hand_down_twice_the_signal_are_both_named():
    twice = handing_down(lambda signal: 2 * signal)
    assert told(three(None, twice, twice).checked()) == {
        ("wrong_upstream", "l3", L2),
        ("wrong_upstream", "l2", L1),
    }


def test_a_signal_that_the_network_doubles_is_no_fault_of_one_layer():
    """All below is doubled: nothing says that one layer's gradients were added up twice."""
    net = three()

    def doubling(parameters, inputs, targets):
        found = net.gradient(parameters, inputs, targets)
        return {
            name: {key: (1 if name == "l3" else 2) * array for key, array in own.items()}
            for name, own in found.items()
        }

    assert told(net.checked(doubling)) == {("constant_factor", None, L1 + L2)}


@pytest.mark.parametrize(("name", "is_lowest"), [("l1", True), ("l2", False), ("l3", False)])
def test_gradients_that_the_network_adds_up_twice_are_told_with_what_else_may_be(name, is_lowest):
    net = three()

    def doubling(parameters, inputs, targets):
        found = net.gradient(parameters, inputs, targets)
        return found | {name: {key: 2 * array for key, array in found[name].items()}}

    (finding,) = [f for f in net.checked(doubling).findings if f.severity == "error"]
    assert (finding.slug, finding.layer) == ("accumulated_twice", name)
    assert "constant_factor" in finding.alternatives
    assert ("wrong_upstream" in finding.alternatives) == is_lowest


def shared(spoil=None):
    twice = Dense("twice", 4, 4, spoil=spoil)
    return Net([Dense("l0", 4, 4), twice, twice, Dense("l2", 4, 3, is_last=True)])


def test_one_pass_of_a_layer_passed_through_twice_is_no_wrong_derivative():
    """The derivative of its tanh is what another cause takes for wrong ones."""
    net = shared()

    def overwriting(*given):
        return net.gradient(*given, overwrites=True)

    report = net.checked(overwriting)
    assert told(report) == {("overwritten_accumulation", "twice", ("twice.weight", "twice.bias"))}
    assert all(not finding.alternatives for finding in report.findings)


def test_a_layer_passed_through_twice_that_hands_down_something_else_is_named():
    report = shared(handing_down(np.abs)).checked()
    names = ("l0.weight", "l0.bias", "twice.weight", "twice.bias")
    assert told(report) == {("wrong_upstream", "twice", names)}


def test_a_scale_that_is_handed_down_squared_is_no_delta_of_another_layer():
    net = Net([Dense("l1", 4, 5), Scaling("scale", power=2), Dense("l2", 5, 3, is_last=True)])
    report = net.checked()
    assert told(report) == {("wrong_upstream", "scale", L1)}
    assert "scale hands down 1.3 times dL/dx" in report.findings[0].evidence


def test_a_gradient_equal_to_another_of_its_own_layer_is_not_blamed_on_another():
    net = Net([Dense("l1", 4, 5), Normalising("norm", 5), Dense("l2", 5, 3, is_last=True)])
    assert told(net.checked()) == {("unexplained", "norm", ("norm.gain",))}


def test_a_measured_derivative_is_told_in_a_sentence_with_one_comma():
    class Fourth(Dense):
        def backward(self, cache, upstream):
            inputs, weight, z = cache
            delta = upstream * (1 - np.tanh(z) ** 4)
            return delta @ weight.T, {"weight": inputs.T @ delta, "bias": delta.sum(axis=0)}

    report = Net([Fourth("l1", 4, 5), Dense("l2", 5, 3, is_last=True)]).checked()
    assert told(report) == {("wrong_activation_derivative", "l1", L1)}
    assert "and so on, which gives l1.weight" in report.findings[0].evidence


# What check_layers finds is blamed only on layers that the gradient comes from.


def noisy(array):
    """Return it with errors that no cause explains."""
    return array * (1 + 0.1 * np.cos(np.arange(array.size).reshape(array.shape)))


def noisy_weight(signal, gradients):
    return signal, gradients | {"weight": noisy(gradients["weight"])}


def test_a_signal_that_no_cause_explains_is_blamed_on_the_layer_that_hands_it_down():
    report = three(second=lambda signal, g: (noisy(signal), {**g, "bias": 2 * g["bias"]})).checked()
    assert ("wrong_upstream", "l2", L1) in told(report)


@pytest.mark.parametrize(
    "unused",
    [{"second": handing_down(np.abs)}, {"first": lambda s, g: (s, {**g, "weight": 2 * g["bias"]})}],
    ids=["what l2 hands down", "the weight of l1"],
)
def test_layers_that_the_gradient_is_not_made_by_are_not_blamed(unused):
    used = three(first=lambda s, g: (s, {key: noisy(array) for key, array in g.items()}))
    shown = three(**unused)
    report = shown.checked(used.gradient)
    assert {name for f in report.findings for name in f.parameters} == set(L1)
    assert all("by itself" not in finding.evidence for finding in report.findings)
    assert {finding.layer for finding in report.findings} <= {None, "l1"}


def test_a_layer_that_fails_by_itself_is_blamed_before_what_it_inherits():
    report = three(noisy_weight, lambda s, g: (noisy(s), {**g, "bias": noisy(g["bias"])})).checked()
    by_name = {name: f for f in report.findings for name in f.parameters}
    assert (by_name["l1.weight"].layer, by_name["l1.bias"].layer) == ("l1", "l2")
    assert by_name["l2.bias"].layer == "l2"


def test_a_loss_that_is_wrong_by_itself_is_told_when_nothing_else_is():
    report = three(loss=lambda gradient: gradient * np.abs(gradient)).checked()
    (finding,) = report.findings
    assert (finding.slug, finding.layer, finding.parameters) == (
        "wrong_upstream",
        None,
        L1 + L2 + L3,
    )
    assert finding.evidence.startswith("the loss's own gradient at the outputs is wrong: ")


def test_a_loss_that_is_wrong_but_not_used_is_not_told():
    shown = three(noisy_weight, loss=lambda gradient: gradient * np.abs(gradient))
    report = shown.checked(three(noisy_weight).gradient)
    assert {(f.layer, f.parameters) for f in report.findings} == {("l1", ("l1.weight",))}
    assert "loss's own" not in report.findings[0].evidence


# The code under test may hang, exit or warn when a diagnosis calls it.


class OneSample(Dense):
    """A wrong derivative, and something else for a batch of one sample."""

    def __init__(self, *given, alone, **more):
        super().__init__(*given, **more)
        self.alone = alone

    def backward(self, cache, upstream):
        inputs, weight, z = cache
        if len(inputs) == 1:
            self.alone()
        delta = upstream * (1 - np.tanh(z) ** 4)
        return delta @ weight.T, {"weight": inputs.T @ delta, "bias": delta.sum(axis=0)}


def hang():
    time.sleep(60)


def leave():
    sys.exit(1)


def warn():
    warnings.warn("a batch of one", stacklevel=1)


def with_one_sample(alone):
    first = OneSample("l1", 4, 5, alone=alone)
    return Net([first, Dense("l2", 5, 5), Dense("l3", 5, 3, is_last=True)])


@pytest.mark.parametrize("alone", [hang, leave])
def test_a_backward_that_hangs_or_exits_for_one_sample_does_not_end_the_check(alone):
    started = time.perf_counter()
    report = with_one_sample(alone).checked(timeout=0.3)
    assert time.perf_counter() - started < 20
    assert report.verdict == "fail"
    assert {name for f in report.findings for name in f.parameters} == set(L1)


def test_what_the_code_warns_of_when_a_diagnosis_calls_it_is_kept_quiet():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        report = with_one_sample(warn).checked()
    assert told(report) == {("wrong_activation_derivative", "l1", L1)}
    assert not caught


def test_an_interrupt_during_a_diagnosis_comes_through():
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        with_one_sample(interrupt).checked()


def test_layers_are_not_called_for_every_sample_of_a_large_batch():
    calls = []
    net = with_one_sample(lambda: calls.append(1))
    assert net.checked(samples=40).verdict == "fail"
    assert calls
    calls.clear()
    assert net.checked(samples=300).verdict == "fail"
    assert calls == []


def test_a_slow_layer_without_a_formula_does_not_outlast_the_budget():
    class Slow(Normalising):
        def forward(self, parameters, inputs):
            time.sleep(0.002)
            return super().forward(parameters, np.real(inputs))

    layers = [Dense("l1", 4, 12), Slow("norm", 12), Dense("l3", 12, 3, is_last=True)]
    started = time.perf_counter()
    assert Net(layers).checked(budget=2.5, samples=40).verdict == "fail"
    assert time.perf_counter() - started < 5
