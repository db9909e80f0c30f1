"""What can go wrong for a caller; `api` turns each into a problem document."""


class TradingError(Exception):
    """An error whose text the caller may read."""

    status = 500
    code = "INTERNAL_ERROR"
    title = "Internal error"


class InvalidTrade(TradingError):
    """The request cannot be a trade; sending it again as it is cannot help."""

    status = 400
    code = "INVALID_TRADE"
    title = "Invalid trade"


class DatabaseUnavailable(TradingError):
    """The database did not answer in time; whether the trade was booked is not known."""

    status = 503
    code = "DATABASE_UNAVAILABLE"
    title = "Database unavailable"
