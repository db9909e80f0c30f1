"""The function that archives trades, once an hour and when it is asked to."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from typing import Any

import boto3
from aws_lambda_powertools.utilities.typing import LambdaContext
from pymysql.connections import Connection
from pymysql.cursors import Cursor

from archive.days import last_complete_day, missing_days, requested_day
from archive.files import Archive
from archive.rows import first_day, rows_of
from trading.database import connect
from trading.secret import CredentialStore, fetch_credentials
from trading.settings import load_preview, load_settings
from trading.store import COLUMNS
from trading.telemetry import count, logger, measured, traced

# A day that cannot be finished in this time is left to the next run.
_MINIMUM_MILLISECONDS = 300_000
# A paused database takes some 15 s to start.
_CONNECT_SECONDS = 30.0
# The longest that the reader may take until a day's first rows come, or more of them.
_STATEMENT_SECONDS = 60.0


@traced
@logger.inject_lambda_context
@measured
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Archive the day `{"date": "2026-01-31"}`, anew if need be, or else all that are missing.

    The answer gives the number of trades by day. A run that fails leaves the days before it done.

    Raises:
        ValueError: the date is none.
        DayNotOver: the date is not over.
    """
    now = datetime.now(UTC)
    preview = load_preview()
    archive = Archive(
        boto3.client("s3"),
        os.environ["DATA_BUCKET_NAME"],
        os.environ["DATA_KEY_ARN"],
        prefix=preview.folder if preview else "",
    )
    archived: dict[str, int] = {}
    if "date" in event:
        archived = _archive(archive, context, lambda _: [requested_day(event["date"], now)])
    else:
        done = archive.days()
        # The usual case: days are archived in their order, so nothing is missing. A database that
        # pauses when nobody uses it is not woken up for that.
        if last_complete_day(now) not in done:
            archived = _archive(
                archive, context, lambda reader: missing_days(first_day(reader), done, now)
            )
    count("ArchiveRuns")
    return archived


def _archive(
    archive: Archive, context: LambdaContext, days: Callable[[Connection[Cursor]], Iterable[date]]
) -> dict[str, int]:
    archived: dict[str, int] = {}
    settings = load_settings()
    credentials = CredentialStore(lambda stage: fetch_credentials(settings.app_secret_arn, stage))
    with closing(
        connect(
            settings.reader,
            credentials.get(),
            connect_seconds=_CONNECT_SECONDS,
            statement_seconds=_STATEMENT_SECONDS,
        )
    ) as connection:
        for day in days(connection):
            if archived and context.get_remaining_time_in_millis() < _MINIMUM_MILLISECONDS:
                logger.warning("the rest is left to the next run", next_day=str(day))
                break
            rows = _Counted(rows_of(connection, day))
            archive.write(day, COLUMNS, rows)
            archived[str(day)] = rows.number
            count("ArchivedTrades", rows.number)
            logger.info("day archived", day=str(day), trades=rows.number)
    return archived


class _Counted:
    """Rows, and how many of them have been read."""

    def __init__(self, rows: Iterator[tuple[Any, ...]]) -> None:
        self._rows = rows
        self.number = 0

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        for row in self._rows:
            self.number += 1
            yield row
