"""The demos that gradcheck takes part in: what it says there is what is so."""

import re

import pytest

import gradcheck
from mlp.demos import DEMOS
from mlp.demos.catalogue import Settings

SEEDS = range(5)


def shown(name, seed=0, **options):
    settings = Settings(
        verifier=gradcheck.layer_verifier, monitor=gradcheck.DescentMonitor, seed=seed, **options
    )
    outcome = DEMOS[name].run(settings)
    assert all(len(line) <= 80 and line.isascii() for line in outcome.lines)
    return outcome


@pytest.mark.parametrize("seed", SEEDS)
def test_a_verified_backward_stops_at_the_first_layer_that_is_wrong(seed):
    outcome = shown("verified", seed)
    text = "\n".join(outcome.lines)
    right, wrong = text.split("Parameters and inputs were moved")
    assert "4 checks: 4 ok, 0 inconclusive, 0 wrong" in right
    assert [line.split()[:2] for line in wrong.splitlines() if line.startswith("lay")] == [
        ["layer", "verdict"],
        ["layer3", "ok"],
        ["layer2", "FAIL"],
        ["layer2.weight", "missing_activation_derivative"],
    ]
    assert outcome.figures == {"raised if right": False, "raised if wrong": True}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_watched_descent_is_told_from_steps_too_long_and_from_a_wrong_gradient(seed):
    outcome = shown("descent", seed)
    verdicts = [line for line in outcome.lines if line.startswith(("PASS", "FAIL"))]
    assert [verdict[:4] for verdict in verdicts] == ["PASS", "PASS", "FAIL"]
    steps = [line for line in outcome.lines if line.startswith("steps:")]
    assert "overshoots" in steps[1]
    assert "wrong" not in steps[0] + steps[1]
    assert "12 wrong gradient" in steps[2]


QUICK = {"steps", "digits"}
TRAINED = [
    pytest.param(name, marks=[] if name in QUICK else [pytest.mark.slow])
    for name, demo in DEMOS.items()
    if demo.trains
]


@pytest.mark.parametrize("name", TRAINED)
def test_training_verifies_itself_when_asked_and_says_what_it_costs(name):
    text = "\n".join(shown(name, verify_every=100).lines)
    assert re.search(r"verified [\d,]+ of [\d,]+ steps: [\d.]+ s of [\d.]+ s", text)


@pytest.mark.parametrize("name", TRAINED)
def test_training_is_watched_when_asked_and_its_gradients_are_right(name):
    closing = [
        line
        for line in shown(name, observing=True).lines
        if re.match("PASS|FAIL|INCONCLUSIVE", line)
    ]
    assert closing
    assert all("FAIL" not in line for line in closing)
