"""The feed: everything that happened in the book, for followers that poll it and miss nothing.

Each event has a number. The database gives it before the transaction commits, so that an event may
appear behind one with a greater number. So the feed ends before the first number that is missing.
Either its transaction still runs, and the feed waits for it; or it was rolled back, and its number
is given up for good.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from trading.errors import CursorGone, InvalidParameter
from trading.models import BOOKED, Entry, Place, Trade
from trading.trades import now

_TRADE_PREFIX = "TRADE-"
# No transaction lasts this long, so all events of that time have appeared.
_SETTLED = timedelta(hours=1)
# How many numbers are given up at a time. A batch that is refused leaves up to 500.
_MOST_GIVEN_UP = 1000
# How many numbers a request reads at a time, at least, and how often if none has an event.
_LEAST_READ = 200
_MOST_STEPS = 10
# A reader may show a commit this much earlier than the writer, which waits for its receipt.
_READER_AHEAD_SECONDS = 0.5


class Book(Protocol):
    """Where events are stored."""

    def entries(self, first: int, limit: int, *, consistent: bool) -> Sequence[Entry]:
        """The entries from a number on, by number. The reader may lack the last ones."""

    def give_up(self, first: int, last: int) -> bool:
        """Give up the missing numbers of a range; False if a transaction still has one of them."""

    def place_before(self, time: datetime) -> Place:
        """The place of the last trade booked before a time; the start if there is none."""


@dataclass(frozen=True)
class Event:
    """What happened to a trade, which is shown as it was then; a follower goes on after `place`."""

    place: Place
    kind: str
    trade: Trade


@dataclass(frozen=True)
class Page:
    """Events in their order, and the place after them."""

    events: Sequence[Event]
    end: Place


def parse_start(cursor: str | None, since: datetime | None, book: Book) -> Place:
    """The place at which a request begins to read.

    Raises:
        InvalidParameter: there are both a cursor and a time, or the time is too recent.
    """
    if cursor is not None:
        if since is not None:
            raise InvalidParameter(
                "The parameters 'cursor' and 'from' exclude each other: send one."
            )
        number, _, suffix = cursor.partition("-")
        return Place(int(number), _TRADE_PREFIX + suffix if suffix else None)
    if since is None:
        return Place()
    if since > now() - _SETTLED:
        raise InvalidParameter(
            "The parameter 'from' must be an hour ago or earlier: later events may still be on "
            "their way, and a follower that starts behind them would miss them."
        )
    return book.place_before(since)


def cursor_of(place: Place) -> str:
    """The cursor that leads to a place."""
    suffix = "" if place.trade_id is None else f"-{place.trade_id.removeprefix(_TRADE_PREFIX)}"
    return f"{place.number}{suffix}"


def read_feed(after: Place, limit: int, book: Book, *, consistent: bool) -> Page:
    """The events after a place, in their order, up to the first one that may still come.

    Raises:
        CursorGone: the book does not have this place.
    """
    for _ in range(_MOST_STEPS):
        page = _read(after, limit, book, consistent)
        if page.events or page.end == after:
            break
        # All of these numbers were given up.
        after = page.end
    return page


def _read(after: Place, limit: int, book: Book, consistent: bool) -> Page:
    """The events after a place, of as many numbers as are read at a time.

    The reader's answer is taken if it has the place and the number after it. Otherwise the writer
    decides.
    """
    # The entry of the place itself is read as well.
    count = max(limit, _LEAST_READ) + bool(after.number)
    if not consistent:
        entries = book.entries(after.number, count, consistent=False)
        if _is_at(after, entries) and not _gap(after, entries):
            return _page(after, entries, limit)
    entries = book.entries(after.number, count, consistent=True)
    if not _is_at(after, entries):
        time.sleep(_READER_AHEAD_SECONDS)
        entries = book.entries(after.number, count, consistent=True)
    if not _is_at(after, entries):
        raise CursorGone(
            "The book does not have the event that the cursor follows: it was restored to an "
            "earlier state. Start again without a cursor, and compare what you have."
        )
    gap = _gap(after, entries)
    if gap and _gave_up(gap, entries[-1].place.number, book):
        entries = book.entries(after.number, count, consistent=True)
    return _page(after, entries, limit)


def _gave_up(gap: range, last: int, book: Book) -> bool:
    """Give up the missing numbers up to the last one that was read, or those of the gap alone.

    A full disk leaves many gaps between events. Near the end of the feed, transactions have some of
    the later numbers.
    """
    all_of_them = range(gap[0], min(last, gap[0] + _MOST_GIVEN_UP - 1) + 1)
    return any(book.give_up(each[0], each[-1]) for each in dict.fromkeys((all_of_them, gap)))


def _is_at(after: Place, entries: Sequence[Entry]) -> bool:
    """Whether the entries begin with that of a place."""
    return after == Place() or (bool(entries) and entries[0].place == after)


def _gap(after: Place, entries: Sequence[Entry]) -> range:
    """The numbers that are missing right after a place."""
    first = after.number + 1
    later = next((entry.place.number for entry in entries if entry.place.number >= first), first)
    return range(first, min(later, first + _MOST_GIVEN_UP))


def _page(after: Place, entries: Sequence[Entry], limit: int) -> Page:
    """The entries after a place up to the first number that is missing; at most `limit` events."""
    events: list[Event] = []
    end = after
    for entry in entries:
        if entry.place.number == end.number + 1 and len(events) < limit:
            end = entry.place
            if entry.kind is not None and entry.trade is not None:
                events.append(Event(end, entry.kind, _as_of(entry.kind, entry.trade)))
    return Page(events, end)


def _as_of(kind: str, trade: Trade) -> Trade:
    """A trade as it was after an event: an event never changes, whatever happens later."""
    return dataclasses.replace(trade, void=None) if kind == BOOKED else trade
