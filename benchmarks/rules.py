"""What the database's triggers add to booking a trade: those of the rules, and of positions.

Requests alternate between two environments, one with the triggers and one without. So other work
on the machine disturbs both alike. `python -m benchmarks.rules` prints the cost of all triggers.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from benchmarks.functions import SERVICE
from benchmarks.measure import Section, Spread, Table, Target, in_turn, shown
from benchmarks.rig import Rig, post_trade, rig
from benchmarks.runtime import ExecutionEnvironment
from benchmarks.scale import rate
from local.triggers import without_triggers

_POSITIONS = ("%_position",)
_RULES = ("%_rules", "%_given_up")
_ALL = ("%",)
_WARM_UP = 300
_ENVIRONMENTS = 8

_TEXT = """\
Two servers take turns: one has all triggers, and the other none that hold the rules of the book, or
none that keep positions. All trades are of one symbol. A slot of a position is held until its trade
has committed.\
"""
_TRIGGERS = (
    "Done: one trigger for new trades holds all rules, where several took twice as long. About "
    "half of the rest keeps sessions from choosing the numbers of events. Tried and rejected: one "
    "condition instead of six, which saves 0.005 ms and has one message for all rules."
)
_SLOTS = (
    "A trade writes one more row, in its own transaction, so that a position is exact. Decision 11 "
    "has what was rejected."
)
_BUSY = (
    "The cores are busy with the environments, and lack what the triggers take. The table says how "
    "often a trade waited for another one's row. Tried and rejected: more slots, with which "
    "positions take longer to read."
)


def run(quick: bool) -> Section:
    """Measure what the rules and positions cost."""
    rounds, requests, seconds = (3, 200, 1.0) if quick else (9, 500, 6.0)
    with (
        _pair(_RULES) as rigs,
        rigs["with"].function(SERVICE) as one,
        rigs["without"].function(SERVICE) as two,
    ):
        rules = _spreads(rigs, times(one, two, rounds, requests))
    with _pair(_POSITIONS) as rigs, ExitStack() as stack:
        environments = {
            name: [stack.enter_context(each.function(SERVICE)) for _ in range(_ENVIRONMENTS)]
            for name, each in rigs.items()
        }
        one, two = (each[0] for each in environments.values())
        positions = _spreads(rigs, times(one, two, rounds, requests))
        for each in [*environments["with"], *environments["without"]]:
            each.invoke(post_trade())
        rates = in_turn(
            {
                name: lambda name=name: (
                    rate(  # type: ignore[misc]
                        rigs[name], environments[name], seconds
                    ).requests
                )
                for name in rigs
            },
            rounds,
        )
        waits = {name: _waits(each) for name, each in rigs.items()}
    booked = {name: Spread.of(found) for name, found in rates.items()}
    return _section(rules, positions, booked, waits)


def _section(
    rules: Mapping[str, Spread],
    positions: Mapping[str, Spread],
    booked: Mapping[str, Spread],
    waits: Mapping[str, int],
) -> Section:
    return Section(
        title="What rules and positions cost a trade",
        text=_TEXT,
        targets=[
            Target(
                "POST /trade with the rules",
                "ms",
                rules["with"],
                1.05,
                rules["without"],
                reason=_TRIGGERS,
            ),
            Target(
                "POST /trade with positions",
                "ms",
                positions["with"],
                1.1,
                positions["without"],
                reason=_SLOTS,
            ),
            Target(
                f"{_ENVIRONMENTS} environments, one symbol, without positions",
                "trades a second",
                booked["without"],
                1.1,
                booked["with"],
                reason=_BUSY,
            ),
        ],
        tables=[
            Table(
                "With and without positions",
                (
                    "",
                    "POST /trade, p50, ms",
                    f"trades a second of {_ENVIRONMENTS} environments",
                    "times that a trade waited for another one's row",
                ),
                [
                    (name, shown(positions[name]), shown(booked[name]), str(waits[name]))
                    for name in waits
                ],
            )
        ],
    )


@contextmanager
def _pair(without: Sequence[str]) -> Iterator[dict[str, Rig]]:
    """Two rigs: one with all triggers, the other without those whose names are LIKE these."""
    with ExitStack() as stack:
        rigs = {name: stack.enter_context(rig()) for name in ("with", "without")}
        owner = stack.enter_context(rigs["without"].connect())
        for named in without:
            stack.enter_context(without_triggers(owner, named))
        yield rigs


def _spreads(rigs: dict[str, Rig], found: tuple[list[float], list[float]]) -> dict[str, Spread]:
    return {name: Spread.of(each) for name, each in zip(rigs, found, strict=True)}


def _waits(here: Rig) -> int:
    return int(here.server.execute("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_waits'").split()[-1])


def main() -> None:
    """Print the median time of a `POST /trade` with the triggers and without, in milliseconds."""
    requests = 2_000
    with (
        _pair(_ALL) as rigs,
        rigs["with"].function(SERVICE) as one,
        rigs["without"].function(SERVICE) as two,
    ):
        ((with_rules,), (without,)) = times(one, two, 1, requests)
    print(
        f"POST /trade, p50 of {requests}: {with_rules:.3f} ms with the triggers, {without:.3f} ms "
        f"without: {with_rules / without - 1:+.1%}"
    )


def times(
    one: ExecutionEnvironment, two: ExecutionEnvironment, rounds: int, requests: int
) -> tuple[list[float], list[float]]:
    """The p50 of each round of requests to two environments in turn, in milliseconds."""
    for environment in (one, two) * _WARM_UP:
        environment.invoke(post_trade())
    both = (one, two)
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        seconds: tuple[list[float], list[float]] = ([], [])
        for number in range(requests):
            # The first of a pair takes 1 % longer: be first in turn.
            for each in (0, 1) if number % 2 else (1, 0):
                seconds[each].append(both[each].invoke(post_trade()).seconds)
        for values, times in zip(found, seconds, strict=True):
            values.append(statistics.median(times) * 1000)
    return found


if __name__ == "__main__":
    main()
