"""Applies the SQL files of `migrations/`, in order, each once.

Why not a library: yoyo-migrations identifies a file by its name and not by its content, keeps its
lock in a row that outlives a killed runner, and cannot tell what a killed runner had done. MySQL's
own named lock ends with its connection, once the statement that ran on it has ended too.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pymysql.connections import Connection
from pymysql.constants import ER
from pymysql.cursors import Cursor
from pymysql.err import MySQLError

# How long a second runner waits for the first, in seconds.
_LOCK_TIMEOUT_SECONDS = 60
# How long a statement waits for transactions that use its table, in seconds. All later statements
# on the table wait behind it: rather no migration than no trades. MySQL's default is a year.
_TABLE_LOCK_TIMEOUT_SECONDS = 10
_FILE_NAME = re.compile(r"\d{4}_[a-z0-9_]+\.sql")

_CREATE_HISTORY = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        name VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
        checksum CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        started_at DATETIME(6) NOT NULL,
        applied_at DATETIME(6) NULL
    ) ENGINE = InnoDB
"""

# What a statement that makes something says when that is there already.
_DONE_BEFORE = {ER.TABLE_EXISTS_ERROR, ER.DUP_FIELDNAME, ER.DUP_KEYNAME}


class MigrationError(Exception):
    """The migrations cannot go on; the text says which file and why."""


@dataclass(frozen=True)
class Migration:
    """One file: one statement, for MySQL cannot roll back a half-done file of DDL."""

    name: str
    statement: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the statement, in hexadecimal."""
        return hashlib.sha256(self.statement.encode()).hexdigest()


def load_migrations(folder: Path) -> tuple[Migration, ...]:
    """Read the SQL files of a folder, in the order of their names.

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
    """Apply what has not been applied, under a lock, and return the names of what was.

    MySQL makes each statement whole or not at all, so that every migration is always in one of
    three states: not applied, applied, or started by a runner that was killed. The next run finds
    out about the last ones by running their statements again.

    Raises:
        MigrationError: an applied file was changed since, a statement failed (those
            before it are applied), or another runner holds the lock for too long.
        pymysql.err.MySQLError: the connection broke; run again.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT GET_LOCK(CONCAT(DATABASE(), '.migrations'), %s)", (_LOCK_TIMEOUT_SECONDS,)
        )
        if cursor.fetchone() != (1,):
            raise MigrationError("another migration of this database is still running")
        try:
            cursor.execute("SET SESSION lock_wait_timeout = %s", (_TABLE_LOCK_TIMEOUT_SECONDS,))
            cursor.execute(_CREATE_HISTORY)
            return _apply_pending(cursor, migrations)
        finally:
            if connection.open:
                cursor.execute("SELECT RELEASE_LOCK(CONCAT(DATABASE(), '.migrations'))")


def _apply_pending(cursor: Cursor, migrations: tuple[Migration, ...]) -> list[str]:
    cursor.execute("SELECT name, checksum, applied_at IS NOT NULL FROM schema_migrations")
    history = {name: (checksum, bool(applied)) for name, checksum, applied in cursor.fetchall()}
    # What only the history knows is from a later release: a deploy that was rolled back.
    for migration in migrations:
        if history.get(migration.name, (migration.checksum,))[0] != migration.checksum:
            raise MigrationError(
                f"{migration.name} was changed after it was applied; add a new file"
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
    # A change of data and its record are one transaction; a change of schema ends it by itself.
    cursor.execute("BEGIN")
    try:
        cursor.execute(migration.statement)
    except MySQLError as error:
        if not (was_started and error.args[0] in _DONE_BEFORE):
            _forget(cursor, migration, error)
    cursor.execute(
        "UPDATE schema_migrations SET applied_at = UTC_TIMESTAMP(6) WHERE name = %s",
        (migration.name,),
    )
    cursor.execute("COMMIT")


def _forget(cursor: Cursor, migration: Migration, error: MySQLError) -> NoReturn:
    if not cursor.connection.open:
        # Whether the statement was carried out is for the next run to find out.
        raise error
    cursor.execute("ROLLBACK")
    cursor.execute("DELETE FROM schema_migrations WHERE name = %s", (migration.name,))
    raise MigrationError(f"{migration.name} failed and was not applied: {error}") from error
