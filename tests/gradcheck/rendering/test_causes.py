"""The blocks of what is wrong: one per cause, and one per failing parameter without."""

from dataclasses import replace

import numpy as np
import pytest

from gradcheck.diagnosis import causes, codes
from gradcheck.rendering import render_plain


def plain(report, **options):
    return render_plain(report, **({"encoding": "utf-8", "quiet": True} | options))


def blocks(report, **options):
    return plain(report, **options).split("\n\n")


def test_a_cause_and_its_parameter_are_one_block(make):
    block, *_ = blocks(make.failing_report())
    title, *rest = block.splitlines()
    assert title.startswith("GC203 batch_size_factor  layer1.bias: off by a factor")
    assert "[3]  analytic +0.0611423  numerical +0.0122285 ± 3e-12" in block
    assert [line.split()[0] for line in rest[1:]] == ["wrong", "at", "evidence", "try"]
    assert "FAIL  layer1.bias" not in plain(make.failing_report())


def test_a_short_title_ends_with_how_much_is_wrong(make):
    found = causes.SIGN_FLIP.finding("analytic / numerical = -1", ("b",))
    title = plain(make.report(make.failing("b"), findings=[found])).splitlines()[0]
    assert title == "GC204 sign_flip  b: of the opposite sign  (4 of 4 entries wrong)"


def test_a_count_that_is_not_known_of_every_parameter_is_not_given(make):
    found = causes.SIGN_FLIP.finding("analytic / numerical = -1", ("a", "b"))
    sampled = make.failing("b", wrong=None, wrong_count=None, checked_count=2)
    report = make.report(make.failing("a"), sampled, findings=[found])
    assert "entries wrong" not in plain(report)


def test_a_failing_parameter_without_a_cause_keeps_its_block_beside_those_with_one(make):
    first, second, third, *_ = blocks(make.mixed_report())
    assert first.startswith("GC203")
    assert second.startswith("GC201")
    assert third.startswith("FAIL  layer3.bias (layer3): 2 of 4 entries wrong")
    assert "also at  [0]  analytic +0.100000  numerical +0.300000 ± 3e-12" in third
    assert "■ · ■ ·" in third


def test_the_values_of_a_parameter_are_shown_by_its_first_cause_only(make):
    factor = causes.CONSTANT_FACTOR.finding("and its double", ("layer2.weight",))
    whole = make.transposed_report()
    text = plain(replace(whole, findings=(*whole.findings, factor)))
    assert text.count("analytic +0.102266") == 1
    assert text.count("one mark per entry") == 1
    assert "and its double" in text


def test_several_parameters_are_listed_and_the_worst_of_them_shows_its_entry(make):
    slight = make.entry((0,), 0.1, 0.101)
    parts = [make.failing(f"b{i}", f"{i}", worst=slight) for i in range(5)]
    parts[3] = make.failing("b3", "3", worst=make.entry((1,), 0.7, 0.1))
    found = causes.SIGN_FLIP.finding("why", tuple(part.name for part in parts))
    text = plain(make.report(*parts, findings=[found]))
    assert "GC204 sign_flip  b0 and 4 more: of the opposite sign  (20 of 20 entries wrong)" in text
    assert "in        b0, b1, b2, b3, b4" in text
    assert "b3[1]  analytic +0.700000" in text
    assert "+0.101000" not in text


def test_wrong_entries_are_listed_with_values_where_there_is_room(make):
    wide, narrow = (plain(make.sparse_report(), width=width) for width in (80, 40))
    for index in ("[12, 7]", "[783, 127]", "[400, 64]"):
        assert index in wide
        assert index in narrow
    assert "[783, 127]  analytic -0.00100000  numerical +0.00200000 ± 3e-12" in wide
    assert "+0.00200000" not in narrow


def test_a_probe_that_disagrees_stands_for_entries_that_were_not_compared(make):
    probe = replace(make.parameter("W").probes[0], numerical=0.2, outcome="disagrees")
    unseen = {"worst": None, "wrong": None, "wrong_count": None, "checked_count": 0}
    part = make.failing("W", probes=(probe,), **unseen)
    found = causes.SIGN_FLIP.finding("why", ("W",))
    text = plain(make.report(part, findings=[found]))
    assert "along      a random direction through the whole parameter" in text
    assert "map" not in text


def test_alternatives_and_the_layer_are_named(make):
    assert "or        batch_reduction" in plain(make.factor_report(), width=120)
    assert "layer      layer2" in plain(make.upstream_report())


def test_an_error_that_names_no_parameter_is_told_once(make):
    data = codes.MUTATES_DATA.finding("the loss changed args.0")
    stopped = {"reason": "a call changes args", "worst": None, "wrong": None, "wrong_count": None}
    parts = [make.failing(f"W{i}", **stopped) for i in range(3)]
    text = plain(make.report(*parts, findings=[data]))
    assert text.startswith("GC111 mutates_data  a call changes the data it was given\n")
    assert "FAIL  W0" not in text


def test_many_causes_are_counted_not_shown(make):
    found = [causes.SIGN_FLIP.finding("why", (f"W{i}",)) for i in range(6)]
    parts = [make.failing(f"W{i}") for i in range(12)]
    report = make.report(*parts, findings=found)
    assert plain(report).count("GC204 sign_flip  ") == 6
    assert plain(report).count("FAIL  W") == 2
    assert "and 4 more (-v shows all)" in plain(report)
    assert plain(report, verbose=True, quiet=False).count("FAIL  W") == 6


def test_the_table_names_the_cause_beside_the_verdict(make):
    lines = plain(make.mixed_report(), quiet=False).splitlines()
    rows = {line.split()[0]: line for line in lines if line.startswith("  layer")}
    assert rows["layer1.bias"].endswith("FAIL GC203")
    assert rows["layer2.weight"].endswith("FAIL GC201")
    assert rows["layer3.bias"].endswith("FAIL")
    assert rows["layer3.weight"].endswith("ok")


def test_the_codes_shown_are_offered_to_learn_about_each_once(make):
    found = [causes.SIGN_FLIP.finding("why", (f"W{i}",)) for i in range(2)]
    found += [code.finding("why", ("W0",)) for code in (causes.CLIPPED, causes.DETACHED)]
    found.append(causes.TRANSPOSED.finding("why", ("W0",)))
    report = make.report(make.failing("W0"), make.failing("W1"), findings=found)
    assert "learn  gradcheck --explain GC204 GC212 GC206\n" in plain(report, quiet=False)
    assert "learn" not in plain(report)
    assert "learn" not in plain(make.passing_report(), quiet=False)


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("name", ["layers[red].W", "W[/x]", "W\x1b[31m"])
def test_nothing_in_a_finding_is_markup(make, name, width):
    mask = np.array([[True, False], [False, False]])
    found = causes.SPARSE_ENTRY.finding(f"[bold]{name}[/bold] :smile:", (name, "other"))
    found = replace(found, layer=name)
    parts = [make.partly_wrong(name, "1", mask, [make.entry((0, 0), 1.0, 2.0)], [found])]
    text = plain(make.report(*parts, make.failing("other", "2"), findings=[found]), width=width)
    assert "\x1b" not in text
    whole = "".join(line.strip() for line in text.splitlines())
    shown = name.replace("\x1b", "\\x1b")
    assert whole.replace(" ", "").count(shown) >= 3
    assert "[/bold]:smile:" in whole.replace(" ", "")
