"""One INSERT on a new connection per request, with PyMySQL's usual TLS settings."""

import os
from typing import Any

import pymysql

from benchmarks.contenders.bare import insert


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Insert a trade with the request's key."""
    connection = pymysql.connect(
        host=os.environ["DATABASE_WRITER_ENDPOINT"],
        port=int(os.environ["DATABASE_PORT"]),
        database=os.environ["DATABASE_NAME"],
        user=os.environ["DATABASE_USER"],
        password=os.environ["DATABASE_PASSWORD"],
        ssl_ca=os.environ["DATABASE_CA_FILE"],
        autocommit=True,
    )
    with connection:
        trade_id = insert(connection, event["headers"]["Idempotency-Key"])
    return {"statusCode": 200, "body": f'{{"trade_id": "{trade_id}"}}'}
