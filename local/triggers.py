"""Fills tables in a fraction of the time: without the work of triggers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pymysql.connections import Connection
from pymysql.cursors import Cursor


@contextmanager
def without_triggers(owner: Connection[Cursor], named: str = "%") -> Iterator[None]:
    """Drop the triggers whose name is LIKE `named`, and create them again after the block."""
    created = []
    with owner.cursor() as cursor:
        cursor.execute("SHOW TRIGGERS WHERE `Trigger` LIKE %s", (named,))
        for name, *_ in cursor.fetchall():
            cursor.execute(f"SHOW CREATE TRIGGER {name}")
            created.append((cursor.fetchone() or ())[2])
            cursor.execute(f"DROP TRIGGER {name}")
        try:
            yield
        finally:
            for statement in created:
                cursor.execute(statement)
