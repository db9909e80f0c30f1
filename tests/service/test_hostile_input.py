"""Hostile input gets no 5xx and a documented answer, and writes only what the answer says.

`make test-fuzz` runs more than 100,000 cases; without FUZZ=full there are some thousands.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from operator import itemgetter
from typing import Any

import pytest
from hypothesis import given, note
from pymysql.connections import Connection
from pymysql.cursors import Cursor, DictCursor

from tests.service.conftest import ADMIN, ALICE, APP, BOB, ROOT, Call, context
from tests.support import hostile
from tests.support.documented import examples
from trading import api, fields
from trading.store import COLUMNS

OPENAPI = json.loads((ROOT / "service" / "openapi.json").read_text())
SNAPSHOT = f"SELECT {', '.join(COLUMNS)} FROM trades ORDER BY trade_id"
Row = dict[str, Any]
Event = dict[str, Any]


def documented(method: str, path: str) -> set[int]:
    """The statuses that a route is documented to answer with."""
    for template, item in OPENAPI["paths"].items():
        # Powertools takes slashes at the end, which API Gateway does not.
        pattern = re.sub(r"\{\w+\}", "[^/]+", template) + "/*"
        if method.lower() in item and re.fullmatch(pattern, path, re.DOTALL):
            return {int(status) for status in item[method.lower()]["responses"]}
    return set()


class Book:
    """The service with a few trades in its book; each case starts with the same ones."""

    def __init__(self, schema: Connection[Cursor], call: Call, log: io.StringIO) -> None:
        self._schema = schema
        self._log = log
        self.statuses: Counter[int] = Counter()
        keys = ("desk-7:1", "desk-7:2")
        body = '{{"symbol":"{}","quantity":{}}}'.format
        ids = [
            call(body("AAPL", 100), key=keys[0])[1]["trade_id"],
            call(body("BRK.B", 7), key=keys[1], identity=ALICE)[1]["trade_id"],
            call(body("MSFT", 9), identity=BOB)[1]["trade_id"],
        ]
        call(method="DELETE", path=f"/trade/{ids[2]}", identity=BOB)
        self.stored = self._snapshot()
        self.pages: dict[str, Any] = {}
        for query in ({"limit": ["1"]}, {"limit": ["1"], "status": ["SUCCESS"]}):
            page = call(method="GET", path="/trades", query=query)[1]
            self.pages[page["next_cursor"]] = query.get("status")
        self.stock = hostile.Stock(ids, keys, tuple(self.pages))
        self.paths = [f"/trade/{trade_id}" for trade_id in ids]

    def _snapshot(self) -> list[Row]:
        with self._schema.cursor(DictCursor) as cursor:
            cursor.execute(SNAPSHOT)
            return list(cursor.fetchall())

    def restore(self) -> None:
        """Put the book back to what it was before the case."""
        with self._schema.cursor() as cursor:
            cursor.execute("DELETE FROM trades")
            places = ", ".join(f"%({name})s" for name in COLUMNS)
            cursor.executemany(
                f"INSERT INTO trades ({', '.join(COLUMNS)}) VALUES ({places})", self.stored
            )

    def check(self, event: Event) -> tuple[int, dict[str, Any]]:
        """Send an event, and check the answer, the logs and the book."""
        self._log.seek(0)
        self._log.truncate()
        with contextlib.redirect_stdout(self._log):
            # As it comes to Lambda's runtime and goes from it.
            answer = json.loads(json.dumps(api.handler(json.loads(json.dumps(event)), context())))
        document = check_form(event, answer)
        check_logs(self._log.getvalue())
        status = answer["statusCode"]
        self.statuses[status] += 1
        found = self._snapshot()
        replayed = "Idempotency-Replayed" in answer["multiValueHeaders"]
        expected = self.stored
        is_void = event["httpMethod"] == "DELETE" or "/void" in event["path"]
        if status == 200 and is_void:
            expected = self._after_void(event, found)
        elif status == 200 and event["path"].startswith("/trades"):
            if event["httpMethod"] == "POST":
                expected = self._after_batch(event, document, found)
        elif status == 200 and event["httpMethod"] == "POST":
            expected = self._after_post(event, document, found, replayed)
        if found != self.stored:
            self.restore()
        assert found == sorted(expected, key=itemgetter("trade_id"))
        return status, document

    def _after_post(
        self, event: Event, document: dict[str, Any], found: list[Row], replayed: bool
    ) -> list[Row]:
        order = order_of(event)
        if order.pop("validate_only", False):
            assert document["status"] == "VALID"
            return self.stored
        assert document["symbol"] == order["symbol"]
        assert Decimal(document["quantity"]) == Decimal(order["quantity"])
        order["client_order_id"] = key_of(event, order)
        row = check_row(event, order, document["trade_id"], found, replayed)
        return self.stored if replayed else [*self.stored, row]

    def _after_batch(self, event: Event, document: dict[str, Any], found: list[Row]) -> list[Row]:
        asked = batch_of(event)
        counts = Counter(each["outcome"] for each in document["trades"])
        for name in ("booked", "replayed", "refused"):
            assert document[name] == counts[name.upper()]
        assert not (asked.get("all_or_nothing") and document["refused"])
        expected = [*self.stored]
        for order, answer in zip(asked["trades"], document["trades"], strict=True):
            if answer["outcome"] == "REFUSED":
                assert answer["code"] in {"INVALID_TRADE", "KEY_REUSED"}
                continue
            check_order(order)
            replayed = answer["outcome"] == "REPLAYED"
            row = check_row(event, order, answer["trade_id"], found, replayed)
            if not replayed:
                expected.append(row)
        return expected

    def _after_void(self, event: Event, found: list[Row]) -> list[Row]:
        trade_id, _, is_any = event["path"].removeprefix("/trade/").rstrip("/").partition("/")
        assert trade_id in self.stock.trade_ids
        by = caller_of(event)
        expected = []
        for row in self.stored:
            if row["trade_id"] != trade_id:
                expected.append(row)
                continue
            assert is_any or row["caller"] == by["caller"]
            if row["status"] == "VOID":
                expected.append(row)
                continue
            (voided_at,) = (r["voided_at"] for r in found if r["trade_id"] == trade_id)
            assert voided_at is not None
            void = {
                "status": "VOID",
                "voided_at": voided_at,
                "voided_by": by["principal"],
                "voided_caller": by["caller"],
                "voided_access_key": by["access_key"],
                "voided_request_id": by["request_id"],
                "void_reason": members_of(event)["reason"] if is_any else None,
            }
            expected.append({**row, **void})
        return expected


def check_row(
    event: Event, order: dict[str, Any], trade_id: str, found: list[Row], replayed: bool
) -> Row:
    """The row of a trade, which is what was asked for."""
    booked = {
        **dict.fromkeys(COLUMNS),
        **{name: stored(name, value) for name, value in order.items()},
        "quantity": int(Decimal(order["quantity"])),
        "fraction": Decimal(order["quantity"]) % 1,
        "trade_id": trade_id,
        "status": "SUCCESS",
        "side": order.get("side", "BUY"),
        **caller_of(event),
    }
    (row,) = (row for row in found if row["trade_id"] == trade_id)
    # Times and the session that a replay was booked in are those of the first request.
    same = (*fields.ANSWERED_ORDER, "caller", "account") if replayed else set(COLUMNS)
    assert {name: row[name] for name in same if name != "created_at"} == {
        name: booked[name] for name in same if name != "created_at"
    }
    return row


def stored(name: str, value: Any) -> Any:
    """The value of an order's field as the database has it."""
    return Decimal(value) if isinstance(fields.ORDER[name], fields.Amount) else value


def check_form(event: Event, answer: dict[str, Any]) -> dict[str, Any]:
    """The answer is complete and documented for its route."""
    status = answer["statusCode"]
    assert status in documented(event["httpMethod"], event["path"]) | {404, 405}, answer
    assert status < 500, answer
    for name, values in answer["multiValueHeaders"].items():
        for text in (name, *values):
            assert re.fullmatch(r"[\x20-\x7e]*", text), text
    document: dict[str, Any] = json.loads(answer["body"])
    if status == 200:
        assert answer["multiValueHeaders"]["Content-Type"] == ["application/json"]
    else:
        assert answer["multiValueHeaders"]["Content-Type"] == ["application/problem+json"]
        more = {"trades"} if document["code"] == "BATCH_REFUSED" else set()
        assert set(document) == {"type", "title", "status", "code", "detail", "request_id", *more}
        assert document["status"] == status
    return document


def check_logs(log: str) -> None:
    """Each line is one JSON document, and none has a secret."""
    for line in log.split("\n")[:-1]:
        assert isinstance(json.loads(line), dict)
    assert log.endswith("\n")
    for secret in (APP.password, APP.cursor_key, ADMIN.password):
        assert secret not in log


def members_of(event: Event) -> dict[str, Any]:
    """The body of an accepted request, read without the service's help."""
    body = event["body"]
    text = base64.b64decode(body).decode() if event["isBase64Encoded"] else body

    def without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    members: dict[str, Any] = json.loads(
        text, parse_float=Decimal, object_pairs_hook=without_duplicates
    )
    return members


def batch_of(event: Event) -> dict[str, Any]:
    """The batch of an accepted request."""
    batch = members_of(event)
    assert "trades" in batch
    assert batch.keys() <= {"trades", "all_or_nothing"}
    assert 1 <= len(batch["trades"]) <= 500
    return batch


def order_of(event: Event) -> dict[str, Any]:
    """The order of an accepted request."""
    order = members_of(event)
    check_order(order)
    return order


def check_order(order: dict[str, Any]) -> None:
    """An order that was accepted is a good one."""
    assert order.keys() <= set(hostile.NAMES)
    assert re.fullmatch(r"[A-Z0-9./& -]{1,32}", order["symbol"], re.ASCII)
    quantity = order["quantity"]
    assert type(quantity) in (int, Decimal, str)
    if isinstance(quantity, str):
        assert re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", quantity, re.ASCII)
        assert Decimal(quantity) > 0
    else:
        assert 1 <= quantity <= 10**9
        assert quantity == int(quantity)


def key_of(event: Event, order: dict[str, Any]) -> str | None:
    """The key of an accepted request, from its header or its body."""
    sent = [v for n, v in (event["headers"] or {}).items() if n.lower() == "idempotency-key"]
    if "client_order_id" in order:
        sent.append(order["client_order_id"])
    return sent[0].strip('"') if sent else None


def caller_of(event: Event) -> dict[str, str | None]:
    """Who sent a request, by the columns that record it."""
    identity = event["requestContext"]["identity"]
    caller = identity.get("caller")
    request = {"request_id": event["requestContext"]["extendedRequestId"]}
    if not caller:
        nobody = {"caller": "anonymous", "account": None, "principal": "anonymous"}
        return {**nobody, "access_key": None, **request}
    return {
        "caller": caller.split(":")[0] if caller.startswith("AROA") else caller,
        "account": identity["accountId"],
        "principal": identity.get("userArn") or caller,
        "access_key": identity.get("accessKey"),
        **request,
    }


@pytest.fixture
def book(
    schema: Connection[Cursor],
    call: Call,
    logs: io.StringIO,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> Iterator[Book]:
    started = time.monotonic()
    book = Book(schema, call, logs)
    yield book
    seconds = time.monotonic() - started
    counts = ", ".join(f"{number} x {status}" for status, number in sorted(book.statuses.items()))
    with capsys.disabled():
        print(f"\n{request.node.name}: {book.statuses.total()} cases in {seconds:.0f} s: {counts}")


def test_any_value_of_a_field_is_booked_as_sent_or_refused(book: Book) -> None:
    """Each hostile value in each field, alone in an order that is good otherwise."""
    good = {"symbol": '"AAPL"', "quantity": "100"}
    values = (*hostile.TOKENS, *(json.dumps(payload) for payload in hostile.PAYLOADS))
    for name in (*hostile.NAMES, "other"):
        for value in values:
            book.check({**hostile.EVENT, "body": hostile.written([*{**good, name: value}.items()])})
    assert book.statuses.keys() == {200, 400}


def test_any_reason_of_a_void_is_kept_as_sent_or_refused(book: Book) -> None:
    event = {**hostile.EVENT, "path": f"{book.paths[0]}/void"}
    for value in (*hostile.TOKENS, *(json.dumps(payload) for payload in hostile.PAYLOADS)):
        book.check({**event, "body": hostile.written([("reason", value)])})
    assert book.statuses.keys() == {200, 400}


def test_any_text_in_a_header_a_parameter_or_the_path_gets_a_proper_answer(book: Book) -> None:
    """Each hostile text in each place that has a name or a value."""
    for text in hostile.PAYLOADS:
        for name in ("Idempotency-Key", "Content-Type", "Host", text):
            headers = {name: text}
            many = {name: [text]}
            book.check({**hostile.EVENT, "headers": headers, "multiValueHeaders": many})
        for name in (*hostile.PARAMETERS, text):
            for path in ("/trade", "/trades", "/events", "/positions", book.paths[0]):
                query = {"multiValueQueryStringParameters": {name: [text]}}
                book.check({**hostile.EVENT, **query, "httpMethod": "GET", "path": path})
        for path in (
            text,
            f"/{text}",
            f"/trade/{text}",
            f"/trade/{text}/",
            f"{book.paths[0]}{text}",
            f"{book.paths[0]}/void{text}",
        ):
            for method in ("GET", "DELETE", "POST", text):
                book.check({**hostile.EVENT, "httpMethod": method, "path": path})


def test_any_event_writes_what_it_says_or_nothing(book: Book) -> None:
    @examples(250, 50_000)
    @given(hostile.events(book.stock))
    def run(event: Event) -> None:
        note(json.dumps(event))
        book.check(event)

    run()
    assert book.statuses.keys() >= {200, 400, 404, 405}


def test_any_new_trade_is_booked_as_it_is_or_not_at_all(book: Book) -> None:
    @examples(350, 40_000)
    @given(hostile.events(book.stock, routes=[("POST", "/trade")]))
    def run(event: Event) -> None:
        note(json.dumps(event))
        book.check(event)

    run()
    reused = {"symbol": "GOOG", "quantity": 1, "client_order_id": book.stock.keys[0]}
    assert book.check({**hostile.EVENT, "body": json.dumps(reused)})[0] == 422
    assert book.statuses.keys() >= {200, 400, 422}


def test_any_batch_books_each_trade_as_it_is_or_not_at_all(book: Book) -> None:
    @examples(200, 20_000)
    @given(hostile.events(book.stock, routes=[("POST", "/trades")]))
    def run(event: Event) -> None:
        note(json.dumps(event))
        book.check(event)

    run()
    reused = {"symbol": "GOOG", "quantity": 1, "client_order_id": book.stock.keys[0]}
    refused = json.dumps({"trades": [reused], "all_or_nothing": True})
    assert book.check({**hostile.EVENT, "path": "/trades", "body": refused})[0] == 422
    assert book.statuses.keys() >= {200, 400, 422}


def test_any_value_of_a_field_of_a_batch_gets_a_proper_answer(book: Book) -> None:
    """Each hostile value in each field of a batch, and of one of its trades."""
    event = {**hostile.EVENT, "path": "/trades"}
    good = {"symbol": '"AAPL"', "quantity": "1", "client_order_id": '"key"'}
    values = (*hostile.TOKENS, *(json.dumps(payload) for payload in hostile.PAYLOADS))
    for value in values:
        bodies = [
            hostile.written([("trades", hostile.listed([hostile.written([*good.items()])])), more])
            for more in (("all_or_nothing", value), ("other", value))
        ]
        bodies.append(hostile.written([("trades", value)]))
        for name in fields.BATCH_ORDER:
            trades = [good, {**good, name: value}, value]
            written = [t if isinstance(t, str) else hostile.written([*t.items()]) for t in trades]
            bodies.append(hostile.written([("trades", hostile.listed(written))]))
        for body in bodies:
            book.check({**event, "body": body})
    assert book.statuses.keys() == {200, 400}


def test_a_cursor_leads_on_from_where_it_was_given_or_nowhere(book: Book) -> None:
    @examples(150, 15_000)
    @given(hostile.cursors(book.stock), hostile.st.sampled_from((None, ["SUCCESS"], ["VOID"])))
    def run(cursor: str, status: list[str] | None) -> None:
        event = json.loads(json.dumps(hostile.EVENT))
        query = {"cursor": [cursor], **({} if status is None else {"status": status})}
        event.update(
            httpMethod="GET", path="/trades", body=None, multiValueQueryStringParameters=query
        )
        answer, _ = book.check(event)
        is_its_own = cursor in book.pages and book.pages[cursor] == status
        assert (answer == 200) is is_its_own

    run()
    assert book.statuses.keys() == {200, 400}


@pytest.mark.parametrize("is_base64_encoded", [False, True])
def test_the_largest_body_that_lambda_accepts_is_refused_at_once(
    book: Book, is_base64_encoded: bool
) -> None:
    # https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
    most_bytes = 4_500_000 if is_base64_encoded else 6_000_000
    order = '{"symbol":"AAPL","quantity":1}'
    for unit in ("[", '{"a":', "9", " ", "\0", "\N{PILE OF POO}", order):
        text = unit * (most_bytes // len(unit.encode()))
        body = hostile.encoded(text, "utf-8") if is_base64_encoded else text
        event = {**hostile.EVENT, "body": body, "isBase64Encoded": is_base64_encoded}
        started = time.process_time()
        assert book.check(event)[0] == 400
        assert time.process_time() - started < 2


def test_what_python_itself_refuses_to_read_is_a_400(book: Book) -> None:
    for body in ("[" * 100_000 + "]" * 100_000, "9" * 5_000, "[" * 8_000, "1e9999999999999999999"):
        assert book.check({**hostile.EVENT, "body": body})[0] == 400
