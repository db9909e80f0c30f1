"""Measurements, and the targets they are compared with.

Each round measures each contender once, and the order alternates. So other work on the machine
disturbs all contenders alike.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Spread:
    """The median of all rounds, the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of the rounds' values."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Target:
    """A figure of ours and its limit, compared by the medians of the rounds.

    The value that must not exceed the `limit` is `ours / reference` (a ratio), `ours - reference`
    (a difference) or `ours` alone (absolute). "At least twice as fast" is a ratio of at most 1/2.
    `reason` says why a target is missed and what was tried. It is shown only then.
    """

    name: str
    unit: str
    ours: Spread
    limit: float
    reference: Spread | None = None
    kind: Literal["ratio", "difference", "absolute"] = "ratio"
    reason: str = (
        "No reason is known. Compare the spread of the rounds with that of an idle machine."
    )

    @property
    def value(self) -> float:
        """The value that must not exceed the limit."""
        if self.reference is None or self.kind == "absolute":
            return self.ours.median
        if self.kind == "difference":
            return self.ours.median - self.reference.median
        return self.ours.median / self.reference.median

    @property
    def met(self) -> bool:
        """Whether the target is met."""
        return self.value <= self.limit


@dataclass(frozen=True)
class Table:
    """Rows of text below a heading."""

    title: str
    heading: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Bars:
    """A chart: a bar for each label, as long as the median, with a line from low to high."""

    title: str
    unit: str
    bars: Sequence[tuple[str, Spread]]


@dataclass(frozen=True)
class Section:
    """The results of one benchmark; `text` says what was measured and how, on `date`."""

    title: str
    text: str
    targets: Sequence[Target] = ()
    tables: Sequence[Table] = ()
    charts: Sequence[Bars] = ()
    date: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%d}")


def in_turn(contenders: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Measure each contender once per round, and return the rounds' values by contender.

    Every second round goes backwards, so that no contender always follows the same one.
    """
    values: dict[str, list[T]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name in list(contenders)[:: -1 if number % 2 else 1]:
            progress(f"round {number + 1} of {rounds}: {name}")
            values[name].append(contenders[name]())
    return values


def timed(work: Callable[[], object]) -> float:
    """How long `work` takes, in seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def progress(text: str) -> None:
    """Print what is being done."""
    print(f"  {text}", file=sys.stderr, flush=True)


def number(value: float) -> str:
    """A figure to three significant digits."""
    if abs(value) >= 100:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:#.3g}"


def shown(spread: Spread) -> str:
    """A median with its lowest and highest round."""
    return f"{number(spread.median)} ({number(spread.low)} to {number(spread.high)})"
