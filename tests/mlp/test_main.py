"""The command `python -m mlp`: what it shows, what it refuses, and its exit codes."""

import io
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

import mlp
from mlp import demos
from mlp.__main__ import main
from mlp.curves import Curve
from mlp.demos.catalogue import Demo, Outcome


def shown(settings):
    """Show what the settings come to."""
    line = f"seed {settings.seed}, {settings.verify_every}, {settings.observing}"
    return Outcome((line,), (Curve("falling", (3.0, 2.0, 1.0)),), across="epoch")


def bare(settings):
    """Show text alone, with a character that ASCII has not."""
    return Outcome(("3 \N{MULTIPLICATION SIGN} 4",))


def interrupted(settings):
    """End as Ctrl-C ends it."""
    raise KeyboardInterrupt


def doubted(settings):
    """End as a verifier that finds a gradient wrong ends a training."""
    raise AssertionError("layer2.weight is wrong\n  at [0, 1]")


SMALL = {
    demo.name: demo
    for demo in (
        Demo("falling", "Falls & falls", shown, trains=True),
        Demo("doubted", "Fails", doubted, trains=True),
        Demo("bare", "Text alone", bare),
        Demo("interrupted", "Stops", interrupted),
    )
}


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command with three small demos; what it printed, and its exit code."""
    monkeypatch.setattr(demos, "DEMOS", SMALL)

    def command(*arguments):
        code = main(list(arguments))
        out, err = capsys.readouterr()
        return SimpleNamespace(code=code, out=out, err=err)

    return command


@pytest.fixture
def process(tmp_path):
    """Run the command as a process of its own, in an empty folder."""
    path = {"PYTHONPATH": str(Path(mlp.__file__).parents[1])}

    def command(*arguments, stdout=subprocess.PIPE):
        return subprocess.run(
            [sys.executable, "-m", "mlp", *arguments],
            cwd=tmp_path,
            env=os.environ | path,
            stdout=stdout,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            check=False,
        )

    return command


def test_without_a_name_the_demos_are_listed(run):
    done = run()
    assert done.code == 0
    assert done.out.splitlines() == [
        "python -m mlp DEMO shows one of these:",
        "",
        "  falling      Falls & falls",
        "  doubted      Fails",
        "  bare         Text alone",
        "  interrupted  Stops",
        "",
        "python -m mlp --help has the options.",
    ]


def test_a_demo_shows_its_title_its_lines_and_its_curves(run):
    done = run("falling")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert lines[:5] == ["Falls & falls", "", "seed 0, None, False", "", "3 |*"]
    assert lines[-2].split() == ["0", "epoch", "2"]
    assert lines[-1] == "* falling"


def test_options_reach_the_demo(run):
    assert "seed 7, None, False" in run("falling", "--seed", "7").out
    assert "seed 0, 10, True" in run("falling", "--verify-every", "10", "--monitor").out


def test_curves_are_written_as_svg_where_asked_to(run, tmp_path):
    path = tmp_path / "falling.svg"
    done = run("falling", "-o", str(path))
    assert done.code == 0
    assert done.err == f"curves written to {path}\n"
    assert "* falling" in done.out
    root = ElementTree.parse(path).getroot()
    assert root.find("{http://www.w3.org/2000/svg}title").text == "Falls & falls"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["faling"], "error: no demo is called 'faling'; did you mean 'falling'?\n"),
        (["xyz"], "error: no demo is called 'xyz'; python -m mlp lists them\n"),
        (
            ["falling", "--seed", "-1"],
            "error: argument --seed: must be a whole number, at least 0, got '-1'\n",
        ),
        (
            ["falling", "--seed", "one"],
            "error: argument --seed: must be a whole number, at least 0, got 'one'\n",
        ),
        (
            ["falling", "--verify-every", "0"],
            "error: argument --verify-every: must be a whole number, at least 1, got '0'\n",
        ),
        (["falling", "--sed", "1"], "error: unrecognized arguments: --sed 1\n"),
        (["falling", "bare"], "error: unrecognized arguments: bare\n"),
        (["falling", "-o"], "error: argument -o/--output: expected one argument\n"),
        (
            ["bare", "--verify-every", "5"],
            "error: demo 'bare' takes no --verify-every and no --monitor; these do: "
            "falling, doubted\n",
        ),
        (
            ["bare", "--monitor"],
            "error: demo 'bare' takes no --verify-every and no --monitor; these do: "
            "falling, doubted\n",
        ),
        (["--seed", "0"], "error: DEMO must be given with --seed; python -m mlp lists them\n"),
        (
            ["-o", "a.svg", "--verify-every", "2", "--monitor"],
            "error: DEMO must be given with --output, --verify-every, --monitor; "
            "python -m mlp lists them\n",
        ),
        (["falling", "-o", "a.png"], "error: --output must end in .svg, or be -, got 'a.png'\n"),
        (["falling", "-o", "svg"], "error: --output must end in .svg, or be -, got 'svg'\n"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_line_before_anything_runs(run, arguments, message):
    done = run(*arguments)
    assert (done.code, done.out, done.err) == (2, "", message)


def test_a_file_that_cannot_be_written_is_refused_before_anything_runs(run, tmp_path):
    done = run("falling", "-o", str(tmp_path / "none" / "a.svg"))
    assert (done.code, done.out) == (2, "")
    assert done.err == f"error: --output: no folder '{tmp_path / 'none'}'\n"
    done = run("falling", "-o", str(tmp_path))
    assert (done.code, done.out) == (2, "")
    assert done.err == f"error: --output must be a file, got the folder '{tmp_path}'\n"


def test_a_file_that_fails_later_costs_nothing_of_what_is_shown(run, tmp_path, monkeypatch):
    def full(*given, **options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    done = run("falling", "-o", str(tmp_path / "a.svg"))
    assert done.code == 2
    assert "* falling" in done.out
    assert done.err.endswith(f"cannot write '{tmp_path / 'a.svg'}': No space left on device\n")


def test_a_demo_without_curves_is_shown_and_writes_no_file(run, tmp_path):
    done = run("bare", "-o", str(tmp_path / "a.svg"))
    assert done.code == 2
    assert "3 \N{MULTIPLICATION SIGN} 4" in done.out
    assert done.err == f"error: demo 'bare' has no curves to write to '{tmp_path / 'a.svg'}'\n"
    assert list(tmp_path.iterdir()) == []


def test_a_dash_prints_the_svg_alone(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run("falling", "-o", "-")
    assert (done.code, done.err) == (0, "")
    root = ElementTree.fromstring(done.out)
    assert root.find("{http://www.w3.org/2000/svg}title").text == "Falls & falls"
    assert done.out.endswith("</svg>\n")
    assert list(tmp_path.iterdir()) == []
    done = run("bare", "-o", "-")
    assert (done.code, done.out) == (2, "")
    assert done.err == "error: demo 'bare' has no curves to write to '-'\n"


def test_a_gradient_found_wrong_is_told_as_the_verifier_tells_it(run):
    done = run("doubted", "--verify-every", "1")
    assert (done.code, done.out) == (1, "")
    assert done.err == "layer2.weight is wrong\n  at [0, 1]\n"


def test_an_assertion_that_is_not_a_verifiers_is_a_bug_of_ours(run):
    with pytest.raises(AssertionError, match=r"layer2\.weight is wrong"):
        run("doubted")


def test_an_interrupt_says_so(run):
    done = run("interrupted")
    assert (done.code, done.out, done.err) == (130, "", "interrupted\n")


def test_help_fits_a_terminal_and_names_every_option(run, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit, match="0"):
        run("--help")
    text = capsys.readouterr().out
    assert text.startswith("usage: python -m mlp ")
    assert max(map(len, text.splitlines())) <= 80
    for option in ("DEMO", "--seed N", "--output FILE", "--verify-every N", "--monitor"):
        assert option in text
    assert "Demos that take --verify-every and --monitor: falling, doubted." in text


def test_the_command_runs_in_an_empty_folder(process, tmp_path):
    done = process("spiral", "--seed", "1", "-o", "spiral.svg")
    assert (done.returncode, done.stderr) == (0, "curves written to spiral.svg\n")
    assert done.stdout.startswith(demos.DEMOS["spiral"].title)
    assert [path.name for path in tmp_path.iterdir()] == ["spiral.svg"]
    assert process("spirale").returncode == 2


def test_what_the_terminal_has_no_character_for_is_escaped(run, monkeypatch):
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert run("bare").code == 0
    assert rb"3 \xd7 4" in terminal.buffer.getvalue()


@pytest.mark.parametrize("arguments", [[], ["spiral"]])
def test_a_pipe_that_nobody_reads_leaves_no_traceback(process, arguments):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        done = process(*arguments, stdout=closed)
    assert (done.returncode, done.stderr) == (130, "")


def test_who_leaves_after_the_first_lines_has_been_sent_all(run, monkeypatch):
    written = []
    monkeypatch.setattr(sys.stdout, "write", written.append)
    assert run("falling").code == 0
    (text,) = written  # a second piece would find the pipe closed
    assert text.startswith("Falls & falls\n")
    assert text.endswith("* falling\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
@pytest.mark.parametrize("arguments", [[], ["spiral"], ["spiral", "-o", "-"]])
def test_output_that_cannot_be_written_is_one_line(process, arguments):
    with Path("/dev/full").open("w") as full:
        done = process(*arguments, stdout=full)
    assert done.returncode == 2
    assert done.stderr == "error: standard output: No space left on device\n"
