"""Windows of rungs against sequences whose limit is known."""

import pytest

from gradcheck.extrapolation import RATIO, Reading, Rung, Window, all_windows
from gradcheck.one_sided import kink_at_origin
from gradcheck.trust import confirmed, smaller_steps_agree, trusted

READING = Reading(scale=1.0, multiplier=1.0, round_off=0.0)


def ladder(central, bend=lambda h: 0.0, *, first=1e-2, count=5, noise=0.0):
    steps = [first * RATIO**-k for k in range(count)]
    return {k: Rung(h, central(h), bend(h), noise) for k, h in enumerate(steps)}


def window(top, estimate, error, bottom=None):
    bottom = top + 1 if bottom is None else bottom
    step = 1e-2 * RATIO**-top
    return Window(top, bottom, step, estimate, 0.0, 0.0, 0.0, 0.0, 0.0, error)


@pytest.mark.parametrize(("count", "degree"), [(2, 2), (3, 4), (4, 6)])
def test_window_is_exact_on_even_polynomials_of_its_degree(count, degree):
    rungs = ladder(lambda h: 0.25 + 3 * h**degree, first=1.0, count=count)
    exact = next(w for w in all_windows(rungs, READING) if w.bottom - w.top == count - 1)
    assert exact.estimate == pytest.approx(0.25, abs=1e-13)


def test_truncation_covers_the_true_error_of_a_smooth_sequence():
    rungs = ladder(lambda h: 1 + h**2 - 2 * h**4 + h**6, first=0.5)
    for each in all_windows(rungs, READING):
        assert abs(each.estimate - 1.0) <= each.error


def test_two_rungs_that_agree_by_accident_are_not_believed():
    # h**2 and h**4 cancel between the second and the third rung, as at a fifth of the scale in
    # an eight-layer sigmoid network; the rung above shows how large both really are.
    first = 0.8
    cancel = 1 / ((first / RATIO) ** 2 + (first / RATIO**2) ** 2)
    rungs = ladder(lambda h: h**2 - cancel * h**4, first=first)
    accident = next(w for w in all_windows(rungs, READING) if (w.top, w.bottom) == (1, 2))
    assert abs(accident.estimate) <= accident.error


def test_jump_within_reach_of_every_step_is_part_of_the_error_bar():
    rungs = ladder(lambda h: 0.5, bend=lambda h: 1.0)
    for each in all_windows(rungs, READING):
        assert each.kink >= 0.5


@pytest.mark.parametrize("part", [0.05, 0.3, 0.6, 0.9])
def test_kink_between_the_origin_and_the_smallest_step_is_covered(part):
    # f(t) = max(t - c, 0): its derivative at 0 is 0, the differences see up to 1/2.
    smallest = 1e-4 * RATIO**-2
    at = part * smallest
    rungs = ladder(
        lambda h: max(h - at, 0.0) / (2 * h),
        bend=lambda h: max(h - at, 0.0) / h,
        first=1e-4,
        count=3,
    )
    for each in all_windows(rungs, READING):
        assert abs(each.estimate) <= each.error


def test_bend_of_a_smooth_function_is_no_kink():
    rungs = ladder(lambda h: h**2, bend=lambda h: 5 * h + h**3, first=0.8, noise=1e-16)
    smallest = [w for w in all_windows(rungs, READING) if w.top == 2]
    assert all(w.kink == 0.0 for w in smallest)


def test_trusted_window_meets_every_window_of_smaller_steps():
    nonsense = window(0, estimate=5.0, error=1e-9)
    sound = [window(1, 0.1, 0.3), window(2, 0.0, 0.2)]
    best, clash = trusted([nonsense, *sound])
    assert best is sound[1]
    assert clash


def test_clash_with_larger_steps_only_is_harmless():
    windows = [window(0, 5.0, 1e-9), window(1, 0.1, 0.3), window(2, 0.0, 0.2), window(3, 0.1, 0.4)]
    assert smaller_steps_agree(windows, trusted(windows)[0])
    assert not smaller_steps_agree(windows[:3], windows[2])


def test_discrepancy_is_confirmed_by_smaller_steps_only():
    best = window(0, 1.0, 0.1)
    witness = window(1, 0.9, 0.4)
    assert confirmed([best, witness], best, scale=1.0)
    assert not confirmed([best, window(1, 0.9, 4.0)], best, scale=1.0), "lost in its own noise"
    assert not confirmed([best, window(1, -0.9, 0.4)], best, scale=1.0), "of the other sign"
    assert not confirmed([best, window(0, 0.9, 0.4, bottom=1)], best, scale=1.0), "the same step"
    assert not confirmed([best, witness], best, scale=1e-3), "seen from too far away"
    assert not confirmed([best, witness, window(2, -0.2, 1.2)], best, scale=1.0), "contradicted"
    assert not confirmed([best], best, scale=1.0)


def test_kink_at_the_origin_persists_to_the_smallest_steps():
    rungs = ladder(lambda h: 0.0, bend=lambda h: 2.0)
    assert kink_at_origin(all_windows(rungs, READING), rungs, READING).jump == pytest.approx(2.0)
    rungs = ladder(lambda h: 0.0, bend=lambda h: 2 * h)
    assert kink_at_origin(all_windows(rungs, READING), rungs, READING) is None


def test_slopes_at_a_kink_are_right_though_the_function_bends_differently_on_each_side():
    # 1 + 3h to the right, -2 + h to the left, so that central differences err in h.
    rungs = ladder(lambda h: -0.5 + h, bend=lambda h: 3.0 + 2 * h)
    kinked = kink_at_origin(all_windows(rungs, READING), rungs, READING)
    assert abs(kinked.estimate + 0.5) + abs(kinked.jump - 3.0) / 2 <= kinked.slopes_error
    assert kinked.slopes_error < 1e-9


def test_noise_widens_the_bar_like_one_over_the_step():
    wide = all_windows(ladder(lambda h: 0.0, noise=1e-12, count=2, first=1e-6), READING)[0]
    narrow = all_windows(ladder(lambda h: 0.0, noise=1e-12, count=2, first=1e-3), READING)[0]
    assert wide.noise == pytest.approx(1000 * narrow.noise)
