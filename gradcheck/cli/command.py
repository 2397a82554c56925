"""The command from its arguments to its exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gradcheck.cli import exits, messages
from gradcheck.cli.parser import UsageError, parse

if TYPE_CHECKING:
    from argparse import Namespace

    from gradcheck.cli.options import Options
    from gradcheck.cli.running import Outcome


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Parameters
    ----------
    argv: the arguments after the command's name; those of this process by default
    """
    try:
        return _command(argv)
    except UsageError as error:
        messages.say(error.message, tip=error.tip)
        return exits.COULD_NOT_RUN
    except KeyboardInterrupt:
        messages.tell("interrupted")
        return exits.INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return exits.INTERRUPTED
    except OSError as error:  # standard output cannot be written to: a full disk
        _discard_output()
        messages.say(f"cannot write the report: {error.strerror}")
        return exits.COULD_NOT_RUN


def _command(argv: Sequence[str] | None) -> int:
    try:
        typed = parse(argv)
    except SystemExit:  # --help and --version have printed what was asked for
        sys.stdout.flush()
        return exits.PASSED
    if typed.listing:
        from gradcheck.cli.listing import list_targets

        return list_targets(_settled(typed))
    if typed.explaining:
        from gradcheck.cli.explaining import explain

        return explain(_settled(typed))
    if typed.self_testing:
        from gradcheck.cli.self_testing import run_and_print

        return run_and_print(_settled(typed))
    return _check(_settled(typed, is_configurable=True))


def _settled(typed: Namespace, *, is_configurable: bool = False) -> Options:
    """Return the options, those of the project's configuration among them where it has a say."""
    # Not before --help is printed, which has no use for them.
    from gradcheck.cli.options import settle
    from gradcheck.configuration import Configuration, ConfigurationError, load_configuration

    try:
        return settle(typed, load_configuration() if is_configurable else Configuration())
    except ConfigurationError as error:
        raise UsageError(str(error)) from error


def _check(options: Options) -> int:
    from gradcheck.cli import formats, output
    from gradcheck.cli.running import run

    output.check_writable(options.output)
    outcomes = run(options)
    if options.format != "text" and not options.targets:
        messages.tell(formats.NO_TARGET)
    text = formats.RENDERERS[options.format](
        outcomes, options, output.layout_stream(options.output)
    )
    if text:
        output.write(text, options.output)
    if options.output != output.STANDARD_OUTPUT:
        _tell_verdicts(outcomes)
    return exits.together(outcome.code for outcome in outcomes)


def _tell_verdicts(outcomes: Sequence[Outcome]) -> None:
    """Say on stderr what the report in the file will say."""
    from gradcheck.rendering import render_verdict

    for outcome in outcomes:
        if outcome.report is not None:
            messages.tell(render_verdict(outcome.report))


def _discard_output() -> None:
    """Point stdout at nothing: nobody reads it, and flushing it at exit would fail again."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):  # not a real file
        return
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, descriptor)
    os.close(nothing)
