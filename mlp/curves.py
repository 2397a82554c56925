"""Curves, drawn as characters for a terminal and as SVG for a page."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

# Of a drawing in characters: columns and rows inside the axes.
WIDTH, HEIGHT = 64, 14
# Of a drawing as SVG, in pixels, and the room around it for the numbers at the axes.
SVG_WIDTH, SVG_HEIGHT, MARGIN = 640, 360, 56
COLOURS = ("#0b6e99", "#c2410c", "#3f7d20", "#7e22ce", "#525252")
MARKS = "*o+x#"


@dataclass(frozen=True)
class Curve:
    """Values in the order of time, such as the losses of a training.

    Parameters
    ----------
    name: what the legend calls it.
    values: any number of finite ones.
    """

    name: str
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check that every value is a finite number, and that there is one."""
        if not self.values or not all(math.isfinite(value) for value in self.values):
            raise ValueError(f"values of curve {self.name!r} must be finite, and one at least")


@dataclass(frozen=True)
class _Axes:
    """What the axes span: 0 to `last` in time, and `low` to `high`, perhaps on a log scale."""

    last: int
    low: float
    high: float
    logarithmic: bool

    def across(self, position: int) -> float:
        """Return how far to the right a position is, from 0 to 1."""
        return position / self.last if self.last else 0.0

    def up(self, value: float) -> float:
        """Return how high up a value is, from 0 to 1."""
        low, value, high = (self._scaled(number) for number in (self.low, value, self.high))
        return (value - low) / (high - low) if high > low else 0.5

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.logarithmic else value


def _axes(curves: Sequence[Curve]) -> _Axes:
    """Return axes that hold all curves; logarithmic where positive values span two decades."""
    if not curves:
        raise ValueError("curves must be one at least, got none")
    values = [value for curve in curves for value in curve.values]
    low, high = min(values), max(values)
    last = max(len(curve.values) for curve in curves) - 1
    return _Axes(last, low, high, logarithmic=low > 0 and high >= 100 * low)


def draw_text(curves: Sequence[Curve], width: int = WIDTH, height: int = HEIGHT) -> str:
    """Return the curves as lines of ASCII characters, with a legend.

    Parameters
    ----------
    curves: where two meet, the first is seen.
    width, height: of the drawing inside the axes, in characters.
    """
    axes = _axes(curves)
    cells = [[" "] * width for _ in range(height)]
    for curve, mark in reversed(list(zip(curves, _cycled(MARKS, len(curves)), strict=True))):
        for column, value in _sampled(curve, axes, width):
            row = round((1 - axes.up(value)) * (height - 1))
            cells[row][column] = mark
    labels = {0: f"{axes.high:.3g}", height - 1: f"{axes.low:.3g}"}
    margin = max(map(len, labels.values()))
    lines = [
        f"{labels.get(row, ''):>{margin}} |{''.join(line)}".rstrip()
        for row, line in enumerate(cells)
    ]
    lines.append(f"{'':>{margin}} +{'-' * width}")
    lines.append(f"{'':>{margin}}  0{axes.last:>{width - 1},}")
    lines += [f"{mark} {curve.name}" for curve, mark in zip(curves, MARKS, strict=False)]
    return "\n".join([*lines, *(["logarithmic"] if axes.logarithmic else [])])


def _sampled(curve: Curve, axes: _Axes, width: int) -> Iterable[tuple[int, float]]:
    """Yield a value per column that the curve reaches: the last one that falls into it."""
    columns = {
        round(axes.across(position) * (width - 1)): value
        for position, value in enumerate(curve.values)
    }
    return columns.items()


def _cycled(choices: Sequence[str], count: int) -> list[str]:
    return [choices[position % len(choices)] for position in range(count)]


def draw_svg(curves: Sequence[Curve], title: str) -> str:
    """Return the curves as an SVG document that needs nothing from elsewhere.

    Parameters
    ----------
    curves: each drawn as a line, the first on top.
    title: above them.
    """
    axes = _axes(curves)
    colours = _cycled(COLOURS, len(curves))
    drawn = list(zip(curves, colours, strict=True))
    height = SVG_HEIGHT + 20 * len(curves)
    scale = ", logarithmic" if axes.logarithmic else ""
    bottom, right = SVG_HEIGHT - MARGIN, SVG_WIDTH - MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SVG_WIDTH} {height}" '
        f'width="{SVG_WIDTH}" height="{height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{SVG_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{MARGIN}" y="28" font-size="16">{escape(title + scale)}</text>',
        f'<path d="M{MARGIN} {MARGIN}V{bottom}H{right}" fill="none" stroke="#737373"/>',
        _label(MARGIN - 6, MARGIN + 4, f"{axes.high:.3g}", "end"),
        _label(MARGIN - 6, bottom, f"{axes.low:.3g}", "end"),
        _label(MARGIN, bottom + 18, "0", "start"),
        _label(right, bottom + 18, f"{axes.last:,}", "end"),
        *(_line(curve, axes, colour) for curve, colour in reversed(drawn)),
        *(_legend(place, curve, colour) for place, (curve, colour) in enumerate(drawn)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _line(curve: Curve, axes: _Axes, colour: str) -> str:
    points = " ".join(
        f"{MARGIN + axes.across(position) * (SVG_WIDTH - 2 * MARGIN):.1f},"
        f"{SVG_HEIGHT - MARGIN - axes.up(value) * (SVG_HEIGHT - 2 * MARGIN):.1f}"
        for position, value in enumerate(curve.values)
    )
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'


def _legend(place: int, curve: Curve, colour: str) -> str:
    y = SVG_HEIGHT + 20 * place
    return f'<rect x="{MARGIN}" y="{y - 9}" width="18" height="4" fill="{colour}"/>' + _label(
        MARGIN + 26, y - 2, curve.name, "start"
    )


def _label(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
