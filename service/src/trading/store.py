"""All SQL of the trade service; every statement is parameterised."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pymysql.constants import ER
from pymysql.cursors import Cursor
from pymysql.err import IntegrityError

from trading.database import Database, Deadline
from trading.models import SUCCESS, VOID, Caller, Order, PagePosition, Position, Trade, TradeFilter

_COLUMNS = (
    "trade_id, created_at, symbol, quantity, side, price, client_order_id, "
    "caller, account, principal, status, voided_at, voided_by"
)
_INSERT_TRADE = (
    f"INSERT INTO trades ({_COLUMNS}) "  # noqa: S608 - column names only
    "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
)
_SELECT_TRADE = f"SELECT {_COLUMNS} FROM trades WHERE "  # noqa: S608 - column names only
# An index alone finds the page; its rows are looked up then, and not those that a filter drops.
_SELECT_PAGE = (
    f"SELECT {_COLUMNS} FROM trades JOIN (SELECT trade_id FROM trades WHERE "  # noqa: S608
    "{where} ORDER BY created_at DESC, trade_id DESC LIMIT %s) AS page USING (trade_id) "
    "ORDER BY created_at DESC, trade_id DESC"
)
_VOID_TRADE = (
    "UPDATE trades SET status = %s, voided_at = %s, voided_by = %s "
    "WHERE trade_id = %s AND status = %s"
)
_SUM_POSITIONS = (
    "SELECT symbol, SUM(IF(side = 'SELL', -quantity, quantity)) FROM trades WHERE status = %s"
)


class TradeStore:
    """Trades in MySQL, as one request sees them: until its deadline.

    What changes something goes to the writer. The reader follows it some milliseconds behind:
    reads go there unless they are to be `consistent`.
    """

    def __init__(self, writer: Database, reader: Database, deadline: Deadline) -> None:
        self._writer = writer
        self._reader = reader
        self._deadline = deadline

    def add(self, trade: Trade) -> Trade:
        """Insert a trade, and return what is booked: the trade, or that with its client_order_id.

        One statement does all: the key is in the trade's own row. If the connection breaks after
        the server has committed and before it has said so, the same statement is sent again, and
        its duplicate is the trade itself.

        Raises:
            DatabaseUnavailable: the database did not answer in time.
        """
        try:
            self._writer.run(
                lambda cursor: cursor.execute(_INSERT_TRADE, _row(trade)), self._deadline
            )
        except IntegrityError as error:
            if error.args[0] != ER.DUP_ENTRY:
                raise
            key = trade.order.client_order_id
            booked = (
                self.find(trade.trade_id, consistent=True)
                if key is None
                else self.find_by_client_order_id(trade.caller, key, consistent=True)
            )
            if booked is None:
                raise
            return booked
        return trade

    def find(self, trade_id: str, *, consistent: bool) -> Trade | None:
        """The trade of that ID.

        Raises:
            DatabaseUnavailable: the database did not answer in time.
        """
        return self._find("trade_id = %s", (trade_id,), consistent)

    def find_by_client_order_id(
        self, caller: Caller, client_order_id: str, *, consistent: bool
    ) -> Trade | None:
        """The caller's trade of that client_order_id.

        Raises:
            DatabaseUnavailable: the database did not answer in time.
        """
        return self._find(
            "caller = %s AND client_order_id = %s", (caller.scope, client_order_id), consistent
        )

    def page(
        self, wanted: TradeFilter, *, after: PagePosition | None, limit: int, consistent: bool
    ) -> list[Trade]:
        """The newest trades, beginning after a place in their order; at most `limit`.

        Raises:
            DatabaseUnavailable: the database did not answer in time.
        """
        conditions: list[tuple[str, Sequence[object]]] = [
            (condition, (value,))
            for condition, value in (
                ("symbol = %s", wanted.symbol),
                ("side = %s", wanted.side),
                ("status = %s", wanted.status),
                ("created_at >= %s", wanted.since),
                ("created_at < %s", wanted.before),
            )
            if value is not None
        ]
        if after is not None:
            conditions.append(
                ("(created_at, trade_id) < (%s, %s)", (after.created_at, after.trade_id))
            )
            # MySQL finds the place in an index by this, and not by the pair.
            conditions.append(("created_at <= %s", (after.created_at,)))
        where = " AND ".join(condition for condition, _ in conditions) or "TRUE"
        values = [value for _, values in conditions for value in values]
        rows = self._fetch(_SELECT_PAGE.format(where=where), [*values, limit], consistent)
        return [_trade(row) for row in rows]

    def void(self, trade_id: str, *, at: datetime, by: str) -> Trade | None:
        """Void a trade unless it is void, and return it; None if there is none.

        Raises:
            DatabaseUnavailable: the database did not answer in time.
        """
        self._writer.run(
            lambda cursor: cursor.execute(_VOID_TRADE, (VOID, at, by, trade_id, SUCCESS)),
            self._deadline,
        )
        return self.find(trade_id, consistent=True)

    def positions(self, symbol: str | None, *, consistent: bool) -> list[Position]:
        """The position of each symbol, or of one.

        Raises:
            DatabaseUnavailable: the database did not answer in time.
        """
        where, values = ("", []) if symbol is None else (" AND symbol = %s", [symbol])
        rows = self._fetch(
            f"{_SUM_POSITIONS}{where} GROUP BY symbol ORDER BY symbol",
            [SUCCESS, *values],
            consistent,
        )
        return [Position(symbol, int(quantity)) for symbol, quantity in rows]

    def check(self) -> None:
        """Ask the writer for an answer.

        Raises:
            DatabaseUnavailable: there was none in time.
        """
        self._fetch("SELECT 1", (), True)

    def _find(self, where: str, values: Sequence[object], consistent: bool) -> Trade | None:
        rows = self._fetch(_SELECT_TRADE + where, values, consistent)
        # The reader may not have it yet.
        if not rows and not consistent:
            rows = self._fetch(_SELECT_TRADE + where, values, True)
        return _trade(rows[0]) if rows else None

    def _fetch(
        self, statement: str, values: Sequence[object], consistent: bool
    ) -> Sequence[tuple[Any, ...]]:
        def work(cursor: Cursor) -> Sequence[tuple[Any, ...]]:
            cursor.execute(statement, values)
            return cursor.fetchall()

        return (self._writer if consistent else self._reader).run(work, self._deadline)


def _row(trade: Trade) -> tuple[object, ...]:
    order, caller = trade.order, trade.caller
    return (
        *(trade.trade_id, trade.created_at),
        *(order.symbol, order.quantity, order.side, order.price, order.client_order_id),
        *(caller.scope, caller.account, caller.principal),
        *(trade.status, trade.voided_at, trade.voided_by),
    )


def _trade(row: tuple[Any, ...]) -> Trade:
    return Trade(row[0], row[1], Order(*row[2:7]), Caller(*row[7:10]), *row[10:])
