"""A follower that polls the feed gets every event once, whatever commits when."""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any

import pytest
from pymysql.connections import Connection
from pymysql.cursors import Cursor
from pymysql.err import OperationalError

from tests.service.conftest import ADMIN, APP, CALLER, Call, Secrets, rows, store_at
from tests.service.test_batches import batch, body, order
from trading import trades
from trading.batches import book_batch
from trading.database import connect
from trading.feed import Event, cursor_of, parse_start, read_feed
from trading.models import Order, Place
from trading.settings import Address
from trading.store import TradeStore, entries_statement
from trading.trades import book_trade, void_own_trade

INSERT = (
    "INSERT INTO trades (trade_id, created_at, status, symbol, side, quantity, caller, principal) "
    "VALUES (%s, UTC_TIMESTAMP(6), 'SUCCESS', 'AAPL', 'BUY', 1, '', '')"
)


@pytest.fixture(autouse=True)
def no_events(schema: Connection[Cursor]) -> None:
    """The feed begins with number 1."""
    schema.query("TRUNCATE TABLE trade_events")


class Follower:
    """Polls the feed as docs/reference/api.md says, and keeps what it got."""

    def __init__(self, store: TradeStore) -> None:
        self._store = store
        self.cursor = "0"
        self.events: list[Event] = []

    def poll(self, *, limit: int = 100, consistent: bool = False) -> list[Event]:
        start = parse_start(self.cursor, None, self._store)
        page = read_feed(start, limit, self._store, consistent=consistent)
        assert len(page.events) <= limit
        self.cursor = cursor_of(page.end)
        self.events += page.events
        return list(page.events)

    @property
    def seen(self) -> list[tuple[str, str]]:
        return [(event.kind, event.trade.trade_id) for event in self.events]


@pytest.fixture
def store(schema: Connection[Cursor], address: Address, secrets: Secrets) -> TradeStore:
    return store_at(address, secrets, seconds=60)


@pytest.fixture
def follower(store: TradeStore) -> Follower:
    return Follower(store)


@pytest.fixture
def slow(address: Address) -> Iterator[Cursor]:
    """A transaction that takes its time."""
    with connect(address, ADMIN) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        yield cursor


def book(store: TradeStore, number: int = 1) -> str:
    return book_trade(Order("AAPL", number), CALLER, store).trade.trade_id


def test_events_come_in_order_page_by_page_and_each_once(call: Call) -> None:
    _, batch_, _ = call(body(order(1), order(2), order(3)), path="/trades")
    ids = [trade["trade_id"] for trade in batch_["trades"]]
    _, voided, _ = call(method="DELETE", path=f"/trade/{ids[1]}")
    call(method="DELETE", path=f"/trade/{ids[1]}")  # again: nothing happens
    call(body(order(1)), path="/trades")  # a replay: nothing happens
    events: list[dict[str, Any]] = []
    query: dict[str, list[str]] = {"limit": ["2"]}
    while True:
        status, page, _ = call(method="GET", path="/events", query=query)
        assert status == 200
        assert len(page["events"]) <= 2
        if not page["events"]:
            break
        assert page["next_cursor"] == page["events"][-1]["cursor"]
        events += page["events"]
        query["cursor"] = [page["next_cursor"]]
    assert [(event["kind"], event["trade"]["trade_id"]) for event in events] == [
        *(("BOOKED", trade_id) for trade_id in ids),
        ("VOIDED", ids[1]),
    ]
    # Each shows the trade as it was then, and so never changes.
    assert events[3]["trade"] == voided
    before = {**voided, "status": "SUCCESS", "voided_at": None, "voided_by": None}
    assert events[1]["trade"] == before
    # Any event's cursor leads on from there, and the last page's stays good.
    _, rest, _ = call(method="GET", path="/events", query={"cursor": [events[1]["cursor"]]})
    assert rest["events"] == events[2:]
    call(body(order(4)), path="/trades")
    _, news, _ = call(method="GET", path="/events", query=query)
    assert [event["trade"]["client_order_id"] for event in news["events"]] == ["key-4"]


def test_an_event_that_still_may_come_is_waited_for(
    store: TradeStore, follower: Follower, slow: Cursor
) -> None:
    first = book(store)
    slow.execute(INSERT, ("TRADE-00000000000000000000000000",))
    later = [book(store) for _ in range(3)]
    started = time.monotonic()
    assert [event.trade.trade_id for event in follower.poll()] == [first]
    for _ in range(3):
        assert follower.poll() == []
    # It does not wait within the request, where it would hold up others.
    assert time.monotonic() - started < 3
    slow.execute("COMMIT")
    follower.poll()
    assert follower.seen == [
        ("BOOKED", trade_id) for trade_id in (first, "TRADE-00000000000000000000000000", *later)
    ]


def test_an_event_that_never_comes_is_not_waited_for(
    store: TradeStore, follower: Follower, slow: Cursor, schema: Connection[Cursor]
) -> None:
    slow.executemany(INSERT, [(f"TRADE-{number:026}",) for number in range(3)])
    later = book(store)
    assert follower.poll() == []
    slow.execute("ROLLBACK")
    assert follower.poll() != []
    assert follower.seen == [("BOOKED", later)]
    given_up = "SELECT event_id FROM trade_events WHERE trade_id IS NULL ORDER BY event_id"
    assert rows(schema, given_up) == [(1,), (2,), (3,)]
    # Another follower finds them given up.
    other = Follower(store)
    other.poll(limit=1)
    assert other.seen == follower.seen


def test_many_small_gaps_are_passed_at_once_and_one_by_one_near_the_end(
    store: TradeStore, follower: Follower, slow: Cursor, schema: Connection[Cursor]
) -> None:
    ids = []
    for number in range(1, 40):
        # Every second number is missing.
        schema.query(f"ALTER TABLE trade_events AUTO_INCREMENT = {2 * number}")
        ids.append(book(store))
    other = Follower(store)
    assert [event.trade.trade_id for event in other.poll(limit=50)] == ids
    for number in (41, 42):
        schema.query(f"ALTER TABLE trade_events AUTO_INCREMENT = {2 * number}")
        ids.append(book(store))
    slow.execute(INSERT, ("TRADE-00000000000000000000000000",))
    ids.append(book(store))
    while follower.poll(limit=50):
        pass
    assert [event.trade.trade_id for event in follower.events] == ids[:-1]
    slow.execute("ROLLBACK")
    follower.poll(limit=50)
    assert [event.trade.trade_id for event in follower.events] == ids


def test_many_numbers_that_never_come_are_given_up_in_steps(
    store: TradeStore, follower: Follower, schema: Connection[Cursor]
) -> None:
    schema.query("ALTER TABLE trade_events AUTO_INCREMENT = 2500")
    later = book(store)
    assert follower.poll(limit=1) == []
    assert follower.cursor == "2000"
    follower.poll(limit=1)
    assert follower.seen == [("BOOKED", later)]


@pytest.mark.parametrize(
    ("trigger", "change", "kind"),
    [
        ("trades_booked_event", INSERT, "BOOKED"),
        (
            "trades_voided_event",
            "UPDATE trades SET status = 'VOID', voided_at = UTC_TIMESTAMP(6), voided_by = '' "
            "WHERE trade_id = %s",
            "VOIDED",
        ),
    ],
)
def test_a_trigger_whose_number_is_taken_takes_the_next_one(
    schema: Connection[Cursor], trigger: str, change: str, kind: str
) -> None:
    trade_id = "TRADE-00000000000000000000000001"
    with schema.cursor() as cursor:
        if kind == "VOIDED":
            cursor.execute(INSERT, (trade_id,))
        cursor.execute("SELECT COALESCE(MAX(event_id), 0) FROM trade_events")
        ((last,),) = cursor.fetchall()
        cursor.execute(
            "INSERT INTO trade_events (event_id) VALUES (%s), (%s)", (last + 1, last + 2)
        )
        # The server gives this number to the next row that asks for one, as if a follower had been
        # faster by a moment.
        cursor.execute(f"SET @@SESSION.insert_id = {last + 1}")
        cursor.execute(change, (trade_id,))
    assert rows(schema, f"SELECT event_id FROM trade_events WHERE kind = '{kind}'") == [(last + 3,)]


def test_no_event_is_missed_while_environments_with_other_clocks_book_and_void(
    schema: Connection[Cursor],
    address: Address,
    secrets: Secrets,
    follower: Follower,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two clocks 3 s apart, batches, voids, roll-backs and slow commits, all at once."""
    clock = threading.local()
    real_now = trades.now
    monkeypatch.setattr(trades, "now", lambda: real_now() + timedelta(seconds=clock.off))
    ended = threading.Event()
    fast = Follower(store_at(address, secrets, seconds=60))

    def follow(one: Follower, consistent: bool) -> None:
        while not ended.is_set():
            one.poll(limit=50, consistent=consistent)

    def trade(number: int) -> None:
        chance = random.Random(number)
        clock.off = 3 if number % 2 else 0
        store = store_at(address, secrets, seconds=60)
        for round_ in range(12):
            trade_id = book(store)
            first = chance.randrange(60)
            book_batch(batch(*range(first, first + 10)), CALLER, store)
            if round_ % 3 == 0:
                void_own_trade(trade_id, CALLER, store)

    def dawdle(number: int) -> None:
        with connect(address, ADMIN) as connection, connection.cursor() as cursor:
            for round_ in range(12):
                cursor.execute("BEGIN")
                cursor.execute(INSERT, (f"TRADE-{number:013}{round_:013}",))
                time.sleep(0.05 * (number + 1))
                cursor.execute("ROLLBACK" if round_ % 3 == 0 else "COMMIT")

    with ThreadPoolExecutor(8) as pool:
        followers = [pool.submit(follow, follower, False), pool.submit(follow, fast, True)]
        work = [pool.submit(trade, n) for n in range(4)] + [pool.submit(dawdle, n) for n in (0, 1)]
        for each in work:
            each.result()
        ended.set()
        for each in followers:
            each.result()
    for one in (follower, fast):
        while one.poll(limit=500):
            pass
        booked = [trade_id for kind, trade_id in one.seen if kind == "BOOKED"]
        voided = [trade_id for kind, trade_id in one.seen if kind == "VOIDED"]
        assert sorted(booked) == [
            i for (i,) in rows(schema, "SELECT trade_id FROM trades ORDER BY 1")
        ]
        void = "SELECT trade_id FROM trades WHERE status = 'VOID' ORDER BY 1"
        assert sorted(voided) == [i for (i,) in rows(schema, void)]
        assert all(one.seen.index(("BOOKED", i)) < one.seen.index(("VOIDED", i)) for i in voided)
    assert follower.seen == fast.seen


def test_a_reader_that_lags_or_lacks_an_event_is_no_end(
    store: TradeStore, address: Address, secrets: Secrets
) -> None:
    """The reader is a server that stopped at an earlier moment."""
    ids = [book(store) for _ in range(4)]

    class Lagging:
        """A book whose reader has some of the entries alone."""

        def __init__(self, *numbers: int) -> None:
            self._numbers = numbers
            self.asked: list[bool] = []

        def entries(self, first: int, limit: int, *, consistent: bool) -> Any:
            self.asked.append(consistent)
            found = store.entries(first, limit, consistent=True)
            return [e for e in found if consistent or e.place.number in self._numbers]

        give_up = staticmethod(store.give_up)
        place_before = staticmethod(store.place_before)

    def read(book: Lagging, after: Place) -> list[str]:
        page = read_feed(after, 10, book, consistent=False)
        return [event.trade.trade_id for event in page.events]

    second = Place(2, ids[1])
    assert read(Lagging(1, 2), second) == []  # nothing new, as far as the reader knows
    assert read(Lagging(1, 2, 3), second) == ids[2:3]
    behind = Lagging(1)
    assert read(behind, second) == ids[2:]
    assert behind.asked == [False, True]
    assert read(Lagging(1, 2, 4), second) == ids[2:]
    assert read(Lagging(2), Place()) == ids
    assert read(Lagging(1, 3, 4), Place()) == ids[:1]


def test_a_reader_may_show_an_event_before_the_writer_does(
    store: TradeStore, follower: Follower, slow: Cursor
) -> None:
    book(store)
    slow.execute(INSERT, ("TRADE-" + "0" * 26,))
    # What the reader has shown is about to appear at the writer.
    follower.cursor = "2-" + "0" * 26
    committing = threading.Timer(0.1, slow.execute, ["COMMIT"])
    committing.start()
    assert follower.poll() == []
    committing.join()
    assert follower.cursor == "2-" + "0" * 26


def test_a_cursor_of_another_history_is_noticed(call: Call, store: TradeStore) -> None:
    book(store)
    book(store)
    _, page, _ = call(method="GET", path="/events")
    cursor = page["next_cursor"]
    other = cursor[:-1] + ("0" if cursor[-1] != "0" else "1")
    for gone in (other, "3", f"3-{'0' * 26}", "2", "999999999999999999"):
        status, problem, _ = call(method="GET", path="/events", query={"cursor": [gone]})
        assert (status, problem["code"]) == (410, "CURSOR_GONE"), gone
        assert "restored" in problem["detail"]
    assert call(method="GET", path="/events", query={"cursor": [cursor]})[0] == 200


@pytest.mark.parametrize(
    "query",
    [
        *({"cursor": [cursor]} for cursor in ("", "-1", "1-", "1-x", "01", "1" * 19, "1.5")),
        {"from": ["yesterday"]},
        {"cursor": ["0"], "from": ["2026-01-01T00:00:00Z"]},
        {"limit": ["501"]},
    ],
)
def test_wrong_parameters_are_refused(call: Call, query: dict[str, list[str]]) -> None:
    status, problem, _ = call(method="GET", path="/events", query=query)
    assert (status, problem["code"]) == (400, "INVALID_PARAMETER")


def test_a_follower_can_begin_with_a_time_that_is_long_enough_ago(
    call: Call, store: TradeStore, schema: Connection[Cursor]
) -> None:
    ids = [book(store) for _ in range(3)]
    for trade_id, hours in zip(ids, (4, 3, 2), strict=True):
        schema.query(
            f"UPDATE trades SET created_at = created_at - INTERVAL {hours} HOUR "
            f"WHERE trade_id = '{trade_id}'"
        )

    def since(time: datetime) -> list[str]:
        query = {"from": [time.isoformat(timespec="seconds") + "Z"]}
        status, page, _ = call(method="GET", path="/events", query=query)
        assert status == 200, page
        return [event["trade"]["trade_id"] for event in page["events"]]

    now = trades.now()
    assert since(now - timedelta(hours=5)) == ids
    assert since(now - timedelta(hours=3.5)) == ids[1:]
    assert since(now - timedelta(hours=1.1)) == []
    # A trade from before the feed has no event.
    schema.query(f"DELETE FROM trade_events WHERE trade_id = '{ids[0]}'")
    assert since(now - timedelta(hours=3.5)) == ids[1:]
    query = {"from": [(now - timedelta(minutes=59)).isoformat(timespec="seconds") + "Z"]}
    status, problem, _ = call(method="GET", path="/events", query=query)
    assert (status, problem["code"]) == (400, "INVALID_PARAMETER")
    assert "an hour ago" in problem["detail"]


def test_what_the_owner_has_deleted_is_left_out(
    store: TradeStore, follower: Follower, schema: Connection[Cursor]
) -> None:
    ids = [book(store) for _ in range(3)]
    schema.query(f"DELETE FROM trades WHERE trade_id = '{ids[1]}'")
    follower.poll()
    assert follower.seen == [("BOOKED", ids[0]), ("BOOKED", ids[2])]


def test_numbers_that_are_there_are_not_given_up(
    store: TradeStore, schema: Connection[Cursor]
) -> None:
    book(store)
    book(store)
    assert store.give_up(1, 2)
    assert rows(schema, "SELECT COUNT(*) FROM trade_events WHERE kind IS NULL") == [(0,)]


def test_numbers_that_are_taken_in_the_same_moment_are_not_given_up(
    store: TradeStore, schema: Connection[Cursor], monkeypatch: pytest.MonkeyPatch
) -> None:
    book(store)
    monkeypatch.setattr(store, "_fetch", lambda *_, **__: [])
    assert store.give_up(1, 2)
    assert rows(schema, "SELECT kind FROM trade_events") == [("BOOKED",)]


def test_another_error_is_not_mistaken_for_a_lock(
    store: TradeStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trading.store._LOCK_NUMBERS", "SELECT no_such_column, %s, %s FROM trades")
    with pytest.raises(OperationalError, match="no_such_column"):
        store.give_up(1, 2)


def test_a_page_is_read_from_its_place_on_and_no_further(
    schema: Connection[Cursor], store: TradeStore
) -> None:
    for _ in range(50):
        book(store)
    statement, values = entries_statement(20, 11)
    with schema.cursor() as cursor:
        cursor.execute("ANALYZE TABLE trade_events, trades")
        cursor.execute(f"EXPLAIN FORMAT=JSON {statement}", values)
        ((plan,),) = cursor.fetchall()
        assert "filesort" not in json.dumps(json.loads(plan)).replace('"using_filesort": false', "")
        cursor.execute("FLUSH STATUS")
        cursor.execute(statement, values)
        cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
        reads = sum(int(number) for _, number in cursor.fetchall())
    assert reads <= 3 * 11


def test_the_service_may_give_up_numbers_and_nothing_else(
    schema: Connection[Cursor], address: Address, store: TradeStore
) -> None:
    book(store)
    with connect(address, APP) as connection, connection.cursor() as cursor:
        for forbidden in (
            "INSERT INTO trade_events (trade_id, kind) VALUES ('TRADE-1', 'BOOKED')",
            "UPDATE trade_events SET kind = 'VOIDED'",
            "DELETE FROM trade_events",
            "TRUNCATE TABLE trade_events",
        ):
            with pytest.raises(OperationalError, match="denied"):
                cursor.execute(forbidden)
