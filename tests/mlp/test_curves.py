"""Curves land where their values say, in characters and in SVG."""

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from mlp.curves import HEIGHT, MARGIN, SVG_HEIGHT, SVG_WIDTH, WIDTH, Curve, draw_svg, draw_text

SVG = "{http://www.w3.org/2000/svg}"
EXTREMES = {
    "one value": (3.0,),
    "one zero": (0.0,),
    "constant": (2.0, 2.0, 2.0),
    "nearly constant": (1.0, 1.0 + 1e-15),
    "huge": (1e300, -1e300),
    "all magnitudes": (1e-300, 1e300),
    "denormal": (5e-324, 1.0),
    "tiny": (-1e-320, 1e-320),
    "negative": (-5.0, -1.0, -3.0),
    "long": tuple(1 / (1 + step) for step in range(5000)),
}


def marks(text, mark="*"):
    """Return the (column, row) of every mark inside the axes."""
    inside = [line.partition("|")[2] for line in text.splitlines() if "|" in line]
    return {(x, y) for y, line in enumerate(inside) for x, sign in enumerate(line) if sign == mark}


def lines(drawing):
    """Return the points of every line of an SVG drawing, the last drawn first."""
    found = ElementTree.fromstring(drawing).iter(f"{SVG}polyline")
    points = [
        [tuple(map(float, pair.split(","))) for pair in line.get("points").split()]
        for line in found
    ]
    return points[::-1]


def labels(drawing, anchor="start"):
    """Return the (x, y) of the texts of an SVG drawing, by the text.

    Those at the vertical axis end at their place, those below the horizontal one have it in their
    middle, and all others start there.
    """
    texts = ElementTree.fromstring(drawing).iter(f"{SVG}text")
    return {
        text.text: (float(text.get("x")), float(text.get("y")))
        for text in texts
        if text.get("text-anchor", "start") == anchor
    }


def test_characters_stand_where_the_values_are():
    text = draw_text([Curve("line", (0.0, 1.0, 2.0, 3.0))], width=7, height=4)
    assert marks(text) == {(0, 3), (2, 2), (4, 1), (6, 0)}


def test_the_numbers_at_the_axes_are_the_largest_the_smallest_and_the_last_position():
    curve = Curve("line", tuple(float(value) for value in range(-250, 1751)))
    text = draw_text([curve], "layer").splitlines()
    assert text[0].startswith("1.75e+03 |")
    assert text[HEIGHT - 1].startswith("    -250 |")
    assert text[HEIGHT] == f"{'':8} +{'-' * WIDTH}"
    assert text[HEIGHT + 1].split() == ["0", "layer", "2,000"]
    assert len(text[HEIGHT + 1]) == len(text[HEIGHT])


def test_every_value_of_a_column_is_drawn():
    zigzag = Curve("zigzag", tuple(float(step % 2) for step in range(1000)))
    drawn = marks(draw_text([zigzag], width=10, height=5))
    assert drawn == {(column, row) for column in range(10) for row in (0, 4)}


def test_two_decades_make_the_axis_logarithmic_and_less_do_not():
    wide = draw_text([Curve("wide", (100.0, 10.0, 1.0))], width=5, height=3)
    assert marks(wide) == {(0, 0), (2, 1), (4, 2)}
    assert "vertical axis: logarithmic" in wide
    narrow = draw_text([Curve("narrow", (99.0, 50.0, 1.0))], width=5, height=3)
    assert marks(narrow) == {(0, 0), (2, 1), (4, 2)}
    assert "logarithmic" not in narrow
    assert "logarithmic" not in draw_text([Curve("signed", (100.0, -1.0))])
    assert "logarithmic" not in draw_text([Curve("zero", (100.0, 0.0))])


def test_where_curves_meet_the_first_is_seen():
    curves = [Curve("first", (0.0, 1.0)), Curve("second", (0.0, 0.0))]
    text = draw_text(curves, width=3, height=3)
    assert marks(text, "*") == {(0, 2), (2, 0)}
    assert marks(text, "o") == {(2, 2)}


def test_a_shorter_curve_ends_where_it_ends():
    curves = [Curve("long", (0.0,) * 11), Curve("short", (1.0,) * 6)]
    text = draw_text(curves, width=11, height=3)
    assert marks(text, "o") == {(column, 0) for column in range(6)}


def test_every_curve_is_in_the_legend_more_than_there_are_marks_too():
    curves = [Curve(f"number {n}", (float(n), 0.0)) for n in range(7)]
    assert draw_text(curves).splitlines()[-7:] == [
        *("* number 0", "o number 1", "+ number 2", "x number 3", "# number 4"),
        *("* number 5", "o number 6"),
    ]
    assert len(lines(draw_svg(curves, "seven"))) == 7
    assert {curve.name for curve in curves} <= set(labels(draw_svg(curves, "seven")))


@pytest.mark.parametrize("values", EXTREMES.values(), ids=EXTREMES)
def test_no_values_are_too_much_to_be_drawn(values):
    text = draw_text([Curve("extreme", values)])
    assert marks(text)
    assert max(map(len, text.splitlines())) <= 80
    drawing = draw_svg([Curve("extreme", values)], "title")
    assert not re.search("nan|inf", text + drawing)
    ((*points,),) = lines(drawing)
    assert len(points) == len(values)
    assert all(0 < x < SVG_WIDTH and 0 < y < SVG_HEIGHT for x, y in points)


@pytest.mark.parametrize(
    ("values", "got"), [((), "none"), ((1.0, math.nan), "nan"), ((math.inf,), "inf")]
)
def test_a_curve_of_nothing_or_of_no_numbers_is_refused_by_name(values, got):
    told = f"values of curve 'mine' must be finite, and one at least, got {got}$"
    with pytest.raises(ValueError, match=told):
        Curve("mine", values)


@pytest.mark.parametrize("draw", [draw_text, lambda curves: draw_svg(curves, "title")])
def test_no_curves_are_refused(draw):
    with pytest.raises(ValueError, match="curves must be one at least, got none"):
        draw([])


def test_points_of_the_svg_stand_where_the_values_are():
    drawing = draw_svg([Curve("line", (0.0, 10.0, 5.0))], "title")
    (((left, bottom), (middle, top), (right, half)),) = lines(drawing)
    assert (left, right) == (MARGIN, SVG_WIDTH - MARGIN)
    assert (top, bottom) == (MARGIN, SVG_HEIGHT - MARGIN)
    assert middle == pytest.approx((left + right) / 2, abs=0.1)
    assert half == pytest.approx((top + bottom) / 2, abs=0.1)


def test_numbers_at_the_axes_of_the_svg_are_round_and_beside_their_places():
    drawing = draw_svg([Curve("line", tuple(step / 4 for step in range(41)))], "title", "layer")
    ((*points,),) = lines(drawing)
    values, positions = labels(drawing, "end"), labels(drawing, "middle")
    assert list(values) == ["0", "2", "4", "6", "8", "10"]
    for value, (x, y) in values.items():
        assert y == pytest.approx(points[4 * int(value)][1] + 4, abs=0.2)
        assert x < points[0][0]
    assert list(positions) == ["0", "10", "20", "30", "40", "layer"]
    for position in ("0", "10", "20", "30", "40"):
        x, y = positions[position]
        assert x == pytest.approx(points[int(position)][0], abs=0.2)
        assert y > points[0][1]


def test_a_logarithmic_axis_of_the_svg_is_marked_in_decades():
    drawing = draw_svg([Curve("line", (1000.0, 1.0))], "title")
    decades = labels(drawing, "end")
    assert list(decades) == ["1", "10", "100", "1000"]
    gaps = [low - high for (_, low), (_, high) in pairwise(decades.values())]
    assert gaps == pytest.approx([gaps[0]] * 3, abs=0.2)
    assert gaps[0] > 0
    assert "logarithmic axis" in labels(drawing)


def test_the_svg_needs_nothing_from_elsewhere_and_escapes_what_it_is_told():
    name = 'a < b & "c" <script>'
    drawing = draw_svg([Curve(name, (1.0, 2.0))], name)
    root = ElementTree.fromstring(drawing)
    assert root.tag == f"{SVG}svg"
    assert [text.text for text in root.iter(f"{SVG}text")].count(name) == 2
    assert root.find(f"{SVG}title").text == name
    assert drawing.count("http") == 1  # the name of the format itself
    assert not re.search("href|url|@import|font-face|<script|<style|<image", drawing)


def test_title_axes_and_legend_do_not_overlap():
    drawing = draw_svg([Curve("one", (1.0, 1e-5)), Curve("two", (1.0, 2.0))], "title", "epoch")
    height = float(ElementTree.fromstring(drawing).get("height"))
    texts = {**labels(drawing), "epoch": labels(drawing, "middle")["epoch"]}
    texts |= {f"at {value}": place for value, place in labels(drawing, "end").items()}
    order = ["title", "logarithmic axis", "at 1", "at 1e-05", "epoch", "one", "two"]
    heights = [texts[text][1] for text in order]
    assert min(below - above for above, below in pairwise(heights)) >= 13
    assert heights[-1] < height
