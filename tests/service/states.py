"""Trades, and the states that tests bring a database into."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from pymysql.connections import Connection
from pymysql.cursors import Cursor
from pymysql.err import OperationalError

from local.database_server import MySQLServer
from tests.service.conftest import ADMIN, APP, CALLER, rows
from trading.database import connect
from trading.models import Order, Trade
from trading.settings import Address


def trade(number: int = 0, **order: object) -> Trade:
    return Trade(
        f"TRADE-{number:026X}",
        datetime.now(UTC).replace(tzinfo=None),
        dataclasses.replace(Order("AAPL", 100), **order),  # type: ignore[arg-type]
        CALLER,
    )


def booked(schema: Connection[Cursor]) -> int:
    ((count,),) = rows(schema, "SELECT COUNT(*) FROM trades")
    return int(count)


def connections_made(schema: Connection[Cursor]) -> int:
    return int(rows(schema, "SHOW GLOBAL STATUS LIKE 'Connections'")[0][1])


@contextmanager
def later(seconds: float, action: Callable[[], object]) -> Iterator[None]:
    """Do something in a while, and wait until it is done."""
    timer = threading.Timer(seconds, action)
    timer.start()
    yield
    timer.join()


@contextmanager
def setting(server: MySQLServer, name: str, value: object) -> Iterator[None]:
    """A global variable of the server has a value, and then its earlier one."""
    before = server.execute(f"SELECT @@GLOBAL.{name}").strip()
    server.execute(f"SET GLOBAL {name} = {value}")
    try:
        yield
    finally:
        server.execute(f"SET GLOBAL {name} = {before}")


@contextmanager
def stalled(server: MySQLServer) -> Iterator[Callable[[], None]]:
    """A server that answers nothing until the function is called that the block gets.

    The signal reaches one thread, which then stops the others. On a busy machine that takes long
    enough for one of them to answer. `ps` says when it is done.
    """
    pid = server.pid()
    assert pid is not None

    def resume() -> None:
        os.kill(pid, signal.SIGCONT)

    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: _state(pid).startswith("T"))
        yield resume
    finally:
        resume()


def _state(pid: int) -> str:
    asked = ["ps", "-o", "stat=", "-p", str(pid)]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout


def kill_app_connections(server: MySQLServer) -> None:
    listed = "SELECT id FROM information_schema.processlist WHERE user = 'trade_app'"
    for connection in server.execute(listed).split():
        server.execute(f"KILL {connection}")


@contextmanager
def small_table(address: Address) -> Iterator[Cursor]:
    """A connection with which the table was made one that has little space."""
    with connect(address, ADMIN) as connection, connection.cursor() as cursor:
        cursor.execute("ALTER TABLE trades ENGINE = MEMORY")
        try:
            yield cursor
        finally:
            cursor.execute("ALTER TABLE trades ENGINE = InnoDB")


def lock_key(cursor: Cursor, key: str) -> None:
    """Begin a transaction that has booked by a key and does not end."""
    cursor.execute("BEGIN")
    insert(cursor, "OTHER", key)


def insert(cursor: Cursor, trade_id: str, key: str | None) -> None:
    cursor.execute(
        "INSERT INTO trades (trade_id, created_at, status, symbol, side, quantity, caller, "
        "client_order_id, principal) "
        "VALUES (%s, NOW(6), 'SUCCESS', 'A', 'BUY', 1, %s, %s, '')",
        (trade_id, CALLER.scope, key),
    )


@contextmanager
def all_connections_taken(server: MySQLServer, address: Address) -> Iterator[Callable[[], None]]:
    """Nobody can connect until the function is called that the block gets."""
    kill_app_connections(server)
    # Earlier tests may have left some open.
    count = int(server.execute("SELECT COUNT(*) FROM information_schema.processlist"))
    taken: list[Connection[Cursor]] = []

    def free() -> None:
        while taken:
            taken.pop().close()

    with setting(server, "max_connections", count + 5):
        with contextlib.suppress(OperationalError):
            while True:
                taken.append(connect(address, APP))
        try:
            yield free
        finally:
            free()


def lock_waits(server: MySQLServer) -> int:
    """How many transactions wait for a lock."""
    listed = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
    return int(server.execute(listed))


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.15)  # asked more often, InnoDB gives its old answer
