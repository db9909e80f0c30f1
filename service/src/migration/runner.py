"""Applies the SQL files of `migrations/`, in order, each once.

Why not a library: yoyo-migrations identifies a file by its name and not by its content, and keeps
its lock in a row that outlives a killed runner. MySQL's own named lock ends with its connection.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from pymysql.connections import Connection
from pymysql.cursors import Cursor

# How long a second runner waits for the first, in seconds.
_LOCK_TIMEOUT_SECONDS = 60
_FILE_NAME = re.compile(r"\d{4}_[a-z0-9_]+\.sql")

_CREATE_HISTORY = """
    CREATE TABLE IF NOT EXISTS schema_migrations (
        name VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
        checksum CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
        applied_at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6)
    ) ENGINE = InnoDB
"""


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

    Raises:
        MigrationError: an applied file was changed or removed since, or another runner holds the
            lock for too long.
        pymysql.err.MySQLError: a statement failed; those before it are recorded as applied.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT GET_LOCK(CONCAT(DATABASE(), '.migrations'), %s)", (_LOCK_TIMEOUT_SECONDS,)
        )
        if cursor.fetchone() != (1,):
            raise MigrationError("another migration of this database is still running")
        try:
            cursor.execute(_CREATE_HISTORY)
            return _apply_pending(cursor, migrations)
        finally:
            cursor.execute("SELECT RELEASE_LOCK(CONCAT(DATABASE(), '.migrations'))")


def _apply_pending(cursor: Cursor, migrations: tuple[Migration, ...]) -> list[str]:
    cursor.execute("SELECT name, checksum FROM schema_migrations")
    history = dict(cursor.fetchall())
    for migration in migrations:
        if history.get(migration.name, migration.checksum) != migration.checksum:
            raise MigrationError(
                f"{migration.name} was changed after it was applied; add a new file"
            )
    pending = [migration for migration in migrations if migration.name not in history]
    for migration in pending:
        cursor.execute(migration.statement)
        cursor.execute(
            "INSERT INTO schema_migrations (name, checksum) VALUES (%s, %s)",
            (migration.name, migration.checksum),
        )
    return [migration.name for migration in pending]
