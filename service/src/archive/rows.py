"""The trades of a day, streamed from the database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from pymysql.connections import Connection
from pymysql.cursors import Cursor, SSCursor

from archive.days import bounds
from trading import fields
from trading.store import COLUMNS, quantity_of

_FETCH_ROWS = 1000

_SELECT_DAY = f"""
    SELECT {", ".join(COLUMNS)} FROM trades
    WHERE created_at >= %s AND created_at < %s
    ORDER BY created_at, trade_id
"""  # noqa: S608 - column names only
_SELECT_FIRST = "SELECT MIN(created_at) FROM trades"


def first_day(connection: Connection[Cursor]) -> date | None:
    """The day of the first trade; None if there is no trade."""
    with connection.cursor() as cursor:
        cursor.execute(_SELECT_FIRST)
        row = cursor.fetchone()
    created_at: datetime | None = row[0] if row else None
    return created_at.date() if created_at else None


def rows_of(connection: Connection[Cursor], day: date) -> Iterator[dict[str, Any]]:
    """The trades booked on a day, by column; `quantity` is as the API has it, in one value.

    Rows are streamed: memory holds a thousand at a time.
    """
    with connection.cursor(SSCursor) as cursor:
        cursor.execute(_SELECT_DAY, bounds(day))
        while rows := cursor.fetchmany(_FETCH_ROWS):
            for row in rows:
                trade = dict(zip(COLUMNS, row, strict=True))
                trade["quantity"] = fields.quantity(quantity_of(trade))
                del trade["fraction"]
                yield trade
