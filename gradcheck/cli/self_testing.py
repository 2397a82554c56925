"""`--self-test`: what this installation makes of faults planted in the built-in networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gradcheck import __version__
from gradcheck.cli import exits, output
from gradcheck.cli.options import Options
from gradcheck.cli.parser import UsageError
from gradcheck.rendering.wording import plural

if TYPE_CHECKING:
    from gradcheck.self_test import SelfTest, Trial

ROW = "{:<30}{:>8}{:>8}{:>8}{:>8}{:>12}"
TITLES = ("", "planted", "caught", "placed", "missed", "too small")
DEFAULT_SEED = 0


def run_and_print(options: Options) -> int:
    """Print what was caught, placed and missed, and return the exit code.

    Raises
    ------
    UsageError
        when targets are given, which it does not look at
    """
    if options.targets:
        raise UsageError(f"--self-test takes no TARGET, got {options.targets[0]!r}")
    from gradcheck.self_test import run_self_test

    output.check_writable(options.output)
    result = run_self_test(options.checks.get("seed", DEFAULT_SEED))
    output.write("".join(f"{line}\n" for line in lines(result)), options.output)
    return exits.PASSED if result.ok else exits.WRONG


def lines(result: SelfTest) -> list[str]:
    """Return what the self-test found, in lines of at most 80 columns."""
    networks = ", ".join(dict.fromkeys(trial.subject for trial in result.trials))
    return [
        f"gradcheck {__version__}  self-test: faults planted in the built-in networks",
        f"networks: {networks}",
        "",
        ROW.format(*TITLES),
        *_rows(result),
        "",
        *map(_remark, _remarkable(result)),
        _verdict(result),
    ]


def _rows(result: SelfTest) -> list[str]:
    faults = dict.fromkeys(trial.fault for trial in result.planted)
    rows = [_row(name, [t for t in result.planted if t.fault == name]) for name in faults]
    total = _row("all faults", result.planted)
    accused = sum(trial.outcome == "accused" for trial in result.correct)
    right = f"correct gradients: {len(result.correct)} checked, {accused} accused"
    return [*rows, total, "", right]


def _row(name: str, trials: Sequence[Trial]) -> str:
    outcomes = [trial.outcome for trial in trials]
    counts = [outcomes.count(kind) for kind in ("caught", "missed", "below resolution")]
    placed = sum(trial.placed for trial in trials)
    return ROW.format(name, len(trials), counts[0], placed, *counts[1:])


def _remarkable(result: SelfTest) -> list[Trial]:
    return [
        trial
        for trial in result.trials
        if trial.outcome in ("missed", "accused")
        or (trial.outcome == "caught" and not trial.placed)
    ]


def _remark(trial: Trial) -> str:
    what = "not placed" if trial.outcome == "caught" else trial.outcome
    size = f", off by {trial.size:.1e}" if trial.size else ""
    return f"{what}: {trial.fault}, {trial.subject} network, seed {trial.seed}{size}"


def _verdict(result: SelfTest) -> str:
    cost = f"{len(result.trials)} checks, {result.seconds:.1f} s"
    if result.ok:
        said = "every fault that could be seen was caught, no correct gradient accused"
        return f"PASS  {said}\n      {cost}"
    missed = sum(trial.outcome == "missed" for trial in result.trials)
    accused = sum(trial.outcome == "accused" for trial in result.trials)
    said = f"{plural(missed, 'fault')} missed, {plural(accused, 'correct gradient')} accused"
    return f"FAIL  {said}   {cost}"
