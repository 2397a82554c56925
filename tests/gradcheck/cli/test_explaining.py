"""`gradcheck --explain`: the page on a finding."""

import pytest

from gradcheck.diagnosis import catalogue


@pytest.mark.parametrize("code", catalogue.CODES, ids=lambda code: code.code)
def test_every_finding_is_explained_by_code_and_by_name(run, code):
    for typed in (code.code, code.code.lower(), code.slug, code.slug.upper()):
        result = run("--explain", typed)
        assert result.out == catalogue.lesson(code)
        assert (result.code, result.err) == (0, "")


def test_several_are_explained_one_after_the_other(run):
    first, second = map(catalogue.lesson, map(catalogue.find, ("GC203", "GC201")))
    assert run("--explain", "GC203", "transposed").out == f"{first}\n\n{second}"
    assert run("--explain", "GC203", "--explain", "GC201").out == f"{first}\n\n{second}"


@pytest.mark.parametrize(
    ("typed", "error"),
    [
        ("GC2O1", "error: no finding has the code or name 'GC2O1'\n  tip: did you mean 'GC201'?"),
        ("transpose", "code or name 'transpose'\n  tip: did you mean 'transposed'?\n"),
        ("zzz", "error: no finding has the code or name 'zzz'\n"),
        ("all", "error: no finding has the code or name 'all'\n"),
    ],
)
def test_an_unknown_code_is_one_error_with_the_nearest_and_nothing_else(run, typed, error):
    result = run("--explain", "GC201", typed)
    assert error in result.err
    assert len(result.err.splitlines()) == 1 + ("tip:" in error)
    assert result.out == ""
    assert result.code == 2


def test_a_target_beside_it_is_an_error(run):
    result = run("nets.py:good", "--explain", "GC201")
    assert "error: --explain takes no TARGET, got 'nets.py:good'" in result.err
    assert result.code == 2


def test_without_a_code_it_is_an_error(run):
    result = run("--explain")
    assert "argument --explain: expected at least one argument" in result.err
    assert result.code == 2


def test_the_page_can_go_to_a_file(run, project):
    assert run("--explain", "GC201", "-o", "page.txt").out == ""
    assert (project / "page.txt").read_text() == catalogue.lesson(catalogue.find("GC201"))


def test_a_broken_configuration_does_not_keep_it_from_explaining(run, project):
    (project / "pyproject.toml").write_text("[tool.gradcheck]\nsead = 1\n")
    assert run("--explain", "GC201").code == 0
