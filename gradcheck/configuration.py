"""The settings in `[tool.gradcheck]` of the nearest pyproject.toml."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from gradcheck.choices import DIRECTIONS, EFFORTS, METHODS
from gradcheck.suggestions import did_you_mean


class ConfigurationError(ValueError):
    """A pyproject.toml that cannot be read, or settings in it that mean nothing."""


@dataclass(frozen=True)
class Configuration:
    """What a project has set; None or empty where it has not.

    Attributes
    ----------
    folder: where the pyproject.toml is: its targets are relative to that; None without one
    targets: what is checked when no target is given
    only, exclude: names of parameters, exact or globs
    seed, effort, required_resolution, method, directions, reseed, timeout, budget,
    allow_inconclusive: as the options of a check
    """

    folder: Path | None = None
    targets: tuple[str, ...] = ()
    only: tuple[str, ...] | None = None
    exclude: tuple[str, ...] | None = None
    seed: int | None = None
    effort: str | None = None
    required_resolution: float | None = None
    method: str | None = None
    directions: str | None = None
    reseed: int | None = None
    timeout: float | None = None
    budget: float | None = None
    allow_inconclusive: bool | None = None


def load_configuration(start: Path | None = None) -> Configuration:
    """Return the settings of the nearest pyproject.toml at or above `start`.

    Parameters
    ----------
    start: a folder; the current directory by default

    Raises
    ------
    ConfigurationError
        when the file cannot be read, or a key is unknown or of the wrong type
    """
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        path = folder / "pyproject.toml"
        if path.is_file():
            return _configuration(path)
    return Configuration()


def _configuration(path: Path) -> Configuration:
    tool = _document(path).get("tool", {})
    settings = tool.get("gradcheck", {}) if isinstance(tool, dict) else {}
    if not isinstance(settings, dict):
        raise ConfigurationError(f"{path}: tool.gradcheck must be a table, got {settings!r}")
    known = [field.name for field in fields(Configuration) if field.name != "folder"]
    for key in settings:
        if key not in known:
            hint = did_you_mean(key, known) or f"there are {', '.join(known)}"
            raise ConfigurationError(f"{path}: unknown key {key!r} in [tool.gradcheck]; {hint}")
    values = {key: _READERS[key](value, f"{path}: {key}") for key, value in settings.items()}
    return Configuration(folder=path.parent, **values)


def _document(path: Path) -> Mapping[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"{path}: cannot be read: {error}") from error


def _strings(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ConfigurationError(f"{where} must be a list of strings, got {value!r}")
    return tuple(value)


def _targets(value: Any, where: str) -> tuple[str, ...]:
    targets = _strings(value, where)
    if not targets:  # the built-in example in their place would look like success
        raise ConfigurationError(f"{where} must name at least one target, got {value!r}")
    return targets


def _whole(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ConfigurationError(f"{where} must be a whole number from 0 up, got {value!r}")
    return value


def _one_of(choices: Sequence[str]) -> Callable[[Any, str], str]:
    def chosen(value: Any, where: str) -> str:
        if value in choices and isinstance(value, str):
            return value
        tip = did_you_mean(value, choices)
        hint = f"; {tip}" if tip else ""
        raise ConfigurationError(
            f"{where} must be one of {', '.join(choices)}, got {value!r}{hint}"
        )

    return chosen


def _positive(value: Any, where: str) -> float:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not (math.isfinite(value) and value > 0):
        raise ConfigurationError(f"{where} must be a number above 0, got {value!r}")
    return float(value)


def _yes_or_no(value: Any, where: str) -> bool:
    if not isinstance(value, bool):
        raise ConfigurationError(f"{where} must be true or false, got {value!r}")
    return value


_READERS: dict[str, Callable[[Any, str], Any]] = {
    "targets": _targets,
    "only": _strings,
    "exclude": _strings,
    "seed": _whole,
    "effort": _one_of(EFFORTS),
    "required_resolution": _positive,
    "method": _one_of(METHODS),
    "directions": _one_of(DIRECTIONS),
    "reseed": _whole,
    "timeout": _positive,
    "budget": _positive,
    "allow_inconclusive": _yes_or_no,
}
