import contextlib
import json
import re
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trading import fields
from trading.errors import InvalidTrade
from trading.models import BUY, SELL, Order
from trading.trades import MAX_BODY_BYTES, new_trade_id, parse_order

MAX_QUANTITY = fields.QUANTITY.whole.maximum


def order(body: bytes) -> Order:
    return parse_order(body)[0]


def test_the_specified_request_is_an_order_to_buy() -> None:
    request = parse_order(b'{"symbol": "AAPL", "quantity": 100}')
    assert request == (Order("AAPL", 100, BUY, None, None), False)


def test_all_fields_are_read() -> None:
    body = b"""{"symbol":"AAPL","quantity":1,"side":"SELL","price":"0.000001",
        "client_order_id":"key","validate_only":true}"""
    assert parse_order(body) == (Order("AAPL", 1, SELL, Decimal("0.000001"), "key"), True)


def test_a_header_is_another_name_for_the_key() -> None:
    body = b'{"symbol":"AAPL","quantity":1}'
    assert parse_order(body, ["key"])[0] == Order("AAPL", 1, client_order_id="key")


@pytest.mark.parametrize(
    "symbol",
    [
        *("AAPL", "BRK.B", "7203.T", "0700.HK", "600519", "BTC/USD", "EUR/USD", "BTC-USD", "M&M"),
        # https://www.theocc.com: the underlying, filled up with spaces; date; call or put; price
        *("SPXW  260116C06900000", "F     260116P00012500", "ABCDEF260116C00150000"),
        "A" * 32,
    ],
)
def test_symbols_are_those_that_exchanges_use(symbol: str) -> None:
    assert order(json.dumps({"symbol": symbol, "quantity": 1}).encode()).symbol == symbol


@pytest.mark.parametrize(
    "symbol",
    ["A B", " AAPL", "AAPL ", "BTC//USD", "/USD", "USD/", "SPXW  260116X06900000", "AAPL  260116"],
)
def test_other_text_with_such_characters_is_not_a_symbol(symbol: str) -> None:
    with pytest.raises(InvalidTrade, match="'symbol' must be 1 to 32"):
        order(json.dumps({"symbol": symbol, "quantity": 1}).encode())


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-01-31T09:30:00Z", datetime(2026, 1, 31, 9, 30)),
        ("2026-01-31T09:30:00+00:00", datetime(2026, 1, 31, 9, 30)),
        ("2026-01-31T09:30:00+01:00", datetime(2026, 1, 31, 8, 30)),
        ("2026-01-31T23:30:00.25-05:30", datetime(2026, 2, 1, 5, 0, 0, 250_000)),
    ],
)
def test_times_with_an_offset_are_the_same_moment_in_utc(text: str, utc: datetime) -> None:
    assert fields.FILTERS["from"].parse(text) == utc


@pytest.mark.parametrize(
    "text",
    [
        *("2026-01-31T09:30:00", "2026-01-31T09:30:00 01:00", "2026-01-31T09:30:00+0100"),
        *("2026-01-31T09:30:00+24:00", "2026-02-30T09:30:00+01:00"),
        # In UTC, these are before the first and after the last day of the calendar.
        *("0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01"),
    ],
)
def test_times_without_a_clear_moment_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be a time such as .*%2B"):
        fields.FILTERS["from"].parse(text)


@pytest.mark.parametrize("price", ["1", "0.5", "999999999999.999999", "189.250000"])
def test_prices_are_exact(price: str) -> None:
    body = json.dumps({"symbol": "AAPL", "quantity": 1, "price": price}).encode()
    assert order(body).price == Decimal(price)


@pytest.mark.parametrize(
    ("price", "written"),
    [("189.250", "189.25"), ("100", "100"), ("1000.000000", "1000"), ("0.000001", "0.000001")],
)
def test_prices_are_written_without_trailing_zeros_and_without_an_exponent(
    price: str, written: str
) -> None:
    assert fields.amount(Decimal(price)) == written


@pytest.mark.parametrize("symbol", ["A", "BRK.B", "BF-B", "SPY240621", "X" * 16])
def test_usual_symbols_are_accepted(symbol: str) -> None:
    assert order(json.dumps({"symbol": symbol, "quantity": 1}).encode()).symbol == symbol


@pytest.mark.parametrize("quantity", ["1", "100.0", "1e2", str(MAX_QUANTITY)])
def test_a_whole_number_is_accepted_however_it_is_written(quantity: str) -> None:
    taken = order(f'{{"symbol":"AAPL","quantity":{quantity}}}'.encode()).quantity
    assert taken == int(Decimal(quantity))
    assert type(taken) is int


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe", "not valid JSON"),
        (b"[" * 7000, "not valid JSON"),
        (b'{"symbol":"A","quantity":' + b"9" * 5000 + b"}", "not valid JSON"),
        (b'{"symbol":"A","quantity":1e9999999999999999999}', "not valid JSON"),
        (b"[]", "JSON object"),
        (b"null", "JSON object"),
        (b'"AAPL"', "JSON object"),
        (b"{}", "'symbol' is missing"),
        (b'{"symbol":"AAPL"}', "'quantity' is missing"),
        (b'{"symbol":"AAPL","quantity":1,"note":"x"}', "'note' is unknown"),
        (b'{"symbol":"AAPL","symbol":"MSFT","quantity":1}', "twice"),
        (b'{"symbol":1,"quantity":1}', "'symbol' must be a string"),
        (b'{"symbol":null,"quantity":1}', "'symbol' must be a string"),
        (b'{"symbol":"","quantity":1}', "'symbol' must be 1 to 32"),
        (b'{"symbol":"aapl","quantity":1}', "'symbol' must be 1 to 32"),
        (b'{"symbol":"AAPL\\n","quantity":1}', "'symbol' must be 1 to 32"),
        (b'{"symbol":"A..B","quantity":1}', "'symbol' must be 1 to 32"),
        ('{"symbol":"ÄAPL","quantity":1}'.encode(), "'symbol' must be 1 to 32"),
        (
            b'{"symbol":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","quantity":1}',
            "'symbol' must be 1 to 32",
        ),
        (b'{"symbol":"AAPL","quantity":"x"}', "'quantity' must be a whole number"),
        (b'{"symbol":"AAPL","quantity":true}', "'quantity' must be a whole number"),
        (b'{"symbol":"AAPL","quantity":null}', "'quantity' must be a whole number"),
        (b'{"symbol":"AAPL","quantity":0}', "whole number"),
        (b'{"symbol":"AAPL","quantity":-1}', "whole number"),
        (b'{"symbol":"AAPL","quantity":1.5}', "whole number"),
        (b'{"symbol":"AAPL","quantity":1000000001}', "whole number"),
        (b'{"symbol":"AAPL","quantity":1e999999999}', "whole number"),
        (b'{"symbol":"AAPL","quantity":1,"side":"buy"}', "'side' must be one of BUY, SELL"),
        (b'{"symbol":"AAPL","quantity":1,"side":null}', "'side' must be one of"),
        (b'{"symbol":"AAPL","quantity":1,"side":[]}', "'side' must be one of"),
        (b'{"symbol":"AAPL","quantity":1,"price":1.5}', "'price' must be a string"),
        (b'{"symbol":"AAPL","quantity":1,"price":null}', "'price' must be a string"),
        *(
            (f'{{"symbol":"AAPL","quantity":1,"price":"{price}"}}'.encode(), "above 0 with")
            for price in ("0", "0.000000", "-1", "+1", "1e2", ".5", "5.", "01", "1,5", "NaN", "")
        ),
        (b'{"symbol":"AAPL","quantity":1,"price":"0.0000001"}', "6 after the point"),
        (b'{"symbol":"AAPL","quantity":1,"price":"1000000000000"}', "12 digits before"),
        (b'{"symbol":"AAPL","quantity":1,"client_order_id":""}', "'client_order_id' must be 1 to"),
        (b'{"symbol":"AAPL","quantity":1,"client_order_id":7}', "must be a string"),
        (b'{"symbol":"AAPL","quantity":1,"validate_only":"yes"}', "must be true or false"),
        (b'{"symbol":"AAPL","quantity":NaN}', "NaN is not a number"),
        (b'{"symbol":"AAPL","quantity":-Infinity}', "-Infinity is not a number"),
        (b'{"symbol":"AAPL","quantity":1}' + b" " * MAX_BODY_BYTES, "bytes; the most is"),
    ],
)
def test_what_cannot_be_a_trade_is_refused_with_the_reason(body: bytes, complaint: str) -> None:
    with pytest.raises(InvalidTrade, match=re.escape(complaint)):
        parse_order(body)


@given(st.binary(max_size=200))
def test_any_body_is_an_order_or_a_validation_error(body: bytes) -> None:
    with contextlib.suppress(InvalidTrade):
        assert order(body).quantity > 0


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(json_values, json_values)
def test_every_accepted_body_is_a_valid_order(symbol: object, quantity: object) -> None:
    try:
        taken = order(json.dumps({"symbol": symbol, "quantity": quantity}).encode())
    except InvalidTrade:
        return
    assert taken.symbol == symbol
    assert taken.quantity == quantity
    assert 0 < taken.quantity <= MAX_QUANTITY


@given(st.decimals(min_value="0.000001", max_value="999999999999.999999", places=6))
def test_an_amount_survives_writing_and_reading(amount: Decimal) -> None:
    assert fields.PRICE.parse(fields.amount(amount)) == amount


def test_ids_differ_and_sort_by_time() -> None:
    times = [datetime(2026, 1, 31) + timedelta(milliseconds=n) for n in range(1000)]
    ids = [new_trade_id(time) for time in times]
    assert ids == sorted(ids)
    assert all(re.fullmatch(r"TRADE-[0-9A-F]{26}", id_) for id_ in ids)
    assert len({new_trade_id(times[0]) for _ in range(1000)}) == 1000
