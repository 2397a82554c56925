"""The map of wrong entries: what a mark stands for, and when there is none."""

import numpy as np
import pytest

from gradcheck.rendering.text import ASCII, UNICODE, Layout
from gradcheck.rendering.wrong_map import wrong_map


@pytest.fixture
def drawn(make):
    """Return caption and rows of the map of a mask, without the gaps between marks."""

    def draw(mask, width=80, glyphs=ASCII):
        part = make.failing("W", shape=mask.shape, wrong=mask, wrong_count=int(mask.sum()))
        picture = wrong_map(part, Layout(width, glyphs))
        if picture is None:
            return None
        caption, *rows = picture.plain.split("\n")
        assert max(map(len, rows)) <= Layout(width, glyphs).room
        return caption, [row.replace(" ", "") for row in rows]

    return draw


def test_a_small_matrix_is_drawn_entry_by_entry(drawn):
    mask = ~np.eye(4, dtype=bool)
    caption, rows = drawn(mask)
    assert caption == "4x4, one mark per entry: # wrong, . ok"
    assert rows == [".###", "#.##", "##.#", "###."]


def test_a_vector_is_one_line(drawn):
    caption, rows = drawn(np.array([False, True, True]))
    assert caption == "3 entries, one mark per entry: # wrong, . ok"
    assert rows == [".##"]


def test_further_axes_are_put_into_rows_and_said_so(drawn):
    mask = np.zeros((2, 3, 4), bool)
    mask[1, 0] = True
    caption, rows = drawn(mask)
    assert caption.startswith("2x3x4 as 6x4, leading axes in rows, one mark per entry")
    assert rows == ["....", "....", "....", "####", "....", "...."]


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("shape", [(784, 128), (9, 3), (1, 1000), (1000, 1), (70, 70, 3), (500,)])
def test_a_large_array_is_folded_to_eight_lines_that_cover_it(drawn, shape, width):
    rng = np.random.default_rng(0)
    mask = rng.random(shape) < 0.002
    mask.flat[-1] = True
    caption, rows = drawn(mask, width)
    assert len(rows) <= 8
    assert len(set(map(len, rows))) == 1
    flat = mask.reshape(-1, mask.shape[-1])
    tall, wide = -(-flat.shape[0] // 8), -(-flat.shape[1] // len(rows[0]))
    assert (f"{wide} entries" if len(shape) == 1 else f"{tall}x{wide} entries") in caption
    assert "+ partly" in caption
    for row, marks in enumerate(rows):
        for column, mark in enumerate(marks):
            rectangle = flat[row * tall : (row + 1) * tall, column * wide : (column + 1) * wide]
            share = sum(rectangle.ravel().tolist()) / rectangle.size
            assert mark == ("#" if share == 1 else "+" if share > 0 else ".")


def test_a_lone_wrong_entry_among_many_shows(drawn):
    mask = np.zeros((784, 128), bool)
    mask[400, 64] = True
    _, rows = drawn(mask)
    assert "".join(rows).count("+") == 1


@pytest.mark.parametrize("mask", [np.ones((3, 3), bool), np.zeros((3, 3), bool), np.ones((), bool)])
def test_there_is_no_map_where_it_would_show_nothing(drawn, mask):
    assert drawn(mask) is None


def test_there_is_no_map_where_the_wrong_entries_are_not_known(make):
    part = make.failing("W", wrong=None, wrong_count=None)
    assert wrong_map(part, Layout(80, ASCII)) is None


def test_marks_fit_the_encoding(drawn):
    mask = np.array([[True, False]])
    assert drawn(mask, glyphs=UNICODE)[1] == ["■·"]
    assert drawn(mask, glyphs=ASCII)[1] == ["#."]
