"""Where contenders run: a MySQL server with the service's schema, and the AWS APIs they call."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from secrets import token_urlsafe
from tempfile import TemporaryDirectory
from typing import Any

from pymysql.connections import Connection
from pymysql.cursors import Cursor

from benchmarks.aws import Aws
from benchmarks.measure import progress
from benchmarks.runtime import ROOT, Code, ExecutionEnvironment
from local.database_server import MySQLServer, ensure_tls_files
from local.triggers import without_triggers
from migration.runner import apply_migrations, load_migrations
from trading.database import connect
from trading.secret import Credentials
from trading.settings import Address

_BUFFER_POOL_BYTES = 2 * 1024**3
_LOG_BYTES = 1024**3
_FEW_PAGES = 50
_SETTLE_SECONDS = 600
# Any user of the machine can connect, and the owner's functions would run as others read.
OWNER = Credentials("owner", token_urlsafe())
_CREDENTIALS = Credentials("trade_app", token_urlsafe())
_CURSOR_KEY = "benchmark"
_EVENT = ROOT / "service" / "events" / "post_trade_with_key.json"
_BATCH_EVENT = ROOT / "service" / "events" / "post_trades.json"
_FEED_EVENT = ROOT / "service" / "events" / "list_events.json"
_LIST_EVENT = ROOT / "service" / "events" / "list_trades.json"
_POSITIONS_EVENT = ROOT / "service" / "events" / "list_positions.json"
# Symbols are spread evenly: AAPL is one of a thousand.
_FILL = """
    INSERT INTO trades (
        trade_id, created_at, status, symbol, side, quantity, price, client_order_id, caller,
        account, principal
    )
    SELECT
        CONCAT(
            'TRADE-',
            LPAD(HEX(TIMESTAMPDIFF(SECOND, '1970-01-01', '{day}') * 1000 + seq DIV 1000), 12, '0'),
            LPAD(HEX(seq), 14, '0')
        ),
        '{day}' + INTERVAL seq MICROSECOND, 'SUCCESS',
        IF(seq % 1000 = 0, 'AAPL', CONCAT('S', seq % 1000)), IF(seq % 3 = 0, 'SELL', 'BUY'),
        1 + seq % 500, 10 + seq % 1000 / 7, CONCAT('{day}-', LPAD(seq, 12, '0')),
        'fill', '111122223333', 'arn:aws:iam::111122223333:user/fill'
    FROM (
        SELECT {first} + a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d + 100000 * g.d AS seq
        FROM {digits} a, {digits} b, {digits} c, {digits} e, {digits} f, {digits} g
    ) AS numbers WHERE seq <= {last}
"""
# The position of a symbol is spread over all slots, as after trades on many connections.
_FILL_POSITIONS = """
    INSERT INTO positions (symbol, slot, quantity)
    SELECT symbol, slot, amount
    FROM (
        SELECT
            symbol, 1 + CONV(RIGHT(trade_id, 14), 16, 10) DIV 1000 % 8 AS slot,
            SUM(IF(side = 'SELL', -1, 1) * (quantity + fraction)) AS amount
        FROM trades
        WHERE trade_id BETWEEN '{first}' AND '{last}'
        GROUP BY symbol, slot
    ) AS added
    ON DUPLICATE KEY UPDATE quantity = positions.quantity + amount
"""
_DIGITS = f"({' UNION '.join(f'SELECT {digit} AS d' for digit in range(10))})"

_numbers = count(1)


@dataclass(frozen=True)
class Rig:
    """A database server in its own folder, and an endpoint for AWS."""

    folder: Path
    server: MySQLServer
    address: Address
    aws: Aws

    def connect(self) -> Connection[Cursor]:
        """A connection with every right on the service's database."""
        return connect(self.address, OWNER, statement_seconds=3600)

    def fill(self, first: int, last: int, day: str) -> None:
        """Add the trades of these numbers, all booked on a day such as `2026-01-31`.

        Triggers do not run, because they would take most of the time.
        """
        step = 1_000_000
        for start in range(first, last + 1, step):
            end = min(start + step - 1, last)
            progress(f"adding rows up to {end:,}")
            with self.connect() as owner, without_triggers(owner):
                owner.query("SET unique_checks = 0, foreign_key_checks = 0")
                owner.query(_FILL.format(day=day, first=start, last=end, digits=_DIGITS))
                owner.query(
                    _FILL_POSITIONS.format(first=_trade_id(day, start), last=_trade_id(day, end))
                )

    def settle(self) -> None:
        """Wait until the server has written the new rows: that work is not the requests'."""
        self.server.execute("SET GLOBAL innodb_max_dirty_pages_pct = 0")
        progress("waiting until the server has written them")
        deadline = time.monotonic() + _SETTLE_SECONDS
        while self._dirty_pages() > _FEW_PAGES and time.monotonic() < deadline:
            time.sleep(1)
        self.server.execute("SET GLOBAL innodb_max_dirty_pages_pct = DEFAULT")

    def _dirty_pages(self) -> int:
        shown = self.server.execute("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'")
        return int(shown.split()[-1])

    def function(self, code: Code, group: Path | None = None) -> ExecutionEnvironment:
        """A new execution environment of a function that uses this rig, in a control group."""
        variables = {
            "ENVIRONMENT_SUFFIX": "bench",
            "POWERTOOLS_SERVICE_NAME": "trade",
            "DATABASE_WRITER_ENDPOINT": self.address.host,
            "DATABASE_READER_ENDPOINT": self.address.host,
            "DATABASE_PORT": str(self.address.port),
            "DATABASE_NAME": self.address.database,
            "DATABASE_CA_FILE": self.address.ca_file,
            "DATABASE_APP_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:000000000000:secret:app",
            # The peers get in variables what the service asks Secrets Manager for.
            "DATABASE_USER": _CREDENTIALS.username,
            "DATABASE_PASSWORD": _CREDENTIALS.password,
            "AWS_ENDPOINT_URL": self.aws.url,
        }
        return ExecutionEnvironment(code, variables, self.folder / f"log-{next(_numbers)}", group)


def _trade_id(day: str, number: int) -> str:
    """The ID that `_FILL` gives a trade."""
    milliseconds = int(datetime.fromisoformat(f"{day}+00:00").timestamp() * 1000) + number // 1000
    return f"TRADE-{milliseconds:012X}{number:014X}"


@contextmanager
def rig() -> Iterator[Rig]:
    """A new rig without trades, removed at the end of the block."""
    with TemporaryDirectory(prefix="benchmarks-") as name:
        folder = Path(name)
        tls = ensure_tls_files(folder / "tls")
        server = MySQLServer(folder / "mysql", _free_port(), tls, require_tls=True)
        try:
            server.start()
            server.execute(
                # A small instance has this much; ten million rows do not fit into the tests' 64 MB.
                f"SET GLOBAL innodb_buffer_pool_size = {_BUFFER_POOL_BYTES};"
                f"SET GLOBAL innodb_redo_log_capacity = {_LOG_BYTES};"
                "CREATE DATABASE trading;"
                f"CREATE USER {OWNER.username}@'%' IDENTIFIED BY '{OWNER.password}';"
                f"GRANT ALL ON trading.* TO {OWNER.username}@'%';"
                f"CREATE USER {_CREDENTIALS.username}@'%' IDENTIFIED BY '{_CREDENTIALS.password}';"
                f"GRANT SELECT, INSERT, UPDATE ON trading.* TO {_CREDENTIALS.username}@'%';"
            )
            address = Address("127.0.0.1", server.port, "trading", str(tls.ca))
            secret = {
                "username": _CREDENTIALS.username,
                "password": _CREDENTIALS.password,
                "cursor_key": _CURSOR_KEY,
                "archive_username": _CREDENTIALS.username,
                "archive_password": _CREDENTIALS.password,
            }
            aws = Aws(secret)
            found = Rig(folder, server, address, aws)
            with found.connect() as connection:
                apply_migrations(connection, load_migrations(ROOT / "service" / "migrations"))
            yield found
        finally:
            server.stop()


def post_trade() -> dict[str, Any]:
    """The event of a `POST /trade` with a new key."""
    event: dict[str, Any] = json.loads(_EVENT.read_text())
    key = f"bench-{next(_numbers)}"
    event["headers"]["Idempotency-Key"] = key
    event["multiValueHeaders"]["Idempotency-Key"] = [key]
    return event


def post_trades(size: int) -> dict[str, Any]:
    """The event of a `POST /trades` with so many of `post_trade`'s trades, and new keys."""
    event: dict[str, Any] = json.loads(_BATCH_EVENT.read_text())
    order = json.loads(json.loads(_EVENT.read_text())["body"])
    trades = [{**order, "client_order_id": f"bench-{next(_numbers)}"} for _ in range(size)]
    event["body"] = json.dumps({"trades": trades})
    return event


def list_events(**query: str) -> dict[str, Any]:
    """The event of a `GET /events`."""
    event: dict[str, Any] = json.loads(_FEED_EVENT.read_text())
    event["queryStringParameters"] = query
    event["multiValueQueryStringParameters"] = {name: [value] for name, value in query.items()}
    return event


def list_trades(**query: str) -> dict[str, Any]:
    """The event of a `GET /trades`."""
    event: dict[str, Any] = json.loads(_LIST_EVENT.read_text())
    event["queryStringParameters"] = query
    event["multiValueQueryStringParameters"] = {name: [value] for name, value in query.items()}
    return event


def list_positions() -> dict[str, Any]:
    """The event of a `GET /positions`."""
    event: dict[str, Any] = json.loads(_POSITIONS_EVENT.read_text())
    return event


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
