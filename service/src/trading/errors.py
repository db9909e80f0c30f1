"""The errors that a caller may see; `api` turns each into a problem document."""

from collections.abc import Mapping, Sequence
from typing import Any


class TradingError(Exception):
    """An error whose text the caller may read."""

    status = 500
    code = "INTERNAL_ERROR"
    headers: Mapping[str, str] = {}


class InvalidTrade(TradingError):
    """The body is not a valid trade; the same body is refused again."""

    status = 400
    code = "INVALID_TRADE"


class InvalidBatch(TradingError):
    """The body is not a batch of trades; the same body is refused again. Nothing was booked."""

    status = 400
    code = "INVALID_BATCH"


class InvalidParameter(TradingError):
    """A query parameter or a header has an invalid value."""

    status = 400
    code = "INVALID_PARAMETER"


class InvalidCursor(TradingError):
    """The cursor is not the next_cursor of a page with the same filters: start without one."""

    status = 400
    code = "INVALID_CURSOR"


class KeyMismatch(TradingError):
    """The request has two different keys, in Idempotency-Key headers or client_order_id."""

    status = 400
    code = "KEY_MISMATCH"


class InvalidVoid(TradingError):
    """The body does not say why the trade is voided."""

    status = 400
    code = "INVALID_VOID"


class CursorGone(TradingError):
    """The book does not have the event that the cursor follows: it was restored. Start again."""

    status = 410
    code = "CURSOR_GONE"


class NotYourTrade(TradingError):
    """Another caller booked the trade: voiding it needs its own route, and a right to that."""

    status = 403
    code = "NOT_YOUR_TRADE"


class RouteNotFound(TradingError):
    """The API has no such path."""

    status = 404
    code = "NOT_FOUND"


class MethodNotAllowed(TradingError):
    """The API has this path, but not with this method."""

    status = 405
    code = "METHOD_NOT_ALLOWED"

    def __init__(self, detail: str, allowed: str) -> None:
        super().__init__(detail)
        self.headers = {"Allow": allowed}


class TradeNotFound(TradingError):
    """There is no such trade."""

    status = 404
    code = "TRADE_NOT_FOUND"


class KeyReused(TradingError):
    """The key belongs to another trade of this caller; nothing was written."""

    status = 422
    code = "KEY_REUSED"


class BatchRefused(TradingError):
    """A trade of an all-or-nothing batch is refused, so nothing was booked."""

    status = 422
    code = "BATCH_REFUSED"

    def __init__(self, results: Sequence[Any]) -> None:
        super().__init__(
            "The batch is all or nothing, and at least one of its trades is refused: see 'trades' "
            "for which. Nothing was booked now: correct these trades or leave them out, and send "
            "the batch again."
        )
        self.results = results


class ReadTimedOut(TradingError):
    """The read took longer than a request may, and was stopped. It changed nothing."""

    status = 504
    code = "READ_TIMED_OUT"

    def __init__(self) -> None:
        super().__init__(
            "The read took longer than a request may and was stopped. Nothing was changed. The "
            "same request would take as long again: ask for less, by a symbol or by 'from' and "
            "'to'."
        )


class DatabaseUnavailable(TradingError):
    """The database did not answer in time. A change may have been made or not."""

    status = 503
    code = "DATABASE_UNAVAILABLE"
    headers: Mapping[str, str] = {"Retry-After": "1"}

    def __init__(
        self,
        detail: str = "The database did not answer in time. A change may have been made or not: "
        "send the request again with the same key.",
    ) -> None:
        super().__init__(detail)
