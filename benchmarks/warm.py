"""The warm request: `POST /trade` on an execution environment that has answered before."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from benchmarks.functions import BARE, CONNECTING, FASTAPI, POWERTOOLS, SERVICE
from benchmarks.measure import Bars, Section, Spread, Table, Target, in_turn, shown
from benchmarks.rig import post_trade, rig
from benchmarks.runtime import ExecutionEnvironment

_CONTENDERS = {
    "bare INSERT": BARE,
    "this service": SERVICE,
    "FastAPI + Mangum + SQLAlchemy": FASTAPI,
    "Powertools idempotency": POWERTOOLS,
    "connecting at each request": CONNECTING,
}

_TEXT = """\
`POST /trade` with a new key each time: validated, idempotent, logged, with metrics. Each contender
is one process with Lambda's runtime client (`awslambdaric`). It is measured at the runtime
interface, from the moment it gets a request until it has answered, as Lambda bills it. All use one
database over verified TLS with durable commits. *Bare INSERT* runs the same statement on an open
connection and nothing else. Powertools' idempotency writes to a DynamoDB that answers immediately
and stores nothing. On AWS, its two calls per request add some milliseconds. The sources are in
`benchmarks/contenders/`.\
"""

_REASON = (
    "Done: one log line per request instead of two (0.12 ms less), that line without Powertools' "
    "metrics (0.08 ms less), no JMESPath for the correlation ID, one decoder for all bodies. Tried "
    "and rejected, for less than 0.02 ms each: freezing or disabling the garbage collector, no "
    "logger context, named tuples instead of data classes. Powertools' resolver takes 0.05 ms, and "
    "stays: see decision 13."
)


@dataclass(frozen=True)
class _Round:
    """Milliseconds per request."""

    p50: float
    p99: float
    cpu: float


def run(quick: bool) -> Section:
    """Measure warm requests."""
    rounds, requests = (3, 200) if quick else (9, 1000)
    with rig() as here, ExitStack() as stack:
        running = {
            name: stack.enter_context(here.function(code)) for name, code in _CONTENDERS.items()
        }
        for environment in running.values():
            _round(environment, 50)
        found = in_turn(
            {
                name: partial(
                    _round, environment, requests // 5 if name.startswith("conn") else requests
                )
                for name, environment in running.items()
            },
            rounds,
        )
    return _section(found)


def _round(environment: ExecutionEnvironment, requests: int) -> _Round:
    events = [post_trade() for _ in range(requests)]
    cpu = environment.cpu_seconds()
    times = sorted(environment.invoke(event).seconds for event in events)
    return _Round(
        p50=times[requests // 2] * 1000,
        p99=times[requests * 99 // 100] * 1000,
        cpu=(environment.cpu_seconds() - cpu) / requests * 1000,
    )


def _section(found: dict[str, list[_Round]]) -> Section:
    p50 = {name: Spread.of([each.p50 for each in rounds]) for name, rounds in found.items()}
    p99 = {name: Spread.of([each.p99 for each in rounds]) for name, rounds in found.items()}
    cpu = {name: Spread.of([each.cpu for each in rounds]) for name, rounds in found.items()}
    bare, ours, fastapi, powertools, _ = found
    return Section(
        title="Warm request",
        text=_TEXT,
        targets=[
            Target(
                "warm request, p50, to bare INSERT", "ms", p50[ours], 1.5, p50[bare], reason=_REASON
            ),
            Target("warm request, p99, to bare INSERT", "ms", p99[ours], 2, p99[bare]),
            Target(
                "warm request, CPU above bare INSERT",
                "ms",
                cpu[ours],
                0.25,
                cpu[bare],
                "difference",
                _REASON,
            ),
            Target("warm request, p50, to FastAPI", "ms", p50[ours], 1 / 2, p50[fastapi]),
            Target("warm request, p50, to Powertools", "ms", p50[ours], 1 / 2, p50[powertools]),
        ],
        tables=[
            Table(
                "Milliseconds per request",
                ("", "p50", "p99", "CPU"),
                [(name, shown(p50[name]), shown(p99[name]), shown(cpu[name])) for name in found],
            )
        ],
        charts=[Bars("Warm POST /trade, p50", "milliseconds", list(p50.items()))],
    )
