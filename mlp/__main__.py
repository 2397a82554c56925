"""``python -m mlp``: lists the demos, or runs one."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Collection
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from mlp.demos.catalogue import Demo, Outcome, Settings

# Who verifies and who observes where a demo is asked to: this package imports neither.
VERIFIER, MONITOR = "gradcheck:layer_verifier", "gradcheck:DescentMonitor"

# What -o takes in the place of a file.
STANDARD_OUTPUT = Path("-")

# Exit codes: what was asked for was shown; a verifier found a gradient wrong; what was asked for
# could not be shown; it was interrupted.
SHOWN, WRONG, NOT_SHOWN, INTERRUPTED = 0, 1, 2, 130


class RefusedError(Exception):
    """What is asked for cannot be done, and why."""


class WrongGradientError(Exception):
    """What a verifier said of a wrong gradient, which ended a training."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code."""
    try:
        try:
            _command(arguments)
        finally:
            sys.stdout.flush()  # here, where a broken pipe is still caught
    except RefusedError as error:
        print(f"error: {error}", file=sys.stderr)
        return NOT_SHOWN
    except WrongGradientError as error:
        print(error, file=sys.stderr)
        return WRONG
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return INTERRUPTED
    except OSError as error:
        _discard_output()
        print(f"error: {error.filename or 'standard output'}: {error.strerror}", file=sys.stderr)
        return NOT_SHOWN
    return SHOWN


def _command(arguments: list[str] | None) -> None:
    """List the demos, or run one.

    Raises
    ------
    RefusedError
        when what is asked for cannot be done
    WrongGradientError
        when a training is verified, and a gradient is wrong
    """
    from mlp.demos import DEMOS

    given = _parser(_trained(DEMOS)).parse_args(arguments)
    if given.demo is None:
        _check_alone(given)
        _print("\n".join(_listed(DEMOS.values())))
        return
    demo = _found(given.demo, DEMOS)
    _check(given, demo, _trained(DEMOS))
    outcome = _outcome(given, demo)
    if given.output != STANDARD_OUTPUT:
        _print("\n".join(_shown(demo, outcome)))
    if given.output is not None:
        _write(given.output, demo, outcome)


def _trained(demos: dict[str, Demo]) -> str:
    """Return the names of the demos whose training can be verified and observed."""
    return ", ".join(name for name, demo in demos.items() if demo.trains)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise RefusedError(message)


def _parser(trained: str) -> argparse.ArgumentParser:
    """Return what reads the arguments; None stands for what is not given."""
    parser = _Parser(
        prog="python -m mlp",
        description="Networks that learn, and how their gradients are made. "
        "Without a name, lists what there is.",
        epilog=f"Demos that take --verify-every and --monitor: {trained}.",
    )
    parser.add_argument("demo", nargs="?", metavar="DEMO", help="which one to run")
    parser.add_argument(
        "--seed",
        type=_whole_number(least=0),
        metavar="N",
        help="of all that is random (default: 0)",
    )
    parser.add_argument(
        *("-o", "--output"),
        type=Path,
        metavar="FILE",
        help="write the curves there, as SVG; - prints them in place of the text",
    )
    parser.add_argument(
        "--verify-every",
        type=_whole_number(least=1),
        metavar="N",
        help="verify the gradient in every Nth step of training, layer by layer",
    )
    parser.add_argument(
        "--monitor",
        action="store_const",
        const=True,
        help="tell of the training whether it progresses as its gradient promises",
    )
    return parser


def _whole_number(least: int) -> Callable[[str], int]:
    """Return what turns an argument into a whole number that is not below the least."""

    def convert(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(
                f"must be a whole number, at least {least}, got {text!r}"
            )
        return number

    return convert


def _found(name: str, demos: dict[str, Demo]) -> Demo:
    if name in demos:
        return demos[name]
    near = get_close_matches(name, demos, 1)
    hint = f"did you mean {near[0]!r}?" if near else "python -m mlp lists them"
    raise RefusedError(f"no demo is called {name!r}; {hint}")


def _check_alone(given: argparse.Namespace) -> None:
    """Raise RefusedError where options come without a demo to keep them."""
    options = [name for name, value in vars(given).items() if value is not None]
    if options:
        named = ", ".join(f"--{name.replace('_', '-')}" for name in options)
        raise RefusedError(f"DEMO must be given with {named}; python -m mlp lists them")


def _check(given: argparse.Namespace, demo: Demo, trained: str) -> None:
    """Raise RefusedError, before anything is run, where an option cannot be kept."""
    if not demo.trains and (given.verify_every or given.monitor):
        raise RefusedError(
            f"demo {demo.name!r} takes no --verify-every and no --monitor; these do: {trained}"
        )
    if given.output is not None and given.output != STANDARD_OUTPUT:
        _check_file(given.output)


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise RefusedError(f"--output must be a file, got the folder '{path}'")
    if path.suffix.lower() != ".svg":
        raise RefusedError(f"--output must end in .svg, or be -, got '{path}'")
    if not path.parent.is_dir():
        raise RefusedError(f"--output: no folder '{path.parent}'")


def _outcome(given: argparse.Namespace, demo: Demo) -> Outcome:
    """Return what the demo shows."""
    try:
        return demo.run(_settings(given))
    except AssertionError as wrong:
        if given.verify_every is None:  # not a verifier's
            raise
        raise WrongGradientError(str(wrong)) from wrong


def _settings(given: argparse.Namespace) -> Settings:
    from mlp.demos.catalogue import Settings

    return Settings(
        verifier=partial(_made, VERIFIER),
        monitor=partial(_made, MONITOR),
        seed=given.seed or 0,
        verify_every=given.verify_every,
        observing=bool(given.monitor),
    )


def _made(address: str) -> Any:
    """Return what the function at an address such as "package:name" makes."""
    return resolve_name(address)()


def _listed(demos: Collection[Demo]) -> list[str]:
    width = max(len(demo.name) for demo in demos)
    return [
        "python -m mlp DEMO shows one of these:",
        "",
        *(f"  {demo.name:{width}}  {demo.title}" for demo in demos),
        "",
        "python -m mlp --help has the options.",
    ]


def _shown(demo: Demo, outcome: Outcome) -> list[str]:
    from mlp.curves import draw_text

    drawing = ["", draw_text(outcome.curves, outcome.across)] if outcome.curves else []
    return [demo.title, "", *outcome.lines, *drawing]


def _print(text: str) -> None:
    """Print a text, with what the terminal's encoding lacks as its escape."""
    encoding = sys.stdout.encoding or "utf-8"
    # At once: who reads the first lines and leaves, such as head, has been sent them all.
    sys.stdout.write(f"{text}\n".encode(encoding, "backslashreplace").decode(encoding))


def _write(path: Path, demo: Demo, outcome: Outcome) -> None:
    """Write the curves of an outcome, as SVG."""
    from mlp.curves import draw_svg

    if not outcome.curves:
        raise RefusedError(f"demo {demo.name!r} has no curves to write to '{path}'")
    drawing = draw_svg(outcome.curves, demo.title, outcome.across)
    if path == STANDARD_OUTPUT:
        _print(drawing.rstrip("\n"))
        return
    try:
        path.write_text(drawing, encoding="utf-8")
    except OSError as error:
        raise RefusedError(f"--output: cannot write '{path}': {error.strerror}") from error
    print(f"curves written to {path}", file=sys.stderr)


def _discard_output() -> None:
    """Point stdout at nothing: nobody reads it, and flushing it at exit would fail again."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


if __name__ == "__main__":
    sys.exit(main())
