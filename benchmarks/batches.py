"""Batches: `POST /trades` compared with single requests, on one warm execution environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Any

from benchmarks.functions import SERVICE
from benchmarks.measure import Bars, Section, Spread, Table, Target, in_turn, shown
from benchmarks.rig import Rig, post_trade, post_trades, rig
from benchmarks.runtime import ExecutionEnvironment
from benchmarks.scale import Rate, rate

_SIZES = (10, 100, 500)
_LARGEST = f"batch of {_SIZES[-1]}"
_SINGLE = "single requests"
_ENVIRONMENTS = (1, 2, 4, 8)
# A batch must be this many times better than single requests.
_TIMES = 8

_TEXT = """\
`POST /trades` beside `POST /trade`, on one execution environment and one database with durable
commits. The trades are the same, each with a new key. It is measured at the runtime interface, as
the warm request is. One environment answers one request at a time, so a trade's time is the
inverse of its trades a second. Several environments share this machine with the database.\
"""


@dataclass(frozen=True)
class _Round:
    """Milliseconds per trade."""

    time: float
    cpu: float


def run(quick: bool) -> Section:
    """Measure batches of some sizes, and single requests."""
    rounds, trades = (3, 500) if quick else (9, 2000)
    with rig() as here, here.function(SERVICE) as environment:
        makers: dict[str, Callable[[], dict[str, Any]]] = {_SINGLE: post_trade}
        makers |= {f"batch of {size}": partial(post_trades, size) for size in _SIZES}
        sizes = dict(zip(makers, (1, *_SIZES), strict=True))
        work = {
            name: partial(_round, environment, make, sizes[name], trades)
            for name, make in makers.items()
        }
        for warm_up in work.values():
            warm_up()
        found = in_turn(work, rounds)
        return _section(found, _rates(here, quick))


def _rates(here: Rig, quick: bool) -> list[tuple[str, ...]]:
    """Trades a second of some environments: single ones, and those of the largest batches."""
    rounds, seconds = (1, 1.0) if quick else (5, 3.0)
    size = _SIZES[-1]
    rows: list[tuple[str, ...]] = []
    with ExitStack() as stack:
        environments = [stack.enter_context(here.function(SERVICE)) for _ in range(8)]
        for each in environments:
            each.invoke(post_trade())
        for count in _ENVIRONMENTS:
            some = environments[:count]
            work = {
                f"{count} environments, single": partial(rate, here, some, seconds),
                f"{count} environments, batches": partial(
                    rate, here, some, seconds, partial(post_trades, size)
                ),
            }
            single, batch = in_turn(work, rounds).values()
            rows.append((str(count), *_shown(single, 1), *_shown(batch, size)))
    return rows


def _shown(rates: Sequence[Rate], size: int) -> tuple[str, str]:
    """Trades a second, and the milliseconds of the database's CPU for each."""
    return (
        shown(Spread.of([each.requests * size for each in rates])),
        shown(Spread.of([each.database / each.requests / size * 1000 for each in rates])),
    )


def _round(
    environment: ExecutionEnvironment, make: Callable[[], dict[str, Any]], size: int, trades: int
) -> _Round:
    events = [make() for _ in range(trades // size)]
    cpu = environment.cpu_seconds()
    seconds = sum(environment.invoke(event).seconds for event in events)
    booked = len(events) * size
    return _Round(seconds / booked * 1000, (environment.cpu_seconds() - cpu) / booked * 1000)


def _section(found: Mapping[str, Sequence[_Round]], rates: Sequence[tuple[str, ...]]) -> Section:
    time = {name: Spread.of([each.time for each in rounds]) for name, rounds in found.items()}
    cpu = {name: Spread.of([each.cpu for each in rounds]) for name, rounds in found.items()}
    per_second = {
        name: Spread.of([1000 / each.time for each in rounds]) for name, rounds in found.items()
    }
    return Section(
        title="Batches",
        text=_TEXT,
        targets=[
            Target(
                f"trade in a {_LARGEST}, time, to a single one",
                "ms",
                time[_LARGEST],
                1 / _TIMES,
                time[_SINGLE],
            ),
            Target(
                f"trade in a {_LARGEST}, CPU, to a single one",
                "ms",
                cpu[_LARGEST],
                1 / _TIMES,
                cpu[_SINGLE],
            ),
        ],
        tables=[
            Table(
                "Per trade",
                ("", "trades a second", "ms", "ms of CPU"),
                [
                    (name, shown(per_second[name]), shown(time[name]), shown(cpu[name]))
                    for name in found
                ],
            ),
            Table(
                f"Several environments, with single requests and with batches of {_SIZES[-1]}",
                (
                    "Environments",
                    "single: trades a second",
                    "ms of the database's CPU",
                    "batches: trades a second",
                    "ms of the database's CPU",
                ),
                rates,
            ),
        ],
        charts=[
            Bars("One environment: trades booked", "trades a second", list(per_second.items()))
        ],
    )
