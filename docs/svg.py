"""Just enough SVG for boxes, text and arrows."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from xml.sax.saxutils import escape

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
    """How high a box with a title and that many lines is."""
    return _PAD + _TITLE + lines * LINE + (_PAD if lines else _PAD / 2)


@dataclass
class Canvas:
    """Collects elements in the order in which they are painted."""

    elements: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, content: str, *classes: str, anchor: str = "start") -> None:
        """One line of text; `y` is its baseline."""
        self.elements.append(
            f'<text x="{x:g}" y="{y:g}" class="{" ".join(classes)}" text-anchor="{anchor}">'
            f"{escape(content)}</text>"
        )

    def frame(self, place: Rectangle, fill: str, stroke: str, *, dashed: bool = False) -> None:
        """A rounded rectangle to put things into."""
        dashes = ' stroke-dasharray="5 4"' if dashed else ""
        self.elements.append(
            f'<rect x="{place.x:g}" y="{place.y:g}" width="{place.width:g}" '
            f'height="{place.height:g}" rx="8" fill="{fill}" stroke="{stroke}"{dashes}/>'
        )

    def box(self, place: Rectangle, title: str, lines: Sequence[str], colour: str) -> Rectangle:
        """A thing with a title and details, with a stripe in the colour of its kind.

        It is as high as it has to be: the place's height does not count.
        """
        place = replace(place, height=box_height(len(lines)))
        x, y = place.x, place.y
        self.frame(place, "#ffffff", "#cbd5e1")
        self.elements.append(
            f'<rect x="{x:g}" y="{y + 6:g}" width="4" height="{place.height - 12:g}" '
            f'rx="2" fill="{colour}"/>'
        )
        self.text(x + 14, y + _PAD + 13, title, "title")
        for number, line in enumerate(lines):
            self.text(x + 14, y + _PAD + _TITLE + 12 + number * LINE, line)
        return place

    def arrow(self, points: Sequence[tuple[float, float]], colour: str = "#475569") -> None:
        """A line through the points, with its head at the last one."""
        path = " L ".join(f"{x:g} {y:g}" for x, y in points)
        self.elements.append(
            f'<path d="M {path}" fill="none" stroke="{colour}" stroke-width="1.8" '
            'marker-end="url(#head)"/>'
        )

    def line(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """A thin line."""
        (x1, y1), (x2, y2) = start, end
        self.elements.append(
            f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="#0f172a"/>'
        )

    def document(self, width: float, height: float, title: str) -> str:
        """The whole picture as an SVG file."""
        return "\n".join(
            [
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
                f'width="{width:g}" height="{height:g}" role="img" '
                f'aria-label="{escape(title)}">',
                f"<title>{escape(title)}</title>",
                f"<style>{_STYLE}</style>",
                '<defs><marker id="head" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" '
                'markerHeight="7" orient="auto-start-reverse">'
                '<path d="M 0 0 L 10 5 L 0 10 z" fill="#475569"/></marker></defs>',
                f'<rect width="{width:g}" height="{height:g}" rx="12" fill="#f8fafc"/>',
                *self.elements,
                "</svg>",
                "",
            ]
        )
