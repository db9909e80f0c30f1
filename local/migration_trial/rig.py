"""A MySQL server with the schema of the released code, a table of production's size, and users."""

from __future__ import annotations

import functools
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from secrets import token_urlsafe
from types import SimpleNamespace
from typing import Any

from pymysql.connections import Connection
from pymysql.cursors import Cursor

from local.database_server import MySQLServer, TLSFiles, ensure_tls_files
from local.own_server import OwnHTTPServer
from local.triggers import without_triggers
from migration.app_user import ensure_app_user
from migration.runner import Migration, apply_migrations
from trading.database import connect
from trading.secret import Credentials
from trading.settings import Address

DATABASE = "trading"
SCRATCH = "scratch"
# Any user of the machine can connect, and this one can write files of the server's user.
OWNER = Credentials("platform_admin", token_urlsafe())
_USER = "trade_app"
_SECRET = "arn:aws:secretsmanager:us-east-1:000000000000:secret:app"  # noqa: S105 - a name
_HOUR_SECONDS = 3600
_CHUNK_ROWS = 100_000
_OPTIONS = (
    # Of a small instance; the tests' servers have 64 MB, and ten million rows do not fit.
    "--innodb-buffer-pool-size=1G",
    "--innodb-redo-log-capacity=1G",
)
_DIGITS = f"({' UNION '.join(f'SELECT {digit} AS d' for digit in range(10))})"
# Trades of the past, spread over a thousand symbols. Only columns that every release has.
_FILL = f"""
    INSERT INTO trades (
        trade_id, created_at, status, symbol, side, quantity, price, client_order_id, caller,
        account, principal
    )
    SELECT
        CONCAT('TRADE-', LPAD(HEX(n), 26, '0')), '2026-01-01' + INTERVAL n SECOND, 'SUCCESS',
        CONCAT('S', MOD(n, 1000)), IF(MOD(n, 3) = 0, 'SELL', 'BUY'), 1 + MOD(n, 500),
        10 + MOD(n, 1000) / 7,
        CONCAT('fill-', LPAD(n, 12, '0')), 'fill', '111122223333',
        'arn:aws:iam::111122223333:user/fill'
    FROM (
        SELECT %s + a.d + 10 * b.d + 100 * c.d + 1000 * e.d + 10000 * f.d AS n
        FROM {_DIGITS} a, {_DIGITS} b, {_DIGITS} c, {_DIGITS} e, {_DIGITS} f
    ) AS numbers WHERE n < %s
"""  # noqa: S608 - constants

# The statements that make a schema.
Snapshot = tuple[str, ...]


class _Secrets:
    """Secrets Manager, as far as the service and its migration use it, with one secret."""

    class _Missing(Exception):
        pass

    exceptions = SimpleNamespace(ResourceNotFoundException=_Missing)

    def __init__(self) -> None:
        self.value = ""

    def get_secret_value(self, **_: str) -> dict[str, str]:
        if not self.value:
            raise self._Missing
        return {"SecretString": self.value}

    def put_secret_value(self, *, SecretId: str, SecretString: str) -> None:  # noqa: N803
        self.value = SecretString


@dataclass(frozen=True)
class Rig:
    """The server, and the variables of a function that uses it."""

    folder: Path
    server: MySQLServer
    address: Address
    variables: dict[str, str]
    secrets: _Secrets

    def connect(self, database: str = DATABASE) -> Connection[Cursor]:
        """An administrator's connection."""
        address = Address(self.address.host, self.address.port, database, self.address.ca_file)
        return connect(address, OWNER, statement_seconds=_HOUR_SECONDS)

    def migrate(self, schema: str, migrations: tuple[Migration, ...]) -> None:
        """Make a schema with these migrations and no rows, in place of one of that name."""
        self.restore(schema, ())
        with self.connect(schema) as connection:
            apply_migrations(connection, migrations)

    def snapshot(self, schema: str) -> Snapshot:
        """The tables and triggers of a schema, and the rows of the migrations' history.

        It takes a fraction of the time of the migrations to restore it.
        """
        with self.connect(schema) as connection, connection.cursor() as cursor:
            statements = []
            for kind, place in (("TABLE", 1), ("TRIGGER", 2)):
                cursor.execute(f"SHOW {kind}S")
                for name, *_ in cursor.fetchall():
                    cursor.execute(f"SHOW CREATE {kind} `{name}`")
                    statements.append((cursor.fetchone() or ())[place])
            cursor.execute("SELECT name, checksum, started_at, applied_at FROM schema_migrations")
            values = ", ".join(connection.escape(row) for row in cursor.fetchall())
            if values:
                statements.append(f"INSERT INTO schema_migrations VALUES {values}")  # noqa: S608
        return tuple(statements)

    def restore(self, schema: str, snapshot: Snapshot) -> None:
        """Make a schema with a snapshot's tables, in place of one of that name."""
        with self.connect("mysql") as connection:
            connection.query(f"DROP DATABASE IF EXISTS `{schema}`")
            connection.query(f"CREATE DATABASE `{schema}`")
            connection.select_db(schema)
            for statement in snapshot:
                connection.query(statement)

    def fill(self, schema: str, rows: int) -> None:
        """Add trades of the past to a schema, without what triggers keep about them."""
        with (
            self.connect(schema) as connection,
            without_triggers(connection),
            connection.cursor() as cursor,
        ):
            for first in range(0, rows, _CHUNK_ROWS):
                cursor.execute(_FILL, (first, min(first + _CHUNK_ROWS, rows)))

    def provide_users(self) -> None:
        """Do what a deploy does after the migrations: settle the users and their rights."""
        with self.connect() as connection:
            ensure_app_user(
                connection,
                self.secrets,
                _SECRET,
                functools.partial(connect, self.address),
                username=_USER,
            )

    def disk_bytes(self) -> int:
        """What the server's data and temporary files take."""
        return sum(file.stat().st_size for file in self.server.folder.rglob("*") if file.is_file())


@contextmanager
def rig(folder: Path) -> Iterator[Rig]:
    """A new rig in a folder, with no schema yet; its server ends with the block."""
    tls = ensure_tls_files(folder / "tls")
    server = MySQLServer(folder / "mysql", _free_port(), tls, require_tls=True, options=_OPTIONS)
    secrets = _Secrets()
    with _answering(secrets) as url:
        try:
            server.start()
            server.execute(
                f"CREATE USER {OWNER.username}@'%' IDENTIFIED BY '{OWNER.password}';"
                f"GRANT ALL ON *.* TO {OWNER.username}@'%' WITH GRANT OPTION;"
            )
            address = Address("127.0.0.1", server.port, DATABASE, str(tls.ca))
            yield Rig(folder, server, address, _variables(server, tls, url), secrets)
        finally:
            server.remove()


def _variables(server: MySQLServer, tls: TLSFiles, url: str) -> dict[str, str]:
    return {
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_ENDPOINT_URL_SECRETS_MANAGER": url,
        "ENVIRONMENT_SUFFIX": "trial",
        "DATABASE_WRITER_ENDPOINT": "127.0.0.1",
        "DATABASE_READER_ENDPOINT": "127.0.0.1",
        "DATABASE_PORT": str(server.port),
        "DATABASE_NAME": DATABASE,
        "DATABASE_CA_FILE": str(tls.ca),
        "DATABASE_APP_SECRET_ARN": _SECRET,
        "POWERTOOLS_SERVICE_NAME": "trade",
        "POWERTOOLS_LOG_LEVEL": "CRITICAL",
    }


@contextmanager
def _answering(secrets: _Secrets) -> Iterator[str]:
    """Answer GetSecretValue over HTTP, at the URL that the block is given."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps(secrets.get_secret_value()).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = OwnHTTPServer(Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.url
    finally:
        server.shutdown()
        server.server_close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])
