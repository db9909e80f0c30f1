from __future__ import annotations

import pytest
from pymysql.connections import Connection
from pymysql.cursors import Cursor
from pymysql.err import IntegrityError

from local.mariadb import MariaDBServer
from tests.service.conftest import ADMIN, rows
from tests.service.proxy import CuttingProxy
from trading.database import connect
from trading.errors import DatabaseUnavailable
from trading.models import Trade
from trading.store import TradeStore

TRADE = Trade("TRADE-1", "AAPL", 100, "SUCCESS")


def store_at(port: int) -> TradeStore:
    return TradeStore(
        lambda: connect(host="127.0.0.1", port=port, database="trading", credentials=ADMIN)
    )


def test_the_connection_is_opened_once_and_kept(
    server: MariaDBServer, schema: Connection[Cursor]
) -> None:
    store = store_at(server.port)
    before = rows(schema, "SHOW GLOBAL STATUS LIKE 'Connections'")[0][1]
    for number in range(3):
        store.add(Trade(f"TRADE-{number}", "AAPL", 1, "SUCCESS"))
    after = rows(schema, "SHOW GLOBAL STATUS LIKE 'Connections'")[0][1]
    assert int(after) - int(before) == 1


def test_a_connection_that_the_server_has_closed_is_replaced(
    server: MariaDBServer, schema: Connection[Cursor]
) -> None:
    store = store_at(server.port)
    store.add(Trade("TRADE-0", "AAPL", 1, "SUCCESS"))
    (mine,) = rows(
        schema,
        "SELECT id FROM information_schema.processlist WHERE command = 'Sleep' "
        "AND db = 'trading' AND id <> CONNECTION_ID()",
    )
    with schema.cursor() as cursor:
        cursor.execute("KILL %s", mine)
    store.add(TRADE)
    assert rows(schema, "SELECT COUNT(*) FROM trades") == [(2,)]


def test_a_lost_answer_to_a_committed_insert_books_the_trade_once(
    server: MariaDBServer, schema: Connection[Cursor]
) -> None:
    with CuttingProxy(server.port) as proxy:
        store = store_at(proxy.port)
        proxy.cut_answer_to(b"INSERT INTO trades")
        store.add(TRADE)
        assert proxy.cuts == 1
    assert rows(schema, "SELECT trade_id, quantity FROM trades") == [("TRADE-1", 100)]


def test_a_server_that_stays_away_is_reported_and_its_return_noticed(
    server: MariaDBServer, schema: Connection[Cursor]
) -> None:
    ports = [1]
    store = TradeStore(
        lambda: connect(host="127.0.0.1", port=ports[0], database="trading", credentials=ADMIN)
    )
    with pytest.raises(DatabaseUnavailable, match="may or may not"):
        store.add(TRADE)
    ports[0] = server.port
    store.add(TRADE)
    assert rows(schema, "SELECT COUNT(*) FROM trades") == [(1,)]


def test_a_broken_rule_of_the_schema_is_not_taken_for_a_repeat(
    server: MariaDBServer, schema: Connection[Cursor]
) -> None:
    without_symbol = Trade("TRADE-1", None, 100, "SUCCESS")  # type: ignore[arg-type]
    with pytest.raises(IntegrityError):
        store_at(server.port).add(without_symbol)
    assert rows(schema, "SELECT COUNT(*) FROM trades") == [(0,)]
