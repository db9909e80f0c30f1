"""Attacks on the book as its own database users, on a real server."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest
from pymysql.connections import Connection
from pymysql.cursors import Cursor
from pymysql.err import MySQLError

from migration import app_user, runner
from migration.app_user import ARCHIVE_USER, Right, ensure_app_user
from tests.service.conftest import APP, APP_SECRET_ARN, APP_USER, CALLER, Secrets, rows, store_at
from trading.database import connect
from trading.models import Order
from trading.secret import ARCHIVE, CURRENT
from trading.settings import Address
from trading.trades import book_trade, void_own_trade

FORGED = f"TRADE-{'F' * 26}"
BOOK = (
    "INSERT INTO trades (trade_id, created_at, status, symbol, side, quantity, caller, principal, "
    "voided_at, voided_by) VALUES ('{trade_id}', {created_at}, '{status}', 'A', '{side}', 1, '', "
    "'', {voided_at}, {voided_by})"
).format
VALID = {
    "trade_id": FORGED,
    "side": "BUY",
    "created_at": "UTC_TIMESTAMP(6)",
    "status": "SUCCESS",
    "voided_at": "NULL",
    "voided_by": "NULL",
}
VOID = {"status": "VOID", "voided_at": "UTC_TIMESTAMP(6)", "voided_by": "'eve'"}


@pytest.fixture
def eve(schema: Connection[Cursor], address: Address) -> Iterator[Cursor]:
    """Somebody who has the password of the service's user."""
    with connect(address, APP) as connection, connection.cursor() as cursor:
        yield cursor


@pytest.fixture
def trade_ids(schema: Connection[Cursor], address: Address, secrets: Secrets) -> tuple[str, str]:
    """A trade that is valid and one that is void."""
    store = store_at(address, secrets)
    valid, void = (
        book_trade(Order("AAPL", number), CALLER, store).trade.trade_id for number in (1, 2)
    )
    void_own_trade(void, CALLER, store)
    return valid, void


def test_a_trade_of_now_can_be_booked(eve: Cursor, schema: Connection[Cursor]) -> None:
    eve.execute(BOOK(**VALID))
    assert rows(schema, "SELECT trade_id FROM trades") == [(FORGED,)]


@pytest.mark.parametrize(
    "forged",
    [
        {"created_at": "UTC_TIMESTAMP(6) - INTERVAL 302 SECOND"},
        {"created_at": "UTC_TIMESTAMP(6) + INTERVAL 302 SECOND"},
        {"created_at": "'2026-01-31 12:00:00'"},
        # A time zone of the session does not move the clock that the rule compares with.
        {"created_at": "CONVERT_TZ(UTC_TIMESTAMP(6), '+00:00', '+09:00')"},
        VOID,
    ],
)
def test_no_trade_of_another_time_or_status_can_be_booked(
    eve: Cursor, schema: Connection[Cursor], forged: dict[str, str]
) -> None:
    eve.execute("SET time_zone = '+09:00', timestamp = 1")
    with pytest.raises(MySQLError, match=r"within 300 s|status SUCCESS"):
        eve.execute(BOOK(**{**VALID, **forged}))
    assert rows(schema, "SELECT COUNT(*) FROM trades") == [(0,)]


@pytest.mark.parametrize(
    "forged",
    [
        *({"trade_id": trade_id} for trade_id in ("FORGED", "", FORGED.lower(), FORGED[:-1])),
        {"trade_id": "TRADE-" + "G" * 26},
        {"status": "SUCCESS "},
        {"side": "BUY "},
    ],
)
@pytest.mark.parametrize("mode", ["", "STRICT_ALL_TABLES"])
def test_no_trade_can_be_booked_that_followers_cannot_pass_or_nobody_can_void(
    eve: Cursor, schema: Connection[Cursor], forged: dict[str, str], mode: str
) -> None:
    eve.execute("SET sql_mode = %s", (mode,))
    # In strict mode, UNHEX itself refuses what is not hexadecimal.
    with pytest.raises(MySQLError, match=r"an ID, a status and a side of the service|unhex"):
        eve.execute(BOOK(**{**VALID, **forged}))
    assert rows(schema, "SELECT COUNT(*) FROM trades") == [(0,)]


def test_no_session_moves_the_clock_of_the_rules(
    eve: Cursor, schema: Connection[Cursor], trade_ids: tuple[str, str]
) -> None:
    before = rows(schema, "SELECT * FROM trades ORDER BY trade_id")
    eve.execute("SET timestamp = UNIX_TIMESTAMP('2026-01-31 12:00:00')")
    for change in (
        BOOK(**VALID),
        "UPDATE trades SET status = 'VOID', voided_by = 'eve', voided_at = UTC_TIMESTAMP(6) "
        f"WHERE trade_id = '{trade_ids[0]}'",
    ):
        with pytest.raises(MySQLError, match="within 300 s"):
            eve.execute(change)
    assert rows(schema, "SELECT * FROM trades ORDER BY trade_id") == before


def test_no_night_in_which_clocks_are_put_back_moves_them(
    eve: Cursor, schema: Connection[Cursor], trade_ids: tuple[str, str]
) -> None:
    with schema.cursor() as cursor:
        # A zone that put its clocks back by an hour ten minutes ago.
        cursor.execute("DELETE FROM mysql.time_zone WHERE time_zone_id = 9999")
        cursor.execute("INSERT INTO mysql.time_zone VALUES (9999, 'N')")
        cursor.execute("REPLACE INTO mysql.time_zone_name VALUES ('Autumn', 9999)")
        cursor.execute(
            "REPLACE INTO mysql.time_zone_transition_type VALUES "
            "(9999, 0, 7200, 1, 'SUMMER'), (9999, 1, 3600, 0, 'WINTER')"
        )
        cursor.execute(
            "REPLACE INTO mysql.time_zone_transition VALUES "
            "(9999, 1000000000, 0), (9999, UNIX_TIMESTAMP() - 600, 1)"
        )
    before = rows(schema, "SELECT * FROM trades ORDER BY trade_id")
    eve.execute("SET time_zone = 'Autumn'")
    eve.execute("SET timestamp = @@timestamp - 3600")
    eve.execute("SELECT ABS(TIMESTAMPDIFF(SECOND, NOW(6), SYSDATE(6)))")
    assert eve.fetchall() == ((0,),)
    for change in (
        BOOK(**VALID),
        "UPDATE trades SET status = 'VOID', voided_by = 'eve', voided_at = UTC_TIMESTAMP(6) "
        f"WHERE trade_id = '{trade_ids[0]}'",
    ):
        with pytest.raises(MySQLError, match="time zone of the server"):
            eve.execute(change)
    assert rows(schema, "SELECT * FROM trades ORDER BY trade_id") == before


@pytest.mark.parametrize(
    "change",
    [
        "status = 'SUCCESS', voided_at = NULL, voided_by = NULL",
        "voided_by = 'somebody else'",
        "voided_at = UTC_TIMESTAMP(6)",
        "status = 'VOID'",
    ],
)
def test_a_void_trade_cannot_be_changed(
    eve: Cursor, schema: Connection[Cursor], trade_ids: tuple[str, str], change: str
) -> None:
    before = rows(schema, "SELECT * FROM trades ORDER BY trade_id")
    with pytest.raises(MySQLError, match="a void trade must not change"):
        eve.execute(f"UPDATE trades SET {change} WHERE trade_id = %s", (trade_ids[1],))
    assert rows(schema, "SELECT * FROM trades ORDER BY trade_id") == before


@pytest.mark.parametrize(
    "change",
    [
        "status = 'SUCCESS'",
        "status = 'VOID', voided_by = 'eve', voided_at = '2026-01-31 12:00:00'",
        "status = 'VOID', voided_by = 'eve', voided_at = UTC_TIMESTAMP(6) + INTERVAL 302 SECOND",
        "status = 'VOID', voided_by = 'eve', voided_at = NULL",
        "status = 'VOID', voided_by = NULL, voided_at = UTC_TIMESTAMP(6)",
        # The archive would write it with its space.
        "status = 'VOID ', voided_by = 'eve', voided_at = UTC_TIMESTAMP(6)",
        "quantity = 2",
        "principal = 'eve'",
        "created_at = UTC_TIMESTAMP(6)",
    ],
)
def test_a_trade_can_only_be_voided_and_only_now(
    eve: Cursor, schema: Connection[Cursor], trade_ids: tuple[str, str], change: str
) -> None:
    before = rows(schema, "SELECT * FROM trades ORDER BY trade_id")
    with pytest.raises(MySQLError):
        eve.execute(f"UPDATE trades SET {change} WHERE trade_id = %s", (trade_ids[0],))
    assert rows(schema, "SELECT * FROM trades ORDER BY trade_id") == before


@pytest.mark.parametrize(
    "statement",
    [
        "REPLACE INTO trades SELECT * FROM trades WHERE trade_id = %(void)s",
        "INSERT INTO trades SELECT * FROM trades WHERE trade_id = %(void)s "
        "ON DUPLICATE KEY UPDATE status = 'SUCCESS', voided_at = NULL, voided_by = NULL",
        "UPDATE trades SET status = 'VOID', voided_by = 'eve', voided_at = UTC_TIMESTAMP(6)",
        "DELETE FROM trades WHERE trade_id = %(valid)s",
        "TRUNCATE TABLE trades",
        "ALTER TABLE trades DISABLE KEYS",
        "DROP TRIGGER trades_changed_rules",
        "CREATE TRIGGER mine BEFORE INSERT ON trades FOR EACH ROW SET NEW.quantity = 1",
        "CREATE DEFINER = platform_admin@'%%' VIEW mine AS SELECT * FROM trades",
        "SET GLOBAL read_only = ON",
    ],
)
def test_there_is_no_way_around_the_rules(
    eve: Cursor, schema: Connection[Cursor], trade_ids: tuple[str, str], statement: str
) -> None:
    before = rows(schema, "SELECT * FROM trades ORDER BY trade_id")
    valid, void = trade_ids
    with pytest.raises(MySQLError):
        eve.execute(statement, {"valid": valid, "void": void})
    assert rows(schema, "SELECT * FROM trades ORDER BY trade_id") == before


@pytest.mark.parametrize("mode", ["", "ALLOW_INVALID_DATES", "NO_AUTO_VALUE_ON_ZERO"])
@pytest.mark.parametrize(
    "change",
    [
        # MySQL refuses NULL for a single row in each mode.
        *(
            f"{book}, {book.partition('VALUES ')[2].replace(FORGED, 'TRADE-' + 'E' * 26)}"
            for book in (
                BOOK(**{**VALID, "created_at": "NULL"}),
                BOOK(**{**VALID, "created_at": "'0000-00-00'"}),
                BOOK(**{**VALID, "created_at": "'2026-11-00 10:00:00'"}),
                BOOK(**VALID).replace("'SUCCESS'", "NULL"),
            )
        ),
        "INSERT INTO trades (trade_id, status, side, quantity) VALUES ('F', 'SUCCESS', 'BUY', 1)",
        *(
            f"UPDATE trades SET status = 'VOID', voided_by = 'eve', voided_at = {at}"
            for at in ("'0000-00-00'", "'2026-00-00'", "'2026-11-00 10:00:00'")
        ),
        "UPDATE trades SET status = NULL",
        "UPDATE trades SET status = NULL, voided_by = 'eve', voided_at = UTC_TIMESTAMP(6)",
        "INSERT INTO trade_events (event_id) VALUES (NULL)",
        "INSERT INTO trade_events (event_id) VALUES (-1), (1e30)",
        "INSERT INTO trade_events () VALUES ()",
    ],
)
def test_no_mode_of_a_session_bends_the_rules(
    eve: Cursor, schema: Connection[Cursor], trade_ids: tuple[str, str], mode: str, change: str
) -> None:
    def book() -> list[tuple[object, ...]]:
        trades = rows(schema, "SELECT trade_id, status, CAST(voided_at AS CHAR) FROM trades")
        return trades + rows(schema, "SELECT * FROM trade_events")

    before = book()
    eve.execute("SET sql_mode = %s", (mode,))
    where = f" WHERE trade_id = '{trade_ids[0]}'" if change.startswith("UPDATE") else ""
    with pytest.raises(MySQLError):
        eve.execute(change + where)
    assert book() == before


@pytest.mark.parametrize(
    "numbers",
    [
        "(event_id) VALUES (18446744073709551615)",
        "(event_id) VALUES (1000)",
        "(event_id) SELECT MAX(event_id) + 1 FROM trade_events",
        "(event_id) VALUES (0)",
        "(event_id, trade_id, kind) VALUES (0, 'x', 'VOIDED')",
    ],
)
def test_no_number_of_a_coming_event_can_be_taken(
    eve: Cursor,
    schema: Connection[Cursor],
    trade_ids: tuple[str, str],
    address: Address,
    secrets: Secrets,
    numbers: str,
) -> None:
    (before,) = rows(schema, "SELECT COUNT(*), MAX(event_id) FROM trade_events")
    with pytest.raises(MySQLError):
        eve.execute(f"INSERT INTO trade_events {numbers}")
    assert rows(schema, "SELECT COUNT(*), MAX(event_id) FROM trade_events") == [before]
    book_trade(Order("AAPL", 1), CALLER, store_at(address, secrets))
    assert rows(schema, "SELECT COUNT(*) FROM trade_events") == [(before[0] + 1,)]


@pytest.mark.parametrize(
    "setting",
    [
        "insert_id = 18446744073709551614",
        "auto_increment_increment = 65535, auto_increment_offset = 65535",
        "auto_increment_increment = 2",
    ],
)
def test_no_setting_of_a_session_chooses_the_number_of_an_event(
    eve: Cursor, schema: Connection[Cursor], trade_ids: tuple[str, str], setting: str
) -> None:
    count = "SELECT COUNT(*) FROM trades"
    before = rows(schema, count)
    eve.execute(f"SET SESSION {setting}")
    for change in (
        BOOK(**VALID),
        "UPDATE trades SET status = 'VOID', voided_by = '', voided_at = UTC_TIMESTAMP(6) "
        f"WHERE trade_id = '{trade_ids[0]}'",
    ):
        with pytest.raises(MySQLError, match="no session may choose the number"):
            eve.execute(change)
    assert rows(schema, count) == before
    with pytest.raises(MySQLError, match="privilege"):
        eve.execute("SET SESSION sql_log_bin = 0")


def test_the_owner_of_the_schema_can_repair_a_trade(
    schema: Connection[Cursor], trade_ids: tuple[str, str]
) -> None:
    with schema.cursor() as cursor:
        cursor.execute("UPDATE trades SET status = 'SUCCESS', voided_at = NULL, voided_by = NULL")
        cursor.execute("UPDATE trades SET created_at = '2026-01-31 12:00:00'")
    assert rows(schema, "SELECT DISTINCT status, created_at < NOW() FROM trades") == [
        ("SUCCESS", 1)
    ]


def test_the_archives_user_reads_trades_and_can_do_nothing_else(
    schema: Connection[Cursor], address: Address, secrets: Secrets, trade_ids: tuple[str, str]
) -> None:
    credentials = secrets.fetch(CURRENT, ARCHIVE)
    assert credentials is not None
    assert credentials.username == ARCHIVE_USER
    with connect(address, credentials) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM trades")
        assert cursor.fetchall() == ((2,),)
        for forbidden in (
            BOOK(**VALID),
            "UPDATE trades SET status = 'VOID', voided_by = '', voided_at = UTC_TIMESTAMP(6)",
            "DELETE FROM trades",
            "SELECT * FROM schema_migrations",
        ):
            with pytest.raises(MySQLError, match="denied"):
                cursor.execute(forbidden)


def test_who_may_read_can_stop_trades_as_the_threat_model_says(
    eve: Cursor, address: Address, secrets: Secrets, trade_ids: tuple[str, str]
) -> None:
    credentials = secrets.fetch(CURRENT, ARCHIVE)
    assert credentials is not None
    eve.execute("SET innodb_lock_wait_timeout = 1")
    with connect(address, credentials) as connection, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM positions FOR SHARE")
        with pytest.raises(MySQLError, match="Lock wait timeout"):
            eve.execute(BOOK(**VALID))
    eve.execute(BOOK(**VALID))


def test_who_has_a_password_can_stop_a_migration_until_the_runbook_ends_it(
    eve: Cursor,
    schema: Connection[Cursor],
    address: Address,
    secrets: Secrets,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(runner, "_LOCK_TIMEOUT_SECONDS", 0)
    eve.execute("SELECT GET_LOCK('trading.migrations', 0)")
    with pytest.raises(runner.MigrationError, match="another run"):
        runner.apply_migrations(schema, ())
    with schema.cursor() as cursor:
        cursor.execute("ALTER USER trade_app@'%' IDENTIFIED BY RANDOM PASSWORD")
        cursor.execute("SELECT IS_USED_LOCK('trading.migrations')")
        cursor.execute("KILL %s", cursor.fetchone())
    with pytest.raises(MySQLError, match="Access denied"):
        connect(address, APP)
    assert runner.apply_migrations(schema, ()) == []
    log_in = functools.partial(connect, address)
    ensure_app_user(schema, secrets, APP_SECRET_ARN, log_in, username=APP_USER)
    connect(address, APP).close()


def test_a_right_that_a_release_no_longer_needs_is_revoked(
    schema: Connection[Cursor],
    address: Address,
    secrets: Secrets,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def privileges() -> set[str]:
        return {
            text
            for (grant,) in rows(schema, "SHOW GRANTS FOR trade_app@'%'")
            for text in ("DELETE", "INSERT", "SELECT", "`status`", "`quantity`")
            if f"{text}" in grant
        }

    def release() -> None:
        ensure_app_user(
            schema, secrets, APP_SECRET_ARN, functools.partial(connect, address), username=APP_USER
        )

    needed = privileges()
    assert needed == {"INSERT", "SELECT", "`status`"}
    monkeypatch.setattr(
        app_user,
        "APP_RIGHTS",
        app_user.APP_RIGHTS | {Right("DELETE"), Right("UPDATE", "quantity")},
    )
    release()
    assert privileges() == needed | {"DELETE", "`quantity`"}
    monkeypatch.undo()
    release()
    assert privileges() == needed
