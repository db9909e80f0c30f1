"""The feed: what it costs a trade, and a page of it with few events and with many."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from benchmarks.functions import SERVICE
from benchmarks.measure import Section, Spread, Table, Target, in_turn, shown
from benchmarks.rig import Rig, list_events, post_trades, rig
from benchmarks.rules import times
from benchmarks.runtime import ExecutionEnvironment
from local.triggers import without_triggers

_EVENTS = "%_event"
_PAGE = 100

_TEXT = f"""\
Two servers take turns for `POST /trade`: one has the triggers that record events, and the other has
not. A page has {_PAGE} events, the last of the feed, as a follower reads them when it is behind.\
"""


def run(quick: bool) -> Section:
    """Measure what the feed costs, and how long a page takes."""
    rounds, requests, sizes = (3, 200, (1_000, 5_000)) if quick else (9, 500, (1_000, 100_000))
    with ExitStack() as stack:
        here, without = (stack.enter_context(rig()) for _ in range(2))
        stack.enter_context(without_triggers(stack.enter_context(without.connect()), _EVENTS))
        one, two = (stack.enter_context(each.function(SERVICE)) for each in (here, without))
        found = times(one, two, rounds, requests)
    pages = _pages(sizes, rounds)
    posts = [Spread.of(each) for each in found]
    few, many = sizes
    return Section(
        title="The feed",
        text=_TEXT,
        targets=[
            Target("POST /trade with the feed", "ms", posts[0], 1.1, posts[1]),
            Target(
                f"GET /events of {many:,} events, to {few:,}", "ms", pages[many], 1.3, pages[few]
            ),
        ],
        tables=[
            Table(
                "Milliseconds",
                ("", "p50"),
                [
                    ("POST /trade with the feed", shown(posts[0])),
                    ("POST /trade without", shown(posts[1])),
                    *((f"page of {size:,} events", shown(pages[size])) for size in sizes),
                ],
            )
        ],
    )


def _pages(sizes: Sequence[int], rounds: int) -> dict[int, Spread]:
    """The milliseconds of a page at the end of a feed of at least so many events, by that number.

    Feeds of different length take turns.
    """
    with ExitStack() as stack:
        rigs = {size: stack.enter_context(rig()) for size in sizes}
        environments = {size: stack.enter_context(rigs[size].function(SERVICE)) for size in sizes}
        events = {size: _last_page(rigs[size], environments[size], size) for size in sizes}
        for each in rigs.values():
            each.settle()
        found = in_turn(
            {f"{size:,} events": partial(_p50, environments[size], events[size]) for size in sizes},
            rounds,
        )
    return {size: Spread.of(each) for size, each in zip(sizes, found.values(), strict=True)}


def _last_page(here: Rig, environment: ExecutionEnvironment, size: int) -> dict[str, Any]:
    """Fill a feed, and return the event that asks for its last page."""
    while (last := _last(here)) < size:
        environment.invoke(post_trades(min(500, size - last)))
    found = here.server.execute(
        "SELECT CONCAT(event_id, '-', SUBSTRING(trade_id, 7)) FROM trading.trade_events "  # noqa: S608
        f"WHERE event_id <= {last - _PAGE} AND trade_id IS NOT NULL ORDER BY event_id DESC LIMIT 1"
    )
    return list_events(cursor=found.strip(), limit=str(_PAGE))


def _p50(environment: ExecutionEnvironment, event: dict[str, Any]) -> float:
    answers = [environment.invoke(event) for _ in range(50)]
    assert len(json.loads(answers[0].document["body"])["events"]) == _PAGE  # noqa: S101
    return sorted(answer.seconds for answer in answers)[25] * 1000


def _last(here: Rig) -> int:
    shown = here.server.execute("SELECT COALESCE(MAX(event_id), 0) FROM trading.trade_events")
    return int(shown)
