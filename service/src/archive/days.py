"""Which days there are to archive. A day is one of UTC."""

from collections.abc import Iterator, Set
from datetime import date, datetime, timedelta

# So long after midnight a trade of the day before may still arrive at a reader.
_SETTLING = timedelta(minutes=15)
# How far back missing days are made up for: well within the life of the bucket's objects, for what
# has expired is not to be written again.
CATCH_UP_DAYS = 35

_ONE_DAY = timedelta(days=1)


class DayNotOver(Exception):
    """The day is not one whose trades are all there."""


def last_complete_day(now: datetime) -> date:
    """The newest day that is over; `now` is a time of UTC."""
    return (now - _SETTLING).date() - _ONE_DAY


def missing_days(first: date | None, archived: Set[date], now: datetime) -> Iterator[date]:
    """The days that are over and not archived, oldest first.

    They begin with `first`, the day of the first trade; without one, there is the last day alone.
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
        ValueError: this is not a date.
        DayNotOver: the day is not over.
    """
    day = date.fromisoformat(text)
    last = last_complete_day(now)
    if day > last:
        raise DayNotOver(f"{day} is not over; the last day that can be archived is {last}")
    return day


def bounds(day: date) -> tuple[datetime, datetime]:
    """The first moment of a day and that of the next, as the database has them."""
    start = datetime(day.year, day.month, day.day)
    return start, start + _ONE_DAY
