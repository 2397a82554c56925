import pytest

from gradcheck.diagnosis import causes
from gradcheck.rendering import wording
from gradcheck.report import Comparison


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (2.3e-9, "3e-09"),
        (1e-3, "1e-03"),
        (1.01e-12, "1.1e-12"),
        (9.7e-7, "1e-06"),
        (0.0, "0"),
        (2.5e-310, "3e-310"),
        (float("inf"), "inf"),
        (None, "-"),
    ],
)
def test_bounds_are_rounded_up(value, text):
    assert wording.bound(value) == text


@pytest.mark.parametrize("gap", [1e-2, 1e-6, 1e-10, 1e-15])
def test_values_that_differ_are_written_with_digits_that_differ(gap):
    one, other = wording.signed_pair(1.2345, 1.2345 * (1 + gap))
    assert one != other


def test_values_of_very_different_size_keep_their_own_digits():
    assert wording.signed_pair(1.0, 3.2e-12) == ("+1.00000", "+3.20000e-12")


def test_digits_stop_where_the_error_bar_makes_them_meaningless():
    one, _ = wording.signed_pair(0.1, 0.1 + 1e-14, error_bar=1e-6)
    assert one == "+0.10000000"


def test_values_that_are_not_finite_are_written_as_such():
    assert wording.signed_pair(float("nan"), 1.0)[0] == "+nan"
    assert wording.signed_pair(float("-inf"), 1.0)[0] == "-inf"


@pytest.mark.parametrize("ratio", [1.3, 1.01, 1.0001, 1 + 1e-9])
def test_a_value_beyond_its_limit_never_looks_equal_to_it(ratio):
    limit = 2.7e-12
    value, shown_limit = wording.beyond(limit * ratio, limit)
    assert float(value) > float(shown_limit)


def test_an_error_just_beyond_its_error_bar_shows():
    worst = Comparison((0,), 1.0 + 2.0001e-9, 1.0, 2e-9, 2e-9)
    analytic, numerical = wording.compared(worst, "+-")
    value, error_bar = numerical.split(" +- ")
    assert float(analytic) != float(value)
    assert float(error_bar) < 2.0001e-9


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "<0.01 s"), (0.021, "0.02 s"), (14.2, "14 s"), (200, "3 min 20 s")],
)
def test_durations_are_short(seconds, text):
    assert wording.duration(seconds) == text


def test_two_values_that_vanish_in_the_error_bar_have_no_relative_error():
    assert wording.relative(Comparison((0,), 0.0, 2.8e-8, 2.5e-7, 1.0)) == "-"
    assert wording.relative(Comparison((0,), 0.0, 2.8e-7, 2.5e-8, 1.0)) == "1.0e+00"
    assert wording.relative(None) == "-"


def test_control_characters_are_written_out():
    assert wording.printable("a\x1b[31m\nb") == "a\\x1b[31m\\nb"


def test_numbered_layers_are_called_layers():
    assert wording.layer_title("1") == "layer 1"
    assert wording.layer_title("encoder.0") == "encoder.0"


def test_how_much_is_wrong_says_how_far_that_is_known(make):
    assert wording.wrongness(make.failing()) == "4 of 4 entries wrong"
    some = make.failing(wrong=None, wrong_count=None, checked_count=3)
    assert wording.wrongness(some) == "wrong; only 3 of 4 entries compared"
    early = make.failing(reason="gradient of shape (3,)", wrong=None, wrong_count=None)
    assert wording.wrongness(early) == "gradient of shape (3,)"


def test_a_wrong_whole_of_right_entries_says_so(make):
    probe = make.parameter("W").probes[0]
    wrong = type(probe)(0.1, 0.2, 1e-9, 1e-9, "disagrees", 4)
    whole = make.failing(wrong_count=0, probes=(wrong, probe))
    assert "1 of 2 probes of the whole disagree" in wording.wrongness(whole)
    unseen = make.failing(wrong_count=None, checked_count=0, probes=(wrong,))
    assert "no entry was compared" in wording.wrongness(unseen)


@pytest.mark.parametrize(
    ("factor", "text"),
    [
        (11.0, "11"),
        (5.0000001, "5"),
        (1 / 11, "1/11"),
        (-1 / 11, "-1/11"),
        (0.5, "1/2"),
        (-2.0, "-2"),
        (0.9999, "0.9999"),
        (0.5234, "0.5234"),
        (3.14159, "3.142"),
        (1 / 11.5, "0.08696"),
    ],
)
def test_a_factor_is_short_and_one_over_a_number_is_written_so(factor, text):
    assert wording.multiple(factor) == text


@pytest.mark.parametrize(
    ("details", "text"),
    [
        ({"factor": 11.0, "matches": "batch"}, "x11 (batch)"),
        ({"factor": 2}, "x2"),
        ({"factor": 3.0, "matches": None}, "x3"),
        ({}, "constant_factor"),
        ({"factor": "11"}, "constant_factor"),
        ({"factor": 0.0}, "constant_factor"),
    ],
)
def test_a_factor_names_its_cause_where_it_is_known(details, text):
    assert wording.cause(causes.CONSTANT_FACTOR.finding("why", ("W",), details)) == text


def test_the_factor_of_another_cause_does_not_stand_for_its_name():
    assert wording.cause(causes.CLIPPED.finding("why", ("W",), {"factor": 2.0})) == "clipped"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (2.31e-6, "3e-06"),
        (9.2e-3, "1e-02"),
        (0.0211, "3 %"),
        (0.5, "50 %"),
        (1.0, "100 %"),
    ],
)
def test_chances_are_rounded_up(value, text):
    assert wording.chance(value) == text
