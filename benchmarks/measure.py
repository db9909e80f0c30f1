"""Measurements, the targets that they are held against, and how both are made.

A contender is measured once in each round, and rounds take turns in their order: what disturbs the
machine for a while disturbs all contenders alike.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Spread:
    """The median of all rounds, and the lowest and the highest of them."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of the rounds' values."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class Target:
    """A figure of ours that is held against a limit, by the medians of its rounds.

    What must not exceed the `limit` is `ours / reference` (a ratio), `ours - reference` (a
    difference) or `ours` alone (absolute). "At least twice as fast" is a ratio of at most 1/2.
    `reason` says why a target is missed, and what was tried; it is shown only then.
    """

    name: str
    unit: str
    ours: Spread
    limit: float
    reference: Spread | None = None
    kind: Literal["ratio", "difference", "absolute"] = "ratio"
    reason: str = "No reason is known: compare the spread of the rounds with an idle machine's."

    @property
    def value(self) -> float:
        """What must not exceed the limit."""
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
    """What one benchmark has found; `text` says what was measured and how."""

    title: str
    text: str
    targets: Sequence[Target] = ()
    tables: Sequence[Table] = ()
    charts: Sequence[Bars] = ()


def in_turn(contenders: Mapping[str, Callable[[], T]], rounds: int) -> dict[str, list[T]]:
    """Measure each contender once per round, and give the rounds' values by contender.

    Every second round goes backwards, so that none always runs right after the same other one.
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
    """Say what is being done."""
    print(f"  {text}", file=sys.stderr, flush=True)


def number(value: float) -> str:
    """A figure to three significant digits."""
    if abs(value) >= 100:  # noqa: PLR2004
        return f"{value:,.0f}"
    return f"{value:#.3g}"


def shown(spread: Spread) -> str:
    """A median with its lowest and highest round."""
    return f"{number(spread.median)} ({number(spread.low)} to {number(spread.high)})"
