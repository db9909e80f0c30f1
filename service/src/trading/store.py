"""All SQL of the trade service; every statement is parameterised."""

from __future__ import annotations

from collections.abc import Callable

from pymysql.connections import Connection
from pymysql.constants import ER
from pymysql.cursors import Cursor
from pymysql.err import IntegrityError, InterfaceError, OperationalError

from trading.errors import DatabaseUnavailable
from trading.models import Trade

_ATTEMPTS = 2

_INSERT_TRADE = """
    INSERT INTO trades (trade_id, symbol, quantity, status) VALUES (%s, %s, %s, %s)
"""


class TradeStore:
    """Trades in MySQL, over one connection that is opened at first use and then kept."""

    def __init__(self, connect: Callable[[], Connection[Cursor]]) -> None:
        self._connect = connect
        self._connection: Connection[Cursor] | None = None

    def add(self, trade: Trade) -> None:
        """Insert a trade; if it is there already, nothing changes.

        A connection can break after the server has committed and before it has said so. The
        statement is then sent again on a new connection, and the primary key tells whether the
        first one had arrived.

        Raises:
            DatabaseUnavailable: the database could not be reached in two attempts.
        """
        values = (trade.trade_id, trade.symbol, trade.quantity, trade.status)
        for _ in range(_ATTEMPTS):
            try:
                with self._cursor() as cursor:
                    cursor.execute(_INSERT_TRADE, values)
                return
            except IntegrityError as error:
                if error.args[0] == ER.DUP_ENTRY:
                    return
                raise
            except (OperationalError, InterfaceError) as error:
                cause = error
                self._drop_connection()
        raise DatabaseUnavailable(
            "The database did not answer. The trade may or may not have been booked."
        ) from cause

    def _cursor(self) -> Cursor:
        if self._connection is None:
            self._connection = self._connect()
        return self._connection.cursor()

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and connection.open:
            connection.close()
