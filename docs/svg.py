"""A few shapes as SVG text, in world units: enough for the figures of these pages."""

from collections.abc import Iterable, Sequence
from html import escape

import numpy as np

INK, GREY, RED = "#24292f", "#8c959f", "#c40d1e"
BLUE, ORANGE, GREEN = "#0b67b2", "#d1570a", "#2f7d32"
Point = Sequence[float]


class Panel:
    """A window onto the plane, x to the right and y up, at a place of the picture."""

    def __init__(self, left: float, top: float, side: float, span: float, middle: Point) -> None:
        """Show ``span`` units from edge to edge of a square of ``side`` pixels."""
        self.origin = np.array([left + side / 2, top + side / 2])
        self.scale = side / span
        self.middle = np.array(middle, dtype=float)

    def to_px(self, point: Point) -> tuple[float, float]:
        """Pixel of a point."""
        x, y = (np.array(point[:2], dtype=float) - self.middle) * self.scale
        return float(self.origin[0] + x), float(self.origin[1] - y)


class Figure:
    """Lines, shapes and words on white."""

    def __init__(self, width: int, height: int, title: str) -> None:
        """Begin an empty figure; the title is read out by screen readers."""
        self.size = (width, height)
        self.title = title
        self.parts: list[str] = []

    def line(
        self, points: Iterable[Point], colour: str = INK, width: float = 1.5, *, dash: str = ""
    ) -> None:
        """Draw lines through points in pixels."""
        marks = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<polyline points="{_points(points)}" fill="none" stroke="{colour}" '
            f'stroke-width="{width}" stroke-linejoin="round"{marks}/>'
        )

    def area(
        self, points: Iterable[Point], fill: str, opacity: float, *, outline: str = "none"
    ) -> None:
        """Fill a polygon in pixels."""
        self.parts.append(
            f'<polygon points="{_points(points)}" fill="{fill}" fill-opacity="{opacity}" '
            f'stroke="{outline}" stroke-width="1.5"/>'
        )

    def dot(self, point: Point, colour: str = INK, radius: float = 3.5) -> None:
        """Draw a disc in pixels."""
        x, y = point
        self.parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" fill="{colour}"/>')

    def circle(self, point: Point, radius: float, colour: str = GREY, *, dash: str = "") -> None:
        """Draw a ring in pixels."""
        x, y = point
        marks = f' stroke-dasharray="{dash}"' if dash else ""
        self.parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="none" stroke="{colour}"'
            f' stroke-width="1.2"{marks}/>'
        )

    def text(
        self, point: Point, words: str, colour: str = INK, *, size: int = 13, anchor: str = "start"
    ) -> None:
        """Write one line of words at a pixel: its left end, ``middle`` or right ``end``."""
        x, y = point
        self.parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" font-size="{size}" '
            f'text-anchor="{anchor}">{escape(words)}</text>'
        )

    def arrow(self, start: Point, end: Point, colour: str = INK, width: float = 1.8) -> None:
        """Draw a line with a head, in pixels."""
        start, end = np.array(start, dtype=float), np.array(end, dtype=float)
        along = (end - start) / max(float(np.linalg.norm(end - start)), 1e-9)
        across = np.array([-along[1], along[0]])
        self.line([start, end - 6 * along], colour, width)
        self.area([end, end - 9 * along + 4 * across, end - 9 * along - 4 * across], colour, 1.0)

    def render(self) -> str:
        """Return the file."""
        width, height = self.size
        return "\n".join([
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" font-family="Helvetica, Arial, sans-serif" '
            f'role="img">',
            f"<title>{escape(self.title)}</title>",
            f'<rect width="{width}" height="{height}" rx="6" fill="#ffffff"/>',
            *self.parts,
            "</svg>\n",
        ])


def _points(points: Iterable[Point]) -> str:
    # One decimal: the same file on every machine, whatever the last bit of a sine is.
    return " ".join(f"{float(x):.1f},{float(y):.1f}" for x, y in points)
