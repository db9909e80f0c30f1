"""Applies the SQL files of `migrations/`, in order, each once.

Why not a library: yoyo-migrations identifies a file by its name and not by its content, keeps its
lock in a row that outlives a killed runner, and cannot tell what a killed runner did. MySQL's named
locks end with their connection, after the statement that runs on it.
"""

from __future__ import annotations

import hashlib
import random
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pymysql.connections import Connection
from pymysql.constants import ER
from pymysql.cursors import Cursor
from pymysql.err import MySQLError

from trading.telemetry import logger

# How many seconds a second runner waits for the first.
_LOCK_TIMEOUT_SECONDS = 60
# How many seconds a statement waits for transactions that use its table. All later statements on
# the table wait behind it, so it gives up soon and tries again later. MySQL's default is a year.
_TABLE_LOCK_TIMEOUT_SECONDS = 1
_TABLE_LOCK_TRIES = 15
# Between two tries, callers trade for a random time of these seconds.
_TABLE_LOCK_PAUSE_SECONDS = (1.0, 3.0)
# Between two batches of rows, others get the rows' locks and replicas catch up.
_BATCH_PAUSE_SECONDS = 0.01
# So many batches in a row that are not full end a run of batches.
_SMALL_BATCHES = 5
# A run of batches ends before the function does. The next deploy continues.
_BATCHES_SECONDS = 200
_IN_BATCHES = re.compile(r"^-- repeat until no row changes$", re.MULTILINE)
_LIMIT = re.compile(r"\bLIMIT\s+(\d+)", re.IGNORECASE)
_FILE_NAME = re.compile(r"\d{4}_[a-z0-9_]+\.sql")

_CREATE_HISTORY = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        name VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
        checksum CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        started_at DATETIME(6) NOT NULL,
        applied_at DATETIME(6) NULL
    ) ENGINE = InnoDB
"""

# The errors of a statement that creates what already exists, or drops what is gone.
_DONE_BEFORE = {
    ER.TABLE_EXISTS_ERROR,
    ER.DUP_FIELDNAME,
    ER.DUP_KEYNAME,
    ER.TRG_ALREADY_EXISTS,
    ER.CANT_DROP_FIELD_OR_KEY,
    3940,  # no such constraint (MySQL)
}


class MigrationError(Exception):
    """The migrations cannot continue. The text says which file is the problem and why."""


class MoreRows(MigrationError):
    """The rows of a migration take longer than one deploy has. The next deploy goes on."""


@dataclass(frozen=True)
class Migration:
    """One file with one statement, because MySQL cannot roll back half a file of DDL."""

    name: str
    statement: str

    @property
    def is_in_batches(self) -> bool:
        """Whether the statement has a LIMIT of rows, and is repeated until none is left."""
        return bool(_IN_BATCHES.search(self.statement) and _LIMIT.search(self.statement))

    @property
    def checksum(self) -> str:
        """SHA-256 of the statement, in hexadecimal."""
        return hashlib.sha256(self.statement.encode()).hexdigest()


def load_migrations(folder: Path) -> tuple[Migration, ...]:
    """Read the SQL files of a folder, sorted by name.

    Raises:
        MigrationError: a file's name is not of the form `0001_what_it_does.sql`.
    """
    files = sorted(folder.glob("*.sql"))
    for file in files:
        if not _FILE_NAME.fullmatch(file.name):
            raise MigrationError(f"{file.name}: name a migration as in 0001_what_it_does.sql")
    return tuple(Migration(file.stem, file.read_text()) for file in files)


def apply_migrations(
    connection: Connection[Cursor], migrations: tuple[Migration, ...]
) -> list[str]:
    """Apply pending migrations under a lock, and return their names.

    MySQL's DDL is atomic, so that a migration is always in one of three states: not applied,
    applied, or started by a runner that was killed or stopped waiting. The next run resolves the
    last state by running the statement again.

    Raises:
        MigrationError: an applied file was changed, a statement failed (earlier files stay
            applied), a statement or another runner still runs.
        MoreRows: the migrations are not done; run again.
        pymysql.err.MySQLError: the connection broke; run again.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT GET_LOCK(CONCAT(DATABASE(), '.migrations'), %s)", (_LOCK_TIMEOUT_SECONDS,)
        )
        if cursor.fetchone() != (1,):
            raise MigrationError(
                "a statement of an earlier run, or another run, still works on this database; "
                "deploy again when it has ended"
            )
        try:
            cursor.execute("SET SESSION lock_wait_timeout = %s", (_TABLE_LOCK_TIMEOUT_SECONDS,))
            # Otherwise, `INSERT … SELECT` locks the rows that it reads, and trades wait for it.
            # https://dev.mysql.com/doc/refman/8.0/en/innodb-locks-set.html
            cursor.execute("SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED")
            cursor.execute(_CREATE_HISTORY)
            return _apply_pending(cursor, migrations)
        finally:
            if connection.open:
                cursor.execute("SELECT RELEASE_LOCK(CONCAT(DATABASE(), '.migrations'))")


def _apply_pending(cursor: Cursor, migrations: tuple[Migration, ...]) -> list[str]:
    cursor.execute("SELECT name, checksum, applied_at IS NOT NULL FROM schema_migrations")
    history = {name: (checksum, bool(applied)) for name, checksum, applied in cursor.fetchall()}
    # Names that only the history has are from a later release that was rolled back.
    for migration in migrations:
        if history.get(migration.name, (migration.checksum,))[0] != migration.checksum:
            raise MigrationError(
                f"{migration.name} was changed after it was applied here: put the change in a new "
                "file; or, in a preview, remove the preview and release it again"
            )
    pending = [m for m in migrations if not history.get(m.name, ("", False))[1]]
    for migration in pending:
        _apply(cursor, migration, was_started=migration.name in history)
    return [migration.name for migration in pending]


def _apply(cursor: Cursor, migration: Migration, *, was_started: bool) -> None:
    if not was_started:
        cursor.execute(
            "INSERT INTO schema_migrations (name, checksum, started_at) "
            "VALUES (%s, %s, UTC_TIMESTAMP(6))",
            (migration.name, migration.checksum),
        )
    try:
        if migration.is_in_batches:
            _run_in_batches(cursor, migration)
        # A change of data and its record are one transaction. DDL commits implicitly.
        cursor.execute("BEGIN")
        _run_in_tries(cursor, migration.statement)
    except MySQLError as error:
        if not (was_started and error.args[0] in _DONE_BEFORE):
            _fail(cursor, migration, error)
    cursor.execute(
        "UPDATE schema_migrations SET applied_at = UTC_TIMESTAMP(6) WHERE name = %s",
        (migration.name,),
    )
    cursor.execute("COMMIT")


def _run_in_batches(cursor: Cursor, migration: Migration) -> None:
    """Repeat a statement, each time in a transaction of its own, until it changes no row.

    The running release may add rows to change all the time. So it also ends after some batches in a
    row that were not full: what was there at first is done.
    """
    deadline = time.monotonic() + _BATCHES_SECONDS
    full = int(_LIMIT.findall(migration.statement)[-1])
    small = 0
    while small < _SMALL_BATCHES and (changed := _run_in_tries(cursor, migration.statement)):
        small = small + 1 if changed < full else 0
        if time.monotonic() > deadline:
            raise MoreRows(
                f"{migration.name} still has rows to change; deploy again: that deploy goes on"
            )
        time.sleep(_BATCH_PAUSE_SECONDS)


def _run_in_tries(cursor: Cursor, statement: str) -> int:
    """Run a statement, again if it does not get its locks. Return how many rows it changed.

    While a statement waits for its table, all other statements on the table wait behind it. Several
    short waits stop nobody for long, and meet the end of the transaction that is in the way.
    """
    tries = 1
    while True:
        try:
            return cursor.execute(statement)
        except MySQLError as error:
            if error.args[0] != ER.LOCK_WAIT_TIMEOUT or tries == _TABLE_LOCK_TRIES:
                raise
        pause = random.uniform(*_TABLE_LOCK_PAUSE_SECONDS)  # noqa: S311 - keeps no secret
        logger.warning("table is in use", tries=tries, pause_seconds=round(pause, 1))
        time.sleep(pause)
        tries += 1


def _fail(cursor: Cursor, migration: Migration, error: MySQLError) -> NoReturn:
    if isinstance(error.__context__, TimeoutError):
        # The server goes on with the statement, and its connection keeps the lock of this run.
        raise MigrationError(
            f"{migration.name} takes longer than a deploy waits and still runs on the server; "
            "deploy again when it has ended: that deploy finishes it"
        ) from error
    if not cursor.connection.open:
        # The next run finds out whether the statement was carried out.
        raise error
    cursor.execute("ROLLBACK")
    cursor.execute("DELETE FROM schema_migrations WHERE name = %s", (migration.name,))
    raise MigrationError(f"{migration.name} failed and was not applied: {error}") from error
