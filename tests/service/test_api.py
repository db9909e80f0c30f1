from __future__ import annotations

import base64
import dataclasses
import io
import json
import re
from datetime import datetime
from typing import Any

import pytest
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from tests.service.conftest import ALICE, APP, APP_SECRET_ARN, BOB, Call, Secrets, rows
from trading import api, fields, paging
from trading.errors import InvalidCursor
from trading.models import PagePosition, TradeFilter
from trading.secret import CURRENT

ORDER = '{"symbol":"AAPL","quantity":100}'
FULL = '{"symbol":"MSFT","quantity":7,"side":"SELL","price":"189.250","client_order_id":"desk-7:1"}'
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"


def book(call: Call, body: str = ORDER, identity: dict[str, str] | None = None) -> str:
    status, document, _ = call(body, identity=identity)
    assert status == 200, document
    trade_id: str = document["trade_id"]
    return trade_id


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
    assert rows(schema, "SELECT trade_id, symbol, quantity, side, status FROM trades") == [
        (trade_id, "AAPL", 100, "BUY", "SUCCESS")
    ]


def test_further_fields_do_not_change_the_form_of_the_answer(call: Call) -> None:
    assert call(FULL)[1].keys() == call(ORDER)[1].keys()


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
        ("ä", True),
        ("\ud800", False),
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
    assert document["title"] == "Bad Request"
    assert document["request_id"] == "11111111-2222-4333-8444-555555555555"
    assert rows(schema, "SELECT COUNT(*) FROM trades") == [(0,)]


def test_validating_books_nothing_and_needs_no_database(
    call: Call, schema: Connection[Cursor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_PORT", "1")
    status, document, _ = call(FULL[:-1] + ',"validate_only":true}')
    assert status == 200
    assert document == {
        **dict.fromkeys(fields.ANSWERED_ORDER),
        "symbol": "MSFT",
        "quantity": 7,
        "side": "SELL",
        "price": "189.25",
        "client_order_id": "desk-7:1",
        "status": "VALID",
    }
    assert call('{"symbol":"","quantity":1,"validate_only":true}')[0] == 400
    assert rows(schema, "SELECT COUNT(*) FROM trades") == [(0,)]


def test_a_trade_is_shown_whole_with_who_booked_it(call: Call) -> None:
    trade_id = book(call, FULL, ALICE)
    status, document, _ = call(method="GET", path=f"/trade/{trade_id}")
    assert status == 200
    assert re.fullmatch(TIME, document.pop("created_at"))
    assert document == {
        **dict.fromkeys(fields.ANSWERED_ORDER),
        "trade_id": trade_id,
        "status": "SUCCESS",
        "symbol": "MSFT",
        "quantity": 7,
        "side": "SELL",
        "price": "189.25",
        "client_order_id": "desk-7:1",
        "account": ALICE["accountId"],
        "principal": ALICE["userArn"],
        "voided_at": None,
        "voided_by": None,
        "void_reason": None,
    }


def test_a_trade_without_authorisation_is_anonymous(call: Call) -> None:
    _, document, _ = call(method="GET", path=f"/trade/{book(call)}")
    assert (document["account"], document["principal"]) == (None, "anonymous")
    assert (document["price"], document["client_order_id"]) == (None, None)


def test_a_caller_without_an_arn_is_recorded_by_its_id(call: Call) -> None:
    trade_id = book(call, identity={"accountId": "111122223333", "caller": "111122223333:eve"})
    _, document, _ = call(method="GET", path=f"/trade/{trade_id}")
    assert document["principal"] == "111122223333:eve"


def test_a_trade_is_found_by_its_callers_own_name_for_it(call: Call) -> None:
    trade_id = book(call, FULL, ALICE)
    query = {"client_order_id": ["desk-7:1"]}
    status, document, _ = call(method="GET", query=query, identity=ALICE)
    assert (status, document["trade_id"]) == (200, trade_id)
    status, problem, _ = call(method="GET", query=query, identity=BOB)
    assert (status, problem["code"]) == (404, "TRADE_NOT_FOUND")


@pytest.mark.parametrize("trade_id", ["TRADE-" + "0" * 26, "TRADE-1", "x", "%27 OR 1"])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_trade_that_is_not_there_is_not_found(call: Call, method: str, trade_id: str) -> None:
    status, problem, _ = call(method=method, path=f"/trade/{trade_id}")
    assert (status, problem["code"]) == (404, "TRADE_NOT_FOUND")


def test_a_trade_is_voided_once_and_for_all_and_stays_in_the_book(
    call: Call, schema: Connection[Cursor]
) -> None:
    trade_id = book(call, identity=ALICE)
    status, first, _ = call(method="DELETE", path=f"/trade/{trade_id}", identity=ALICE)
    assert status == 200
    assert first["status"] == "VOID"
    assert re.fullmatch(TIME, first["voided_at"])
    assert (first["voided_by"], first["void_reason"]) == (ALICE["userArn"], None)
    assert call(method="DELETE", path=f"/trade/{trade_id}", identity=ALICE)[:2] == (200, first)
    assert void(call, trade_id, "again", BOB)[:2] == (200, first)
    assert call(method="GET", path=f"/trade/{trade_id}")[1] == first
    assert rows(schema, "SELECT trade_id, status FROM trades") == [(trade_id, "VOID")]


def void(
    call: Call, trade_id: str, reason: str, identity: dict[str, str]
) -> tuple[int, dict[str, Any], dict[str, list[str]]]:
    body = json.dumps({"reason": reason})
    return call(body, path=f"/trade/{trade_id}/void", identity=identity)


def test_another_callers_trade_is_voided_only_on_the_route_for_that_and_with_a_reason(
    call: Call, schema: Connection[Cursor]
) -> None:
    trade_id = book(call, identity=ALICE)
    status, problem, _ = call(method="DELETE", path=f"/trade/{trade_id}", identity=BOB)
    assert (status, problem["code"]) == (403, "NOT_YOUR_TRADE")
    assert f"POST /trade/{trade_id}/void" in problem["detail"]
    assert rows(schema, "SELECT status FROM trades") == [("SUCCESS",)]

    status, document, _ = void(call, trade_id, "wrong \N{EURO SIGN} price", BOB)
    assert (status, document["status"]) == (200, "VOID")
    assert (document["principal"], document["voided_by"]) == (ALICE["userArn"], BOB["userArn"])
    assert document["void_reason"] == "wrong \N{EURO SIGN} price"
    # The trade stays another caller's.
    assert call(method="DELETE", path=f"/trade/{trade_id}", identity=BOB)[0] == 403


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{}", "The field 'reason' is missing."),
        ('{"reason":""}', "The field 'reason' must be 1 to 200 characters without line breaks"),
        ('{"reason":"a\\nb"}', "The field 'reason' must be 1 to 200 characters"),
        (json.dumps({"reason": "x" * 201}), "The field 'reason' must be 1 to 200 characters"),
        ('{"reason":"x","force":true}', "The field 'force' is unknown"),
        ("[]", 'The body must be a JSON object such as {"reason":"wrong quantity"}.'),
        (None, "The body is not valid JSON."),
    ],
)
def test_a_void_without_a_proper_reason_is_refused(
    call: Call, schema: Connection[Cursor], body: str | None, reason: str
) -> None:
    status, problem, _ = call(body, path=f"/trade/{book(call)}/void")
    assert (status, problem["code"]) == (400, "INVALID_VOID")
    assert reason in problem["detail"]
    assert rows(schema, "SELECT status FROM trades") == [("SUCCESS",)]


def test_a_trade_and_its_void_lead_to_their_requests_and_keys(
    call: Call, schema: Connection[Cursor]
) -> None:
    void(call, book(call, identity=ALICE), "wrong price", BOB | {"accessKey": "AKIABOB"})
    assert rows(schema, "SELECT caller, access_key, request_id FROM trades") == [
        ("AROAALICE", "ASIAALICE", "YZabcEXAMPLE=")
    ]
    assert rows(
        schema, "SELECT voided_caller, voided_access_key, voided_request_id FROM trades"
    ) == [("AIDABOB", "AKIABOB", "YZabcEXAMPLE=")]


def trades(call: Call, **query: str) -> dict[str, Any]:
    status, document, _ = call(
        method="GET", path="/trades", query={name: [value] for name, value in query.items()}
    )
    assert status == 200, document
    return document


def test_trades_are_listed_page_by_page_newest_first(call: Call) -> None:
    booked = [book(call) for _ in range(5)]
    page = trades(call, limit="2")
    pages = [page]
    while "next_cursor" in page:
        page = trades(call, limit="2", cursor=page["next_cursor"])
        pages.append(page)
    assert [len(page["trades"]) for page in pages] == [2, 2, 1]
    assert [t["trade_id"] for page in pages for t in page["trades"]] == booked[::-1]


def test_filters_of_the_list_are_the_callers(call: Call) -> None:
    first = trades_of(call, book(call))
    book(call, FULL)
    assert [t["symbol"] for t in trades(call, symbol="MSFT")["trades"]] == ["MSFT"]
    assert [t["symbol"] for t in trades(call, side="BUY", status="SUCCESS")["trades"]] == ["AAPL"]
    assert trades(call, status="VOID")["trades"] == []
    assert trades(call, to=first["created_at"])["trades"] == []
    assert first in trades(call, **{"from": first["created_at"]})["trades"]
    assert trades(call, consistent="true")["trades"][-1] == first


def trades_of(call: Call, trade_id: str) -> dict[str, Any]:
    return call(method="GET", path=f"/trade/{trade_id}")[1]


def test_a_cursor_is_good_for_its_own_list_only(call: Call) -> None:
    for _ in range(3):
        book(call)
    cursor = trades(call, limit="1")["next_cursor"]
    assert len(cursor) % 4 == 0  # no letter of it has bits that do not count
    for query in (
        *({"cursor": changed(cursor, place)} for place in (0, 50, -1)),
        {"cursor": "A"},
        {"cursor": cursor[:-4]},
        {"cursor": cursor, "symbol": "AAPL"},
    ):
        status, problem, _ = call(
            method="GET", path="/trades", query={name: [value] for name, value in query.items()}
        )
        assert (status, problem["code"]) == (400, "INVALID_CURSOR")


def changed(cursor: str, place: int) -> str:
    letters = [*cursor]
    letters[place] = "A" if letters[place] != "A" else "B"
    return "".join(letters)


# What the first release gave for the trade below, under the key of the tests' secret.
FIRST_RELEASE = {
    "all": (
        TradeFilter(),
        "5qLAywMKGDy81RAxzgrD5DIwMjYtMDEtMzFUMDk6MzA6MDAuMD"
        "AwMDAwfFRSQURFLTAxOUMxMUI1QTBGODNEMUU1QjdDOUEyRjQw",
    ),
    "some": (
        TradeFilter(
            symbol="AAPL",
            side="SELL",
            since=datetime(2026, 1, 1),
            before=datetime(2026, 2, 1, 0, 0, 0, 5),
        ),
        "K_bwtZ8CIeqvSbz-eKQ0sDIwMjYtMDEtMzFUMDk6MzA6MDAuMD"
        "AwMDAwfFRSQURFLTAxOUMxMUI1QTBGODNEMUU1QjdDOUEyRjQw",
    ),
}


@pytest.mark.parametrize("name", FIRST_RELEASE)
def test_cursors_pass_between_this_release_and_the_first(name: str) -> None:
    wanted, cursor = FIRST_RELEASE[name]
    place = PagePosition(datetime(2026, 1, 31, 9, 30), "TRADE-019C11B5A0F83D1E5B7C9A2F40")
    assert paging.encode(place, wanted, "cursor-key") == cursor
    assert paging.decode(cursor, wanted, "cursor-key") == place


def test_a_filter_that_is_added_changes_only_the_cursors_of_lists_that_use_it() -> None:
    @dataclasses.dataclass(frozen=True)
    class Later(TradeFilter):
        account: str | None = None

    wanted, cursor = FIRST_RELEASE["some"]
    assert paging.decode(cursor, Later(**vars(wanted)), "cursor-key")
    with pytest.raises(InvalidCursor):
        paging.decode(cursor, Later(**vars(wanted), account="111122223333"), "cursor-key")


def test_a_list_without_a_key_for_cursors_is_refused(call: Call, secrets: Secrets) -> None:
    secrets.values[APP_SECRET_ARN, CURRENT] = json.dumps(
        {"username": APP.username, "password": APP.password}
    )
    status, problem, _ = call(method="GET", path="/trades")
    assert (status, problem["code"]) == (503, "DATABASE_UNAVAILABLE")
    assert "no 'cursor_key'" in problem["detail"]
    assert call(ORDER)[0] == 200


def test_a_cursor_survives_a_new_password_and_a_new_execution_environment(
    call: Call, schema: Connection[Cursor], secrets: Secrets
) -> None:
    for _ in range(2):
        book(call)
    page = trades(call, limit="1")
    schema.query("ALTER USER trade_app@'%' IDENTIFIED BY 'new-password'")
    secrets.set(dataclasses.replace(APP, password="new-password"))
    api.environment.cache_clear()
    assert len(trades(call, limit="1", cursor=page["next_cursor"])["trades"]) == 1


@pytest.mark.parametrize(
    "query",
    [
        {"limit": ["0"]},
        {"limit": ["201"]},
        {"limit": ["ten"]},
        {"limit": ["1.0"]},
        {"form": ["2026-01-31T00:00:00Z"]},
        {"from": ["2026-01-31"]},
        {"from": ["2026-02-30T00:00:00Z"]},
        {"to": ["2026-01-31T00:00:00 01:00"]},
        {"side": ["buy"]},
        {"status": ["OPEN"]},
        {"symbol": ["A", "B"]},
        {"consistent": ["yes"]},
        {"cursor": ["!"]},
    ],
)
def test_a_wrong_parameter_is_named(call: Call, query: dict[str, list[str]]) -> None:
    status, problem, _ = call(method="GET", path="/trades", query=query)
    assert (status, problem["code"]) == (400, "INVALID_PARAMETER")
    assert repr(next(iter(query))) in problem["detail"]


def test_a_lookup_needs_its_parameter(call: Call) -> None:
    status, problem, _ = call(method="GET")
    assert (status, problem["detail"]) == (400, "The parameter 'client_order_id' is missing.")


def test_positions_are_shown_by_symbol(call: Call) -> None:
    book(call)
    book(call, FULL)
    call(method="DELETE", path=f"/trade/{book(call)}")
    msft = {"symbol": "MSFT", "quantity": -7, "exact_quantity": "-7"}
    _, document, _ = call(method="GET", path="/positions")
    assert document == {
        "positions": [{"symbol": "AAPL", "quantity": 100, "exact_quantity": "100"}, msft]
    }
    _, document, _ = call(method="GET", path="/positions", query={"symbol": ["MSFT"]})
    assert document == {"positions": [msft]}


def test_positions_are_shown_page_by_page(call: Call, schema: Connection[Cursor]) -> None:
    symbols = ["A", "A-B", "A.B", "B", "BRK.B"]
    for symbol in symbols[::-1]:
        book(call, f'{{"symbol":"{symbol}","quantity":1}}')
    # With the application's password, others can book what the service would not.
    schema.query("UPDATE positions SET symbol = 'A*\\n' WHERE symbol = 'A-B'")
    pages: list[list[str]] = []
    cursor: list[str] | None = None
    while cursor != [None]:
        query = {"limit": ["2"]} | ({"cursor": cursor} if cursor else {})
        _, page, _ = call(method="GET", path="/positions", query=query)
        pages.append([position["symbol"] for position in page["positions"]])
        cursor = [page.get("next_cursor")]
    assert pages == [["A", "A*\n"], ["A.B", "B"], ["BRK.B"]]


@pytest.mark.parametrize(
    ("sent", "answered", "position"),
    [
        ('"0.5"', "0.5", "0.5"),
        ('"12.50"', "12.5", "12.5"),
        ('"0.000000001"', "0.000000001", "0.000000001"),
        ('"999999999.999999999"', "999999999.999999999", "999999999.999999999"),
        ('"100"', 100, "100"),
        ('"7.000"', 7, "7"),
        ("1000000000", 1_000_000_000, "1000000000"),
    ],
)
def test_a_quantity_is_exact_and_a_number_if_it_is_whole(
    call: Call, sent: str, answered: object, position: str
) -> None:
    body = f'{{"symbol":"BTC/USD","quantity":{sent},"client_order_id":"key"}}'
    status, booked, _ = call(body)
    assert (status, booked["quantity"]) == (200, answered)
    # The same quantity in another form is the same request.
    same = json.dumps(answered)
    replay = f'{{"symbol":"BTC/USD","quantity":{same},"client_order_id":"key"}}'
    _, again, headers = call(replay)
    assert headers["Idempotency-Replayed"] == ["true"]
    assert again["quantity"] == answered
    _, shown, _ = call(method="GET", path=f"/trade/{booked['trade_id']}")
    assert shown["quantity"] == answered
    _, document, _ = call(method="GET", path="/positions")
    assert document["positions"] == [
        {"symbol": "BTC/USD", "quantity": answered, "exact_quantity": position}
    ]


@pytest.mark.parametrize(
    "sent",
    [
        *("0", "-1", "0.5", "1.5", "1000000001", "true", "null", "[]"),
        *('"0"', '"0.0"', '"-1"', '"+1"', '"1e2"', '"01"', '".5"', '"1."', '"1,5"', '""'),
        *('"0.0000000001"', '"1000000000"', '"NaN"'),
    ],
)
def test_a_wrong_quantity_is_told_both_forms(call: Call, sent: str) -> None:
    status, problem, _ = call(f'{{"symbol":"AAPL","quantity":{sent}}}')
    assert status == 400
    assert problem["detail"] == (
        "The field 'quantity' must be a whole number from 1 to 1000000000, or a string such as "
        '"0.5": a decimal number above 0 with at most 9 digits before and 9 after the point.'
    )


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("position", "is_number"), [(2**53 - 1, True), (2**53, False), (10**25 + 1, False)]
)
def test_a_position_that_readers_of_numbers_would_round_is_a_string(
    call: Call, schema: Connection[Cursor], position: int, is_number: bool, sign: int
) -> None:
    book(call)
    with schema.cursor() as cursor:
        cursor.execute("UPDATE positions SET quantity = %s", (sign * position,))
    _, document, _ = call(method="GET", path="/positions")
    exact = str(sign * position)
    shown = sign * position if is_number else exact
    assert document["positions"] == [{"symbol": "AAPL", "quantity": shown, "exact_quantity": exact}]


def test_the_service_is_alive_without_its_database_but_not_ready(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call(method="GET", path="/health/ready")[:2] == (200, {"status": "ready"})
    monkeypatch.setenv("DATABASE_PORT", "1")
    api.environment.cache_clear()
    assert call(method="GET", path="/health")[:2] == (200, {"status": "ok"})
    status, problem, _ = call(method="GET", path="/health/ready", remaining_seconds=1.2)
    assert (status, problem["code"]) == (503, "DATABASE_UNAVAILABLE")


def test_an_unknown_route_is_not_found(call: Call) -> None:
    status, document, _ = call(method="GET", path="/nonsense")
    assert status == 404
    assert document["code"] == "NOT_FOUND"
    assert document["detail"] == "There is no /nonsense."


def test_a_method_that_a_path_does_not_have_is_named_with_those_it_has(call: Call) -> None:
    status, document, headers = call(method="PUT", path="/trade/TRADE-1")
    assert (status, document["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert headers["Allow"] == ["DELETE, GET"]


@pytest.mark.parametrize("path", ["/trade", "/trades"])
def test_an_unreachable_database_is_a_503_that_says_when_to_retry(
    call: Call, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.setenv("DATABASE_PORT", "1")
    api.environment.cache_clear()
    method = "POST" if path == "/trade" else "GET"
    status, document, headers = call(ORDER, method=method, path=path, remaining_seconds=1.2)
    assert status == 503
    assert document["code"] == "DATABASE_UNAVAILABLE"
    assert headers["Retry-After"] == ["1"]


def test_an_unreadable_secret_is_a_503_without_details(call: Call, secrets: Secrets) -> None:
    secrets.values.clear()
    status, document, _ = call(method="GET", path="/trades")
    assert status == 503
    assert document["detail"] == "The service could not read its database password."


def test_a_defect_is_a_500_without_details_for_the_caller(
    call: Call, schema: Connection[Cursor], logs: io.StringIO
) -> None:
    with schema.cursor() as cursor:
        cursor.execute("RENAME TABLE trades TO gone")
    status, document, _ = call(ORDER)
    with schema.cursor() as cursor:
        cursor.execute("RENAME TABLE gone TO trades")
    assert status == 500
    assert document["code"] == "INTERNAL_ERROR"
    assert "trades'" not in document["detail"]
    assert "ProgrammingError" in logs.getvalue()


def test_logs_carry_the_request_and_no_payload_and_no_password(
    call: Call, logs: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    _, answer, _ = call(ORDER)
    call('{"symbol":"AAPL","quantity":"secret"}')
    output = capsys.readouterr().out + logs.getvalue()
    lines = [json.loads(line) for line in output.splitlines()]
    (booked,) = (line for line in lines if line.get("message") == "trade booked")
    assert booked["trade_id"] == answer["trade_id"]
    assert {line["correlation_id"] for line in lines} == {"11111111-2222-4333-8444-555555555555"}
    text = json.dumps(lines)
    assert "app-password" not in text
    assert "AAPL" not in text


def test_answers_are_neither_kept_nor_guessed_at_by_browsers(call: Call) -> None:
    for _, _, headers in (call(ORDER), call("{}")):
        assert headers["Cache-Control"] == ["no-store"]
        assert headers["X-Content-Type-Options"] == ["nosniff"]
        assert headers["Strict-Transport-Security"] == ["max-age=31536000"]
