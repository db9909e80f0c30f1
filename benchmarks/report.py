"""Keep the results of full runs, and write docs/explanation/performance.md and its chart."""

from __future__ import annotations

import dataclasses
import json
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import Bars, Section, Spread, Table, Target, number, shown
from benchmarks.runtime import PYTHON
from shared.cli.table import table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results.json"
DOCUMENT = ROOT / "docs" / "explanation" / "performance.md"
CHART = ROOT / "docs" / "explanation" / "performance.svg"

_INTRODUCTION = """\
# Performance

`make bench` writes this page, from runs on one machine. `make bench ARGS=cold` measures one section
again. `make bench-quick` prints a rough version in under three minutes. Several rounds measure the
contenders in alternating order. A figure is the median of its rounds, with the lowest and the
highest in parentheses. A target compares figures of one run.
"""


@dataclass(frozen=True)
class Results:
    """The machine, and the results of each benchmark by its name, in the order of the page."""

    machine: Mapping[str, str]
    sections: Mapping[str, Section]


def keep(name: str, section: Section, machine: Mapping[str, str], names: Sequence[str]) -> None:
    """Keep the results of one benchmark beside those of the others of `names`, and write the page.

    Results of another machine go: figures of two machines do not compare.
    """
    kept = load()
    found = {**(kept.sections if kept.machine == machine else {}), name: section}
    results = Results(machine, {each: found[each] for each in names if each in found})
    RESULTS.write_text(json.dumps(dataclasses.asdict(results), indent=1) + "\n")
    write(results)


def load() -> Results:
    """The results that were kept last."""
    document = json.loads(RESULTS.read_text())
    sections = {name: _section(found) for name, found in document["sections"].items()}
    return Results(document["machine"], sections)


def write(results: Results) -> None:
    """Write the page, and its chart if there is something to draw."""
    DOCUMENT.write_text(page(results))
    if any(section.charts for section in results.sections.values()):
        CHART.write_text(picture(results.sections.values()))


def summary(sections: Sequence[Section]) -> str:
    """The targets as a table for a terminal, and the reasons of the missed ones."""
    targets = [target for section in sections for target in section.targets]
    lines = [table([_HEADING, *map(_cells, targets)])]
    lines += [f"\nnot met: {names}: {reason}" for reason, names in _missed(sections).items()]
    return "\n".join(lines)


def page(results: Results) -> str:
    """The page in Markdown."""
    sections = results.sections.values()
    parts = [
        _INTRODUCTION,
        _markdown(["Machine", ""], list(results.machine.items())),
        "## Targets\n",
        _markdown(_HEADING, [_cells(t) for section in sections for t in section.targets]),
        *(f"Not met: **{names}**. {why}\n" for why, names in _missed(sections).items()),
        "![Medians, with the lowest and the highest round](performance.svg)\n",
    ]
    for section in sections:
        parts += [f"## {section.title}\n", f"Measured on {section.date}.\n", f"{section.text}\n"]
        for found in section.tables:
            parts += [f"{found.title}:\n", _markdown(found.heading, found.rows)]
    return "\n".join(parts)


def picture(sections: Iterable[Section]) -> str:
    """All charts as one SVG file."""
    charts = [
        {
            "title": chart.title,
            "unit": chart.unit,
            "bars": [
                (label, {**dataclasses.asdict(spread), "shown": number(spread.median)})
                for label, spread in chart.bars
            ],
        }
        for section in sections
        for chart in section.charts
    ]
    # matplotlib is in the environment of the contenders only.
    return subprocess.run(
        [PYTHON, "-m", "benchmarks.chart"],
        cwd=ROOT,
        input=json.dumps(charts),
        capture_output=True,
        text=True,
        check=True,
    ).stdout


_HEADING = ("Target", "Ours", "Reference", "Value", "Limit", "Met")


def _cells(target: Target) -> tuple[str, ...]:
    unit = " x" if target.kind == "ratio" else f" {target.unit}"
    return (
        target.name,
        f"{shown(target.ours)} {target.unit}",
        "" if target.reference is None else f"{shown(target.reference)} {target.unit}",
        f"{number(target.value)}{unit}",
        f"{number(target.limit)}{unit}",
        "yes" if target.met else "no",
    )


def _missed(sections: Iterable[Section]) -> dict[str, str]:
    """The names of the missed targets, by reason."""
    names: dict[str, list[str]] = {}
    for target in (target for section in sections for target in section.targets):
        if not target.met:
            names.setdefault(target.reason, []).append(target.name)
    return {reason: "; ".join(missed) for reason, missed in names.items()}


def _markdown(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---"] * len(heading), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _section(found: Mapping[str, Any]) -> Section:
    return Section(
        title=found["title"],
        text=found["text"],
        date=found["date"],
        targets=[_target(target) for target in found["targets"]],
        tables=[Table(**each) for each in found["tables"]],
        charts=[
            Bars(c["title"], c["unit"], [(label, Spread(**spread)) for label, spread in c["bars"]])
            for c in found["charts"]
        ],
    )


def _target(found: Mapping[str, Any]) -> Target:
    reference = found["reference"]
    return Target(
        **{
            **found,
            "ours": Spread(**found["ours"]),
            "reference": None if reference is None else Spread(**reference),
        }
    )


if __name__ == "__main__":
    write(load())
