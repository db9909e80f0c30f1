"""Lambda's share of a CPU: what a request takes with the memory sizes that users choose from."""

from __future__ import annotations

import itertools
import math
import os
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.functions import SERVICE
from benchmarks.measure import Section, Spread, Table, in_turn, number, shown
from benchmarks.rig import Rig, post_trade, rig
from benchmarks.runtime import ExecutionEnvironment

# https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
_MEGABYTES_PER_CPU = 1769
_SIZES = (512, 1024, _MEGABYTES_PER_CPU)
# How long a group may use its quota for before it waits for the next one.
_PERIOD_MICROSECONDS = 20_000
_PAUSE_SECONDS = 0.05
# US dollars on arm64. https://aws.amazon.com/lambda/pricing/
_GIGABYTE_SECOND = 0.0000133334
_MILLION_REQUESTS = 0.20

_GROUPS = Path("/sys/fs/cgroup")

_TEXT = """\
Lambda gives a function one vCPU per 1,769 MB of memory. Here a control group gives the function's
process that share of one core: a quota in each 20 ms, after which it waits. *Alone* requests have a
pause of 50 ms between them, so that each finds the quota unused. *In a row*, each comes right after
the answer to the last one. A cold start is one until the first answer, the start of the interpreter
included. The price is that of a million warm requests in a row on arm64, each billed in whole
milliseconds. The database has cores of its own.\
"""

_NOT_MEASURED = """\
Not measured: the user may not create control groups on this machine. Run `make bench` as root.\
"""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class _Round:
    """Milliseconds per request, and US dollars per million of them."""

    alone: float
    in_a_row: float
    p99: float
    cold: float
    price: float


def run(quick: bool) -> Section:
    """Measure requests under the CPU shares of memory sizes."""
    if not os.access(control_groups(), os.W_OK):
        return Section("Memory size", _NOT_MEASURED)
    rounds, requests = (2, 40) if quick else (5, 400)
    with rig() as here, ExitStack() as stack:
        groups = {size: stack.enter_context(share(size / _MEGABYTES_PER_CPU)) for size in _SIZES}
        environments = {
            size: stack.enter_context(here.function(SERVICE, group))
            for size, group in groups.items()
        }
        found = in_turn(
            {
                f"{size} MB": partial(_round, here, group, environments[size], size, requests)
                for size, group in groups.items()
            },
            rounds,
        )
    return Section(
        title="Memory size",
        text=_TEXT,
        tables=[
            Table(
                "Milliseconds per `POST /trade`, and US dollars per million",
                ("", "vCPU", "alone, p50", "in a row, p50", "in a row, p99", "cold start", "price"),
                [
                    (
                        f"{size:,} MB",
                        number(size / _MEGABYTES_PER_CPU),
                        *(
                            shown(Spread.of([getattr(each, name) for each in each_round]))
                            for name in ("alone", "in_a_row", "p99", "cold", "price")
                        ),
                    )
                    for size, each_round in zip(_SIZES, found.values(), strict=True)
                ],
            )
        ],
    )


def _round(
    here: Rig, group: Path, environment: ExecutionEnvironment, megabytes: int, requests: int
) -> _Round:
    _times(environment, requests // 4)
    alone = _times(environment, requests // 4, _PAUSE_SECONDS)
    in_a_row = _times(environment, requests)
    # Wait until the group has its whole quota again.
    time.sleep(_PAUSE_SECONDS)
    with here.function(SERVICE, group) as cold:
        first = cold.init_seconds + cold.invoke(post_trade()).seconds
    return _Round(
        alone=statistics.median(alone),
        in_a_row=statistics.median(in_a_row),
        p99=sorted(in_a_row)[requests * 99 // 100],
        cold=first * 1000,
        price=price_of_a_million(in_a_row, megabytes),
    )


def price_of_a_million(milliseconds: Sequence[float], megabytes: int) -> float:
    """US dollars for a million requests that take as long as these."""
    billed = statistics.mean(math.ceil(each) for each in milliseconds) / 1000
    return _MILLION_REQUESTS + 1_000_000 * billed * megabytes / 1024 * _GIGABYTE_SECOND


def _times(
    environment: ExecutionEnvironment, requests: int, pause_seconds: float = 0
) -> list[float]:
    found = []
    for _ in range(requests):
        time.sleep(pause_seconds)
        found.append(environment.invoke(post_trade()).seconds * 1000)
    return found


def control_groups() -> Path:
    """Where control groups for CPUs are created: version 2 of them, or version 1."""
    return _GROUPS if (_GROUPS / "cgroup.controllers").exists() else _GROUPS / "cpu"


@contextmanager
def share(cpus: float) -> Iterator[Path]:
    """A control group whose processes get that share of a CPU.

    https://docs.kernel.org/admin-guide/cgroup-v2.html#cpu
    """
    group = control_groups() / f"benchmark-{os.getpid()}-{next(_numbers)}"
    group.mkdir()
    try:
        quota = int(cpus * _PERIOD_MICROSECONDS)
        if (group / "cpu.max").exists():
            (group / "cpu.max").write_text(f"{quota} {_PERIOD_MICROSECONDS}")
        else:
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD_MICROSECONDS))
            (group / "cpu.cfs_quota_us").write_text(str(quota))
        yield group
    finally:
        group.rmdir()
