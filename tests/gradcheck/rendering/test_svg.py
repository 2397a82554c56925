import re
from xml.etree import ElementTree

from gradcheck.rendering import render_svg


def test_a_picture_is_well_formed_and_refers_to_nothing_elsewhere(make):
    picture = render_svg(make.failing_report())
    ElementTree.fromstring(picture)
    links = re.findall(r"https?://[^\"' ]+", picture)
    assert set(links) == {"http://www.w3.org/2000/svg"}
    assert "@font-face" not in picture


def test_a_picture_shows_the_report(make):
    words = "".join(ElementTree.fromstring(render_svg(make.failing_report())).itertext())
    assert "net.py:net" in words
    assert "INCONCLUSIVE" in words.replace("\xa0", " ")


def test_several_reports_share_a_picture(make):
    words = "".join(
        ElementTree.fromstring(
            render_svg([make.passing_report(), make.failing_report()])
        ).itertext()
    )
    assert "PASS" in words
    assert "FAIL" in words


def test_markup_and_control_characters_in_names_do_no_harm(make):
    name = "<b>&[red]\x1b\x00"
    picture = render_svg(make.report(make.failing(name), name=name))
    assert "<b>&[red]\\x1b\\x00" in "".join(ElementTree.fromstring(picture).itertext())


def test_the_same_report_gives_the_same_picture(make):
    assert render_svg(make.passing_report()) == render_svg(make.passing_report())
