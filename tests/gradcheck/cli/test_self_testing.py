"""`gradcheck --self-test`: what it prints, and its exit codes."""

import pytest

from gradcheck import self_test
from gradcheck.cli import self_testing
from gradcheck.self_test import SUBJECTS, SelfTest, Trial

TRIALS = (
    Trial("sigmoid", 0, "correct", "accepted", True, 0.0),
    Trial("sigmoid", 0, "weight doubled", "caught", True, 1.0),
    Trial("ReLU", 1, "weight doubled", "caught", False, 1.0),
    Trial("float32", 0, "one entry off by 1e-6", "below resolution", False, 1e-7),
)
MISSED = Trial("softmax", 2, "square weight transposed", "missed", False, 0.25)
ACCUSED = Trial("softmax", 2, "correct, rounded to float32", "accused", True, 0.0)

LAYOUT = """\
gradcheck 0.1.0  self-test: faults planted in the built-in networks
networks: sigmoid, ReLU, float32, softmax

                               planted  caught  placed  missed   too small
weight doubled                       2       2       1       0           0
one entry off by 1e-6                1       0       0       0           1
square weight transposed             1       0       0       1           0
all faults                           4       2       1       1           1

correct gradients: 2 checked, 1 accused

not placed: weight doubled, ReLU network, seed 1, off by 1.0e+00
missed: square weight transposed, softmax network, seed 2, off by 2.5e-01
accused: correct, rounded to float32, softmax network, seed 2
FAIL  1 fault missed, 1 correct gradient accused   6 checks, 3.2 s
"""


@pytest.fixture
def returning(monkeypatch):
    """Make the self-test return what it is told to."""

    def put(*trials):
        monkeypatch.setattr(self_test, "run_self_test", lambda seed: SelfTest(trials, 3.21))

    return put


def test_the_counts_and_what_went_wrong_are_printed_in_80_columns(run, returning):
    returning(*TRIALS, MISSED, ACCUSED)
    result = run("--self-test")
    assert result.out == LAYOUT.replace("0.1.0", self_testing.__version__)
    assert max(map(len, result.out.splitlines())) <= 80
    assert result.code == 1
    assert result.err == ""


@pytest.mark.parametrize(("trial", "code"), [(MISSED, 1), (ACCUSED, 1), (TRIALS[0], 0)])
def test_a_missed_fault_or_an_accused_gradient_is_exit_code_1(run, returning, trial, code):
    returning(*TRIALS, trial)
    assert run("--self-test").code == code


def test_a_pass_says_so_in_its_last_lines(run, returning):
    returning(*TRIALS)
    *_, verdict, cost = run("--self-test").out.splitlines()
    said = "every fault that could be seen was caught, no correct gradient accused"
    assert verdict == f"PASS  {said}"
    assert cost.strip() == "4 checks, 3.2 s"
    assert len(verdict) <= 80


def test_a_target_beside_it_is_an_error(run):
    result = run("--self-test", "nets.py:good")
    assert result.code == 2
    assert "error: --self-test takes no TARGET, got 'nets.py:good'" in result.err


def test_the_report_can_go_to_a_file(run, returning, project):
    returning(*TRIALS)
    assert run("--self-test", "-o", "self.txt").out == ""
    assert "all faults" in (project / "self.txt").read_text()


def test_it_runs_on_the_installed_networks_whatever_lies_in_the_folder(run, project, monkeypatch):
    monkeypatch.setattr(self_test, "SUBJECTS", SUBJECTS[:1])
    (project / "mlp.py").write_text("raise SystemExit('not mine')")
    result = run("--self-test", "--seed", "7")
    assert "networks: sigmoid\n" in result.out
    assert "all faults                          30      30" in result.out
    assert result.code == 0
