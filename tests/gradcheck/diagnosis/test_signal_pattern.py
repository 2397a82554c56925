"""GC401 as a black box: what is wrong, and what is right, in a chain of layers."""

import numpy as np
import pytest

from gradcheck.diagnosis.signal_pattern import right_signal, signal_pattern

ALL = slice(None)
SEEDS = range(10)
UNITS = (5, 4, 3, 2)
LAYERS = ("one", "two", "three")
NAMES = ("W1", "b1", "W2", "b2", "W3", "b3")
LAYER_OF = {name: LAYERS[int(name[1]) - 1] for name in NAMES}


def chain(samples=9, seed=0, columns=False):
    """Return the gradients of a chain of layers, and such as come from wrong signals.

    dL/dW = x.T @ delta and dL/db = sum(delta), for any inputs x and any signals delta.
    """
    generator = np.random.default_rng([seed, 17])
    true, wrong = {}, {}
    for number in range(3):
        inputs = generator.normal(size=(samples, UNITS[number]))
        for gradients in (true, wrong):
            delta = generator.normal(size=(samples, UNITS[number + 1]))
            weight = inputs.T @ delta
            gradients[f"W{number + 1}"] = weight.T if columns else weight
            gradients[f"b{number + 1}"] = delta.sum(axis=0)
    return true, wrong


def found_in(facts_of, true, claimed, **fields):
    """Return the finding where no parameter has a cause of its own."""
    facts = facts_of(true, claimed, **({"layer_of": LAYER_OF} | fields))
    return signal_pattern(facts, facts.failing)


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize(
    ("depth", "between"), [(1, "between two and one"), (2, "between three and two")]
)
def test_all_before_a_wrong_signal_is_wrong(depth, between, columns, facts_of):
    for seed in SEEDS:
        true, wrong = chain(seed=seed, columns=columns)
        names = NAMES[: 2 * depth]
        found = found_in(facts_of, true, {n: wrong[n] if n in names else true[n] for n in NAMES})
        assert found.slug == "wrong_upstream"
        assert found.parameters == names
        assert f"the signal {between} is wrong" in found.evidence
        assert found.details == {"below": LAYERS[depth - 1], "above": LAYERS[depth]}


def test_where_all_is_wrong_no_signal_is_known_to_be(facts_of):
    for seed in SEEDS:
        true, wrong = chain(seed=seed)
        assert found_in(facts_of, true, wrong) is None


def test_layers_of_numbers_are_called_layers(facts_of):
    true, wrong = chain()
    claimed = {name: wrong[name] if name in NAMES[:2] else true[name] for name in NAMES}
    found = found_in(facts_of, true, claimed, layer_of={name: name[1] for name in NAMES})
    assert "between layer 2 and layer 1" in found.evidence


@pytest.mark.parametrize(
    "names",
    [
        ("W2", "b2"),  # what comes before it is right
        ("W2", "b2", "W3", "b3"),
        ("W3", "b3"),
        ("W1",),  # the bias of the same signal is right
        ("W1", "b1", "W2"),
        ("W1", "b2"),
        ("b1",),
    ],
)
def test_wrong_parameters_in_no_prefix_have_no_common_signal(names, facts_of):
    for seed in SEEDS:
        true, wrong = chain(seed=seed)
        claimed = {name: wrong[name] if name in names else true[name] for name in NAMES}
        assert found_in(facts_of, true, claimed) is None


def test_layers_without_biases_are_no_chain(facts_of):
    # Matrices alone fit each other in attention and recurrence too.
    true, wrong = chain()
    weights = ("W1", "W2", "W3")
    true = {name: true[name] for name in weights}
    assert found_in(facts_of, true, {**true, "W1": wrong["W1"], "W2": wrong["W2"]}) is None


def test_parameters_with_causes_of_their_own_are_not_claimed(facts_of):
    true, wrong = chain()
    claimed = {name: wrong[name] if name in NAMES[:4] else true[name] for name in NAMES}
    facts = facts_of(true, claimed, layer_of=LAYER_OF)
    # That of layer two is explained: what is left is no longer next to what is right.
    assert signal_pattern(facts, ("W1", "b1")) is None
    assert signal_pattern(facts, ("W1", "b1", "W2")) is None
    found = signal_pattern(facts, ("b1", "W2", "b2"))
    assert found.parameters == ("b1", "W2", "b2")


def test_a_parameter_that_could_not_be_judged_leaves_it_open(facts_of):
    true, wrong = chain()
    claimed = {name: wrong[name] if name in NAMES[:2] else true[name] for name in NAMES}
    passing = tuple(name for name in NAMES[2:] if name != "b3")
    assert found_in(facts_of, true, claimed, passing=passing) is None


def test_reversed_orders_come_from_no_signal(facts_of):
    # Units in another order in all of a layer, with more units than samples.
    for seed in SEEDS:
        true, _ = chain(samples=2, seed=seed)
        claimed = {**true, "W1": true["W1"][::-1], "b1": true["b1"][::-1]}
        assert found_in(facts_of, true, claimed, sizes={"batch": 2}) is None


def test_two_unrelated_faults_have_no_common_signal(facts_of):
    for seed in SEEDS:
        true, _ = chain(seed=seed)
        claimed = {**true, "W1": true["W1"].copy(), "b1": true["b1"].copy()}
        claimed["W1"][2] *= 1.5  # an input
        claimed["b1"][0] += 1.0  # a unit
        assert found_in(facts_of, true, claimed) is None
        claimed["b1"] = 3.0 * true["b1"]  # all units, of which an input alone says nothing
        assert found_in(facts_of, true, claimed) is None
        claimed["W1"], claimed["b1"] = true["W1"].copy(), true["b1"].copy()
        claimed["W1"][:, 1] *= 1.5  # another unit
        claimed["b1"][0] += 1.0
        assert found_in(facts_of, true, claimed) is None


def test_the_same_units_may_be_wrong_in_weight_and_bias(facts_of):
    for columns in (False, True):
        true, wrong = chain(columns=columns)
        claimed = {**true, "W1": true["W1"].copy(), "b1": true["b1"].copy()}
        units = (ALL, [1, 3]) if not columns else ([1, 3],)
        claimed["W1"][units] = wrong["W1"][units]
        claimed["b1"][[1, 3]] = wrong["b1"][[1, 3]]
        assert found_in(facts_of, true, claimed).parameters == ("W1", "b1")


def test_columns_outside_what_the_samples_span_come_from_no_signal(facts_of):
    # Two samples: every column of dL/dW is a combination of two vectors.
    for seed in SEEDS:
        true, wrong = chain(samples=2, seed=seed)
        claimed = {name: wrong[name] if name in NAMES[:2] else true[name] for name in NAMES}
        assert found_in(facts_of, true, claimed, sizes={"batch": 2}) is not None
        outside = np.random.default_rng(seed).normal(size=true["W1"].shape)
        assert (
            found_in(facts_of, true, {**claimed, "W1": true["W1"] + outside}, sizes={"batch": 2})
            is None
        )


@pytest.mark.parametrize("size", [1e-200, 1e150])
def test_the_size_of_a_gradient_does_not_matter(size, facts_of):
    true, wrong = chain(samples=2)
    true, wrong = ({n: size * a for n, a in part.items()} for part in (true, wrong))
    claimed = {name: wrong[name] if name in NAMES[:2] else true[name] for name in NAMES}
    assert found_in(facts_of, true, claimed, sizes={"batch": 2}) is not None
    outside = size * np.random.default_rng(0).normal(size=true["W1"].shape)
    assert (
        found_in(facts_of, true, {**claimed, "W1": true["W1"] + outside}, sizes={"batch": 2})
        is None
    )


@pytest.mark.parametrize(
    "shapes",
    [
        {"W1": (5, 4), "b1": (4,), "W2": (3, 2), "b2": (2,)},  # 4 units are not 3 inputs
        {"W1": (5, 4), "b1": (4,), "b2": (2,)},  # a layer without a matrix
        {"W1": (5, 4), "V1": (5, 4), "W2": (4, 2)},  # two matrices in a layer
        {"W1": (5, 4), "b1": (4,)},  # one layer
        {"W1": (5, 4, 2), "W2": (2, 3)},
    ],
)
def test_what_is_no_chain_has_no_signal(shapes, waves, facts_of):
    true = waves(shapes).true
    claimed = {n: a + 1.0 if n.endswith("1") else a for n, a in true.items()}
    facts = facts_of(true, claimed, layer_of={name: name[1] for name in shapes})
    assert signal_pattern(facts, facts.failing) is None
    assert right_signal(facts, ("W1",)) == ""


@pytest.mark.parametrize("shape", [(1, 4), (4, 1)])
def test_a_bias_may_be_a_matrix_of_one_row_or_column(shape, facts_of):
    true, wrong = chain()
    true, wrong = {**true}, {**wrong}
    true["b1"], wrong["b1"] = true["b1"].reshape(shape), wrong["b1"].reshape(shape)
    claimed = {name: wrong[name] if name in NAMES[:2] else true[name] for name in NAMES}
    assert found_in(facts_of, true, claimed).parameters == ("W1", "b1")


def test_a_gradient_that_should_be_zero_is_no_obstacle(facts_of):
    true, wrong = chain()
    true = {**true, "W1": np.zeros_like(true["W1"])}
    claimed = {**true, "W1": wrong["W1"], "b1": wrong["b1"]}
    assert found_in(facts_of, true, claimed).parameters == ("W1", "b1")


def test_where_the_samples_are_not_known_their_span_is_not_either(facts_of):
    true, wrong = chain(samples=2)
    outside = np.random.default_rng(0).normal(size=true["W1"].shape)
    claimed = {**true, "W1": true["W1"] + outside, "b1": wrong["b1"]}
    assert found_in(facts_of, true, claimed) is not None
    for known in ({"sizes": {"batch": 2}}, {"args": (np.ones((2, 5)),)}):
        assert found_in(facts_of, true, claimed, **known) is None
    assert found_in(facts_of, true, claimed, args=(np.ones(2), np.ones(3))) is not None


def test_sampled_entries_leave_the_pattern_to_speak(facts_of):
    true, wrong = chain()
    claimed = {name: wrong[name] if name in NAMES[:2] else true[name] for name in NAMES}
    assert found_in(facts_of, true, claimed, measured=0.5).parameters == ("W1", "b1")


def test_what_shows_that_a_signal_is_right_is_told(facts_of):
    true, wrong = chain()
    by_bias = facts_of(true, {**true, "W2": wrong["W2"]}, layer_of=LAYER_OF)
    assert right_signal(by_bias, ("W2",)) == (
        "b2 is right, so the signal is: look at the line that forms W2"
    )
    by_below = facts_of(true, {**true, "W2": wrong["W2"], "b2": wrong["b2"]}, layer_of=LAYER_OF)
    assert right_signal(by_below, ("W2", "b2")) == (
        "one is right, so the signal is: look at the lines that form W2, b2"
    )
    nowhere = facts_of(true, {**true, "W1": wrong["W1"], "b1": wrong["b1"]}, layer_of=LAYER_OF)
    assert right_signal(nowhere, ("W1", "b1")) == ""
    assert right_signal(by_below, ("W1", "W2")) == ""


def network(sloppy_below, seed=0):
    """Return a problem of three tanh layers whose signal is wrong below one of them."""
    generator = np.random.default_rng([seed, 19])
    parameters = {}
    for number in range(3):
        parameters[f"W{number + 1}"] = generator.normal(size=UNITS[number : number + 2]) * 0.5
        parameters[f"b{number + 1}"] = generator.normal(size=UNITS[number + 1]) * 0.1
    inputs = generator.normal(size=(7, UNITS[0]))

    def forward(p):
        outputs = [inputs]
        for number in (1, 2, 3):
            outputs.append(np.tanh(outputs[-1] @ p[f"W{number}"] + p[f"b{number}"]))
        return outputs

    def loss(p):
        return float(np.sum(forward(p)[-1] ** 2)) / 2

    def gradient(p):
        outputs, found = forward(p), {}
        upstream = outputs[-1]
        for number in (3, 2, 1):
            delta = upstream * (1 - outputs[number] ** 2)
            found[f"W{number}"] = outputs[number - 1].T @ delta
            found[f"b{number}"] = delta.sum(axis=0)
            upstream = delta @ p[f"W{number}"].T
            if number == sloppy_below:
                upstream = upstream**2 + 0.1
        return {name: found[name] for name in p}

    return loss, gradient, parameters


@pytest.mark.parametrize("layer", [2, 3])
@pytest.mark.parametrize("effort", ["auto", "quick"])
def test_a_wrong_signal_of_a_network_is_named(layer, effort, checked_errors):
    for seed in range(3):
        (found,) = checked_errors(*network(layer, seed), effort=effort)
        assert found.slug == "wrong_upstream"
        assert found.parameters == NAMES[: 2 * (layer - 1)]
        assert f"between layer {layer} and layer {layer - 1}" in found.evidence


def test_a_network_without_a_fault_has_no_finding(checked_errors):
    assert checked_errors(*network(None)) == []
