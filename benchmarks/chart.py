"""Draws bar charts with matplotlib: `python -m benchmarks.chart <charts.json >charts.svg`.

It runs in .venv-bench, the only environment with matplotlib, and reads the charts of a run as the
results hold them.
"""

import json
import sys
from typing import Any, TextIO

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

_INCHES_WIDE = 9.0
_INCHES_PER_BAR, _INCHES_PER_CHART = 0.26, 0.75
_OURS, _OTHERS, _TEXT, _FAINT = "#0f766e", "#94a3b8", "#0f172a", "#64748b"
_SETTINGS = {
    # Text stays text, and the same results give the same file.
    "svg.fonttype": "none",
    "svg.hashsalt": "benchmarks",
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
}


def draw(charts: list[dict[str, Any]], file: TextIO) -> None:
    """Write the charts as one SVG: a bar per median, with a line from the lowest to the highest."""
    heights = [_INCHES_PER_CHART + _INCHES_PER_BAR * len(chart["bars"]) for chart in charts]
    with mpl.rc_context(_SETTINGS):
        figure = Figure(figsize=(_INCHES_WIDE, sum(heights)), layout="constrained")
        figure.get_layout_engine().set(hspace=0.02, h_pad=0.08)
        all_axes = figure.subplots(len(charts), squeeze=False, height_ratios=heights)[:, 0]
        for axes, chart in zip(all_axes, charts, strict=True):
            _draw_one(axes, chart)
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})


def _draw_one(axes: Axes, chart: dict[str, Any]) -> None:
    labels = [label for label, _ in chart["bars"]]
    spreads = [spread for _, spread in chart["bars"]]
    medians = [spread["median"] for spread in spreads]
    bars = axes.barh(
        range(len(labels)),
        medians,
        color=[_OURS if label.startswith("this ") else _OTHERS for label in labels],
        xerr=[
            [spread["median"] - spread["low"] for spread in spreads],
            [spread["high"] - spread["median"] for spread in spreads],
        ],
        error_kw={"ecolor": _TEXT, "elinewidth": 1},
    )
    axes.bar_label(bars, labels=[spread["shown"] for spread in spreads], padding=5, weight="bold")
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.set_title(chart["title"], loc="left", weight="bold", size=12, color=_TEXT)
    axes.set_title(chart["unit"], loc="right", size=9, color=_FAINT)
    axes.margins(x=0.12)
    axes.set_xlim(left=0)
    axes.tick_params(length=0)
    axes.set_xticks([])
    axes.spines[["top", "right", "bottom"]].set_visible(False)


if __name__ == "__main__":
    draw(json.load(sys.stdin), sys.stdout)
