"""The connection of an execution environment to its database."""

from __future__ import annotations

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from trading.secret import Credentials

# All well below the function's timeout of 30 s, so that a caller gets an answer and not a timeout.
_CONNECT_TIMEOUT_SECONDS = 5
_READ_TIMEOUT_SECONDS = 10
_WRITE_TIMEOUT_SECONDS = 10


def connect(*, host: str, port: int, database: str, credentials: Credentials) -> Connection[Cursor]:
    """Open a connection that commits each statement.

    Raises:
        pymysql.err.OperationalError: no server answers, or it refuses the user.
    """
    return pymysql.connect(
        host=host,
        port=port,
        database=database,
        user=credentials.username,
        password=credentials.password,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=_CONNECT_TIMEOUT_SECONDS,
        read_timeout=_READ_TIMEOUT_SECONDS,
        write_timeout=_WRITE_TIMEOUT_SECONDS,
    )
