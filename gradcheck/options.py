"""The options that every check takes: their names, their defaults and the values they allow."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Integral, Real
from typing import Any, TypedDict, TypeVar

from gradcheck.choices import DIRECTIONS, EFFORTS, METHODS, Directions, Effort, Method
from gradcheck.suggestions import did_you_mean

Function = TypeVar("Function", bound=Callable[..., Any])


class CheckOptions(TypedDict, total=False):
    """The options as a caller writes them; `check_gradients` says what they mean."""

    seed: int
    effort: Effort
    only: str | Sequence[str] | None
    exclude: str | Sequence[str] | None
    required_resolution: float | None
    method: Method
    directions: Directions
    bounds: Any
    reseed: Any
    timeout: float | None
    budget: float | None
    vectorized: bool


@dataclass(frozen=True)
class Options:
    """The options of one check, validated; see `check_gradients`."""

    seed: int = 0
    effort: Effort = "auto"
    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    required_resolution: float | None = None
    method: Method = "auto"
    directions: Directions = "random"
    bounds: Any = None
    reseed: Any = None
    timeout: float | None = None
    budget: float | None = None
    vectorized: bool = False

    def settings(self) -> dict[str, Any]:
        """Return the options as plain data, for a report."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ("bounds", "reseed"):
            if isinstance(plain[name], Integral):
                plain[name] = int(plain[name])
            elif plain[name] is not None:
                plain[name] = type(plain[name]).__name__
        return plain


def settle_options(given: Mapping[str, Any]) -> Options:
    """Return the options, those not given at their defaults.

    Raises
    ------
    TypeError, ValueError
        when a name is unknown or a value is not allowed
    """
    known = [field.name for field in fields(Options)]
    for name in given:
        if name not in known:
            hint = did_you_mean(name, known) or f"there are {', '.join(known)}"
            raise TypeError(f"unknown option {name!r}; {hint}")
    return Options(**{name: _READERS[name](name, value) for name, value in given.items()})


def takes_options(function: Function, **other_defaults: Any) -> Function:
    """Spell the options out in a function's signature, where help and completion look for them."""
    import inspect

    own = inspect.signature(function)
    kept = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]
    defaults = {field.name: field.default for field in fields(Options)} | other_defaults
    shared = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None if defaults[name] == () else defaults[name],
            annotation=annotation,
        )
        for name, annotation in CheckOptions.__annotations__.items()
    ]
    signature = own.replace(parameters=[*kept, *shared])
    function.__signature__ = signature  # type: ignore[attr-defined]
    return function


def _as_given(name: str, value: Any) -> Any:
    return value


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 0:
        raise ValueError(f"{name} must be a whole number of at least 0, got {value!r}")
    return int(value)


def _patterns(name: str, value: Any) -> tuple[str, ...]:
    given: tuple[Any, ...] = (value,)
    if not isinstance(value, str):
        given = tuple(value) if isinstance(value, Iterable) else () if value is None else given
    if not all(isinstance(pattern, str) for pattern in given):
        raise TypeError(f"{name} must be names of parameters, got {value!r}")
    return given


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return value


def _number(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    return float(value)


def _fraction(name: str, value: Any) -> float | None:
    number = _number(name, value)
    if number is not None and not 0 < number < 1:
        raise ValueError(f"{name} must be between 0 and 1, got {value!r}")
    return number


def _seconds(name: str, value: Any) -> float | None:
    number = _number(name, value)
    if number is not None and not (math.isfinite(number) and number > 0):
        raise ValueError(f"{name} must be a number of seconds above 0, got {value!r}")
    return number


def _one_of(choices: Sequence[str]) -> Callable[[str, Any], Any]:
    def chosen(name: str, value: Any) -> Any:
        if value not in choices:
            listed = ", ".join(map(repr, choices))
            raise ValueError(f"{name} must be one of {listed}, got {value!r}")
        return value

    return chosen


_READERS: dict[str, Callable[[str, Any], Any]] = {
    "seed": _whole,
    "effort": _one_of(EFFORTS),
    "only": _patterns,
    "exclude": _patterns,
    "required_resolution": _fraction,
    "method": _one_of(METHODS),
    "directions": _one_of(DIRECTIONS),
    "bounds": _as_given,
    "reseed": _as_given,
    "timeout": _seconds,
    "budget": _seconds,
    "vectorized": _flag,
}
