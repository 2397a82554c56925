"""`--explain`: what a finding means, how it comes about, and what to do."""

from __future__ import annotations

from gradcheck.cli import exits, output
from gradcheck.cli.options import Options
from gradcheck.cli.parser import UsageError
from gradcheck.diagnosis import catalogue


def explain(options: Options) -> int:
    """Print the lesson of every finding that was asked for, and return the exit code.

    Raises
    ------
    UsageError
        when there is no such finding, or targets are given, which it does not look at
    """
    if options.targets:
        raise UsageError(f"--explain takes no TARGET, got {options.targets[0]!r}")
    try:
        found = [catalogue.find(typed) for typed in options.explaining]
    except catalogue.UnknownFinding as error:
        raise UsageError(str(error), error.tip) from error
    output.check_writable(options.output)
    output.write("\n\n".join(map(catalogue.lesson, found)), options.output)
    return exits.PASSED
