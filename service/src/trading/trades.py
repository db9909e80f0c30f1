"""The rules of trades, without AWS and without SQL."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn, Protocol

from trading import fields
from trading.errors import InvalidParameter, InvalidTrade, KeyMismatch, KeyReused, TradeNotFound
from trading.models import Caller, Order, Trade

MAX_BODY_BYTES = 8 * 1024


class Book(Protocol):
    """Where trades are stored."""

    def add(self, trade: Trade) -> Trade:
        """Store a trade, or return the caller's trade that has its client_order_id already."""

    def void(self, trade_id: str, *, at: datetime, by: str) -> Trade | None:
        """Void a trade unless it is void, and return it; None if there is none."""


@dataclass(frozen=True)
class Booking:
    """A booked trade; `is_replay` if an earlier request booked it."""

    trade: Trade
    is_replay: bool


def parse_order(body: bytes, key: str | None = None) -> tuple[Order, bool]:
    """Read the body and the Idempotency-Key header of `POST /trade`.

    Returns:
        The order, and whether to check it only.

    Raises:
        InvalidTrade: the body is not a JSON object with valid fields.
        InvalidParameter: the header is not a valid key.
        KeyMismatch: header and `client_order_id` differ.
    """
    if len(body) > MAX_BODY_BYTES:
        raise InvalidTrade(f"The body has {len(body)} bytes; the most is {MAX_BODY_BYTES}.")
    document = _parse_json(body)
    if not isinstance(document, dict):
        raise InvalidTrade('The body must be a JSON object such as {"symbol":"AAPL","quantity":1}.')
    try:
        values = fields.read(fields.ORDER, document)
    except ValueError as error:
        raise InvalidTrade(f"The field {error}.") from None
    validate_only = values.pop("validate_only")
    if key is not None:
        values["client_order_id"] = _key(key, values["client_order_id"])
    return Order(**values), validate_only


def parse_query(
    known: Mapping[str, fields.Field], query: Mapping[str, list[str]]
) -> dict[str, Any]:
    """Read the query parameters of a request.

    Raises:
        InvalidParameter: one is unknown, given twice, missing, or has a wrong value.
    """
    for name, values in query.items():
        if len(values) > 1:
            raise InvalidParameter(f"The parameter {name[:40]!r} is given {len(values)} times.")
    texts = {name: values[0] for name, values in query.items()}
    try:
        return fields.read(
            known,
            {n: known[n].from_text(text) if n in known else text for n, text in texts.items()},
        )
    except ValueError as error:
        raise InvalidParameter(f"The parameter {error}.") from None


def book_trade(order: Order, caller: Caller, book: Book) -> Booking:
    """Book a trade for `order`, unless the caller booked it before under the same client_order_id.

    Raises:
        KeyReused: the caller booked another order under the same client_order_id.
    """
    now = datetime.now(UTC).replace(tzinfo=None)
    trade = Trade(new_trade_id(now), now, order, caller)
    booked = book.add(trade)
    if booked.order != order:
        raise KeyReused(
            f"The key {order.client_order_id!r} belongs to another request, which booked "
            f"{booked.trade_id}. Nothing was booked now: use a new key for a new trade."
        )
    return Booking(booked, is_replay=booked.trade_id != trade.trade_id)


def void_trade(trade_id: str, caller: Caller, book: Book) -> Trade:
    """Void a trade for good. A trade that is void already does not change.

    Raises:
        TradeNotFound: there is no such trade.
    """
    now = datetime.now(UTC).replace(tzinfo=None)
    trade = book.void(check_trade_id(trade_id), at=now, by=caller.principal)
    return found(trade)


def found(trade: Trade | None) -> Trade:
    """The trade that a caller asked for.

    Raises:
        TradeNotFound: `trade` is None.
    """
    if trade is None:
        raise TradeNotFound("There is no such trade.")
    return trade


def check_trade_id(trade_id: str) -> str:
    """A trade's ID.

    Raises:
        TradeNotFound: the text does not have the form of a trade's ID.
    """
    try:
        return fields.TRADE_ID.parse(trade_id)
    except ValueError:
        raise TradeNotFound("There is no such trade.") from None


def new_trade_id(now: datetime) -> str:
    """A unique ID that sorts by time of booking.

    It has 48 bits of milliseconds and 56 random bits, in hexadecimal. Rows booked together are
    close together in the primary key.
    """
    milliseconds = int(now.replace(tzinfo=UTC).timestamp() * 1000)
    return f"TRADE-{milliseconds:012X}{secrets.token_hex(7).upper()}"


def _key(header: str, client_order_id: str | None) -> str:
    try:
        key = fields.CLIENT_ORDER_ID.parse(header)
    except ValueError as error:
        raise InvalidParameter(f"The header {fields.KEY_HEADER!r} {error}.") from None
    if client_order_id not in (None, key):
        raise KeyMismatch(
            f"The header {fields.KEY_HEADER!r} and the field 'client_order_id' are two names for "
            "one key: give one of them, or both the same."
        )
    return key


def _parse_json(body: bytes) -> Any:
    try:
        # Decimal keeps 0.1 exact; a float would not.
        return json.loads(
            body.decode("utf-8"),
            parse_float=Decimal,
            parse_constant=_not_a_number,
            object_pairs_hook=_object_without_duplicates,
        )
    # ValueError covers bad UTF-8 and integers with more digits than Python converts.
    # InvalidOperation is an exponent outside of Decimal's range.
    except (ValueError, RecursionError, InvalidOperation):
        raise InvalidTrade("The body is not valid JSON.") from None


def _not_a_number(constant: str) -> NoReturn:
    raise InvalidTrade(f"The body is not valid JSON: {constant} is not a number.")


def _object_without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise InvalidTrade("The body names a field twice.")
    return document
