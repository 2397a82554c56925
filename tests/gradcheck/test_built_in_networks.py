"""Networks that are hard to check: normalised over the batch, full of kinks, saturated."""

import numpy as np
import pytest

from gradcheck import check, check_gradients, check_layers
from mlp import problems

NAMES = ["batch_norm", "spiral", "saturated"]
SEEDS = 20


def assert_passes(problem):
    report = check(problem)
    assert report.verdict == "pass", report
    layers = check_layers(problem.network, *problem.args)
    assert layers.verdict == "pass", layers


@pytest.mark.parametrize("name", NAMES)
def test_a_built_in_network_passes_as_a_whole_and_layer_by_layer(name):
    assert_passes(getattr(problems, name)(0))


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_built_in_network_passes_for_20_seeds_of_20(name):
    for seed in range(SEEDS):
        assert_passes(getattr(problems, name)(seed))


@pytest.mark.parametrize("name", NAMES)
def test_a_built_in_network_in_float32_is_never_held_against_its_gradient(name):
    problem = getattr(problems, name)(0)
    narrow = {
        layer: {key: array.astype(np.float32) for key, array in values.items()}
        for layer, values in problem.parameters.items()
    }
    data = tuple(array.astype(np.float32) for array in problem.args)
    report = check_gradients(problem.loss, problem.gradient, narrow, args=data)
    assert report.verdict != "fail", report


def test_the_layers_of_the_normalised_network_are_shown_in_its_report():
    report = check(problems.batch_norm())
    names = ["layer1", "norm1", "layer2", "norm2", "layer3"]
    assert [layer.name for layer in report.layers] == names
    assert report["norm1.gamma"].shape == (8,)


def test_a_report_tells_where_the_gradients_of_the_saturated_network_are_lost():
    notes = "\n".join(check(problems.saturated()).notes)
    assert "vanish: they shrink" in notes
    assert "from layer4 down to layer1" in notes
    assert "layer1: 5 of 10 units (50 %) are saturated" in notes
