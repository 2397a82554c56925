"""What the user asked for: what was typed, what is configured, and the defaults, in that order."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradcheck.configuration import Configuration

# Options of a check that the command and the configuration take.
CHECK_OPTIONS = (
    *("only", "exclude", "seed", "effort", "directions", "method"),
    *("required_resolution", "reseed", "timeout", "budget"),
)


@dataclass(frozen=True)
class Options:
    """What the user asked for, on the command line or in the configuration.

    Attributes
    ----------
    explaining: codes or names of findings to explain
    checks: the options of a check, by their names in Python; those left at their defaults are not
        there
    """

    targets: tuple[str, ...]
    folder: Path | None
    listing: bool
    self_testing: bool
    explaining: tuple[str, ...]
    checks: Mapping[str, Any]
    allow_inconclusive: bool
    format: str
    output: str
    quiet: bool
    verbose: bool
    color: str


def settle(typed: argparse.Namespace, configured: Configuration) -> Options:
    """Return the options: the command line first, then the configuration, then the defaults."""

    def first(name: str) -> Any:
        typed_here = getattr(typed, name)
        return getattr(configured, name) if typed_here is None else typed_here

    values = {key: value for key, value in vars(typed).items() if key not in CHECK_OPTIONS}
    values["targets"] = tuple(typed.targets) or configured.targets
    values["explaining"] = tuple(typed.explaining)
    values["folder"] = None if typed.targets else configured.folder
    values["checks"] = {name: first(name) for name in CHECK_OPTIONS if first(name) is not None}
    values["allow_inconclusive"] = first("allow_inconclusive") or False
    return Options(**values)
