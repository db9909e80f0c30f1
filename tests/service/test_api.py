from __future__ import annotations

import base64
import io
import json

import pytest
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from tests.service.conftest import Call, rows
from trading import api

ORDER = '{"symbol":"AAPL","quantity":100}'


def test_a_trade_is_booked_and_answered_in_the_specified_form(
    call: Call, schema: Connection[Cursor]
) -> None:
    status, document, headers = call(ORDER)
    assert status == 200
    assert headers["Content-Type"] == ["application/json"]
    trade_id = document.pop("trade_id")
    assert document == {
        "symbol": "AAPL",
        "quantity": 100,
        "status": "SUCCESS",
        "region": "us-east-1",
        "environment": "test",
        "db_endpoint": "127.0.0.1",
    }
    assert rows(schema, "SELECT trade_id, symbol, quantity, status FROM trades") == [
        (trade_id, "AAPL", 100, "SUCCESS")
    ]


def test_two_identical_requests_are_two_trades(call: Call, schema: Connection[Cursor]) -> None:
    ids = {call(ORDER)[1]["trade_id"] for _ in range(2)}
    assert {row[0] for row in rows(schema, "SELECT trade_id FROM trades")} == ids
    assert len(ids) == 2


def test_a_base64_body_is_read(call: Call, schema: Connection[Cursor]) -> None:
    status, _, _ = call(base64.b64encode(ORDER.encode()).decode(), is_base64_encoded=True)
    assert status == 200
    assert rows(schema, "SELECT COUNT(*) FROM trades") == [(1,)]


@pytest.mark.parametrize(
    ("body", "is_base64_encoded"),
    [
        (None, False),
        ("{}", False),
        ('{"symbol":"AAPL","quantity":0}', False),
        ("not base64!", True),
        (json.dumps({"symbol": "x'; DROP TABLE trades; --", "quantity": 1}), False),
    ],
)
def test_bad_input_is_one_problem_document_and_nothing_is_written(
    call: Call, schema: Connection[Cursor], body: str | None, is_base64_encoded: bool
) -> None:
    status, document, headers = call(body, is_base64_encoded=is_base64_encoded)
    assert status == 400
    assert headers["Content-Type"] == ["application/problem+json"]
    assert set(document) == {"type", "title", "status", "code", "detail", "request_id"}
    assert document["code"] == "INVALID_TRADE"
    assert document["request_id"] == "11111111-2222-4333-8444-555555555555"
    assert rows(schema, "SELECT COUNT(*) FROM trades") == [(0,)]


def test_an_unknown_route_is_not_found(call: Call) -> None:
    status, document, _ = call(None, method="GET", path="/nonsense")
    assert status == 404
    assert document["detail"] == "There is no GET /nonsense."


def test_an_unreachable_database_is_a_503_that_says_when_to_retry(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_PORT", "1")
    api.settings.cache_clear()
    status, document, headers = call(ORDER)
    assert status == 503
    assert document["code"] == "DATABASE_UNAVAILABLE"
    assert headers["Retry-After"] == ["1"]


def test_a_defect_is_a_500_without_details_for_the_caller(
    call: Call, schema: Connection[Cursor], logs: io.StringIO
) -> None:
    with schema.cursor() as cursor:
        cursor.execute("DROP TABLE trades")
    status, document, _ = call(ORDER)
    assert status == 500
    assert document["code"] == "INTERNAL_ERROR"
    assert "trades'" not in document["detail"]
    assert "ProgrammingError" in logs.getvalue()


def test_logs_carry_the_request_and_no_payload_and_no_password(
    call: Call, logs: io.StringIO
) -> None:
    call(ORDER)
    lines = [json.loads(line) for line in logs.getvalue().splitlines()]
    (booked,) = (line for line in lines if line["message"] == "trade booked")
    assert booked["correlation_id"] == "11111111-2222-4333-8444-555555555555"
    text = json.dumps(lines)
    assert "admin-password" not in text
    assert "AAPL" not in text
