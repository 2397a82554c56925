import pytest

from gradcheck.cli import exits
from gradcheck.cli.exits import together


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["nets.py:good"], 0),
        (["nets.py:wrong"], 1),
        (["nets.py:raising"], 2),
        (["nets.py:leaving"], 2),
        (["nets.py:undefined"], 2),
        (["nets.py:undefined", "--allow-inconclusive"], 2),
        (["nets.py:noisy"], 3),
        (["nets.py:noisy", "--allow-inconclusive"], 0),
        (["nets.py:hanging", "--timeout", "0.1"], 2),
        (["nets.py:hanging", "--timeout", "0.1", "--allow-inconclusive"], 2),
        (["nets.py:random", "--reseed", "0"], 0),
        (["nets.py:good", "--only", "W9"], 2),
        (["nets.py:good", "--only", "b1", "--exclude", "b1"], 5),
        (["nets.py:good", "--exclude", "*"], 5),
        (["nets.py:interrupted"], 130),
        (["nowhere.py:net"], 2),
        (["nets.py:good", "nets.py:noisy"], 3),
        (["nets.py:noisy", "nets.py:wrong", "nets.py:good"], 1),
        (["nowhere.py:net", "nets.py:wrong"], 2),
        (["--unknown"], 2),
        (["--explain", "GC201"], 0),
        (["--explain", "GC999"], 2),
        (["--help"], 0),
        (["--version"], 0),
    ],
)
def test_the_exit_code_says_what_happened(run, arguments, code):
    assert run(*arguments).code == code


def test_could_not_run_is_graver_than_wrong_than_inconclusive_than_unchecked():
    assert together([0, 1, 2, 3, 5]) == 2
    assert together([0, 1, 3, 5]) == 1
    assert together([0, 3, 5]) == 3
    assert together([0, 5]) == 5
    assert together([]) == exits.NOTHING_CHECKED


def test_one_bad_target_does_not_stop_the_others(run):
    result = run("nowhere.py:net", "nets.py:raising", "nets.py:good")
    assert "PASS  2 of 2 gradients agree" in result.out
    assert result.out.endswith("3 targets: 1 passed, 2 could not run\n")
