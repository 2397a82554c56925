"""A folder of one's own to run in, and what the import system looked like before."""

import sys

import pytest

NET = """
from gradcheck import Problem

def loss(x):
    return float((x**2).sum())

def gradient(x):
    return 2 * x

import numpy as np
net = Problem(loss, gradient, np.array([1.0, 2.0, 3.0]))
wrong = Problem(loss, lambda x: 3 * x, np.array([1.0, 2.0, 3.0]))

def made() -> Problem:
    \"\"\"Return net again.\"\"\"
    return net

def needs(seed) -> Problem:
    return net

def helper():
    return 1

number = 7
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The current directory: an empty one with the good problems of net.py in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    before = dict(sys.modules)
    (tmp_path / "net.py").write_text(NET, encoding="utf-8")
    yield tmp_path
    for name in set(sys.modules) - set(before):
        origin = getattr(sys.modules[name], "__file__", None) or ""
        if origin.startswith(str(tmp_path)):
            del sys.modules[name]
    sys.modules.update({name: before[name] for name in before if name.partition(".")[0] == "mlp"})
