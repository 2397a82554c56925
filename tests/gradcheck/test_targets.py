import re
import sys
from pathlib import Path

import pytest

from gradcheck.targets import (
    TargetError,
    list_builtin,
    list_checkable,
    load_builtin,
    load_targets,
)


def names(targets):
    return [target.name for target in targets]


def test_a_module_and_an_attribute_make_a_target(project):
    (target,) = load_targets("net:net")
    assert target.name == "net:net"
    assert target.problem is sys.modules["net"].net


def test_spaces_around_the_colon_are_tolerated(project):
    assert names(load_targets(" net : net ")) == ["net:net"]


def test_an_attribute_may_be_dotted(project):
    (project / "box.py").write_text("import net\nclass Box:\n    inner = net.net\n")
    (target,) = load_targets("box:Box.inner")
    assert target.problem.loss is sys.modules["net"].loss


def test_a_module_in_a_package_is_found(project):
    (project / "pkg").mkdir()
    (project / "pkg" / "sub.py").write_text("from net import net")
    assert names(load_targets("pkg.sub:net")) == ["pkg.sub:net"]


def test_a_file_and_an_attribute_make_a_target(project):
    assert names(load_targets("./net.py:net")) == ["./net.py:net"]
    assert names(load_targets(f"{project}/net.py:net")) == [f"{project}/net.py:net"]


def test_a_file_stands_for_every_problem_in_it(project):
    assert names(load_targets("net.py")) == ["net.py:net", "net.py:wrong", "net.py:made"]


def test_an_attribute_that_is_callable_is_called(project):
    (target,) = load_targets("net.py:made")
    assert target.problem is load_targets("net.py:net")[0].problem


def test_any_object_with_the_attributes_of_a_problem_will_do(project):
    (project / "duck.py").write_text(
        "class Duck:\n    parameters = [1.0]\n    loss = gradient = staticmethod(sum)\n"
        "duck = Duck()\n"
    )
    assert names(load_targets("duck.py")) == ["duck.py:duck"]
    assert load_targets("duck.py:Duck")[0].problem.parameters == [1.0]


def test_a_file_is_imported_once(project):
    (project / "once.py").write_text("import net\na = net.net\nb = net.wrong\nmade = object()")
    load_targets("once.py:a")
    first = sys.modules["once"].made
    load_targets("once.py:b")
    load_targets("once:b")
    assert sys.modules["once"].made is first


def test_files_of_the_same_name_do_not_get_mixed_up(project):
    for folder in ("one", "two"):
        (project / folder).mkdir()
        (project / folder / "same.py").write_text(f"from net import *\nwhere = {folder!r}")
    sys.path.insert(0, str(project))
    load_targets("one/same.py:net")
    load_targets("two/same.py:net")
    held = [vars(module).get("where") for module in list(sys.modules.values())]
    where = {place for place in held if place}
    assert {"one", "two"} <= where


def test_a_file_may_be_named_like_a_module_of_python(project):
    import json

    (project / "json.py").write_text("import sys; sys.path.pop(0)\nfrom net import net\n")
    sys.path.insert(1, str(project))
    load_targets("json.py:net")
    assert sys.modules["json"] is json


def test_a_file_finds_its_neighbours_and_its_package(project):
    folder = project / "deep" / "pkg"
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "parts.py").write_text("VALUE = 3.0")
    (folder / "model.py").write_text(
        "from .parts import VALUE\nimport pkg.parts\n"
        "class net:\n    pass\nnet = net()\nnet.loss = net.gradient = abs\nnet.parameters = VALUE\n"
    )
    (target,) = load_targets("deep/pkg/model.py:net")
    assert target.problem.parameters == 3.0


def test_targets_of_a_configuration_are_relative_to_its_folder(project, monkeypatch):
    (project / "inner").mkdir()
    monkeypatch.chdir(project / "inner")
    assert names(load_targets("net.py:net", project)) == ["net.py:net"]
    with pytest.raises(TargetError, match=r"no file 'net\.py'"):
        load_targets("net.py:net")


BAD = [
    ("net", "target 'net' has no attribute part; write MODULE:ATTR, such as net:net", "--list net"),
    ("net:", "target 'net' has no attribute part", None),
    (":net", "target ':net' names no module", None),
    ("nett:net", "no module named 'nett' .searched", "did you mean 'net'"),
    ("pkg.nothing:net", "no module named 'pkg.nothing'", None),
    ("hidden:net", "no module named 'hidden'", r"src/hidden.py exists; try src/hidden.py:ATTR"),
    ("src.hidden.py:net", "no file 'src.hidden.py'", "src/hidden.py exists"),
    ("nte.py:net", "no file 'nte.py'", "did you mean 'net.py'"),
    ("./net:net", "a file target must end in .py, got './net'", "./net.py exists"),
    ("net:nett", "module 'net' has no attribute 'nett'", "'net'.*checked here: net, wrong, made"),
    ("net:net.x", "'net' in 'net' has no attribute 'x'", None),
    ("net:number", "'net:number' is not a problem: int 7", "gradcheck.Problem"),
    ("net:helper", "'net:helper' must return a problem, returned int 1", "gradcheck.Problem"),
    ("net:needs", "'net:needs' must be callable without arguments, it takes seed", None),
    ("empty.py", "no problems in 'empty.py'", "loss, gradient and parameters"),
    ("broken:net", "importing 'broken' failed: ModuleNotFoundError: .*'nothere_dep'", None),
    ("typo.py:net", r"importing 'typo.py' failed: SyntaxError: ", None),
    ("leaves:net", "importing 'leaves' failed: SystemExit: 3", None),
    ("raises.py:make", "calling 'raises.py:make' failed: ValueError: no data", None),
    ("raises.py:leave", "calling 'raises.py:leave' failed: SystemExit: 1", None),
]


@pytest.mark.parametrize(("text", "message", "tip"), BAD)
def test_bad_targets_are_told_apart(project, text, message, tip):
    (project / "pkg").mkdir()
    (project / "pkg" / "__init__.py").touch()
    (project / "src").mkdir()
    (project / "src" / "hidden.py").touch()
    (project / "empty.py").touch()
    (project / "broken.py").write_text("import nothere_dep\n")
    (project / "typo.py").write_text("x = = 1\n")
    (project / "leaves.py").write_text("raise SystemExit(3)\n")
    (project / "raises.py").write_text(
        "def make():\n    raise ValueError('no data')\ndef leave():\n    raise SystemExit(1)\n"
    )
    with pytest.raises(TargetError, match=message) as caught:
        load_targets(text)
    if tip is not None:
        assert re.search(tip, caught.value.tip or "")


def test_an_interrupt_is_not_an_error_of_the_target(project):
    (project / "slow.py").write_text("raise KeyboardInterrupt('by hand')\n")
    with pytest.raises(KeyboardInterrupt, match="by hand"):
        load_targets("slow.py")


def test_ones_own_mlp_wins_for_a_target_and_the_builtin_is_still_ours(project):
    (project / "mlp.py").write_text("from net import net\nmine = True\n")
    (own,) = load_targets("mlp:net")
    assert sys.modules["mlp"].mine
    path = list(sys.path)
    builtin = load_builtin("reference")
    assert builtin.name == "mlp.problems:reference"
    assert builtin.problem is not own.problem
    assert Path(sys.modules["mlp"].__file__) == project / "mlp.py"
    assert "mlp.problems" not in sys.modules
    assert sys.path == path


def test_the_builtin_does_not_get_in_the_way_of_ones_own_mlp(project):
    (project / "mlp.py").write_text("from net import net\nmine = True\n")
    load_builtin("reference")
    load_targets("mlp:net")
    assert sys.modules["mlp"].mine


def test_builtin_names_work_as_targets_beside_ones_own_mlp(project):
    (project / "mlp.py").write_text("from net import net\n")
    load_targets("mlp:net")
    assert names(load_targets("mlp.faults:correct")) == ["mlp.faults:correct"]


def test_an_unknown_builtin_is_named(project):
    with pytest.raises(TargetError, match="has no attribute 'referense'") as caught:
        load_builtin("referense")
    assert "did you mean 'reference'?" in caught.value.tip


def test_what_can_be_checked_is_listed_with_its_summary(project):
    listed = list_checkable("net.py")
    assert [item.target for item in listed] == ["net.py:net", "net.py:wrong", "net.py:made"]
    assert listed[2].summary == "Return net again."


def test_an_object_called_like_a_function_is_listed_with_its_own_summary(project):
    (project / "called.py").write_text(
        "import net\nfrom gradcheck import Problem\n"
        "class Maker:\n"
        "    'Make problems.'\n"
        "    def __call__(self, seed: int = 0) -> Problem:\n"
        "        return net.net\n"
        "class Needy(Maker):\n"
        "    def __call__(self, seed: int) -> Problem:\n"
        "        return net.net\n"
        "class Other(Maker):\n"
        "    def __call__(self) -> int:\n"
        "        return 1\n"
        "maker, needy, other = Maker(), Needy(), Other()\n"
        "maker.__doc__ = 'Make this one.'\n"
    )
    (found,) = list_checkable("called.py")
    assert (found.target, found.summary) == ("called.py:maker", "Make this one.")
    assert names(load_targets("called.py")) == ["called.py:maker"]


def test_a_package_lists_what_its_modules_make_and_nobody_elses(project):
    (project / "pkg").mkdir()
    makes = "import net\nfrom gradcheck import Problem\ndef {}() -> Problem:\n    return net.net\n"
    (project / "pkg" / "inner.py").write_text(makes.format("inside"))
    (project / "pkg2.py").write_text(makes.format("outside"))
    (project / "pkg" / "__init__.py").write_text(
        "from pkg.inner import inside\nfrom pkg2 import outside\n"
    )
    (project / "user.py").write_text("from pkg.inner import inside\n")
    assert [item.target for item in list_checkable("pkg")] == ["pkg:inside"]
    assert list_checkable("user.py") == []


def test_builtin_problems_and_faults_are_listed():
    listed = {item.target: item.summary for item in list_builtin()}
    assert "mlp.problems:reference" in listed
    assert listed["mlp.faults:bias_sign"].startswith("layer2.bias's gradient is negated")
    assert "mlp.faults:correct" in listed
    assert all(listed.values())
