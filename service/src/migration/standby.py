"""A standby region: its schema and users are replicated from the region that writes."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence

from pymysql.connections import Connection
from pymysql.constants import ER
from pymysql.cursors import Cursor
from pymysql.err import MySQLError, OperationalError, ProgrammingError

from migration.runner import Migration, MigrationError
from trading.database import connect
from trading.secret import Credentials, SecretUnavailable
from trading.settings import Address

WRITER, STANDBY = "writer", "standby"

# A release may be running at the same time in the region that writes.
_WAIT_SECONDS = 200
_POLL_SECONDS = 2
_CONNECT_SECONDS = 10
_READ_ONLY = (ER.OPTION_PREVENTS_STATEMENT, 1836)


def takes_no_writes(error: MySQLError) -> bool:
    """Whether the database is a secondary cluster of an Aurora Global Database.

    The writer endpoint of a secondary cluster has no address until its region becomes primary.
    https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/aurora-global-database-connecting.html
    """
    cause = getattr(error, "original_exception", None)
    return error.args[0] in _READ_ONLY or isinstance(cause, socket.gaierror)


def await_schema(
    reader: Address,
    master: Credentials,
    users: Sequence[Callable[[], Credentials | None]],
    migrations: tuple[Migration, ...],
) -> None:
    """Wait until the migrations and the service's user were replicated from the region that writes.

    Raises:
        MigrationError: they did not arrive in time.
        pymysql.err.MySQLError: the readers do not answer.
    """
    deadline = time.monotonic() + _WAIT_SECONDS
    while problem := _missing(reader, master, users, migrations):
        if time.monotonic() > deadline:
            raise MigrationError(
                f"the database of this region takes no writes, and {problem}: "
                "release in the region that writes first"
            )
        time.sleep(_POLL_SECONDS)


def _missing(
    reader: Address,
    master: Credentials,
    users: Sequence[Callable[[], Credentials | None]],
    migrations: tuple[Migration, ...],
) -> str:
    """What is still missing; empty if nothing is."""
    with connect(reader, master, connect_seconds=_CONNECT_SECONDS) as connection:
        applied = _applied(connection)
    pending = [m.name for m in migrations if applied.get(m.name) != m.checksum]
    if pending:
        return f"it lacks {', '.join(pending)}"
    for user in users:
        try:
            credentials = user()
            if credentials is None:
                return "the secret of its users has no value"
            connect(reader, credentials, connect_seconds=_CONNECT_SECONDS).close()
        except SecretUnavailable:
            return "the secret of its users is not that of this release"
        except OperationalError as error:
            return f"it does not let its user in: {error.args[1]}"
    return ""


def _applied(connection: Connection[Cursor]) -> dict[str, str]:
    """The checksums of the applied migrations, by name."""
    with connection.cursor() as cursor:
        try:
            cursor.execute(
                "SELECT name, checksum FROM schema_migrations WHERE applied_at IS NOT NULL"
            )
        except ProgrammingError:  # the table was not replicated yet
            return {}
        return dict(cursor.fetchall())
