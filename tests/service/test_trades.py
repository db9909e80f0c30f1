import contextlib
import json
import re
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading.errors import InvalidTrade
from trading.models import Order
from trading.trades import MAX_BODY_BYTES, MAX_QUANTITY, new_trade_id, parse_order


def test_the_specified_request_is_an_order() -> None:
    assert parse_order(b'{"symbol": "AAPL", "quantity": 100}') == Order("AAPL", 100)


@pytest.mark.parametrize("symbol", ["A", "BRK.B", "BF-B", "SPY240621", "X" * 16])
def test_usual_symbols_are_taken(symbol: str) -> None:
    assert parse_order(json.dumps({"symbol": symbol, "quantity": 1}).encode()).symbol == symbol


@pytest.mark.parametrize("quantity", ["1", "100.0", "1e2", str(MAX_QUANTITY)])
def test_a_whole_number_is_taken_however_it_is_written(quantity: str) -> None:
    order = parse_order(f'{{"symbol":"AAPL","quantity":{quantity}}}'.encode())
    assert order.quantity == int(Decimal(quantity))
    assert type(order.quantity) is int


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 7000, "not valid JSON"),
        (b'{"symbol":"A","quantity":' + b"9" * 5000 + b"}", "not valid JSON"),
        (b"[]", "JSON object"),
        (b"null", "JSON object"),
        (b'"AAPL"', "JSON object"),
        (b"{}", "'symbol' is missing"),
        (b'{"symbol":"AAPL"}', "'quantity' is missing"),
        (b'{"symbol":"AAPL","quantity":1,"note":"x"}', "'note' is unknown"),
        (b'{"symbol":"AAPL","symbol":"MSFT","quantity":1}', "twice"),
        (b'{"symbol":1,"quantity":1}', "'symbol' must be a string"),
        (b'{"symbol":null,"quantity":1}', "'symbol' must be a string"),
        (b'{"symbol":"","quantity":1}', "'symbol' must be 1 to 16"),
        (b'{"symbol":"aapl","quantity":1}', "'symbol' must be 1 to 16"),
        (b'{"symbol":"AAPL\\n","quantity":1}', "'symbol' must be 1 to 16"),
        (b'{"symbol":"A..B","quantity":1}', "'symbol' must be 1 to 16"),
        ('{"symbol":"ÄAPL","quantity":1}'.encode(), "'symbol' must be 1 to 16"),
        (b'{"symbol":"AAAAAAAAAAAAAAAAA","quantity":1}', "'symbol' must be 1 to 16"),
        (b'{"symbol":"AAPL","quantity":"1"}', "'quantity' must be a number"),
        (b'{"symbol":"AAPL","quantity":true}', "'quantity' must be a number"),
        (b'{"symbol":"AAPL","quantity":null}', "'quantity' must be a number"),
        (b'{"symbol":"AAPL","quantity":0}', "whole number"),
        (b'{"symbol":"AAPL","quantity":-1}', "whole number"),
        (b'{"symbol":"AAPL","quantity":1.5}', "whole number"),
        (b'{"symbol":"AAPL","quantity":1000000001}', "whole number"),
        (b'{"symbol":"AAPL","quantity":1e999999999}', "whole number"),
        (b'{"symbol":"AAPL","quantity":NaN}', "NaN is not a number"),
        (b'{"symbol":"AAPL","quantity":-Infinity}', "-Infinity is not a number"),
        (b'{"symbol":"AAPL","quantity":1}' + b" " * MAX_BODY_BYTES, "bytes; the most is"),
    ],
)
def test_what_cannot_be_a_trade_is_refused_with_the_reason(body: bytes, complaint: str) -> None:
    with pytest.raises(InvalidTrade, match=re.escape(complaint)):
        parse_order(body)


@given(st.binary(max_size=200))
def test_no_body_at_all_causes_another_error(body: bytes) -> None:
    with contextlib.suppress(InvalidTrade):
        assert parse_order(body).quantity > 0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(json_values, json_values)
def test_whatever_is_taken_is_a_valid_order(symbol: object, quantity: object) -> None:
    try:
        order = parse_order(json.dumps({"symbol": symbol, "quantity": quantity}).encode())
    except InvalidTrade:
        return
    assert order.symbol == symbol
    assert order.quantity == quantity
    assert 0 < order.quantity <= MAX_QUANTITY


def test_ids_differ_and_sort_by_time() -> None:
    ids = [new_trade_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(re.fullmatch(r"TRADE-[0-9A-F]{26}", id_) for id_ in ids)
    times = [id_[:18] for id_ in ids]
    assert times == sorted(times)
