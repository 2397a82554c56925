"""Every example in a docstring runs and prints what it says."""

import doctest
import importlib
import pkgutil

import pytest

import gradcheck
import mlp

MODULES = [
    module.name
    for package in (gradcheck, mlp)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.name.endswith("__main__")
]


@pytest.mark.parametrize("name", ["gradcheck", "mlp", *MODULES])
def test_docstring_examples_run(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.failed == 0


def test_examples_are_found():
    checking = importlib.import_module("gradcheck.checking")
    assert doctest.testmod(checking).attempted >= 3
