"""The examples of mlp's README run and print what it shows; the commands of its table work."""

import contextlib
import io
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import mlp
from mlp.demos import DEMOS

FOLDER = Path(mlp.__file__).parent
README = (FOLDER / "README.md").read_text("utf-8")
BLOCKS = re.findall(r"```(python|text)\n(.*?)```", README, re.DOTALL)
COMMANDS = sorted(set(re.findall(r"`((?:gradcheck|python -m mlp)(?: [^`]+)?)`", README)))


def masked(text):
    """Return a text without what depends on the machine: times, and digits of measured numbers."""
    text = re.sub(r"<?\d+\.\d+ m?s\b", "<time>", text)
    text = re.sub(r"\d+(?:\.\d+)?e-\d+|\d+\.\d+", "<number>", text)
    # Of what is right, rounding decides which entry is off most.
    text = re.sub(r"\[[\d, ]+\](?= +ok)", "<index>", text)
    text = re.sub(r"[\d,]+ evaluations", "<count> evaluations", text)
    return re.sub(r"(?<=\S) +|─+", " ", text)


def test_examples_print_what_the_readme_shows():
    names, printed = {}, io.StringIO()
    for kind, block in BLOCKS:
        if kind == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(block, "README.md", "exec"), names)
        else:
            assert masked(printed.getvalue().rstrip()) == masked(block.rstrip())


def test_there_are_examples_and_what_they_print():
    kinds = [kind for kind, _ in BLOCKS]
    assert kinds.count("python") >= 6
    assert kinds.count("text") >= 5


def test_the_lines_of_the_walk_through_are_those_of_the_layer():
    source = (FOLDER / "layers.py").read_text("utf-8")
    lines = re.findall(r"^\| dL/d.* \| `([^`]+)` \|$", README, re.MULTILINE)
    assert len(lines) == 4
    assert [line for line in lines if line not in source] == []


def test_every_demo_is_in_the_readme():
    told = set(re.findall(r"`(?:python -m mlp )?([a-z_]+)`", README))
    assert set(DEMOS) <= told


def test_every_system_has_a_row():
    rows = re.findall(r"^\| (\S*) \|", README, re.MULTILINE)
    assert [row for row in rows if re.fullmatch("[A-D]′?", row)] == ["A", "A′", "B", "C", "D"]


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_works(command, tmp_path):
    program, *arguments = shlex.split(command)
    module = {"gradcheck": ["-m", "gradcheck"], "python": []}[program]
    ran = subprocess.run(
        [sys.executable, *module, *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^):]+)\)", README)
    assert links
    assert [link for link in links if not (FOLDER / link).exists()] == []
