"""The things the service speaks of."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Order:
    """A valid request for a trade; `quantity` is in whole units."""

    symbol: str
    quantity: int


@dataclass(frozen=True)
class Trade:
    """A trade that is booked."""

    trade_id: str
    symbol: str
    quantity: int
    status: str
