"""The SQL of trades; every statement is parameterised.

The archive and the migrations have statements of their own, but no list of columns: `COLUMNS` is
the only one.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from operator import attrgetter
from typing import Any

from pymysql.constants import ER
from pymysql.err import IntegrityError, OperationalError

from trading.database import Database, Deadline
from trading.errors import DatabaseUnavailable, ReadTimedOut
from trading.models import (
    BUY,
    SELL,
    SUCCESS,
    VOID,
    Caller,
    Entry,
    Order,
    PagePosition,
    Place,
    Position,
    Trade,
    TradeFilter,
    Void,
)

# ER_LOCK_NOWAIT: a row is locked.
_LOCKED = 3572

_ORDER = tuple(field.name for field in dataclasses.fields(Order))
# Each column of the table, and what it holds of a trade. A field of an order has a column of its
# own name; a quantity has a second one for what is behind the point.
_BOOKED = {
    "trade_id": "trade_id",
    "created_at": "created_at",
    **{name: f"order.{name}" for name in _ORDER},
    "quantity": "order.units",
    "fraction": "order.fraction",
    "caller": "caller.scope",
    "account": "caller.account",
    "principal": "caller.principal",
    "access_key": "caller.access_key",
    "request_id": "caller.request_id",
    "status": "status",
}
# The same of a void.
_VOIDED = {
    "voided_at": "at",
    "voided_by": "by.principal",
    "voided_caller": "by.scope",
    "voided_access_key": "by.access_key",
    "voided_request_id": "by.request_id",
    "void_reason": "reason",
}
COLUMNS = (*_BOOKED, *_VOIDED)
VOID_COLUMNS = ("status", *_VOIDED)
_booked = attrgetter(*_BOOKED.values())
_voided = attrgetter(*_VOIDED.values())

_NAMES = ", ".join(COLUMNS)
_OF_TRADES = ", ".join(f"trades.{name}" for name in COLUMNS)
_ROW = f"({', '.join(['%s'] * len(_BOOKED))})"
_INSERT_TRADES = f"INSERT INTO trades ({', '.join(_BOOKED)}) VALUES "  # noqa: S608 - column names
_INSERT_TRADE = _INSERT_TRADES + _ROW
_SELECT_TRADE = f"SELECT {_NAMES} FROM trades WHERE "  # noqa: S608 - column names only
_BY_ID = "trade_id = %s"
_BY_KEY = "caller = %s AND client_order_id = %s"
_SELECT_KEYS = (
    f"SELECT {_NAMES} FROM trades FORCE INDEX (trades_by_client_order_id) "  # noqa: S608
    "WHERE caller = %s AND client_order_id IN ({keys})"
)
# Indexes alone find the page. Only its own rows are then looked up, not those a filter drops.
_SELECT_PAGE = (
    f"SELECT {_NAMES} FROM trades JOIN "  # noqa: S608
    "(SELECT trade_id FROM ({found}) AS found ORDER BY created_at DESC, trade_id DESC LIMIT %s) "
    "AS page USING (trade_id) ORDER BY created_at DESC, trade_id DESC"
)
_FIND = (
    "(SELECT created_at, trade_id FROM trades FORCE INDEX ({index}) WHERE {where} "
    "ORDER BY created_at DESC, trade_id DESC LIMIT %s)"
)
# An index has the columns of these filters before the time. So it finds the newest trades of each
# pair of values without reading others. A filter that is missing stands for each of its values.
_CHOICES = {"side": (BUY, SELL), "status": (SUCCESS, VOID)}
_VOID_TRADE = (
    f"UPDATE trades SET {', '.join(f'{name} = %s' for name in VOID_COLUMNS)} "  # noqa: S608
    "WHERE trade_id = %s AND status = %s"
)
# A symbol without valid trades has no position. Equal purchases and sales give the position 0.
_SELECT_POSITIONS = (
    "SELECT symbol, SUM(quantity) FROM positions WHERE {where} GROUP BY symbol "
    "HAVING SUM(quantity) <> 0 OR EXISTS (SELECT 1 FROM trades WHERE "
    "trades.symbol = positions.symbol AND side IN (%s, %s) AND status = %s) "
    "ORDER BY symbol LIMIT %s"
)
# Every other filter compares its own column: `symbol = %s`.
_CONDITIONS = {"since": "created_at >= %s", "before": "created_at < %s"}

_SELECT_ENTRIES = (
    f"SELECT event_id, kind, trade_events.trade_id, {_OF_TRADES} FROM trade_events "  # noqa: S608
    "LEFT JOIN trades USING (trade_id) WHERE event_id >= %s ORDER BY event_id LIMIT %s"
)
# A number that a running transaction has is locked.
_LOCK_NUMBERS = (
    "SELECT event_id FROM trade_events WHERE event_id BETWEEN %s AND %s FOR SHARE NOWAIT"
)
_GIVE_UP_NUMBERS = "INSERT INTO trade_events (event_id) VALUES "
_SELECT_PLACE = (
    "SELECT event_id, trade_id FROM trade_events JOIN (SELECT trade_id FROM trades "
    "WHERE created_at < %s ORDER BY created_at DESC, trade_id DESC LIMIT 1) AS last "
    "USING (trade_id) WHERE kind = 'BOOKED'"
)

Statement = tuple[str, Sequence[object]]


class TradeStore:
    """Trades in MySQL, for one request and until its deadline.

    Changes go to the writer. Reads go to the reader, which follows some milliseconds behind, unless
    they must be `consistent`.
    """

    def __init__(self, writer: Database, reader: Database, deadline: Deadline) -> None:
        self._writer = writer
        self._reader = reader
        self._deadline = deadline

    def add(self, trade: Trade) -> Trade:
        """Insert a trade. Return it, or the trade that already has its client_order_id.

        One statement is enough, because the key is in the trade's own row. If the connection breaks
        after the server has committed but before it has said so, the same statement is sent again
        and finds its own trade as the duplicate.

        Raises:
            DatabaseUnavailable: the database did not answer in time.
        """
        try:
            self._writer.run(
                lambda cursor: cursor.execute(_INSERT_TRADE, _booked(trade)), self._deadline
            )
        except IntegrityError as error:
            if error.args[0] != ER.DUP_ENTRY:
                raise
            key = trade.order.client_order_id
            booked = (
                self._written(_BY_ID, (trade.trade_id,))
                if key is None
                else self._written(_BY_KEY, (trade.caller.scope, key))
            )
            if booked is None:
                raise
            return booked
        return trade

    def add_all(self, trades: Sequence[Trade]) -> dict[str | None, Trade]:
        """Insert all trades, or none and return those that have their client_order_ids already.

        All have the same caller, and each has a client_order_id of its own. They are one statement,
        so that all are booked or none. Requests that lock the same rows at the same time lock them
        in the same order, so that they wait for each other and seldom deadlock.

        Raises:
            DatabaseUnavailable: the database did not answer in time.
        """
        in_order = sorted(trades, key=lambda t: (t.order.symbol, str(t.order.client_order_id)))
        values = [value for trade in in_order for value in _booked(trade)]
        statement = _INSERT_TRADES + ", ".join([_ROW] * len(in_order))
        try:
            self._writer.run(lambda cursor: cursor.execute(statement, values), self._deadline)
        except IntegrityError as error:
            if error.args[0] != ER.DUP_ENTRY:
                raise
            booked = self._written_under(
                trades[0].caller, [trade.order.client_order_id for trade in trades]
            )
            if not booked:
                raise
            return booked
        return {}

    def find(self, trade_id: str, *, consistent: bool) -> Trade | None:
        """The trade of that ID.

        Raises:
            ReadTimedOut: the read took too long.
            DatabaseUnavailable: the database did not answer in time.
        """
        return self._find(_BY_ID, (trade_id,), consistent)

    def find_by_client_order_id(
        self, caller: Caller, client_order_id: str, *, consistent: bool
    ) -> Trade | None:
        """The caller's trade of that client_order_id.

        Raises:
            ReadTimedOut: the read took too long.
            DatabaseUnavailable: the database did not answer in time.
        """
        return self._find(_BY_KEY, (caller.scope, client_order_id), consistent)

    def page(
        self, wanted: TradeFilter, *, after: PagePosition | None, limit: int, consistent: bool
    ) -> list[Trade]:
        """The newest trades after a place in their order; at most `limit`.

        Raises:
            ReadTimedOut: the read took too long.
            DatabaseUnavailable: the database did not answer in time.
        """
        rows = self._fetch(page_statement(wanted, after, limit), consistent)
        return [_trade(row) for row in rows]

    def void(self, trade_id: str, void: Void, *, within: str | None) -> Trade | None:
        """Void a trade unless it is void already. Return it, or None if there is none.

        With a scope in `within`, the trade of another scope is returned as it is.

        Raises:
            DatabaseUnavailable: the database did not answer in time.
        """
        statement, values = _VOID_TRADE, [VOID, *_voided(void), trade_id, SUCCESS]
        if within is not None:
            statement, values = f"{statement} AND caller = %s", [*values, within]
        self._writer.run(lambda cursor: cursor.execute(statement, values), self._deadline)
        return self._written(_BY_ID, (trade_id,))

    def positions(
        self, symbol: str | None, *, after: str | None, limit: int, consistent: bool
    ) -> list[Position]:
        """The positions of all symbols, or of one, by symbol; at most `limit` after a symbol.

        Raises:
            ReadTimedOut: the read took too long.
            DatabaseUnavailable: the database did not answer in time.
        """
        rows = self._fetch(positions_statement(symbol, after, limit), consistent)
        return [Position(symbol, quantity) for symbol, quantity in rows]

    def entries(self, first: int, limit: int, *, consistent: bool) -> list[Entry]:
        """The entries of the feed from a number on, by number; at most `limit`.

        Raises:
            ReadTimedOut: the read took too long.
            DatabaseUnavailable: the database did not answer in time.
        """
        return [
            Entry(Place(number, trade_id), kind, None if row[0] is None else _trade(tuple(row)))
            for number, kind, trade_id, *row in self._fetch(
                entries_statement(first, limit), consistent
            )
        ]

    def give_up(self, first: int, last: int) -> bool:
        """Give up the missing numbers of a range; False if a transaction still has one of them.

        A transaction that takes its number in this moment is told that the number is taken, and
        takes another one: see the triggers.

        Raises:
            ReadTimedOut: the read took too long.
            DatabaseUnavailable: the database did not answer in time.
        """
        try:
            rows = self._fetch((_LOCK_NUMBERS, (first, last)), consistent=True)
        except OperationalError as error:
            if error.args[0] != _LOCKED:
                raise
            return False
        missing = sorted(set(range(first, last + 1)) - {number for (number,) in rows})
        if missing:
            statement = _GIVE_UP_NUMBERS + ", ".join(["(%s)"] * len(missing))
            try:
                self._writer.run(lambda cursor: cursor.execute(statement, missing), self._deadline)
            except IntegrityError:
                # A transaction has taken one of them since, or the answer of this INSERT was lost.
                return True
        return True

    def place_before(self, time: datetime) -> Place:
        """The place in the feed of the last trade booked before a time; the start if there is none.

        Raises:
            ReadTimedOut: the read took too long.
            DatabaseUnavailable: the database did not answer in time.
        """
        rows = self._fetch((_SELECT_PLACE, (time,)), consistent=True)
        return Place(*rows[0]) if rows else Place()

    def check(self) -> None:
        """Check that the writer answers.

        Raises:
            DatabaseUnavailable: it did not answer in time.
        """
        self._writer.run(lambda cursor: cursor.execute("SELECT 1"), self._deadline)

    def _find(self, where: str, values: Sequence[object], consistent: bool) -> Trade | None:
        statement = _SELECT_TRADE + where, values
        rows = self._fetch(statement, consistent)
        # The reader may not have it yet.
        if not rows and not consistent:
            rows = self._fetch(statement, consistent=True)
        return _trade(rows[0]) if rows else None

    def _fetch(self, statement: Statement, consistent: bool) -> Sequence[tuple[Any, ...]]:
        return (self._writer if consistent else self._reader).read(*statement, self._deadline)

    def _written(self, where: str, values: Sequence[object]) -> Trade | None:
        """The trade in the way of a change; if it cannot be read, the outcome is unknown."""
        try:
            return self._find(where, values, consistent=True)
        except ReadTimedOut as error:
            raise DatabaseUnavailable from error

    def _written_under(self, caller: Caller, keys: Sequence[str | None]) -> dict[str | None, Trade]:
        """The trades in the way of a change, by key."""
        statement = _SELECT_KEYS.format(keys=", ".join(["%s"] * len(keys)))
        try:
            rows = self._fetch((statement, [caller.scope, *keys]), consistent=True)
        except ReadTimedOut as error:
            raise DatabaseUnavailable from error
        return {trade.order.client_order_id: trade for trade in map(_trade, rows)}


def page_statement(wanted: TradeFilter, after: PagePosition | None, limit: int) -> Statement:
    """Selects the columns of the newest trades after a place; at most `limit` rows."""
    given = {name: value for name, value in vars(wanted).items() if value is not None}
    chosen = [(given.pop(name),) if name in given else each for name, each in _CHOICES.items()]
    conditions = [_CONDITIONS.get(name, f"{name} = %s") for name in (*given, *_CHOICES)]
    place: list[object] = []
    if after is not None:
        # MySQL finds the place in an index by the time alone, not by the pair.
        conditions += ["(created_at, trade_id) < (%s, %s)", "created_at <= %s"]
        place = [after.created_at, after.trade_id, after.created_at]
    index = "trades_of_all_symbols" if wanted.symbol is None else "trades_of_a_symbol"
    find = _FIND.format(index=index, where=" AND ".join(conditions))
    pairs = list(itertools.product(*chosen))
    values = [value for pair in pairs for value in (*given.values(), *pair, *place, limit)]
    found = " UNION ALL ".join([find] * len(pairs))
    return _SELECT_PAGE.format(found=found), [*values, limit]


def entries_statement(first: int, limit: int) -> Statement:
    """Selects the entries of the feed from a number on, with the columns of their trades."""
    return _SELECT_ENTRIES, (first, limit)


def positions_statement(symbol: str | None, after: str | None, limit: int) -> Statement:
    """Selects symbol and position, of one symbol or of all, that come after a symbol."""
    given = {"symbol = %s": symbol, "symbol > %s": after}
    conditions = [condition for condition, value in given.items() if value is not None]
    values = [value for value in given.values() if value is not None]
    where = " AND ".join(["TRUE", *conditions])
    return _SELECT_POSITIONS.format(where=where), [*values, *_CHOICES["side"], SUCCESS, limit]


def _trade(row: tuple[Any, ...]) -> Trade:
    value = dict(zip(COLUMNS, row, strict=True))
    return Trade(
        value["trade_id"],
        value["created_at"],
        Order(**{name: value[name] for name in _ORDER} | {"quantity": quantity_of(value)}),
        Caller(
            value["caller"],
            value["account"],
            value["principal"],
            value["access_key"],
            value["request_id"],
        ),
        None if value["voided_at"] is None else _void(value),
    )


def quantity_of(value: Mapping[str, Any]) -> int | Decimal:
    """The quantity of a trade, from its columns; an `int` if whole."""
    units: int = value["quantity"]
    return units + value["fraction"] if value["fraction"] else units


def _void(value: Mapping[str, Any]) -> Void:
    by = Caller(
        value["voided_caller"] or "",
        None,
        value["voided_by"],
        value["voided_access_key"],
        value["voided_request_id"],
    )
    return Void(value["voided_at"], by, value["void_reason"])
