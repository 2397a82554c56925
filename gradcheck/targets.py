"""Targets: what a user types to say what to check, and the problems it stands for.

A target is `module:attr`, `path/file.py:attr`, or `path/file.py` for every problem in the file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from gradcheck import importing
from gradcheck.suggestions import did_you_mean

BUILTIN_MODULES = (
    "mlp.problems",
    "mlp.derivations",
    "mlp.styles",
    "mlp.faults",
    "mlp.functions",
)
# Attributes that a message lists.
MOST_LISTED = 8


class TargetError(ValueError):
    """A target that cannot be checked; the user's own exception, if there was one, is its cause.

    Attributes
    ----------
    message: what is wrong, in one line
    tip: what to do about it, if we can tell
    """

    def __init__(self, message: str, tip: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.tip = tip


@dataclass(frozen=True)
class Target:
    """A problem and the text it goes by: one can type it to get the problem again."""

    name: str
    problem: Any


@dataclass(frozen=True)
class Checkable:
    """Something in a module that can be checked: a problem, or a function that makes one."""

    source: str
    attribute: str
    summary: str

    @property
    def target(self) -> str:
        """What to type to check it."""
        return f"{self.source}:{self.attribute}"


def load_targets(text: str, folder: Path | None = None) -> list[Target]:
    """Return the problems that `text` stands for.

    Parameters
    ----------
    text: the target
    folder: where modules and files are looked for first; the current directory by default

    Raises
    ------
    TargetError
        when there is nothing to check under that name, or the user's code raised
    """
    folder = (folder or Path.cwd()).resolve()
    source, attribute = _split(text)
    if not attribute and not _is_file(source):
        raise TargetError(
            f"target {source!r} has no attribute part; write MODULE:ATTR, such as {source}:net",
            f"gradcheck --list {source} shows what can be checked there",
        )
    module = _module(source, folder)
    if attribute:
        return [_target(source, module, attribute)]
    names = [item.attribute for item in checkable(module, source)]
    if not names:
        raise TargetError(
            f"no problems in {source!r}",
            "a problem has loss, gradient and parameters; a function that returns one counts if "
            "its return annotation is Problem",
        )
    return [_target(source, module, name) for name in names]


def load_builtin(attribute: str) -> Target:
    """Return a problem that comes with gradcheck, whatever modules the user has.

    Raises
    ------
    TargetError
        when there is none of that name
    """
    return _builtin("mlp.problems", attribute)


def list_checkable(text: str, folder: Path | None = None) -> list[Checkable]:
    """Return what can be checked in a module or file.

    Raises
    ------
    TargetError
        when it cannot be imported
    """
    source, _ = _split(text)
    return checkable(_module(source, (folder or Path.cwd()).resolve()), source)


def list_builtin() -> list[Checkable]:
    """Return what comes with gradcheck."""
    with importing.distribution_first("mlp"):
        return [
            item for name in BUILTIN_MODULES for item in checkable(importing.by_name(name), name)
        ]


def checkable(module: ModuleType, source: str) -> list[Checkable]:
    """Return the public problems of a module, and its functions annotated to return a Problem."""
    from gradcheck.problem import is_problem

    found = []
    for name, value in vars(module).items():
        if name.startswith("_") or isinstance(value, ModuleType):
            continue
        if is_problem(value):
            found.append(Checkable(source, name, ""))
        elif importing.makes_problem(value, module):
            summary = (value.__doc__ or "").strip().split("\n")[0]
            found.append(Checkable(source, name, summary))
    return found


def _split(text: str) -> tuple[str, str]:
    """Return the module or file, and the attribute ("" where there is none)."""
    text = text.strip()
    source, colon, attribute = text.rpartition(":")
    # No colon, or that of a drive: C:\nets\net.py.
    if not colon or text.endswith(".py"):
        source, attribute = text, ""
    source, attribute = source.strip(), attribute.strip()
    if not source:
        raise TargetError(f"target {text!r} names no module; write MODULE:ATTR or FILE.py:ATTR")
    return source, attribute


def _is_file(source: str) -> bool:
    return source.endswith(".py") or "/" in source or "\\" in source


def _module(source: str, folder: Path) -> ModuleType:
    try:
        return _file(source, folder) if _is_file(source) else _named(source, folder)
    except (TargetError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise TargetError(f"importing {source!r} failed: {_described(error)}") from error


def _file(source: str, folder: Path) -> ModuleType:
    path = folder / Path(source).expanduser()
    if path.suffix != ".py":
        tip = f"{source}.py exists" if path.with_suffix(".py").is_file() else None
        raise TargetError(f"a file target must end in .py, got {source!r}", tip)
    if not path.is_file():
        raise TargetError(f"no file {source!r} in {folder}", _nearby_file(source, path, folder))
    return importing.by_path(path)


def _nearby_file(source: str, path: Path, folder: Path) -> str | None:
    from difflib import get_close_matches

    dotted = Path(*Path(source).stem.split(".")).with_suffix(".py")
    if dotted != Path(source) and (folder / dotted).is_file():
        return f"{dotted} exists; try that"
    siblings = [sibling.name for sibling in path.parent.glob("*.py")]
    close = get_close_matches(path.name, siblings, n=1)
    return f"did you mean {str(Path(source).with_name(close[0]))!r}?" if close else None


def _named(name: str, folder: Path) -> ModuleType:
    try:
        return importing.by_name(name, folder)
    except ModuleNotFoundError as error:
        # Missing is the module itself or a package on the way to it, not what it imports.
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        if name in BUILTIN_MODULES:
            with importing.distribution_first("mlp"):
                return importing.by_name(name)
        raise TargetError(
            f"no module named {error.name!r} (searched {folder}, then sys.path)",
            _nearby_module(name, folder),
        ) from None


def _nearby_module(name: str, folder: Path) -> str | None:
    relative = Path(*[part for part in name.split(".") if part]).with_suffix(".py")
    places = [folder / relative, *sorted(folder.glob(f"[!.]*/{relative.as_posix()}"))]
    for place in places:
        if place.is_file():
            found = place.relative_to(folder).as_posix()
            return f"{found} exists; try {found}:ATTR"
    known = [path.stem for path in folder.glob("*.py")]
    return did_you_mean(name, known)


def _target(source: str, module: ModuleType, attribute: str) -> Target:
    name = f"{source}:{attribute}"
    found = _attribute(source, module, attribute)
    return Target(name, _problem(name, found))


def _attribute(source: str, module: ModuleType, dotted: str) -> Any:
    """Return what a dotted name stands for in a module."""
    holder: Any = module
    where = f"module {source!r}"
    for part in dotted.split("."):
        # dir, for attributes that a module or class makes on demand; it may not list them all.
        if not hasattr(holder, part):
            raise TargetError(f"{where} has no attribute {part!r}", _similar(holder, part))
        holder = getattr(holder, part)
        where = f"{part!r} in {source!r}"
    return holder


def _similar(holder: Any, missing: str) -> str | None:
    names = [name for name in dir(holder) if not name.startswith("_")]
    tip = did_you_mean(missing, names)
    tips = [tip] if tip else []
    here = (
        [item.attribute for item in checkable(holder, "")] if isinstance(holder, ModuleType) else []
    )
    if here:
        rest = len(here) - MOST_LISTED
        more = f" and {rest} more, which --list shows" if rest > 0 else ""
        tips.append(f"can be checked here: {', '.join(here[:MOST_LISTED])}{more}")
    return "  ".join(tips) or None


def _problem(name: str, found: Any) -> Any:
    from gradcheck.problem import is_problem

    if is_problem(found):
        return found
    if not callable(found):
        raise TargetError(f"target {name!r} is not a problem: {_kind(found)}", _WHAT_A_PROBLEM_IS)
    made = _called(name, found)
    if not is_problem(made):
        raise TargetError(
            f"target {name!r} must return a problem, returned {_kind(made)}", _WHAT_A_PROBLEM_IS
        )
    return made


_WHAT_A_PROBLEM_IS = "a problem has loss, gradient and parameters; gradcheck.Problem makes one"


def _called(name: str, factory: Callable[[], Any]) -> Any:
    missing = importing.required_arguments(factory)
    if missing:
        raise TargetError(
            f"target {name!r} must be callable without arguments, it takes {', '.join(missing)}"
        )
    try:
        return factory()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise TargetError(f"calling {name!r} failed: {_described(error)}") from error


def _builtin(module_name: str, attribute: str) -> Target:
    with importing.distribution_first("mlp"):
        return _target(module_name, importing.by_name(module_name), attribute)


def _described(error: BaseException) -> str:
    said = str(error)
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _kind(value: Any) -> str:
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"
