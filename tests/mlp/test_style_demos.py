"""The demos of the styles learn what they say, in figures, for more than one seed."""

from statistics import median

import numpy as np
import pytest

from mlp.demos import DEMOS, quadrants
from mlp.demos.catalogue import Settings

NAMES = ["six_arrays", "any_depth", "zeros", "quadrants"]
SEEDS = range(10)
# Not those that the number of steps was chosen on.
QUADRANT_SEEDS = range(5_000, 5_010)


def outcome(name, seed=0):
    return DEMOS[name].run(Settings(verifier=None, monitor=None, seed=seed))


def assert_presentable(shown):
    assert all(len(line) <= 80 and line.isascii() for line in shown.lines)
    assert shown.curves


@pytest.mark.parametrize("name", NAMES)
def test_demo_is_listed_under_its_name(name):
    demo = DEMOS[name]
    assert demo.name == name
    assert 0 < len(demo.title) <= 60
    assert not demo.trains


@pytest.mark.parametrize("seed", SEEDS)
def test_descent_on_six_arrays_closes_in_on_the_mean_target(seed):
    shown = outcome("six_arrays", seed)
    first, last, floor = shown.figures.values()
    losses = shown.curves[0].values
    assert (losses[0], losses[-1]) == (first, last)
    assert (len(losses), shown.across) == (21, "step")
    # Near h = 1/2 the loss is a parabola of curvature 2 along its gradient: steps of 0.2 shrink
    # the distance to its bottom by (1 - 0.4)**2 each, as nearly as h is 1/2.
    assert losses[4] - floor == pytest.approx((first - floor) * 0.36**4, rel=0.1)
    assert last == pytest.approx(floor, rel=1e-4)
    assert_presentable(shown)


def test_six_arrays_show_their_shapes_and_losses():
    shown = outcome("six_arrays")
    text = "\n".join(shown.lines)
    assert "x (3, 5) -> h1 (4, 5) -> h2 (4, 5) -> y (2, 5)" in text
    for name, shape in (("W1", (4, 3)), ("b1", (4,)), ("W3", (2, 4)), ("b3", (2,))):
        (line,) = (line for line in shown.lines if line.startswith(name))
        assert line.count(str(shape)) == 2
    assert "   0  0.639706" in text
    assert "  20  0.571907" in text
    assert "mean target has a loss of 0.571907" in text


@pytest.mark.parametrize("seed", range(5))
def test_networks_with_hidden_layers_fit_the_sine_and_one_without_cannot(seed):
    shown = outcome("any_depth", seed)
    figures = shown.figures
    x = np.linspace(-1, 1, 20)
    slope = np.linspace(0, 3, 30_001)[:, np.newaxis]
    # Without a hidden layer the best is a tanh of the right slope, by symmetry with no bias.
    best = np.sum((np.tanh(slope * x) - 0.8 * np.sin(np.pi * x)) ** 2, axis=1).min()
    assert figures["loss of 1 after"] == pytest.approx(best, rel=1e-6)
    for depth in (2, 3, 4):
        before, after = figures[f"loss of {depth} before"], figures[f"loss of {depth} after"]
        assert before > 2
        assert after < 0.25
        assert f"{before:11.4f}  {after:.4f}" in shown.lines[3 + depth]
    assert [curve.values[-1] for curve in shown.curves] == [
        figures[f"loss of {depth} after"] for depth in (1, 2, 3, 4)
    ]
    assert {len(curve.values) for curve in shown.curves} == {101}
    assert shown.across == "step / 20"
    assert_presentable(shown)


def test_network_learns_to_answer_zeros():
    shown = outcome("zeros")
    before, after = shown.figures["before"], shown.figures["after"]
    assert before == pytest.approx(3.58375, rel=1e-5)
    assert after < before / 500
    assert f"before                {before:.6f}" in shown.lines[2]
    assert f"after 10,000 steps    {after:.6f}" in shown.lines[3]
    assert shown.curves[0].values[:: len(shown.curves[0].values) - 1] == (before, after)
    assert (len(shown.curves[0].values), shown.across) == (101, "step / 100")
    assert_presentable(shown)


def test_zeros_are_learned_whatever_the_seed():
    figures = [outcome("zeros", seed).figures for seed in range(1, 4)]
    assert all(one["after"] < min(0.1, one["before"]) for one in figures)
    assert median(one["after"] / one["before"] for one in figures) < 0.01


def test_guesses_at_quadrants_are_pictured_before_and_after(monkeypatch):
    monkeypatch.setattr(quadrants, "STEPS", 6_000)
    shown = outcome("quadrants", 1)
    before, after = shown.figures["before"], shown.figures["after"]
    assert after > before + 0.2
    told = f"{before:.1%} of 1,000 points are guessed right before, {after:.1%} after"
    assert shown.lines[:2] == (told, "6,000 steps, each on one other point.")
    assert (len(shown.curves[0].values), shown.across) == (7, "step / 1,000")
    assert shown.curves[0].values[:: len(shown.curves[0].values) - 1] == (before, after)
    assert_presentable(shown)
    pictures = shown.lines[-18:]
    assert all(len(line) == 75 for line in pictures)
    # The upper right and the lower left are right to be "#".
    truth = ["." * 18 + "#" * 18] * 9 + ["#" * 18 + "." * 18] * 9
    for part, accuracy in ((slice(0, 36), before), (slice(39, 75), after)):
        guessed = "".join(line[part] for line in pictures)
        right = np.mean([one == other for one, other in zip(guessed, "".join(truth), strict=True)])
        assert right == pytest.approx(accuracy, abs=0.05)


@pytest.mark.slow
def test_accuracy_over_ten_seeds_is_what_is_promised():
    figures = [outcome("quadrants", seed).figures for seed in QUADRANT_SEEDS]
    after = [one["after"] for one in figures]
    assert len(after) == 10
    assert median(after) >= 0.85
    assert min(after) >= 0.65
    assert median(one["before"] for one in figures) < 0.6


def test_targets_of_the_quadrants_are_one_hot_by_the_sign_of_the_product():
    points = np.array([[1.0, -1.0, 1.0, -0.5], [0.5, -2.0, -1.0, 1.0]])
    np.testing.assert_equal(quadrants._targets(points), [[1, 1, 0, 0], [0, 0, 1, 1]])
