"""`--list`: what can be checked in a module or file, or comes with gradcheck."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout

from gradcheck.cli import exits, failures, messages, output
from gradcheck.cli.options import Options
from gradcheck.targets import Checkable, TargetError, list_builtin, list_checkable

WIDEST_NAME = 48


def list_targets(options: Options) -> int:
    """Print a line per target that can be checked, and return the exit code."""
    found: list[Checkable] = []
    codes = []
    for source in options.targets:
        here = _found(source, options)
        codes.append(exits.COULD_NOT_RUN if here is None else exits.PASSED)
        if here == []:
            messages.say(f"no problems in {source!r}")
            codes.append(exits.NOTHING_CHECKED)
        found += here or []
    if not options.targets:
        found, codes = list_builtin(), [exits.PASSED]
    output.write("".join(f"{line}\n" for line in _lines(found)), output.STANDARD_OUTPUT)
    return exits.together(codes)


def _found(source: str, options: Options) -> list[Checkable] | None:
    try:
        with redirect_stdout(sys.stderr):
            return list_checkable(source, options.folder)
    except TargetError as error:
        failures.say_target(error)
        return None


def _lines(found: Sequence[Checkable]) -> list[str]:
    width = min(max((len(item.target) for item in found), default=0), WIDEST_NAME)
    return [f"{item.target:<{width}}  {item.summary}".rstrip() for item in found]
