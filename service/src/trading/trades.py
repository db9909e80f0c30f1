"""The rules of trades, without AWS and without SQL."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from trading import bodies, fields
from trading.errors import (
    InvalidParameter,
    InvalidTrade,
    InvalidVoid,
    KeyMismatch,
    KeyReused,
    NotYourTrade,
    TradeNotFound,
)
from trading.models import Caller, Order, Trade, Void

MAX_BODY_BYTES = 8 * 1024


class Book(Protocol):
    """Where trades are stored one by one."""

    def add(self, trade: Trade) -> Trade:
        """Store a trade, or return the caller's trade that has its client_order_id already."""

    def void(self, trade_id: str, void: Void, *, within: str | None) -> Trade | None:
        """Void a trade, of one scope or of any. Return it, or None if there is none."""


@dataclass(frozen=True)
class Booking:
    """A booked trade; `is_replay` if an earlier request booked it."""

    trade: Trade
    is_replay: bool


def parse_order(body: bytes, keys: Sequence[str] = ()) -> tuple[Order, bool]:
    """Read the body and the Idempotency-Key headers of `POST /trade`.

    Returns:
        The order, and whether to check it only.

    Raises:
        InvalidTrade: the body is not a JSON object with valid fields.
        InvalidParameter: a header is not a valid key.
        KeyMismatch: two headers differ, or a header and `client_order_id`.
    """
    try:
        values = bodies.read(
            body, fields.ORDER, '{"symbol":"AAPL","quantity":1}', most_bytes=MAX_BODY_BYTES
        )
    except ValueError as error:
        raise InvalidTrade(str(error)) from None
    validate_only = values.pop("validate_only")
    for key in keys:
        values["client_order_id"] = _key(key, values["client_order_id"])
    return Order(**values), validate_only


def parse_reason(body: bytes) -> str:
    """Read the body of `POST /trade/{trade_id}/void`.

    Raises:
        InvalidVoid: the body is not a JSON object with a reason.
    """
    try:
        values = bodies.read(
            body, fields.VOIDING, '{"reason":"wrong quantity"}', most_bytes=MAX_BODY_BYTES
        )
    except ValueError as error:
        raise InvalidVoid(str(error)) from None
    reason: str = values["reason"]
    return reason


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
    trade = new_trade(order, caller)
    booked = book.add(trade)
    return booking(order, booked, is_replay=booked.trade_id != trade.trade_id)


def new_trade(order: Order, caller: Caller) -> Trade:
    """The trade of now for `order`, which nobody has stored yet."""
    time = now()
    return Trade(new_trade_id(time), time, order, caller)


def booking(order: Order, booked: Trade, *, is_replay: bool) -> Booking:
    """The answer to `order`, whose key belongs to the trade `booked`.

    Raises:
        KeyReused: the trade was booked for another order.
    """
    if booked.order != order:
        raise KeyReused(
            f"The key {order.client_order_id!r} belongs to another request, which booked "
            f"{booked.trade_id}. Nothing was booked now: use a new key for a new trade."
        )
    return Booking(booked, is_replay)


def void_own_trade(trade_id: str, caller: Caller, book: Book) -> Trade:
    """Void one of the caller's own trades, for ever. A trade that is void already does not change.

    Raises:
        TradeNotFound: there is no such trade.
        NotYourTrade: another caller booked it.
    """
    void = Void(now(), caller)
    trade = found(book.void(check_trade_id(trade_id), void, within=caller.scope))
    if trade.caller.scope != caller.scope:
        raise NotYourTrade(
            "Another caller booked the trade, and it was not voided. To void it anyway, send a "
            f"reason to POST /trade/{trade_id}/void, if you may."
        )
    return trade


def void_any_trade(trade_id: str, reason: str, caller: Caller, book: Book) -> Trade:
    """Void a trade of any caller, for ever. A trade that is void already does not change.

    Raises:
        TradeNotFound: there is no such trade.
    """
    void = Void(now(), caller, reason)
    return found(book.void(check_trade_id(trade_id), void, within=None))


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


def new_trade_id(time: datetime) -> str:
    """A unique ID that sorts by time of booking.

    It has 48 bits of milliseconds and 56 random bits, in hexadecimal. Rows booked together are
    close together in the primary key.
    """
    milliseconds = int(time.replace(tzinfo=UTC).timestamp() * 1000)
    return f"TRADE-{milliseconds:012X}{secrets.token_hex(7).upper()}"


def _key(header: str, other: str | None) -> str:
    # The IETF's draft writes a key as a quoted string; many clients send it without quotes.
    # https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
    is_quoted = len(header) > 1 and header[0] == header[-1] == '"'
    try:
        key = fields.CLIENT_ORDER_ID.parse(header[1:-1] if is_quoted else header)
    except ValueError as error:
        raise InvalidParameter(f"The header {fields.KEY_HEADER!r} {error}.") from None
    if other not in (None, key):
        raise KeyMismatch(
            f"The header {fields.KEY_HEADER!r} and the field 'client_order_id' are two names for "
            "one key, but the request has two different keys: send one."
        )
    return key


def now() -> datetime:
    """This moment, as the database stores it."""
    return datetime.now(UTC).replace(tzinfo=None)
