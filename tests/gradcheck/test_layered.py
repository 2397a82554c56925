"""Layers by themselves: a fault is blamed on the layer that has it, whatever lies around it."""

import json
import time
from types import SimpleNamespace

import numpy as np
import pytest

import mlp.faults
import mlp.problems
from gradcheck import (
    GradientInconclusive,
    GradientMismatch,
    GradientReport,
    NothingToCheck,
    assert_layers,
    check,
    check_layers,
)

RIGHT = ["reference", "two_two_two", "digits", "deep_sigmoid", "relu", "leaky_relu"]
# What is wrong in the backward of a layer, or in the loss; the other faults lie between layers or
# spoil the whole gradient later.
DELTA = ("weight", "bias", "inputs")
WRONG_PARTS = {
    "half_kept": ("loss", ["outputs"]),
    "target_minus_output": ("loss", ["outputs"]),
    "summed_target_minus_output": ("loss", ["outputs"]),
    "summed_cross_entropy": ("loss", ["outputs"]),
    "missing_activation_derivative": ("layer2", DELTA),
    "first_derivative_missing": ("layer1", DELTA),
    "activation_for_derivative": ("layer2", DELTA),
    "leaky_activation_for_derivative": ("layer2", DELTA),
    "derivative_at_output": ("layer2", DELTA),
    "tanh_derivative_without_square": ("layer3", DELTA),
    "leaky_slope_missing": ("layer2", DELTA),
    "softmax_diagonal": ("layer2", DELTA),
    "upstream_ignored": ("layer2", DELTA),
    "bias_first_sample": ("layer2", ["bias"]),
    "bias_last_sample": ("layer3", ["bias"]),
    "bias_mean": ("layer1", ["bias"]),
    "half_the_batch": ("layer2", ["weight"]),
    "inputs_of_previous_sample": ("layer2", ["weight"]),
    "weight_from_input_gradient": ("layer2", ["weight"]),
    "operands_exchanged": ("layer2", ["weight"]),
    "gain_for_its_logarithm": ("layer2", ["log_gain"]),
    "signal_untransposed": ("layer2", ["inputs"]),
    "signal_averaged": ("layer3", ["inputs"]),
    "signal_masked": ("layer3", ["inputs"]),
}
# Here a layer is passed through twice.
TIED = "tied_weights_overwritten"
INPUTS = np.random.default_rng(0).standard_normal((5, 3))


class Scaling:
    """outputs = inputs * factor, in ways that a subclass may spoil."""

    def __init__(self, name="scaling", dtype=float):
        self.name = name
        self.parameters = {"factor": np.array([2.0, -3.0, 0.5], dtype)}

    def forward(self, parameters, inputs):
        return inputs * parameters["factor"], [inputs, parameters["factor"]]

    def backward(self, cache, upstream):
        inputs, factor = cache
        return upstream * factor, {"factor": np.sum(upstream * inputs, axis=0)}


class Tanh:
    """A layer without parameters."""

    parameters: dict = {}  # noqa: RUF012

    def __init__(self, name="tanh"):
        self.name = name

    def forward(self, parameters, inputs):
        return np.tanh(inputs), inputs

    def backward(self, cache, upstream):
        return upstream * (1 - np.tanh(cache) ** 2), {}


class Embedding:
    """Rows of a table, by whole numbers."""

    name = "embedding"

    def __init__(self):
        self.parameters = {"table": np.random.default_rng(1).standard_normal((4, 3))}

    def forward(self, parameters, inputs):
        return parameters["table"][inputs], (inputs, parameters["table"].shape)

    def backward(self, cache, upstream):
        inputs, shape = cache
        gradient = np.zeros(shape)
        np.add.at(gradient, inputs, upstream)
        return None, {"table": gradient}


def network(*layers, **more):
    return SimpleNamespace(layers=list(layers), **more)


def verdicts(report):
    return {part.name: part.verdict for part in report.parameters}


def failing(report):
    return {part.name for part in report.parameters if part.verdict == "fail"}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", RIGHT)
def test_right_layers_pass(name, seed):
    make = getattr(mlp.problems, name)
    problem = make() if name == "two_two_two" else make(seed)
    report = check_layers(problem.network, *problem.args, seed=seed)
    assert report.ok
    assert report["loss.outputs"].verdict == "pass"


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", [name for name in mlp.faults.FAULTS if name != TIED])
def test_a_fault_of_a_layer_is_blamed_on_that_layer_alone(name, seed):
    problem = mlp.faults.FAULTS[name](seed)
    report = check_layers(problem.network, *problem.args, seed=seed)
    layer, parts = WRONG_PARTS.get(name, ("", ()))
    assert failing(report) == {f"{layer}.{part}" for part in parts}
    errors = [finding for finding in report.findings if finding.severity == "error"]
    assert bool(errors) == bool(parts)
    assert all(finding.layer == layer for finding in errors)


def test_the_report_names_what_it_checks_after_the_layers():
    problem = mlp.problems.reference()
    report = check_layers(problem.network, *problem.args)
    parts = [f"layer{n}.{key}" for n in (1, 2, 3) for key in ("weight", "bias", "inputs")]
    assert list(verdicts(report)) == [*parts, "loss.outputs"]
    assert [layer.name for layer in report.layers] == ["layer1", "layer2", "layer3", "loss"]
    assert report["layer1.inputs"].shape == (5, 3)
    assert report.name == "layers of Network"
    assert check_layers(problem.network, *problem.args, name="mine").name == "mine"


def test_without_targets_the_loss_is_left_alone():
    problem = mlp.problems.reference()
    report = check_layers(problem.network, problem.args[0])
    assert report.ok
    assert "loss.outputs" not in verdicts(report)


def test_a_wrong_gradient_of_the_loss_is_blamed_on_the_loss():
    problem = mlp.faults.correct()
    right = problem.network.loss
    wrong = SimpleNamespace(value=right.value, gradient=lambda y, t: len(y) * right.gradient(y, t))
    report = check_layers(network(*problem.network.layers, loss=wrong), *problem.args)
    assert failing(report) == {"loss.outputs"}


def test_a_loss_without_a_gradient_makes_the_third_argument_an_upstream():
    upstream = np.random.default_rng(3).standard_normal(INPUTS.shape)
    seen = []

    class Watched(Scaling):
        def backward(self, cache, upstream):
            seen.append(upstream.copy())
            return super().backward(cache, upstream)

    loss = SimpleNamespace(value=lambda outputs, targets: 0.0)
    report = check_layers(network(Tanh(), Watched(), loss=loss), INPUTS, upstream)
    assert report.ok
    assert seen
    for given in seen:
        np.testing.assert_array_equal(given, upstream)


def test_the_upstream_depends_on_the_seed_and_the_name_of_the_layer_only():
    def upstreams(*layers, seed=0):
        seen = {}

        class Watched(Scaling):
            def backward(self, cache, upstream):
                seen[self.name] = upstream.copy()
                return super().backward(cache, upstream)

        assert check_layers(network(*map(Watched, layers)), INPUTS, seed=seed).ok
        return seen

    both, alone = upstreams("a", "b"), upstreams("b")
    np.testing.assert_array_equal(both["b"], alone["b"])
    assert not np.array_equal(both["a"], both["b"])
    assert not np.array_equal(alone["b"], upstreams("b", seed=1)["b"])


def test_layers_without_parameters_have_their_inputs_checked():
    class Wrong(Tanh):
        def backward(self, cache, upstream):
            return upstream * np.tanh(cache), {}

    report = check_layers(network(Tanh("first"), Wrong("second"), Tanh("third")), INPUTS)
    assert verdicts(report) == {
        "first.inputs": "pass",
        "second.inputs": "fail",
        "third.inputs": "pass",
    }


def test_no_parameter_gradients_may_be_none():
    class Brief(Tanh):
        def backward(self, cache, upstream):
            return super().backward(cache, upstream)[0], None

    assert check_layers(network(Brief()), INPUTS).ok


def test_whole_numbers_at_the_first_layer_are_left_out_with_a_note():
    report = check_layers(network(Embedding(), Tanh()), np.array([[0, 3], [3, 1]]))
    assert verdicts(report) == {"embedding.table": "pass", "tanh.inputs": "pass"}
    (note,) = report.notes
    assert "embedding.inputs" in note


def test_the_first_layer_may_return_no_input_gradient():
    class First(Scaling):
        def backward(self, cache, upstream):
            return None, super().backward(cache, upstream)[1]

    report = check_layers(network(First("first"), Scaling("second")), INPUTS)
    assert verdicts(report) == dict.fromkeys(
        ["first.factor", "second.factor", "second.inputs"], "pass"
    )
    assert report.notes == ("not checked, as backward returns none: first.inputs",)
    # Further up, the layer below waits for it.
    report = check_layers(network(Scaling("first"), First("second")), INPUTS)
    assert failing(report) == {"second.inputs"}
    assert report["second.inputs"].findings[0].slug == "wrong_structure"


def test_a_layer_that_changes_its_inputs_is_found_out():
    class Mutating(Scaling):
        def backward(self, cache, upstream):
            answer = super().backward(cache, upstream)
            cache[0] *= 2
            return answer

    report = check_layers(network(Scaling("first"), Mutating("second")), INPUTS)
    assert "second.inputs" in failing(report)
    assert all(name.startswith("second") for name in failing(report))
    (finding,) = report.findings
    assert (finding.slug, finding.layer) == ("mutates_parameters", "second")


def test_the_callers_arrays_stay_as_they_are():
    class Mutating(Scaling):
        def forward(self, parameters, inputs):
            inputs *= 2
            parameters["factor"] += 1
            return super().forward(parameters, inputs)

    layer, inputs = Mutating(), INPUTS.copy()
    assert not check_layers(network(layer), inputs).ok
    np.testing.assert_array_equal(inputs, INPUTS)
    np.testing.assert_array_equal(layer.parameters["factor"], [2.0, -3.0, 0.5])


def test_a_cache_may_be_used_up_by_one_backward():
    class Consuming(Scaling):
        def backward(self, cache, upstream):
            answer = super().backward(cache, upstream)
            cache.clear()
            return answer

    assert check_layers(network(Consuming("a"), Consuming("b")), INPUTS).ok


def test_a_backward_that_writes_to_its_upstream_is_right_and_gets_a_note():
    class InPlace(Tanh):
        def backward(self, cache, upstream):
            upstream *= 1 - np.tanh(cache) ** 2
            return upstream, {}

    report = check_layers(network(Tanh("first"), InPlace("second")), INPUTS)
    assert report.ok
    (finding,) = report.findings
    assert (finding.slug, finding.severity, finding.layer) == ("mutates_data", "note", "second")


def test_layers_in_float32_are_compared_in_float64():
    layers = [Scaling("first", np.float32), Tanh("second"), Scaling("third", np.float32)]
    report = check_layers(network(*layers), INPUTS.astype(np.float32))
    assert report.ok
    assert {part.dtype for part in report.parameters} == {"float32"}
    assert max(part.resolution for part in report.parameters) < 1e-4


def test_layers_that_compute_in_float32_whatever_they_get_are_not_accused():
    class Single(Tanh):
        def forward(self, parameters, inputs):
            return np.tanh(inputs.astype(np.float32)), inputs.astype(np.float32)

    for seed in range(10):
        inputs = np.random.default_rng(seed).standard_normal((5, 3)).astype(np.float32)
        assert failing(check_layers(network(Single()), inputs, seed=seed)) == set()


def test_complex_layers_are_left_out_with_a_note():
    class Turning(Scaling):
        def __init__(self):
            self.name, self.parameters = "turning", {"factor": np.array([1j, 1.0, 2.0])}

    report = check_layers(network(Tanh(), Turning()), INPUTS)
    assert verdicts(report) == {"tanh.inputs": "pass"}
    assert "turning" in report.notes[0]
    with pytest.raises(NothingToCheck, match="arrays of real floats"):
        check_layers(network(Turning()), INPUTS)


def test_parameters_replace_those_of_the_layers():
    inputs = np.full((2, 3), 0.5)

    class Rooted(Scaling):
        """Right only where all factors are 1."""

        def backward(self, cache, upstream):
            inputs, factor = cache
            return upstream * factor**2, {"factor": np.sum(upstream * inputs, axis=0)}

    assert failing(check_layers(network(Rooted("a")), inputs)) == {"a.inputs"}
    ones = {"a": {"factor": np.ones(3)}}
    report = check_layers(network(Rooted("a")), inputs, parameters=ones, only="a.factor")
    assert report.ok
    assert check_layers(network(Rooted("a")), inputs, parameters=ones)["a.inputs"].worst.analytic


def test_only_and_exclude_work_on_the_names_of_the_report():
    problem = mlp.problems.reference()
    report = check_layers(problem.network, *problem.args, only="layer2.*", exclude="*.inputs")
    assert list(verdicts(report)) == ["layer2.weight", "layer2.bias"]
    assert report.settings["only"] == ("layer2.*",)
    with pytest.raises(ValueError, match=r"unknown parameter 'layer2.wieght'; did you mean"):
        check_layers(problem.network, *problem.args, only="layer2.wieght")
    with pytest.raises(NothingToCheck, match="leave nothing"):
        check_layers(problem.network, *problem.args, exclude="*")


def test_a_faulty_layer_that_is_excluded_is_not_called_backward():
    class Raising(Tanh):
        def backward(self, cache, upstream):
            raise ArithmeticError("never")

    layers = network(Scaling("a"), Raising("b"))
    assert check_layers(layers, INPUTS, exclude="b.*").ok
    with pytest.raises(ArithmeticError, match="never") as caught:
        check_layers(layers, INPUTS)
    assert caught.value.__notes__ == ["raised in the backward of layer 'b'"]


def test_calls_are_counted():
    forwards, backwards = [], []

    class Counting(Scaling):
        def forward(self, parameters, inputs):
            forwards.append(1)
            return super().forward(parameters, inputs)

        def backward(self, cache, upstream):
            backwards.append(1)
            return super().backward(cache, upstream)

    report = check_layers(network(Counting("a"), Counting("b")), INPUTS)
    assert report.gradient_calls == len(backwards)
    # Every backward comes after a forward of its own.
    assert report.evaluations == len(forwards) - len(backwards)


def test_a_budget_is_for_all_layers_together():
    class Slow(Scaling):
        def forward(self, parameters, inputs):
            time.sleep(0.002)
            return super().forward(parameters, inputs)

    started = time.perf_counter()
    report = check_layers(network(*map(Slow, "abcdefgh")), INPUTS, budget=0.3)
    assert time.perf_counter() - started < 5
    assert len(report.parameters) == 16
    assert report.verdict == "inconclusive"
    assert {finding.slug for finding in report.findings} == {"budget_exhausted"}


def test_a_forward_that_hangs_ends_the_check():
    class Hanging(Scaling):
        def forward(self, parameters, inputs):
            time.sleep(0.5)

    with pytest.raises(TimeoutError, match=r"forward of layer 'scaling' took longer than 0\.05"):
        check_layers(network(Hanging()), INPUTS, timeout=0.05)


def test_a_backward_that_hangs_is_a_finding():
    class Hanging(Scaling):
        def backward(self, cache, upstream):
            time.sleep(0.5)
            return super().backward(cache, upstream)

    report = check_layers(network(Tanh(), Hanging()), INPUTS, timeout=0.05)
    assert verdicts(report)["tanh.inputs"] == "pass"
    assert verdicts(report)["scaling.factor"] == "inconclusive"
    assert [(f.slug, f.layer) for f in report.findings] == [("timed_out", "scaling")]


def test_random_layers_are_repeatable_with_reseed():
    generator = np.random.default_rng(5)

    class Dropout(Tanh):
        def forward(self, parameters, inputs):
            mask = generator.random(inputs.shape) < 0.5
            return inputs * mask, mask

        def backward(self, cache, upstream):
            return upstream * cache, {}

    assert check_layers(network(Dropout(), Scaling()), INPUTS, reseed=generator).ok


def test_bounds_are_nested_by_layer_or_hold_for_all():
    class Rooted(Tanh):
        """Cannot be evaluated below 0."""

        def forward(self, parameters, inputs):
            if np.any(inputs < 0):
                raise ValueError("below 0")
            return np.sqrt(inputs + 1.0), inputs

        def backward(self, cache, upstream):
            return upstream * 0.5 / np.sqrt(cache + 1.0), {}

    inputs = np.abs(INPUTS)
    inputs[0, 0] = 0.0
    lower = {"rooted": {"inputs": 0.0}}
    report = check_layers(network(Rooted("rooted"), Tanh()), inputs, bounds=(lower, None))
    assert report.ok
    assert check_layers(network(Rooted("rooted")), inputs, bounds=(0.0, None)).ok
    with pytest.raises(ValueError, match="layers named in bounds must be rooted, got 'roted'"):
        check_layers(network(Rooted("rooted")), inputs, bounds=({"roted": {}}, None))


def test_a_merged_report_survives_json():
    problem = mlp.faults.missing_activation_derivative()
    report = check_layers(problem.network, *problem.args)
    assert GradientReport.from_json(report.to_json()) == report
    assert json.loads(report.to_json())["verdict"] == "fail"


def test_findings_name_the_layer_they_are_about():
    class Misshapen(Scaling):
        def backward(self, cache, upstream):
            return super().backward(cache, upstream)[0], {"factor": np.ones(4)}

    report = check_layers(network(Tanh(), Misshapen()), INPUTS)
    (finding,) = report.findings
    assert (finding.layer, finding.parameters) == ("scaling", ("scaling.factor",))
    assert finding.evidence.startswith("scaling.factor: gradient of shape (4,)")
    assert report["scaling.factor"].findings == (finding,)


def test_the_whole_network_blames_the_layers_below_too():
    problem = mlp.faults.missing_activation_derivative()
    whole = check(problem)
    assert {part.layer for part in whole.parameters if part.verdict == "fail"} == {
        "layer1",
        "layer2",
    }


def test_assert_layers_raises_with_the_report():
    problem = mlp.faults.missing_activation_derivative()
    with pytest.raises(GradientMismatch, match=r"layer2\.\w+.*3 of 10 gradients wrong") as caught:
        assert_layers(problem.network, *problem.args)
    assert caught.value.report.verdict == "fail"
    right = mlp.problems.reference()
    assert assert_layers(right.network, *right.args).ok


def test_assert_layers_lets_doubts_through_on_demand():
    class Undefined(Tanh):
        def forward(self, parameters, inputs):
            return np.round(inputs + np.random.default_rng().random(), 1), inputs

    layers = network(Undefined())
    with pytest.raises(GradientInconclusive, match="undecided"):
        assert_layers(layers, INPUTS)
    assert assert_layers(layers, INPUTS, allow_inconclusive=True).verdict == "inconclusive"


def without(attribute):
    layer = Scaling()
    kept = {key: getattr(layer, key) for key in ("name", "parameters", "forward", "backward")}
    del kept[attribute]
    return SimpleNamespace(**kept)


def with_parameters(parameters):
    layer = Scaling()
    layer.parameters = parameters
    return layer


@pytest.mark.parametrize(
    ("given", "error", "told"),
    [
        (SimpleNamespace(), TypeError, "network must have a list of layers"),
        (network(), ValueError, "network must have at least one layer, got none"),
        (network(without("forward")), TypeError, "'scaling' must have a method forward"),
        (network(without("backward")), TypeError, "'scaling' must have a method backward"),
        (network(without("name")), TypeError, r"layers\[0\] must have a name, got None"),
        (network(without("parameters")), TypeError, "'scaling' must have a dict of parameters"),
        (network(Tanh("a"), Tanh("a")), ValueError, "unique, got 'a' twice"),
        (network(with_parameters([1.0])), TypeError, "'scaling' must be a dict, got list"),
        (
            network(with_parameters({"inputs": np.ones(3)})),
            ValueError,
            "no parameter of layer 'scaling' must be called 'inputs'",
        ),
    ],
)
def test_a_network_that_breaks_the_protocol_is_refused(given, error, told):
    with pytest.raises(error, match=told):
        check_layers(given, INPUTS)


def test_a_layer_that_is_passed_through_twice_is_refused():
    problem = mlp.faults.FAULTS[TIED](0)
    with pytest.raises(ValueError, match="passed through once each, got 'layer2' twice"):
        check_layers(problem.network, *problem.args)


def test_layers_that_return_something_else_are_refused():
    class Bare(Tanh):
        def forward(self, parameters, inputs):
            return np.tanh(inputs)

    class Halved(Tanh):
        def backward(self, cache, upstream):
            return upstream

    class Listed(Tanh):
        def backward(self, cache, upstream):
            return upstream, [upstream]

    for layer, told in [
        (Bare(), r"forward of layer 'tanh' must return \(outputs, cache\), got float64 array"),
        (Halved(), r"backward of layer 'tanh' must return \(input_gradient, parameter_gradients\)"),
        (Listed(), "parameter_gradients of layer 'tanh' must be a dict like its parameters"),
    ]:
        with pytest.raises(TypeError, match=told):
            check_layers(network(layer), INPUTS)


def test_arguments_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"upstream must have the shape \(5, 3\) of the outputs"):
        check_layers(network(Scaling()), INPUTS, np.ones(3))
    with pytest.raises(ValueError, match="upstream must hold finite real numbers"):
        check_layers(network(Scaling()), INPUTS, np.full((5, 3), np.nan))
    with pytest.raises(ValueError, match="parameters must be by layer, scaling, got"):
        check_layers(network(Scaling()), INPUTS, parameters={"other": {}})
    loss = mlp.problems.reference().network.loss
    with pytest.raises(ValueError, match="no layer must be called 'loss'"):
        check_layers(network(Scaling("loss"), loss=loss), INPUTS, INPUTS)
    with pytest.raises(TypeError, match="unknown option 'sead'; did you mean 'seed'"):
        check_layers(network(Scaling()), INPUTS, sead=1)
