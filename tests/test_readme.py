"""Every Python block of the README runs, in order, and says what its comments promise."""

import re
from pathlib import Path

import mlp

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")


def test_readme_examples_run(capsys):
    names = {}
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 6
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    promised = re.search(r"print\(report\) +# (.*)", README).group(1)
    assert any(line.startswith(promised) for line in capsys.readouterr().out.splitlines())
    assert names["report"]["b"].worst.relative_error > 0.9
    assert names["layers"].ok
    assert "4 checks: 4 ok" in str(names["verify"])
    assert names["monitor"].verdict == "fail"
    names["test_gradient"]()


def test_readme_has_the_two_commands():
    commands = re.findall(r"```sh\n(.*?)\n```", README, re.DOTALL)
    assert commands == ["pip install . && gradcheck", 'pip install ".[test]" && pytest']


def test_files_that_the_readme_shows_exist():
    # Beside the tests, or in the package where that is installed.
    roots = Path(__file__).parents[1], Path(mlp.__file__).parents[1]
    links = re.findall(r"\]\(([^):]+)\)", README)
    assert links
    assert [link for link in links if not any((root / link).exists() for root in roots)] == []
