"""The command line: what can be typed, and its help. Loading it loads nothing of the checker."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from typing import NoReturn

from gradcheck import __version__
from gradcheck.choices import DIRECTIONS, EFFORTS, METHODS
from gradcheck.suggestions import did_you_mean

FORMATS = ("text", "json", "svg")
COLORS = ("auto", "always", "never")

DESCRIPTION = (
    "Check hand-written gradients: right or wrong with an error bar, where, and why. TARGET is "
    "MODULE:ATTR or FILE.py:ATTR, or FILE.py for every problem in it; an ATTR that is a function "
    "is called. Without TARGET: the targets of [tool.gradcheck] in pyproject.toml, else a built-in "
    "example."
)
EPILOG = """\
examples:
  gradcheck net.py:net                   check every gradient of one problem
  gradcheck net.py:net --only 'W2,b*'    check some of its parameters
  gradcheck --list net.py                show what can be checked in a file
  gradcheck --format svg -o report.svg   a picture of the report
  gradcheck --explain GC201              what a finding means, what to do

exit status: 0 every gradient agrees, 1 a gradient is wrong, 2 could not run,
3 inconclusive, 5 nothing was checked, 130 interrupted. Settings are read from
[tool.gradcheck] of the nearest pyproject.toml: targets, allow_inconclusive and
every option under "what to check" and "what decides".
"""


class UsageError(ValueError):
    """A command line that means nothing, with a tip where we can guess what was meant."""

    def __init__(self, message: str, tip: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.tip = tip


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Return what was typed; exits by SystemExit after --help and --version.

    Raises
    ------
    UsageError
        when it means nothing
    """
    parser = build_parser()
    typed, unknown = parser.parse_known_args(argv)
    if unknown:
        option = unknown[0].split("=")[0]
        known = [text for action in parser._actions for text in action.option_strings]
        raise UsageError(f"unknown option {option!r}", did_you_mean(option, known))
    return typed


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, "gradcheck --help shows the options")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = _Parser(
        prog="gradcheck",
        usage="gradcheck [options] [TARGET ...]",
        description=_wrapped(DESCRIPTION),
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="what to check")
    _add_what(parser.add_argument_group("what to check"))
    _add_decision(parser.add_argument_group("what decides"))
    _add_report(parser.add_argument_group("report"))
    _add_help(parser.add_argument_group("help"))
    return parser


def _add_what(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--only",
        action="extend",
        type=_names,
        metavar="NAMES",
        help="parameters to check: names or globs, separated by commas; repeatable",
    )
    group.add_argument(
        "--exclude", action="extend", type=_names, metavar="NAMES", help="parameters to leave out"
    )
    group.add_argument(
        "--seed",
        type=_whole_number,
        metavar="N",
        help="seed of the checker's random directions (default: 0)",
    )
    group.add_argument(
        "--effort",
        type=_one_of(EFFORTS),
        metavar="E",
        help="quick: random directions only; exhaustive: every entry too; auto: every entry where "
        "that is affordable (default: auto)",
    )
    group.add_argument(
        "--directions",
        type=_one_of(DIRECTIONS),
        metavar="D",
        help="random, or eigen: the top eigenvectors of the Hessian too (default: random)",
    )
    group.add_argument(
        "--reseed",
        type=_whole_number,
        metavar="N",
        help="seed random and numpy.random with N before every call of a random loss or gradient",
    )


def _add_decision(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--required-resolution",
        type=_positive_number,
        metavar="X",
        help="relative error that a pass must rule out (default: 1e-06 in float64, 1e-04 for a "
        "float32 gradient, 1e-02 in pure float32)",
    )
    group.add_argument(
        "--method",
        type=_one_of(METHODS),
        metavar="M",
        help="auto: differences; complex: the complex step, where the loss takes complex "
        "numbers; strict: every weight of exposed layers moved by itself (default: auto)",
    )
    group.add_argument(
        "--timeout",
        type=_positive_number,
        metavar="S",
        help="seconds that one call of the loss or the gradient may take (default: no limit)",
    )
    group.add_argument(
        "--budget",
        type=_positive_number,
        metavar="S",
        help="seconds after which no more is measured (default: no limit)",
    )
    group.add_argument(
        "--allow-inconclusive",
        action=argparse.BooleanOptionalAction,
        help="exit 0, not 3, when nothing is wrong but something is undecided (default: no)",
    )


def _add_report(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--format",
        type=_one_of(FORMATS),
        default="text",
        metavar="F",
        help=f"{', '.join(FORMATS)} (default: text)",
    )
    group.add_argument(
        "-o",
        "--output",
        default="-",
        metavar="FILE",
        help="where the report goes (default: -, standard output)",
    )
    volume = group.add_mutually_exclusive_group()
    volume.add_argument(
        "-q", "--quiet", action="store_true", help="show what is wrong and the verdict only"
    )
    volume.add_argument(
        "-v", "--verbose", action="store_true", help="show all failures and every probe"
    )
    group.add_argument(
        "--color",
        type=_one_of(COLORS),
        default="auto",
        metavar="WHEN",
        help=f"{', '.join(COLORS)} (default: auto; NO_COLOR and FORCE_COLOR are obeyed)",
    )


def _add_help(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--list", action="store_true", dest="listing", help="list what can be checked in TARGET"
    )
    group.add_argument(
        "--explain",
        nargs="+",
        action="extend",
        default=[],
        dest="explaining",
        metavar="CODE",
        help="explain a finding by its code or name, such as GC201 or transposed",
    )
    group.add_argument(
        "--self-test",
        action="store_true",
        dest="self_testing",
        help="plant faults in the built-in networks and show what is caught on this machine",
    )
    group.add_argument("-h", "--help", action="help", help="show this help")
    group.add_argument("-V", "--version", action="version", version=f"gradcheck {__version__}")


def _names(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise argparse.ArgumentTypeError(f"must name parameters, got {text!r}")
    return names


def _whole_number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"must be a whole number from 0 up, got {text!r}")
    return int(text)


def _positive_number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not (math.isfinite(number) and number > 0):
        raise argparse.ArgumentTypeError(f"must be a number above 0, got {text!r}")
    return number


def _one_of(choices: Sequence[str]) -> Callable[[str], str]:
    def chosen(text: str) -> str:
        if text in choices:
            return text
        tip = did_you_mean(text, choices)
        hint = f"; {tip}" if tip else ""
        raise argparse.ArgumentTypeError(f"must be one of {', '.join(choices)}, got {text!r}{hint}")

    return chosen


def _wrapped(text: str) -> str:
    import textwrap

    return textwrap.fill(text, 78)
