"""The store's database fails in each way that Aurora knows; nothing is lost or booked twice."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pymysql
import pytest
from pymysql.connections import Connection
from pymysql.constants import CLIENT
from pymysql.cursors import Cursor
from pymysql.err import MySQLError, OperationalError

from local.database_server import MySQLServer, ensure_tls_files
from tests.service.conftest import ADMIN, APP, CALLER, Secrets, rows, store_at
from tests.service.states import (
    all_connections_taken,
    booked,
    connections_made,
    insert,
    kill_app_connections,
    later,
    lock_key,
    lock_waits,
    setting,
    small_table,
    stalled,
    trade,
    wait_until,
)
from tests.support.endpoint import Cut, Endpoint
from trading import database as database_module
from trading.database import Database, Deadline, connect
from trading.errors import DatabaseUnavailable, ReadTimedOut
from trading.models import Position, Void
from trading.secret import CURRENT, PENDING, Credentials, CredentialStore, SecretUnavailable
from trading.settings import Address
from trading.store import TradeStore

# A read that no server finishes within its limit; the values of the real one are sent along.
_MANY = ", ".join(f"information_schema.collations {alias}" for alias in "abcdef")
ENDLESS = (
    "SELECT /*+ MAX_EXECUTION_TIME(50) */ "
    f"COUNT(*) FROM {_MANY} WHERE CONCAT_WS(',', a.id, b.id, c.id, d.id, e.id, f.id, {{}}) <> ''"
)


def test_the_connection_is_opened_once_and_not_asked_before_use(
    schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    store = store_at(address, secrets)
    before = connections_made(schema)
    store.add(trade(1))
    questions = int(rows(schema, "SHOW GLOBAL STATUS LIKE 'Questions'")[0][1])
    for number in range(2, 5):
        store.add(trade(number))
    asked = int(rows(schema, "SHOW GLOBAL STATUS LIKE 'Questions'")[0][1]) - questions
    assert connections_made(schema) - before == 1
    assert asked == 3 + 1  # one statement for each trade, and this test's own
    assert secrets.reads - 2 == 1  # two are the migration's


def test_a_connection_that_the_server_has_closed_is_replaced(
    server: MySQLServer, schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    store = store_at(address, secrets)
    store.add(trade(1))
    kill_app_connections(server)
    store.add(trade(2))
    assert booked(schema) == 2


@pytest.mark.parametrize("key", [None, "key-1"])
@pytest.mark.parametrize("cut", Cut)
def test_a_connection_cut_around_the_commit_books_the_trade_once(
    server: MySQLServer,
    schema: Connection[Cursor],
    address: Address,
    secrets: Secrets,
    cut: Cut,
    key: str | None,
) -> None:
    with Endpoint() as endpoint:
        endpoint.lead_to(server.port)
        store = store_at(dataclasses.replace(address, port=endpoint.port), secrets)
        store.add(trade(1))
        endpoint.cut_next(cut)
        mine = trade(2, client_order_id=key)
        assert store.add(mine) == mine
        assert not endpoint.has_cuts_left
    assert booked(schema) == 2


def test_a_void_whose_answer_is_lost_keeps_its_first_time(
    server: MySQLServer, schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    with Endpoint() as endpoint:
        endpoint.lead_to(server.port)
        store = store_at(dataclasses.replace(address, port=endpoint.port), secrets)
        store.add(trade(1))
        endpoint.cut_next(Cut.BEFORE_ANSWER)
        at = datetime.now(UTC).replace(tzinfo=None)
        found = store.void(trade(1).trade_id, Void(at, CALLER), within=None)
        assert not endpoint.has_cuts_left
    assert found is not None
    assert found.void is not None
    assert (found.status, found.void.at) == ("VOID", at)


def test_the_service_leaves_a_read_only_writer_for_the_new_one(
    server: MySQLServer, schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    store = store_at(address, secrets)
    store.add(trade(1))
    before = connections_made(schema)
    back = later(0.3, lambda: server.execute("SET GLOBAL read_only = 0"))
    with setting(server, "read_only", 1), back:
        store.add(trade(2))
    assert connections_made(schema) - before > 1
    assert booked(schema) == 2


def test_a_deadlock_is_tried_again(
    server: MySQLServer,
    schema: Connection[Cursor],
    address: Address,
    secrets: Secrets,
    logs: io.StringIO,
) -> None:
    mine = trade(99, client_order_id="key")
    with connect(address, ADMIN) as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        # The heavier transaction wins: it has more rows.
        for number in range(20):
            insert(cursor, f"OTHER-{number}", "key" if number == 0 else None)
        adding = threading.Thread(target=lambda: store_at(address, secrets).add(mine))
        adding.start()
        wait_until(lambda: lock_waits(server))
        cursor.execute("SELECT * FROM trades WHERE trade_id = %s FOR UPDATE", (mine.trade_id,))
        cursor.execute("ROLLBACK")
        adding.join()
    assert "1213" in logs.getvalue()
    assert booked(schema) == 1


def test_a_lock_that_is_held_too_long_is_waited_for_again(
    server: MySQLServer,
    schema: Connection[Cursor],
    address: Address,
    secrets: Secrets,
    logs: io.StringIO,
) -> None:
    with (
        setting(server, "innodb_lock_wait_timeout", 1),
        connect(address, ADMIN) as other,
        other.cursor() as cursor,
    ):
        lock_key(cursor, "key")
        with later(1.2, lambda: cursor.execute("ROLLBACK")):
            store_at(address, secrets).add(trade(1, client_order_id="key"))
    assert "1205" in logs.getvalue()
    assert booked(schema) == 1


def test_a_server_without_a_free_connection_is_waited_for(
    server: MySQLServer,
    schema: Connection[Cursor],
    address: Address,
    secrets: Secrets,
    logs: io.StringIO,
) -> None:
    with all_connections_taken(server, address) as free, later(0.3, free):
        store_at(address, secrets).add(trade(1))
    assert "1040" in logs.getvalue()
    assert booked(schema) == 1


def test_a_server_that_has_no_connection_in_time_is_a_clear_error_and_books_nothing(
    server: MySQLServer, schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    with all_connections_taken(server, address), pytest.raises(DatabaseUnavailable):
        store_at(address, secrets, seconds=0.3).add(trade(1))
    assert booked(schema) == 0


def test_a_table_without_space_is_waited_for_until_there_is_some(
    server: MySQLServer,
    schema: Connection[Cursor],
    address: Address,
    secrets: Secrets,
    logs: io.StringIO,
) -> None:
    with setting(server, "max_heap_table_size", 16384), small_table(address) as cursor:
        with contextlib.suppress(OperationalError):
            for number in range(1, 100):
                insert(cursor, f"OTHER-{number}", None)
        with pytest.raises(DatabaseUnavailable):
            store_at(address, secrets, seconds=0.3).add(trade(1))
        with later(0.3, lambda: cursor.execute("DELETE FROM trades")):
            store_at(address, secrets).add(trade(2))
        assert "1114" in logs.getvalue()
        assert rows(schema, "SELECT trade_id FROM trades") == [(trade(2).trade_id,)]


NEW = Credentials(APP.username, "new-password", APP.cursor_key)


@pytest.mark.parametrize("stage", [CURRENT, PENDING])
def test_a_password_that_was_rotated_is_fetched_again(
    server: MySQLServer,
    schema: Connection[Cursor],
    address: Address,
    secrets: Secrets,
    stage: str,
) -> None:
    store = store_at(address, secrets)
    store.add(trade(1))
    server.execute(f"ALTER USER trade_app@'%' IDENTIFIED BY '{NEW.password}'")
    secrets.set(NEW, stage)
    store.add(trade(2))  # the kept connection goes on
    kill_app_connections(server)
    store.add(trade(3))
    assert booked(schema) == 3


def test_a_rotation_that_ends_while_its_pending_password_is_in_use_is_followed(
    server: MySQLServer, schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    server.execute(f"ALTER USER trade_app@'%' IDENTIFIED BY '{NEW.password}'")
    secrets.set(NEW, PENDING)
    store = store_at(address, secrets)
    store.add(trade(1))
    last = dataclasses.replace(NEW, password="last-password")
    server.execute(f"ALTER USER trade_app@'%' IDENTIFIED BY '{last.password}'")
    secrets.set(last)
    kill_app_connections(server)
    store.add(trade(2))
    assert booked(schema) == 2


def test_a_wrong_password_is_a_clear_error_that_does_not_show_it(
    server: MySQLServer,
    schema: Connection[Cursor],
    address: Address,
    secrets: Secrets,
    logs: io.StringIO,
) -> None:
    server.execute("ALTER USER trade_app@'%' IDENTIFIED BY 'unknown'")
    with pytest.raises(DatabaseUnavailable) as error:
        store_at(address, secrets, seconds=0.3).add(trade(1))
    told = f"{logs.getvalue()} {error.value!r} {error.value.__cause__!r} {secrets.fetch()!r}"
    assert "Access denied" in told
    assert APP.password not in told
    assert APP.cursor_key not in told


def test_a_secret_that_comes_back_is_noticed_and_one_that_stays_away_is_reported(
    schema: Connection[Cursor], address: Address
) -> None:
    secrets = Secrets()
    with later(0.2, lambda: secrets.set(APP)):
        store_at(address, secrets).add(trade(1))
    with pytest.raises(DatabaseUnavailable):
        store_at(address, Secrets(), seconds=0.2).add(trade(2))
    with pytest.raises(SecretUnavailable):
        CredentialStore(Secrets().fetch).get()
    assert booked(schema) == 1


def test_a_server_that_restarts_is_waited_for(
    server: MySQLServer, address: Address, schema: Connection[Cursor], secrets: Secrets
) -> None:
    store = store_at(address, secrets)
    store.add(trade(1))
    server.stop()
    with later(0.3, server.start):
        store.add(trade(2))
    with connect(address, ADMIN) as connection:
        assert booked(connection) == 2


@pytest.mark.parametrize("is_kept", [False, True])
def test_a_slow_statement_ends_with_the_requests_time(
    schema: Connection[Cursor], address: Address, secrets: Secrets, is_kept: bool
) -> None:
    store = store_at(address, secrets, seconds=1.5)
    if is_kept:
        store.add(trade(1))
    with connect(address, ADMIN) as other, other.cursor() as cursor:
        lock_key(cursor, "key")
        started = time.monotonic()
        with pytest.raises(DatabaseUnavailable, match="may have been made or not"):
            store.add(trade(2, client_order_id="key"))
        assert time.monotonic() - started < 3
        cursor.execute("ROLLBACK")
    # What the caller was told: the statement that was given up may have been carried out since.
    mine = store_at(address, secrets).add(trade(3, client_order_id="key"))
    assert mine.trade_id in (trade(2).trade_id, trade(3).trade_id)
    assert booked(schema) == int(is_kept) + 1


@contextmanager
def endless_reads(address: Address, table: str) -> Iterator[Cursor]:
    """A connection with which a read of a table was made one of 10^10 rows."""
    with connect(address, ADMIN) as connection, connection.cursor() as cursor:
        cursor.execute(f"RENAME TABLE {table} TO real_{table}")
        cursor.execute("CREATE TABLE numbers (number INT) AS SELECT 1 AS number")
        for _ in range(9):
            cursor.execute("INSERT INTO numbers SELECT * FROM numbers")
        cursor.execute(
            f"CREATE VIEW {table} AS SELECT real_{table}.* FROM real_{table} "
            "JOIN numbers a JOIN numbers b JOIN numbers c JOIN numbers d "
            "WHERE a.number + RAND() > 0"
        )
        try:
            yield cursor
        finally:
            cursor.execute(f"DROP VIEW {table}")
            cursor.execute("DROP TABLE numbers")
            cursor.execute(f"RENAME TABLE real_{table} TO {table}")


@pytest.mark.parametrize("table", ["positions", "trades"])
@pytest.mark.parametrize("is_consistent", [False, True])
def test_a_read_that_takes_too_long_is_stopped_before_its_answer_and_not_repeated(
    schema: Connection[Cursor],
    address: Address,
    secrets: Secrets,
    logs: io.StringIO,
    is_consistent: bool,
    table: str,
) -> None:
    database = Database(address, CredentialStore(secrets.fetch))
    TradeStore(database, database, Deadline.after(20)).add(trade(1))
    with endless_reads(address, table) as cursor:
        store = TradeStore(database, database, Deadline.after(3))
        read = {
            "positions": functools.partial(store.positions, None, after=None, limit=1),
            "trades": functools.partial(store.find, trade(1).trade_id),
        }[table]
        started = time.monotonic()
        with pytest.raises(ReadTimedOut, match="Nothing was changed"):
            read(consistent=is_consistent)
        assert time.monotonic() - started < 3
        assert statements_of_the_app(cursor) == []
    assert "database retry" not in logs.getvalue()
    found = store_at(address, secrets).positions(None, after=None, limit=1, consistent=True)
    assert found == [Position("AAPL", 100)]


def test_another_error_of_a_read_is_not_mistaken_for_a_time_out(
    schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    database = Database(address, CredentialStore(secrets.fetch))
    with pytest.raises(OperationalError, match="no_such_column"):
        database.read("SELECT no_such_column FROM trades", (), Deadline.after(5))


def test_a_read_that_nobody_stops_is_given_up_and_not_repeated(
    server: MySQLServer,
    schema: Connection[Cursor],
    address: Address,
    secrets: Secrets,
    logs: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(database_module, "STATEMENT_SECONDS", 2)
    store = store_at(address, secrets)
    store.add(trade(1))
    with stalled(server), pytest.raises(ReadTimedOut):
        store.find(trade(1).trade_id, consistent=True)
    assert "database retry" not in logs.getvalue()
    assert store.find(trade(1).trade_id, consistent=True) is not None


@pytest.mark.parametrize("key", [None, "key-1"])
def test_a_change_whose_row_cannot_be_read_in_time_has_an_unknown_outcome(
    schema: Connection[Cursor],
    address: Address,
    secrets: Secrets,
    monkeypatch: pytest.MonkeyPatch,
    key: str | None,
) -> None:
    store = store_at(address, secrets)
    first = trade(1, client_order_id=key)
    store.add(first)
    # The server is given no time for reads.
    monkeypatch.setattr(
        database_module,
        "_limited",
        lambda sql, _seconds: ENDLESS.format(", ".join(["%s"] * sql.count("%s"))),
    )
    with pytest.raises(DatabaseUnavailable, match="may have been made or not"):
        store.add(first)
    with pytest.raises(DatabaseUnavailable, match="may have been made or not"):
        store.void(first.trade_id, Void(first.created_at, CALLER), within=None)
    assert rows(schema, "SELECT status FROM trades") == [("VOID",)]


def statements_of_the_app(cursor: Cursor) -> list[tuple[Any, ...]]:
    """What the server is doing for the service's user."""
    cursor.execute(
        "SELECT info FROM information_schema.processlist "
        "WHERE user = 'trade_app' AND info IS NOT NULL"
    )
    return list(cursor.fetchall())


def test_a_connection_with_short_timeouts_is_not_kept_for_requests_with_more_time(
    schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    database = Database(address, CredentialStore(secrets.fetch))
    hurried = TradeStore(database, database, Deadline.after(4))
    before = connections_made(schema)
    hurried.add(trade(1))
    hurried.check()
    assert connections_made(schema) - before == 2  # less time is left for the second statement
    for number in (2, 3):
        TradeStore(database, database, Deadline.after(20)).add(trade(number))
    assert connections_made(schema) - before == 3


def test_a_host_that_does_not_answer_ends_with_the_requests_time(
    address: Address, secrets: Secrets
) -> None:
    started = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        store_at(dataclasses.replace(address, port=1), secrets, seconds=0.3).add(trade(1))
    assert time.monotonic() - started < 3


def test_no_statement_is_sent_for_a_request_whose_time_is_over(
    schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    with pytest.raises(DatabaseUnavailable):
        store_at(address, secrets, seconds=-1).add(trade(1))
    assert booked(schema) == 0


def test_a_broken_rule_of_the_schema_is_a_defect_and_not_tried_again(
    schema: Connection[Cursor], address: Address, secrets: Secrets, logs: io.StringIO
) -> None:
    for wrong in ({"quantity": -1}, {"symbol": None}, {"side": "HOLD"}):
        with pytest.raises(MySQLError):
            store_at(address, secrets).add(trade(1, **wrong))
    assert "database retry" not in logs.getvalue()
    assert booked(schema) == 0


def test_an_id_that_another_trade_has_is_a_defect(
    schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    store = store_at(address, secrets)
    store.add(trade(1))
    with pytest.raises(MySQLError, match="Duplicate"):
        store.add(trade(1, client_order_id="key"))
    assert booked(schema) == 1


def test_the_connection_is_encrypted(schema: Connection[Cursor], address: Address) -> None:
    with connect(address, APP) as connection:
        assert rows(connection, "SHOW STATUS LIKE 'Ssl_version'")[0][1] in ("TLSv1.2", "TLSv1.3")


def test_a_server_of_another_authority_is_refused(address: Address, tmp_path: Path) -> None:
    stranger = ensure_tls_files(tmp_path).ca
    with pytest.raises(OperationalError, match="certificate verify failed"):
        connect(dataclasses.replace(address, ca_file=str(stranger)), ADMIN)


def test_a_server_with_another_name_is_refused(server: MySQLServer, address: Address) -> None:
    with Endpoint("127.0.0.2") as endpoint:
        endpoint.lead_to(server.port)
        elsewhere = dataclasses.replace(address, host=endpoint.host, port=endpoint.port)
        with pytest.raises(OperationalError, match="certificate verify failed"):
            connect(elsewhere, ADMIN)


def test_a_proxy_that_strips_tls_gets_no_password(server: MySQLServer, address: Address) -> None:
    told = b""

    def strip(listener: socket.socket) -> None:
        nonlocal told
        client, _ = listener.accept()
        with client, socket.create_connection(("127.0.0.1", server.port)) as upstream:
            greeting = bytearray(upstream.recv(4096))
            # https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_connection_phase_packets_protocol_handshake_v10.html
            end_of_version = greeting.index(0, 5)
            capabilities = end_of_version + 1 + 4 + 8 + 1
            greeting[capabilities + 1] &= ~(CLIENT.SSL >> 8)
            client.sendall(greeting)
            told = client.recv(4096)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=strip, args=(listener,))
        thread.start()
        between = dataclasses.replace(address, port=listener.getsockname()[1])
        with pytest.raises(OperationalError, match="SSL is required"):
            connect(between, ADMIN)
        thread.join(10)
    assert told == b""


def test_the_app_user_needs_tls_even_where_the_server_does_not(
    server: MySQLServer, schema: Connection[Cursor]
) -> None:
    def log_in(who: Credentials, **more: Any) -> None:
        pymysql.connect(
            host="127.0.0.1", port=server.port, user=who.username, password=who.password, **more
        ).close()

    server.execute("SET GLOBAL require_secure_transport = OFF")
    try:
        log_in(ADMIN, ssl_disabled=True)
        log_in(APP)  # encrypted where the server can
        with pytest.raises(OperationalError, match="Access denied"):
            log_in(APP, ssl_disabled=True)
    finally:
        server.execute("SET GLOBAL require_secure_transport = ON")
    with pytest.raises(OperationalError):
        log_in(ADMIN, ssl_disabled=True)
