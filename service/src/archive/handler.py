"""The function that archives trades every hour and on request."""

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
from archive.positions import recount
from archive.rows import first_day, rows_of
from trading.database import connect
from trading.secret import ARCHIVE, CredentialStore, fetch_credentials
from trading.settings import load_preview, load_settings
from trading.telemetry import ARCHIVE_HEARTBEAT, count, logger, measured, traced

# With less time left than this, the next day is left to the next run.
_MINIMUM_MILLISECONDS = 300_000
# With less time left than this, further positions are left to the next run. A statement may take
# `_STATEMENT_SECONDS`.
_RECOUNT_MILLISECONDS = 90_000
# A paused database takes about 15 s to start.
_CONNECT_SECONDS = 30.0
# How long the reader may take to send a day's first rows, or more of them.
_STATEMENT_SECONDS = 60.0


@traced
@logger.inject_lambda_context
@measured
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, int]:
    """Archive the day in `{"date": "2026-01-31"}`, even if it has a file, or all missing days.

    The answer has the number of trades per day. If a run fails, the days it finished stay archived.
    A run that has used the database ends with a recount of the positions.

    Raises:
        ValueError: the date is not a date.
        DayNotOver: the day is not over.
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
        # Usually no day is missing: days are archived in order. Then the database is not asked,
        # because that would wake a paused one.
        if last_complete_day(now) not in done:
            archived = _archive(
                archive, context, lambda reader: missing_days(first_day(reader), done, now)
            )
    count(ARCHIVE_HEARTBEAT)
    return archived


def _archive(
    archive: Archive, context: LambdaContext, days: Callable[[Connection[Cursor]], Iterable[date]]
) -> dict[str, int]:
    archived: dict[str, int] = {}
    settings = load_settings()
    credentials = CredentialStore(
        lambda version_stage: fetch_credentials(settings.app_secret_arn, version_stage, ARCHIVE)
    )
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
                logger.warning("out of time: the next run archives the rest", next_day=str(day))
                break
            rows = _Counted(rows_of(connection, day))
            archive.write(day, rows)
            archived[str(day)] = rows.number
            count("ArchivedTrades", rows.number)
            logger.info("day archived", day=str(day), trades=rows.number)
        _recount(connection, context)
    return archived


def _recount(connection: Connection[Cursor], context: LambdaContext) -> None:
    """Hold the positions against the trades. A difference raises an alarm."""
    counted, differences = recount(
        connection, lambda: context.get_remaining_time_in_millis() > _RECOUNT_MILLISECONDS
    )
    for found in differences:
        logger.error(
            "position is not the sum of its trades",
            symbol=found.symbol,
            trades=str(found.trades),
            position=str(found.position),
        )
    count("PositionsRecounted", counted)
    count("PositionsWrong", len(differences))
    logger.info("positions recounted", symbols=counted, wrong=len(differences))


class _Counted:
    """Rows, and how many of them were read."""

    def __init__(self, rows: Iterator[dict[str, Any]]) -> None:
        self._rows = rows
        self.number = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for row in self._rows:
            self.number += 1
            yield row
