"""Recounts the positions from the trades, and compares."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal

from pymysql.connections import Connection
from pymysql.cursors import Cursor

from trading.models import SELL, SUCCESS

_SELECT_SYMBOLS = "SELECT symbol FROM positions UNION SELECT DISTINCT symbol FROM trades"
# One statement sees trades and positions at one moment, while others go on to book.
_SELECT_BOTH = """
    SELECT
        COALESCE((
            SELECT SUM(IF(side = %(sell)s, -1, 1) * (quantity + fraction)) FROM trades
            WHERE symbol = %(symbol)s AND status = %(success)s
        ), 0),
        COALESCE((SELECT SUM(quantity) FROM positions WHERE symbol = %(symbol)s), 0)
"""


@dataclass(frozen=True)
class Difference:
    """A position that is not the sum of the symbol's trades."""

    symbol: str
    trades: Decimal
    position: Decimal


def recount(
    connection: Connection[Cursor], has_time: Callable[[], bool]
) -> tuple[int, list[Difference]]:
    """Recount symbols as long as there is time. Return how many, and the differences.

    The order is random, so that each symbol has its turn even if no run has time for all.
    """
    counted, differences = 0, []
    with connection.cursor() as cursor:
        cursor.execute(_SELECT_SYMBOLS)
        symbols = [symbol for (symbol,) in cursor.fetchall()]
        random.shuffle(symbols)
        for symbol in symbols:
            if not has_time():
                break
            cursor.execute(_SELECT_BOTH, {"symbol": symbol, "sell": SELL, "success": SUCCESS})
            ((trades, position),) = cursor.fetchall()
            counted += 1
            if trades != position:
                differences.append(Difference(symbol, trades, position))
    return counted, differences
