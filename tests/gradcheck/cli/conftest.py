"""Running the command in this process, in a folder of one's own."""

from types import SimpleNamespace

import pytest

from gradcheck.cli import main

PROBLEMS = """
import threading
import numpy as np
from gradcheck import Problem

START = {"W1": np.array([[1.0, 2.0], [3.0, 4.0]]), "b1": np.array([0.5, -0.5])}

def loss(p):
    return float((p["W1"] ** 2).sum() + (p["b1"] ** 3).sum())

def gradient(p):
    return {"W1": 2 * p["W1"], "b1": 3 * p["b1"] ** 2}

def wrong_gradient(p):
    return {"W1": 2 * p["W1"], "b1": 4 * p["b1"] ** 2}

def boom(p):
    raise ValueError("shapes do not fit")

def leave(p):
    raise SystemExit(0)

def interrupt(p):
    raise KeyboardInterrupt

def talk(p):
    print("from the loss")
    return loss(p)

def hang(p):
    threading.Event().wait(30)  # far longer than the timeout given, far shorter than for ever

def dropout(p):
    return loss(p) * np.random.randint(1, 3)

def dropout_gradient(p):
    factor = np.random.randint(1, 3)
    return {name: factor * array for name, array in gradient(p).items()}

rng = np.random.default_rng(0)
good = Problem(loss, gradient, START)
wrong = Problem(loss, wrong_gradient, START)
raising = Problem(boom, gradient, START)
leaving = Problem(leave, gradient, START)
interrupted = Problem(interrupt, gradient, START)
hanging = Problem(hang, gradient, START)
random = Problem(dropout, dropout_gradient, START)
raising_gradient = Problem(loss, boom, START)
talking = Problem(talk, gradient, START)
undefined = Problem(lambda p: float("nan"), gradient, START)
noisy = Problem(lambda p: loss(p) + 0.01 * rng.standard_normal(), gradient, START)
"""


@pytest.fixture
def run(project, capsys, monkeypatch):
    """Run the command; gives its exit code, output and error output."""
    (project / "nets.py").write_text(PROBLEMS, encoding="utf-8")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def command(*arguments):
        code = main(list(arguments))
        captured = capsys.readouterr()
        return SimpleNamespace(code=code, out=captured.out, err=captured.err)

    return command
