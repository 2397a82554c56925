"""What a monitor says of steps whose promise, curvature and rate are known in closed form."""

import math
from functools import partial

import numpy as np
import pytest

from gradcheck import DescentMonitor

CURVATURES = np.array([1.0, 3.0, 10.0])
LARGEST = CURVATURES.max()
START = np.array([1.0, -2.0, 0.5])
EPSILON = float(np.finfo(float).eps)


def loss(x):
    return 0.5 * float(np.sum(CURVATURES * x**2))


def gradient(x):
    return CURVATURES * x


def descend(*, loss=loss, gradient=gradient, start=START, rate=0.05, steps=6, true=None):
    """Descend, by the true gradient where that is given, watched by a monitor."""
    monitor, x = DescentMonitor(), np.array(start)
    for _ in range(steps):
        claimed = gradient(x)
        monitor(loss, x, claimed)
        x = x - rate * (claimed if true is None else true(x))
    monitor.end(x)
    return monitor


def words(monitor):
    return {step.progress for step in monitor.steps}


def test_every_number_of_a_step_is_that_of_the_closed_form():
    monitor = descend(rate=0.05, steps=4)
    x = START
    for number, step in enumerate(monitor.steps):
        move = -0.05 * gradient(x)
        length = np.linalg.norm(move)
        assert step.number == number
        assert step.loss == pytest.approx(loss(x), rel=1e-15)
        assert step.loss_after == loss(x + move)
        assert step.analytic == pytest.approx(gradient(x) @ move, rel=1e-14)
        assert step.promised == -step.analytic
        assert abs(step.numerical - gradient(x) @ move) <= step.error_bar < 1e-8
        assert step.actual == pytest.approx(loss(x) - loss(x + move), rel=1e-12)
        assert step.ratio == pytest.approx(step.actual / step.promised)
        assert step.length == pytest.approx(length)
        assert step.gradient_norm == pytest.approx(np.linalg.norm(gradient(x)))
        bend = move @ (CURVATURES * move) / length**2
        assert abs(step.curvature - bend) <= step.curvature_error_bar < 1e-5
        assert step.promised_by_curvature == pytest.approx(step.actual, rel=1e-6)
        assert step.longest == pytest.approx(2 * step.promised / (bend * length**2), rel=1e-6)
        if number < 3:
            assert step.gradient_curvature == pytest.approx(bend)
        else:
            assert step.gradient_curvature is None  # nobody says what it is at the end
        x = x + move
    assert monitor.verdict == "pass"
    assert words(monitor) == {"as promised"}


def test_steps_just_short_of_the_longest_go_as_promised():
    monitor = descend(start=[0.0, 0.0, 1.0], rate=1.9 / LARGEST, steps=20)
    assert words(monitor) == {"as promised"}
    assert [step.ratio for step in monitor.steps] == pytest.approx([0.05] * 20)
    assert monitor.steps[0].longest == pytest.approx(2 / 1.9)
    # The error changes by 1 - 1.9 per step.
    assert monitor.report.rate == pytest.approx(0.9)
    assert not monitor.report.is_diverging


def test_steps_beyond_the_longest_overshoot_and_diverge():
    monitor = descend(start=[0.0, 0.0, 1.0], rate=2.1 / LARGEST, steps=20)
    assert words(monitor) == {"overshoots"}
    assert monitor.verdict == "pass"  # the gradient is right, the steps are too long
    assert monitor.steps[0].longest == pytest.approx(2 / 2.1)
    assert monitor.report.rate == pytest.approx(1.1)
    assert monitor.report.is_diverging
    assert monitor.report.rising == 10


def test_the_rate_is_that_of_the_slowest_direction_in_the_end():
    assert descend(rate=0.05, steps=80).report.rate == pytest.approx(0.95, abs=1e-3)


def test_a_ratio_that_drifts_is_told():
    # Curvature 12 x**2 of x**4 grows on the way up a step size schedule.
    monitor, x = DescentMonitor(), np.array([1.0])
    for number in range(20):
        slope = 4 * x**3
        monitor(lambda x: float(x[0] ** 4), x, slope)
        x = x - (0.01 if number < 10 else 0.1) * slope
    monitor.end(x)
    first, lately = monitor.report.ratios
    assert first > 0.9
    assert lately < 0.95 * first


def test_a_wall_on_the_way_that_the_curvature_did_not_announce_makes_a_step_fall_short():
    def wall(x):
        return math.exp(8 * x[0]) - 40 * x[0]

    monitor = DescentMonitor()
    monitor(wall, np.zeros(1), np.array([8.0 - 40.0]))
    monitor.end(np.array([0.33]))
    (step,) = monitor.steps
    # f'' = 64 at 0 takes 3.5 of the promised 10.6; what is left of them is 0.2.
    assert step.promised_by_curvature == pytest.approx(32 * 0.33 - 32 * 0.33**2, rel=1e-6)
    assert step.actual == pytest.approx(1 + 40 * 0.33 - math.exp(8 * 0.33))
    assert (step.verdict, step.progress) == ("pass", "falls short")


def test_a_step_beyond_the_longest_that_gains_a_little_falls_short():
    # Of curvature 1 at 0, and less further on: a step of 1.8 is the longest that it allows.
    monitor = DescentMonitor()
    monitor(lambda x: math.sqrt(1 + x[0] ** 2) - 0.9 * x[0], np.zeros(1), np.array([-0.9]))
    monitor.end(np.array([2.5]))
    (step,) = monitor.steps
    assert step.longest == pytest.approx(1.8 / 2.5)
    assert step.actual == pytest.approx(1 - math.sqrt(7.25) + 2.25)
    assert (step.verdict, step.progress) == ("pass", "falls short")


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: 2 * gradient(x),
        lambda x: -gradient(x),
        lambda x: 0.999 * gradient(x),
        lambda x: gradient(x) * [1, 1, 1 + 1e-3],
    ],
    ids=["twice", "sign", "per mille", "one entry"],
)
def test_a_wrong_gradient_fails_along_every_step_and_nothing_raises(wrong):
    monitor = descend(gradient=wrong, true=gradient)
    assert monitor.verdict == "fail"
    assert {step.verdict for step in monitor.steps} == {"fail"}
    assert words(monitor) == {"wrong gradient"}
    for step in monitor.steps:
        assert abs(step.analytic - step.numerical) > step.error_bar


def test_a_transposed_layer_fails():
    rng = np.random.default_rng(0)
    target = rng.standard_normal((4, 4))
    monitor = descend(
        loss=lambda w: 0.5 * float(np.sum((w - target) ** 2)),
        gradient=lambda w: (w - target).T,
        start=rng.standard_normal((4, 4)),
    )
    assert monitor.verdict == "fail"


def test_what_the_step_does_not_move_goes_unseen():
    # An entry whose gradient is zero by mistake stays where it is: a step cannot show it.
    monitor = descend(gradient=lambda x: gradient(x) * [1, 1, 0])
    assert monitor.verdict == "pass"
    # A step that moves it does.
    assert descend(gradient=lambda x: gradient(x) * [1, 1, 0], true=gradient).verdict == "fail"


def test_taylor_orders_tell_a_right_gradient_from_a_wrong_one():
    right, wrong = descend().steps[0], descend(gradient=lambda x: 2 * gradient(x)).steps[0]
    assert right.first_order.value == pytest.approx(1, abs=0.05)
    assert right.second_order.value == pytest.approx(2, abs=1e-3)
    assert wrong.second_order.value == pytest.approx(1, abs=0.05)
    assert right.second_order.smallest < right.second_order.largest


def test_the_order_of_the_exponential_is_the_closed_form_in_the_window_it_was_read_in():
    monitor = DescentMonitor()
    monitor(lambda x: math.exp(x[0]), np.zeros(1), np.ones(1))
    monitor.end(np.array([-0.25]))
    order = monitor.steps[0].second_order
    sizes = [math.exp(-0.25 * h) - 1 + 0.25 * h for h in (order.largest, order.smallest)]
    expected = math.log(sizes[0] / sizes[1]) / math.log(order.largest / order.smallest)
    assert order.value == pytest.approx(expected, abs=1e-4)


def test_a_straight_loss_has_no_second_order_and_no_curvature():
    slope = np.array([1.0, -2.0, 0.3])
    step = descend(loss=lambda x: float(slope @ x), gradient=lambda x: slope).steps[0]
    assert step.second_order is None
    assert step.first_order.value == pytest.approx(1, abs=1e-6)
    assert abs(step.curvature) <= step.curvature_error_bar
    assert (step.longest, step.ratio) == (math.inf, pytest.approx(1))
    assert (step.verdict, step.progress) == ("pass", "as promised")


def test_a_step_against_the_gradient_is_called_uphill_and_is_no_mistake():
    monitor = descend(true=lambda x: -gradient(x))
    assert words(monitor) == {"uphill"}
    assert monitor.verdict == "pass"
    assert all(math.isnan(step.longest) for step in monitor.steps)


def test_adam_is_judged_by_the_steps_that_it_takes():
    monitor, x = DescentMonitor(), np.array(START)
    mean, square = np.zeros(3), np.zeros(3)
    for number in range(1, 101):
        slope = gradient(x)
        monitor(loss, x, slope)
        mean, square = 0.9 * mean + 0.1 * slope, 0.999 * square + 0.001 * slope**2
        corrected = mean / (1 - 0.9**number), square / (1 - 0.999**number)
        x = x - 0.05 * corrected[0] / (np.sqrt(corrected[1]) + 1e-8)
    monitor.end(x)
    assert {step.verdict for step in monitor.steps} == {"pass"}
    assert words(monitor) > {"as promised", "uphill"}


@pytest.mark.parametrize("offset", [0.0, 1.0, -1e3])
def test_a_training_that_converges_stays_right_to_the_end(offset):
    goal = np.array([1.0, 2.0, -0.3])
    monitor = descend(
        loss=lambda x: loss(x - goal) + offset,
        gradient=lambda x: gradient(x - goal),
        rate=0.15,
        steps=120,
    )
    assert monitor.verdict == "pass"
    assert words(monitor) == {"as promised", "stalled"}
    assert monitor.steps[-1].progress == "stalled"


@pytest.mark.parametrize("scale", [1e-150, 1e-8, 1.0, 1e8, 1e150])
def test_units_change_nothing(scale):
    monitor = descend(
        loss=lambda x: loss(x / scale),
        gradient=lambda x: gradient(x / scale) / scale,
        start=START * scale,
        rate=0.05 * scale * scale,
    )
    assert {step.verdict for step in monitor.steps} == {"pass"}
    assert [step.ratio for step in monitor.steps] == pytest.approx(
        [step.ratio for step in descend().steps], rel=1e-6
    )


@pytest.mark.parametrize("rate", [1e-3, 1e-6, 1e-9, 1e-12])
def test_steps_may_be_as_short_as_they_like(rate):
    monitor = descend(rate=rate)
    assert monitor.verdict == "pass"
    assert descend(rate=rate, gradient=lambda x: 1.01 * gradient(x)).verdict == "fail"


def test_a_noisy_loss_accuses_nobody_and_hides_no_large_mistake():
    for seed in range(20):
        rng = np.random.default_rng(seed)

        def noisy(x, rng=rng):
            return loss(x) + 1e-4 * rng.standard_normal()

        assert descend(loss=noisy).verdict == "inconclusive"
        assert descend(loss=noisy, gradient=lambda x: 2 * gradient(x)).verdict == "fail"


def test_a_step_to_a_kink_or_from_one_is_no_mistake():
    monitor = descend(
        loss=lambda x: float(np.sum(np.abs(x))), gradient=np.sign, start=[1.0, 0.0, -1.0], rate=0.3
    )
    assert monitor.verdict == "pass"


def test_only_every_nth_step_is_judged_and_the_others_cost_no_call():
    calls = []

    def counted(x):
        calls.append(1)
        return loss(x)

    monitor = DescentMonitor(every=3)
    x, cost = np.array(START), []
    for _ in range(9):
        before = len(calls)
        slope = gradient(x)
        monitor(counted, x, slope)
        cost.append(len(calls) - before)
        x = x - 0.05 * slope
    monitor.end(x)  # the last one is not among them
    assert [step.number for step in monitor.steps] == [0, 3, 6]
    assert cost[2::3] == [0, 0, 0]
    assert monitor.evaluations == len(calls)
    every = descend(steps=9).steps
    assert [step.loss_after for step in monitor.steps] == [every[n].loss_after for n in (0, 3, 6)]


def test_calls_are_counted_and_few():
    calls = []

    def counted(x):
        calls.append(1)
        return loss(x)

    monitor = descend(loss=counted)
    assert monitor.evaluations == len(calls)
    assert all(step.evaluations <= 40 for step in monitor.steps)
    assert 0 < monitor.seconds < 10


def test_a_mini_batch_is_compared_with_itself():
    rng = np.random.default_rng(0)
    w, monitor = np.ones(3), DescentMonitor()
    for _ in range(10):
        inputs, targets = rng.standard_normal((8, 3)), rng.standard_normal(8)
        slope = 2 * inputs.T @ (inputs @ w - targets) / 8
        monitor(lambda w, x, y: np.mean((x @ w - y) ** 2), w, slope, (inputs, targets))
        w -= 0.05 * slope
    monitor.end()
    assert monitor.verdict == "pass"
    assert words(monitor) == {"as promised"}
    assert monitor.report.rate is None  # of gradients of different losses
    assert {step.gradient_curvature for step in monitor.steps} == {None}


def test_a_loss_that_reads_the_next_batch_by_now_accuses_nobody():
    rng = np.random.default_rng(0)
    w, monitor = np.ones(3), DescentMonitor()
    for _ in range(4):
        inputs, targets = rng.standard_normal((8, 3)), rng.standard_normal(8)
        slope = 2 * inputs.T @ (inputs @ w - targets) / 8
        monitor(lambda w: np.mean((inputs @ w - targets) ** 2), w, slope)  # noqa: B023
        w -= 0.05 * slope
    monitor.end()
    *before, last = monitor.steps
    assert {step.progress for step in before} == {"not comparable"}
    assert all("give copies in args=" in step.reason for step in before)
    assert last.verdict == "pass"
    assert monitor.verdict == "inconclusive"


@pytest.mark.parametrize("copied", [True, False])
def test_batch_buffers_that_are_filled_anew_have_to_be_handed_over_as_copies(copied):
    rng = np.random.default_rng(0)
    w, monitor = np.ones(3), DescentMonitor()
    inputs, targets = np.zeros((8, 3)), np.zeros(8)
    for _ in range(4):
        inputs[...], targets[...] = rng.standard_normal((8, 3)), rng.standard_normal(8)
        slope = 2 * inputs.T @ (inputs @ w - targets) / 8
        args = (inputs.copy(), targets.copy()) if copied else (inputs, targets)
        monitor(lambda w, x, y: np.mean((x @ w - y) ** 2), w, slope, args)
        w -= 0.05 * slope
    monitor.end()
    told = ["give copies in args=" in step.reason for step in monitor.steps]
    assert told == ([False] * 4 if copied else [True] * 3 + [False])
    assert monitor.verdict == ("pass" if copied else "inconclusive")


@pytest.mark.parametrize(("rate", "deviation"), [(0.005, 0.05), (0.001, 0.01)])
def test_a_step_is_not_called_stalled_where_a_noisy_loss_fell_as_promised(rate, deviation):
    fell = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        noisy = lambda x, rng=rng: loss(x) + deviation * rng.standard_normal()  # noqa: E731
        for step in descend(loss=noisy, gradient=gradient, rate=rate).steps:
            is_seen = step.promised > step.noise and step.ratio >= 0.5
            fell += is_seen
            assert not (is_seen and step.progress == "stalled")
    assert fell > 60  # of 120


def bowl(x):
    return loss(x) + np.sum(np.cos(x))


def called_late(*, scale=1.0, every=1, dtype=float, rate=0.05, in_place=False):
    """Descend along a loss that is no quadratic, the monitor called after every update."""
    monitor, x = DescentMonitor(every=every, in_place=in_place), np.array(START, dtype)
    for _ in range(8):
        claimed = (scale * (gradient(x) - np.sin(x))).astype(dtype)
        x -= dtype(rate) * claimed
        monitor(partial(bowl, x) if in_place else bowl, x, claimed)
    return monitor, x


@pytest.mark.parametrize(
    "options",
    [{}, {"every": 3}, {"dtype": np.float32}, {"in_place": True}, {"rate": 1e-4}, {"rate": 0.15}],
    ids=str,
)
def test_a_right_gradient_is_not_accused_where_the_monitor_is_called_after_the_update(options):
    monitor, x = called_late(**options)
    assert words(monitor) == {"not comparable"}
    assert monitor.verdict == "inconclusive"
    assert all("is called after the update" in step.reason for step in monitor.steps)
    np.testing.assert_array_equal(x, called_late(**options)[1])


@pytest.mark.parametrize("scale", [2.0, -1.0, 1.01])
def test_a_wrong_gradient_is_not_excused_where_the_monitor_is_called_after_the_update(scale):
    monitor, _ = called_late(scale=scale, rate=0.01)
    assert {step.verdict for step in monitor.steps} == {"fail"}


def test_the_gradient_of_one_batch_with_the_loss_of_all_fails_and_the_report_asks_about_it():
    rng = np.random.default_rng(0)
    inputs, targets = rng.standard_normal((32, 3)), rng.standard_normal(32)
    w, monitor = np.ones(3), DescentMonitor()
    for first in range(0, 32, 8):
        x, y = inputs[first : first + 8], targets[first : first + 8]
        slope = 2 * x.T @ (x @ w - y) / 8
        monitor(lambda w: np.mean((inputs @ w - targets) ** 2), w, slope)
        w -= 0.05 * slope
    monitor.end()
    assert {step.verdict for step in monitor.steps} == {"fail"}
    assert "with loss and gradient of one batch?" in str(monitor)
