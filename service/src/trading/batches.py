"""The rules of batches: many trades in one request, each booked exactly once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from trading import bodies, fields
from trading.errors import (
    BatchRefused,
    InvalidBatch,
    InvalidParameter,
    InvalidTrade,
    KeyReused,
)
from trading.models import Caller, Order, Trade
from trading.trades import Booking, booking, new_trade

# A full batch of the longest trades has room, even if it is indented.
MAX_BODY_BYTES = 256 * 1024

_EXAMPLE = '{"symbol":"AAPL","quantity":1,"client_order_id":"desk-7:0001"}'

Result = Booking | InvalidTrade | KeyReused | None
"""What became of one trade of a batch; None if another one was refused, and so this one skipped."""


class Book(Protocol):
    """Where trades are stored many at a time."""

    def add_all(self, trades: Sequence[Trade]) -> Mapping[str | None, Trade]:
        """Store all trades, or none and return those that have their client_order_ids already.

        All trades have the same caller, and each has a client_order_id of its own.
        """


@dataclass(frozen=True)
class Batch:
    """A request for many trades: each is a valid order with a key, or says what is wrong with it.

    With `all_or_nothing`, no trade is booked if one is refused.
    """

    orders: Sequence[Order | InvalidTrade]
    all_or_nothing: bool


def parse_batch(body: bytes, keys: Sequence[str] = ()) -> Batch:
    """Read the body and the Idempotency-Key headers of `POST /trades`.

    Raises:
        InvalidBatch: the body is too long, or is not a JSON object with a list of trades.
        InvalidParameter: there is a header with a key.
    """
    if keys:
        raise InvalidParameter(
            f"The header {fields.KEY_HEADER!r} is a key of one trade. Leave it out, and give each "
            "trade of the batch a key of its own in 'client_order_id'."
        )
    try:
        values = bodies.read(
            body, fields.BATCH, f'{{"trades":[{_EXAMPLE}]}}', most_bytes=MAX_BODY_BYTES
        )
    except ValueError as error:
        raise InvalidBatch(str(error)) from None
    return Batch([_order(item) for item in values["trades"]], values["all_or_nothing"])


def book_batch(batch: Batch, caller: Caller, book: Book) -> list[Result]:
    """Book the trades of a batch. Return what became of each, in the order of the batch.

    The usual batch takes one statement. If some of its keys are in the book already, the statement
    books nothing and names them, and the next one books the others. Other requests may use the same
    keys at the same time: then this repeats, and each time fewer trades are left.

    Raises:
        BatchRefused: a trade is refused, and the caller wants all or nothing. Nothing was booked.
    """
    new: dict[str | None, Trade] = {}
    for order in batch.orders:
        if isinstance(order, Order):
            new.setdefault(order.client_order_id, new_trade(order, caller))
    booked: dict[str | None, Trade] = {}
    while True:
        results = _results(batch, new, {**new, **booked})
        refusals = [None if isinstance(each, Booking) else each for each in results]
        if batch.all_or_nothing and any(refusals):
            raise BatchRefused(refusals)
        missing = [trade for key, trade in new.items() if key not in booked]
        if not missing:
            return results
        met = book.add_all(missing)
        booked.update(met or {trade.order.client_order_id: trade for trade in missing})


def _order(item: object) -> Order | InvalidTrade:
    try:
        return Order(**bodies.check(item, fields.BATCH_ORDER, _EXAMPLE, what="The trade"))
    except ValueError as error:
        return InvalidTrade(str(error))


def _results(
    batch: Batch, new: Mapping[str | None, Trade], booked: Mapping[str | None, Trade]
) -> list[Result]:
    """What becomes of each trade of a batch, if each key gets the trade that `booked` says."""
    # The first order of a key is the one to book; further ones repeat it.
    first = {id(trade.order) for trade in new.values()}
    own = {trade.trade_id for trade in new.values()}
    return [
        order
        if isinstance(order, InvalidTrade)
        else _result(
            order,
            booked[order.client_order_id],
            is_first=id(order) in first,
            is_own=booked[order.client_order_id].trade_id in own,
        )
        for order in batch.orders
    ]


def _result(order: Order, booked: Trade, *, is_first: bool, is_own: bool) -> Result:
    if is_own and booked.order != order:
        return KeyReused(
            f"The key {order.client_order_id!r} is also that of an earlier trade of this batch, "
            "which is another one: give each trade a key of its own."
        )
    try:
        return booking(order, booked, is_replay=not (is_own and is_first))
    except KeyReused as error:
        return error
