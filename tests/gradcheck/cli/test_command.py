import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from gradcheck import __version__
from gradcheck.cli.parser import build_parser

ROOT = Path(__file__).parents[3]


def process(*arguments, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "gradcheck", *arguments],
        env=environment | options.pop("env", {}),
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
        **options,
    )


def test_without_a_target_the_builtin_example_is_checked_and_said_so(run):
    result = run()
    lines = result.out.splitlines()
    assert lines[0] == "no target given: checking the built-in example, a 3-4-4-2 backprop network"
    assert "gradcheck module:problem  or  gradcheck file.py:problem" in lines[-1]
    assert lines[-3].startswith("PASS  6 of 6 gradients agree")
    assert result.code == 0


def test_a_quiet_run_without_a_target_still_says_what_it_checked(run):
    first, _, tally, last = run("-q").out.splitlines()
    assert tally.startswith("46/46 entries, ")
    assert first.startswith("no target given")
    assert last.startswith("PASS")


def test_json_without_a_target_stays_pure(run):
    result = run("--format", "json")
    assert json.loads(result.out)["verdict"] == "pass"
    assert "no target given" in result.err


def test_the_configured_targets_are_checked_without_a_target(run, project, monkeypatch):
    (project / "pyproject.toml").write_text(
        '[tool.gradcheck]\ntargets = ["nets.py:wrong"]\nonly = ["b1"]\nseed = 4\n'
    )
    (project / "inner").mkdir()
    monkeypatch.chdir(project / "inner")
    result = run()
    assert result.code == 1
    assert "seed 4" in result.out
    assert "W1" not in result.out
    assert "rerun  cd .. && gradcheck nets.py:wrong --only b1 --seed 4" in result.out


def test_the_command_line_wins_over_the_configuration(run, project):
    (project / "pyproject.toml").write_text('[tool.gradcheck]\nonly = ["b1"]\nseed = 4\n')
    result = run("nets.py:good", "--only", "W1", "--seed", "5")
    assert "seed 5" in result.out
    assert "W1" in result.out
    assert "b1" not in result.out


def test_names_may_be_separated_by_commas_and_repeated(run):
    assert "PASS  2 of 2" in run("nets.py:good", "--only", "W1,b?", "--only", "b1").out
    assert "PASS  1 of 1" in run("nets.py:good", "--exclude", "b*").out


def test_a_failure_ends_with_how_to_rerun_it_and_the_verdict(run):
    lines = run("nets.py:wrong", "--effort", "exhaustive").out.splitlines()
    assert lines[-3] == "rerun  gradcheck nets.py:wrong --only b1 --seed 0 --effort exhaustive"
    assert lines[-1].startswith("FAIL  1 of 2 gradients wrong: b1")


def test_the_rerun_command_fails_again(run):
    (line,) = (line for line in run("nets.py:wrong").out.splitlines() if line.startswith("rerun"))
    assert run(*line.split()[2:]).code == 1


def test_one_report_as_json(run):
    document = json.loads(run("nets.py:wrong", "--format", "json").out)
    assert document["schema"] == 1
    assert document["verdict"] == "fail"
    assert document["name"] == "nets.py:wrong"


def test_several_reports_as_json(run):
    document = json.loads(run("nets.py:good", "nets.py:wrong", "--format", "json").out)
    assert [report["verdict"] for report in document["reports"]] == ["pass", "fail"]
    assert "errors" not in document


def test_targets_that_could_not_run_are_in_the_json(run):
    document = json.loads(run("nets.py:good", "nowhere.py", "--format", "json").out)
    assert len(document["reports"]) == 1
    assert document["errors"][0]["name"] == "nowhere.py"
    assert "no file 'nowhere.py'" in document["errors"][0]["error"]


def test_json_is_strict_even_where_values_are_not_finite(run):
    def refuse(constant):
        raise AssertionError(constant)

    result = run("nets.py:undefined", "--format", "json")
    json.loads(result.out, parse_constant=refuse)


def test_a_report_as_svg(run):
    ElementTree.fromstring(run("nets.py:wrong", "--format", "svg").out)


def test_svg_of_nothing_is_nothing(run, project):
    result = run("nowhere.py", "--format", "svg", "-o", "report.svg")
    assert result.code == 2
    assert not (project / "report.svg").exists()


def test_what_the_users_code_prints_is_kept_out_of_the_report(run):
    result = run("nets.py:talking", "--format", "json")
    assert json.loads(result.out)["verdict"] == "pass"
    assert "from the loss" in result.err


def test_the_report_goes_to_a_file_that_is_announced(run, project):
    result = run("nets.py:wrong", "--format", "json", "-o", "report.json")
    assert result.out == ""
    assert "report written to report.json" in result.err
    assert "FAIL  b1" in result.err
    assert json.loads((project / "report.json").read_text(encoding="utf-8"))
    assert result.code == 1


def test_a_file_that_cannot_be_written_is_an_error(run, project, monkeypatch):
    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    result = run("nets.py:good", "-o", "report.txt")
    assert "error: --output: cannot write 'report.txt': Permission denied" in result.err
    assert result.code == 2


def test_a_half_written_file_is_removed(run, project, monkeypatch):
    class Full:
        def __init__(self, path):
            path.touch()

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

        def write(self, text):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "open", lambda path, *arguments, **options: Full(path))
    result = run("nets.py:good", "-o", "report.txt")
    assert "No space left on device" in result.err
    assert not (project / "report.txt").exists()


def test_a_pipe_gets_no_escapes_unless_forced(run, monkeypatch):
    assert "\x1b" not in run("nets.py:wrong").out
    assert "\x1b[" in run("nets.py:wrong", "--color", "always").out
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[" in run("nets.py:wrong").out
    assert "\x1b" not in run("nets.py:wrong", "--color", "never").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in run("nets.py:wrong").out


def test_verbose_shows_the_probes(run):
    assert "probe 1" in run("nets.py:good", "-v").out
    assert "probe 1" not in run("nets.py:good").out


def test_list_names_what_can_be_checked(run, project):
    (project / "empty.py").touch()
    result = run("--list", "net.py")
    assert result.out.splitlines()[-1].split() == ["net.py:made", "Return", "net", "again."]
    assert "net:made" in run("--list", "net").out
    assert "mlp.problems:reference" in run("--list").out
    assert run("--list", "empty.py").code == 5
    assert run("--list", "nowhere").code == 2


def test_help_fits_80_columns_and_describes_every_option(run):
    text = run("--help").out
    assert max(map(len, text.splitlines())) <= 80
    for action in build_parser()._actions:
        assert all(option in text for option in action.option_strings)
    assert "examples:" in text
    assert "130 interrupted" in text


def test_version(run):
    assert run("--version").out == f"gradcheck {__version__}\n"


@pytest.mark.parametrize("option", ["--help", "--version"])
def test_help_and_version_import_neither_numpy_nor_rich(option):
    code = (
        f"import sys; from gradcheck.cli import main; main([{option!r}]); "
        "sys.exit('numpy' in sys.modules or 'rich' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True)


def test_as_a_module_the_builtin_problems_are_ours_beside_ones_own_mlp(project):
    (project / "mlp.py").write_text("from net import wrong as net\n")
    assert "PASS  6 of 6" in process(cwd=project).stdout
    assert process("mlp:net", cwd=project).returncode == 1
    assert process("mlp.problems:reference", cwd=project).returncode == 0


def test_an_ascii_pipe_gets_ascii(project):
    result = process("net.py:wrong", cwd=project, env={"PYTHONIOENCODING": "ascii"})
    assert result.stdout.isascii()
    assert "+-" in result.stdout
    assert result.returncode == 1


@pytest.mark.skipif(os.name != "posix", reason="needs a pipe whose reader is gone")
def test_a_reader_that_leaves_is_no_failure_and_no_traceback(project):
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [sys.executable, "-m", "gradcheck", "net.py:wrong"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(writer)
    assert result.stderr == ""
    assert result.returncode == 130


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_is_one_clear_message_and_no_verdict(project):
    with open("/dev/full", "w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "gradcheck", "net.py:net"],
            cwd=project,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert result.returncode == 2
    assert result.stderr.startswith("error: cannot write the report: No space left")
    assert "Traceback" not in result.stderr
