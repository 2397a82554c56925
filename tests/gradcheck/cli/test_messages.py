import pytest

from gradcheck import checking


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--formt", "json"], "error: unknown option '--formt'\n  tip: did you mean '--format'?"),
        (["--zzz"], "error: unknown option '--zzz'\n"),
        (["--format", "jsn"], "must be one of text, json, svg, got 'jsn'; did you mean 'json'?"),
        (["--effort", "exhaustiv"], "got 'exhaustiv'; did you mean 'exhaustive'?"),
        (["--color", "blue"], "argument --color: must be one of auto, always, never, got 'blue'"),
        (["--seed", "1.5"], "argument --seed: must be a whole number from 0 up, got '1.5'"),
        (["--seed", "-1"], "argument --seed: must be a whole number from 0 up, got '-1'"),
        (["--required-resolution", "0"], "--required-resolution: must be a number above 0"),
        (["--required-resolution", "nan"], "must be a number above 0, got 'nan'"),
        (["--only", ","], "argument --only: must name parameters, got ','"),
        (["-q", "-v"], "argument -v/--verbose: not allowed with argument -q/--quiet"),
        (["-o", "no/such/report.txt"], "--output: no folder 'no/such'\n  tip: mkdir -p no/such"),
        (["-o", "."], "--output must be a file, got the folder '.'"),
    ],
)
def test_a_bad_command_line_is_answered_by_one_error(run, arguments, message):
    result = run(*arguments)
    assert message in result.err
    assert result.err.startswith("error: ")
    assert result.out == ""
    assert result.code == 2


def test_bad_configuration_is_an_error(run, project):
    (project / "pyproject.toml").write_text("[tool.gradcheck]\nsead = 1\n")
    result = run()
    assert "unknown key 'sead' in [tool.gradcheck]; did you mean 'seed'?" in result.err
    assert result.code == 2


def test_a_bad_target_is_told_with_its_tip(run):
    result = run("nets.py:goud")
    assert "error: module 'nets.py' has no attribute 'goud'\n  tip: did you mean 'good'?" in (
        result.err
    )


def test_an_exception_of_the_loss_shows_the_users_lines_only(run):
    result = run("nets.py:raising")
    first, *lines = result.err.splitlines()
    assert first == "error: checking 'nets.py:raising' failed: ValueError: shapes do not fit"
    assert lines[0] == '  nets.py:18  raise ValueError("shapes do not fit")'
    note = "GC106 loss_raised: the loss of 'nets.py:raising' raised at the given parameters"
    assert lines[1:] == [f"  note: {note}"]
    assert "Traceback" not in result.err
    assert "gradcheck/" not in result.err


@pytest.mark.parametrize("options", [[], ["--timeout", "60"]])
def test_an_exception_of_the_gradient_is_told_apart_from_one_of_the_loss(run, options):
    result = run("nets.py:raising_gradient", *options)
    assert result.err.splitlines()[1:] == [
        '  nets.py:18  raise ValueError("shapes do not fit")',
        "  note: GC107 gradient_raised: the gradient of 'nets.py:raising_gradient' raised at the "
        "given parameters",
    ]


def test_a_call_that_hangs_is_named_in_the_report(run):
    result = run("nets.py:hanging", "--timeout", "0.1")
    assert "GC114 timed_out  W1, b1: a call took too long" in result.out
    assert "the loss took longer than 0.1 seconds" in result.out


def test_a_recursion_is_shown_once(run, project):
    (project / "deep.py").write_text("def net():\n    return net()\n")
    result = run("deep:net")
    assert "calling 'deep:net' failed: RecursionError" in result.err
    assert result.err.count("deep.py:2") == 1


def test_a_failing_import_shows_the_users_line(run, project):
    (project / "broken.py").write_text("x = 1\nimport nothere_dep\n")
    result = run("broken.py:net")
    assert "importing 'broken.py' failed: ModuleNotFoundError: No module named" in result.err
    assert "  broken.py:2  import nothere_dep" in result.err
    assert "importlib" not in result.err


def test_a_syntax_error_shows_its_place(run, project):
    (project / "typo.py").write_text("x = 1\ny = = 2\n")
    result = run("typo:net")
    assert "typo.py:2  y = = 2" in result.err


def test_leaving_the_process_is_an_error_of_the_user(run):
    assert "checking 'nets.py:leaving' failed: SystemExit: 0" in run("nets.py:leaving").err


def test_an_empty_selection_names_its_target(run):
    result = run("nets.py:good", "--exclude", "*")
    assert "error: nothing to check in 'nets.py:good'" in result.err


def test_an_unknown_parameter_is_named(run):
    result = run("nets.py:good", "--only", "W9")
    assert "'W9'" in result.err
    assert "Traceback" not in result.err


def test_a_bug_of_ours_keeps_its_traceback(run, monkeypatch):
    code = compile("def check(*a, **k): raise KeyError('ours')", checking.__file__, "exec")
    space = {}
    exec(code, space)
    monkeypatch.setattr(checking, "check", space["check"])
    result = run("nets.py:good")
    assert "Traceback" in result.err
    assert "failed inside gradcheck; please report this" in result.err
    assert result.code == 2


def test_an_argument_error_of_ours_is_one_line(run, monkeypatch):
    code = compile("def check(*a, **k): raise ValueError('x must be 1')", checking.__file__, "exec")
    space = {}
    exec(code, space)
    monkeypatch.setattr(checking, "check", space["check"])
    assert run("nets.py:good").err == "error: checking 'nets.py:good': x must be 1\n"
