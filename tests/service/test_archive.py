"""The archive, with a real database and the emulator's S3."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pymysql.connections import Connection
from pymysql.cursors import Cursor
from pymysql.err import MySQLError

from archive import days, handler, rows
from archive.days import CATCH_UP_DAYS, DayNotOver, missing_days, requested_day
from local.database_server import MySQLServer
from local.emulator.installation import REGION
from local.triggers import without_triggers
from tests.service.conftest import ADMIN, Secrets, context
from tests.service.conftest import rows as query
from tests.support.emulator import Emulator
from trading.database import connect
from trading.settings import Address
from trading.store import COLUMNS

BUCKET = "trading-data"
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
YESTERDAY = date(2026, 1, 30)


@pytest.fixture
def key_arn(emulator: Emulator) -> str:
    return str(emulator.client("kms").create_key()["KeyMetadata"]["Arn"])


@pytest.fixture
def s3(emulator: Emulator) -> Iterator[Any]:
    client = emulator.client("s3")
    client.create_bucket(Bucket=BUCKET)
    yield client
    for found in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=found["Key"])
    client.delete_bucket(Bucket=BUCKET)


class Clock(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: Any = None) -> Any:
        assert tz is UTC
        return NOW


@pytest.fixture
def run(
    schema: Connection[Cursor],
    service_variables: None,
    secrets: Secrets,
    s3: Any,
    key_arn: str,
    emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    for name, value in {
        "AWS_ENDPOINT_URL_S3": emulator.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "DATA_BUCKET_NAME": BUCKET,
        "DATA_KEY_ARN": key_arn,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(
        handler, "fetch_credentials", lambda _arn, *version: secrets.fetch(*version)
    )
    monkeypatch.setattr(handler, "datetime", Clock)
    return lambda event, seconds=900: handler.handler(event, context(seconds))


def book(connection: Connection[Cursor], created_at: str, **more: Any) -> str:
    """Insert a trade as the service does, and give its ID."""
    trade_id = f"TRADE-{os.urandom(13).hex().upper()}"
    values = {
        "trade_id": trade_id,
        "created_at": created_at,
        "symbol": "AAPL",
        "quantity": 100,
        "side": "BUY",
        "caller": "AROAALICE",
        "account": "111122223333",
        "principal": "arn:aws:sts::111122223333:assumed-role/alice/session-1",
        "status": "SUCCESS",
        **more,
    }
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO trades ({', '.join(values)}) VALUES ({', '.join(['%s'] * len(values))})",
            list(values.values()),
        )
    return trade_id


def archived(s3: Any, day: str) -> list[dict[str, Any]]:
    body = s3.get_object(Bucket=BUCKET, Key=f"trades/dt={day}/trades.ndjson.gz")["Body"].read()
    return [json.loads(line) for line in gzip.decompress(body).splitlines()]


def test_all_columns_of_the_table_are_archived(schema: Connection[Cursor]) -> None:
    columns = query(
        schema,
        "SELECT column_name FROM information_schema.columns "
        "WHERE table_schema = 'trading' AND table_name = 'trades'",
    )
    assert sorted(COLUMNS) == sorted(name for (name,) in columns)


def test_a_days_trades_are_written_in_their_order_with_exact_values(
    run: Any, s3: Any, schema: Connection[Cursor], key_arn: str
) -> None:
    book(schema, "2026-01-29 23:59:59.999999")
    second = book(
        schema, "2026-01-30 23:59:59.999999", price=Decimal("0.1"), quantity=0, fraction="0.5"
    )
    first = book(
        schema,
        "2026-01-30 00:00:00",
        price=Decimal("100"),
        client_order_id="desk-7",
        status="VOID",
        voided_at="2026-01-30 01:02:03.000004",
        voided_by="bob",
    )
    book(schema, "2026-01-31 00:00:00")

    assert run({"date": "2026-01-30"}) == {"2026-01-30": 2}

    voided, open_ = archived(s3, "2026-01-30")
    # A quantity is one value, as in the API.
    assert voided == {
        **dict.fromkeys(set(COLUMNS) - {"fraction"}),
        "trade_id": first,
        "created_at": "2026-01-30T00:00:00.000000Z",
        "symbol": "AAPL",
        "quantity": 100,
        "side": "BUY",
        "price": "100",
        "client_order_id": "desk-7",
        "caller": "AROAALICE",
        "account": "111122223333",
        "principal": "arn:aws:sts::111122223333:assumed-role/alice/session-1",
        "status": "VOID",
        "voided_at": "2026-01-30T01:02:03.000004Z",
        "voided_by": "bob",
    }
    assert (open_["trade_id"], open_["price"], open_["voided_at"]) == (second, "0.1", None)
    assert open_["quantity"] == "0.5"
    described = s3.head_object(Bucket=BUCKET, Key="trades/dt=2026-01-30/trades.ndjson.gz")
    assert described["ServerSideEncryption"] == "aws:kms"
    assert described["SSEKMSKeyId"] == key_arn


def test_a_run_archives_all_missing_days_and_the_next_has_nothing_to_do(
    run: Any, s3: Any, schema: Connection[Cursor], monkeypatch: pytest.MonkeyPatch
) -> None:
    book(schema, "2026-01-28 09:00:00")
    book(schema, "2026-01-30 09:00:00")
    s3.put_object(Bucket=BUCKET, Key="trades/dt=2026-01-27/readme.txt", Body=b"not an archive")

    assert run({}) == {"2026-01-28": 1, "2026-01-29": 0, "2026-01-30": 1}
    assert archived(s3, "2026-01-29") == []
    # Not even the database is asked: it may be paused.
    monkeypatch.setenv("DATABASE_PORT", "1")
    assert run({"source": "aws.scheduler"}) == {}


def test_archiving_a_day_again_gives_the_same_bytes_unless_a_trade_was_voided(
    run: Any, s3: Any, schema: Connection[Cursor]
) -> None:
    trade_id = book(schema, "2026-01-30 09:00:00")

    def content() -> bytes:
        run({"date": "2026-01-30"})
        key = "trades/dt=2026-01-30/trades.ndjson.gz"
        return bytes(s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())

    first = content()
    assert content() == first
    query(
        schema,
        "UPDATE trades SET status = 'VOID', voided_at = created_at, voided_by = 'bob' "
        f"WHERE trade_id = '{trade_id}'",
    )
    assert content() != first
    assert archived(s3, "2026-01-30")[0]["status"] == "VOID"


def test_without_trades_the_last_day_is_archived_as_empty(run: Any, s3: Any) -> None:
    assert run({}) == {"2026-01-30": 0}
    assert archived(s3, "2026-01-30") == []


def test_before_the_day_of_the_first_trade_is_over_there_is_nothing_to_archive(
    run: Any, s3: Any, schema: Connection[Cursor]
) -> None:
    book(schema, "2026-01-31 09:00:00")
    assert run({}) == {}
    assert "Contents" not in s3.list_objects_v2(Bucket=BUCKET)


def test_a_run_that_is_out_of_time_leaves_the_rest_to_the_next(
    run: Any, schema: Connection[Cursor]
) -> None:
    book(schema, "2026-01-29 09:00:00")
    assert run({}, seconds=60) == {"2026-01-29": 1}
    assert run({}, seconds=60) == {"2026-01-30": 0}


def test_a_database_that_fails_midway_leaves_no_file_and_the_days_before_it_whole(
    run: Any, s3: Any, schema: Connection[Cursor], monkeypatch: pytest.MonkeyPatch
) -> None:
    book(schema, "2026-01-29 09:00:00")
    book(schema, "2026-01-30 09:00:00")

    def broken(connection: Connection[Cursor], day: date) -> Iterator[dict[str, Any]]:
        for row in rows.rows_of(connection, day):
            yield row
            if day == YESTERDAY:
                connection.kill(connection.thread_id())

    monkeypatch.setattr(handler, "rows_of", broken)
    with pytest.raises(MySQLError):
        run({})
    (only,) = s3.list_objects_v2(Bucket=BUCKET)["Contents"]
    assert only["Key"] == "trades/dt=2026-01-29/trades.ndjson.gz"
    monkeypatch.undo()


def test_a_bucket_that_refuses_fails_the_run(run: Any, schema: Connection[Cursor]) -> None:
    book(schema, "2026-01-30 09:00:00")
    os.environ["DATA_BUCKET_NAME"] = "no-such-bucket"
    with pytest.raises(ClientError, match="NoSuchBucket"):
        run({})


def test_a_run_is_counted_with_its_trades(
    run: Any, schema: Connection[Cursor], capsys: pytest.CaptureFixture[str]
) -> None:
    book(schema, "2026-01-30 09:00:00")
    run({})
    (line,) = (line for line in capsys.readouterr().out.splitlines() if '"_aws"' in line)
    metrics = json.loads(line)
    assert (metrics["ArchiveHeartbeat"], metrics["ArchivedTrades"]) == (1, 1)
    assert metrics["environment"] == "test"


def recounted(output: str) -> tuple[int, int]:
    """How many positions a run has recounted, and how many of them were wrong."""
    (line,) = (line for line in output.splitlines() if '"_aws"' in line)
    metrics = json.loads(line)
    return metrics["PositionsRecounted"], metrics["PositionsWrong"]


def test_a_run_that_used_the_database_recounts_the_positions(
    run: Any,
    schema: Connection[Cursor],
    capsys: pytest.CaptureFixture[str],
    logs: io.StringIO,
) -> None:
    book(schema, "2026-01-30 09:00:00")
    book(schema, "2026-01-30 09:00:00", side="SELL", quantity=0, fraction="0.25")
    book(schema, "2026-01-30 09:00:00", symbol="MSFT")
    run({})
    assert recounted(capsys.readouterr().out) == (2, 0)
    # A difference of each kind: too much, and no position at all.
    query(schema, "UPDATE positions SET quantity = quantity + 1 WHERE symbol = 'AAPL'")
    query(schema, "DELETE FROM positions WHERE symbol = 'MSFT'")
    logs.truncate(0)
    run({"date": "2026-01-30"})
    assert recounted(capsys.readouterr().out) == (2, 2)
    wrong = [json.loads(line) for line in logs.getvalue().splitlines() if "is not the sum" in line]
    found = {line["symbol"]: Decimal(line["position"]) - Decimal(line["trades"]) for line in wrong}
    assert found == {"AAPL": 1, "MSFT": -100}


def test_a_recount_ends_before_the_functions_time_does(
    run: Any, schema: Connection[Cursor], capsys: pytest.CaptureFixture[str]
) -> None:
    book(schema, "2026-01-30 09:00:00")
    run({}, seconds=60)
    assert recounted(capsys.readouterr().out) == (0, 0)


def reset_peak_memory() -> int:
    """Forget the most memory that this process has had; gives what it has now, in bytes."""
    # https://docs.kernel.org/filesystems/proc.html: 5 resets the peak resident set size
    Path("/proc/self/clear_refs").write_text("5")
    return peak_memory()


def peak_memory() -> int:
    """The most memory that this process has had, in bytes."""
    (kilobytes,) = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes) * 1024


def test_memory_stays_flat_over_200000_trades(
    run: Any, s3: Any, server: MySQLServer, address: Address
) -> None:
    with connect(address, ADMIN, statement_seconds=120) as owner, without_triggers(owner):
        owner.query(
            """
            INSERT INTO trades
                (trade_id, created_at, symbol, quantity, side, caller, principal, status)
            WITH RECURSIVE numbers (seq) AS (
                SELECT 1 UNION ALL SELECT seq + 1 FROM numbers WHERE seq < 200000
            )
            SELECT /*+ SET_VAR(cte_max_recursion_depth = 200000) */
                CONCAT('TRADE-', LPAD(HEX(seq), 26, '0')), '2026-01-30 09:00:00', 'AAPL', seq,
                'BUY', 'AROAALICE', CONCAT(SHA2(seq, 256), SHA2(seq, 512)), 'SUCCESS'
            FROM numbers
            """
        )
    before = reset_peak_memory()
    assert run({}) == {"2026-01-30": 200_000}
    growth = peak_memory() - before
    server.execute("TRUNCATE TABLE trading.trades; TRUNCATE TABLE trading.positions", timeout=120)
    size = s3.head_object(Bucket=BUCKET, Key="trades/dt=2026-01-30/trades.ndjson.gz")[
        "ContentLength"
    ]
    # More than two parts of 8 MiB were uploaded, and no more than some buffers were held.
    assert size > 16 * 1024 * 1024
    assert growth < 40 * 1024 * 1024


@pytest.mark.parametrize(
    ("now", "last"),
    [
        (datetime(2026, 1, 31, 0, 14, 59, tzinfo=UTC), date(2026, 1, 29)),
        (datetime(2026, 1, 31, 0, 15, tzinfo=UTC), date(2026, 1, 30)),
        (datetime(2026, 3, 1, 12, tzinfo=UTC), date(2026, 2, 28)),
    ],
)
def test_a_day_is_over_a_quarter_of_an_hour_after_midnight(now: datetime, last: date) -> None:
    assert days.last_complete_day(now) == last


def test_missing_days_are_archived_as_far_back_as_the_window_reaches() -> None:
    found = list(missing_days(date(2020, 1, 1), {YESTERDAY}, NOW))
    assert found[0] == YESTERDAY - timedelta(days=CATCH_UP_DAYS - 1)
    assert found[-1] == YESTERDAY - timedelta(days=1)
    assert len(found) == CATCH_UP_DAYS - 1


def test_the_day_of_the_first_trade_is_not_missing_before_it_is_over() -> None:
    assert list(missing_days(NOW.date(), set(), NOW)) == []


def test_a_day_that_is_not_over_cannot_be_archived() -> None:
    assert requested_day("2026-01-30", NOW) == YESTERDAY
    with pytest.raises(DayNotOver, match=r"2026-01-31 is not over.*2026-01-30"):
        requested_day("2026-01-31", NOW)
    with pytest.raises(ValueError, match="Invalid isoformat"):
        requested_day("yesterday", NOW)
