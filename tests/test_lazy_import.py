"""What is loaded when: seen from a fresh process each time."""

import subprocess
import sys

import pytest

HEAVY = {"numpy", "rich", "pytest", "_pytest", "mlp"}
# Of the standard library, what takes about as long to load as the help takes to print.
HEAVY_FOR_HELP = {"dataclasses", "inspect", "ast", "difflib", "tomllib", "traceback", "json"}
# What only a gradient that is wrong, a command that cannot run, or an option has a use for.
NEEDED_BY_FAILURES = {
    *("gradcheck.diagnosing", "gradcheck.diagnosis.diagnose", "gradcheck.diagnosis.causes"),
    *("gradcheck.cli.failures", "gradcheck.rendering.causes", "gradcheck.rendering.wrong_map"),
    *("gradcheck.complex_step", "gradcheck.complex_slope", "gradcheck.eigen"),
    *("gradcheck.localise", "gradcheck.entry_search", "gradcheck.regions", "gradcheck.blocks"),
    *("gradcheck.quick_slopes", "gradcheck.comparisons", "gradcheck.conventions"),
    *("gradcheck.report_json", "numpy.ma"),
    # Of the standard library; importlib.metadata is loaded by its invalidate_caches too.
    *("traceback", "difflib", "tomllib", "json", "shlex", "importlib.metadata"),
}
# What only comparing entry after entry by the whole loss has a use for, or only layers have.
NEEDED_BY_SWEEPS = {
    *("gradcheck.sweep", "gradcheck.entry_losses", "gradcheck.known_lines"),
    *("gradcheck.many_ladders", "gradcheck.parameter_sets"),
}
NEEDED_BY_LAYERS = {
    *("gradcheck.layered_entries", "gradcheck.layer_numbers", "gradcheck.many_lines"),
    *("gradcheck.many_windows", "gradcheck.many_rungs", "gradcheck.few_steps"),
    *("gradcheck.diagnosis.asking", "gradcheck.diagnosis.linear_parts"),
    "gradcheck.diagnosis.slopes",
}


def modules_after(code, *options, cwd=None):
    """Return the modules that a fresh interpreter has loaded after running `code`."""
    script = f"{code}\nimport sys\nsys.stderr.write(' '.join(sys.modules))\n"
    done = subprocess.run(
        [sys.executable, "-W", "error", *options, "-c", script],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


def loaded_after(code, *options, cwd=None):
    """Return the top-level modules that a fresh interpreter has loaded after running `code`."""
    return {name.partition(".")[0] for name in modules_after(code, *options, cwd=cwd)}


def test_a_heavy_import_would_be_noticed():
    assert loaded_after("import numpy") & HEAVY == {"numpy"}


def test_importing_the_package_loads_nothing_heavy(tmp_path):
    loaded = loaded_after("import gradcheck; dir(gradcheck); gradcheck.__version__", cwd=tmp_path)
    assert "gradcheck" in loaded
    assert not loaded & HEAVY


@pytest.mark.parametrize("module", ["report", "descent", "configuration", "targets"])
def test_these_modules_load_nothing_heavy(module):
    assert not loaded_after(f"import gradcheck.{module}") & HEAVY


def test_loading_the_plugin_into_pytest_adds_nothing_heavy():
    assert loaded_after("import pytest, gradcheck.pytest_plugin") & HEAVY == {"pytest", "_pytest"}


def test_the_message_of_an_assertion_needs_no_rich():
    code = (
        "import gradcheck\n"
        "try:\n"
        "    gradcheck.assert_gradients(lambda x: x * x, lambda x: x, 3.0)\n"
        "except gradcheck.GradientMismatch as error:\n"
        "    assert str(error).startswith('x x1/2: 1 of 1 gradient wrong')\n"
        "else:\n"
        "    raise SystemExit('not raised')\n"
    )
    assert loaded_after(code) & HEAVY == {"numpy"}


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_is_printed_without_anything_heavy(option):
    code = f"from gradcheck.cli import main\nassert main([{option!r}]) == 0"
    loaded = modules_after(code)
    assert not {name.partition(".")[0] for name in loaded} & (HEAVY | HEAVY_FOR_HELP)
    ours = {name for name in loaded if name.startswith("gradcheck.")}
    assert ours == {
        *("gradcheck.cli", "gradcheck.cli.command", "gradcheck.cli.parser"),
        *("gradcheck.cli.exits", "gradcheck.cli.messages"),
        *("gradcheck.choices", "gradcheck.suggestions"),
    }


def test_a_finding_is_explained_without_anything_heavy():
    code = (
        "import contextlib, io\n"
        "from gradcheck.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()) as printed:\n"
        "    assert main(['--explain', 'GC201']) == 0\n"
        "assert printed.getvalue().startswith('GC201 transposed\\n')\n"
    )
    assert not loaded_after(code) & HEAVY


def test_a_wrong_command_line_is_answered_without_anything_heavy():
    code = (
        "import contextlib, io\n"
        "from gradcheck.cli import main\n"
        "with contextlib.redirect_stderr(io.StringIO()):\n"
        "    assert main(['--effort', 'exhaustiv']) == 2\n"
    )
    assert not loaded_after(code) & HEAVY


def test_the_help_of_the_command_names_its_options():
    done = subprocess.run(
        [sys.executable, "-m", "gradcheck", "--help"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("usage: gradcheck")
    assert "--effort" in done.stdout
    assert done.stderr == ""


def test_checking_the_reference_loads_nothing_that_only_a_failure_needs(tmp_path):
    code = (
        "import contextlib, io\n"
        "from gradcheck.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()) as printed:\n"
        "    assert main([]) == 0\n"
        "assert 'PASS' in printed.getvalue()\n"
    )
    loaded = modules_after(code, cwd=tmp_path)
    assert {"numpy", "rich", "mlp.problems", "gradcheck.checking"} <= loaded
    libraries = modules_after("import numpy, numpy.random, rich.console, rich.table")
    assert loaded >= NEEDED_BY_LAYERS
    assert (loaded - libraries) & (NEEDED_BY_FAILURES | NEEDED_BY_SWEEPS) == set()


@pytest.mark.parametrize(
    ("effort", "needed", "others"),
    [
        ("quick", set(), NEEDED_BY_SWEEPS | NEEDED_BY_LAYERS),
        ("exhaustive", NEEDED_BY_SWEEPS, NEEDED_BY_LAYERS),
    ],
)
def test_checking_arrays_loads_no_layers_and_a_sweep_only_where_there_is_one(
    effort, needed, others
):
    code = (
        "import gradcheck, numpy as np\n"
        "x = np.array([1.0, 2.0])\n"
        "report = gradcheck.check_gradients(\n"
        f"    lambda x: np.sum(np.sin(x)), np.cos, x, effort={effort!r}\n"
        ")\n"
        "assert report.ok, report\n"
    )
    loaded = modules_after(code)
    assert loaded >= needed
    unwanted = others | NEEDED_BY_FAILURES - modules_after("import numpy, numpy.random")
    assert loaded & unwanted == set()


def test_reading_arrays_loads_no_masked_ones():
    code = (
        "import numpy as np, sys\n"
        "from gradcheck.leaves import usable_array\n"
        "assert usable_array('x', np.array([1.0, 2.0]), live=True) is not None\n"
        "assert usable_array('y', [1.0, 2.0], live=False) is not None\n"
    )
    # Older versions of numpy load them with themselves.
    assert modules_after(code) & {"numpy.ma"} == modules_after("import numpy") & {"numpy.ma"}


def test_a_name_is_loaded_on_first_use_and_kept():
    code = (
        "import sys, gradcheck\n"
        "assert 'gradcheck.report' not in sys.modules\n"
        "first = gradcheck.GradientReport\n"
        "assert 'gradcheck.report' in sys.modules\n"
        "assert vars(gradcheck)['GradientReport'] is first\n"
    )
    assert not loaded_after(code) & HEAVY
