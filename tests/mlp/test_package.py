"""The package itself: its example runs, and importing it costs nothing."""

import doctest
import subprocess
import sys

import mlp


def test_example_of_the_package_runs():
    results = doctest.testmod(mlp)
    assert results.attempted > 0
    assert results.failed == 0


def test_importing_the_package_does_not_import_numpy():
    code = "import sys, mlp; print('mlp' in sys.modules, 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
