"""The shapes of the architecture picture: boxes, frames, lines of text and arrows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import drawsvg

_STYLE = """
  text { font-family: -apple-system, 'Segoe UI', Helvetica, Arial, 'DejaVu Sans', sans-serif;
         font-size: 12px; fill: #334155; }
  .heading { font-size: 17px; font-weight: 700; fill: #0f172a; }
  .subheading { font-size: 12px; fill: #64748b; }
  .title { font-size: 13px; font-weight: 600; fill: #0f172a; }
  .label { font-size: 11px; font-weight: 600; fill: #64748b; }
  .mono { font-family: ui-monospace, Menlo, Consolas, 'DejaVu Sans Mono', monospace;
          font-size: 11px; }
  .faint { fill: #94a3b8; }
"""

LINE = 16
_TITLE = 20
_PAD = 10
_FONT_SIZE = 12
_ARROW = "#475569"


@dataclass(frozen=True)
class Rectangle:
    """A rectangle, in pixels."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """The x of the right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """The y of the bottom edge."""
        return self.y + self.height

    @property
    def middle(self) -> float:
        """The y of the middle."""
        return self.y + self.height / 2


def box_height(lines: int) -> float:
    """The height in pixels of a box with a title and that many lines."""
    return _PAD + _TITLE + lines * LINE + (_PAD if lines else _PAD / 2)


class Canvas:
    """Collects shapes in the order in which they are painted."""

    def __init__(self) -> None:
        self._shapes: list[drawsvg.DrawingBasicElement] = []
        self._head = drawsvg.Marker(
            0, 0, 10, 10, scale=0.7, orient="auto", refX=9, refY=5, id="head"
        )
        self._head.append(drawsvg.Path("M 0 0 L 10 5 L 0 10 z", fill=_ARROW))

    def text(self, x: float, y: float, content: str, *classes: str, anchor: str = "start") -> None:
        """Add one line of text; `y` is its baseline."""
        self._shapes.append(
            drawsvg.Text(content, None, x, y, class_=" ".join(classes) or None, text_anchor=anchor)
        )

    def frame(self, place: Rectangle, fill: str, stroke: str, *, dashed: bool = False) -> None:
        """Add a rounded rectangle to put things into."""
        dashes = "5 4" if dashed else None
        self._rectangle(place, 8, fill=fill, stroke=stroke, stroke_dasharray=dashes)

    def box(self, place: Rectangle, title: str, lines: Sequence[str], colour: str) -> Rectangle:
        """Add a box with a title, details, and a stripe in the colour of its kind.

        The lines decide its height; the height of `place` is ignored.
        """
        place = replace(place, height=box_height(len(lines)))
        x, y = place.x, place.y
        self.frame(place, "#ffffff", "#cbd5e1")
        self._rectangle(Rectangle(x, y + 6, 4, place.height - 12), 2, fill=colour)
        self.text(x + 14, y + _PAD + 13, title, "title")
        for number, line in enumerate(lines):
            self.text(x + 14, y + _PAD + _TITLE + 12 + number * LINE, line)
        return place

    def line(self, *points: tuple[float, float], head: bool = True) -> None:
        """Add a line through the points, with an arrow head at the last one."""
        (x, y), *others = points
        path = drawsvg.Path(
            fill="none",
            stroke=_ARROW,
            stroke_width=1.8,
            marker_end=self._head if head else None,
        ).M(x, y)
        for x, y in others:
            path.L(x, y)
        self._shapes.append(path)

    def document(self, width: float, height: float, title: str) -> str:
        """The whole picture as an SVG file."""
        drawing = drawsvg.Drawing(width, height, id_prefix="shape", role="img", aria_label=title)
        drawing.append_css(_STYLE)
        drawing.append_title(title)
        drawing.append(drawsvg.Rectangle(0, 0, width, height, rx=12, fill="#f8fafc"))
        drawing.extend(self._shapes)
        return str(drawing.as_svg()) + "\n"

    def _rectangle(self, place: Rectangle, radius: float, **style: str | None) -> None:
        self._shapes.append(
            drawsvg.Rectangle(place.x, place.y, place.width, place.height, rx=radius, **style)
        )
