"""What can go wrong for a caller; `api` turns each into a problem document."""


class TradingError(Exception):
    """An error whose text the caller may read."""

    status = 500
    code = "INTERNAL_ERROR"


class InvalidTrade(TradingError):
    """The body cannot be a trade; sending it again as it is cannot help."""

    status = 400
    code = "INVALID_TRADE"


class InvalidParameter(TradingError):
    """A query parameter or a header has a value that cannot be used."""

    status = 400
    code = "INVALID_PARAMETER"


class RouteNotFound(TradingError):
    """The API has no such path, or not with this method."""

    status = 404
    code = "NOT_FOUND"


class TradeNotFound(TradingError):
    """There is no such trade."""

    status = 404
    code = "TRADE_NOT_FOUND"


class KeyReused(TradingError):
    """The key belongs to another trade of this caller; nothing was written."""

    status = 422
    code = "KEY_REUSED"


class DatabaseUnavailable(TradingError):
    """The database did not answer in time; whether it made a change is not known."""

    status = 503
    code = "DATABASE_UNAVAILABLE"

    def __init__(
        self,
        detail: str = "The database did not answer in time. If the request was to change "
        "something, that may have happened or not: send it again with the same key.",
    ) -> None:
        super().__init__(detail)
