"""What the database's triggers add to booking a trade: those of the rules, and of positions.

Requests alternate between two environments, one with the triggers and one without. So other work
on the machine disturbs both alike. `python -m benchmarks.rules` prints the cost of all triggers.
"""

from __future__ import annotations

import statistics
from contextlib import ExitStack

from benchmarks.functions import SERVICE
from benchmarks.measure import Section, Spread, Table, Target, in_turn, shown
from benchmarks.rig import Rig, post_trade, rig
from benchmarks.runtime import ExecutionEnvironment
from benchmarks.scale import rate
from local.triggers import without_triggers

_POSITIONS = "%_position"
_WARM_UP = 300
_ENVIRONMENTS = 8

_TEXT = """\
Two servers take turns: one has all triggers, and the other none that keep positions. All trades are
of one symbol. A slot of a position is held until its trade has committed.\
"""


def run(quick: bool) -> Section:
    """Measure what positions cost."""
    rounds, requests, seconds = (3, 200, 1.0) if quick else (9, 500, 6.0)
    with ExitStack() as stack:
        rigs = {name: stack.enter_context(rig()) for name in ("with", "without")}
        stack.enter_context(
            without_triggers(stack.enter_context(rigs["without"].connect()), _POSITIONS)
        )
        environments = {
            name: [stack.enter_context(each.function(SERVICE)) for _ in range(_ENVIRONMENTS)]
            for name, each in rigs.items()
        }
        found = times(environments["with"][0], environments["without"][0], rounds, requests)
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
    post = {name: Spread.of(found) for name, found in zip(rigs, found, strict=True)}
    booked = {name: Spread.of(found) for name, found in rates.items()}
    return Section(
        title="What positions cost a trade",
        text=_TEXT,
        targets=[
            Target("POST /trade with positions", "ms", post["with"], 1.1, post["without"]),
            Target(
                f"{_ENVIRONMENTS} environments, one symbol, without positions",
                "trades a second",
                booked["without"],
                1.1,
                booked["with"],
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
                [(name, shown(post[name]), shown(booked[name]), str(waits[name])) for name in rigs],
            )
        ],
    )


def _waits(here: Rig) -> int:
    return int(here.server.execute("SHOW GLOBAL STATUS LIKE 'Innodb_row_lock_waits'").split()[-1])


def main() -> None:
    """Print the median time of a `POST /trade` with the triggers and without, in milliseconds."""
    requests = 2_000
    with (
        rig() as ruled,
        rig() as unruled,
        unruled.connect() as owner,
        without_triggers(owner),
        ruled.function(SERVICE) as one,
        unruled.function(SERVICE) as two,
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
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        pairs = [
            (one.invoke(post_trade()).seconds, two.invoke(post_trade()).seconds)
            for _ in range(requests)
        ]
        for values, times in zip(found, zip(*pairs, strict=True), strict=True):
            values.append(statistics.median(times) * 1000)
    return found


if __name__ == "__main__":
    main()
