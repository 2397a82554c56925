"""Curves, drawn as characters for a terminal and as SVG for a page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

# Of a drawing in characters: columns and rows inside the axes.
WIDTH, HEIGHT = 64, 14
# Of a drawing as SVG, in pixels, and the room around it for title, numbers and names.
SVG_WIDTH, SVG_HEIGHT, MARGIN = 640, 380, 66
# Letters of the title and of all else, and how far below their middle the line is that they are on.
TITLE_LETTERS, LETTERS, MIDDLE = 16, 13, 4
# How far down the title is; how far the words above the axes and the numbers to the left are from
# them, and below them the ends of the notches, the numbers, and what they count.
TITLE, ABOVE, BESIDE, NOTCH, NUMBER, COUNTED = 28, 10, 8, 5, 19, 38
# Of the legend: height of a row, the bar in a curve's colour, and from where on its name is.
ROW, BAR_WIDTH, BAR_HEIGHT, NAMED = 20, 18, 4, 26
COLOURS = ("#0b6e99", "#c2410c", "#3f7d20", "#7e22ce", "#525252")
INK, GRID = "#404040", "#e5e5e5"
MARKS = "*o+x#"
# What the horizontal axis counts, unless a drawing is of something else.
STEP = "step"
# Numbers at an axis, at most, and the leading digits that their distance may have.
TICKS, ROUND = 7, (1, 2, 5, 10)
# Where the largest value is so many times the smallest, an axis is logarithmic.
WIDE = 100


@dataclass(frozen=True)
class Curve:
    """Values in a row, such as the losses of a training.

    Parameters
    ----------
    name: what the legend calls it.
    values: any number of finite ones, counted from 0.
    """

    name: str
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check that every value is a finite number, and that there is one."""
        wrong = [repr(value) for value in self.values if not math.isfinite(value)]
        if wrong or not self.values:
            raise ValueError(
                f"values of curve {self.name!r} must be finite, and one at least, "
                f"got {wrong[0] if wrong else 'none'}"
            )


@dataclass(frozen=True)
class _Axes:
    """What the axes span: 0 to `last` across, and `low` to `high`, perhaps on a log scale."""

    last: int
    low: float
    high: float
    logarithmic: bool

    def across(self, position: float) -> float:
        """Return how far to the right a position is, from 0 to 1."""
        return position / self.last if self.last else 0.0

    def up(self, value: float) -> float:
        """Return how high up a value is, from 0 to 1."""
        low, value, high = (self._scaled(number) for number in (self.low, value, self.high))
        return (value - low) / (high - low)

    def levels(self) -> list[float]:
        """Return the round values to mark on the vertical axis, the lowest first."""
        if not self.logarithmic:
            return _round_numbers(self.low, self.high)
        powers = _round_numbers(math.log10(self.low), math.log10(self.high), whole=True)
        return [10.0**power for power in powers]

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.logarithmic else value


def _axes(curves: Sequence[Curve]) -> _Axes:
    """Return axes that hold all curves; logarithmic where positive values span two decades."""
    if not curves:
        raise ValueError("curves must be one at least, got none")
    values = [value for curve in curves for value in curve.values]
    low, high = min(values), max(values)
    if low == high:
        room = abs(low) / 2 or 1.0
        low, high = low - room, high + room
    last = max(len(curve.values) for curve in curves) - 1
    return _Axes(last, low, high, logarithmic=low > 0 and high >= WIDE * low)


def _round_numbers(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Return a few round numbers between two, equally far apart."""
    least = (high - low) / TICKS
    unit = 10.0 ** math.floor(math.log10(least)) if least else 1.0
    step = next(unit * digit for digit in ROUND if unit * digit >= least or digit == ROUND[-1])
    if whole:
        step = max(1.0, step)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [step * count for count in range(first, last + 1)]


def draw_text(
    curves: Sequence[Curve], across: str = STEP, width: int = WIDTH, height: int = HEIGHT
) -> str:
    """Return the curves as lines of characters, with a legend.

    Parameters
    ----------
    curves: where two meet, the first is seen.
    across: what the horizontal axis counts.
    width, height: of the drawing inside the axes, in characters.
    """
    axes = _axes(curves)
    marks = _cycled(MARKS, len(curves))
    cells = [[" "] * width for _ in range(height)]
    for curve, mark in reversed(list(zip(curves, marks, strict=True))):
        for position, value in enumerate(curve.values):
            row = round((1 - axes.up(value)) * (height - 1))
            cells[row][round(axes.across(position) * (width - 1))] = mark
    labels = {0: f"{axes.high:.3g}", height - 1: f"{axes.low:.3g}"}
    margin = max(map(len, labels.values()))
    lines = [
        f"{labels.get(row, ''):>{margin}} |{''.join(line)}".rstrip()
        for row, line in enumerate(cells)
    ]
    lines.append(f"{'':>{margin}} +{'-' * width}")
    last = f"{axes.last:,}"
    lines.append(f"{'':>{margin}}  0{across.center(width - 1 - len(last))}{last}")
    lines += [f"{mark} {curve.name}" for curve, mark in zip(curves, marks, strict=True)]
    return "\n".join([*lines, *(["vertical axis: logarithmic"] if axes.logarithmic else [])])


def _cycled(choices: Sequence[str], count: int) -> list[str]:
    return [choices[position % len(choices)] for position in range(count)]


def draw_svg(curves: Sequence[Curve], title: str, across: str = STEP) -> str:
    """Return the curves as an SVG document that needs nothing from elsewhere.

    Parameters
    ----------
    curves: each drawn as a line, the first on top.
    title: above them.
    across: what the horizontal axis counts.
    """
    axes = _axes(curves)
    drawn = list(zip(curves, _cycled(COLOURS, len(curves)), strict=True))
    height = SVG_HEIGHT + ROW * len(curves)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SVG_WIDTH} {height}" '
        f'width="{SVG_WIDTH}" height="{height}" font-family="sans-serif" font-size="{LETTERS}" '
        f'fill="{INK}" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{SVG_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{MARGIN}" y="{TITLE}" font-size="{TITLE_LETTERS}" font-weight="bold">'
        f"{escape(title)}</text>",
        *(_level(axes, value) for value in axes.levels()),
        *(_position(axes, position) for position in _round_numbers(0, axes.last, whole=True)),
        _label(SVG_WIDTH / 2, SVG_HEIGHT - MARGIN + COUNTED, across, "middle"),
        *(
            [_label(MARGIN, MARGIN - ABOVE, "logarithmic axis", "start")]
            if axes.logarithmic
            else []
        ),
        *(_line(curve, axes, colour) for curve, colour in reversed(drawn)),
        *(_legend(place, curve, colour) for place, (curve, colour) in enumerate(drawn)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _level(axes: _Axes, value: float) -> str:
    """Return a line across the drawing at a value, with its number."""
    y = _y(axes, value)
    return f'<path d="M{MARGIN} {y:.1f}H{SVG_WIDTH - MARGIN}" stroke="{GRID}"/>' + _label(
        MARGIN - BESIDE, y + MIDDLE, f"{value:.6g}", "end"
    )


def _position(axes: _Axes, position: float) -> str:
    """Return a short line below the drawing at a position, with its number."""
    x, bottom = _x(axes, position), SVG_HEIGHT - MARGIN
    return f'<path d="M{x:.1f} {bottom}v{NOTCH}" stroke="{INK}"/>' + _label(
        x, bottom + NUMBER, f"{position:,.0f}", "middle"
    )


def _line(curve: Curve, axes: _Axes, colour: str) -> str:
    points = " ".join(
        f"{_x(axes, position):.1f},{_y(axes, value):.1f}"
        for position, value in enumerate(curve.values)
    )
    return (
        f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.8" '
        'stroke-linejoin="round"/>'
    )


def _legend(place: int, curve: Curve, colour: str) -> str:
    y = SVG_HEIGHT + ROW * place
    return (
        f'<rect x="{MARGIN}" y="{y - BAR_HEIGHT / 2:g}" width="{BAR_WIDTH}" height="{BAR_HEIGHT}" '
        f'fill="{colour}"/>' + _label(MARGIN + NAMED, y + MIDDLE, curve.name, "start")
    )


def _x(axes: _Axes, position: float) -> float:
    return MARGIN + axes.across(position) * (SVG_WIDTH - 2 * MARGIN)


def _y(axes: _Axes, value: float) -> float:
    return SVG_HEIGHT - MARGIN - axes.up(value) * (SVG_HEIGHT - 2 * MARGIN)


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
