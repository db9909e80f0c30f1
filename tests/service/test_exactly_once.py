"""No trade is lost and none is booked twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from tests.service.conftest import (
    ALICE,
    BOB,
    CALLER,
    ROOT,
    Call,
    Secrets,
    context,
    rows,
    store_at,
)
from trading import api
from trading.errors import KeyReused
from trading.models import Order
from trading.settings import Address
from trading.trades import Booking, book_trade

ORDER = '{"symbol":"AAPL","quantity":100}'
KEYED = '{"symbol":"AAPL","quantity":100,"client_order_id":"key-1"}'
AT_ONCE = 40


def booked(schema: Connection[Cursor]) -> int:
    ((count,),) = rows(schema, "SELECT COUNT(*) FROM trades")
    return int(count)


def at_once(work: Callable[[int], Any]) -> list[Any]:
    """The results of this many calls that start together."""
    barrier = Barrier(AT_ONCE)

    def wait_and_work(number: int) -> Any:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(wait_and_work, range(AT_ONCE)))


def test_without_a_key_each_request_is_a_trade(call: Call, schema: Connection[Cursor]) -> None:
    ids = {call(ORDER)[1]["trade_id"] for _ in range(2)}
    assert {row[0] for row in rows(schema, "SELECT trade_id FROM trades")} == ids
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((ORDER, "key-1"), (ORDER, "key-1")),
        ((KEYED, None), (KEYED, None)),
        ((ORDER, "key-1"), (KEYED, None)),
        ((KEYED, "key-1"), (ORDER, "key-1")),
        # The form of the IETF's draft, and a header that a proxy sent twice.
        ((ORDER, '"key-1"'), (KEYED, "key-1")),
        ((ORDER, "key-1"), (ORDER, ["key-1", '"key-1"'])),
        ((ORDER, "k" * 128), (ORDER, "k" * 128)),
        # The same request in other words.
        ((ORDER, "key-1"), ('{"side":"BUY", "quantity":1e2, "symbol":"AAPL"}', "key-1")),
        (
            ('{"symbol":"AAPL","quantity":1,"price":"1.5"}', "key-1"),
            ('{"symbol":"AAPL","quantity":1,"price":"1.500"}', "key-1"),
        ),
    ],
)
def test_a_repeated_request_gets_the_trade_that_is_booked_marked_as_a_replay(
    call: Call,
    schema: Connection[Cursor],
    first: tuple[str, str | list[str] | None],
    second: tuple[str, str | list[str] | None],
) -> None:
    status, document, headers = call(first[0], key=first[1])
    assert status == 200
    assert "Idempotency-Replayed" not in headers
    status, again, headers = call(second[0], key=second[1])
    assert status == 200
    assert again == {**document, "principal": "anonymous"}
    assert headers["Idempotency-Replayed"] == ["true"]
    assert booked(schema) == 1


def test_a_replay_says_whose_trade_it_is_and_that_it_is_void(call: Call) -> None:
    """A colleague's key must not answer as if there were a trade."""
    _, document, _ = call(KEYED, identity=ALICE)
    call(method="DELETE", path=f"/trade/{document['trade_id']}", identity=ALICE)
    colleague = {name: value.replace("session-1", "carol") for name, value in ALICE.items()}
    status, again, headers = call(KEYED, identity=colleague)
    assert status == 200
    assert again == {**document, "status": "VOID", "principal": ALICE["userArn"]}
    assert headers["Idempotency-Replayed"] == ["true"]


@pytest.mark.parametrize(
    "other",
    [
        '{"symbol":"MSFT","quantity":100}',
        '{"symbol":"AAPL","quantity":101}',
        '{"symbol":"AAPL","quantity":100,"side":"SELL"}',
        '{"symbol":"AAPL","quantity":100,"price":"1"}',
    ],
)
def test_a_key_with_another_request_is_refused_and_nothing_is_written(
    call: Call, schema: Connection[Cursor], other: str
) -> None:
    _, document, _ = call(KEYED)
    status, problem, _ = call(other, key="key-1")
    assert status == 422
    assert problem["code"] == "KEY_REUSED"
    assert document["trade_id"] in problem["detail"]
    assert booked(schema) == 1


def test_a_header_and_a_field_that_differ_are_refused(
    call: Call, schema: Connection[Cursor]
) -> None:
    status, problem, _ = call(KEYED, key="key-2")
    assert (status, problem["code"]) == (400, "KEY_MISMATCH")
    assert booked(schema) == 0


@pytest.mark.parametrize("keys", [["key-1", "key-2"], ["key-2", "key-1"]])
def test_two_headers_that_differ_are_refused(
    call: Call, schema: Connection[Cursor], keys: list[str]
) -> None:
    status, problem, _ = call(ORDER, key=keys)
    assert (status, problem["code"]) == (400, "KEY_MISMATCH")
    assert booked(schema) == 0


def test_a_gateway_without_lists_of_headers_is_understood(
    call: Call, schema: Connection[Cursor]
) -> None:
    event = json.loads((ROOT / "service" / "events" / "post_trade_with_key.json").read_text())
    del event["multiValueHeaders"]
    for _ in range(2):
        assert api.handler(event, context())["statusCode"] == 200
    assert booked(schema) == 1


@pytest.mark.parametrize(
    "key", ["", "with space", "ä", "x" * 129, "a,b", '"', '""', '"a', 'a"', '""a""']
)
def test_a_header_that_is_no_key_is_refused(call: Call, key: str) -> None:
    status, problem, _ = call(ORDER, key=key)
    assert (status, problem["code"]) == (400, "INVALID_PARAMETER")


def test_keys_of_different_callers_are_different(call: Call, schema: Connection[Cursor]) -> None:
    answers = [call(KEYED, identity=identity) for identity in (ALICE, BOB, {})]
    assert all("Idempotency-Replayed" not in headers for _, _, headers in answers)
    assert booked(schema) == 3


def test_a_role_that_is_assumed_again_is_the_same_caller(
    call: Call, schema: Connection[Cursor]
) -> None:
    call(KEYED, identity=ALICE)
    renewed = {name: value.replace("session-1", "session-2") for name, value in ALICE.items()}
    _, _, headers = call(KEYED, identity=renewed)
    assert headers["Idempotency-Replayed"] == ["true"]
    assert rows(schema, "SELECT account, principal FROM trades") == [
        (ALICE["accountId"], ALICE["userArn"])
    ]


def test_keys_can_be_those_of_a_session(
    call: Call, schema: Connection[Cursor], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLER_SCOPE", "session")
    api.environment.cache_clear()
    colleague = {name: value.replace("session-1", "carol") for name, value in ALICE.items()}
    ids = {call(KEYED, identity=identity)[1]["trade_id"] for identity in (ALICE, colleague, ALICE)}
    assert len(ids) == booked(schema) == 2


def test_duplicates_at_the_same_time_are_booked_once(
    schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    order = Order("AAPL", 100, client_order_id="key-1")
    bookings: list[Booking] = at_once(
        lambda _: book_trade(order, CALLER, store_at(address, secrets))
    )
    assert len({booking.trade for booking in bookings}) == 1
    assert [booking.is_replay for booking in bookings].count(False) == 1
    assert booked(schema) == 1


def test_different_requests_with_one_key_at_the_same_time_are_booked_once(
    schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    def book(number: int) -> Booking | KeyReused:
        order = Order("AAPL", number + 1, client_order_id="key-1")
        try:
            return book_trade(order, CALLER, store_at(address, secrets))
        except KeyReused as error:
            return error

    results = at_once(book)
    (booking,) = (result for result in results if isinstance(result, Booking))
    assert rows(schema, "SELECT trade_id FROM trades") == [(booking.trade.trade_id,)]


def test_requests_without_a_key_at_the_same_time_are_all_booked(
    schema: Connection[Cursor], address: Address, secrets: Secrets
) -> None:
    at_once(lambda _: book_trade(Order("AAPL", 100), CALLER, store_at(address, secrets)))
    assert booked(schema) == AT_ONCE
