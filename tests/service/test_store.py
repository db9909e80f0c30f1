from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta
from decimal import Decimal

from pymysql.connections import Connection
from pymysql.cursors import Cursor

from tests.service.conftest import ADMIN, CALLER, Secrets, rows, store_at
from trading.database import Database, Deadline, connect
from trading.models import BUY, SELL, SUCCESS, VOID, Caller, Order, PagePosition, Position, Trade
from trading.models import TradeFilter as Filter
from trading.secret import CredentialStore
from trading.settings import Address
from trading.store import TradeStore

NOON = datetime(2026, 1, 31, 12, 0, 0, 123456)
ALL = Filter()


def trade(number: int, *, at: datetime = NOON, caller: Caller = CALLER, **order: object) -> Trade:
    merged = dataclasses.replace(Order("AAPL", 100), **order)  # type: ignore[arg-type]
    return Trade(f"TRADE-{number:026X}", at, merged, caller)


def ids(trades: list[Trade]) -> list[int]:
    return [int(trade.trade_id.removeprefix("TRADE-"), 16) for trade in trades]


def test_a_trade_comes_back_as_it_was_kept(
    schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    store = store_at(address, secrets)
    for kept in (
        trade(1),
        trade(2, side=SELL, price=Decimal("189.25"), client_order_id="key"),
        trade(3, quantity=1_000_000_000, price=Decimal("999999999999.999999")),
        trade(4, caller=Caller("anonymous", None, "anonymous")),
    ):
        store.add(kept)
        assert store.find(kept.trade_id, consistent=True) == kept
    assert store.find("TRADE-0", consistent=True) is None


def test_prices_are_exact_in_the_database(
    schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    store_at(address, secrets).add(trade(1, price=Decimal("0.1")))
    assert rows(schema, "SELECT price * 3 = 0.3, price FROM trades") == [(1, Decimal("0.100000"))]


def test_the_newest_trades_come_first_and_those_of_one_moment_by_id(
    schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    store = store_at(address, secrets)
    for number, seconds in ((1, 5), (2, 0), (3, 0), (4, 9)):
        store.add(trade(number, at=NOON + timedelta(seconds=seconds)))
    assert ids(store.page(ALL, after=None, limit=10, consistent=True)) == [4, 1, 3, 2]


def test_pages_follow_each_other_without_gap_or_overlap(
    schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    store = store_at(address, secrets)
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


def test_filters_select_and_combine(
    schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    store = store_at(address, secrets)
    store.add(trade(1))
    store.add(trade(2, side=SELL))
    store.add(trade(3, symbol="MSFT", at=NOON + timedelta(seconds=1)))
    store.void(trade(3).trade_id, at=NOON, by="bob")

    def found(wanted: Filter) -> list[int]:
        return ids(store.page(wanted, after=None, limit=10, consistent=True))

    assert found(Filter(symbol="AAPL")) == [2, 1]
    assert found(Filter(side=SELL)) == [2]
    assert found(Filter(status=VOID)) == [3]
    assert found(Filter(status=SUCCESS, side=BUY)) == [1]
    assert found(Filter(since=NOON, before=NOON + timedelta(seconds=1))) == [2, 1]
    assert found(Filter(since=NOON + timedelta(microseconds=1))) == [3]
    assert found(Filter(symbol="x' OR '1'='1")) == []


def test_lists_and_positions_are_read_from_an_index_alone_and_not_sorted(
    schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    store = store_at(address, secrets)
    for number in range(50):
        store.add(trade(number, at=NOON + timedelta(seconds=number)))
    rows(schema, "ANALYZE TABLE trades")
    order = "ORDER BY created_at DESC, trade_id DESC LIMIT 5"
    place = "(created_at, trade_id) < ('2026-01-31 12:00:20', 'T') AND created_at <= '2026-01-31'"
    for select in (
        f"trade_id FROM trades {order}",
        f"trade_id FROM trades WHERE {place} {order}",
        f"trade_id FROM trades WHERE status = 'VOID' AND side = 'BUY' AND {place} {order}",
        f"trade_id FROM trades WHERE symbol = 'AAPL' AND status = 'VOID' AND {place} {order}",
        "symbol, SUM(IF(side = 'SELL', -quantity, quantity)) FROM trades "
        "WHERE status = 'SUCCESS' GROUP BY symbol ORDER BY symbol",
    ):
        (plan,) = rows(schema, f"EXPLAIN SELECT {select}")
        assert "Using index" in plan[-1], select
        assert "filesort" not in plan[-1], select


def test_a_void_trade_stays_void_with_its_first_time_and_person(
    schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    store = store_at(address, secrets)
    store.add(trade(1))
    first = store.void(trade(1).trade_id, at=NOON, by="bob")
    again = store.void(trade(1).trade_id, at=NOON + timedelta(days=1), by="eve")
    assert (
        first
        == again
        == dataclasses.replace(trade(1), status=VOID, voided_at=NOON, voided_by="bob")
    )
    assert store.void("TRADE-0", at=NOON, by="bob") is None


def test_positions_are_bought_less_sold_without_void_trades(
    schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    store = store_at(address, secrets)
    store.add(trade(1, quantity=100))
    store.add(trade(2, quantity=30, side=SELL))
    store.add(trade(3, quantity=1000))
    store.add(trade(4, symbol="MSFT", quantity=7, side=SELL))
    store.add(trade(5, symbol="IBM"))
    for number in (3, 5):
        store.void(trade(number).trade_id, at=NOON, by="bob")
    assert store.positions(None, consistent=True) == [Position("AAPL", 70), Position("MSFT", -7)]
    assert store.positions("MSFT", consistent=True) == [Position("MSFT", -7)]
    assert store.positions("NONE", consistent=True) == []


def test_positions_of_any_size_are_exact(
    schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    with schema.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO trades (trade_id, created_at, status, symbol, side, quantity, caller, "
            "principal) VALUES (%s, NOW(6), 'SUCCESS', 'AAPL', 'BUY', 9223372036854775807, '', '')",
            [(number,) for number in range(3)],
        )
    (position,) = store_at(address, secrets).positions(None, consistent=True)
    assert position.quantity == 3 * 9223372036854775807


def test_reads_go_to_the_reader_and_a_trade_that_it_lacks_to_the_writer(
    schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    # A second database in the reader's place, which is as far behind as a reader can be.
    with connect(address, ADMIN) as admin, admin.cursor() as cursor:
        cursor.execute("DROP DATABASE IF EXISTS behind")
        cursor.execute("CREATE DATABASE behind")
        cursor.execute("CREATE TABLE behind.trades LIKE trading.trades")
        cursor.execute("GRANT SELECT ON behind.trades TO trade_app@'%'")
        behind = dataclasses.replace(address, database="behind")
        credentials = CredentialStore(secrets.fetch)
        store = TradeStore(
            Database(address, credentials), Database(behind, credentials), Deadline.after(10)
        )
        mine = trade(1, client_order_id="key")
        store.add(mine)
        assert store.page(ALL, after=None, limit=5, consistent=False) == []
        assert store.positions(None, consistent=False) == []
        assert store.page(ALL, after=None, limit=5, consistent=True) == [mine]
        assert store.positions(None, consistent=True) == [Position("AAPL", 100)]
        assert store.find(mine.trade_id, consistent=False) == mine
        assert store.find_by_client_order_id(CALLER, "key", consistent=False) == mine
        cursor.execute("DROP DATABASE behind")
