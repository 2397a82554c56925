"""Which known number a factor is."""

import numpy as np
import pytest

from gradcheck.diagnosis.constants import known_constants, matching


def texts(sizes, args=(), shape=()):
    return {constant.text: constant.value for constant in known_constants(sizes, args, shape)}


def match(factor, sizes, args=(), shape=()):
    found, _ = matching(factor, known_constants(sizes, args, shape))
    return found


def test_without_sizes_only_plain_numbers_are_known():
    whole = {str(n): float(n) for n in range(5, 101)} | {f"1/{n}": 1 / n for n in range(5, 101)}
    whole.pop("1/10")  # that has been said before
    assert texts({}) == whole | {
        "2": 2.0,
        "1/2": 0.5,
        "3": 3.0,
        "4": 4.0,
        "1/4": 0.25,
        "1/3": 1 / 3,
        "10": 10.0,
        "0.1": 0.1,
    }


def test_named_sizes_come_with_their_inverses():
    known = texts({"batch": 32, "classes": 7})
    assert known["batch"] == 32.0
    assert known["1/batch"] == 1 / 32
    assert known["classes"] == 7.0
    assert known["1/classes"] == 1 / 7


def test_products_ratios_and_doubles_of_named_sizes_are_known():
    known = texts({"batch": 32, "classes": 7})
    assert known["batch*classes"] == 224.0
    assert known["1/(batch*classes)"] == 1 / 224
    assert known["batch*batch"] == 1024.0
    assert known["batch/classes"] == 32 / 7
    assert known["classes/batch"] == 7 / 32
    assert known["2/batch"] == 1 / 16
    assert known["batch/2"] == 16.0


@pytest.mark.parametrize(
    ("factor", "text"),
    [
        (32.0, "batch"),
        (-32.0, "batch"),
        (1 / 32, "1/batch"),
        (32 * (1 + 5e-7), "batch"),
        (2.0, "2"),
        (0.5, "1/2"),
        (16.0, "batch/2"),
        (1 / 16, "2/batch"),
        (1024.0, "batch*batch"),
    ],
)
def test_a_factor_is_matched_up_to_its_sign(factor, text):
    assert match(factor, {"batch": 32}).text == text


@pytest.mark.parametrize("factor", [1.7, 32 * (1 + 2e-6), 31.9, 1.0, -1.0, 1e-300, 1e300])
def test_other_factors_match_nothing(factor):
    assert match(factor, {"batch": 32}) is None


def test_sizes_are_told_from_plain_numbers():
    assert match(32.0, {"batch": 32}).is_size
    assert not match(3.0, {"batch": 32}).is_size


def test_a_size_of_one_is_no_factor():
    assert texts({"batch": 1}) == texts({})


def test_a_batch_of_two_goes_before_the_two_of_a_square():
    assert match(2.0, {"batch": 2}).text == "batch"
    assert match(0.5, {"batch": 2}).text == "1/batch"


def test_other_sizes_of_two_go_after_it():
    assert match(2.0, {"classes": 2}).text == "2"


def test_no_value_is_listed_twice():
    listed = known_constants({"batch": 4, "classes": 4, "units": 2}, (np.ones((8, 4)),), (8, 16))
    values = [constant.value for constant in listed]
    assert len({f"{value:.9g}" for value in values}) == len(values)
    assert 1.0 not in values


def test_equal_sizes_are_called_by_the_name_given_first():
    assert match(6.0, {"rows": 6, "classes": 6}).text == "rows"


def test_the_length_of_the_data_is_inferred_and_said_to_be():
    found = match(12.0, {}, (np.ones((12, 3)), np.ones(12)))
    assert found.text == "samples"
    assert found.is_size
    assert found.origin == "the length of args[0]"
    assert match(1 / 12, {}, (np.ones((12, 3)),)).text == "1/samples"


def test_the_first_argument_that_is_an_array_is_meant():
    assert match(12.0, {}, ("mean", 3.0, np.ones(12))).origin == "the length of args[2]"


def test_axes_of_the_parameter_are_inferred_and_said_to_be():
    found = match(1 / 9, {}, (), (7, 9))
    assert found.text == "1/(length of axis 1)"
    assert found.origin == "the length of axis 1"
    assert not found.is_size


def test_an_axis_is_a_number_and_data_are_a_size():
    assert not match(9.0, {}, (), (9,)).is_size
    assert match(9.0, {}, (np.ones(9),), (7,)).is_size


def test_data_go_before_axes_of_the_same_length():
    assert match(9.0, {}, (np.ones(9),), (9, 9)).origin == "the length of args[0]"


def test_named_sizes_go_before_inferred_ones():
    found = match(9.0, {"batch": 9}, (np.ones(9),), (9,))
    assert found.text == "batch"
    assert found.origin == ""


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_short_lengths_are_not_inferred(length):
    listed = known_constants({}, (np.ones(length),), (length,))
    assert not any(constant.is_size for constant in listed)


def test_scalars_and_empty_arrays_among_the_data_are_passed_over():
    assert texts({}, (np.float64(7.0), np.array(7.0), np.ones((0, 3)))) == texts({})


def test_later_constants_count_as_more_tries():
    listed = known_constants({"batch": 32}, (), ())
    tries = [matching(constant.value, listed)[1] for constant in listed]
    assert tries == list(range(1, len(listed) + 1))


@pytest.mark.parametrize("sizes", [{"batch": np.int64(8)}, {"batch": 8.0}])
def test_sizes_may_be_any_whole_numbers(sizes):
    assert match(8.0, sizes).text == "batch"
