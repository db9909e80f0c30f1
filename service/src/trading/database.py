"""The connection of an execution environment to its database, and its repair.

The error numbers: https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html
"""

from __future__ import annotations

import functools
import random
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, TypeVar

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import Cursor
from pymysql.err import MySQLError

from trading.errors import DatabaseUnavailable, ReadTimedOut
from trading.secret import Credentials, CredentialStore, SecretUnavailable
from trading.settings import Address
from trading.telemetry import DATABASE_RETRIES, count, logger

CONNECT_SECONDS = 3.0
STATEMENT_SECONDS = 5.0
# So much earlier than the connection gives up, the server stops a read.
_STOPPING_SECONDS = 0.5

# Before the n-th retry: a random time of at most _BACKOFF_SECONDS * 2**n.
# https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
_BACKOFF_SECONDS = 0.02
_BACKOFF_MAX_SECONDS = 1.0

T = TypeVar("T")


class _Cure(Enum):
    REPEAT = auto()
    RECONNECT = auto()
    RENEW_CREDENTIALS = auto()


_CURES = {
    # The server rolled the statement back, so that another one could continue.
    1205: _Cure.REPEAT,  # lock wait timeout
    1213: _Cure.REPEAT,  # deadlock
    1317: _Cure.REPEAT,  # someone killed the statement; for a read, see `_STOPPED`
    # The server has no space for the row until someone frees some.
    1021: _Cure.REPEAT,  # the disk is full
    1114: _Cure.REPEAT,  # the table is full
    # The connection broke or never existed. The statement may have been executed.
    0: _Cure.RECONNECT,  # PyMySQL: the connection is closed on this side
    2003: _Cure.RECONNECT,  # no connection to the host
    2006: _Cure.RECONNECT,  # the server has gone away
    2013: _Cure.RECONNECT,  # lost during a statement
    1053: _Cure.RECONNECT,  # the server is shutting down
    4031: _Cure.RECONNECT,  # the server closed it because it was idle
    # The server accepts no connection for now.
    1040: _Cure.RECONNECT,  # it has as many as it may have
    1203: _Cure.RECONNECT,  # this user has as many as a user may have
    1226: _Cure.RECONNECT,  # this user has as many as its account may have
    1129: _Cure.RECONNECT,  # it blocks this host after failed connections, until a flush
    3032: _Cure.RECONNECT,  # it is in offline mode, for maintenance
    # RDS Proxy, which stands between:
    # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/rds-proxy.troubleshooting.html
    9501: _Cure.RECONNECT,  # it got no connection to the database in time
    1105: _Cure.RECONNECT,  # an error without a number of its own; says nothing of the outcome
    # The server is no longer the writer. The endpoint's name leads to the new one.
    1290: _Cure.RECONNECT,  # read_only
    1792: _Cure.RECONNECT,  # its transactions are read-only
    1836: _Cure.RECONNECT,  # the storage is read-only
    # The password was changed.
    1045: _Cure.RENEW_CREDENTIALS,
}

# The server stopped a read.
_STOPPED = {
    3024,  # MAX_EXECUTION_TIME
    1317,  # the same, in some phases of a statement; or someone killed it
}


@dataclass(frozen=True)
class Deadline:
    """The time by which a request must be answered."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """The deadline in `seconds` from now."""
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Seconds left; negative after the deadline."""
        return self.at - time.monotonic()


def connect(
    address: Address,
    credentials: Credentials,
    *,
    connect_seconds: float = CONNECT_SECONDS,
    statement_seconds: float = STATEMENT_SECONDS,
) -> Connection[Cursor]:
    """Open a connection over verified TLS that commits each statement.

    Raises:
        pymysql.err.OperationalError: no server answers, its certificate is not valid, or it
            refuses the user.
    """
    return pymysql.connect(
        host=address.host,
        port=address.port,
        database=address.database,
        user=credentials.username,
        password=credentials.password,
        ssl=_tls(address.ca_file),
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=connect_seconds,
        read_timeout=statement_seconds,
        write_timeout=statement_seconds,
    )


class Database:
    """One connection, opened at first use, kept, and repaired after errors."""

    def __init__(self, address: Address, credentials: CredentialStore) -> None:
        self._address = address
        self._credentials = credentials
        self._connection: Connection[Cursor] | None = None
        # How many seconds the connection waits for an answer; set when it is opened.
        self._patience = STATEMENT_SECONDS

    def run(self, work: Callable[[Cursor], T], deadline: Deadline) -> T:
        """Do `work`, which must be safe to repeat. Retry errors that can pass until `deadline`.

        Raises:
            DatabaseUnavailable: no retry succeeded in time; `work` may have been done or not.
            pymysql.err.MySQLError: a retry cannot help.
        """
        repetitions = 0
        while True:
            try:
                with self._open(deadline).cursor() as cursor:
                    return work(cursor)
            except (MySQLError, SecretUnavailable) as error:
                if not self._mended(error):
                    raise
                pause = random.uniform(  # noqa: S311 - spreads load, keeps no secret
                    0, min(_BACKOFF_MAX_SECONDS, _BACKOFF_SECONDS * 2**repetitions)
                )
                if deadline.remaining() <= pause:
                    raise DatabaseUnavailable from error
                repetitions += 1
                count(DATABASE_RETRIES)
                logger.warning("database retry", repetition=repetitions, reason=str(error))
                time.sleep(pause)

    def read(
        self, sql: str, values: Sequence[object], deadline: Deadline
    ) -> Sequence[tuple[Any, ...]]:
        """The rows of a SELECT, which the server stops before the request gives up.

        A statement that a client no longer waits for goes on at the server. If it were repeated,
        each caller would load the database several times over.

        Raises:
            ReadTimedOut: the statement took too long.
            DatabaseUnavailable: no retry of another error succeeded in time.
            pymysql.err.MySQLError: a retry cannot help.
        """

        def work(cursor: Cursor) -> Sequence[tuple[Any, ...]]:
            seconds = min(deadline.remaining(), self._patience) - _STOPPING_SECONDS
            try:
                cursor.execute(_limited(sql, seconds), values)
                return cursor.fetchall()
            except MySQLError as error:
                if error.args[0] in _STOPPED:
                    raise ReadTimedOut from error
                if isinstance(error.__context__, TimeoutError):
                    self._close()
                    raise ReadTimedOut from error
                raise

        return self.run(work, deadline)

    def _open(self, deadline: Deadline) -> Connection[Cursor]:
        left = deadline.remaining()
        patience = min(left, STATEMENT_SECONDS)
        # It would wait too long for this request, or was opened when another had little time left.
        if self._patience > left or self._patience < patience == STATEMENT_SECONDS:
            self._close()
        if self._connection is None:
            if left <= 0:
                raise DatabaseUnavailable
            credentials = self._credentials.get()
            try:
                self._connection = connect(
                    self._address,
                    credentials,
                    connect_seconds=min(left, CONNECT_SECONDS),
                    statement_seconds=patience,
                )
            except MySQLError as error:
                if _CURES.get(error.args[0]) is _Cure.RENEW_CREDENTIALS:
                    self._credentials.replace(credentials)
                raise
            self._patience = patience
        return self._connection

    def _mended(self, error: Exception) -> bool:
        """Repair what can be repaired. Return whether a retry may help."""
        if isinstance(error, SecretUnavailable):
            return True
        cure = _CURES.get(error.args[0])
        if cure is _Cure.RECONNECT:
            self._close()
        return cure is not None

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and connection.open:
            connection.close()


def _limited(select: str, seconds: float) -> str:
    """A SELECT that the server stops after a time, or after 1 ms if that is more.

    https://dev.mysql.com/doc/refman/8.0/en/optimizer-hints.html#optimizer-hints-execution-time
    """
    milliseconds = max(1, int(seconds * 1000))
    return f"SELECT /*+ MAX_EXECUTION_TIME({milliseconds}) */ {select.removeprefix('SELECT ')}"


@functools.cache
def _tls(ca_file: str) -> ssl.SSLContext:
    # Only this file, and only once: loading the system's trust store takes 27 ms.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_verify_locations(ca_file)
    return context
