import os
from pathlib import Path

import pytest

from gradcheck.rendering import render_plain

GOLDEN = Path(__file__).parents[2] / "golden"
REFRESH = "GRADCHECK_REFRESH_GOLDEN"
RERUN = "gradcheck net.py:net --only layer1.bias --seed 0"
WIDTHS = (40, 60, 80, 120)
CAUSES = ["transposed", "factor", "sparse", "upstream", "unexplained", "mixed"]
KINDS = ["passing", "failing", "inconclusive", "directions", *CAUSES]


@pytest.fixture(autouse=True)
def version(monkeypatch):
    monkeypatch.setattr("gradcheck.rendering.terminal.__version__", "1.2.3")


def check_golden(name, text):
    path = GOLDEN / name
    if os.environ.get(REFRESH):
        path.write_text(text, encoding="utf-8")
    expected = path.read_text(encoding="utf-8") if path.is_file() else ""
    assert text == expected, f"{path} is not what is rendered; if it should be: {REFRESH}=1 pytest"


@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.parametrize("kind", KINDS)
def test_report_looks_as_it_did(make, kind, width):
    report = getattr(make, f"{kind}_report")()
    text = render_plain(report, width=width, rerun=RERUN, encoding="utf-8")
    check_golden(f"report-{kind}-{width}.txt", text)


def test_verbose_and_quiet_reports_look_as_they_did(make):
    report = make.failing_report()
    check_golden("report-verbose.txt", render_plain(report, verbose=True, encoding="utf-8"))
    check_golden("report-quiet.txt", render_plain(report, quiet=True, encoding="utf-8"))
    report = make.directions_report()
    check_golden("report-probes.txt", render_plain(report, verbose=True, encoding="utf-8"))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_wider_than_the_terminal(make, kind, width):
    report = getattr(make, f"{kind}_report")()
    lines = render_plain(report, width=width, encoding="utf-8").splitlines()
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("width", WIDTHS)
def test_numbers_names_and_verdicts_are_never_cut(make, width):
    text = render_plain(make.failing_report(), width=width, encoding="utf-8")
    for whole in ("layer1.weight", "+0.0611423", "+0.0122285 ± 3e-12", "3e-09", "1e-03"):
        assert whole in text
    assert text.count("inconclusive") >= 2
    assert "…" not in text


@pytest.mark.parametrize("width", WIDTHS)
def test_the_last_line_is_the_verdict(make, width):
    for kind, title in (("passing", "PASS"), ("failing", "FAIL"), ("inconclusive", "INCONCLUSIVE")):
        text = render_plain(getattr(make, f"{kind}_report")(), width=width, encoding="utf-8")
        assert text.splitlines()[-1].startswith(f"{title}  ")


def test_wide_terminals_show_every_column_and_narrow_ones_drop_whole_columns(make):
    report = make.passing_report()
    wide = render_plain(report, width=80, encoding="utf-8")
    narrow = render_plain(report, width=40, encoding="utf-8")
    assert "(3, 4)" in wide
    assert "12/12" in wide
    assert "[0, 0]" in wide
    assert "(3, 4)" not in narrow
    assert "worst" not in narrow


@pytest.mark.parametrize("width", WIDTHS)
def test_a_long_name_folds(make, width):
    name = "encoder." + "block." * 20 + "weight"
    report = make.report(make.failing(name, "encoder"))
    text = render_plain(report, width=width, quiet=True, encoding="utf-8")
    assert name in "".join(line.strip() for line in text.splitlines())


@pytest.mark.parametrize("name", ["layers[red].W", "W[/x]", "[bold]", "[link=x]y", ":smile:"])
def test_brackets_in_names_are_kept(make, name):
    report = make.report(make.failing(name, name), name=f"net.py:{name}")
    text = render_plain(report, encoding="utf-8")
    assert text.count(name) >= 3


def test_escapes_in_names_are_not_passed_on(make):
    report = make.report(make.failing("W\x1b[31m"), name="a\x1b]0;title\x07")
    assert "\x1b" not in render_plain(report, encoding="utf-8")


def test_wide_characters_keep_the_columns_straight(make):
    report = make.report(make.parameter("重み"), make.parameter("w"))
    lines = render_plain(report, encoding="utf-8").splitlines()
    wide, ascii_only = (next(line for line in lines if name in line) for name in ("重み", "  w "))
    assert wide.index("(3, 4)") + 2 == ascii_only.index("(3, 4)")


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
@pytest.mark.parametrize("kind", CAUSES)
def test_maps_fit_a_narrow_encoding(make, encoding, kind):
    text = render_plain(getattr(make, f"{kind}_report")(), encoding=encoding)
    assert text.isascii()
    assert ("one mark per" in text) == (kind not in ("factor", "upstream"))


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1"])
def test_text_fits_a_narrow_encoding(make, encoding):
    report = make.report(make.failing("β重"), findings=make.failing_report().findings)
    text = render_plain(report, encoding=encoding)
    assert text.encode(encoding)
    assert "\\u03b2" in text
    assert "+- 3e-12" in text


@pytest.mark.parametrize("variables", [{"FORCE_COLOR": "1"}, {"TERM": "xterm", "COLUMNS": "33"}])
def test_the_environment_does_not_change_plain_text(make, monkeypatch, variables):
    before = render_plain(make.failing_report(), encoding="utf-8")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert render_plain(make.failing_report(), encoding="utf-8") == before
    assert "\x1b" not in before


def test_many_failures_are_counted_not_shown(make):
    report = make.report(*(make.failing(f"W{i}", f"{i}") for i in range(500)))
    text = render_plain(report, quiet=True, encoding="utf-8")
    assert text.count("entries wrong") == 8
    assert "and 492 more (-v shows all)" in text
    everything = render_plain(report, quiet=True, verbose=True, encoding="utf-8")
    assert everything.count("entries wrong") == 500


def test_parameters_with_the_same_reason_share_a_block(make):
    report = make.report(*(make.undecided(f"W{i}", f"{i}") for i in range(30)))
    text = render_plain(report, encoding="utf-8")
    assert text.count("too noisy") == 1
    assert "W7 and 22 more" in text


def test_errors_come_before_notes(make):
    text = render_plain(make.failing_report(), encoding="utf-8")
    assert text.index("GC203 batch_size_factor") < text.index("note GC121")


def test_a_pass_says_what_it_ruled_out(make):
    text = render_plain(make.passing_report(), encoding="utf-8")
    assert "ruled out: relative errors above 3e-09 in any gradient" in text
    assert "ruled out" not in render_plain(make.failing_report(), encoding="utf-8")


def test_a_pass_by_directions_does_not_claim_every_entry(make):
    report = make.report(make.parameter("W", checked_count=0, worst=None))
    text = " ".join(render_plain(report, encoding="utf-8").split())
    assert "by random directions; none compared one by one" in text
    assert "chance" not in text  # where none is known


@pytest.mark.parametrize("width", WIDTHS)
def test_a_pass_by_directions_says_what_they_may_have_missed(make, width):
    text = " ".join(render_plain(make.directions_report(), width=width, encoding="utf-8").split())
    assert "ruled out: relative errors above 1e-06 in any gradient" in text
    assert "chance of a miss at most 3e-06)" in text


def test_a_pass_over_all_entries_has_no_chance_to_speak_of(make):
    report = make.report(make.parameter("W", required=1e-6, miss_chance=0.0))
    text = render_plain(report, encoding="utf-8")
    assert "errors above 3e-09 in any gradient (norm over all entries)" in text
    assert "chance" not in text


def test_an_error_beyond_what_is_required_is_not_claimed_to_be_ruled_out(make):
    part = make.parameter(
        "W", checked_count=0, worst=None, resolution=4e-5, required=1e-6, miss_chance=1e-3
    )
    text = render_plain(make.report(part), encoding="utf-8")
    assert "relative errors above 4e-05 in any gradient" in text


def test_quiet_passes_are_one_line(make):
    text = render_plain(make.passing_report(), quiet=True, encoding="utf-8")
    assert text.splitlines() == [
        "PASS  3 of 3 gradients agree   17/17 entries, 290 evaluations, 0.02 s"
    ]


def test_a_whole_that_disagrees_shows_its_probe(make):
    probe = type(make.parameter("W").probes[0])(0.1, 0.2, 1e-9, 1e-9, "disagrees", 4)
    report = make.report(make.failing(worst=None, wrong=None, wrong_count=None, probes=(probe,)))
    text = render_plain(report, encoding="utf-8")
    assert "a random direction through the whole parameter" in text
    assert "+0.200000 ± 1e-09" in text


def test_an_eigenvector_is_not_called_a_random_direction(make):
    probe = type(make.parameter("W").probes[0])(0.1, 0.2, 1e-9, 1e-9, "disagrees", 4, "eigen")
    report = make.report(make.failing(worst=None, wrong=None, wrong_count=None, probes=(probe,)))
    text = render_plain(report, encoding="utf-8")
    assert "an eigenvector of the Hessian through the whole parameter" in text
    assert "random" not in text


def test_a_report_prints_as_its_plain_view(make):
    assert "PASS  3 of 3" in str(make.passing_report())
