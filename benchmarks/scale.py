"""Growth: more execution environments, more rows, larger days to archive."""

from __future__ import annotations

import itertools
import os
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import Any

from benchmarks.functions import ARCHIVE, SERVICE
from benchmarks.measure import (
    Bars,
    Section,
    Spread,
    Table,
    Target,
    in_turn,
    number,
    progress,
    shown,
)
from benchmarks.rig import Rig, list_positions, list_trades, post_trade, rig
from benchmarks.runtime import ExecutionEnvironment

_ENVIRONMENTS = (1, 2, 4, 8)
_REQUESTS = 100
# Up to this ratio, times count as equal: a small machine is noisy.
_FLAT = 1.3
_LIST_REQUESTS = 5
# Some pages of the server's own are always changing.
_READS = (
    ("POST /trade", "post"),
    ("GET /trades of a symbol", "symbol"),
    ("GET /trades", "all"),
    ("GET /trades of any filters", "list"),
    ("GET /positions", "positions"),
)
# No trade is void. So one half of the combinations matches nothing.
_FILTERS = {
    "symbol": ("AAPL",),
    "side": ("BUY", "SELL"),
    "status": ("SUCCESS", "VOID"),
    "from": ("2026-01-01T00:00:00Z",),
    "to": ("2026-02-28T00:00:00Z",),
}
LISTS = [
    dict(zip(chosen, values, strict=True))
    for number in range(len(_FILTERS) + 1)
    for chosen in itertools.combinations(_FILTERS, number)
    for values in itertools.product(*(_FILTERS[name] for name in chosen))
]
_ARCHIVE_DAYS = {10_000: "2026-02-01", 100_000: "2026-02-02", 1_000_000: "2026-02-03"}

_TEXT = """\
Each execution environment is one process. It gets a `POST /trade` as soon as it has answered the
last one. Environments, database and load share this machine's cores. So throughput stops growing
when the cores are busy, long before a dedicated database would be the limit. The CPU columns show
who uses them.

Rows are spread over a thousand symbols, and their positions over all slots. Pages have 50 trades.
"Any filters" is the slowest combination of filters, of which half match nothing. The sizes follow
each other minutes apart and do not alternate, so other work on the machine shows in the rows.

The archive's memory is the peak of its function for one day of that many trades. It uploads parts
of 8 MB while it reads, so its memory grows until one part is full, and no further.\
"""


def run(quick: bool) -> Section:
    """Measure growth."""
    with rig() as here:
        throughput = _throughput(here, 2 if quick else 5, 1.0 if quick else 4.0)
    sizes = [10**power for power in range(3, 6 if quick else 8)]
    with rig() as here:
        rows = [_with_rows(here, sizes, size) for size in sizes]
    with rig() as here:
        archived = {
            number: _archive(here, number, day)
            for number, day in list(_ARCHIVE_DAYS.items())[: 2 if quick else 3]
        }
    return _section(throughput, dict(zip(sizes, rows, strict=True)), archived)


class Rate:
    """Requests in a second, and the cores that the functions and the database used."""

    def __init__(self, requests: float, functions: float, database: float) -> None:
        self.requests = requests
        self.functions = functions
        self.database = database


def _throughput(here: Rig, rounds: int, seconds: float) -> dict[int, list[Rate]]:
    with ExitStack() as stack:
        environments = [
            stack.enter_context(here.function(SERVICE)) for _ in range(max(_ENVIRONMENTS))
        ]
        for environment in environments:
            _p50(environment, post_trade)
        found = in_turn(
            {
                f"{count} environments": lambda count=count: rate(  # type: ignore[misc]
                    here, environments[:count], seconds
                )
                for count in _ENVIRONMENTS
            },
            rounds,
        )
    return dict(zip(_ENVIRONMENTS, found.values(), strict=True))


def rate(
    here: Rig,
    environments: Sequence[ExecutionEnvironment],
    seconds: float,
    make: Callable[[], dict[str, Any]] = post_trade,
) -> Rate:
    """Let environments answer such requests for some seconds: by default, a trade of one symbol."""
    end = time.monotonic() + seconds
    answered = [0] * len(environments)

    def send(index: int) -> None:
        while time.monotonic() < end:
            environments[index].invoke(make())
            answered[index] += 1

    threads = [threading.Thread(target=send, args=[index]) for index in range(len(environments))]
    started = time.monotonic()
    functions = sum(environment.cpu_seconds() for environment in environments)
    database = _cpu_seconds(here.server.pid())
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - started
    functions = sum(environment.cpu_seconds() for environment in environments) - functions
    return Rate(
        requests=sum(answered) / took,
        functions=functions / took,
        database=(_cpu_seconds(here.server.pid()) - database) / took,
    )


def _cpu_seconds(pid: int | None) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _with_rows(here: Rig, sizes: Sequence[int], size: int) -> dict[str, Any]:
    """Fill the table to a size, and measure requests in milliseconds."""
    smaller = [other for other in sizes if other < size]
    here.fill((max(smaller) if smaller else 0) + 1, size, "2026-01-31")
    here.server.execute("ANALYZE TABLE trading.trades", timeout=600)
    here.settle()
    with here.function(SERVICE) as environment:
        _p50(environment, post_trade)
        found = in_turn(
            {
                "post": lambda: _p50(environment, post_trade),
                "symbol": lambda: _p50(environment, lambda: list_trades(symbol="AAPL")),
                "all": lambda: _p50(environment, list_trades),
                "list": lambda: _slowest_list(environment),
                "positions": lambda: _p50(environment, list_positions),
            },
            5,
        )
    return {name: Spread.of(rounds) for name, rounds in found.items()}


def _p50(environment: ExecutionEnvironment, event: Any, requests: int = _REQUESTS) -> float:
    answers = [environment.invoke(event()) for _ in range(requests)]
    wrong = [answer for answer in answers if answer.document["statusCode"] != HTTPStatus.OK]
    if wrong:
        raise AssertionError(f"{wrong[0].document} was answered")
    return statistics.median(answer.seconds for answer in answers) * 1000


def _slowest_list(environment: ExecutionEnvironment) -> float:
    """The slowest p50 of all combinations of filters, in milliseconds."""
    return max(
        _p50(environment, lambda query=query: list_trades(**query), _LIST_REQUESTS)
        for query in LISTS
    )


def _archive(here: Rig, trades: int, day: str) -> Spread:
    """The peak memory of archiving a day with that many trades, in MB."""
    here.fill(1, trades, day)
    found = []
    for _ in range(2):
        progress(f"archiving {trades:,} trades")
        with here.function(ARCHIVE) as environment:
            answer = environment.invoke({"date": day}).document
            if answer != {day: trades}:
                raise AssertionError(f"{answer} were archived")
            found.append(environment.peak_memory() / 1e6)
    return Spread.of(found)


def _section(
    throughput: dict[int, list[Rate]],
    rows: dict[int, dict[str, Any]],
    archived: dict[int, Spread],
) -> Section:
    rates = {n: Spread.of([rate.requests for rate in each]) for n, each in throughput.items()}
    return Section(
        title="Growth",
        text=_TEXT,
        targets=_targets(rows, archived),
        tables=_tables(throughput, rates, rows, archived),
        charts=_charts(rates, rows),
    )


def _targets(rows: dict[int, dict[str, Any]], archived: dict[int, Spread]) -> list[Target]:
    smallest, largest = min(rows), max(rows)
    many = max(archived)
    return [
        *(
            Target(
                f"{name}, p50, {largest:,} rows to {smallest:,}",
                "ms",
                rows[largest][key],
                _FLAT,
                rows[smallest][key],
            )
            for name, key in _READS
            if key != "list"
        ),
        *(
            Target(
                f"{name}, p50, {largest:,} rows",
                "ms",
                rows[largest][key],
                limit,
                kind="absolute",
            )
            for name, key, limit in (
                ("GET /trades of any filters", "list", 100),
                ("GET /positions", "positions", 20),
            )
        ),
        Target(
            f"memory of the archive, {many:,} trades",
            "MB",
            archived[many],
            128,
            kind="absolute",
        ),
    ]


def _tables(
    throughput: dict[int, list[Rate]],
    rates: dict[int, Spread],
    rows: dict[int, dict[str, Any]],
    archived: dict[int, Spread],
) -> list[Table]:
    return [
        Table(
            "Trades a second",
            ("environments", "trades a second", "cores used by them", "by the database"),
            [
                (
                    str(count),
                    shown(rates[count]),
                    number(Spread.of([rate.functions for rate in each]).median),
                    number(Spread.of([rate.database for rate in each]).median),
                )
                for count, each in throughput.items()
            ],
        ),
        Table(
            "Milliseconds per request, p50",
            ("rows", *(name for name, _ in _READS)),
            [
                (f"{size:,}", *(shown(found[key]) for _, key in _READS))
                for size, found in rows.items()
            ],
        ),
        Table(
            "MB of memory",
            ("trades of the day", "archive"),
            [(f"{trades:,}", shown(memory)) for trades, memory in archived.items()],
        ),
    ]


def _charts(rates: dict[int, Spread], rows: dict[int, dict[str, Any]]) -> list[Bars]:
    return [
        Bars(
            "Throughput by execution environments",
            "trades a second",
            [(f"this service, {count}", rate) for count, rate in rates.items()],
        ),
        Bars(
            "POST /trade by rows in the table, p50",
            "milliseconds",
            [(f"this service, {size:,} rows", found["post"]) for size, found in rows.items()],
        ),
    ]
