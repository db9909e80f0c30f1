"""MySQL says each error number in the table of cures, and the trade is booked once.

A number in the table that no test here makes the server say fails the last test.
"""

from __future__ import annotations

import dataclasses
import io
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from local.database_server import MySQLServer
from tests.service.conftest import ADMIN, APP, Secrets, rows, store_at
from tests.service.states import (
    all_connections_taken,
    booked,
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
from tests.support.ports import free_port
from trading import database as database_module
from trading.database import Database, Deadline, connect
from trading.errors import DatabaseUnavailable, ReadTimedOut
from trading.secret import CURRENT, CredentialStore
from trading.settings import Address
from trading.store import TradeStore

SHORT = 0.3  # seconds that a state lasts


@dataclass
class Scene:
    """A store that has booked `trade(1)` over a connection that it keeps, and its server."""

    server: MySQLServer
    address: Address
    secrets: Secrets
    endpoint: Endpoint
    store: TradeStore
    database: Database


@pytest.fixture
def scene(
    server: MySQLServer, schema: Connection[Cursor], address: Address, secrets: Secrets
) -> Iterator[Scene]:
    with Endpoint() as endpoint:
        endpoint.lead_to(server.port)
        there = dataclasses.replace(address, port=endpoint.port)
        database = Database(there, CredentialStore(secrets.fetch))
        store = TradeStore(database, database, Deadline.after(20))
        store.add(trade(1))
        yield Scene(server, address, secrets, endpoint, store, database)


State = Callable[[Scene], "contextmanager[None]"]


@contextmanager
def a_key_is_locked(scene: Scene, seconds: float) -> Iterator[None]:
    with connect(scene.address, ADMIN) as other, other.cursor() as cursor:
        lock_key(cursor, "key")
        with later(seconds, lambda: cursor.execute("ROLLBACK")):
            yield


@contextmanager
def a_lock_is_held_too_long(scene: Scene) -> Iterator[None]:
    kill_app_connections(scene.server)  # the new connection gets the new time
    with setting(scene.server, "innodb_lock_wait_timeout", 1), a_key_is_locked(scene, 1.3):
        yield


@contextmanager
def a_deadlock(scene: Scene) -> Iterator[None]:
    mine = trade(2).trade_id
    with connect(scene.address, ADMIN) as other, other.cursor() as cursor:
        lock_key(cursor, "key")
        for number in range(20):  # the transaction with more rows wins
            insert(cursor, f"HEAVY-{number}", None)

        def cross() -> None:
            wait_until(lambda: lock_waits(scene.server))
            cursor.execute("SELECT * FROM trades WHERE trade_id = %s FOR UPDATE", (mine,))
            cursor.execute("ROLLBACK")

        with later(0, cross):
            yield


@contextmanager
def the_statement_is_killed(scene: Scene) -> Iterator[None]:
    def kill() -> None:
        wait_until(lambda: lock_waits(scene.server))
        kill_app_statements(scene.server)

    with a_key_is_locked(scene, 2), later(0, kill):
        yield


@contextmanager
def the_server_says(scene: Scene, number: int) -> Iterator[None]:
    """What this server never says of its own: a trigger says it, and undoes the statement."""
    with connect(scene.address, ADMIN) as other, other.cursor() as cursor:
        cursor.execute(
            "CREATE TRIGGER says BEFORE INSERT ON trades FOR EACH ROW "
            f"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {number}, MESSAGE_TEXT = 'said'"
        )
        with later(SHORT, lambda: cursor.execute("DROP TRIGGER says")):
            yield


def says(number: int) -> State:
    return lambda scene: the_server_says(scene, number)


@contextmanager
def the_table_is_full(scene: Scene) -> Iterator[None]:
    with setting(scene.server, "max_heap_table_size", 16384), small_table(scene.address) as cursor:
        number = 0
        while is_free(cursor, number):
            number += 1
        with later(SHORT, lambda: cursor.execute("DELETE FROM trades WHERE trade_id LIKE 'F%'")):
            yield
            wait_until(lambda: True)


def is_free(cursor: Cursor, number: int) -> bool:
    try:
        insert(cursor, f"FULL-{number}", None)
    except Exception as error:
        assert error.args[0] == 1114  # noqa: PT017 - the loop ends with it
        return False
    return True


@contextmanager
def this_side_closed_the_connection(scene: Scene) -> Iterator[None]:
    connection = scene.database._connection
    assert connection is not None
    connection.close()
    yield


@contextmanager
def nobody_listens(scene: Scene) -> Iterator[None]:
    kill_app_connections(scene.server)
    scene.server.stop()
    scene.endpoint.lead_to()
    port = scene.endpoint.port
    # As at a failover: the name leads to an address without a server.
    scene.database._address = dataclasses.replace(scene.address, port=free_port())

    def back() -> None:
        scene.server.start()
        scene.endpoint.lead_to(scene.server.port)
        scene.database._address = dataclasses.replace(scene.address, port=port)

    with later(SHORT, back):
        yield


@contextmanager
def the_connection_is_reset(scene: Scene) -> Iterator[None]:
    connection = scene.database._connection
    assert connection is not None
    connection._sock.shutdown(socket.SHUT_WR)  # a statement cannot even be sent
    yield


@contextmanager
def the_answer_is_lost(scene: Scene) -> Iterator[None]:
    """The server has committed, and its client does not hear of it."""
    scene.endpoint.cut_next(Cut.BEFORE_ANSWER)
    yield


@contextmanager
def all_connections_are_taken(scene: Scene) -> Iterator[None]:
    with all_connections_taken(scene.server, scene.address) as free, later(SHORT, free):
        yield


@contextmanager
def the_user_has_its_connections(scene: Scene) -> Iterator[None]:
    kill_app_connections(scene.server)
    with setting(scene.server, "max_user_connections", 1):
        taken = connect(scene.address, APP)
        with later(SHORT, taken.close):
            yield


@contextmanager
def the_account_has_its_connections(scene: Scene) -> Iterator[None]:
    kill_app_connections(scene.server)
    scene.server.execute("ALTER USER trade_app@'%' WITH MAX_USER_CONNECTIONS 1")
    taken = connect(scene.address, APP)
    with later(SHORT, taken.close):
        yield
    scene.server.execute("ALTER USER trade_app@'%' WITH MAX_USER_CONNECTIONS 0")


@contextmanager
def the_host_is_blocked(scene: Scene) -> Iterator[None]:
    """MySQL blocks no host that is this machine: a stand-in sends what it would send."""
    message = b"Host is blocked because of many connection errors"
    packet = b"\xff" + (1129).to_bytes(2, "little") + message
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        def refuse() -> None:
            client, _ = listener.accept()
            with client:
                client.sendall(len(packet).to_bytes(3, "little") + b"\0" + packet)

        scene.endpoint.lead_to(port)
        kill_app_connections(scene.server)
        refusing = threading.Thread(target=refuse)
        refusing.start()

        def unblock() -> None:
            refusing.join()
            scene.endpoint.lead_to(scene.server.port)

        with later(0, unblock):
            yield


@contextmanager
def the_server_is_offline(scene: Scene) -> Iterator[None]:
    scene.server.execute("SET GLOBAL offline_mode = ON")
    with later(SHORT, lambda: scene.server.execute("SET GLOBAL offline_mode = OFF")):
        yield


@contextmanager
def the_server_is_read_only(scene: Scene) -> Iterator[None]:
    scene.server.execute("SET GLOBAL super_read_only = ON")
    with later(SHORT, lambda: scene.server.execute("SET GLOBAL read_only = OFF")):
        yield


@contextmanager
def transactions_are_read_only(scene: Scene) -> Iterator[None]:
    scene.server.execute("SET GLOBAL transaction_read_only = ON")
    kill_app_connections(scene.server)
    with later(SHORT, lambda: scene.server.execute("SET GLOBAL transaction_read_only = OFF")):
        yield


@contextmanager
def the_password_was_rotated(scene: Scene) -> Iterator[None]:
    new = dataclasses.replace(APP, password="new-password")
    scene.server.execute(f"ALTER USER trade_app@'%' IDENTIFIED BY '{new.password}'")
    kill_app_connections(scene.server)
    with later(SHORT, lambda: scene.secrets.set(new, CURRENT)):
        yield


STATES: dict[int, State] = {
    0: this_side_closed_the_connection,
    1021: says(1021),
    1040: all_connections_are_taken,
    1045: the_password_was_rotated,
    1105: says(1105),
    1114: the_table_is_full,
    1129: the_host_is_blocked,
    1203: the_user_has_its_connections,
    1205: a_lock_is_held_too_long,
    1213: a_deadlock,
    1226: the_account_has_its_connections,
    1290: the_server_is_read_only,
    1317: the_statement_is_killed,
    1792: transactions_are_read_only,
    # Aurora's readers say it. MySQL itself says it only to a change of the schema.
    1836: says(1836),
    2003: nobody_listens,
    2006: the_connection_is_reset,
    2013: the_answer_is_lost,
    3032: the_server_is_offline,
    4031: says(4031),
    9501: says(9501),
}


@pytest.mark.parametrize("number", STATES)
def test_an_error_that_can_pass_is_retried_until_the_trade_is_booked_once(
    scene: Scene, logs: io.StringIO, number: int
) -> None:
    mine = trade(2, client_order_id="key")
    with STATES[number](scene):
        assert scene.store.add(mine) == mine
    assert number in numbers_in(logs)
    with connect(scene.address, ADMIN) as connection:
        assert booked(connection) == 2


def test_a_connection_that_the_server_closed_because_it_was_idle_is_replaced(
    scene: Scene, logs: io.StringIO
) -> None:
    """The server says 4031 before it closes, which its reset can overtake."""
    with setting(scene.server, "wait_timeout", 1):
        kill_app_connections(scene.server)
        scene.store.check()
        time.sleep(1.5)
    scene.store.add(trade(2))
    assert numbers_in(logs) & {4031, 2013}
    with connect(scene.address, ADMIN) as connection:
        assert booked(connection) == 2


def test_a_server_that_shuts_down_in_a_statement_is_waited_for(
    scene: Scene, logs: io.StringIO
) -> None:
    """It says 1053 or only ends the connection, as its threads happen to run."""
    mine = trade(2, client_order_id="key")
    with connect(scene.address, ADMIN) as other, other.cursor() as cursor:
        lock_key(cursor, "key")

        def restart() -> None:
            wait_until(lambda: lock_waits(scene.server))
            scene.server.stop()
            scene.server.start()

        with later(0, restart):
            assert scene.store.add(mine) == mine
        other._force_close()
    assert numbers_in(logs) & {1053, 2013, 1317}
    with connect(scene.address, ADMIN) as connection:
        assert booked(connection) == 2


def test_a_shutdown_that_the_server_announces_is_waited_for(
    scene: Scene, logs: io.StringIO
) -> None:
    with the_server_says(scene, 1053):
        scene.store.add(trade(2))
    assert 1053 in numbers_in(logs)


def test_a_writer_that_becomes_read_only_in_the_middle_of_a_statement_loses_nothing(
    scene: Scene, logs: io.StringIO
) -> None:
    """The switch waits for the running statement. The next ones are refused until it is undone."""
    first, second = trade(2, client_order_id="key"), trade(3)
    with connect(scene.address, ADMIN) as other, other.cursor() as cursor:
        lock_key(cursor, "key")
        adding = threading.Thread(target=lambda: scene.store.add(first))
        adding.start()
        wait_until(lambda: lock_waits(scene.server))
        switching = threading.Thread(
            target=lambda: scene.server.execute("SET GLOBAL super_read_only = ON")
        )
        switching.start()
        cursor.execute("ROLLBACK")
        adding.join()
        switching.join()
    with later(SHORT, lambda: scene.server.execute("SET GLOBAL read_only = OFF")):
        store_at(scene.address, scene.secrets).add(second)
    assert 1290 in numbers_in(logs)
    with connect(scene.address, ADMIN) as connection:
        found = rows(connection, "SELECT trade_id FROM trades ORDER BY trade_id")
    assert found == [(each.trade_id,) for each in (trade(1), first, second)]


@pytest.mark.parametrize("is_back_in_time", [True, False])
def test_a_server_that_stalls_in_a_statement_books_the_trade_once_or_says_it_does_not_know(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, is_back_in_time: bool
) -> None:
    """Seen from its clients, a disk that stalls is a server that does not answer."""
    monkeypatch.setattr(database_module, "STATEMENT_SECONDS", 0.5)
    monkeypatch.setattr(database_module, "CONNECT_SECONDS", 0.5)
    mine = trade(2, client_order_id="key")
    with stalled(scene.server) as resume:
        if is_back_in_time:
            with later(1.5, resume):
                assert store_at(scene.address, scene.secrets).add(mine) == mine
        else:
            with pytest.raises(DatabaseUnavailable, match="may have been made or not"):
                store_at(scene.address, scene.secrets, seconds=1.5).add(mine)
    # The caller repeats what it was not told about.
    again = store_at(scene.address, scene.secrets).add(trade(3, client_order_id="key"))
    assert again.trade_id in (mine.trade_id, trade(3).trade_id)
    with connect(scene.address, ADMIN) as connection:
        assert booked(connection) == 2


def test_a_read_that_someone_kills_is_not_retried(scene: Scene, logs: io.StringIO) -> None:
    with connect(scene.address, ADMIN) as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLES trades WRITE")

        def kill() -> None:
            waits = (
                "SELECT COUNT(*) FROM information_schema.processlist "
                "WHERE user = 'trade_app' AND state LIKE 'Waiting for%'"
            )
            wait_until(lambda: int(scene.server.execute(waits)))
            kill_app_statements(scene.server)

        with later(0, kill), pytest.raises(ReadTimedOut) as error:
            scene.store.find(trade(1).trade_id, consistent=True)
        cursor.execute("UNLOCK TABLES")
    assert error.value.__cause__ is not None
    assert error.value.__cause__.args[0] == 1317
    assert not numbers_in(logs)


def test_a_read_that_takes_too_long_is_stopped_by_the_server(
    scene: Scene, logs: io.StringIO
) -> None:
    with pytest.raises(ReadTimedOut) as error:
        scene.database.read("SELECT SLEEP(5) FROM trades", (), Deadline.after(1.5))
    assert error.value.__cause__ is not None
    assert error.value.__cause__.args[0] in (3024, 1317)
    assert not numbers_in(logs)


def test_each_number_of_the_table_has_its_test() -> None:
    elsewhere = {1053}  # above
    assert database_module._CURES.keys() == STATES.keys() | elsewhere
    assert {3024, 1317} == database_module._STOPPED


def kill_app_statements(server: MySQLServer) -> None:
    listed = (
        "SELECT id FROM information_schema.processlist "
        "WHERE user = 'trade_app' AND command = 'Query'"
    )
    for connection in server.execute(listed).split():
        server.execute(f"KILL QUERY {connection}")


def numbers_in(logs: io.StringIO) -> set[int]:
    """The error numbers of the retries."""
    return {int(number) for number in re.findall(r'"reason":"\((\d+),', logs.getvalue())}
