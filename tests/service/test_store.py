from __future__ import annotations

import dataclasses
import itertools
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pymysql.connections import Connection
from pymysql.cursors import Cursor, DictCursor
from pymysql.err import OperationalError

from tests.service.conftest import ADMIN, CALLER, rows
from tests.support.hostile import sample
from trading import fields
from trading.database import Database, Deadline, connect
from trading.models import (
    BUY,
    SELL,
    SUCCESS,
    VOID,
    Caller,
    Order,
    PagePosition,
    Position,
    Trade,
    Void,
)
from trading.models import TradeFilter as Filter
from trading.secret import CredentialStore
from trading.settings import Address
from trading.store import Statement, TradeStore, page_statement, positions_statement

NOON = datetime(2026, 1, 31, 12, 0, 0, 123456)
ALL = Filter()
BY_BOB = Void(NOON, Caller("AIDABOB", None, "bob", "AKIABOB", "request"), "wrong price")


# A trade of one unit.
BOOK = (
    "INSERT INTO trades (trade_id, created_at, status, symbol, side, quantity, caller, principal) "
    "VALUES ('TRADE-{}', NOW(6), 'SUCCESS', 'AAPL', 'BUY', 1, '', '')"
)
# Into how many parts connections divide a position.
SLOTS = 8


def trade(number: int, *, at: datetime = NOON, caller: Caller = CALLER, **order: object) -> Trade:
    merged = dataclasses.replace(Order("AAPL", 100), **order)  # type: ignore[arg-type]
    return Trade(f"TRADE-{number:026X}", at, merged, caller)


def store_of(address: Address) -> TradeStore:
    """A store of the schema's owner, who may book trades of any time."""
    database = Database(address, CredentialStore(lambda _version: ADMIN))
    return TradeStore(database, database, Deadline.after(20))


def ids(trades: list[Trade]) -> list[int]:
    return [int(trade.trade_id.removeprefix("TRADE-"), 16) for trade in trades]


def test_a_trade_comes_back_as_it_was_kept(schema: Connection[Cursor], address: Address) -> None:
    store = store_of(address)
    for kept in (
        trade(1),
        trade(2, side=SELL, price=Decimal("189.25"), client_order_id="key"),
        trade(3, quantity=1_000_000_000, price=Decimal("999999999999.999999")),
        trade(4, caller=Caller("anonymous", None, "anonymous")),
        trade(5, caller=dataclasses.replace(CALLER, access_key="ASIA", request_id="request")),
        trade(6, symbol="SPXW  260116C00150000", client_order_id="k" * 128),
    ):
        store.add(kept)
        assert store.find(kept.trade_id, consistent=True) == kept
    assert store.find("TRADE-0", consistent=True) is None


def test_prices_are_exact_in_the_database(schema: Connection[Cursor], address: Address) -> None:
    store_of(address).add(trade(1, price=Decimal("0.1")))
    assert rows(schema, "SELECT price * 3 = 0.3, price FROM trades") == [(1, Decimal("0.100000"))]


def test_the_newest_trades_come_first_and_those_of_one_moment_by_id(
    schema: Connection[Cursor], address: Address
) -> None:
    store = store_of(address)
    for number, seconds in ((1, 5), (2, 0), (3, 0), (4, 9)):
        store.add(trade(number, at=NOON + timedelta(seconds=seconds)))
    assert ids(store.page(ALL, after=None, limit=10, consistent=True)) == [4, 1, 3, 2]


def test_pages_follow_each_other_without_gap_or_overlap(
    schema: Connection[Cursor], address: Address
) -> None:
    store = store_of(address)
    for number in range(7):
        store.add(trade(number, at=NOON + timedelta(seconds=number // 3)))
    seen: list[Trade] = []
    place = None
    while found := store.page(ALL, after=place, limit=2, consistent=True):
        seen += found
        place = PagePosition(found[-1].created_at, found[-1].trade_id)
        # What is booked meanwhile is newer, and does not move the pages.
        store.add(trade(100 + len(seen), at=NOON + timedelta(hours=1)))
    assert ids(seen) == [6, 5, 4, 3, 2, 1, 0]


def test_filters_select_and_combine(schema: Connection[Cursor], address: Address) -> None:
    store = store_of(address)
    store.add(trade(1))
    store.add(trade(2, side=SELL))
    store.add(trade(3, symbol="MSFT", at=NOON + timedelta(seconds=1)))
    store.void(trade(3).trade_id, BY_BOB, within=None)

    def found(wanted: Filter) -> list[int]:
        return ids(store.page(wanted, after=None, limit=10, consistent=True))

    assert found(Filter(symbol="AAPL")) == [2, 1]
    assert found(Filter(side=SELL)) == [2]
    assert found(Filter(status=VOID)) == [3]
    assert found(Filter(status=SUCCESS, side=BUY)) == [1]
    assert found(Filter(since=NOON, before=NOON + timedelta(seconds=1))) == [2, 1]
    assert found(Filter(since=NOON + timedelta(microseconds=1))) == [3]
    assert found(Filter(symbol="x' OR '1'='1")) == []


# A value for each filter of the list: one that is added is tried without being named here.
GIVEN = {
    name: field.parse(sample(field))
    for name, field in zip(vars(Filter()), fields.FILTERS.values(), strict=True)
}
GIVEN["since"], GIVEN["before"] = NOON - timedelta(days=1), NOON + timedelta(days=1)
# Values that no trade of the stocked book has.
RARE = {**GIVEN, "side": SELL, "status": VOID}
STOCK = 300
PAGE = 5
# Each of four parts of an index gives a page. Its rows are put in order and looked up.
MOST_READ = 4 * PAGE * 4 + PAGE * 2


LISTS = [
    {name: values[name] for name in chosen}
    for number in range(len(GIVEN) + 1)
    for chosen in itertools.combinations(GIVEN, number)
    for values in ((GIVEN, RARE) if {"side", "status"} & {*chosen} else (GIVEN,))
]


def test_every_list_and_position_reads_few_rows_of_indexes_alone(
    stocked: Connection[Cursor],
) -> None:
    for wanted, after in itertools.product(LISTS, (None, PagePosition(NOON, "TRADE-0"))):
        statement = page_statement(Filter(**wanted), after, PAGE)
        found = [step for step in explained(stocked, statement) if step["table"] == "trades"]
        searches = [step for step in found if step["key"] != "PRIMARY"]
        assert searches, wanted
        assert all("Using index" in step["Extra"] for step in searches), wanted
        assert not any("filesort" in step["Extra"] for step in searches), wanted
        assert rows_read(stocked, statement) <= MOST_READ < STOCK, wanted
    for symbol, after in itertools.product((None, "AAPL"), (None, "AAA")):
        assert rows_read(stocked, positions_statement(symbol, after, PAGE)) <= 4 * SLOTS


def test_a_page_of_positions_reads_no_others(schema: Connection[Cursor]) -> None:
    with schema.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO positions (symbol, slot, quantity) VALUES (%s, 1, 1)",
            [(f"S{number:05}",) for number in range(STOCK)],
        )
    rows(schema, "ANALYZE TABLE positions")
    for after in (None, f"S{STOCK // 2:05}"):
        assert rows_read(schema, positions_statement(None, after, PAGE)) <= 2 * PAGE


@pytest.fixture
def stocked(schema: Connection[Cursor]) -> Connection[Cursor]:
    """A book of one symbol, with so many trades that a scan shows."""
    with schema.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO trades (trade_id, created_at, status, symbol, side, quantity, caller, "
            "principal) VALUES (%s, %s, 'SUCCESS', 'AAPL', 'BUY', 100, '', '')",
            [
                (f"TRADE-{number:026X}", NOON + timedelta(milliseconds=number))
                for number in range(STOCK)
            ],
        )
    rows(schema, "ANALYZE TABLE trades")
    return schema


def explained(connection: Connection[Cursor], statement: Statement) -> list[dict[str, Any]]:
    """The steps in which the server carries out a statement."""
    sql, values = statement
    with connection.cursor(DictCursor) as cursor:
        cursor.execute(f"EXPLAIN FORMAT=TRADITIONAL {sql}", values)
        return [{**step, "Extra": step["Extra"] or ""} for step in cursor.fetchall()]


def rows_read(connection: Connection[Cursor], statement: Statement) -> int:
    """How many rows and entries of indexes the server reads for a statement."""
    with connection.cursor() as cursor:
        cursor.execute("FLUSH STATUS")
        cursor.execute(*statement)
        cursor.execute("SHOW SESSION STATUS LIKE 'Handler_read%'")
        return sum(int(number) for _, number in cursor.fetchall())


def test_a_void_trade_stays_void_with_its_first_time_and_person(
    schema: Connection[Cursor], address: Address
) -> None:
    store = store_of(address)
    store.add(trade(1))
    first = store.void(trade(1).trade_id, BY_BOB, within=None)
    later = Void(NOON + timedelta(days=1), CALLER)
    again = store.void(trade(1).trade_id, later, within=None)
    assert first == again == dataclasses.replace(trade(1), void=BY_BOB)
    assert store.void("TRADE-0", BY_BOB, within=None) is None


def test_the_void_of_a_scope_leaves_the_trades_of_others(
    schema: Connection[Cursor], address: Address
) -> None:
    store = store_of(address)
    store.add(trade(1))
    assert store.void(trade(1).trade_id, BY_BOB, within="AIDABOB") == trade(1)
    mine = store.void(trade(1).trade_id, BY_BOB, within=CALLER.scope)
    assert mine == dataclasses.replace(trade(1), void=BY_BOB)


def test_a_void_by_a_release_that_recorded_less_is_read(
    schema: Connection[Cursor], address: Address
) -> None:
    store = store_of(address)
    store.add(trade(1))
    with schema.cursor() as cursor:
        cursor.execute("UPDATE trades SET status = 'VOID', voided_at = %s, voided_by = 'bob'", NOON)
    found = store.find(trade(1).trade_id, consistent=True)
    assert found == dataclasses.replace(trade(1), void=Void(NOON, Caller("", None, "bob")))


def positions(store: TradeStore, symbol: str | None = None) -> list[Position]:
    """The positions of a small book."""
    return store.positions(symbol, after=None, limit=PAGE, consistent=True)


def test_positions_are_bought_less_sold_without_void_trades(
    schema: Connection[Cursor], address: Address
) -> None:
    store = store_of(address)
    store.add(trade(1, quantity=100))
    store.add(trade(2, quantity=30, side=SELL))
    store.add(trade(3, quantity=1000))
    store.add(trade(4, symbol="MSFT", quantity=7, side=SELL))
    store.add(trade(5, symbol="IBM"))
    for number in (3, 5):
        store.void(trade(number).trade_id, BY_BOB, within=None)
    assert positions(store) == [
        Position("AAPL", Decimal(70)),
        Position("MSFT", Decimal(-7)),
    ]
    assert positions(store, "MSFT") == [Position("MSFT", Decimal(-7))]
    assert positions(store, "NONE") == []


def test_positions_of_any_size_are_exact(schema: Connection[Cursor], address: Address) -> None:
    with schema.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO trades (trade_id, created_at, status, symbol, side, quantity, caller, "
            "principal) VALUES (%s, NOW(6), 'SUCCESS', 'AAPL', 'BUY', 9223372036854775807, '', '')",
            [(number,) for number in range(3)],
        )
    (position,) = positions(store_of(address))
    assert position.quantity == 3 * 9223372036854775807


def test_fractions_are_exact_in_trades_and_positions(
    schema: Connection[Cursor], address: Address
) -> None:
    store = store_of(address)
    for number, quantity in enumerate(("0.1", "0.2", "1000000000", "999999999.999999999")):
        kept = trade(number, quantity=Decimal(quantity))
        store.add(kept)
        assert store.find(kept.trade_id, consistent=True) == kept
    store.add(trade(9, quantity=Decimal("0.3"), side=SELL))
    (position,) = positions(store)
    assert position.quantity == Decimal("1999999999.999999999")


def test_connections_share_no_slot_that_they_would_wait_for(
    schema: Connection[Cursor], address: Address
) -> None:
    with connect(address, ADMIN) as one, connect(address, ADMIN) as two:
        for connection, number in ((one, 1), (two, 2)):
            connection.begin()
            rows(connection, "SET innodb_lock_wait_timeout = 1")
            rows(connection, BOOK.format(number))
        one.commit()
        two.commit()
    assert rows(schema, "SELECT COUNT(*), SUM(quantity) FROM positions") == [(2, Decimal(2))]


def test_a_repair_by_the_owner_moves_positions_along(
    schema: Connection[Cursor], address: Address
) -> None:
    store = store_of(address)
    for number in range(3):
        store.add(trade(number, quantity=10))
    with schema.cursor() as cursor:
        cursor.execute("UPDATE trades SET symbol = 'MSFT', side = 'SELL' WHERE trade_id LIKE '%1'")
        cursor.execute("DELETE FROM trades WHERE trade_id LIKE '%2'")
    assert positions(store) == [
        Position("AAPL", Decimal(10)),
        Position("MSFT", Decimal(-10)),
    ]


@pytest.mark.parametrize(("units", "fraction"), [(0, 0), (-1, "0.5"), (1, "-0.5")])
def test_a_trade_of_nothing_or_less_is_refused(
    schema: Connection[Cursor], units: int, fraction: object
) -> None:
    rows(schema, BOOK.format(1))
    for statement in (
        "INSERT INTO trades (trade_id, created_at, status, symbol, side, caller, principal, "
        "quantity, fraction) VALUES ('TRADE-2', NOW(6), 'SUCCESS', 'AAPL', 'BUY', '', '', %s, %s)",
        "UPDATE trades SET quantity = %s, fraction = %s",
    ):
        with schema.cursor() as cursor, pytest.raises(OperationalError, match="quantity above 0"):
            cursor.execute(statement, (units, fraction))
    assert rows(schema, "SELECT quantity, fraction FROM trades") == [(1, Decimal(0))]


def test_reads_go_to_the_reader_and_a_trade_that_it_lacks_to_the_writer(
    schema: Connection[Cursor], address: Address
) -> None:
    # A second database in the reader's place, which is as far behind as a reader can be.
    with connect(address, ADMIN) as admin, admin.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS behind")
        cursor.execute("CREATE DATABASE behind")
        cursor.execute("CREATE TABLE behind.trades LIKE trading.trades")
        cursor.execute("CREATE TABLE behind.positions LIKE trading.positions")
        behind = dataclasses.replace(address, database="behind")
        credentials = CredentialStore(lambda _version: ADMIN)
        store = TradeStore(
            Database(address, credentials), Database(behind, credentials), Deadline.after(10)
        )
        mine = trade(1, client_order_id="key")
        store.add(mine)
        assert store.page(ALL, after=None, limit=5, consistent=False) == []
        assert store.positions(None, after=None, limit=PAGE, consistent=False) == []
        assert store.page(ALL, after=None, limit=5, consistent=True) == [mine]
        assert positions(store) == [Position("AAPL", Decimal(100))]
        assert store.find(mine.trade_id, consistent=False) == mine
        assert store.find_by_client_order_id(CALLER, "key", consistent=False) == mine
        cursor.execute("DROP DATABASE behind")
