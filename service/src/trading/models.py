"""The objects of the domain."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

BUY, SELL = "BUY", "SELL"
SUCCESS, VOID = "SUCCESS", "VOID"
# What happens to a trade.
BOOKED, VOIDED = "BOOKED", "VOIDED"


@dataclass(frozen=True)
class Order:
    """A valid request for a trade: `quantity` in units, an `int` if whole; `price` for one of them.

    Two requests with one key are the same if their orders are equal.
    """

    symbol: str
    quantity: int | Decimal
    side: str = BUY
    price: Decimal | None = None
    client_order_id: str | None = None

    @property
    def units(self) -> int:
        """The whole units of the quantity."""
        return int(self.quantity)

    @property
    def fraction(self) -> Decimal:
        """The fraction of the quantity."""
        return Decimal(self.quantity) % 1


@dataclass(frozen=True)
class Caller:
    """Who sent a request, as API Gateway authenticated them.

    A `client_order_id` is unique within a `scope`, and a caller's own trades are those of its
    scope. `principal` is the full ARN. `access_key` finds the caller in CloudTrail, and
    `request_id`, which callers cannot choose, finds the request in the access log.
    """

    scope: str
    account: str | None
    principal: str
    access_key: str | None = None
    request_id: str | None = None


@dataclass(frozen=True)
class Void:
    """When, by whom and why a trade was voided.

    A void by an older release has no scope, and the account is not stored.
    """

    at: datetime
    by: Caller
    reason: str | None = None


@dataclass(frozen=True)
class Trade:
    """A booked trade; all times are in UTC, without a time zone."""

    trade_id: str
    created_at: datetime
    order: Order
    caller: Caller
    void: Void | None = None

    @property
    def status(self) -> str:
        """`SUCCESS`, or `VOID` once the trade is voided."""
        return SUCCESS if self.void is None else VOID


@dataclass(frozen=True)
class Place:
    """A place in the feed: right after an event, or at the start, which has the number 0.

    The trade is that of the event: a restored book may have another event of this number. A number
    that was given up has none.
    """

    number: int = 0
    trade_id: str | None = None


@dataclass(frozen=True)
class Entry:
    """A number of the feed: what happened to which trade, or nothing if it was given up."""

    place: Place
    kind: str | None = None
    trade: Trade | None = None


@dataclass(frozen=True)
class Position:
    """Bought less sold units of a symbol."""

    symbol: str
    quantity: Decimal


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
