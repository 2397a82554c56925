"""``python -m mlp``: lists the demos, or runs one."""

from __future__ import annotations

import argparse
import sys
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

# Who verifies and who observes where a demo is asked to: this package imports neither.
VERIFIER, MONITOR = "gradcheck:layer_verifier", "gradcheck:DescentMonitor"

# Exit codes: what was asked for was shown; it could not be run; it was interrupted.
SHOWN, NOT_RUN, INTERRUPTED = 0, 2, 130


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    given = _parser().parse_args(arguments)
    try:
        text = _shown(given)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return NOT_RUN
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    print(text)
    return SHOWN


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mlp",
        description="Networks that learn, and how their gradients are made. "
        "Without a name, lists what there is.",
    )
    parser.add_argument("demo", nargs="?", metavar="DEMO", help="which one to run")
    parser.add_argument("--seed", type=int, default=0, help="of all that is random (default: 0)")
    parser.add_argument(
        *("-o", "--output"), type=Path, metavar="FILE", help="write the curves there, as SVG"
    )
    parser.add_argument(
        "--verify-every",
        type=int,
        metavar="N",
        help="verify the gradient in every Nth step of training, layer by layer",
    )
    parser.add_argument(
        "--monitor",
        action="store_true",
        help="tell of the training whether it progresses as its gradient promises",
    )
    return parser


def _shown(given: argparse.Namespace) -> str:
    """Return the text to print.

    Raises
    ------
    ValueError
        when what is asked for cannot be done
    """
    from mlp.curves import draw_svg, draw_text
    from mlp.demos import DEMOS
    from mlp.demos.catalogue import Settings

    if given.demo is None:
        return "\n".join(_listed())
    if given.demo not in DEMOS:
        (near,) = get_close_matches(given.demo, DEMOS, 1) or [""]
        hint = f"did you mean {near!r}?" if near else "python -m mlp lists them"
        raise ValueError(f"no demo is called {given.demo!r}; {hint}")
    demo = DEMOS[given.demo]
    if not demo.trains and (given.verify_every is not None or given.monitor):
        raise ValueError(f"demo {demo.name!r} trains nothing that could be verified or monitored")
    if given.seed < 0:
        raise ValueError(f"--seed must be at least 0, got {given.seed}")
    settings = Settings(
        verifier=partial(_made, VERIFIER),
        monitor=partial(_made, MONITOR),
        seed=given.seed,
        verify_every=given.verify_every,
        observing=given.monitor,
    )
    outcome = demo.run(settings)
    lines = [demo.title, "", *outcome.lines]
    if outcome.curves:
        lines += ["", draw_text(outcome.curves)]
    if given.output is not None:
        if not outcome.curves:
            raise ValueError(f"demo {demo.name!r} has no curves to write to {given.output}")
        _write(given.output, draw_svg(outcome.curves, demo.title))
        lines += ["", f"written: {given.output}"]
    return "\n".join(lines)


def _made(address: str) -> Any:
    """Return what the function at an address such as "package:name" makes."""
    return resolve_name(address)()


def _listed() -> list[str]:
    from mlp.demos import DEMOS

    width = max(map(len, DEMOS), default=0)
    return [
        "python -m mlp DEMO shows one of these:",
        "",
        *(f"  {demo.name:{width}}  {demo.title}" for demo in DEMOS.values()),
        "",
        "python -m mlp --help has the options.",
    ]


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror}") from None


if __name__ == "__main__":
    sys.exit(main())
