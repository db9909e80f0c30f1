"""The operations of the trade API 2.1.0: made by `make openapi`; do not edit."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, Literal, NotRequired, TypedDict, cast
from urllib.parse import quote


class Order(TypedDict):
    """The object `Order` of the API.

    symbol: The instrument.
    quantity: Number of units: a whole number, or a decimal number as a string.
    side: Whether the caller buys or sells.
    price: Price of one unit.
    client_order_id: The caller's own name for the trade, unique among the trades of this caller.
    validate_only: Check the request and book nothing.
    """

    symbol: str
    quantity: int | str
    side: NotRequired[Literal["BUY", "SELL"]]
    price: NotRequired[str]
    client_order_id: NotRequired[str]
    validate_only: NotRequired[bool]


class BookedTrade(TypedDict):
    """The object `BookedTrade` of the API.

    trade_id: The trade's ID. Later trades have greater IDs.
    symbol: The instrument.
    quantity: Number of units: a whole number, or a decimal number as a string.
    db_endpoint: The database that holds the trade.
    """

    trade_id: str
    symbol: str
    quantity: int | str
    region: str
    environment: str
    db_endpoint: str
    status: Literal["SUCCESS"]


class ReplayedTrade(TypedDict):
    """The object `ReplayedTrade` of the API.

    trade_id: The trade's ID. Later trades have greater IDs.
    symbol: The instrument.
    quantity: Number of units: a whole number, or a decimal number as a string.
    db_endpoint: The database that holds the trade.
    status: SUCCESS once the trade is booked. VOID once it is voided, which cannot be undone.
    principal: ARN of who booked the trade; `anonymous` without authorization.
    """

    trade_id: str
    symbol: str
    quantity: int | str
    region: str
    environment: str
    db_endpoint: str
    status: Literal["SUCCESS", "VOID"]
    principal: str


class ValidOrder(TypedDict):
    """The object `ValidOrder` of the API.

    symbol: The instrument.
    quantity: Number of units: a whole number, or a decimal number as a string.
    side: Whether the caller buys or sells.
    price: Price of one unit.
    client_order_id: The caller's own name for the trade, unique among the trades of this caller.
    """

    symbol: str
    quantity: int | str
    side: Literal["BUY", "SELL"]
    price: str | None
    client_order_id: str | None
    status: Literal["VALID"]


class Batch(TypedDict):
    """The object `Batch` of the API.

    trades: The trades, each with a key of its own.
    all_or_nothing: Book no trade if one of them is refused.
    """

    trades: list[BatchOrder]
    all_or_nothing: NotRequired[bool]


class BatchOrder(TypedDict):
    """The object `BatchOrder` of the API.

    symbol: The instrument.
    quantity: Number of units: a whole number, or a decimal number as a string.
    side: Whether the caller buys or sells.
    price: Price of one unit.
    client_order_id: The caller's own name for the trade, unique among the trades of this caller.
    """

    symbol: str
    quantity: int | str
    side: NotRequired[Literal["BUY", "SELL"]]
    price: NotRequired[str]
    client_order_id: str


class BookedBatch(TypedDict):
    """The object `BookedBatch` of the API.

    booked: Trades that this request booked.
    replayed: Trades that an earlier request booked.
    refused: Trades that were not booked.
    """

    booked: int
    replayed: int
    refused: int
    trades: list[BatchResult]


class BatchResult(TypedDict):
    """The object `BatchResult` of the API.

    outcome: `BOOKED`: this request booked it. `REPLAYED`: an earlier request with this key booked
        it. `REFUSED`: not booked, for the reason in `code` and `detail`. `SKIPPED`: this request
        did not book it, because another trade of the all-or-nothing batch was refused.
    client_order_id: The caller's own name for the trade, unique among the trades of this caller.
    trade_id: The trade's ID. Later trades have greater IDs.
    status: SUCCESS once the trade is booked. VOID once it is voided, which cannot be undone.
    principal: For a replay: ARN of who booked the trade; `anonymous` without authorization.
    code: For a refused trade: what is wrong, for programs.
    detail: The same, for people.
    """

    outcome: Literal["BOOKED", "REPLAYED", "REFUSED", "SKIPPED"]
    client_order_id: str | None
    trade_id: str | None
    status: Literal["SUCCESS", "VOID"] | None
    principal: str | None
    code: Literal["INVALID_TRADE", "KEY_REUSED"] | None
    detail: str | None


class RefusedBatch(TypedDict):
    """A problem document that says what became of each trade of the batch.

    title: The HTTP status in words.
    code: What is wrong, for programs. A code does not change.
    detail: What is wrong, for people. The words may change.
    request_id: Finds the request in the logs.
    """

    type: Literal["about:blank"]
    title: str
    status: int
    code: Literal[
        "BATCH_REFUSED",
        "CURSOR_GONE",
        "DATABASE_UNAVAILABLE",
        "INTERNAL_ERROR",
        "INVALID_BATCH",
        "INVALID_CURSOR",
        "INVALID_PARAMETER",
        "INVALID_TRADE",
        "INVALID_VOID",
        "KEY_MISMATCH",
        "KEY_REUSED",
        "METHOD_NOT_ALLOWED",
        "NOT_FOUND",
        "NOT_YOUR_TRADE",
        "READ_TIMED_OUT",
        "TRADE_NOT_FOUND",
    ]
    detail: str
    request_id: str
    trades: list[BatchResult]


class Trade(TypedDict):
    """The object `Trade` of the API.

    trade_id: The trade's ID. Later trades have greater IDs.
    created_at: When the trade was booked.
    status: SUCCESS once the trade is booked. VOID once it is voided, which cannot be undone.
    symbol: The instrument.
    quantity: Number of units: a whole number, or a decimal number as a string.
    side: Whether the caller buys or sells.
    price: Price of one unit.
    client_order_id: The caller's own name for the trade, unique among the trades of this caller.
    account: AWS account of who booked the trade.
    principal: ARN of who booked the trade; `anonymous` without authorization.
    voided_at: When the trade was voided.
    voided_by: ARN of who voided the trade.
    void_reason: The reason of the void, if one was given.
    """

    trade_id: str
    created_at: str
    status: Literal["SUCCESS", "VOID"]
    symbol: str
    quantity: int | str
    side: Literal["BUY", "SELL"]
    price: str | None
    client_order_id: str | None
    account: str | None
    principal: str
    voided_at: str | None
    voided_by: str | None
    void_reason: str | None


class Voiding(TypedDict):
    """The object `Voiding` of the API.

    reason: Why the trade is voided.
    """

    reason: str


class TradePage(TypedDict):
    """The object `TradePage` of the API.

    next_cursor: Leads to the next page; absent on the last one.
    """

    trades: list[Trade]
    next_cursor: NotRequired[str]


class EventPage(TypedDict):
    """The object `EventPage` of the API.

    next_cursor: Leads to the events that follow, now or later.
    """

    events: list[Event]
    next_cursor: str


class Event(TypedDict):
    """The object `Event` of the API.

    kind: What happened to the trade. The event shows it as it was then.
    cursor: Leads to the events after this one.
    """

    kind: Literal["BOOKED", "VOIDED"]
    cursor: str
    trade: Trade


class Position(TypedDict):
    """The object `Position` of the API.

    symbol: The instrument.
    quantity: Negative if more was sold than bought. A string if it is not whole, or beyond 2^53 -
        1, where many readers of JSON round numbers.
    exact_quantity: The same, always as a string.
    """

    symbol: str
    quantity: int | str
    exact_quantity: str


class Positions(TypedDict):
    """The object `Positions` of the API.

    next_cursor: Leads to the next page; absent on the last one.
    """

    positions: list[Position]
    next_cursor: NotRequired[str]


class Problem(TypedDict):
    """A problem document (RFC 9457).

    title: The HTTP status in words.
    code: What is wrong, for programs. A code does not change.
    detail: What is wrong, for people. The words may change.
    request_id: Finds the request in the logs.
    """

    type: Literal["about:blank"]
    title: str
    status: int
    code: Literal[
        "BATCH_REFUSED",
        "CURSOR_GONE",
        "DATABASE_UNAVAILABLE",
        "INTERNAL_ERROR",
        "INVALID_BATCH",
        "INVALID_CURSOR",
        "INVALID_PARAMETER",
        "INVALID_TRADE",
        "INVALID_VOID",
        "KEY_MISMATCH",
        "KEY_REUSED",
        "METHOD_NOT_ALLOWED",
        "NOT_FOUND",
        "NOT_YOUR_TRADE",
        "READ_TIMED_OUT",
        "TRADE_NOT_FOUND",
    ]
    detail: str
    request_id: str


class HealthAnswer(TypedDict):
    """The object `HealthAnswer` of the API."""

    status: Literal["ok"]


class ReadyAnswer(TypedDict):
    """The object `ReadyAnswer` of the API."""

    status: Literal["ready"]


class Operations(ABC):
    """One method for each operation of the API. A subclass sends the requests."""

    @abstractmethod
    def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str | None] | None = None,
        body: object = None,
    ) -> Any:
        """Send a request and return the document of its answer."""

    def post_trade(
        self, body: Order, *, idempotency_key: str | None = None
    ) -> BookedTrade | ReplayedTrade | ValidOrder:
        """Book a trade.

        With a key, the trade is booked exactly once, however often you send the request. Later
        requests get the booked trade, marked as a replay. Without a key, each request books a new
        trade.

        Args:
            idempotency_key: Another name for the field `client_order_id`. If both are given, they
                must be equal. The key may be in double quotes.
        """
        return cast(
            "BookedTrade | ReplayedTrade | ValidOrder",
            self.call("POST", "/trade", headers={"Idempotency-Key": idempotency_key}, body=body),
        )

    def find_trade(self, *, client_order_id: str, consistent: bool | None = None) -> Trade:
        """Look up the caller's own trade by its client_order_id.

        Args:
            client_order_id: The caller's own name for the trade, unique among the trades of this
                caller.
            consistent: Read from the writer: the answer includes every trade booked before this
                request.
        """
        return cast(
            "Trade",
            self.call(
                "GET",
                "/trade",
                query={"client_order_id": client_order_id, "consistent": consistent},
            ),
        )

    def get_trade(self, trade_id: str, *, consistent: bool | None = None) -> Trade:
        """Look up a trade.

        Args:
            trade_id: The trade's ID. Later trades have greater IDs.
            consistent: Read from the writer: the answer includes every trade booked before this
                request.
        """
        return cast(
            "Trade",
            self.call(
                "GET", f"/trade/{quote(trade_id, safe='')}", query={"consistent": consistent}
            ),
        )

    def void_trade(self, trade_id: str) -> Trade:
        """Void one of the caller's own trades.

        A void cannot be undone. Voiding a void trade changes nothing and returns the same answer.

        Args:
            trade_id: The trade's ID. Later trades have greater IDs.
        """
        return cast("Trade", self.call("DELETE", f"/trade/{quote(trade_id, safe='')}"))

    def void_any_trade(self, trade_id: str, body: Voiding) -> Trade:
        """Void a trade of any caller, with a reason.

        A void cannot be undone. Voiding a void trade changes nothing and returns the same answer.
        An IAM policy can withhold this route from callers.

        Args:
            trade_id: The trade's ID. Later trades have greater IDs.
        """
        return cast(
            "Trade", self.call("POST", f"/trade/{quote(trade_id, safe='')}/void", body=body)
        )

    def post_trades(self, body: Batch) -> BookedBatch:
        """Book many trades.

        Each trade has a key and is booked exactly once, however often you send the batch, a part of
        it, or the trade alone. The answer says what became of each trade, in the order of the
        batch.
        """
        return cast("BookedBatch", self.call("POST", "/trades", body=body))

    def list_trades(
        self,
        *,
        symbol: str | None = None,
        side: Literal["BUY", "SELL"] | None = None,
        status: Literal["SUCCESS", "VOID"] | None = None,
        from_: str | None = None,
        to: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        consistent: bool | None = None,
    ) -> TradePage:
        """List trades, newest first.

        Args:
            symbol: The instrument.
            side: Whether the caller buys or sells.
            status: SUCCESS once the trade is booked. VOID once it is voided, which cannot be
                undone.
            from_: Trades booked at or after this time.
            to: Trades booked before this time.
            limit: The most trades that a page may have.
            cursor: `next_cursor` of the page before; give the same filters with it.
            consistent: Read from the writer: the answer includes every trade booked before this
                request.
        """
        return cast(
            "TradePage",
            self.call(
                "GET",
                "/trades",
                query={
                    "symbol": symbol,
                    "side": side,
                    "status": status,
                    "from": from_,
                    "to": to,
                    "limit": limit,
                    "cursor": cursor,
                    "consistent": consistent,
                },
            ),
        )

    def iter_trades(
        self,
        *,
        symbol: str | None = None,
        side: Literal["BUY", "SELL"] | None = None,
        status: Literal["SUCCESS", "VOID"] | None = None,
        from_: str | None = None,
        to: str | None = None,
        limit: int | None = None,
        consistent: bool | None = None,
    ) -> Iterator[Trade]:
        """Go through all pages of `list_trades`.

        Args:
            symbol: The instrument.
            side: Whether the caller buys or sells.
            status: SUCCESS once the trade is booked. VOID once it is voided, which cannot be
                undone.
            from_: Trades booked at or after this time.
            to: Trades booked before this time.
            limit: The most trades that a page may have.
            consistent: Read from the writer: the answer includes every trade booked before this
                request.
        """
        cursor: str | None = None
        while True:
            page = self.list_trades(
                symbol=symbol,
                side=side,
                status=status,
                from_=from_,
                to=to,
                limit=limit,
                consistent=consistent,
                cursor=cursor,
            )
            yield from page["trades"]
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def list_events(
        self,
        *,
        cursor: str | None = None,
        from_: str | None = None,
        limit: int | None = None,
        consistent: bool | None = None,
    ) -> EventPage:
        """List what happened in the book, in order, for followers.

        A follower that continues with `next_cursor` gets each event once and misses none, even
        while others book trades. An event never changes.

        Args:
            cursor: `next_cursor` of the page before, or the `cursor` of an event: the page begins
                after it.
            from_: Begin with the events of about this time, which must be an hour ago or longer.
            limit: The most events that a page may have.
            consistent: Read from the writer: the answer includes every trade booked before this
                request.
        """
        return cast(
            "EventPage",
            self.call(
                "GET",
                "/events",
                query={"cursor": cursor, "from": from_, "limit": limit, "consistent": consistent},
            ),
        )

    def follow_events(
        self,
        *,
        pause_seconds: float = 1,
        cursor: str | None = None,
        from_: str | None = None,
        limit: int | None = None,
        consistent: bool | None = None,
    ) -> Iterator[Event]:
        """Follow `list_events`, endlessly.

        Store the `cursor` of what you have processed, to go on from there later.

        Args:
            pause_seconds: Seconds to wait after a page without anything new.
            cursor: `next_cursor` of the page before, or the `cursor` of an event: the page begins
                after it.
            from_: Begin with the events of about this time, which must be an hour ago or longer.
            limit: The most events that a page may have.
            consistent: Read from the writer: the answer includes every trade booked before this
                request.
        """
        while True:
            page = self.list_events(
                cursor=cursor,
                from_=None if cursor else from_,
                limit=limit,
                consistent=consistent,
            )
            yield from page["events"]
            cursor = page["next_cursor"]
            if not page["events"]:
                time.sleep(pause_seconds)

    def list_positions(
        self,
        *,
        symbol: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
        consistent: bool | None = None,
    ) -> Positions:
        """The net quantity of each symbol: bought minus sold, without void trades.

        Args:
            symbol: The instrument.
            limit: The most positions that a page may have.
            cursor: `next_cursor` of the page before: the page begins after it.
            consistent: Read from the writer: the answer includes every trade booked before this
                request.
        """
        return cast(
            "Positions",
            self.call(
                "GET",
                "/positions",
                query={
                    "symbol": symbol,
                    "limit": limit,
                    "cursor": cursor,
                    "consistent": consistent,
                },
            ),
        )

    def iter_positions(
        self, *, symbol: str | None = None, limit: int | None = None, consistent: bool | None = None
    ) -> Iterator[Position]:
        """Go through all pages of `list_positions`.

        Args:
            symbol: The instrument.
            limit: The most positions that a page may have.
            consistent: Read from the writer: the answer includes every trade booked before this
                request.
        """
        cursor: str | None = None
        while True:
            page = self.list_positions(
                symbol=symbol, limit=limit, consistent=consistent, cursor=cursor
            )
            yield from page["positions"]
            cursor = page.get("next_cursor")
            if cursor is None:
                return

    def health(self) -> HealthAnswer:
        """Whether the service runs."""
        return cast("HealthAnswer", self.call("GET", "/health"))

    def ready(self) -> ReadyAnswer:
        """Whether the service runs and its database answers."""
        return cast("ReadyAnswer", self.call("GET", "/health/ready"))
