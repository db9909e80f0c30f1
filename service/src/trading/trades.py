"""The rules of trades: no AWS and no SQL in here."""

import json
import re
import secrets
import time
from decimal import Decimal
from typing import Any, NoReturn, Protocol

from trading.errors import InvalidTrade
from trading.models import Order, Trade

MAX_BODY_BYTES = 8 * 1024
MAX_QUANTITY = 1_000_000_000

_FIELDS = ("symbol", "quantity")
_SYMBOL = re.compile(r"[A-Z][A-Z0-9]*([.-][A-Z0-9]+)*")
_SYMBOL_MAX_LENGTH = 16


class Book(Protocol):
    """Where trades are kept."""

    def add(self, trade: Trade) -> None:
        """Keep a trade; adding the same `trade_id` again changes nothing."""


def parse_order(body: bytes) -> Order:
    """Read the body of `POST /trade`.

    Raises:
        InvalidTrade: the body is not a JSON object with exactly a valid `symbol` and `quantity`.
    """
    if len(body) > MAX_BODY_BYTES:
        raise InvalidTrade(f"The body has {len(body)} bytes; the most is {MAX_BODY_BYTES}.")
    document = _parse_json(body)
    if not isinstance(document, dict):
        raise InvalidTrade('The body must be a JSON object such as {"symbol":"AAPL","quantity":1}.')
    for field in _FIELDS:
        if field not in document:
            raise InvalidTrade(f"The field {field!r} is missing.")
    for field in document:
        if field not in _FIELDS:
            raise InvalidTrade(
                f"The field {field[:40]!r} is unknown; the fields are {', '.join(_FIELDS)}."
            )
    return Order(_symbol(document["symbol"]), _quantity(document["quantity"]))


def book_trade(order: Order, book: Book) -> Trade:
    """Book a trade for `order` and return it."""
    trade = Trade(new_trade_id(), order.symbol, order.quantity, "SUCCESS")
    book.add(trade)
    return trade


def new_trade_id() -> str:
    """An ID that no other trade has, and that sorts by time of booking.

    48 bits of milliseconds and 56 random bits in hexadecimal: rows that are booked together lie
    together in the primary key.
    """
    return f"TRADE-{time.time_ns() // 1_000_000:012X}{secrets.token_hex(7).upper()}"


def _parse_json(body: bytes) -> Any:
    try:
        # Decimal keeps 0.1 exact: no value ever passes through a float.
        return json.loads(
            body.decode("utf-8"),
            parse_float=Decimal,
            parse_constant=_not_a_number,
            object_pairs_hook=_object_without_duplicates,
        )
    # ValueError is also bad UTF-8, and an integer of more digits than Python converts.
    except (ValueError, RecursionError):
        raise InvalidTrade("The body is not valid JSON.") from None


def _not_a_number(constant: str) -> NoReturn:
    raise InvalidTrade(f"The body is not valid JSON: {constant} is not a number.")


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise InvalidTrade("The body names a field twice.")
    return document


def _symbol(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidTrade("The field 'symbol' must be a string.")
    if len(value) > _SYMBOL_MAX_LENGTH or not _SYMBOL.fullmatch(value):
        raise InvalidTrade(
            f"The field 'symbol' must be 1 to {_SYMBOL_MAX_LENGTH} capital letters and digits, "
            "beginning with a letter, with single dots or hyphens between, such as AAPL or BRK.B."
        )
    return value


def _quantity(value: object) -> int:
    # True and False are integers to Python, but not to the caller.
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise InvalidTrade("The field 'quantity' must be a number.")
    # Bounds first: the integer of a Decimal such as 1E+999999999 would fill the memory.
    if not 0 < value <= MAX_QUANTITY or value != int(value):
        raise InvalidTrade(f"The field 'quantity' must be a whole number from 1 to {MAX_QUANTITY}.")
    return int(value)
