"""The time that the database's rules add to booking a trade: `python -m benchmarks.rules`.

The rules are triggers. Requests alternate between two environments, one with the rules and one
without. So other work on the machine disturbs both alike.
"""

from __future__ import annotations

import statistics
import time

from benchmarks.functions import SERVICE
from benchmarks.rig import Rig, post_trade, rig
from benchmarks.runtime import ExecutionEnvironment

_REQUESTS = 2_000
_WARM_UP = 300


def main() -> None:
    """Print the median time of a `POST /trade` with the rules and without, in milliseconds."""
    with rig() as ruled, rig() as unruled:
        _drop_rules(unruled)
        with ruled.function(SERVICE) as one, unruled.function(SERVICE) as two:
            for environment in (one, two) * _WARM_UP:
                _milliseconds(environment)
            pairs = [(_milliseconds(one), _milliseconds(two)) for _ in range(_REQUESTS)]
    with_rules, without = (statistics.median(times) for times in zip(*pairs, strict=True))
    print(
        f"POST /trade, p50 of {_REQUESTS}: {with_rules:.3f} ms with the rules, {without:.3f} ms "
        f"without: {with_rules / without - 1:+.1%}"
    )


def _drop_rules(unruled: Rig) -> None:
    with unruled.connect() as owner, owner.cursor() as cursor:
        cursor.execute("SHOW TRIGGERS")
        for name, *_ in cursor.fetchall():
            cursor.execute(f"DROP TRIGGER {name}")


def _milliseconds(environment: ExecutionEnvironment) -> float:
    event = post_trade()
    started = time.perf_counter()
    environment.invoke(event)
    return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    main()
