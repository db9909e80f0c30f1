"""Batches: each trade is booked exactly once, whatever else its batch holds."""

from __future__ import annotations

import dataclasses
import io
import json
import random
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from pymysql.connections import Connection
from pymysql.cursors import Cursor
from pymysql.err import IntegrityError

from local.database_server import MySQLServer
from tests.service.conftest import ADMIN, ALICE, BOB, CALLER, Call, Secrets, rows, store_at
from tests.service.test_database import ENDLESS, later, setting
from tests.service.test_telemetry import metrics
from tests.support.endpoint import Cut, Endpoint
from trading import database as database_module
from trading.batches import MAX_BODY_BYTES, Batch, Result, book_batch
from trading.database import connect
from trading.errors import BatchRefused, DatabaseUnavailable, KeyReused
from trading.models import Order
from trading.settings import Address
from trading.trades import Booking, new_trade


def order(number: int, **more: Any) -> dict[str, Any]:
    return {"symbol": "AAPL", "quantity": number, "client_order_id": f"key-{number}", **more}


def body(*trades: object, **more: object) -> str:
    return json.dumps({"trades": trades, **more})


def outcomes(document: dict[str, Any]) -> list[str]:
    return [trade["outcome"] for trade in document["trades"]]


def booked(schema: Connection[Cursor]) -> dict[str, int]:
    """The quantity of each key in the book; a key that is there twice fails."""
    found = rows(schema, "SELECT client_order_id, quantity FROM trades")
    assert len(dict(found)) == len(found)
    return dict(found)


@pytest.fixture
def send(call: Call) -> Any:
    def post(*trades: object, **more: object) -> tuple[int, dict[str, Any]]:
        status, document, _ = call(body(*trades, **more), path="/trades")
        return status, document

    return post


def test_each_trade_is_booked_and_answered_in_the_order_of_the_batch(
    call: Call, schema: Connection[Cursor]
) -> None:
    sent = [
        order(3, side="SELL", price="189.250"),
        order(1, symbol="BRK.B"),
        order(2),
    ]
    status, document, _ = call(body(*sent), path="/trades", identity=ALICE)
    assert status == 200
    assert (document["booked"], document["replayed"], document["refused"]) == (3, 0, 0)
    for asked, answer in zip(sent, document["trades"], strict=True):
        assert answer == {
            "outcome": "BOOKED",
            "client_order_id": asked["client_order_id"],
            "trade_id": answer["trade_id"],
            "status": "SUCCESS",
            "principal": None,
            "code": None,
            "detail": None,
        }
        path = f"/trade/{answer['trade_id']}"
        _, trade, _ = call(method="GET", path=path, query={"consistent": ["true"]})
        assert (trade["symbol"], trade["quantity"]) == (asked["symbol"], asked["quantity"])
        assert (trade["side"], trade["principal"]) == (asked.get("side", "BUY"), ALICE["userArn"])
        assert trade["price"] == ("189.25" if "price" in asked else None)
        assert trade["client_order_id"] == asked["client_order_id"]


def test_the_usual_batch_is_one_statement(
    schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    store = store_at(address, secrets)
    store.check()
    questions = "SHOW GLOBAL STATUS LIKE 'Questions'"
    before = int(rows(schema, questions)[0][1])
    book_batch(batch(*range(500)), CALLER, store)
    assert int(rows(schema, questions)[0][1]) - before == 1 + 1  # and this test's own
    # With a key that is in the book already: the batch, the look-up and the rest.
    before = int(rows(schema, questions)[0][1])
    book_batch(batch(*range(499, 900)), CALLER, store)
    assert int(rows(schema, questions)[0][1]) - before == 3 + 1
    assert len(booked(schema)) == 900


def test_a_batch_that_is_repeated_whole_or_in_part_books_what_was_not_booked(
    send: Any, call: Call, schema: Connection[Cursor]
) -> None:
    _, first = send(order(1), order(2), order(3))
    ids = {trade["client_order_id"]: trade["trade_id"] for trade in first["trades"]}
    status, again = send(order(1), order(2), order(3))
    assert (status, outcomes(again)) == (200, ["REPLAYED"] * 3)
    assert {trade["client_order_id"]: trade["trade_id"] for trade in again["trades"]} == ids
    assert {trade["principal"] for trade in again["trades"]} == {"anonymous"}
    call(method="DELETE", path=f"/trade/{ids['key-3']}")
    _, part = send(order(4), order(3), order(5), order(1))
    assert outcomes(part) == ["BOOKED", "REPLAYED", "BOOKED", "REPLAYED"]
    assert [trade["status"] for trade in part["trades"]] == ["SUCCESS", "VOID", *["SUCCESS"] * 2]
    # Alone, each is the same trade as in a batch.
    _, alone, headers = call('{"symbol":"AAPL","quantity":5}', key="key-5")
    assert headers["Idempotency-Replayed"] == ["true"]
    assert alone["trade_id"] == part["trades"][2]["trade_id"]
    call('{"symbol":"AAPL","quantity":6}', key="key-6")
    assert outcomes(send(order(6), order(7))[1]) == ["REPLAYED", "BOOKED"]
    assert booked(schema) == {f"key-{number}": number for number in range(1, 8)}


def test_what_is_wrong_with_one_trade_is_said_of_it_and_the_others_are_booked(
    send: Any, schema: Connection[Cursor]
) -> None:
    send(order(1))
    status, document = send(
        order(1, quantity=7),
        order(2, quantity=-1),
        [],
        {"symbol": "AAPL", "quantity": 1},
        order(3, validate_only=True),
        order(4),
    )
    assert status == 200
    assert outcomes(document) == ["REFUSED"] * 5 + ["BOOKED"]
    assert (document["booked"], document["replayed"], document["refused"]) == (1, 0, 5)
    assert [trade["code"] for trade in document["trades"]] == [
        "KEY_REUSED",
        *["INVALID_TRADE"] * 4,
        None,
    ]
    said = [trade["detail"] for trade in document["trades"]]
    assert "belongs to another request" in said[0]
    assert said[1].startswith("The field 'quantity' must be a whole number from 1 to 1000000000,")
    assert said[2].startswith("The trade must be a JSON object such as {")
    assert said[3] == "The field 'client_order_id' is missing."
    assert "'validate_only' is unknown" in said[4]
    assert booked(schema) == {"key-1": 1, "key-4": 4}


def test_a_key_that_a_batch_has_twice_is_booked_once(send: Any, schema: Connection[Cursor]) -> None:
    same, other = order(1, side="BUY"), order(1, quantity=2)
    _, document = send(order(1), same, other)
    assert outcomes(document) == ["BOOKED", "REPLAYED", "REFUSED"]
    first, second, third = document["trades"]
    assert first["trade_id"] == second["trade_id"]
    assert third["code"] == "KEY_REUSED"
    assert "earlier trade of this batch" in third["detail"]
    # Repeated, and with the orders the other way round, the one that is booked stays.
    assert outcomes(send(order(1), same, other)[1]) == ["REPLAYED", "REPLAYED", "REFUSED"]
    assert outcomes(send(other, same)[1]) == ["REFUSED", "REPLAYED"]
    assert booked(schema) == {"key-1": 1}


def test_all_or_nothing_books_all(send: Any, schema: Connection[Cursor]) -> None:
    status, document = send(order(1), order(2), order(2), all_or_nothing=True)
    assert (status, outcomes(document)) == (200, ["BOOKED", "BOOKED", "REPLAYED"])
    status, document = send(order(2), order(3), all_or_nothing=True)
    assert (status, outcomes(document)) == (200, ["REPLAYED", "BOOKED"])
    status, document = send(order(2), order(3), all_or_nothing=True)
    assert (status, outcomes(document)) == (200, ["REPLAYED", "REPLAYED"])
    assert booked(schema) == {"key-1": 1, "key-2": 2, "key-3": 3}


@pytest.mark.parametrize(
    ("trades", "expected"),
    [
        ([order(2), order(3, quantity=0)], ["SKIPPED", "REFUSED"]),
        ([order(3, quantity=0)], ["REFUSED"]),
        ([order(2), order(1, quantity=9)], ["SKIPPED", "REFUSED"]),
        ([order(1, quantity=9)], ["REFUSED"]),
        ([order(2), order(2, quantity=9), order(2)], ["SKIPPED", "REFUSED", "SKIPPED"]),
        # What an earlier request has booked stays booked.
        ([order(1), order(1, quantity=9), order(2)], ["SKIPPED", "REFUSED", "SKIPPED"]),
        ([order(1), order(2), order(3, side=1)], ["SKIPPED", "SKIPPED", "REFUSED"]),
    ],
)
def test_all_or_nothing_books_nothing_if_a_trade_is_refused(
    send: Any, schema: Connection[Cursor], trades: list[dict[str, Any]], expected: list[str]
) -> None:
    send(order(1))
    for _ in range(2):
        status, document = send(*trades, all_or_nothing=True)
        assert (status, document["code"]) == (422, "BATCH_REFUSED")
        assert "Nothing was booked now" in document["detail"]
        assert outcomes(document) == expected
        assert booked(schema) == {"key-1": 1}


def test_keys_of_different_callers_are_different(call: Call, schema: Connection[Cursor]) -> None:
    for identity in (ALICE, BOB):
        _, document, _ = call(body(order(1), order(2)), path="/trades", identity=identity)
        assert document["booked"] == 2
    renewed = {name: value.replace("session-1", "session-2") for name, value in ALICE.items()}
    _, document, _ = call(body(order(2), order(3)), path="/trades", identity=renewed)
    assert [trade["principal"] for trade in document["trades"]] == [ALICE["userArn"], None]
    assert rows(schema, "SELECT COUNT(*) FROM trades") == [(5,)]


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        ("", "not valid JSON"),
        ("[]", 'must be a JSON object such as {"trades":[{'),
        ("{}", "'trades' is missing"),
        ('{"trades":{}}', "'trades' must be a list"),
        ('{"trades":[]}', "'trades' has 0 items; it must have 1 to 500"),
        (body(*[order(1)] * 501), "'trades' has 501 items; it must have 1 to 500"),
        (body(order(1), all_or_nothing=1), "'all_or_nothing' must be true or false"),
        (body(order(1), all=True), "'all' is unknown"),
        ('{"trades":[{"symbol":"A","symbol":"A"}]}', "names a field twice"),
        (body(order(1)) + " " * MAX_BODY_BYTES, f"bytes; the most is {MAX_BODY_BYTES}"),
    ],
)
def test_a_body_that_is_not_a_batch_is_refused_as_a_whole(
    call: Call, schema: Connection[Cursor], sent: str, said: str
) -> None:
    status, problem, _ = call(sent, path="/trades")
    assert (status, problem["code"]) == (400, "INVALID_BATCH")
    assert said in problem["detail"]
    assert booked(schema) == {}


def test_a_full_batch_of_the_longest_trades_is_taken(
    call: Call, schema: Connection[Cursor]
) -> None:
    longest = [
        {
            "symbol": "X" * 32,
            "quantity": 1_000_000_000,
            "side": "SELL",
            "price": "999999999999.999999",
            "client_order_id": f"{number:0128}",
        }
        for number in range(500)
    ]
    pretty = json.dumps({"trades": longest, "all_or_nothing": True}, indent=2)
    status, document, _ = call(pretty, path="/trades")
    assert (status, document.get("booked")) == (200, 500), document.get("detail")
    # Lambda's answers have 6 MB at most.
    assert len(json.dumps(document)) < 2_000_000


def test_a_key_of_the_whole_batch_is_refused(call: Call, schema: Connection[Cursor]) -> None:
    status, problem, _ = call(body(order(1)), path="/trades", key="key-1")
    assert (status, problem["code"]) == (400, "INVALID_PARAMETER")
    assert "'client_order_id'" in problem["detail"]
    assert booked(schema) == {}


def test_the_metrics_count_trades(send: Any, capsys: pytest.CaptureFixture[str]) -> None:
    send(order(1))
    capsys.readouterr()
    send(order(1), order(2), order(3), order(4, quantity=0))
    send(order(1, quantity=9), order(5), all_or_nothing=True)
    send()
    lines = metrics(capsys.readouterr().out)
    assert [line.get("TradesAccepted") for line in lines] == [2, None, None]
    assert [line.get("TradesReplayed") for line in lines] == [1, None, None]
    assert [line.get("TradesRejected") for line in lines] == [1, 1, 1]
    assert [line.get("message") for line in lines] == ["batch booked", "batch refused", None]


def batch(*numbers: int, all_or_nothing: bool = False, sign: int = 1) -> Batch:
    orders = [Order("AAPL", number + sign, client_order_id=f"key-{number}") for number in numbers]
    return Batch(orders, all_or_nothing)


@pytest.mark.parametrize("cut", Cut)
@pytest.mark.parametrize("all_or_nothing", [False, True])
def test_a_connection_cut_around_the_commit_books_each_trade_once(
    server: MySQLServer,
    schema: Connection[Cursor],
    address: Address,
    secrets: Secrets,
    cut: Cut,
    all_or_nothing: bool,
) -> None:
    with Endpoint() as endpoint:
        endpoint.lead_to(server.port)
        store = store_at(dataclasses.replace(address, port=endpoint.port), secrets)
        store.check()
        endpoint.cut_next(cut)
        mine = batch(*range(200), all_or_nothing=all_or_nothing)
        results = book_batch(mine, CALLER, store)
        assert not endpoint.has_cuts_left
    # The service itself repeated the statement: for the caller, it is one booking.
    assert [isinstance(each, Booking) and each.is_replay for each in results] == [False] * 200
    assert len(booked(schema)) == 200


@pytest.mark.parametrize("all_or_nothing", [False, True])
def test_overlapping_batches_at_the_same_time_book_each_trade_once(
    schema: Connection[Cursor],
    address: Address,
    secrets: Secrets,
    all_or_nothing: bool,
) -> None:
    """Batches in any order, of which some want other orders under the same keys."""
    callers, keys = 12, 60
    barrier = Barrier(callers)
    chance = random.Random(7)
    batches = [
        batch(
            *chance.sample(range(keys), 40),
            all_or_nothing=all_or_nothing,
            sign=1 if number % 4 else 2,
        )
        for number in range(callers)
    ]

    def book(mine: Batch) -> list[Result]:
        store = store_at(address, secrets)
        store.check()
        barrier.wait()
        try:
            return book_batch(mine, CALLER, store)
        except BatchRefused as error:
            return list(error.results)

    with ThreadPoolExecutor(callers) as pool:
        answers = list(pool.map(book, batches))
    book_now = booked(schema)
    new = Counter[str | None]()
    for mine, results in zip(batches, answers, strict=True):
        was_refused = any(isinstance(result, KeyReused) for result in results)
        for asked, result in zip(mine.orders, results, strict=True):
            assert isinstance(asked, Order)
            if isinstance(result, Booking):
                assert result.trade.order == asked
                assert book_now[str(asked.client_order_id)] == asked.quantity
                new[asked.client_order_id] += not result.is_replay
                assert result.is_replay or not (all_or_nothing and was_refused)
            elif isinstance(result, KeyReused):
                assert book_now[str(asked.client_order_id)] != asked.quantity
            else:
                assert all_or_nothing
                assert was_refused
    # Each trade of the book was booked by one of them, and by one alone.
    assert new == Counter(dict.fromkeys(book_now, 1))


def test_a_deadlock_between_batches_is_tried_again(
    schema: Connection[Cursor], address: Address, secrets: Secrets, logs: io.StringIO
) -> None:
    """Many wait for one key; when its owner gives it up, all of them want it at once."""
    with connect(address, ADMIN) as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        owner = store_at(address, secrets)
        owner.check()
        cursor.execute(
            "INSERT INTO trades (trade_id, created_at, status, symbol, side, quantity, caller, "
            "principal, client_order_id) VALUES ('OTHER', UTC_TIMESTAMP(6), 'SUCCESS', 'A', 'BUY', "
            "1, %s, '', 'key-0')",
            (CALLER.scope,),
        )
        answers: list[list[Result]] = []
        threads = [
            threading.Thread(
                target=lambda: answers.append(
                    book_batch(batch(*range(50)), CALLER, store_at(address, secrets))
                )
            )
            for _ in range(6)
        ]
        for thread in threads:
            thread.start()
        with later(1, lambda: cursor.execute("ROLLBACK")):
            pass
        for thread in threads:
            thread.join()
    assert "1213" in logs.getvalue()
    assert len(booked(schema)) == 50
    new = [each for results in answers for each in results if isinstance(each, Booking)]
    assert [each.is_replay for each in new].count(False) == 50
    assert len(new) == 300


def test_a_batch_whose_keys_cannot_be_looked_up_has_an_unknown_outcome(
    schema: Connection[Cursor],
    address: Address,
    secrets: Secrets,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store = store_at(address, secrets)
    book_batch(batch(1), CALLER, store)
    monkeypatch.setattr(
        database_module,
        "_limited",
        lambda sql, _seconds: ENDLESS.format(", ".join(["%s"] * sql.count("%s"))),
    )
    with pytest.raises(DatabaseUnavailable, match="may have been made or not"):
        book_batch(batch(1, 2), CALLER, store)


def test_a_batch_that_waits_for_a_lock_too_long_is_tried_again(
    server: MySQLServer,
    schema: Connection[Cursor],
    address: Address,
    secrets: Secrets,
    logs: io.StringIO,
) -> None:
    with setting(server, "innodb_lock_wait_timeout", 1), connect(address, ADMIN) as other:
        cursor = other.cursor()
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM trades FOR UPDATE")
        with later(1.2, lambda: cursor.execute("ROLLBACK")):
            book_batch(batch(*range(20)), CALLER, store_at(address, secrets))
    assert "1205" in logs.getvalue()
    assert len(booked(schema)) == 20


def test_an_id_that_another_trade_has_is_a_defect(
    schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    store = store_at(address, secrets)
    first = new_trade(Order("AAPL", 1, client_order_id="key-1"), CALLER)
    assert store.add_all([first]) == {}
    with pytest.raises(IntegrityError):
        store.add_all([dataclasses.replace(first, order=Order("A", 1, client_order_id="key-2"))])


def test_a_broken_rule_of_the_schema_is_a_defect_and_books_nothing(
    schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    wrong = Order("AAPL", 5, side=None, client_order_id="key-2")  # type: ignore[arg-type]
    mine = dataclasses.replace(batch(1), orders=[*batch(1).orders, wrong])
    with pytest.raises(IntegrityError):
        book_batch(mine, CALLER, store_at(address, secrets))
    assert booked(schema) == {}
