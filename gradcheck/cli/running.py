"""Checking the targets one after the other: one bad target does not stop the others."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from gradcheck.cli import exits, messages
from gradcheck.cli.options import Options
from gradcheck.targets import Target, TargetError, load_builtin, load_targets

if TYPE_CHECKING:
    from gradcheck.options import CheckOptions
    from gradcheck.report import GradientReport

EXAMPLE = "reference"


@dataclass(frozen=True)
class Outcome:
    """What became of a target: its report, or why there is none."""

    name: str
    code: int
    report: GradientReport | None = None
    error: str | None = None


def run(options: Options) -> list[Outcome]:
    """Return an outcome for every problem of every target, having said what went wrong."""
    outcomes: list[Outcome] = []
    # What the user's code prints must not end up in the report.
    with redirect_stdout(sys.stderr):
        for text in options.targets or (None,):
            loaded = _loaded(text, options)
            if isinstance(loaded, Outcome):
                outcomes.append(loaded)
            else:
                outcomes += [_checked(target, options) for target in loaded]
    return outcomes


def _loaded(text: str | None, options: Options) -> list[Target] | Outcome:
    try:
        return [load_builtin(EXAMPLE)] if text is None else load_targets(text, options.folder)
    except TargetError as error:
        from gradcheck.cli import failures

        failures.say_target(error)
        return Outcome(text or EXAMPLE, exits.COULD_NOT_RUN, error=error.message)
    except (Exception, SystemExit) as error:
        name = text or EXAMPLE
        return Outcome(name, exits.COULD_NOT_RUN, error=_said(f"loading {name!r}", error))


def _checked(target: Target, options: Options) -> Outcome:
    from gradcheck.checking import NothingToCheck, check

    try:
        report = check(target.problem, name=target.name, **cast("CheckOptions", options.checks))
    except NothingToCheck as error:
        messages.say(f"nothing to check in {target.name!r}: {error}")
        return Outcome(target.name, exits.NOTHING_CHECKED, error=str(error))
    except (Exception, SystemExit) as error:
        said = _said(f"checking {target.name!r}", error)
        return Outcome(target.name, exits.COULD_NOT_RUN, error=said)
    code = exits.of_report(report, allow_inconclusive=options.allow_inconclusive)
    return Outcome(target.name, code, report=report)


def _said(doing: str, error: BaseException) -> str:
    """Tell the user about an exception, whosever it is, and return the first line of that."""
    from gradcheck.cli import failures

    message = f"{doing} failed: {failures.described(error)}"
    if isinstance(error, SystemExit) or failures.is_users(error):
        messages.say(message, lines=failures.users_lines(error))
    elif failures.is_about_arguments(error):
        message = f"{doing}: {error}"
        messages.say(message)
    else:
        failures.say_bug(doing, error)
    return message
