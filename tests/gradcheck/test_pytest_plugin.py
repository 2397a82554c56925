"""A failing assertion as a user of pytest meets it: in a process of its own."""

import os
import re
import subprocess
import sys

import pytest

TESTS = """
import numpy as np
from gradcheck import assert_gradients

def loss(p):
    return float(np.sum(p["W"] ** 2) + np.sum(p["b"] ** 3))

def right(p):
    return {"W": 2 * p["W"], "b": 3 * p["b"] ** 2}

def wrong(p):
    return {"W": 2 * p["W"], "b": 3 * p["b"]}

START = {"W": np.array([[1.0, 2.0], [3.0, 4.0]]), "b": np.array([0.5, -0.5])}

def test_right():
    assert_gradients(loss, right, START)

def test_wrong():
    assert_gradients(loss, wrong, START)

def test_undecided():
    assert_gradients(lambda p: float("nan"), right, START)

def test_raising():
    def broken(p):
        raise LookupError("no data")
    assert_gradients(broken, right, START)
"""


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """What pytest prints about the tests above, in a folder outside the repository."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "test_net.py").write_text(TESTS, encoding="utf-8")
    environment = os.environ | {"COLUMNS": "100"}
    for name in ("PYTEST_ADDOPTS", "FORCE_COLOR", "PY_COLORS", "CI"):
        environment.pop(name, None)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-p", "no:cacheprovider", "test_net.py"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout


def section(output, test):
    """Return what is printed about one failing test."""
    found = re.search(rf"^_+ {test} _+$(.*?)^(?:_+ \w+ _+|=+ .* =+)$", output, re.M | re.S)
    assert found is not None, output
    return found[1]


def test_right_gradients_pass_and_others_fail(output):
    assert "3 failed, 1 passed" in output
    assert "test_right" not in output


def test_the_summary_line_names_test_and_culprit(output):
    (line,) = [
        line for line in output.splitlines() if line.startswith("FAILED") and "wrong" in line
    ]
    assert line.startswith("FAILED test_net.py::test_wrong - ")
    assert "b: 1 of 2 gradients wrong" in line


def test_the_summary_line_of_an_undecided_gradient_says_so(output):
    (line,) = [line for line in output.splitlines() if "FAILED test_net.py::test_undecided" in line]
    assert line.partition(" - ")[2].startswith("GradientInconclusive: not_finite: 2 of")


def test_the_traceback_ends_at_the_users_line(output):
    text = section(output, "test_wrong")
    assert ">       assert_gradients(loss, wrong, START)" in text
    places = re.findall(r"^(\S+\.py):\d+", text, re.M)
    assert places == ["test_net.py"]


def test_the_whole_message_is_shown(output):
    shown = [
        line[1:].strip() for line in section(output, "test_wrong").splitlines() if line[:1] == "E"
    ]
    assert "b: 1 of 2 gradients wrong" in shown[0]
    assert any(line.startswith("at b") and "analytic" in line for line in shown)
    assert any("seed 0" in line for line in shown)


def test_an_exception_of_the_users_code_shows_their_line_and_our_note(output):
    text = section(output, "test_raising")
    assert '>       raise LookupError("no data")' in text
    assert "GC106 loss_raised: the loss of 'broken' raised at the given parameters" in text
