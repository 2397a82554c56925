"""Importing what a target names: the user's modules and files, and those that come along.

The user's folder goes first on sys.path and stays there, for what their code imports later. The
modules that come with gradcheck are imported from beside it, behind the user's back: someone
whose own network is in `mlp.py` finds sys.modules and sys.path as they left them.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module, invalidate_caches
from importlib.machinery import PathFinder
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

DISTRIBUTION = Path(__file__).resolve().parent.parent

# Modules of ours that were taken out of sys.modules again, by name.
_set_aside: dict[str, ModuleType] = {}


def by_name(name: str, folder: Path | None = None) -> ModuleType:
    """Return a module; those in `folder` win over any other of that name."""
    if folder is not None:
        _put_first(folder)
        _forget_namesake(name.partition(".")[0], folder)
        invalidate_caches()
    return import_module(name)


def by_path(path: Path) -> ModuleType:
    """Return the module of a file, imported once, under the name its own package would give it."""
    path = path.resolve()
    root, name = _package_root(path)
    _put_first(root)
    parent = name.rpartition(".")[0]
    if parent:  # its relative imports work under that name only
        _forget_namesake(name.partition(".")[0], root)
    known = sys.modules.get(name)
    if known is not None and _origin(known) == path:
        return known
    if known is not None or not _free(name.partition(".")[0], root) or not _importable(name):
        # A stable name of its own, where importing its namesake would give something else.
        name = f"{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:8]}".replace(".", "_")
        if name in sys.modules:
            return sys.modules[name]
    invalidate_caches()
    if "." in name:
        import_module(parent)
    return _executed(name, path)


@contextmanager
def distribution_first(package: str) -> Iterator[None]:
    """Make `package` mean the one beside gradcheck, then put everything back as it was."""
    path, held = list(sys.path), _loaded(package)
    ours = not held or _is_ours(held.get(package))
    if not ours:
        _remove(held)
    if not ours or not held:
        sys.modules.update(_set_aside)
    # Not invalidate_caches too, which loads importlib.metadata: what lies there does not change.
    sys.path.insert(0, str(DISTRIBUTION))
    try:
        yield
    finally:
        sys.path[:] = path
        # Left where it is if it is also what the user's imports would find.
        if not ours or not _finds_ours(package):
            loaded = _loaded(package)
            _set_aside.update(loaded)
            _remove(loaded)
            sys.modules.update(held)


def makes_problem(value: Any, module: ModuleType) -> bool:
    """Return whether `value` is a function of `module`, of no arguments, annotated to a Problem.

    An object that is called like a function counts as one, and those of a package's modules that
    the package itself offers count as the package's.
    """
    called = inspect.getattr_static(type(value), "__call__", None)
    function = value if inspect.isfunction(value) else called
    if not inspect.isfunction(function) or not _is_of(module, str(value.__module__)):
        return False
    annotation = function.__annotations__.get("return")
    name = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return name.strip("'\"").rpartition(".")[2] == "Problem" and not required_arguments(value)


def _is_of(module: ModuleType, home: str) -> bool:
    """Return whether `home` names the module, or one inside it where it is a package."""
    inside = hasattr(module, "__path__") and home.startswith(f"{module.__name__}.")
    return home == module.__name__ or inside


def required_arguments(function: Callable[..., Any]) -> list[str]:
    """Return the names of the arguments that cannot be left out."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # built-in functions need not say
        return []
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty and parameter.kind not in optional
    ]


def _put_first(folder: Path) -> None:
    if sys.path[:1] != [str(folder)]:
        sys.path.insert(0, str(folder))


def _forget_namesake(top: str, folder: Path) -> None:
    """Drop a module already imported from elsewhere if `folder` has one of its name."""
    known = sys.modules.get(top)
    if known is None or top == "gradcheck" or top in sys.stdlib_module_names:
        return
    spec = PathFinder.find_spec(top, [str(folder)])
    if spec and spec.origin and _origin(known) != Path(spec.origin).resolve():
        _remove(_loaded(top))


def _package_root(path: Path) -> tuple[Path, str]:
    """Return the folder to import a file from, and its dotted name there."""
    parts, folder = [path.stem], path.parent
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        parts.insert(0, folder.name)
        folder = folder.parent
    return folder, ".".join(parts)


def _free(top: str, root: Path) -> bool:
    """Return whether a top-level name is not taken by a module from elsewhere."""
    known = sys.modules.get(top)
    origin = _origin(known) if known else None
    elsewhere = origin is not None and root not in origin.parents
    return top not in sys.stdlib_module_names and not elsewhere


def _importable(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _executed(name: str, path: Path) -> ModuleType:
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"cannot import {path}")
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return sys.modules.get(name, module)


def _loaded(package: str) -> dict[str, ModuleType]:
    return {
        name: module
        for name, module in sys.modules.items()
        if name == package or name.startswith(f"{package}.")
    }


def _remove(loaded: dict[str, ModuleType]) -> None:
    for name in loaded:
        sys.modules.pop(name, None)


def _origin(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if file else None


def _is_ours(module: ModuleType | None) -> bool:
    origin = _origin(module) if module else None
    return origin is not None and DISTRIBUTION in origin.parents


def _finds_ours(package: str) -> bool:
    spec = PathFinder.find_spec(package, [str(Path.cwd()), *sys.path])
    return bool(spec and spec.origin and DISTRIBUTION in Path(spec.origin).resolve().parents)
