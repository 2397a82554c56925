"""The demos of the 2-2-2 network show the published figures, and what is wrong with one of them."""

import re
import sys

import pytest

from mlp.__main__ import main
from mlp.demos import DEMOS
from mlp.demos.catalogue import Settings


@pytest.fixture
def settings():
    """Return settings without a verifier or an observer."""
    return Settings(verifier=lambda: pytest.fail("asked"), monitor=lambda: pytest.fail("asked"))


@pytest.fixture
def no_torch(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)


def told(outcome):
    assert max(map(len, outcome.lines)) <= 80
    assert all(line.isprintable() for line in outcome.lines)
    return "\n".join(outcome.lines)


def cells(text, name):
    """Return what stands in the line of the name."""
    (line,) = [line for line in text.splitlines() if line.startswith(name)]
    return [cell.strip() for cell in re.split(r"  +| (?=-)", line)[1:]]


SLOPES = {
    "dL/dw11": -5.34381483665323e-08,
    "dL/dw12": 0.0014201436720081408,
    "dL/dw21": -1.7812716122177433e-08,
    "dL/dw22": 0.0004733812240027136,
    "dL/dv11": -0.10518769048825163,
    "dL/dv12": 0.02654904571226164,
    "dL/dv21": -0.0018919280994576303,
    "dL/dv22": 0.0004775167642113309,
}


@pytest.mark.usefixtures("no_torch")
def test_without_torch_three_derivations_agree_and_the_way_to_the_fourth_is_told(settings):
    outcome = DEMOS["derivations"].run(settings)
    text = told(outcome)
    for name, slope in SLOPES.items():
        assert cells(text, name) == [
            *[f"{slope:.9e}"] * 3,
            "not installed",
        ]
    assert "pip install torch adds the last column" in text
    assert outcome.figures["ways"] == 3
    assert outcome.figures["difference"] < 1e-14


@pytest.mark.frameworks
def test_with_torch_four_derivations_agree(settings):
    outcome = DEMOS["derivations"].run(settings)
    text = told(outcome)
    for name, slope in SLOPES.items():
        assert cells(text, name) == [f"{slope:.9e}"] * 4
    assert "install" not in text
    assert outcome.figures["ways"] == 4
    assert outcome.figures["difference"] < 1e-13


@pytest.mark.usefixtures("no_torch")
def test_what_is_found_on_the_way_is_shown(settings):
    text = told(DEMOS["derivations"].run(settings))
    published = {
        "e1, e2": (-0.2680582866305111, 0.12303185591001443),
        "dL/dy1, ": (-0.5361165732610222, 0.24606371182002887),
        "dL/dy1_in": (-0.10518770232556676, 0.026549048699963138),
        "dL/dh1, ": (-0.15828579972549303, 0.026801171818534586),
        "y1, y2": (0.7319417133694889, 0.12303185591001443),
    }
    for name, values in published.items():
        assert [float(cell) for cell in cells(text, name)] == pytest.approx(values, rel=1e-14)
    assert cells(text, "h1, h2")[0] == "0.9999998874648379"
    assert "the loss of instance 1 is 0.08699208259994" in text
    assert "at w = 3: 16, d/dw = 32 by hand, 32 by tape" in text
    assert "29, d/dx = 18 by hand, 18 by tape, d/dy = 4 by hand, 4 by tape" in text


@pytest.mark.usefixtures("no_torch")
@pytest.mark.parametrize("seed", range(10))
def test_tape_and_layers_agree_on_the_other_networks(seed, settings):
    drawn = Settings(settings.verifier, settings.monitor, seed=seed)
    assert 0 < DEMOS["derivations"].run(drawn).figures["opinions"] < 1e-13


def test_steps_show_the_published_figures(settings):
    text = told(DEMOS["steps"].run(settings))
    for figure in [
        *["0.73194171 0.12303186, loss 0.08699208", "loss 0.33025203"],
        *["0.74165987 0.12162137, loss 0.08153138", "0.52811432 0.88207988, loss 0.29280989"],
        *["0.94607312 0.04903031", "0.05606368 0.95082381"],
    ]:
        assert text.count(figure) == 1, figure


def test_steps_show_that_the_printed_matrix_is_1_3_times_the_true_step(settings):
    text = told(DEMOS["steps"].run(settings))
    true, misprint = text.split("In print")
    for entry in ["1.05259373", "-2.01327451", "0.11257513", "2.01227682"]:
        assert entry in true
        assert entry not in misprint
    for entry in ["1.06837185", "-2.01725687", "0.07134767", "2.01595986"]:
        assert entry in misprint
    assert misprint.count("1.3000") == 4
    assert "learning rate of 0.65" in misprint


def test_the_curve_has_the_loss_of_every_step_and_falls(settings):
    outcome = DEMOS["steps"].run(settings)
    (curve,) = outcome.curves
    assert len(curve.values) == 200
    assert list(curve.values) == sorted(curve.values, reverse=True)
    assert curve.values[0] == pytest.approx(0.08699208259994781 + 0.33025203, abs=1e-8)
    assert outcome.figures == {"first loss": curve.values[0], "last loss": curve.values[-1]}


def test_steps_are_verified_and_observed_where_asked():
    seen = {"verified": 0, "observed": 0, "ended": 0}

    def verify(problem):
        seen["verified"] += 1

    class Monitor:
        def __call__(self, loss, parameters, gradient):
            seen["observed"] += 1

        def end(self, parameters):
            seen["ended"] += 1

        def __str__(self):
            return "as promised"

    asked = Settings(lambda: verify, Monitor, verify_every=50, observing=True)
    text = told(DEMOS["steps"].run(asked))
    assert "verified 4 of 200 steps" in text
    assert "as promised" in text
    # Every time the loss, two layers, and the whole network.
    assert seen == {"verified": 4 * 4, "observed": 200, "ended": 1}


@pytest.mark.usefixtures("no_torch")
@pytest.mark.parametrize("name", ["derivations", "steps"])
def test_the_command_shows_the_demo(name, capsys):
    assert main([name]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"{DEMOS[name].title}\n\n")
    assert len(DEMOS[name].title) <= 60


def test_the_command_writes_the_curve(tmp_path, capsys):
    assert main(["steps", "-o", str(tmp_path / "loss.svg")]) == 0
    assert "<svg" in (tmp_path / "loss.svg").read_text(encoding="utf-8")
    assert "loss of both instances" in capsys.readouterr().out
