"""The objects of the domain."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

BUY, SELL = "BUY", "SELL"
SUCCESS, VOID = "SUCCESS", "VOID"


@dataclass(frozen=True)
class Order:
    """A valid request for a trade: `quantity` in whole units, `price` for one of them.

    Two requests with one key are the same if their orders are equal.
    """

    symbol: str
    quantity: int
    side: str = BUY
    price: Decimal | None = None
    client_order_id: str | None = None


@dataclass(frozen=True)
class Caller:
    """Who sent a request, as API Gateway authenticated them.

    A `client_order_id` is unique within a `scope`, which stays the same when a role is assumed
    again under another session name. `principal` is the full ARN, for the record.
    """

    scope: str
    account: str | None
    principal: str


@dataclass(frozen=True)
class Trade:
    """A booked trade; all times are in UTC, without a time zone."""

    trade_id: str
    created_at: datetime
    order: Order
    caller: Caller
    status: str = SUCCESS
    voided_at: datetime | None = None
    voided_by: str | None = None


@dataclass(frozen=True)
class Position:
    """Bought less sold units of a symbol."""

    symbol: str
    quantity: int


@dataclass(frozen=True)
class PagePosition:
    """Where a page of the list ends: trades are listed newest first, then by ID."""

    created_at: datetime
    trade_id: str


@dataclass(frozen=True)
class TradeFilter:
    """Which trades to list; `since` is included and `before` is not."""

    symbol: str | None = None
    side: str | None = None
    status: str | None = None
    since: datetime | None = None
    before: datetime | None = None
