"""Nested containers of parameters as named arrays, and the layer a name belongs to.

Containers are dicts, lists, tuples, namedtuples and dataclass instances; everything else is a
leaf. A leaf's name is its path: keys, positions and field names joined with dots, "x" for a leaf
that stands alone.
"""

from __future__ import annotations

import copy
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from fnmatch import fnmatchcase
from functools import cached_property, lru_cache
from typing import Any, Literal

from gradcheck.suggestions import did_you_mean

Parameters = Mapping[str, Any]

LONE_NAME = "x"


@dataclass(frozen=True)
class Matched:
    """What a tree holds at the places of a template's leaves.

    Attributes
    ----------
    leaves: what was found, by the template's names
    fault: what is missing, unexpected or nested otherwise; "" where nothing is
    """

    leaves: Parameters
    fault: str


def flatten(tree: Any) -> dict[str, Any]:
    """Return the leaves of `tree` by name, in the order of the containers.

    Raises
    ------
    ValueError
        when two leaves get the same name
    """
    leaves: dict[str, Any] = {}
    for name, leaf in named_leaves(tree):
        if name in leaves:
            raise ValueError(f"parameter names must be unique, got {name!r} twice")
        leaves[name] = leaf
    return leaves


def named_leaves(tree: Any) -> Iterator[tuple[str, Any]]:
    """Yield the leaves of `tree` with their names, which need not be unique."""
    return _walk(tree, "")


def rebuilder(template: Any) -> Callable[[Parameters], Any]:
    """Return a function that makes new containers like `template` around named leaves.

    A leaf that it is not given stays the template's own.
    """
    return _rebuilder(template, "")


def match(template: Any, tree: Any, required: Collection[str]) -> Matched:
    """Return what `tree` holds at the place of each leaf of `template`.

    Only the leaves named in `required` have to be there. Of a list that is too short or too long
    nothing is matched: nobody can tell which of its items is missing.
    """
    found: dict[str, list[Any]] = {"leaf": [], "misnested": [], "missing": [], "unexpected": []}
    for kind, what in _walk_like(template, tree, "", required):
        found[kind].append(what)
    faults = list(found["misnested"])
    for kind in ("missing", "unexpected"):
        if found[kind]:
            faults.append(f"{kind} {', '.join(found[kind])}")
    return Matched(dict(found["leaf"]), "; ".join(faults))


def default_layer(name: str) -> str:
    """Return the layer that a parameter's name gives it.

    The prefix before the last dot, else the trailing digits, else the name itself.

    Examples
    --------
    >>> default_layer("encoder.0.weight"), default_layer("W12"), default_layer("gamma")
    ('encoder.0', '12', 'gamma')
    """
    prefix, dot, _ = name.rpartition(".")
    if dot:
        return prefix
    digits = re.search(r"\d+$", name)
    return digits.group() if digits else name


def assign_layers(names: list[str], layers: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the layer of every name: what `layers` says, else what the name says.

    Raises
    ------
    TypeError, ValueError
        when `layers` is no mapping to names, names an unknown parameter, or one parameter twice
    """
    if layers is not None and not isinstance(layers, Mapping):
        raise TypeError(f"layers must map a layer to names of parameters, got {layers!r}")
    assigned: dict[str, str] = {}
    for layer, members in (layers or {}).items():
        if isinstance(members, str):
            raise TypeError(f"layers[{layer!r}] must be a list of names, got {members!r}")
        for name in members:
            if name not in names:
                raise ValueError(f"layers[{layer!r}] names {unknown_name(name, names)}")
            if name in assigned:
                raise ValueError(f"layers name {name!r} twice: {assigned[name]!r} and {layer!r}")
            assigned[name] = str(layer)
    return {name: assigned.get(name, default_layer(name)) for name in names}


def select_names(
    names: Sequence[str], only: Sequence[str], exclude: Sequence[str]
) -> tuple[str, ...]:
    """Return the names that `only` lets in (all, if empty) and `exclude` does not leave out.

    A pattern that is a name means that name; any other is a glob such as ``"W*"``.

    Raises
    ------
    ValueError
        when a pattern matches nothing
    """
    wanted = _matching(names, only, "only") if only else set(names)
    unwanted = _matching(names, exclude, "exclude")
    return tuple(name for name in names if name in wanted and name not in unwanted)


def matches(pattern: str, names: Sequence[str]) -> set[str]:
    """Return the names that a pattern means: itself if it is one, else those the glob fits."""
    return {pattern} if pattern in names else {n for n in names if fnmatchcase(n, pattern)}


def _matching(names: Sequence[str], patterns: Sequence[str], option: str) -> set[str]:
    matched: set[str] = set()
    for pattern in patterns:
        found = matches(pattern, names)
        if not found:
            raise ValueError(f"{option} names {unknown_name(pattern, list(names))}")
        matched |= found
    return matched


def unknown_name(name: object, names: list[str]) -> str:
    """Return the end of a sentence about a name that does not exist, with the nearest that does."""
    hint = did_you_mean(name, names) or f"there are {', '.join(names)}"
    return f"an unknown parameter {name!r}; {hint}"


def children(tree: Any) -> list[tuple[str, Any]] | None:
    """Return the named children of a container, None for a leaf."""
    if _is_leaf(tree.__class__):
        return None
    if isinstance(tree, Mapping):
        return [(str(key), value) for key, value in tree.items()]
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return list(zip(tree._fields, tree, strict=True))
    if isinstance(tree, list | tuple):
        return [(str(position), value) for position, value in enumerate(tree)]
    return [(item.name, getattr(tree, item.name)) for item in fields(tree)]


@lru_cache(maxsize=256)
def _is_leaf(kind: type) -> bool:
    """Return whether what is of this type holds nothing that has a name."""
    return not (issubclass(kind, Mapping | list | tuple) or is_dataclass(kind))


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _walk(tree: Any, path: str) -> Iterator[tuple[str, Any]]:
    parts = children(tree)
    if parts is None:
        yield path or LONE_NAME, tree
        return
    for key, child in parts:
        yield from _walk(child, _join(path, key))


def _rebuilder(template: Any, path: str) -> Callable[[Parameters], Any]:
    held = children(template)
    if held is None:
        name = path or LONE_NAME
        return lambda leaves: leaves.get(name, template)
    parts = [_rebuilder(child, _join(path, key)) for key, child in held]
    if type(template) is dict:
        if all(children(child) is None for _, child in held):
            named = [(key, _join(path, str(key)), leaf) for key, leaf in template.items()]
            return lambda leaves: {key: leaves.get(name, leaf) for key, name, leaf in named}
        keyed = list(zip(template, parts, strict=True))
        return lambda leaves: {key: part(leaves) for key, part in keyed}
    assemble = _assembler(template, [key for key, _ in held])
    return lambda leaves: assemble([part(leaves) for part in parts])


def _assembler(template: Any, keys: list[str]) -> Callable[[list[Any]], Any]:
    """Return a function that puts values into a new container of the template's type."""
    if isinstance(template, Mapping):
        make = _mapping_maker(template)

        def assemble(values: list[Any]) -> Any:
            return make(zip(template, values, strict=True))

    elif is_dataclass(template):
        computed = _cached_properties(template)

        def assemble(values: list[Any]) -> Any:
            twin = copy.copy(template)
            for name in computed:
                vars(twin).pop(name, None)  # it was computed from the old fields
            for key, value in zip(keys, values, strict=True):
                object.__setattr__(twin, key, value)  # also where the dataclass is frozen
            return twin

    elif hasattr(template, "_fields"):

        def assemble(values: list[Any]) -> Any:
            return type(template)(*values)

    else:
        assemble = type(template)
    return assemble


def _cached_properties(template: Any) -> list[str]:
    held = getattr(template, "__dict__", {})
    kind = type(template)
    return [name for name in held if isinstance(getattr(kind, name, None), cached_property)]


def _mapping_maker(template: Mapping[Any, Any]) -> Callable[[Any], Any]:
    """Return a function from pairs to a mapping of the template's type, else to a dict."""
    if isinstance(template, defaultdict):
        return lambda pairs: defaultdict(template.default_factory, pairs)
    kind: Any = type(template)
    try:
        made = kind(template.items())
    except Exception:
        return dict
    # An attribute dict, an ordered one: made anew, it shares nothing with the user's own.
    return kind if list(made) == list(template) else dict


Place = Literal["leaf", "misnested", "missing", "unexpected"]


def _walk_like(
    template: Any, tree: Any, path: str, required: Collection[str]
) -> Iterator[tuple[Place, Any]]:
    """Yield every leaf found as (name, value), and what is wrong as a phrase or name."""
    expected = children(template)
    if expected is None:
        yield "leaf", (path or LONE_NAME, tree)
        return
    found = children(tree)
    if found is None:
        if not any(name in required for name, _ in _walk(template, path)):
            return
        kind, where = type(template).__name__, f" at {path!r}" if path else ""
        yield "misnested", f"expected a {kind} like the parameters{where}, got {_kind(tree)}"
        return
    held, wanted = dict(found), dict(expected)
    missing = [
        name
        for key, child in expected
        if key not in held
        for name, _ in _walk(child, _join(path, key))
        if name in required
    ]
    unexpected = [_join(path, key) for key in held if key not in wanted]
    yield from (("missing", name) for name in missing)
    yield from (("unexpected", name) for name in unexpected)
    if (missing or unexpected) and _is_sequence(template) and _is_sequence(tree):
        return
    for key, child in expected:
        if key in held:
            yield from _walk_like(child, held[key], _join(path, key), required)


def _is_sequence(tree: Any) -> bool:
    return isinstance(tree, list | tuple) and not hasattr(tree, "_fields")


def _kind(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"{type(value).__name__} of shape {shape}"
