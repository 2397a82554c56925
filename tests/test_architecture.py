"""Which module may import which, read off the source of every file."""

import ast
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import gradcheck
import mlp

FOLDERS = {"gradcheck": Path(gradcheck.__file__).parent, "mlp": Path(mlp.__file__).parent}
FRAMEWORKS = {"torch", "jax", "jaxlib", "tensorflow", "keras", "autograd", "cupy", "scipy"}
# Where frameworks may be loaded, by the functions that need them.
HOMES_OF_FRAMEWORKS = ("gradcheck.adapters.", "mlp.derivations.framework")
# Who may load the views of a report, and who the command; nobody who computes does.
USERS_OF_RENDERING = {
    *["rendering", "cli", "report", "descent", "testing", "verifying", "pytest_plugin"]
}
# What the views show: frozen data, of a check and of a training.
SHOWN = {"report", "descent"}
USERS_OF_CLI = {"cli", "__main__"}


def sources():
    """Return the source of every file by the dotted name of its module."""
    found = {}
    for package, folder in FOLDERS.items():
        for path in folder.rglob("*.py"):
            parts = [package, *path.relative_to(folder).with_suffix("").parts]
            name = ".".join(parts).removesuffix(".__init__")
            found[name] = path.read_text(encoding="utf-8")
    return found


def imported(tree, module):
    """Return the dotted names that a syntax tree imports, at any depth of the file."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names |= {f"{base}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func
            called = called.id if isinstance(called, ast.Name) else called
            if called in ("import_module", "__import__", "importorskip"):
                names.add(str(node.args[0].value))
    return names


def module_level(tree):
    """Return the tree without what runs later or never: functions and TYPE_CHECKING blocks."""
    body = []
    for node in tree.body:
        guarded = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if not guarded and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            body.append(node)
    return ast.Module([n for n in body if not isinstance(n, ast.ClassDef)], [])


def violations(module, source):
    """Return what in a module breaks the arrows between the modules."""
    tree = ast.parse(source)
    package, _, inner = module.partition(".")
    part = inner.partition(".")[0]
    early = imported(module_level(tree), module)
    found = []
    for name in sorted(imported(tree, module)):
        top, _, rest = name.partition(".")
        target = rest.partition(".")[0]
        if top in FOLDERS and top != package:
            found.append(f"{package} imports {top}: {name}")
        elif top in FRAMEWORKS:
            if not module.startswith(HOMES_OF_FRAMEWORKS) or name in early:
                found.append(f"a framework outside of its home's functions: {name}")
        elif top in ("pytest", "_pytest"):
            if module != "gradcheck.pytest_plugin":
                found.append(f"pytest outside of the plugin: {name}")
        elif top == "rich":
            if package != "gradcheck" or part != "rendering":
                found.append(f"rich outside of rendering: {name}")
        elif top == "numpy":
            if part in ("rendering", "cli"):
                found.append(f"{part} computes: {name}")
        elif top not in FOLDERS and top not in sys.stdlib_module_names:
            found.append(f"an unknown dependency: {name}")
        elif package == "gradcheck" and top == "gradcheck":
            found += _inner_violations(part, target, name)
    return found


def _inner_violations(part, target, name):
    if part == "rendering" and target not in {"rendering", "__version__"} | SHOWN:
        return [f"rendering imports more than the report: {name}"]
    if part == "adapters" and target not in ("adapters", "problem"):
        return [f"an adapter imports more than the problem: {name}"]
    if target == "rendering" and part not in USERS_OF_RENDERING:
        return [f"{part} imports rendering: {name}"]
    if target == "cli" and part not in USERS_OF_CLI:
        return [f"{part} imports cli: {name}"]
    return []


def test_every_file_is_looked_at():
    names = sources()
    assert {"gradcheck", "gradcheck.line", "gradcheck.cli.command", "mlp.network"} <= set(names)
    assert len(names) == sum(1 for folder in FOLDERS.values() for _ in folder.rglob("*.py"))


@pytest.mark.parametrize("module", sorted(sources()))
def test_a_module_imports_only_what_it_may(module):
    assert violations(module, sources()[module]) == []


@pytest.mark.parametrize(
    ("module", "source", "told"),
    [
        ("gradcheck.line", "import mlp", "gradcheck imports mlp"),
        ("gradcheck.cli.running", "from mlp.problems import reference", "gradcheck imports mlp"),
        ("gradcheck.cli", "def f():\n    __import__('mlp')", "gradcheck imports mlp"),
        ("gradcheck.cli", "import importlib\nimportlib.import_module('mlp')", "imports mlp"),
        ("mlp.training", "from gradcheck import check", "mlp imports gradcheck"),
        ("gradcheck.report", "from rich.console import Console", "rich outside of rendering"),
        ("gradcheck.cli.output", "def f():\n    import rich", "rich outside of rendering"),
        ("mlp.network", "import rich", "rich outside of rendering"),
        ("gradcheck.testing", "import pytest", "pytest outside of the plugin"),
        ("gradcheck.testing", "from _pytest import outcomes", "pytest outside of the plugin"),
        ("gradcheck.rendering.table", "from gradcheck.line import RATIO", "more than the report"),
        ("gradcheck.rendering.table", "from gradcheck import verdict", "more than the report"),
        ("gradcheck.rendering.table", "from ..verdict import judge", "more than the report"),
        ("gradcheck.rendering.table", "import numpy as np", "rendering computes"),
        ("gradcheck.checking", "from gradcheck import rendering", "checking imports rendering"),
        ("gradcheck.verdict", "from .rendering import wording", "verdict imports rendering"),
        ("gradcheck.entries", "import gradcheck.cli.exits", "entries imports cli"),
        ("gradcheck.noise", "import torch", "a framework outside"),
        ("mlp.layers", "if True:\n    from jax import numpy", "a framework outside"),
        ("gradcheck.adapters.torch", "import torch", "a framework outside of its home"),
        ("gradcheck.adapters.torch", "from gradcheck.line import RATIO", "more than the problem"),
        ("mlp.derivations.framework", "import torch", "a framework outside of its home's func"),
        ("mlp.derivations.taped", "def f():\n    import torch", "a framework outside of its home"),
        ("gradcheck.line", "import tqdm", "an unknown dependency"),
    ],
)
def test_a_forbidden_import_would_be_noticed(module, source, told):
    (violation,) = violations(module, f"import math\n{source}\n")
    assert told in violation


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("gradcheck.rendering.table", "from rich.table import Table"),
        ("gradcheck.rendering.table", "from gradcheck.report import Finding"),
        ("gradcheck.rendering.table", "from gradcheck.descent import DescentStep"),
        ("gradcheck.rendering.table", "from . import wording"),
        ("gradcheck.cli.running", "from gradcheck.rendering import render_svg"),
        ("gradcheck.pytest_plugin", "import pytest"),
        ("gradcheck.adapters.torch", "def f():\n    import torch"),
        ("gradcheck.adapters.torch", "from gradcheck.problem import Problem"),
        ("mlp.derivations.framework", "def f():\n    import torch"),
        ("gradcheck.checking", "from gradcheck.line import RATIO\nimport numpy as np"),
    ],
)
def test_an_allowed_import_is_not_accused(module, source):
    assert violations(module, source) == []


def cycle(files):
    """Return a ring of modules that need each other to be loaded, None where there is none."""
    graph = {}
    for module, source in files.items():
        names = imported(module_level(ast.parse(source)), module)
        graph[module] = {_home(name, files) for name in names} & set(files) - {module}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return None


def _home(name, files):
    """Return the module that an imported name is, or is in."""
    return name if name in files else name.rpartition(".")[0]


def test_no_modules_import_each_other_in_a_ring():
    files = {name: source for name, source in sources().items() if name not in FOLDERS}
    assert cycle(files) is None


def test_a_ring_would_be_noticed():
    files = {
        "gradcheck.a": "from gradcheck.b import f",
        "gradcheck.b": "from gradcheck import c",
        "gradcheck.c": "import gradcheck.a",
    }
    assert set(cycle(files)) == set(files)
    files["gradcheck.c"] = "def later():\n    import gradcheck.a"
    assert cycle(files) is None
