"""The floor: one parameterised INSERT on an open connection, and nothing else."""

from __future__ import annotations

import os
import secrets
import ssl
from datetime import UTC, datetime
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import Cursor

INSERT = (
    "INSERT INTO trades (trade_id, created_at, symbol, quantity, side, price, client_order_id, "
    "caller, account, principal, status, voided_at, voided_by) "
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)

_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_tls.load_verify_locations(os.environ["DATABASE_CA_FILE"])


def connect() -> Connection[Cursor]:
    """A connection over verified TLS that commits each statement."""
    return pymysql.connect(
        host=os.environ["DATABASE_WRITER_ENDPOINT"],
        port=int(os.environ["DATABASE_PORT"]),
        database=os.environ["DATABASE_NAME"],
        user=os.environ["DATABASE_USER"],
        password=os.environ["DATABASE_PASSWORD"],
        ssl=_tls,
        autocommit=True,
    )


def insert(connection: Connection[Cursor], key: str) -> str:
    """Insert the same trade with a new ID, and return the ID."""
    now = datetime.now(UTC).replace(tzinfo=None)
    trade_id = f"TRADE-{int(now.timestamp() * 1000):012X}{secrets.token_hex(7).upper()}"
    with connection.cursor() as cursor:
        cursor.execute(
            INSERT,
            (
                *(trade_id, now, "AAPL", 100, "SELL", "189.25", key),
                *("anonymous", None, "anonymous", "SUCCESS", None, None),
            ),
        )
    return trade_id


connection: Connection[Cursor] | None = None


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Insert a trade with the request's key."""
    global connection  # noqa: PLW0603
    connection = connection or connect()
    trade_id = insert(connection, event["headers"]["Idempotency-Key"])
    return {"statusCode": 200, "body": f'{{"trade_id": "{trade_id}"}}'}
