"""Every finding has a code, a name and a lesson."""

import re

import pytest

from gradcheck.diagnosis import catalogue, causes, codes

# As the documentation has them: a code never changes its meaning, and none is taken back.
EXPECTED = [
    *range(101, 115),
    *range(121, 127),
    *range(201, 214),
    *range(301, 306),
    *range(401, 413),
    900,
]
PARTS = ["How it comes about.", "How gradcheck knows.", "What looks the same.", "What to do."]


def test_the_codes_are_these_and_each_is_there_once():
    assert [code.code for code in catalogue.CODES] == [f"GC{number}" for number in EXPECTED]
    assert len({code.slug for code in catalogue.CODES}) == len(EXPECTED)


def test_every_code_of_the_two_modules_is_in_the_catalogue():
    found = [
        value
        for module in (codes, causes)
        for value in vars(module).values()
        if type(value) is codes.Code
    ]
    assert len(found) == len(catalogue.CODES)
    assert all(code in catalogue.CODES for code in found)


def test_every_code_has_a_lesson_and_every_lesson_a_code():
    lessons = {path.name for path in catalogue.LESSONS.iterdir()}
    assert lessons == {f"{code.code}.md" for code in catalogue.CODES}


@pytest.mark.parametrize("code", catalogue.CODES, ids=lambda code: code.code)
def test_a_lesson_is_a_page_of_plain_text(code):
    text = catalogue.lesson(code)
    lines = text.splitlines()
    assert lines[0] == f"{code.code} {code.slug}"
    assert 15 <= len(lines) <= 30
    assert max(map(len, lines)) <= 78
    assert text.isascii()
    assert text.endswith("\n")
    assert not any(line != line.rstrip() or "\t" in line for line in lines)


@pytest.mark.parametrize("code", catalogue.CODES, ids=lambda code: code.code)
def test_a_lesson_says_how_it_comes_about_how_it_is_known_and_what_to_do(code):
    text = catalogue.lesson(code)
    places = [text.index(part) for part in PARTS if part in text]
    assert len(places) == len(PARTS)
    assert re.search(r"^    \S", text, re.M)  # an example


@pytest.mark.parametrize("code", catalogue.CODES, ids=lambda code: code.code)
def test_a_lesson_refers_to_codes_that_exist_and_not_to_itself(code):
    text = catalogue.lesson(code).partition("\n")[2]
    named = set(re.findall(r"GC\d+", text))
    assert named <= {other.code for other in catalogue.CODES} - {code.code}


@pytest.mark.parametrize("code", catalogue.CODES, ids=lambda code: code.code)
def test_a_code_and_a_name_find_the_same_in_upper_and_lower_case(code):
    for word in (code.code, code.slug):
        for typed in (word, word.lower(), word.upper()):
            assert catalogue.find(typed) is code


@pytest.mark.parametrize(
    ("typed", "tip"),
    [
        ("transpose", "did you mean 'transposed'?"),
        ("BATCH_FACTOR", "did you mean 'batch_size_factor'?"),
        ("GC2011", "did you mean 'GC201'?"),
        ("zzz", None),
        ("", None),
    ],
)
def test_an_unknown_finding_is_answered_with_the_nearest(typed, tip):
    with pytest.raises(catalogue.UnknownFinding, match=rf"code or name '{typed}'") as caught:
        catalogue.find(typed)
    assert caught.value.tip == tip


@pytest.mark.parametrize("code", vars(causes).values(), ids=lambda code: getattr(code, "code", ""))
def test_a_title_of_a_cause_fits_after_the_names_of_one_or_more_parameters(code):
    if isinstance(code, codes.Code):
        assert not re.match(r"(is|are|has|have|lacks?|comes?)\b", code.title)
        assert len(code.title) <= 60
