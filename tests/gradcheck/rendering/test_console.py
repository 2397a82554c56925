from io import StringIO

import pytest

from gradcheck.rendering import make_console, render_on, render_terminal
from gradcheck.rendering.console import wants_color, width_of


class Terminal(StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("environment", "colored"),
    [
        ({}, True),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, True),
        ({"FORCE_COLOR": "0"}, False),
        ({"TERM": "dumb"}, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False),
    ],
)
def test_terminals_are_coloured_unless_the_environment_objects(environment, colored):
    assert wants_color(Terminal(), "auto", environment) is colored


@pytest.mark.parametrize(("environment", "colored"), [({}, False), ({"FORCE_COLOR": "1"}, True)])
def test_pipes_are_coloured_only_by_force(environment, colored):
    assert wants_color(StringIO(), "auto", environment) is colored


def test_the_option_wins_over_the_environment():
    assert wants_color(StringIO(), "always", {"NO_COLOR": "1"})
    assert not wants_color(Terminal(), "never", {"FORCE_COLOR": "1"})


def test_the_width_is_that_of_columns_then_80():
    assert width_of(StringIO(), {"COLUMNS": "61"}) == 61
    assert width_of(StringIO(), {"COLUMNS": "wide"}) == 80
    assert width_of(Terminal(), {}) == 80


def test_no_color_leaves_no_escapes_at_all(make, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    text = render_on(make_console(Terminal()), render_terminal(make.failing_report()))
    assert "\x1b" not in text


def test_colours_do_not_change_the_words(make):
    from rich.text import Text

    view = render_terminal(make.failing_report())
    colored = render_on(make_console(StringIO(), "always"), view)
    plain = render_on(make_console(StringIO(), "never"), view)
    assert "\x1b[1;31mFAIL" in colored
    words = [line.rstrip() for line in Text.from_ansi(colored).plain.splitlines()]
    assert words == plain.splitlines()
