"""The formats of the report: each makes one text of all outcomes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence

from gradcheck.cli import exits
from gradcheck.cli.options import CHECK_OPTIONS, Options
from gradcheck.cli.running import Outcome

NO_TARGET = "no target given: checking the built-in example, a 3-4-4-2 backprop network"
YOUR_OWN = "check your own:  gradcheck module:problem  or  gradcheck file.py:problem"

NAMES_IN_RERUN = 8
SELECTIONS = ("only", "exclude")


def as_text(outcomes: Sequence[Outcome], options: Options, stream: object) -> str:
    """Return the terminal view, laid out and coloured for `stream`."""
    from gradcheck.rendering import make_console, render_on, render_terminal

    console = make_console(stream, options.color)
    views = [
        render_on(
            console,
            render_terminal(
                outcome.report,
                verbose=options.verbose,
                quiet=options.quiet,
                rerun=_rerun(outcome, options),
            ),
        )
        for outcome in outcomes
        if outcome.report is not None
    ]
    if not options.targets:
        hint = [] if options.quiet else [f"{YOUR_OWN}\n"]
        views = [f"{NO_TARGET}\n", *views, *hint]
    if len(outcomes) > 1:
        views.append(_summary(outcomes))
    return "\n".join(views)


def as_json(outcomes: Sequence[Outcome], options: Options, stream: object) -> str:
    """Return the report as JSON; several, or one that could not be made, in one document."""
    import json

    reports = [outcome.report for outcome in outcomes if outcome.report is not None]
    errors = [
        {"name": outcome.name, "error": outcome.error}
        for outcome in outcomes
        if outcome.report is None
    ]
    if len(reports) == 1 and not errors:
        return f"{reports[0].to_json()}\n"
    document: dict[str, object] = {"schema": 1, "reports": [each.to_dict() for each in reports]}
    if errors:
        document["errors"] = errors
    return f"{json.dumps(document, indent=2, allow_nan=False)}\n"


def as_svg(outcomes: Sequence[Outcome], options: Options, stream: object) -> str:
    """Return a picture of the terminal view; "" if there is no report to draw."""
    from gradcheck.rendering import render_svg

    reports = [outcome.report for outcome in outcomes if outcome.report is not None]
    if not reports:
        return ""
    return render_svg(reports, verbose=options.verbose, quiet=options.quiet)


RENDERERS: dict[str, Callable[[Sequence[Outcome], Options, object], str]] = {
    "text": as_text,
    "json": as_json,
    "svg": as_svg,
}


def _rerun(outcome: Outcome, options: Options) -> str | None:
    """Return the command that checks again what did not pass; None where all did."""
    if outcome.report is None or outcome.report.ok:
        return None
    import shlex

    words = ["gradcheck", outcome.name]
    names = [part.name for part in outcome.report.parameters if part.verdict != "pass"]
    checks = {"seed": 0, **options.checks}
    selected = "only" in checks or "exclude" in checks
    every = len(names) == len(outcome.report.parameters) and not selected
    if not every and len(names) <= NAMES_IN_RERUN and not any("," in name for name in names):
        checks = {"only": tuple(names)} | {k: v for k, v in checks.items() if k not in SELECTIONS}
    for name in sorted(checks, key=CHECK_OPTIONS.index):
        words += [f"--{name.replace('_', '-')}", _typed(checks[name])]
    command = shlex.join(words)
    folder = os.path.relpath(options.folder or os.curdir)
    return command if folder == os.curdir else f"cd {shlex.quote(folder)} && {command}"


def _typed(value: object) -> str:
    if isinstance(value, tuple):
        return ",".join(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _summary(outcomes: Sequence[Outcome]) -> str:
    words = {
        exits.PASSED: "passed",
        exits.WRONG: "wrong",
        exits.INCONCLUSIVE: "inconclusive",
        exits.NOTHING_CHECKED: "not checked",
        exits.COULD_NOT_RUN: "could not run",
    }
    counts = Counter(outcome.code for outcome in outcomes)
    parts = [f"{counts[code]} {word}" for code, word in words.items() if counts[code]]
    return f"{len(outcomes)} targets: {', '.join(parts)}\n"
