"""A monitored training in print, from records made by hand."""

import math
from dataclasses import replace

import pytest

from gradcheck.descent import DescentReport, DescentStep, TaylorOrder
from gradcheck.rendering.descent import render_descent

GOOD = DescentStep(
    number=0,
    verdict="pass",
    reason="",
    loss=1.25,
    loss_after=1.205,
    noise=1e-16,
    analytic=-0.05,
    numerical=-0.05 + 1e-13,
    error_bar=1e-11,
    resolution=2e-10,
    length=0.1,
    gradient_norm=0.5,
    curvature=1.0,
    curvature_error_bar=1e-6,
    gradient_curvature=1.0,
    first_order=TaylorOrder(1.0, 1.0, 1e-4),
    second_order=TaylorOrder(2.0, 1.0, 1e-4),
    evaluations=22,
)


def training(*steps):
    numbered = tuple(replace(step, number=number) for number, step in enumerate(steps))
    return DescentReport(numbered, sum(step.evaluations for step in numbered), 0.0234)


def wrong(**given):
    return replace(GOOD, verdict="fail", numerical=-0.025, resolution=0.5, **given)


def test_a_short_training_is_a_line_per_step_and_the_verdict_last():
    text = str(training(GOOD, replace(GOOD, loss=1.205, loss_after=1.16)))
    assert text == (
        " step     loss  promised   fell by  ratio verified longest order progress\n"
        "    0 1.25e+00  5.00e-02  4.50e-02    0.9    2e-10      10   2.0 as promised\n"
        "    1 1.21e+00  5.00e-02  4.50e-02    0.9    2e-10      10   2.0 as promised\n"
        "\n"
        "longest: how many such steps the curvature allows before the loss rises; order:\n"
        "  that of the Taylor remainder, 2 if the gradient is right\n"
        "steps: 2 as promised\n"
        "PASS  the gradient is right along 2 steps, to 2e-10; 44 evaluations, 0.02 s"
    )


def test_a_wrong_gradient_shows_both_slopes_of_the_first_step_that_fails():
    *_, slopes, hint, verdict = render_descent(training(GOOD, wrong(), wrong())).splitlines()
    assert slopes == ("step 1: along it the gradient says -0.0500000, the loss -0.0250000 +- 1e-11")
    assert hint == "is the monitor called before the update, with loss and gradient of one batch?"
    assert verdict.startswith("FAIL  the gradient is wrong along 2 of 3 steps; 66 evaluations")


def test_reasons_are_told_once_for_every_kind():
    lost = replace(GOOD, verdict="inconclusive", reason="its loss was 1 and is 2", comparable=False)
    noisy = replace(GOOD, verdict="inconclusive", reason="noise in the loss")
    text = render_descent(training(lost, replace(lost, reason="other numbers"), noisy))
    assert "step 0: its loss was 1 and is 2\n" in text
    assert "step 2: noise in the loss\n" in text
    assert "other numbers" not in text
    assert "INCONCLUSIVE  the gradient is undecided along 3 of 3 steps" in text


def test_of_a_long_training_the_worst_and_the_last_steps_are_shown():
    rising = replace(GOOD, loss_after=1.3)
    steps = [GOOD] * 500
    steps[17], steps[230], steps[231] = wrong(), rising, rising
    table = render_descent(training(*steps)).split("\n\n")[0].splitlines()[1:]
    shown = [line.split()[0] for line in table]
    assert shown == ["...", "17", "...", "230", "231", "...", *map(str, range(491, 500))]
    assert "wrong gradient" in table[1]
    assert "overshoots" in table[3]


def test_nothing_is_wider_than_80_columns_or_beyond_ascii():
    extreme = replace(
        wrong(),
        reason="Ω" * 100,
        loss=-1e300,
        loss_after=1e-300,
        analytic=1e-300,
        comparable=False,
    )
    unknown = DescentStep(1234, "inconclusive", "before it, parameter 'Ж' must be finite, got nan")
    text = render_descent(training(*[extreme, unknown, GOOD] * 5, *[GOOD] * 4))
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("size", [math.nan, math.inf, 0.0])
def test_numbers_that_are_none_are_no_obstacle(size):
    odd = replace(GOOD, loss=size, analytic=size, numerical=size, length=size, curvature=size)
    assert "progress" in render_descent(training(*[odd] * 20))


def test_without_steps_there_is_only_the_verdict():
    assert render_descent(training()) == (
        "INCONCLUSIVE  no step was taken that could be judged; 0 evaluations, 0.02 s"
    )


def test_where_a_training_leads_is_told():
    halving = [replace(GOOD, gradient_norm=0.5**n) for n in range(20)]
    assert "the norm of the gradient changes by a factor of 0.5 per step" in str(training(*halving))
    worse = [*[GOOD] * 10, *[replace(GOOD, loss_after=1.235)] * 10]
    assert "actual to promised decrease: 0.9 at first, 0.3 lately" in str(training(*worse))
    rising = [replace(GOOD, loss_after=1.3)] * 20
    assert "diverging: the loss rose in 10 of the last 10 steps" in str(training(*rising))


def test_a_step_of_length_zero_promises_zero_and_not_less():
    still = replace(GOOD, loss_after=GOOD.loss, analytic=0.0, length=0.0, reason="no parameter")
    assert math.copysign(1, still.promised) == -1
    assert " 0.00e+00  0.00e+00 " in str(training(still))
    assert "-0" not in str(training(still)).splitlines()[1]


@pytest.mark.parametrize("words", ["8.33 s", "3 min 20 s"])
def test_a_time_is_not_cut_off_from_its_unit_at_the_end_of_a_line(words):
    seconds = {"8.33 s": 8.33, "3 min 20 s": 200.0}[words]
    for steps in range(1, 120):
        text = str(replace(training(*[GOOD] * steps), seconds=seconds, evaluations=10**steps))
        assert not any(line.endswith(("8.33", "3", "20")) for line in text.splitlines())
