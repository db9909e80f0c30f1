"""Decides which days to archive. Days are in UTC."""

from collections.abc import Iterator, Set
from datetime import date, datetime, timedelta

# How long after midnight a trade of the day before may still arrive at a reader.
_SETTLING = timedelta(minutes=15)
# How far back missing days are archived. This is well within the lifetime of the bucket's objects,
# so that an expired day is not written again.
CATCH_UP_DAYS = 35

_ONE_DAY = timedelta(days=1)


class DayNotOver(Exception):
    """The day's trades are not all booked yet."""


def last_complete_day(now: datetime) -> date:
    """The newest day that is over; `now` is in UTC."""
    return (now - _SETTLING).date() - _ONE_DAY


def missing_days(first: date | None, archived: Set[date], now: datetime) -> Iterator[date]:
    """The days that are over and not archived, oldest first.

    They begin with `first`, the day of the first trade. Without trades, only the last day counts.
    """
    last = last_complete_day(now)
    day = max(first or last, last - timedelta(days=CATCH_UP_DAYS - 1))
    while day <= last:
        if day not in archived:
            yield day
        day += _ONE_DAY


def requested_day(text: str, now: datetime) -> date:
    """The day that a caller names, such as `2026-01-31`.

    Raises:
        ValueError: the text is not a date.
        DayNotOver: the day is not over.
    """
    day = date.fromisoformat(text)
    last = last_complete_day(now)
    if day > last:
        raise DayNotOver(f"{day} is not over; the last day that can be archived is {last}")
    return day


def bounds(day: date) -> tuple[datetime, datetime]:
    """The first moment of a day and of the next day, as the database stores them."""
    start = datetime(day.year, day.month, day.day)
    return start, start + _ONE_DAY
